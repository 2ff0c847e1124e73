"""
Files -> raw.events, raw.id_history, raw.fx_rates, raw.attributes, and raw.quarantine for what is not fit.

Three steps, all but the file reading in SQL: the file is read as text (``feeds``), a preset maps its columns
onto the input contract (``presets``), and one check per table, the same for every preset, gives each row its
types and the first reason against it (``dbt_project/ingestion/<table>.sql``). Rows in = rows kept + rows
quarantined, a file fed twice changes nothing, and an error leaves no row.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from clv_ml.errors import InputError, WarehouseError
from clv_ml.ingest.feeds import SIDECAR_SUFFIX, Feed, read_feed, sql_text
from clv_ml.ingest.losses import USUAL, Limits, keep_refused, loss_warnings
from clv_ml.ingest.presets import Preset, load_preset
from clv_ml.warehouse.input_contract import contract
from clv_ml.warehouse.quoting import quoted_name

STEPS = {"events": ("typed_events", "judged_events")}
"""What the check of a table reads, made in this order by the statements of these names."""
SCRATCH_VIEWS = (
    "typed_events",
    "feed",
    "feed_texts",
    "known_events",
    "known_rates",
    "known_id_history",
    "known_attributes",
    "known_erased",
    "known_quarantine",
    "known_refused_money",
    "known_admitted",
)
SCRATCH_TABLES = (
    "feed_rows",
    "feed_rejects",
    "feed_reject_errors",
    "feed_reject_scans",
    "mapped",
    "judged_events",
    "checked",
    "rejected",
    "refused_money",
    "kept_keys",
    "kept_money",
    "ingest_settings",
)


@dataclass(frozen=True)
class IngestSummary:
    """
    What became of one file. Counts are rows; ``rows_in == rows_kept + rows_quarantined``.

    ``preset`` is the one that did the mapping (``events`` where ``simulator`` was asked for). ``rows_new``
    and ``rows_newly_quarantined`` are those that no earlier feed had brought. ``reasons`` counts the
    quarantined rows by reason, most frequent first.
    """

    path: Path
    preset: str
    table: str
    rows_in: int
    rows_kept: int
    rows_new: int
    rows_quarantined: int
    rows_newly_quarantined: int
    reasons: Mapping[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Settings:
    """
    What the checks need to know. ``ingested_at`` is naive UTC; ``source`` is stored with quarantined rows.
    """

    preset: str
    source: str
    event_id_rule: str | None
    reporting_currency: str
    ingested_at: datetime
    built_as_of: date | None
    header_lines: int
    number_attributes: tuple[str, ...]


def ingest(
    connection: duckdb.DuckDBPyConnection,
    preset: str,
    path: Path,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    now: datetime | None = None,
) -> IngestSummary:
    """
    Feed one file, in one transaction.

    Args:
        connection: Open, outside a transaction, to a database that has the raw tables (``dbt run`` creates
            them).

        preset: Name of a file in ``dbt_project/presets``, without ``.sql``.

        path: A ``.csv``, ``.csv.gz`` or ``.parquet`` file.

        reporting_currency: Three letters. Money in another currency needs a rate in ``fx_rates``.

        raw_schema: Where the raw tables are: a schema, or ``catalog.schema``.

        limits: What the project says of attributes, and of how much may be refused.

        now: The ingestion clock; later events are quarantined. Naive means UTC. Default: this instant.

    Raises:
        InputError: If the preset or the file cannot be used as such. Nothing was written.

        WarehouseError: If the raw tables are absent.
    """
    with _transaction(connection):
        return _ingest(connection, preset, Path(path), reporting_currency, raw_schema, limits, _utc(now))


def ingest_folder(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    preset: str,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    now: datetime | None = None,
) -> list[IngestSummary]:
    """
    Feed a folder's ``fx_rates*``, ``id_history*``, ``attributes*``, then ``events*`` files, in one
    transaction.

    Rates come first, so that money in their currencies is admitted. Within a kind, files go by name; the
    preset is that of the events. Other files are left alone. Arguments and errors are those of ``ingest``.
    """
    side_tables = ("fx_rates", "id_history", "attributes")
    kinds = (*((table, table) for table in side_tables), ("events", preset))
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check the path.")
    files = [
        (kind, file)
        for prefix, kind in kinds
        for file in sorted(folder.glob(f"{prefix}*"))
        if file.suffix != SIDECAR_SUFFIX
    ]
    if not any(file.name.startswith("events") for _, file in files):
        raise InputError(
            f"{folder} has no file whose name starts with 'events'. Rename the feed, or name it alone."
        )
    clock = _utc(now)
    with _transaction(connection):
        return [
            _ingest(connection, kind, file, reporting_currency, raw_schema, limits, clock)
            for kind, file in files
        ]


def newest_built_date(connection: duckdb.DuckDBPyConnection, schema: str = "main") -> date | None:
    """
    The newest ``as_of_date`` that features were built for, or None: what arrives now was not known then.
    """
    exists = connection.execute(
        "select count(*) from information_schema.tables "
        "where table_catalog = current_database() and table_schema = ? and table_name = 'customer_features'",
        [schema],
    ).fetchall()[0][0]
    if not exists:
        return None
    newest = connection.execute(f"select max(as_of_date) from {quoted_name(schema)}.customer_features")
    return newest.fetchall()[0][0]


def _known_from(built: date | None, clock: datetime) -> date | None:
    """
    The built date that what arrives now is too late for. A date beyond tomorrow was asked for by hand and
    holds no knowledge of the days until then; what is learnt now is not put off to it.
    """
    return built and min(built, clock.date() + timedelta(days=1))


def _ingest(
    connection: duckdb.DuckDBPyConnection,
    preset_name: str,
    path: Path,
    reporting_currency: str,
    raw_schema: str,
    limits: Limits,
    clock: datetime,
) -> IngestSummary:
    preset = load_preset(preset_name)
    feed = read_feed(connection, path)
    settings = _Settings(
        preset=preset.name,
        source=f"{preset.name}:{path.name}",
        event_id_rule=preset.event_id_rule,
        reporting_currency=reporting_currency.strip().upper(),
        ingested_at=clock,
        built_as_of=_known_from(newest_built_date(connection), clock),
        header_lines=feed.header_lines,
        number_attributes=limits.number_attributes,
    )
    _name_relations(connection, raw_schema, settings)
    _map(connection, preset, feed, path)
    for step in STEPS.get(preset.table, ()):
        connection.execute(sql_text(step))
    connection.execute(f"create or replace temp table checked as {sql_text(preset.table)}")
    connection.execute(f"create or replace temp table rejected as {sql_text('quarantine')}")
    keep_refused(connection, preset.table, _schema(raw_schema))
    new, newly_quarantined = _append(connection, preset.table, _schema(raw_schema))
    summary = _summary(connection, preset, path, feed, new, newly_quarantined)
    lost = loss_warnings(connection, path, limits.quarantine_share)
    _drop_scratch(connection)
    return replace(summary, warnings=summary.warnings + lost)


def _name_relations(connection: duckdb.DuckDBPyConnection, raw_schema: str, settings: _Settings) -> None:
    """Give the checks their relations under fixed names, so that their SQL needs no template."""
    values = {**vars(settings), "number_attributes": list(settings.number_attributes)}
    types = {
        "ingested_at": "timestamp",
        "built_as_of": "timestamp",
        "header_lines": "bigint",
        "number_attributes": "varchar[]",
    }
    columns = ", ".join(f"cast(${name} as {types.get(name, 'varchar')}) as {name}" for name in values)
    connection.execute(f"create or replace temp table ingest_settings as select {columns}", values)
    tables = {
        "known_events": "events",
        "known_rates": "fx_rates",
        "known_id_history": "id_history",
        "known_attributes": "attributes",
        "known_erased": "erased_customers",
        "known_quarantine": "quarantine",
        "known_refused_money": "refused_money",
        "known_admitted": "admitted",
    }
    for view, table in tables.items():
        try:
            connection.execute(
                f"create or replace temp view {view} as select * from {_schema(raw_schema)}.{table}"
            )
        except duckdb.CatalogException as error:
            raise WarehouseError(
                f"The warehouse has no table {raw_schema}.{table}. Create the input tables first: dbt run."
            ) from error
    connection.execute(sql_text("reading_text"))


def _map(connection: duckdb.DuckDBPyConnection, preset: Preset, feed: Feed, path: Path) -> None:
    """feed_rows -> mapped, one row each, in the contract's columns, still text."""
    if missing := preset.missing_from(feed.columns):
        raise InputError(
            f"{path} lacks {', '.join(missing)}, which preset {preset.name!r} requires. "
            f"It has: {', '.join(feed.columns)}. Rename its columns, choose another preset, or write one."
        )
    absent = "".join(
        f", cast(null as varchar) as {quoted_name(name)}" for name in preset.absent_from(feed.columns)
    )
    connection.execute(f"create or replace temp view feed as select *{absent} from feed_rows")
    fields = ", ".join(f"{quoted_name(name)} := {quoted_name(name)}" for name in feed.columns)
    connection.execute(
        "create or replace temp view feed_texts as "
        f"select feed_row, cast(to_json(struct_pack({fields})) as varchar) as raw_text from feed_rows"
    )
    columns = ", ".join(f"{name} varchar" for name in contract()[preset.table])
    connection.execute(f"create or replace temp table mapped (feed_row bigint, {columns})")
    try:
        connection.execute(f"insert into mapped by name\n{preset.sql}")
    except duckdb.Error as error:
        raise InputError(f"Preset {preset.name!r} cannot map {path}: {error}") from error
    lost = connection.execute(
        "select count(*) from (select feed_row from feed_rows) full join mapped using (feed_row) "
        "group by feed_row having count(*) <> 1 or count(mapped.rowid) = 0 limit 1"
    ).fetchall()
    if lost:
        raise InputError(
            f"Preset {preset.name!r} loses or repeats rows of {path}: it must select each feed_row once."
        )


def _append(connection: duckdb.DuckDBPyConnection, table: str, schema: str) -> tuple[int, int]:
    """Insert what is new. Returns (rows into the table, rows into the quarantine)."""
    kept = connection.execute(
        f"insert into {schema}.{table} by name "
        "select * exclude (feed_row, reason, is_new) from checked where is_new order by feed_row"
    ).fetchall()
    quarantined = connection.execute(
        f"insert into {schema}.quarantine by name select * exclude (feed_row) from rejected "
        f"where quarantine_id not in (select quarantine_id from {schema}.quarantine) "
        "order by line_number, quarantine_id"
    ).fetchall()
    return kept[0][0], quarantined[0][0]


def _late(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """New events that are too late for the newest built date, which they happened before."""
    if table != "events":
        return 0
    return connection.execute(
        "select count(*) from checked, ingest_settings "
        "where is_new and occurred_at < built_as_of and recorded_at >= built_as_of"
    ).fetchall()[0][0]


def _summary(
    connection: duckdb.DuckDBPyConnection,
    preset: Preset,
    path: Path,
    feed: Feed,
    new: int,
    newly_quarantined: int,
) -> IngestSummary:
    rows_in, kept = connection.execute(
        "select (select count(*) from feed_rows) + (select count(*) from feed_rejects), "
        "(select count(*) from checked where reason is null)"
    ).fetchall()[0]
    reasons = dict(
        connection.execute(
            "select reason, count(*) from rejected group by reason order by 2 desc, 1"
        ).fetchall()
    )
    quarantined = sum(reasons.values())
    if rows_in != kept + quarantined:
        raise InputError(
            f"{path}: {rows_in} rows in, but {kept} kept and {quarantined} quarantined. Please report it."
        )
    warnings = feed.warnings
    if "no_fx_rate" in reasons:
        ((currency,),) = connection.execute(
            "select currency from checked where reason = 'no_fx_rate' group by all order by count(*) desc, 1 "
            "limit 1"
        ).fetchall()
        warnings += (
            f"{reasons['no_fx_rate']} rows of {path} are in a currency without a rate, most of them in "
            f"{currency}. Load rates (preset fx_rates) and feed the file again, or, if the shop counts in "
            f"it, --vars '{{reporting_currency: {currency}}}'.",
        )
    if rows_in and not kept:
        commas = (
            " A decimal comma is no number here: see docs/how-to/own-data.md."
            if "invalid_amount" in reasons
            else ""
        )
        warnings += (
            f"No row of {path} was kept, most often because of {next(iter(reasons))}. Look at raw_text in "
            f"raw.quarantine, and check the preset.{commas}",
        )
    if late := _late(connection, preset.table):
        warnings += (
            f"{late:,} new rows of {path} happened before the newest date that features were built for. "
            "What was known on that date stays as it was, so they count from the next date on (see "
            "recorded_at in docs/reference/feeds.md).",
        )
    return IngestSummary(
        path, preset.name, preset.table, rows_in, kept, new, quarantined, newly_quarantined, reasons, warnings
    )


def _drop_scratch(connection: duckdb.DuckDBPyConnection) -> None:
    for view in SCRATCH_VIEWS:
        connection.execute(f"drop view if exists temp.{view}")
    for table in SCRATCH_TABLES:
        connection.execute(f"drop table if exists temp.{table}")


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing, the temporary tables included."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _utc(moment: datetime | None) -> datetime:
    """Naive UTC. A naive moment is UTC already."""
    aware = moment or datetime.now(UTC)
    return aware.astimezone(UTC).replace(tzinfo=None) if aware.tzinfo else aware


def _schema(name: str) -> str:
    """A schema, or catalog.schema, as SQL."""
    return ".".join(quoted_name(part) for part in name.split("."))
