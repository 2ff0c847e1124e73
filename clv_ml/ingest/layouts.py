"""
What a file is read by, once it is known: its rows, its mapping or preset, and that as SQL for this file.
"""

from dataclasses import replace
from pathlib import Path

import duckdb

from clv_ml.ingest.choice import Choice, chosen, left_alone
from clv_ml.ingest.evidence import style_of
from clv_ml.ingest.feeds import Feed, read_feed
from clv_ml.ingest.mapped_values import Style
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.mapping_sql import as_preset, missing_columns
from clv_ml.ingest.plain_text import Reading
from clv_ml.ingest.presets import Preset


def read_by(
    connection: duckdb.DuckDBPyConnection, choice: Choice, path: Path
) -> tuple[Feed, str, Mapping | Preset]:
    """The file in feed_rows, and what it is read by; once more where that says how to read it."""
    feed = read_feed(connection, path, choice.reading)
    name, layout = chosen(choice, feed.columns, path)
    if isinstance(layout, Mapping) and layout.reading not in (choice.reading, Reading()):
        feed = read_feed(connection, path, layout.reading)
    return replace(feed, warnings=(*feed.warnings, *left_alone(choice))), name, layout


def preset_of(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    layout: Mapping | Preset,
    feed: Feed,
    reporting_currency: str,
) -> tuple[Preset, tuple[str, ...]]:
    """The layout as SQL for this file, and what was taken where the file writes it in its own way."""
    if isinstance(layout, Preset):
        return layout, ()
    connection.execute("create or replace temp view feed as select * from feed_rows")
    if missing_columns(layout, feed.columns):
        return as_preset(layout, name, feed.columns, Style()), ()
    taken = style_of(connection, layout, feed.columns, reporting_currency)
    return as_preset(layout, name, feed.columns, taken.style), tuple(taken.notes)
