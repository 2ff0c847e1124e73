"""
Registers our SQL functions in a Spark session, and ships to the executors what they are made of.

They are those of the DuckDB plugin, bodies included, as Arrow functions: Spark calls them with the batches of
each partition, where the data is.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession, types
from pyspark.sql.functions import arrow_udf, udf

import clv_ml
from clv_ml.errors import ClvError
from clv_ml.learn.btyd_functions import FUNCTIONS, evaluate
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.model_in_use import pinned_version
from clv_ml.model.scoring_plan import scoring_plan
from clv_ml.serve.strongest_drivers import DRIVER_FIELDS
from clv_ml.settings import Settings
from clv_ml.spark import executors

TYPES: dict[str, types.DataType] = {
    "VARCHAR": types.StringType(),
    "INTEGER": types.IntegerType(),
    "DOUBLE": types.DoubleType(),
}


def register(spark: SparkSession, settings: Settings) -> None:
    """
    Registers the functions for the model in use, loaded here with all checks, and checked again on each
    executor. A fault is reported by ``clv_plan``, so that features still refresh.
    """
    spark.addArtifacts(str(_kernel_archive()), pyfile=True)
    for name in FUNCTIONS:
        function = arrow_udf(partial_of(evaluate, name), types.DoubleType())  # pyrefly: ignore
        spark.udf.register(name, function)

    try:
        loaded = registry.load(settings.models, pinned_version(settings))
        found = loaded.manifest if loaded else None
    except ClvError as error:
        loaded, found = None, error

    def load() -> Manifest:
        if isinstance(found, ClvError):
            raise found
        assert found is not None
        return found

    spark.udf.register("clv_plan", udf(partial(scoring_plan, load if found else None), types.StringType()))
    if loaded:
        _register_model(spark, loaded)


def _register_model(spark: SparkSession, model: LoadedModel) -> None:
    manifest = model.manifest
    archive = _model_archive(model)
    spark.addArtifacts(str(archive), file=True)
    shipped = (archive.name, manifest.version, model.manifest_sha256)
    outputs = types.StructType(
        [types.StructField(name, types.DoubleType()) for name in manifest.score_fields]
    )
    drivers = types.StructType([types.StructField(name, TYPES[kind]) for name, kind in DRIVER_FIELDS.items()])
    for name, body, returns in (
        ("clv_score", executors.score_batch, outputs),
        ("clv_explain", executors.explain_batch, types.ArrayType(drivers)),
    ):
        spark.udf.register(name, arrow_udf(partial_of(body, shipped), returns))  # pyrefly: ignore


def partial_of(body: Callable[..., pa.Array], first: Any) -> Callable[..., pa.Array]:
    """The body with its first argument; Spark reads from the type hints that it takes Arrow arrays."""

    def of_batch(*columns: pa.Array) -> pa.Array:
        return body(first, *columns)

    return of_batch


def _kernel_archive() -> Path:
    package = Path(clv_ml.__file__).parent
    files = sorted(package.rglob("*.py"))
    return _archive("clv_ml", ((file, Path(package.name) / file.relative_to(package)) for file in files))


def _model_archive(model: LoadedModel) -> Path:
    files = sorted(file for file in model.folder.rglob("*") if file.is_file())
    names = ((file, Path(model.folder.name) / file.relative_to(model.folder)) for file in files)
    return _archive("clv_model", names)


def _archive(name: str, files: Iterable[tuple[Path, Path]]) -> Path:
    """A zip named after its content, since Spark refuses another content under a name that it has seen."""
    contents = [(inside, file.read_bytes()) for file, inside in files]
    digest = hashlib.sha256(b"".join(str(inside).encode() + b"\0" + content for inside, content in contents))
    path = Path(_scratch().name) / f"{name}_{digest.hexdigest()[:16]}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, content in contents:
            archive.writestr(zipfile.ZipInfo(str(inside)), content)
    return path


@cache
def _scratch() -> tempfile.TemporaryDirectory:
    """Of this process, and gone with it."""
    return tempfile.TemporaryDirectory(prefix="clv-spark-")
