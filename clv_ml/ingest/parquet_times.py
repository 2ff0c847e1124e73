"""Where a Parquet file holds a time that no database takes, of which the database itself names no place."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FARTHEST = (2**63 - 1) // 1000
"""Milliseconds from 1970, either way, that still fit as microseconds: some 290,000 years."""


def unreadable_time(path: Path) -> str | None:
    """The first time that is out of range, by column and row from 1; None where all are in range."""
    with pq.ParquetFile(path) as file:
        types = {field.name: field.type for field in file.schema_arrow}
        for name in (name for name, kind in types.items() if pa.types.is_timestamp(kind)):
            # in finer units, none is out of range
            if types[name].unit == "ms" and (row := _first_beyond(file, name)):
                return f"column {name!r} of row {row} holds a time beyond the year 294246"
    return None


def _first_beyond(file: pq.ParquetFile, column: str) -> int | None:
    before = 0
    for batch in file.iter_batches(columns=[column]):
        milliseconds = batch.column(0).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        beyond = np.flatnonzero((milliseconds > FARTHEST) | (milliseconds < -FARTHEST))
        if beyond.size:
            return before + int(beyond[0]) + 1
        before += len(batch)
    return None
