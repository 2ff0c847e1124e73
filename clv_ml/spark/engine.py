"""
The steps of a run on Spark. Events stay there; what is fitted is fitted here, by the same code, on a copy.

The copy is a small DuckDB file with tables of the same names, ``training_rows`` of a sample of customers. So
nothing in fitting, export or registry knows of Spark.
"""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession

from clv_ml.engines import PACKAGE, SCORING, Files, run_tests_of_marts
from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.summary import IngestSummary
from clv_ml.learn import training
from clv_ml.learn.fitted_parameters import fit_missing_dates
from clv_ml.learn.training import TrainingResult
from clv_ml.model.model_in_use import why_training_is_due
from clv_ml.model.model_types import ModelType
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.operate import refused
from clv_ml.operate.publication import Publication
from clv_ml.operate.retention import Removed
from clv_ml.operate.scores import ScoringResult
from clv_ml.settings import Settings
from clv_ml.spark import publish, tables
from clv_ml.spark.functions import register
from clv_ml.spark.session import SparkPlaces, open_session
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

FIT_COLUMNS = (
    "as_of_date, total_purchases, purchase_days, days_since_first_purchase, days_since_last_purchase, "
    "total_revenue, typical_gap_days, gap_log_std"
)
REGISTRY_TABLES = ("model_registry", "training_runs")
SMALL_TABLES = ("as_of_dates", "feature_definitions", "column_roles", "shop_levels", *REGISTRY_TABLES)


@dataclass(frozen=True)
class Spark:
    """The distributed engine (``clv_ml.engines.Engine``): tables are Spark's, in the session's schema."""

    settings: Settings

    def ingest_files(
        self, choice: str | Choice, path: Files = None, data_dir: Path | None = None
    ) -> tuple[IngestSummary, ...]:
        """
        Lays the raw tables over a folder's Parquet files. Nothing is copied or checked, or summed up.

        Raises:
            InputError: If a file or a preset is given: other feeds go through ``clv ingest`` first.
        """
        if path or data_dir is None or choice not in ("", "events", Choice()):
            raise InputError(
                "On Spark, events are Parquet in the input contract: name their folder with --data-dir, or "
                "nothing where the raw tables exist. Other feeds go through clv ingest on DuckDB first."
            )
        tables.name_raw_tables(open_session(self.settings), self.settings, data_dir)
        return ()

    def build_features(self) -> None:
        spark = open_session(self.settings)
        register(spark, self.settings)
        run_dbt(self.settings, ["run", "--select", PACKAGE, "--exclude", "fitted_dates+", *SCORING])
        with _copy_folder(self.settings) as copy:
            _fit_missing_dates(spark, copy)
        run_dbt(self.settings, ["run", "--select", f"fitted_dates+,{PACKAGE}", "--exclude", *SCORING])

    def lost(self) -> dict[str, float]:
        found = tables.read(
            open_session(self.settings), refused.LOST.format(table=f"{_schema()}.data_quality")
        )
        return {row["subject"]: row["measured_value"] for row in found.to_pylist()}

    def training_is_due(self) -> bool:
        spark = open_session(self.settings)
        with _copy_folder(self.settings) as copy:
            with connect(copy, read_only=False) as connection:
                for table, rows in (("feature_definitions", "true"), ("scoring_rows", "false")):
                    query = f"select * from {_schema()}.{table} where {rows}"
                    tables.copy(spark, connection, table, [query])
            return why_training_is_due(copy) is not None

    def train(self, model_type: ModelType = "lightgbm") -> TrainingResult:
        """
        Fits on a sample of customers, the same on every date, so that none stands on both sides of a
        split. Its share is ``CLV_SPARK_TRAINING_ROWS`` over the rows there are. Errors as
        ``training.train``.
        """
        spark = open_session(self.settings)
        with _copy_folder(self.settings) as copy:
            _copy_training_rows(spark, copy)
            result = training.train(copy, model_type)
        _write_registry_tables(spark, self.settings)
        return result

    def score(self) -> ScoringResult:
        """The registry tables are first brought up to the model folder, which others change too."""
        spark = open_session(self.settings)
        register(spark, self.settings)
        _write_registry_tables(spark, self.settings)
        run_dbt(self.settings, ["run", "--select", "scoring_rows", *SCORING])
        return tables.summary_of(self.settings, spark, f"{_schema()}.customer_clv")

    def check_marts(self) -> tuple[str, ...]:
        open_session(self.settings)
        return run_tests_of_marts(self.settings)

    def publish(self) -> Publication:
        return publish.publish(self.settings)

    def published_scoring(self) -> ScoringResult | None:
        return publish.published_scoring(self.settings)

    def feature_dates(self) -> frozenset[date]:
        """None are named: what is removed on Spark, dbt's own pruning removes."""
        return frozenset()

    def remove_old(self, dates_before: Collection[date] = ()) -> Removed:
        """Nothing: predictions, drivers and versions stay until their owner drops partitions and folders."""
        return Removed()


def _fit_missing_dates(spark: SparkSession, copy: Settings) -> None:
    """Fits on a copy of the few columns that fits read, date by date, and brings the parameters back."""
    schema, limit = _schema(), SparkPlaces().training_rows
    with connect(copy, read_only=False) as connection:
        _copy_whole(spark, connection, ("as_of_dates", "fitted_parameters"))
        where = f"from {schema}.customer_rfm where total_purchases > 0"
        counts = tables.read(
            spark,
            f"select as_of_date, count(*) as customers {where} group by as_of_date order by as_of_date",
        )
        if not counts.num_rows:
            return
        queries = (
            f"select {FIT_COLUMNS} {where} and as_of_date = date '{date}' "
            f"and {tables.in_sample(limit / customers)}"
            for date, customers in zip(*(column.to_pylist() for column in counts.columns), strict=True)
        )
        tables.copy(spark, connection, "customer_rfm", queries)
        if fit_missing_dates(connection):
            parameters = connection.sql("select * from fitted_parameters").to_arrow_table()
            tables.write(spark, schema, "fitted_parameters", parameters)


def _copy_training_rows(spark: SparkSession, copy: Settings) -> None:
    """What a training reads, of a sample of customers, into a DuckDB file."""
    schema = _schema()
    with connect(copy, read_only=False) as connection:
        _copy_whole(spark, connection, SMALL_TABLES)
        counts = tables.read(
            spark,
            f"select as_of_date, count(*) as customers from {schema}.training_rows "
            "group by as_of_date order by as_of_date",
        )
        dates, customers = (column.to_pylist() for column in counts.columns)
        sampled = tables.in_sample(SparkPlaces().training_rows / max(sum(customers), 1))
        queries = [
            f"select * from {schema}.training_rows where as_of_date = date '{date}' and {sampled}"
            for date in dates
        ] or [f"select * from {schema}.training_rows"]
        tables.copy(spark, connection, "training_rows", queries)
        today = f"select * from {schema}.scoring_rows where {sampled}"
        tables.copy(spark, connection, "scoring_rows", [today])


def _write_registry_tables(spark: SparkSession, settings: Settings) -> None:
    with _copy_folder(settings) as copy, connect(copy, read_only=False) as connection:
        _copy_whole(spark, connection, REGISTRY_TABLES)
        write_registry_tables(connection, copy)
        for table in REGISTRY_TABLES:
            rows = connection.sql(f"select * from {table}").to_arrow_table()
            tables.write(spark, _schema(), table, rows)


def _copy_whole(spark: SparkSession, connection: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> None:
    for table in names:
        tables.copy(spark, connection, table, [f"select * from {_schema()}.{table}"])


@contextmanager
def _copy_folder(settings: Settings) -> Iterator[Settings]:
    """Settings whose warehouse is a new DuckDB file, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="clv-copy-") as folder:
        yield settings.model_copy(update={"warehouse": Path(folder) / "clv.duckdb", "chosen_schema": "main"})


def _schema() -> str:
    return SparkPlaces().schema_name
