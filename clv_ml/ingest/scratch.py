"""The temporary tables between a file and the raw tables, and the statements that fill them."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytz

from clv_ml.errors import InputError, WarehouseError
from clv_ml.ingest.feeds import Feed, sql_text
from clv_ml.ingest.presets import Preset, same_column
from clv_ml.warehouse.input_contract import contract
from clv_ml.warehouse.quoting import quoted_name, quoted_text
from clv_ml.wording import names_of

SCRATCH_VIEWS = (
    "typed_events",
    "feed",
    "feed_texts",
    "known_events",
    "known_rates",
    "known_id_history",
    "known_attributes",
    "known_undone_events",
    "known_undone_attributes",
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
    "restated",
    "ingest_settings",
)


@dataclass(frozen=True)
class CheckSettings:
    """
    What the checks need to know. ``ingested_at`` is naive UTC; ``source`` is stored with quarantined rows;
    derived event ids are one's own within ``id_space``.
    """

    preset: str
    id_space: str
    source: str
    event_id_rule: str | None
    reporting_currency: str
    ingested_at: datetime
    built_as_of: date | None
    header_lines: int
    number_attributes: tuple[str, ...]


def create_reading_macros(connection: duckdb.DuckDBPyConnection, timezone: str) -> None:
    """
    How text becomes a value, with the zone of times that bear none.

    Raises:
        InputError: If there is no such zone. DuckDB knows more: by letters, and takes BST for Dhaka's clock.
    """
    if timezone not in pytz.all_timezones_set:
        raise InputError(
            f"There is no time zone {timezone!r}. Write one of the IANA list, such as Europe/Berlin."
        )
    zoned = (
        "moment" if timezone == "UTC" else f"(moment at time zone {quoted_text(timezone)}) at time zone 'UTC'"
    )
    connection.execute(f"create or replace temp macro in_utc(moment) as {zoned}")
    connection.execute(f"create or replace temp macro feed_zone() as {quoted_text(timezone)}")
    for name in ("reading_text", "reading_numbers", "reading_ids"):
        connection.execute(sql_text(name))


def create_shop_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """How numbers and times as shops write them become plain text; after ``create_reading_macros``."""
    for name in ("reading_shop_numbers", "reading_shop_times", "reading_month_names", "reading_totals"):
        connection.execute(sql_text(name))


def name_inputs(connection: duckdb.DuckDBPyConnection, raw_schema: str) -> None:
    """
    Give the checks the raw tables under fixed names, so that their SQL needs no template, and what can be
    converted.
    """
    tables = {
        "known_events": "events",
        "known_rates": "fx_rates",
        "known_id_history": "id_history",
        "known_attributes": "attributes",
        "known_acquisition_costs": "acquisition_costs",
        "known_undone_events": "undone_events",
        "known_undone_attributes": "undone_attributes",
        "known_erased": "erased_customers",
        "known_quarantine": "quarantine",
        "known_refused_money": "refused_money",
        "known_admitted": "admitted",
    }
    for view, table in tables.items():
        try:
            connection.execute(
                f"create or replace temp view {view} as select * from {schema_sql(raw_schema)}.{table}"
            )
        except duckdb.CatalogException as error:
            raise WarehouseError(
                f"The warehouse has no table {raw_schema}.{table}. Create the input tables first: dbt run."
            ) from error
    connection.execute(sql_text("rated_currencies"))


def store_settings(connection: duckdb.DuckDBPyConnection, settings: CheckSettings) -> None:
    """The settings as a table of one row."""
    values = {**vars(settings), "number_attributes": list(settings.number_attributes)}
    types = {
        "ingested_at": "timestamp",
        "built_as_of": "timestamp",
        "header_lines": "bigint",
        "number_attributes": "varchar[]",
    }
    columns = ", ".join(f"cast(${name} as {types.get(name, 'varchar')}) as {name}" for name in values)
    connection.execute(f"create or replace temp table ingest_settings as select {columns}", values)


def map_feed(connection: duckdb.DuckDBPyConnection, preset: Preset, feed: Feed, path: Path) -> None:
    """
    feed_rows -> mapped, in the contract's columns, still text: the events of each row, or why it is none.
    """
    create_feed_view(connection, preset.declared(), feed, path)
    if missing := preset.missing_from(feed.columns):
        raise InputError(
            f"{path} lacks {', '.join(missing)}, which preset {preset.name!r} requires. "
            f"It has: {names_of(feed.columns)}. Rename its columns, choose another preset, or write one."
        )
    fields = ", ".join(f"{quoted_name(name)} := {quoted_name(name)}" for name in feed.columns)
    connection.execute(
        "create or replace temp view feed_texts as "
        f"select feed_row, cast(to_json(struct_pack({fields})) as varchar) as raw_text from feed_rows"
    )
    columns = ", ".join(f"{name} varchar" for name in contract()[preset.table])
    connection.execute(
        "create or replace temp table mapped "
        f"(feed_row bigint, part integer default 1, skip varchar, fault varchar, {columns})"
    )
    try:
        connection.execute(f"insert into mapped by name\n{preset.sql}")
    except duckdb.Error as error:
        raise InputError(f"Preset {preset.name!r} cannot map {path}: {error}") from error
    lost = connection.execute(
        "select count(*) from (select feed_row from feed_rows) full join mapped using (feed_row) "
        "group by feed_row having count(mapped.rowid) = 0 or count(distinct part) < count(*) "
        "or feed_row not in (select feed_row from feed_rows) limit 1"
    ).fetchall()
    if lost:
        raise InputError(
            f"Preset {preset.name!r} loses or repeats rows of {path}: it must select each feed_row, once "
            "for each part."
        )


def create_feed_view(
    connection: duckdb.DuckDBPyConnection, declared: tuple[str, ...], feed: Feed, path: Path
) -> None:
    """
    The view ``feed``: the file's columns, and what was declared under the declared names, NULL where it is
    not there.
    """
    present = {column.lower() for column in feed.columns}
    repeated = {column.lower() for column in feed.repeated}
    added = []
    for name in dict.fromkeys(declared):
        column = same_column(name, feed.columns)
        if column and column.lower() in repeated:
            spelt = ", ".join(each for each in feed.repeated if each.lower() == column.lower())
            raise InputError(
                f"{path} names a column twice: {spelt}, which is needed. Rename or remove one of them."
            )
        if name.lower() not in present:
            present.add(name.lower())
            added.append(
                f", {quoted_name(column) if column else 'cast(null as varchar)'} as {quoted_name(name)}"
            )
    connection.execute(f"create or replace temp view feed as select *{''.join(added)} from feed_rows")


def refuse_circles(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse merges that lead back to where they began, until none does: one refused may uncover another."""
    refuse = (
        "update checked set reason = 'circular_merge', is_new = false "
        f"where feed_row in ({sql_text('circular_merges')})"
    )
    while connection.execute(refuse).fetchall()[0][0]:
        pass


def append(
    connection: duckdb.DuckDBPyConnection, table: str, schema: str, feed_id: str, is_restated: bool = False
) -> tuple[int, int]:
    """Insert what is new, as this feed's. Returns the rows new to the table and to the quarantine."""
    statements = [
        f"insert into {schema}.{table} by name select * exclude (feed_row, reason, is_new), $feed as feed_id "
        "from checked where is_new order by feed_row",
        f"insert into {schema}.quarantine by name select * exclude (feed_row), $feed as feed_id "
        f"from rejected where quarantine_id not in (select quarantine_id from {schema}.quarantine) "
        "order by line_number, quarantine_id",
    ]
    if is_restated:
        statements.append(
            f"insert into {schema}.{table} by name select *, $feed as feed_id from restated order by order_id"
        )
    added, quarantined, *differences = (
        connection.execute(statement, {"feed": feed_id}).fetchall()[0][0] for statement in statements
    )
    return added + sum(differences), quarantined


def drop_scratch(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave nothing behind."""
    for view in SCRATCH_VIEWS:
        connection.execute(f"drop view if exists temp.{view}")
    for table in SCRATCH_TABLES:
        connection.execute(f"drop table if exists temp.{table}")


def schema_sql(name: str) -> str:
    """A schema, or catalog.schema, as SQL."""
    return ".".join(quoted_name(part) for part in name.split("."))
