"""Customers in folds, so that nobody is judged by what was learned from them."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

FOLDS = 3
"""A fit on two thirds is near enough to one on all, and three fits are quick."""


def customer_folds(customer: NDArray[np.str_]) -> NDArray[np.int64]:
    """A fold per row, 0 to ``FOLDS`` - 1; all rows of a customer share one. Shape (n,)."""
    fold_of = np.empty(customer.size, dtype=np.int64)
    for fold, (_, held_out) in enumerate(GroupKFold(FOLDS).split(customer, groups=customer)):
        fold_of[held_out] = fold
    return fold_of
