"""The search for the parameters of greatest likelihood, over their logarithms, from several starts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from clv_ml.learn.btyd import CHUNK_ROWS
from clv_ml.measure.metrics import Array

Likelihood = Callable[..., tuple[Array, list[Array]]]
"""Takes rows and parameters; gives the logarithm of each row's likelihood and its derivatives."""

LOWEST, HIGHEST = 1e-3, 1e4
"""Of every parameter: beyond them the likelihoods are flat, and a search that ends there met a limit."""
FLAT = 1e-4
"""The largest derivative, per customer and logarithm of a parameter, that counts as none at an optimum."""
STOPPING = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-7}
"""SciPy's own names: far closer than a parameter is known, so that a fit hardly depends on its start."""
NEAR_BOUND = 1.01
"""A factor: parameters that ended nearer to a bound are at it."""


def search(
    starts: Sequence[tuple[float, ...]], likelihood: Likelihood, rows: tuple[Array, ...], counts: Array
) -> tuple[Array, float, Array]:
    """The best end: parameters, minus the log-likelihood per customer, its derivatives by their logs."""
    n = counts.sum()

    def cost(logs: Array) -> tuple[float, Array]:
        values, total, gradient = np.exp(logs), 0.0, np.zeros(logs.size)
        for first in range(0, counts.size, CHUNK_ROWS):
            chunk = slice(first, first + CHUNK_ROWS)
            log_likelihood, slopes = likelihood(*(column[chunk] for column in rows), *values)
            total += np.sum(counts[chunk] * log_likelihood)
            gradient += [np.sum(counts[chunk] * slope) for slope in slopes]
        return -total / n, -gradient * values / n

    bounds = [(np.log(LOWEST), np.log(HIGHEST))] * len(starts[0])
    with np.errstate(all="ignore"):  # a step that overflows ends a search, and fault_of says so
        searches = [
            minimize(cost, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds, options=STOPPING)
            for start in starts
        ]
    best = min(searches, key=lambda search: search.fun if np.isfinite(search.fun) else np.inf)
    return np.exp(best.x), float(best.fun), np.asarray(best.jac)


def fault_of(cost: float, gradient: Array, values: Array, names: Sequence[str]) -> str:
    """
    Why the end of a search is no optimum; empty if it is one, or its limit: where customers differ less than
    chance, or nobody leaves, parameters grow or vanish without end, the likelihood stays as it is, and so do
    the expectations.
    """
    if not (np.isfinite(cost) and np.isfinite(gradient).all() and np.isfinite(values).all()):
        return "the likelihood is not finite"
    if values[0] < LOWEST * NEAR_BOUND:
        return f"no optimum: {names[0]} ran to its lower bound"
    if np.abs(gradient).max() > FLAT:
        return (
            f"no optimum: the derivative by {names[int(np.abs(gradient).argmax())]} "
            f"is {np.abs(gradient).max():.1e}"
        )
    return ""


def at_bound(values: Array) -> NDArray[np.bool_]:
    return (values < LOWEST * NEAR_BOUND) | (values > HIGHEST / NEAR_BOUND)
