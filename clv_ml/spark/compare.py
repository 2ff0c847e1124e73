"""
``clv compare-engines``: builds on Spark, from the same raw events and with the same model, what stands in the DuckDB
warehouse, and compares every feature, label, score and driver cell by cell.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession

from clv_ml.pipeline import Step, no_steps
from clv_ml.settings import Settings
from clv_ml.spark import pipeline, tables
from clv_ml.spark.session import SparkPlaces, open_session
from clv_ml.warehouse import connect

KEYS = {
    "as_of_dates": ("as_of_date",),
    "fitted_dates": ("as_of_date",),
    "shop_seasons": ("as_of_date",),
    "shop_levels": ("as_of_date",),
    "customer_rfm": ("customer_id", "as_of_date"),
    "customer_intervals": ("customer_id", "as_of_date"),
    "customer_engagement": ("customer_id", "as_of_date"),
    "customer_seasonality": ("customer_id", "as_of_date"),
    "customer_categories": ("customer_id", "as_of_date"),
    "customer_behavior": ("customer_id", "as_of_date"),
    "customer_features": ("customer_id", "as_of_date"),
    "customer_baselines": ("customer_id", "as_of_date"),
    "customer_anchors": ("customer_id", "as_of_date"),
    "customer_labels": ("customer_id", "as_of_date"),
    "training_rows": ("customer_id", "as_of_date"),
    "customer_predictions": ("customer_id", "as_of_date", "model_version"),
    "customer_drivers": ("customer_id", "as_of_date", "model_version", "driver_name"),
    "customer_clv": ("customer_id", "as_of_date"),
    "segment_value": ("segmentation", "segment"),
}
"""The tables compared, and what tells their rows apart."""
NOT_COMPARED = {"scored_at"}
NEAR = {"contribution", "driver_base", "driver_rest"} | {f"driver_{n}_contribution" for n in (1, 2, 3)}
"""Money in drivers: equal within TOLERANCE x max(1, |prediction|). Everything else must be the same, bit for bit."""
TOLERANCE = 1e-9


@dataclass(frozen=True)
class TableComparison:
    """
    One table on both engines.

    ``rows`` stand in both, ``only_duckdb`` and ``only_spark`` in one; ``differing`` counts unequal cells by column, where
    there are any. ``cells`` is rows x compared columns.
    """

    table: str
    rows: int
    columns: int
    only_duckdb: int
    only_spark: int
    differing: dict[str, int]

    @property
    def cells(self) -> int:
        """Cells compared."""
        return self.rows * self.columns

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.only_duckdb or self.only_spark or self.differing)


def compare_engines(settings: Settings, on_step: Step = no_steps) -> list[TableComparison]:
    """
    Compares the warehouse of the settings, which must be built, with what Spark makes of its raw tables.

    Dates that only one side holds (earlier scoring dates of the warehouse) are left out. The Spark tables of an earlier
    comparison are dropped first.

    Raises:
        WarehouseError: If there is no warehouse, or Spark does not start.
    """
    on_step("copy the raw tables")
    with tempfile.TemporaryDirectory(prefix="clv-compare-") as folder:
        export_raw(settings, Path(folder))
        spark = open_session(settings)
        schema = SparkPlaces().schema_name
        spark.sql(f"drop database if exists {schema} cascade")
        on_spark = settings.model_copy(update={"target": "spark"})
        tables.name_raw_tables(spark, on_spark, Path(folder))
        on_step("build on Spark")
        pipeline.build_features(on_spark)
        on_step("score on Spark")
        pipeline.score(on_spark)
        on_step("compare")
        return compare_tables(settings, spark, schema)


def export_raw(settings: Settings, folder: Path) -> None:
    """Writes the warehouse's raw tables as Parquet, one file each."""
    with connect(settings) as connection:
        for table in tables.RAW_TABLES:
            connection.execute(
                f"copy (select * from {settings.vars.raw_schema}.{table}) to '{folder / table}.parquet' (format parquet)"
            )


def compare_tables(settings: Settings, spark: SparkSession, schema: str) -> list[TableComparison]:
    """Every table of KEYS, as it stands on both engines."""
    with connect(settings) as connection:
        connection.register("spark_dates", tables.read(spark, f"select as_of_date from {schema}.as_of_dates"))
        connection.execute(
            "create temp table common_dates as "
            "select as_of_date from as_of_dates inner join spark_dates using (as_of_date)"
        )
        found = []
        for table in KEYS:
            connection.register("on_spark", tables.read(spark, f"select * from {schema}.{table}"))
            found.append(_compare(connection, table))
            connection.unregister("on_spark")
        return found


def _compare(connection: duckdb.DuckDBPyConnection, table: str) -> TableComparison:
    keys = KEYS[table]
    here, there = (
        [row[0] for row in connection.execute(f"describe {name}").fetchall()] for name in (table, "on_spark")
    )
    columns = [name for name in here if name in there and name not in (*keys, *NOT_COMPARED)]
    missing = [name for name in here if name not in there and name not in NOT_COMPARED]
    dated = "as_of_date in (select as_of_date from common_dates)"
    scale = "1"
    if table == "customer_clv":
        scale = "coalesce(abs(d.clv_predicted), 0)"
    elif table == "customer_drivers":
        scale = (
            "(select coalesce(max(abs(p.clv_predicted)), 0) from customer_predictions as p where "
            "p.customer_id = d.customer_id and p.as_of_date = d.as_of_date and p.model_version = d.model_version)"
        )
    differs = [
        f"count(*) filter (where both_sides and {_differs(name, scale)}) as {name}" for name in columns
    ]
    joined = " and ".join(f"d.{key} is not distinct from s.{key}" for key in keys)
    counts = ", ".join(["count(*) filter (where both_sides)", "count(*) filter (where s.here is null)"])
    row = connection.execute(
        f"select {counts}, count(*) filter (where d.here is null), {', '.join(differs)} from "
        f"(select *, 1 as here from {table} where {dated}) as d full join "
        f"(select *, 1 as here from on_spark where {dated}) as s on {joined} "
        "cross join lateral (select d.here is not null and s.here is not null as both_sides) as matched"
    ).fetchall()[0]
    rows, only_duckdb, only_spark = row[:3]
    differing = {name: count for name, count in zip(columns, row[3:], strict=True) if count}
    differing |= dict.fromkeys(missing, rows)
    return TableComparison(table, rows, len(columns), only_duckdb, only_spark, differing)


def _differs(column: str, scale: str) -> str:
    if column in NEAR:
        near = f"abs(d.{column} - s.{column}) <= {TOLERANCE} * greatest(1, {scale})"
        return f"not coalesce({near}, d.{column} is null and s.{column} is null)"
    return f"d.{column} is distinct from s.{column}"
