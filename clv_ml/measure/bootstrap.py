"""
The one bootstrap: draws of customers with replacement, each customer with all that is known of them.

The same customer errs alike on every date, so a draw takes them on all dates or on none. Intervals are about
other customers, then, not other years. Source: Efron and Tibshirani (1993).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import Array


def customer_draws(customers: int, replicates: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """``replicates`` draws of as many customers as there are, by number from 0. Shape (customers,) each."""
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield generator.integers(0, customers, customers)


def sums_by_customer(values: Array, customer: NDArray[np.str_]) -> Array:
    """The sum of each customer's rows, ``values`` and ``customer`` having shape (n,). Shape (customers,)."""
    _, number = np.unique(customer, return_inverse=True)
    return np.asarray(np.bincount(number, values), dtype=np.float64)


def drawn_means(values: Array, replicates: int, seed: int) -> Array:
    """The mean of each draw of customers, ``values`` having one number a customer. Shape (replicates,)."""
    return np.array([values[drawn].mean() for drawn in customer_draws(values.size, replicates, seed)])
