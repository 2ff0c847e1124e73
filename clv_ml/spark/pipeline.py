"""
The verbs of ``clv`` on Spark. Events stay there; what is fitted is fitted here, by the same code, on a copy.

The copy is a small DuckDB file with tables of the same names: ``training_rows`` of a sample of customers that keeps it
below ``CLV_SPARK_TRAINING_ROWS`` rows. So nothing in fitting, export or registry knows of Spark.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from clv_ml import pipeline
from clv_ml.btyd_fitting import fit_missing_dates
from clv_ml.dbt_runner import run_dbt
from clv_ml.errors import BuildError, HistoryError, InputError, TrainingError
from clv_ml.fitting import ModelType
from clv_ml.ingestion import IngestSummary
from clv_ml.pipeline import RunResult, ScoringResult, Step, no_steps
from clv_ml.settings import Settings
from clv_ml.spark import tables
from clv_ml.spark.functions import register
from clv_ml.spark.publish import publish
from clv_ml.spark.session import SparkPlaces, open_session
from clv_ml.training import TrainingResult
from clv_ml.training import train as train_on_copy
from clv_ml.warehouse import connect

FIT_COLUMNS = (
    "as_of_date, total_purchases, days_since_first_purchase, days_since_last_purchase, total_revenue"
)
SMALL_TABLES = ("as_of_dates", "feature_definitions", "shop_levels", "model_registry", "training_runs")


def ingest_files(
    settings: Settings, preset: str, path: Path | None = None, data_dir: Path | None = None
) -> tuple[IngestSummary, ...]:
    """
    Lays the raw tables over a folder's Parquet files. Nothing is copied or checked, so there is nothing to sum up.

    Raises:
        InputError: If a file or a preset is given: feeds that need mapping and checks go through ``clv ingest`` first.
    """
    if path is not None or data_dir is None or preset != "events":
        raise InputError(
            "On Spark, events are Parquet in the input contract: name their folder with --data-dir, or nothing where "
            "the raw tables exist. Other feeds go through clv ingest on DuckDB first."
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
    """Fits on a copy of the few columns that the fits read, one date at a time, and brings the parameters back."""
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

    The sample's share is ``CLV_SPARK_TRAINING_ROWS`` over the rows there are, and the same customers are in it on every
    date, so that no customer stands on both sides of a split.
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
        with connect(copy) as connection:
            for table in ("model_registry", "training_runs"):
                rows = connection.sql(f"select * from {table}").to_arrow_table()
                tables.write(spark, schema, table, rows)
    return result


def training_is_due(settings: Settings) -> bool:
    """As ``pipeline.training_is_due``, of the features on Spark."""
    spark = open_session(settings)
    with _copy_folder(settings) as copy:
        with connect(copy, read_only=False) as connection:
            tables.copy(spark, connection, "as_of_dates", iter([f"select * from {_schema()}.as_of_dates"]))
        return pipeline.training_is_due(copy)


def score(settings: Settings) -> ScoringResult:
    """Scores every customer with the model in use, rebuilds the marts and publishes them to readers."""
    spark = open_session(settings)
    register(spark, settings)
    run_dbt(settings, ["run", "--select", "scoring_rows", *pipeline.SCORING])
    publish(spark, _schema())
    return read_scoring(spark)


def read_scoring(spark: SparkSession) -> ScoringResult:
    """The summary of ``customer_clv`` as it stands."""
    query = pipeline.SCORING_SUMMARY.format(table=f"{_schema()}.customer_clv")
    return pipeline.scoring_result([tuple(row) for row in spark.sql(query).collect()])


def run(
    settings: Settings,
    preset: str = "events",
    path: Path | None = None,
    data_dir: Path | None = None,
    model_type: ModelType = "lightgbm",
    on_step: Step = no_steps,
) -> RunResult:
    """
    From a folder of Parquet events, or the raw tables as they stand, to published scores; as ``pipeline.run`` does.

    Raises:
        InputError: As ``ingest_files``.
    """
    if path is not None or data_dir is not None:
        on_step("name the raw tables")
        ingest_files(settings, preset, path, data_dir)
    on_step("build features")
    build_features(settings)
    training, warnings = None, []
    if settings.vars.use_ml_clv and training_is_due(settings):
        on_step("train")
        try:
            training = train(settings, model_type)
        except (HistoryError, TrainingError) as error:
            warnings.append(f"No model was trained. {error}")
            settings = pipeline.changed(settings, fallback_to_simple=True)
    on_step("score")
    try:
        scoring = score(settings)
    except BuildError:
        if not settings.vars.fallback_to_simple:
            raise
        warnings.append("The model could not score; clv_estimate is the simple formula (fallback_to_simple).")
        scoring = score(pipeline.changed(settings, use_ml_clv=False))
    return RunResult((), training, scoring, None, {}, tuple(warnings))


@contextmanager
def _copy_folder(settings: Settings) -> Iterator[Settings]:
    """Settings whose warehouse is a new DuckDB file, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="clv-copy-") as folder:
        yield settings.model_copy(update={"warehouse": Path(folder) / "copy.duckdb"})


def _schema() -> str:
    return SparkPlaces().schema_name
