"""``clv compare-engines``: builds every model on Spark and compares it with DuckDB's, cell by cell."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession

from clv_ml.engines import Engine
from clv_ml.errors import SettingsError
from clv_ml.learn.btyd_functions import register_functions
from clv_ml.operate.steps import Step, no_steps
from clv_ml.settings import Settings, models_of
from clv_ml.spark import tables
from clv_ml.spark.engine import Spark
from clv_ml.spark.session import SparkPlaces, open_session
from clv_ml.warehouse.connection import connect, only_value
from clv_ml.warehouse.model_keys import declared_keys

NOT_COMPARED = frozenset({"scored_at"})
TREND = frozenset(
    {
        "previous_as_of_date",
        "previous_predicted",
        "compared_count",
        "compared_total",
        "compared_total_before",
        "trend",
        "is_other_model",
    }
)
"""What a mart says of earlier scoring dates, which Spark, starting afresh, does not know."""
NEAR = {"contribution", "driver_base", "driver_rest"} | {f"driver_{n}_contribution" for n in (1, 2, 3)}
"""Money in drivers: equal within TOLERANCE x max(1, |prediction|). All else must be the same bits."""
TOLERANCE = 1e-9


@dataclass(frozen=True)
class TableComparison:
    """
    One table on both engines.

    ``rows`` stand in both, ``only_duckdb`` and ``only_spark`` in one; ``differing`` counts unequal cells by
    column, where there are any. ``cells`` is rows x compared columns.
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
    Dates that only one side holds are left out. The Spark tables of an earlier comparison are dropped
    first.

    Raises:
        WarehouseError: If there is no warehouse, or Spark does not start.
        SettingsError: If a model declares no key to compare its rows by.
    """
    keys = keys_of(settings.project)
    on_step("copy the raw tables")
    with tempfile.TemporaryDirectory(prefix="clv-compare-") as folder:
        export_raw(settings, Path(folder))
        spark = open_session(settings)
        schema = SparkPlaces().schema_name
        spark.sql(f"drop database if exists {schema} cascade")
        on_spark = settings.model_copy(update={"target": "spark"})
        tables.name_raw_tables(spark, on_spark, Path(folder))
        engine: Engine = Spark(on_spark)
        on_step("build on Spark")
        engine.build_features()
        on_step("score on Spark")
        engine.score()
        on_step("compare")
        return compare_tables(settings, spark, schema, keys)


def export_raw(settings: Settings, folder: Path) -> None:
    """Writes the warehouse's raw tables as Parquet, one file each."""
    with connect(settings) as connection:
        for table in tables.RAW_TABLES:
            connection.execute(
                f"copy (select * from {settings.vars.raw_schema}.{table}) to '{folder / table}.parquet' "
                "(format parquet)"
            )


def keys_of(project: Path) -> dict[str, tuple[str, ...]]:
    """
    What tells the rows of each model apart. Every SQL file of the project is in it, so that no new model is
    forgotten.

    Raises:
        SettingsError: If a model has none.
    """
    described = {name: key.columns for name, key in declared_keys(project).items()}
    models = sorted(path.stem for path in models_of(project).rglob("*.sql"))
    if missing := [model for model in models if not described.get(model)]:
        raise SettingsError(
            f"{', '.join(missing)} cannot be compared without a key. Declare one in the model's YAML: "
            "primary_key, or the test unique_key or unique."
        )
    return {model: described[model] for model in models}


def compare_tables(
    settings: Settings, spark: SparkSession, schema: str, keys: dict[str, tuple[str, ...]]
) -> list[TableComparison]:
    """Every table of ``keys``, as it stands on both engines."""
    with connect(settings) as connection:
        # views of formulas call them
        register_functions(connection)
        connection.register("spark_dates", tables.read(spark, f"select as_of_date from {schema}.as_of_dates"))
        connection.execute(
            "create temp table common_dates as "
            "select as_of_date from as_of_dates inner join spark_dates using (as_of_date)"
        )
        scored_dates = only_value(connection, "select count(distinct as_of_date) from customer_predictions")
        skipped = NOT_COMPARED | (TREND if scored_dates > 1 else frozenset())
        found = []
        for table, key in keys.items():
            connection.register("on_spark", tables.read(spark, f"select * from {schema}.{table}"))
            found.append(_compare(connection, table, key, skipped))
            connection.unregister("on_spark")
        return found


def _compare(
    connection: duckdb.DuckDBPyConnection, table: str, keys: tuple[str, ...], skipped: frozenset[str]
) -> TableComparison:
    here, there = (
        [row[0] for row in connection.execute(f"describe {name}").fetchall()] for name in (table, "on_spark")
    )
    columns = [name for name in here if name in there and name not in (*keys, *skipped)]
    missing = set(here) ^ set(there)
    dated = "as_of_date in (select as_of_date from common_dates)" if "as_of_date" in here else "true"
    scale = "1"
    if table == "customer_clv":
        scale = "coalesce(abs(d.clv_predicted), 0)"
    elif table in ("customer_drivers", "customer_top_drivers"):
        scale = (
            "(select coalesce(max(abs(p.clv_predicted)), 0) from "
            "customer_predictions as p where p.customer_id = d.customer_id and "
            "p.as_of_date = d.as_of_date and p.model_version = d.model_version)"
        )
    differs = [
        f"count(*) filter (where both_sides and {_differs(name, scale)}) as {name}" for name in columns
    ]
    joined = " and ".join(f"d.{key} is not distinct from s.{key}" for key in keys)
    counts = [
        f"count(*) filter (where {side})" for side in ("both_sides", "s.here is null", "d.here is null")
    ]
    row = connection.execute(
        f"select {', '.join(counts + differs)} from "
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
