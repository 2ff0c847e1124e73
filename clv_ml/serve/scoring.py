"""The scoring kernel: an Arrow batch in, an Arrow batch out; a row gets the same bits in any batch."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.model.manifest import BOUNDS
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.onnx_session import padded_rows, run_padded
from clv_ml.serve.columns import Batch, select_columns, to_doubles

CHUNK_ROWS = 16_384
"""Rows scored at a time: bounds memory."""
FILL_ROWS = 1_024
"""Rows of the matrix filled at a time, so that columns are turned into rows within the processor's cache."""


def score(model: LoadedModel, batch: Batch) -> pa.StructArray:
    """
    Every output of the model for every row, and the bounds. May be called from several threads at once.

    Args:
        batch: Must hold the model's features and its anchor; order is free, other columns are ignored. NULL
            is a missing value.

    Returns:
        One row per input row; a double field for each of the manifest's ``score_fields``. A field is NULL
        where the row has no prediction: its anchor or whole struct is NULL, or the number overflows.

    Raises:
        FeatureMismatchError: Naming each column that is missing or not a number.
    """
    anchor = model.manifest.anchor
    names = model.manifest.feature_names + (() if anchor is None else (anchor,))
    batches = select_columns(batch, names, model.manifest.version)
    results = [np.empty(sum(one.num_rows for one in batches)) for _ in model.manifest.score_fields]
    for start, chunk in _chunks(batches):
        for result, values in zip(results, _score_chunk(model, chunk), strict=True):
            result[start : start + chunk.num_rows] = values
    return _as_struct(model, results, batch)


def _chunks(batches: list[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Slices of at most a chunk with the row that each starts at; nothing is copied."""
    start = 0
    for one in batches:
        for offset in range(0, one.num_rows, CHUNK_ROWS):
            chunk = one.slice(offset, CHUNK_ROWS)
            yield start + offset, chunk
        start += one.num_rows


def _score_chunk(model: LoadedModel, chunk: pa.RecordBatch) -> list[NDArray[np.float64]]:
    """One array of shape (n,) per score field, in order."""
    rows, count = chunk.num_rows, len(model.manifest.features)
    matrix = np.zeros((padded_rows(rows), count))
    columns = [to_doubles(column) for column in chunk.columns]
    for start in range(0, rows, FILL_ROWS):
        filled = slice(start, min(start + FILL_ROWS, rows))
        for index in range(count):
            matrix[filled, index] = columns[index][filled]
    anchor = None
    if model.manifest.anchor is not None:
        anchor = np.zeros(len(matrix))
        anchor[:rows] = columns[count]
    outputs = {name: values[:rows] for name, values in run_padded(model.session, matrix, anchor).items()}
    if model.intervals.amounts:
        bounds = model.intervals.bounds(outputs["clv_predicted"], outputs["churn_probability"])
        outputs |= dict(zip(BOUNDS, bounds, strict=True))
    return [outputs[name] for name in model.manifest.score_fields]


def _as_struct(model: LoadedModel, results: list[NDArray[np.float64]], batch: Batch) -> pa.StructArray:
    no_row = np.zeros(len(batch) if isinstance(batch, pa.StructArray) else batch.num_rows, dtype=np.bool_)
    if isinstance(batch, pa.StructArray) and batch.null_count:
        no_row = np.asarray(batch.is_null())
    arrays = [pa.array(values, mask=no_row | ~np.isfinite(values)) for values in results]
    return pa.StructArray.from_arrays(arrays, names=list(model.manifest.score_fields))
