"""
The Spark session that dbt and ``clv`` share. Where it runs is decided by the environment, never by code:

- ``CLV_SPARK_MASTER`` (default ``local[2]``): local mode, or ``spark://host:7077`` for a standalone cluster.
- ``SPARK_REMOTE`` (``sc://host:15002``): Spark Connect; no JVM starts here.
- ``CLV_SPARK_FOLDER`` (default ``warehouse/spark``): tables and metastore, where the site has no metastore of
  its own.
- ``SPARK_CONF_DIR``: the site's own ``spark-defaults.conf`` (memory, cores, ...) and ``hive-site.xml``
  (metastore).
"""

import os
import shutil
import sys
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict
from pyspark.sql import SparkSession

from clv_ml.errors import SettingsError, WarehouseError
from clv_ml.settings import Settings

CONNECT = "SPARK_REMOTE"
SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
    # Spark 4.1 recurses without end when it describes a plan whose parts turned out to be empty
    # (EmptyRelationExec)
    "spark.sql.adaptive.optimizer.excludedRules": (
        "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"
    ),
    # above so many groups Spark sorts instead of hashing, which made counts of distinct values three times
    # slower
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "1000000",
}


class SparkPlaces(BaseSettings):
    """Where Spark runs and keeps its tables, from the environment (``CLV_SPARK_...``)."""

    model_config = SettingsConfigDict(env_prefix="CLV_SPARK_")

    master: str = "local[2]"
    folder: Path = Path("warehouse/spark")
    schema_name: str = "clv"
    training_rows: int = 1_000_000


def open_session(settings: Settings) -> SparkSession:
    """
    The session of this process, made on the first call. dbt-spark's method ``session`` finds the same one.

    Raises:
        SettingsError: If a master and Spark Connect are both asked for.
        WarehouseError: If Spark does not start, for example without Java 17.
    """
    places = SparkPlaces()
    # executors on this machine must be this Python; a site's own setting wins
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder
    if CONNECT in os.environ:
        if "CLV_SPARK_MASTER" in os.environ:
            raise SettingsError(f"{CONNECT} and CLV_SPARK_MASTER are both set. Unset one of them.")
    else:
        _require_java()
        for name, value in _own_settings(places, settings.project).items():
            builder = builder.config(name, value)
        builder = builder.enableHiveSupport()
    for name, value in SQL_SETTINGS.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:  # py4j and Connect raise many kinds
        raise WarehouseError(f"Spark does not start at {_where(places)}: {error}") from error
    return spark


def _own_settings(places: SparkPlaces, project: Path) -> dict[str, str]:
    """What the session needs besides SQL settings; a site with ``SPARK_CONF_DIR`` has its own metastore."""
    quiet = Path(__file__).with_name("log4j2.properties").as_uri()
    chosen = {
        "spark.app.name": "clv",
        "spark.master": places.master,
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        # deep plans (many unions and windows) overflow the default stack
        "spark.driver.extraJavaOptions": f"-Xss16m -Dlog4j2.configurationFile={quiet}",
    }
    if places.master.startswith("local"):
        # driver and executor in one process: Spark's own 1 GB is too little for a model's statistics of every
        # feature at once
        chosen |= {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "8",
            "spark.driver.memory": "4g",
        }
    if "SPARK_CONF_DIR" not in os.environ:
        folder = (project / places.folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        metastore = f"jdbc:derby:;databaseName={folder / 'metastore'};create=true"
        chosen |= {
            "spark.sql.warehouse.dir": str(folder / "tables"),
            "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
            # Derby writes a log where the process stands unless told otherwise
            "spark.driver.extraJavaOptions": chosen["spark.driver.extraJavaOptions"]
            + f" -Dderby.stream.error.file={folder / 'derby.log'}",
        }
    return chosen


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin" / "java").exists())):
        raise WarehouseError(
            "Spark needs Java 17 or newer, and there is no java on the path. Install it, or set JAVA_HOME."
        )


def _where(places: SparkPlaces) -> str:
    return os.environ.get(CONNECT, places.master)
