"""Tables between Spark and this process: the team's Parquet files, and copies of bounded size."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from clv_ml.errors import InputError, WarehouseError
from clv_ml.operate.scores import ScoringResult, scoring_result, summary_query
from clv_ml.settings import Settings
from clv_ml.warehouse.input_contract import source_tables

RAW_TABLES = (
    "events",
    "id_history",
    "fx_rates",
    "attributes",
    "acquisition_costs",
    "quarantine",
    "refused_money",
    "admitted",
    "undone_events",
    "undone_attributes",
)
BUCKETS = 1_000_000


def summary_of(settings: Settings, spark: SparkSession, table: str) -> ScoringResult:
    """The summary of the scores in a table."""
    rows = spark.sql(summary_query(table, spark.table(table).columns)).collect()
    return scoring_result(settings, [tuple(row) for row in rows])


def name_raw_tables(spark: SparkSession, settings: Settings, folder: Path | str) -> tuple[str, ...]:
    """
    Lays the raw tables over a folder's Parquet files (``events.parquet``, or a folder of that name; likewise
    the others of ``RAW_TABLES``, which may be absent and are empty then, whatever an earlier folder had).
    Nothing is copied, and nothing is checked: a team that brings its own events answers for the input
    contract.

    Returns:
        The tables named.

    Raises:
        InputError: If there are no events.
    """
    schema = settings.vars.raw_schema
    found = {name: path for name in RAW_TABLES if (path := _parquet(Path(folder), name))}
    if "events" not in found:
        raise InputError(
            f"{folder} has no events.parquet. On Spark, events are Parquet in the input contract."
        )
    spark.sql(f"create database if not exists {schema}")
    _leave_earlier_folders(spark, schema)
    for name, path in found.items():
        spark.sql(f"drop table if exists {schema}.{name}")
        spark.sql(f"create table {schema}.{name} using parquet location '{path.resolve()}'")
    for table in source_tables():
        columns = ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        spark.sql(f"create table if not exists {schema}.{table['name']} ({columns}) using parquet")
    return tuple(found)


def _leave_earlier_folders(spark: SparkSession, schema: str) -> None:
    """Drops the raw tables that lie over files; the files stay, as does a table with rows of its own."""
    for table in spark.catalog.listTables(schema):
        if table.name in RAW_TABLES and table.tableType == "EXTERNAL":
            spark.sql(f"drop table {schema}.{table.name}")


def _parquet(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.parquet", folder / name) if path.exists()), None)


def read(spark: SparkSession, sql: str) -> pa.Table:
    """
    A whole result in this process.

    Raises:
        WarehouseError: If a table is absent.
    """
    try:
        return spark.sql(sql).toArrow()
    except AnalysisException as error:
        raise WarehouseError(f"Spark cannot read what it should ({error}). Build it first.") from error


def copy(
    spark: SparkSession, connection: duckdb.DuckDBPyConnection, table: str, queries: Iterable[str]
) -> int:
    """
    Writes the results of queries of one shape into a new table of the connection, one after the
    other: this process never holds more than one of them.

    Returns:
        Rows copied.
    """
    copied = 0
    connection.execute(f"drop table if exists {table}")
    for number, sql in enumerate(queries):
        rows = read(spark, sql)
        connection.register("rows_read", rows)
        start = f"create table {table} as" if number == 0 else f"insert into {table}"
        connection.execute(f"{start} select * from rows_read")
        connection.unregister("rows_read")
        copied += rows.num_rows
    return copied


def write(spark: SparkSession, schema: str, table: str, rows: pa.Table) -> None:
    """Replaces what stands in a table of the same columns."""
    frame = spark.createDataFrame(rows)
    wanted = spark.table(f"{schema}.{table}").schema
    columns = [frame[field.name].cast(field.dataType).alias(field.name) for field in wanted]
    frame.select(*columns).write.insertInto(f"{schema}.{table}", overwrite=True)


def in_sample(share: float) -> str:
    """The condition that holds for this share of the customers, the same on every date, order and engine."""
    if share >= 1:
        return "true"
    number = "cast(conv(substr(md5(customer_id), 1, 12), 16, 10) as bigint)"
    return f"{number} % {BUCKETS} < {round(share * BUCKETS)}"
