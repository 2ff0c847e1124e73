"""
What runs on the executors: the model that the driver shipped, and the kernels on Arrow batches.

This module is imported there from the shipped package, so it imports nothing that the driver alone has.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa

from clv_ml.model.model_files import LoadedModel, load_model
from clv_ml.serve.scoring import score
from clv_ml.serve.strongest_drivers import explain_batches


@cache
def shipped_model(archive: str, version: str, manifest_sha256: str) -> LoadedModel:
    """
    The model of a shipped archive, loaded once a worker process, with the checks of ``load_model``.

    Raises:
        ModelTamperedError: If what arrived is not what the driver read.
    """
    from pyspark import SparkFiles

    with tempfile.TemporaryDirectory(prefix="clv-model-") as folder:
        shutil.unpack_archive(SparkFiles.get(archive), folder)
        return load_model(Path(folder) / version, manifest_sha256)


def score_batch(shipped: tuple[str, str, str], rows: pa.Array) -> pa.Array:
    """``clv_score`` of one Arrow batch of structs."""
    return score(shipped_model(*shipped), rows)


def explain_batch(shipped: tuple[str, str, str], batches: pa.Array, kept: pa.Array) -> pa.Array:
    """``clv_explain`` of one Arrow batch of lists; the number of drivers to keep is the same in every row."""
    return explain_batches(shipped_model(*shipped), batches, kept[0].as_py())
