"""
Arrow columns to doubles, exactly as SQL's ``cast(x as double)`` does it.

Arrow's own cast of a decimal is one bit off in about one value of seven, which can put a row on the other
side of a split from the row that it was trained on. Here a decimal is its integer divided by a power of ten,
correctly rounded.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.errors import FeatureMismatchError

Batch = pa.RecordBatch | pa.Table | pa.StructArray
_EXACT_INTEGER = 2**53
_EXACT_POWER_OF_TEN = 22


def select_columns(batch: Batch, names: tuple[str, ...], model: str) -> list[pa.RecordBatch]:
    """
    The named columns in that order, as record batches without copying; others are ignored.

    Raises:
        FeatureMismatchError: Naming every column that is missing, there twice, or not a number.
    """
    if isinstance(batch, pa.StructArray):
        schema = pa.schema([batch.type.field(index) for index in range(batch.type.num_fields)])
        batch = pa.RecordBatch.from_arrays(batch.flatten(), schema=schema)
    positions = {name: batch.schema.get_all_field_indices(name) for name in names}
    missing = [name for name, found in positions.items() if not found]
    if missing:
        raise FeatureMismatchError(
            f"Model {model!r} needs columns that the input lacks: {', '.join(missing)}. Rebuild the features "
            f"(dbt run) or retrain the model (clv train)."
        )
    if doubled := [name for name, found in positions.items() if len(found) > 1]:
        raise FeatureMismatchError(f"Input has columns twice: {', '.join(doubled)}. Select each one once.")
    chosen = [positions[name][0] for name in names]
    _refuse_types({name: batch.schema.field(at).type for name, at in zip(names, chosen, strict=True)}, model)
    selected = batch.select(chosen)
    return selected.to_batches() if isinstance(selected, pa.Table) else [selected]


def to_doubles(column: pa.Array) -> NDArray[np.float64]:
    """A numeric, boolean or all-NULL column as doubles of shape (n,); NULL becomes NaN."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(column.type):
        return _decimals(column)
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


def feature_matrix(batch: Batch, names: tuple[str, ...], model: str = "") -> NDArray[np.float64]:
    """The named columns as a row-major matrix of shape (n, len(names)), for explanations."""
    batches = select_columns(batch, names, model)
    matrix = np.empty((sum(one.num_rows for one in batches), len(names)))
    start = 0
    for one in batches:
        for index, column in enumerate(one.columns):
            matrix[start : start + one.num_rows, index] = to_doubles(column)
        start += one.num_rows
    return matrix


def _refuse_types(types: dict[str, pa.DataType], model: str) -> None:
    wrong = [f"{name} ({dtype})" for name, dtype in types.items() if not _is_numeric(dtype)]
    if wrong:
        raise FeatureMismatchError(
            f"Model {model!r} needs numbers in columns that hold something else: {', '.join(wrong)}. Cast "
            "them in the feature's SQL, where training reads them too."
        )


def _is_numeric(dtype: pa.DataType) -> bool:
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_boolean,
        pa.types.is_null,
    )
    return any(is_kind(dtype) for is_kind in kinds)


def _decimals(column: pa.Array) -> NDArray[np.float64]:
    """Integer / 10^scale, correctly rounded: at once where both are exact doubles, one by one where not."""
    scale = column.type.scale
    if column.type.bit_width < 128:
        column = column.cast(pa.decimal128(column.type.precision, scale))
    if column.type.bit_width > 128 or not 0 <= scale <= _EXACT_POWER_OF_TEN:
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()], dtype=np.float64)
    words = np.frombuffer(column.buffers()[1], dtype="<i8").reshape(-1, 2)
    low, high = words[column.offset : column.offset + len(column)].T
    values = low / 10.0**scale
    values[np.asarray(column.is_null())] = np.nan
    inexact = (high != low >> 63) | (low > _EXACT_INTEGER) | (low < -_EXACT_INTEGER)
    for row in np.flatnonzero(inexact & ~np.isnan(values)):
        values[row] = float(column[int(row)].as_py())
    return values
