"""
One file -> the raw tables, all but the file reading in SQL.

The file is read as text (``feeds``), a preset maps its columns onto the input contract (``presets``), and one
check per table, the same for every preset, gives each row its types and the first reason against it
(``dbt_project/ingestion/<table>.sql``). Rows in = rows kept + rows skipped + rows quarantined.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from clv_ml.ingest.built_dates import known_from, newest_built_date
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.feed_records import keep_feed, name_of_feed
from clv_ml.ingest.feeds import sql_text
from clv_ml.ingest.known_orders import known_orders_with_more, restate
from clv_ml.ingest.layouts import preset_of, read_by
from clv_ml.ingest.lookups import with_lookups
from clv_ml.ingest.losses import USUAL, Limits, keep_refused, loss_warnings
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.scratch import (
    CheckSettings,
    append,
    create_reading_macros,
    create_shop_macros,
    drop_scratch,
    map_feed,
    name_inputs,
    refuse_circles,
    schema_sql,
    store_settings,
)
from clv_ml.ingest.summary import IngestSummary, summary

STEPS = {"events": ("typed_events", "judged_events")}
"""What the check of a table reads, made in this order by the statements of these names."""


@dataclass(frozen=True)
class Rules:
    """
    What holds for all files of one call. ``clock`` is naive UTC; times without a zone are in ``timezone``.
    """

    reporting_currency: str
    raw_schema: str
    timezone: str
    clock: datetime
    is_currency_open: bool = False
    limits: Limits = USUAL


def ingest_file(
    connection: duckdb.DuckDBPyConnection,
    choice: Choice,
    path: Path,
    rules: Rules,
    beside: tuple[Path, ...] = (),
) -> IngestSummary:
    """Feeds one file with those beside it, inside a transaction."""
    feed, name, layout = read_by(connection, choice, path)
    schema = schema_sql(rules.raw_schema)
    name_inputs(connection, rules.raw_schema)
    own_zone = layout.timezone if isinstance(layout, Mapping) else ""
    create_reading_macros(connection, own_zone or rules.timezone)
    if isinstance(layout, Mapping):
        create_shop_macros(connection)
        if layout.lookups:
            feed = with_lookups(connection, layout, feed, path, beside)
    preset, notes = preset_of(connection, name, layout, feed, rules.reporting_currency.strip().upper())
    settings = CheckSettings(
        preset=preset.name,
        id_space=preset.id_space or preset.name,
        source=f"{preset.name}:{path.name}",
        event_id_rule=preset.event_id_rule,
        reporting_currency=rules.reporting_currency.strip().upper(),
        ingested_at=rules.clock,
        built_as_of=known_from(newest_built_date(connection), rules.clock),
        header_lines=feed.header_lines,
        number_attributes=rules.limits.number_attributes,
    )
    store_settings(connection, settings)
    map_feed(connection, preset, feed, path)
    for step in STEPS.get(preset.table, ()):
        connection.execute(sql_text(step))
    connection.execute(f"create or replace temp table checked as {sql_text(preset.table)}")
    if preset.table == "id_history":
        refuse_circles(connection)
    connection.execute(f"create or replace temp table rejected as {sql_text('quarantine')}")
    warnings: tuple[str, ...] = ()
    if preset.is_restated:
        notes += restate(connection)
    elif preset.table == "events":
        warnings = known_orders_with_more(connection, path)
    feed_id = name_of_feed(connection, schema, path.name)
    keep_refused(connection, preset.table, schema, feed_id)
    added, newly_quarantined = append(connection, preset.table, schema, feed_id, preset.is_restated)
    if added or newly_quarantined:
        keep_feed(connection, schema, feed_id, preset, rules.clock, added)
    result = summary(connection, preset, path, feed, newly_quarantined, (*feed.notes, *notes), layout)
    lost = loss_warnings(connection, path, rules.limits.quarantine_share, result.refusals)
    drop_scratch(connection)
    return replace(result, warnings=result.warnings + warnings + lost)
