"""The buy-till-you-die formulas as pure SQL functions, the same on every engine."""

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import ARROW, SPECIAL

from clv_ml.learn.btyd import (
    Kernel,
    bgnbd_alive,
    bgnbd_expected_purchases,
    paretonbd_alive,
    paretonbd_expected_purchases,
)
from clv_ml.learn.renewal import renewal_chance, renewal_expected_purchases

DECIMALS = 9
"""Of what SQL sees: far above the quadrature's error, so that engines agree to the last one."""
FUNCTIONS: dict[str, tuple[Kernel, int]] = {
    "clv_bgnbd_purchases": (bgnbd_expected_purchases, 8),
    "clv_bgnbd_alive": (bgnbd_alive, 7),
    "clv_paretonbd_purchases": (paretonbd_expected_purchases, 8),
    "clv_paretonbd_alive": (paretonbd_alive, 7),
    "clv_renewal_purchases": (renewal_expected_purchases, 7),
    "clv_renewal_chance": (renewal_chance, 7),
}


def evaluate(name: str, *columns: pa.Array | pa.ChunkedArray) -> pa.Array:
    """
    One of ``FUNCTIONS`` on Arrow columns of doubles, as every engine registers it.

    Returns:
        Doubles rounded to 9 decimals; null where any argument is null or NaN.

    Raises:
        ValueError: If a number is infinite or outside its range.
    """
    kernel, _ = FUNCTIONS[name]
    values = kernel(*(column.to_numpy(zero_copy_only=False) for column in map(_whole, columns)))
    return pa.array(np.round(values, DECIMALS), mask=np.isnan(values))


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.cast(pa.float64()).fill_null(float("nan"))


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives the connection each of ``FUNCTIONS``: doubles in, NULL where an argument is NULL."""
    for name, (_, arity) in FUNCTIONS.items():
        parameters: list[Any] = ["DOUBLE"] * arity
        connection.create_function(
            name, _function(name, arity), parameters, "DOUBLE", type=ARROW, null_handling=SPECIAL
        )


def _function(name: str, arity: int) -> Callable[..., pa.Array]:
    """``evaluate`` with as many named parameters as DuckDB expects to see in a signature."""

    def seven(x: Any, t_x: Any, age: Any, p1: Any, p2: Any, p3: Any, p4: Any) -> pa.Array:
        return evaluate(name, x, t_x, age, p1, p2, p3, p4)

    def eight(x: Any, t_x: Any, age: Any, horizon: Any, p1: Any, p2: Any, p3: Any, p4: Any) -> pa.Array:
        return evaluate(name, x, t_x, age, horizon, p1, p2, p3, p4)

    return seven if arity == 7 else eight
