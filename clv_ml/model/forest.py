"""The trees of a booster as arrays: plain ``x <= threshold`` on doubles is LightGBM's own decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tree:
    """
    One tree of L leaves. Arrays over splits have shape (L - 1,), those over leaves (L,).

    A row goes left where ``x[feature] <= threshold``, or where x is NaN and ``missing_left``. A child c >= 0
    is a split, c < 0 is the leaf ``~c``. ``missing_as_zero`` marks splits that read a missing value as 0.
    ``split_rows`` and ``leaf_rows`` count the training rows that came by.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    missing_as_zero: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    split_rows: NDArray[np.int64]
    leaf_rows: NDArray[np.int64]


@dataclass(frozen=True)
class Forest:
    """The trees of one booster in order; its raw score is the sum of the leaves that a row reaches."""

    name: str
    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]
