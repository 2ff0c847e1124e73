"""
Files -> raw.events, raw.id_history, raw.fx_rates, raw.attributes, and raw.quarantine for what is not fit.

Three steps, all but the file reading in SQL: the file is read as text (``feeds``), a preset maps its columns
onto the input contract (``presets``), and one check per table, the same for every preset, gives each row its
types and the first reason against it (``dbt_project/ingestion/<table>.sql``). Rows in = rows kept + rows
skipped + rows quarantined, a file fed twice changes nothing, and an error leaves no row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from clv_ml.errors import InputError, OtherCurrencyError
from clv_ml.ingest.built_dates import as_utc, known_from, newest_built_date
from clv_ml.ingest.choice import Choice, as_choice
from clv_ml.ingest.feed_records import keep_feed, name_of_feed
from clv_ml.ingest.feeds import sql_text
from clv_ml.ingest.files import SIDECAR_SUFFIX, require_inside
from clv_ml.ingest.layouts import preset_of, read_by
from clv_ml.ingest.lookups import grouped, with_lookups
from clv_ml.ingest.losses import USUAL, Limits, keep_refused, loss_warnings
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.scratch import (
    CheckSettings,
    append,
    create_reading_macros,
    create_shop_macros,
    drop_scratch,
    known_orders_with_more,
    map_feed,
    name_inputs,
    refuse_circles,
    restate,
    schema_sql,
    store_settings,
)
from clv_ml.ingest.summary import IngestSummary, summary
from clv_ml.warehouse.connection import transaction
from clv_ml.warehouse.earlier_tables import add_columns

STEPS = {"events": ("typed_events", "judged_events")}
"""What the check of a table reads, made in this order by the statements of these names."""
SIDE_TABLES = ("fx_rates", "id_history", "attributes")


@dataclass(frozen=True)
class _Rules:
    """
    What holds for all files of one call. ``clock`` is naive UTC; times without a zone are in ``timezone``.
    """

    reporting_currency: str
    raw_schema: str
    timezone: str
    clock: datetime
    is_currency_open: bool = False
    limits: Limits = USUAL


def ingest(
    connection: duckdb.DuckDBPyConnection,
    choice: str | Choice,
    path: Path,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    beside: tuple[Path, ...] = (),
) -> IngestSummary:
    """
    Feed one file, in one transaction.

    Args:
        connection: Open, outside a transaction, to a database that has the raw tables (``dbt run`` makes
            them).

        choice: What the file is read by: the name of a preset, or more; an empty name: its columns tell.

        path: A delimited text, workbook or Parquet file.

        reporting_currency: Three letters. Money in another currency needs a rate in ``fx_rates``.

        raw_schema: Where the raw tables are: a schema, or ``catalog.schema``.

        limits: What the project says of attributes, and of how much may be refused.

        timezone: IANA name of the zone of times that bear none.

        now: The ingestion clock; later events are quarantined. Naive means UTC. Default: this instant.

        beside: Files in which the mapping looks up what the file lacks.

    Raises:
        InputError: If the preset or the file cannot be used as such. Nothing was written.

        WarehouseError: If the raw tables are absent.
    """
    rules = _Rules(reporting_currency, raw_schema, timezone, as_utc(now), limits=limits)
    with transaction(connection):
        return _ingest(connection, as_choice(choice), Path(path), rules, beside)


def ingest_together(
    connection: duckdb.DuckDBPyConnection,
    choice: str | Choice,
    paths: tuple[Path, ...],
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    is_currency_open: bool = False,
) -> list[IngestSummary]:
    """
    Feed several files in one transaction; one that looks things up in others is fed with them as one.

    Arguments and errors are those of ``ingest``. ``is_currency_open``: nobody has named the shop's currency;
    an OtherCurrencyError says that the first money of all is in another one.
    """
    choice = as_choice(choice)
    rules = _Rules(reporting_currency, raw_schema, timezone, as_utc(now), is_currency_open, limits)
    return _feed_all(connection, rules, [(choice, *group) for group in grouped(paths, choice)])


def ingest_folder(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    choice: str | Choice,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    is_currency_open: bool = False,
) -> list[IngestSummary]:
    """
    Feed a folder's ``fx_rates*``, ``id_history*``, ``attributes*``, then ``events*`` files, in one
    transaction.

    Rates come first, so that money in their currencies is admitted. Within a kind, files go by name; the
    preset is that of the events. Other files are left alone. Arguments and errors are those of ``ingest``.
    """
    kinds = (*((table, Choice(table)) for table in SIDE_TABLES), ("events", as_choice(choice)))
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check the path.")
    files = [
        (kind, file, ())
        for prefix, kind in kinds
        for file in sorted(folder.glob(f"{prefix}*"))
        if file.suffix != SIDECAR_SUFFIX
    ]
    if not any(file.name.startswith("events") for _, file, _ in files):
        raise InputError(
            f"{folder} has no file whose name starts with 'events'. Rename the feed, or name it alone."
        )
    for _, file, _ in files:
        require_inside(file, folder)
    rules = _Rules(reporting_currency, raw_schema, timezone, as_utc(now), is_currency_open, limits)
    return _feed_all(connection, rules, files)


def _feed_all(
    connection: duckdb.DuckDBPyConnection,
    rules: _Rules,
    files: Sequence[tuple[Choice, Path, tuple[Path, ...]]],
) -> list[IngestSummary]:
    """Feeds files, each with what it is read by and the files beside it, in one transaction."""
    with transaction(connection):
        fed = [_ingest(connection, choice, path, rules, beside) for choice, path, beside in files]
        _require_own_currency(connection, rules, fed)
    return fed


def _require_own_currency(
    connection: duckdb.DuckDBPyConnection, rules: _Rules, fed: list[IngestSummary]
) -> None:
    """
    Refuses the first money of all where it is in one other currency than the shop's, which nobody has named.
    """
    others = sorted({currency for summary in fed for currency in summary.currencies_without_rate})
    if not rules.is_currency_open or len(others) != 1:
        return
    has_money = connection.execute(
        f"select 1 from {schema_sql(rules.raw_schema)}.events where amount is not null limit 1"
    ).fetchall()
    if not has_money:
        raise OtherCurrencyError(
            others[0],
            f"All money of {fed[-1].path} is in {others[0]}, and the shop counts in "
            f"{rules.reporting_currency}. Name its currency: --vars '{{reporting_currency: {others[0]}}}'.",
        )


def _ingest(
    connection: duckdb.DuckDBPyConnection,
    choice: Choice,
    path: Path,
    rules: _Rules,
    beside: tuple[Path, ...] = (),
) -> IngestSummary:
    feed, name, layout = read_by(connection, choice, path)
    schema = schema_sql(rules.raw_schema)
    add_columns(connection, schema)
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
