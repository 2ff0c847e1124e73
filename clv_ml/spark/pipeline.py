"""
The verbs of ``clv`` on Spark, by the names of ``clv_ml.pipeline``, whose ``run`` calls them. Events stay
there; what is fitted is fitted here, by the same code, on a copy.

The copy is a small DuckDB file with tables of the same names: ``training_rows`` of a sample of customers that
keeps it below ``CLV_SPARK_TRAINING_ROWS`` rows. So nothing in fitting, export or registry knows of Spark.
"""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from clv_ml import pipeline
from clv_ml.errors import InputError
from clv_ml.ingest.ingestion import IngestSummary
from clv_ml.learn.fitted_parameters import fit_missing_dates
from clv_ml.learn.model_types import ModelType
from clv_ml.learn.training import TrainingResult
from clv_ml.learn.training import train as train_on_copy
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.operate.retention import Removed
from clv_ml.pipeline import ScoringResult
from clv_ml.settings import Settings
from clv_ml.spark import tables
from clv_ml.spark.functions import register
from clv_ml.spark.publish import publish as publish
from clv_ml.spark.session import SparkPlaces, open_session
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

FIT_COLUMNS = (
    "as_of_date, total_purchases, days_since_first_purchase, days_since_last_purchase, total_revenue"
)
REGISTRY_TABLES = ("model_registry", "training_runs")
SMALL_TABLES = ("as_of_dates", "feature_definitions", "feature_drivers", "shop_levels", *REGISTRY_TABLES)


def ingest_files(
    settings: Settings, preset: str, path: Path | None = None, data_dir: Path | None = None
) -> tuple[IngestSummary, ...]:
    """
    Lays the raw tables over a folder's Parquet files. Nothing is copied or checked, so there is nothing to
    sum up.

    Raises:
        InputError: If a file or a preset is given: feeds that need mapping and checks go through ``clv
            ingest`` first.
    """
    if path is not None or data_dir is None or preset != "events":
        raise InputError(
            "On Spark, events are Parquet in the input contract: name their folder with --data-dir, or "
            "nothing where the raw tables exist. Other feeds go through clv ingest on DuckDB first."
        )
    tables.name_raw_tables(open_session(settings), settings, data_dir)
    return ()


def build_features(settings: Settings) -> None:
    """Everything up to the training rows, as ``pipeline.build_features`` does on DuckDB."""
    spark = open_session(settings)
    register(spark, settings)
    run_dbt(settings, ["run", "--exclude", "fitted_dates+", *pipeline.SCORING])
    with _copy_folder(settings) as copy:
        _fit_missing_dates(spark, copy)
    run_dbt(settings, ["run", "--select", "fitted_dates+", "--exclude", *pipeline.SCORING])


def _fit_missing_dates(spark: SparkSession, copy: Settings) -> None:
    """
    Fits on a copy of the few columns that the fits read, one date at a time, and brings the parameters back.
    """
    schema, limit = _schema(), SparkPlaces().training_rows
    with connect(copy, read_only=False) as connection:
        for table in ("as_of_dates", "fitted_parameters"):
            tables.copy(spark, connection, table, iter([f"select * from {schema}.{table}"]))
        where = f"from {schema}.customer_rfm where total_purchases > 0"
        counts = tables.read(
            spark,
            f"select as_of_date, count(*) as customers {where} group by as_of_date order by as_of_date",
        )
        if not counts.num_rows:
            return
        parts = (
            f"select {FIT_COLUMNS} {where} and as_of_date = date '{date}' "
            f"and {tables.in_sample(limit / customers)}"
            for date, customers in zip(*(column.to_pylist() for column in counts.columns), strict=True)
        )
        tables.copy(spark, connection, "customer_rfm", parts)
        if fit_missing_dates(connection):
            parameters = connection.sql("select * from fitted_parameters").to_arrow_table()
            tables.write(spark, schema, "fitted_parameters", parameters)


def train(settings: Settings, model_type: ModelType = "lightgbm") -> TrainingResult:
    """
    Fits on a sample of customers, all dates of each, and publishes the model; errors as ``training.train``.

    The sample's share is ``CLV_SPARK_TRAINING_ROWS`` over the rows there are, and the same customers are in
    it on every date, so that no customer stands on both sides of a split.
    """
    spark, schema = open_session(settings), _schema()
    with _copy_folder(settings) as copy:
        with connect(copy, read_only=False) as connection:
            for table in SMALL_TABLES:
                tables.copy(spark, connection, table, iter([f"select * from {schema}.{table}"]))
            counts = tables.read(
                spark,
                f"select as_of_date, count(*) as customers from {schema}.training_rows "
                "group by as_of_date order by as_of_date",
            )
            dates, customers = (column.to_pylist() for column in counts.columns)
            sampled = tables.in_sample(SparkPlaces().training_rows / max(sum(customers), 1))
            parts = [
                f"select * from {schema}.training_rows where as_of_date = date '{date}' and {sampled}"
                for date in dates
            ] or [f"select * from {schema}.training_rows"]
            tables.copy(spark, connection, "training_rows", iter(parts))
            today = f"select * from {schema}.scoring_rows where {sampled}"
            tables.copy(spark, connection, "scoring_rows", iter([today]))
        result = train_on_copy(copy, model_type)
    _write_registry_tables(spark, settings)
    return result


def training_is_due(settings: Settings) -> bool:
    """As ``pipeline.training_is_due``, of the features on Spark."""
    spark = open_session(settings)
    with _copy_folder(settings) as copy:
        with connect(copy, read_only=False) as connection:
            tables.copy(spark, connection, "as_of_dates", iter([f"select * from {_schema()}.as_of_dates"]))
        return pipeline.training_is_due(copy)


def score(settings: Settings) -> ScoringResult:
    """
    Scores every customer with the model in use and rebuilds the marts from that. The registry tables are
    brought up to the model folder first, which ``clv models`` and other warehouses change too.
    """
    spark = open_session(settings)
    register(spark, settings)
    _write_registry_tables(spark, settings)
    run_dbt(settings, ["run", "--select", "scoring_rows", *pipeline.SCORING])
    query = pipeline.SCORING_SUMMARY.format(table=f"{_schema()}.customer_clv")
    rows = [tuple(row) for row in spark.sql(query).collect()]
    return pipeline.with_caution(settings, pipeline.scoring_result(rows))


def _write_registry_tables(spark: SparkSession, settings: Settings) -> None:
    with _copy_folder(settings) as copy, connect(copy, read_only=False) as connection:
        for table in REGISTRY_TABLES:
            tables.copy(spark, connection, table, iter([f"select * from {_schema()}.{table}"]))
        write_registry_tables(connection, copy)
        for table in REGISTRY_TABLES:
            rows = connection.sql(f"select * from {table}").to_arrow_table()
            tables.write(spark, _schema(), table, rows)


def check_marts(settings: Settings) -> None:
    """As ``pipeline.check_marts``."""
    open_session(settings)
    pipeline.check_marts(settings)


def feature_dates(settings: Settings) -> frozenset[date]:
    """None are told: what is removed on Spark, dbt's own pruning removes."""
    return frozenset()


def remove_old(settings: Settings, dates_before: Collection[date] = ()) -> Removed:
    """
    Nothing: predictions, drivers and model versions stay until their owner drops partitions and folders.
    """
    return Removed()


@contextmanager
def _copy_folder(settings: Settings) -> Iterator[Settings]:
    """Settings whose warehouse is a new DuckDB file, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="clv-copy-") as folder:
        yield settings.model_copy(update={"warehouse": Path(folder) / "copy.duckdb"})


def _schema() -> str:
    return SparkPlaces().schema_name
