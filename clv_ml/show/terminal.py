"""How commands print: text for people on stdout, warnings on stderr, or one JSON object."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""
Characters that a terminal obeys, but for tab and newline, and how they are shown: a feed decides its ids.
"""


NUMBER = re.compile(r"[-+]?[\d.,]+ ?%?")
"""A cell that means another thing where it runs over two lines."""
CONTROLS_IN_JSON = {code: f"\\u{code:04x}" for code in range(127, 160)}
"""Those that JSON leaves as they are."""


class PlainConsole(Console):
    """A console that shows control characters instead of obeying them, and cuts off nothing in a table."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints, with every word of a table whole or folded, and every number whole."""
        for table in (each for each in objects if isinstance(each, Table)):
            for column in table.columns:
                column.overflow = "fold"
                column.no_wrap = column.no_wrap or all(map(_is_number, column.cells))
        super().print(*objects, **options)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else segment._replace(text=segment.text.translate(CONTROLS))
            for segment in buffer
        )


def _is_number(cell: Any) -> bool:
    return not str(cell) or NUMBER.fullmatch(str(cell)) is not None


out, err = PlainConsole(), PlainConsole(stderr=True)
WIDEST_TABLE = 120
"""Columns a table may take on a narrower terminal: better a line that runs over than a number cut off."""


def print_result(result: Any, as_json: bool, show: Callable[[], None]) -> None:
    """The result as JSON where that is asked for, else as ``show`` prints it."""
    if as_json:
        print(json.dumps(_plain(result), ensure_ascii=False, allow_nan=False).translate(CONTROLS_IN_JSON))
        sys.stdout.flush()
    else:
        show()


def _plain(value: Any) -> Any:
    """As JSON has it: dataclasses and mappings as objects, dates as text, no number that JSON lacks."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal) or (isinstance(value, Real) and not isinstance(value, Integral)):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


def say(text: str) -> None:
    """A line of plain text, whatever signs are in it, as long as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        err.print("[yellow]Warning:[/yellow]", Text(warning))


def warn_of_shop(caution: str | None) -> None:
    """What the model in use says against itself, where there is anything."""
    from clv_ml.operate.scores import hard_to_learn

    if caution:
        err.print("[yellow]Caution:[/yellow]", Text(hard_to_learn(caution)))


def print_wide(table: Table) -> None:
    """A table that is not squeezed into a narrow terminal."""
    PlainConsole(width=max(out.width, WIDEST_TABLE)).print(table)
