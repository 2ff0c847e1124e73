"""
Marts for readers: run-stamped tables behind views that ``ALTER VIEW`` moves, so that nobody meets a missing table.

dbt on Spark drops a table before it builds it anew, so readers are given the schema ``<schema>_published``: each mart is a
view there, moved to the newest copy when that is complete. A copy is dropped two runs later, when no query that began on
it should still run.
"""

import re
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from clv_ml.errors import WarehouseError

MARTS = ("customer_clv", "segment_value")
KEPT_RUNS = 3
RUN = re.compile(r"__run_(\d{20})$")


def publish(spark: SparkSession, schema: str, marts: tuple[str, ...] = MARTS) -> str:
    """
    Copies the marts under this run's stamp, checks the copies, then moves the views and drops the oldest run.

    All copies exist before the first view moves; a failure before that leaves readers where they were.

    Returns:
        The run's stamp, UTC to the microsecond.

    Raises:
        WarehouseError: If a copy does not hold as many rows as its mart.
    """
    stamp = f"{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    published = f"{schema}_published"
    spark.sql(f"create database if not exists {published}")
    copies = {mart: f"{published}.{mart}__run_{stamp}" for mart in marts}
    for mart, copy in copies.items():
        spark.sql(f"create table {copy} using parquet as select * from {schema}.{mart}")
        held, wanted = spark.table(copy).count(), spark.table(f"{schema}.{mart}").count()
        if held != wanted:
            raise WarehouseError(f"{copy} holds {held} rows, {schema}.{mart} {wanted}. Publish again.")
    for mart, copy in copies.items():
        spark.sql(f"create view if not exists {published}.{mart} as select * from {copy}")
        spark.sql(f"alter view {published}.{mart} as select * from {copy}")
    _drop_old(spark, published)
    return stamp


def _drop_old(spark: SparkSession, published: str) -> None:
    names = [row["tableName"] for row in spark.sql(f"show tables in {published}").collect()]
    stamps = sorted({match.group(1) for name in names if (match := RUN.search(name))})
    for name in names:
        match = RUN.search(name)
        if match and match.group(1) in stamps[:-KEPT_RUNS]:
            spark.sql(f"drop table if exists {published}.{name}")
