"""
The strongest drivers of many customers, as rows: the body of ``clv_explain`` on every engine.

Imported on Spark's executors too, so it needs nothing of dbt's.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.model.model_files import LoadedModel
from clv_ml.serve.explanation import explain
from clv_ml.serve.narrative import OTHERS
from clv_ml.serve.tree_shap import BLOCK_ROWS

DRIVER_FIELDS = {
    "customer_id": "VARCHAR",
    "driver_rank": "INTEGER",
    "driver_column": "VARCHAR",
    "driver_value": "DOUBLE",
    "contribution": "DOUBLE",
    "driver_base": "DOUBLE",
}


def explain_batches(
    model: LoadedModel, batches: pa.ListArray, kept: int, threads: int | None = None
) -> pa.Array:
    """
    The strongest drivers of every customer in each list, strongest first, and what all others add
    together.

    Args:
        batches: Lists of structs with ``customer_id`` and the model's columns.

        kept: Drivers with a row of their own. Others share one, so that all adds up to the prediction.

        threads: Blocks of customers explained at once, all cores unless given. The result is the same.

    Returns:
        A list per list, with one struct (see ``DRIVER_FIELDS``) per customer and driver.
    """
    rows = batches.flatten()
    blocks = [rows.slice(start, BLOCK_ROWS) for start in range(0, len(rows), BLOCK_ROWS)] or [rows]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        strongest = list(pool.map(lambda block: _strongest(model, block, kept), blocks))
    # joined as numbers: as text, millions of rows would stand in memory twice
    joined = {
        field: np.concatenate([getattr(block, field) for block in strongest])
        for field in ("places", "values", "inputs", "base")
    }
    whole = _Strongest(strongest[0].names, **joined)
    del strongest, joined
    drivers = _structs(rows.field("customer_id"), whole)
    lengths = batches.value_lengths().fill_null(0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths.astype(np.int64) * whole.places.shape[1])])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), drivers)


@dataclass(frozen=True)
class _Strongest:
    """
    The k drivers of each customer that keep a row: ``places`` in ``names``, ``values`` in currency and
    ``inputs``, all of shape (n, k); ``base`` has shape (n,).
    """

    names: tuple[str, ...]
    places: NDArray[np.int32]
    values: NDArray[np.float64]
    inputs: NDArray[np.float64]
    base: NDArray[np.float64]


def _strongest(model: LoadedModel, rows: pa.StructArray, kept: int) -> _Strongest:
    found = explain(model, rows)
    places = np.argsort(-np.abs(found.values), axis=1, kind="stable")[:, :kept]
    values, inputs = (np.take_along_axis(table, places, axis=1) for table in (found.values, found.inputs))
    if kept < len(found.drivers):
        rest = found.values.sum(axis=1) - values.sum(axis=1)
        places = np.column_stack([places, np.full(len(rows), len(found.drivers))])
        values = np.column_stack([values, rest])
        inputs = np.column_stack([inputs, np.full(len(rows), np.nan)])
    return _Strongest((*found.drivers, OTHERS), places.astype(np.int32), values, inputs, found.base)


def _structs(customers: pa.Array, strongest: _Strongest) -> pa.StructArray:
    """One struct per customer and driver, in order."""
    rows, count = strongest.places.shape
    inputs = strongest.inputs.ravel()
    arrays = [
        customers.take(pa.array(np.repeat(np.arange(rows), count))),
        pa.array(np.tile(np.arange(1, count + 1, dtype=np.int32), rows)),
        pa.array(strongest.names, pa.string()).take(pa.array(strongest.places.ravel())),
        pa.array(inputs, mask=np.isnan(inputs)),
        pa.array(strongest.values.ravel()),
        pa.array(np.repeat(strongest.base, count)),
    ]
    return pa.StructArray.from_arrays(arrays, names=list(DRIVER_FIELDS))
