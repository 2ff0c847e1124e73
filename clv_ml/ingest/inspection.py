"""What a file is, before anything is loaded: what reads it, rows before and after, what each check finds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice, chosen, recognised
from clv_ml.ingest.evidence import style_of
from clv_ml.ingest.feeds import Feed, read_feed
from clv_ml.ingest.ingestion import ingest
from clv_ml.ingest.lookups import grouped, with_lookups
from clv_ml.ingest.mapped_values import Style
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.mapping_file import mapping_text
from clv_ml.ingest.mapping_sql import described, missing_columns, used_columns
from clv_ml.ingest.presets import Preset
from clv_ml.ingest.proposal import proposed
from clv_ml.ingest.scratch import create_reading_macros, create_shop_macros, name_inputs
from clv_ml.ingest.summary import IngestSummary
from clv_ml.warehouse.input_contract import create_statements
from clv_ml.warehouse.quoting import quoted_name

SHOWN = 5
TO_DO = {
    "unknown_status": "purchase or to no_purchase",
    "unknown_kind": "purchase, to refund or to no_purchase",
}
"""Reasons that a line of the mapping does away with, and where to write the value."""


@dataclass(frozen=True)
class Rows:
    """Some rows as they would be printed."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Inspection:
    """
    ``recognised_as`` names a preset or a mapping of the shop's, None where the mapping was proposed.
    ``fields`` say where each field of the contract stands, empty where SQL maps the file; ``before`` has the
    columns used so, of ``columns`` in the file. ``mapping_file`` is what was written, None where there is
    nothing to write.
    """

    path: Path
    recognised_as: str | None
    fields: dict[str, str]
    mapping_file: Path | None
    columns: int
    before: Rows
    after: Rows
    summary: IngestSummary
    notes: tuple[str, ...]


def inspect(
    paths: tuple[Path, ...],
    choice: Choice,
    *,
    reporting_currency: str,
    timezone: str = "UTC",
    overwrite: bool = False,
) -> Inspection:
    """
    Look at a file, with those that belong to it, and write a mapping into the folder of the choice, if it
    needs one.

    Raises:
        InputError: If the file cannot be read, nothing in it looks like a purchase, or a mapping of that name
            is there.
    """
    (path, beside), *others = grouped(paths, choice)
    if others:
        raise InputError(f"{path} and {others[0][0]} do not belong together. Look at one file at a time.")

    def look(choice: Choice, is_unknown: bool = False) -> Inspection:
        with trial_warehouse() as connection:
            return _look(
                connection, path, choice, beside, reporting_currency, timezone, overwrite, is_unknown
            )

    seen = look(choice)
    is_misread = (
        seen.recognised_as and not seen.fields and seen.summary.rows_in and not seen.summary.rows_kept
    )
    return look(choice, True) if is_misread and not choice.preset else seen


def _look(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    choice: Choice,
    beside: tuple[Path, ...],
    reporting_currency: str,
    timezone: str,
    overwrite: bool,
    is_unknown: bool,
) -> Inspection:
    name_inputs(connection, "raw")
    create_reading_macros(connection, timezone)
    create_shop_macros(connection)
    feed = read_feed(connection, path, choice.reading)
    connection.execute("create or replace temp view feed as select * from feed_rows")
    layout, name, notes = _layout(connection, path, choice, feed, is_unknown)
    if isinstance(layout, Mapping) and layout.lookups:
        feed = with_lookups(connection, layout, feed, path, beside)
        connection.execute("create or replace temp view feed as select * from feed_rows")
    used = used_columns(layout, feed.columns) if isinstance(layout, Mapping) else feed.columns
    shown = ", ".join(map(quoted_name, used))
    before = _rows(connection, f"select {shown} from feed_rows order by feed_row limit {SHOWN}")
    style = _style(connection, layout, feed, reporting_currency)
    trial = Choice(at_hand=(name or path.stem, layout)) if isinstance(layout, Mapping) else choice
    summary, more = _tried(
        lambda currency: ingest(
            connection, trial, path, reporting_currency=currency, timezone=timezone, beside=beside
        ),
        reporting_currency,
    )
    after = _rows(
        connection, f"select * exclude (feed_id) from raw.{summary.table} limit {SHOWN}", "event_id"
    )
    written = None
    if isinstance(layout, Mapping) and _needs_file(name, choice, layout, feed, summary):
        written = _write(_settled(layout, style), path, choice.own_folder, summary, overwrite)
    fields = described(layout, feed.columns) if isinstance(layout, Mapping) else {}
    count, said = len(feed.columns), (*summary.notes, *more, *notes)
    return Inspection(path, name, fields, written, count, before, after, summary, said)


def _tried(fed: Callable[[str], IngestSummary], currency: str) -> tuple[IngestSummary, tuple[str, ...]]:
    """What would become of the file; where all its money is in one other currency, as a first feed."""
    summary = fed(currency)
    others = summary.currencies_without_rate
    if summary.rows_kept or len(others) != 1:
        return summary, ()
    return fed(others[0]), (
        f"currency: all money is in {others[0]}; the first feed makes it the shop's currency",
    )


def trial_warehouse() -> duckdb.DuckDBPyConnection:
    """A database in memory with the raw tables, empty."""
    connection = duckdb.connect(":memory:")
    for statement in create_statements("raw"):
        connection.execute(statement)
    return connection


def _layout(
    connection: duckdb.DuckDBPyConnection, path: Path, choice: Choice, feed: Feed, is_unknown: bool
) -> tuple[Mapping | Preset, str | None, list[str]]:
    """What the file is read by, its name where it is known, and what to look at where it is not."""
    found = None if is_unknown else recognised(feed.columns, choice.own_folder)
    if found and choice.options and isinstance(found[1], Preset):
        found = None  # SQL says itself how it reads; what was said needs a mapping
    if choice.preset or choice.mapping_file or found:
        name, layout = chosen(choice, feed.columns, path)
        return layout, name, []
    mapping, notes = proposed(connection, feed.columns, Mapping().with_options(**choice.options))
    if mapping is None:
        columns = ", ".join(map(repr, feed.columns))
        raise InputError(f"{path}: {'; '.join(notes)}. Its columns are {columns}.")
    return mapping.with_options(**choice.options), None, notes


def _style(
    connection: duckdb.DuckDBPyConnection, layout: Mapping | Preset, feed: Feed, reporting_currency: str
) -> Style:
    """How the file in ``feed`` writes numbers and times."""
    if isinstance(layout, Preset) or missing_columns(layout, feed.columns):
        return Style()
    return style_of(connection, layout, feed.columns, reporting_currency).style


def _needs_file(
    name: str | None, choice: Choice, mapping: Mapping, feed: Feed, summary: IngestSummary
) -> bool:
    """Whether there is something to keep: a known export that says it all needs no mapping of its own."""
    if choice.own_folder is None or missing_columns(mapping, feed.columns):
        return False
    return name is None or bool(choice.options) or any(reason in summary.reasons for reason in TO_DO)


def _write(
    mapping: Mapping, path: Path, folder: Path | None, summary: IngestSummary, overwrite: bool
) -> Path:
    """The mapping in a file of its own, named after the feed."""
    assert folder is not None
    target = folder / f"{path.name.split('.')[0]}.yml"
    if target.exists() and not overwrite:
        raise InputError(
            f"{target} is there already. Give --overwrite to replace it, or use it: clv run {path}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    heading = f"How {path.name} maps onto the contract, as clv inspect found it. Check it."
    heading += "".join(
        f"\nTo do: {refusal.sample}. Add it to {TO_DO[refusal.reason]}."
        for refusal in summary.refusals
        if refusal.reason in TO_DO
    )
    target.write_text(mapping_text(mapping, heading), encoding="utf-8")
    return target


def _settled(mapping: Mapping, style: Style) -> Mapping:
    """The mapping with the readings that were taken, so that tomorrow's file is read as today's."""
    first = style.formats[0] if style.formats else ""
    dates = {"%d-%m": "day first", "%m-%d": "month first"}.get(first[:5], "")
    update: dict[str, Any] = {"decimal": mapping.decimal or style.decimal, "dates": mapping.dates or dates}
    return mapping.model_copy(update=update)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, without: str = "") -> Rows:
    """The rows of a query, columns that are empty throughout left out where one is left out anyway."""
    result = connection.execute(sql)
    columns = [name for name, *_ in result.description or ()]
    rows = [["" if value is None else str(value) for value in row] for row in result.fetchall()]
    kept = [
        place
        for place, name in enumerate(columns)
        if not without or (name != without and any(row[place] for row in rows))
    ]
    return Rows(
        tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows)
    )
