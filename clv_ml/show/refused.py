"""What `clv quarantine` prints: reasons, rows, or all of it as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from clv_ml.show.terminal import out, print_wide, say

if TYPE_CHECKING:
    from clv_ml.operate.refused import RefusedReason, RefusedRow

MOST_ROWS = 20
SHOWN = 70
"""Characters of a row that a table shows."""


def show_reasons(reasons: Sequence[RefusedReason]) -> None:
    if not reasons:
        say("No row was refused.")
        return
    table = Table("reason", "rows", "admitted since", "newest", "row", title="Refused")
    for one in reasons:
        place = f"{one.source}, line {one.line_number}"
        counts = (f"{one.row_count:,}", f"{one.admitted_count:,}")
        table.add_row(one.reason, *counts, Text(place), Text(_cut(one.raw_text)))
    print_wide(table)
    out.print("Rows of one reason: clv quarantine --reason REASON. All, for a spreadsheet: --csv.")


def show_rows(rows: Sequence[RefusedRow]) -> None:
    table = Table("refused", "file", "line", "admitted", "row", title=f"Refused: {rows[0].reason}")
    for row in rows[:MOST_ROWS]:
        admitted = f"{row.admitted_at:%Y-%m-%d}" if row.admitted_at else ""
        place = (Text(row.source), str(row.line_number))
        table.add_row(f"{row.quarantined_at:%Y-%m-%d}", *place, admitted, Text(_cut(row.raw_text)))
    print_wide(table)
    if len(rows) > MOST_ROWS:
        out.print(f"{len(rows) - MOST_ROWS:,} more: --csv shows all.")


def write_rows(rows: Sequence[RefusedRow]) -> None:
    """All rows as CSV on stdout."""
    from clv_ml.operate.refused import RefusedRow

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in fields(RefusedRow))
    writer.writerows(astuple(row) for row in rows)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
