"""
Marts for readers: a copy per run, behind views that ``ALTER VIEW`` moves. So nobody meets a missing table.

dbt on Spark drops a table before it builds it anew, so readers have the schema ``<schema>_published``: views,
moved to the newest copies when all are complete, ``publication`` with the version last. A copy is dropped two
runs later, when no query that began on it should still run.
"""

import re
from datetime import UTC, datetime
from uuid import uuid4

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from clv_ml.errors import PublishError
from clv_ml.operate.publication import NOBODY, RECORD, Publication, published_tables, record_query
from clv_ml.operate.scores import ScoringResult
from clv_ml.settings import Settings
from clv_ml.spark import tables
from clv_ml.spark.session import SparkPlaces, open_session

KEPT_RUNS = 3
RUN = re.compile(r"__run_(\d{20})$")


def publish(settings: Settings) -> Publication:
    """
    Copies the marts under this run's stamp, checks the copies, then moves the views and drops the oldest
    run. A failure before the first view moves leaves readers where they were. The version is the stamp,
    the path the schema that readers use.

    Raises:
        PublishError: If a mart is missing, nobody was scored, or a copy has other rows than its mart.
    """
    spark, schema = open_session(settings), SparkPlaces().schema_name
    stamp, published = f"{datetime.now(UTC):%Y%m%d%H%M%S%f}", f"{schema}_published"
    spark.sql(f"create database if not exists {published}")
    marts = published_tables(settings)
    rows = {mart: _copy(spark, f"{schema}.{mart}", _stamped(published, mart, stamp)) for mart in marts}
    if not rows["customer_clv"]:
        raise PublishError(NOBODY)
    run_id = uuid4().hex
    record = record_query(settings, stamp, run_id, _stamped(published, "customer_clv", stamp))
    spark.sql(f"create table {_stamped(published, RECORD, stamp)} using parquet as {record}")
    for name in (*marts, RECORD):
        copied = f"select * from {_stamped(published, name, stamp)}"
        spark.sql(f"create view if not exists {published}.{name} as {copied}")
        spark.sql(f"alter view {published}.{name} as {copied}")
    _drop_old(spark, published)
    return Publication(stamp, published, rows, run_id)


def published_scoring(settings: Settings) -> ScoringResult | None:
    """What readers have; None where nothing is published."""
    spark, table = open_session(settings), f"{SparkPlaces().schema_name}_published.customer_clv"
    if not spark.catalog.tableExists(table):
        return None
    return tables.summary_of(settings, spark, table)


def _copy(spark: SparkSession, mart: str, copy: str) -> int:
    try:
        spark.sql(f"create table {copy} using parquet as select * from {mart}")
    except AnalysisException as error:
        raise PublishError(
            f"{mart} cannot be read ({error}). Build the marts (clv run --target spark)."
        ) from error
    copied, wanted = spark.table(copy).count(), spark.table(mart).count()
    if copied != wanted:
        raise PublishError(
            f"{copy} has {copied} rows, {mart} {wanted}. Readers still see the old version. Publish again."
        )
    return copied


def _stamped(published: str, name: str, stamp: str) -> str:
    return f"{published}.{name}__run_{stamp}"


def _drop_old(spark: SparkSession, published: str) -> None:
    names = [row["tableName"] for row in spark.sql(f"show tables in {published}").collect()]
    stamps = sorted({match.group(1) for name in names if (match := RUN.search(name))})
    for name in names:
        match = RUN.search(name)
        if match and match.group(1) in stamps[:-KEPT_RUNS]:
            spark.sql(f"drop table if exists {published}.{name}")
