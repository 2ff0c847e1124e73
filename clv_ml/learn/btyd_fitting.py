"""
Fits the parameters of buy-till-you-die models by maximum likelihood.

The likelihoods see a customer only through a few numbers, so customers with equal ones are fitted as one row
with a weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clv_ml.learn.btyd_likelihoods import bgnbd_likelihood, gammagamma_likelihood, paretonbd_likelihood
from clv_ml.learn.likelihood_search import Likelihood, at_bound, fault_of, search

Array = NDArray[np.float64]

MAX_GROUPS = 20_000
"""Distinct rows that are fitted at most, so that a fit takes as long in any shop."""
PILOT_GROUPS = 2_000
"""Distinct rows on which the search looks for its start: a tenth of the work."""
FEWEST_CUSTOMERS = 10
"""Below it four parameters follow single customers."""
BGNBD_USUAL, BGNBD_FAITHFUL = (0.5, 10.0, 1.0, 3.0), (0.25, 4.0, 3.0, 10.0)
"""
Starts (r, alpha in weeks, a, b): of the size of published fits, and where customers differ less in whether
they leave. A third start has the history's own pace.
"""
PARETONBD_USUAL = (0.5, 10.0, 0.5, 10.0)
"""The start (r, alpha in weeks, s, beta in weeks), likewise."""
GAMMAGAMMA_STARTS = ((2.0, 3.0, 1.0), (6.0, 4.0, 0.5), (0.5, 1.5, 1.0))
"""(p, q, gamma in mean orders): orders of one customer that vary as usual, hardly, and wildly."""


@dataclass(frozen=True)
class FittedModel:
    """
    What a fit found.

    Attributes:
        name: ``bgnbd``, ``paretonbd`` or ``gammagamma``.

        parameters: By the papers' names; weeks (alpha, beta) and currency (gamma).

        log_likelihood: Of all customers at those parameters, without constants that no parameter enters, as
            in the papers; scaled up from the sample where one was taken.

        converged: Whether the parameters may be used. If not, ``message`` says why.

        n: Customers fitted, with weights: their sum.
    """

    name: str
    parameters: dict[str, float]
    log_likelihood: float
    converged: bool
    message: str
    n: float


def fit_bgnbd(x: ArrayLike, t_x: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None) -> FittedModel:
    """
    Fits r, alpha, a and b.

    Args:
        x: Shape (n,), like all arguments. Repeat purchases.

        t_x: Weeks from the first purchase to the last one.

        age: Weeks from the first purchase to the date.

        weights: Customers with these numbers; 1 each if not given.

    Returns:
        The fit; ``converged`` is False for data without an optimum. Above 20,000 distinct rows it is fitted
        on 20,000 customers, evenly spaced in the order of (x, t_x, age).

    Source: Fader, Hardie and Lee (2005), equation (6).
    """
    rows, counts, n = _grouped(weights, x, t_x, age)
    starts = [BGNBD_USUAL, (1.0, _gap(rows, counts), 0.3, 1.5), BGNBD_FAITHFUL]
    names = ("r", "alpha", "a", "b")
    return _fit("bgnbd", names, starts, bgnbd_likelihood, rows, counts, n)


def fit_paretonbd(
    x: ArrayLike, t_x: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
) -> FittedModel:
    """
    Fits r, alpha, s and beta; arguments and result as for ``fit_bgnbd``.

    Source: Fader and Hardie (2005), "A note on deriving the Pareto/NBD model and related expressions".
    """
    rows, counts, n = _grouped(weights, x, t_x, age)
    starts = [PARETONBD_USUAL, (1.0, _gap(rows, counts), 0.3, 50.0)]
    names = ("r", "alpha", "s", "beta")
    return _fit("paretonbd", names, starts, paretonbd_likelihood, rows, counts, n)


def fit_gammagamma(x: ArrayLike, mean_value: ArrayLike, weights: ArrayLike | None = None) -> FittedModel:
    """
    Fits p, q and gamma. Not converged also if q is not above 1, where the mean value of an order does not
    exist.

    Args:
        x: Shape (n,), like all arguments. Orders that the mean was taken over, at least 1.

        mean_value: In currency, above 0.

        weights: Customers with these numbers; 1 each if not given.

    Returns:
        The fit. Above 20,000 distinct rows it is fitted on 20,000 customers, evenly spaced in the order of
        (x, mean_value).

    Source: Fader and Hardie (2013), "The Gamma-Gamma model of monetary value".
    """
    (orders, mean), counts, n = _grouped(weights, x, mean_value)
    unit = float(np.average(mean, weights=counts)) if counts.size else 1.0  # so that bounds fit any currency
    rows = (orders, mean / unit)
    fit = _fit("gammagamma", ("p", "q", "gamma"), GAMMAGAMMA_STARTS, gammagamma_likelihood, rows, counts, n)
    message = fit.message
    if fit.converged and fit.parameters["q"] <= 1:
        message = "q is not above 1: the mean value of an order does not exist"
    return FittedModel(
        name=fit.name,
        parameters=fit.parameters | {"gamma": fit.parameters["gamma"] * unit},
        log_likelihood=fit.log_likelihood - n * float(np.log(unit)),
        converged=fit.converged and fit.parameters["q"] > 1,
        message=message,
        n=n,
    )


def _grouped(weights: ArrayLike | None, *columns: ArrayLike) -> tuple[tuple[Array, ...], Array, float]:
    """
    Distinct rows in order, the customers of each, and how many there are; a sample where too many are
    distinct.
    """
    table = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    each = np.ones(len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (
        np.isfinite(table).all() and (table >= 0).all() and np.isfinite(each).all() and (each >= 0).all()
    ):
        raise ValueError("Statistics and weights must be finite and not negative; leave other customers out.")
    groups, group = np.unique(table, axis=0, return_inverse=True)
    counts = np.bincount(group.ravel(), weights=each, minlength=len(groups)).astype(np.float64)
    n = float(counts.sum())
    rows, counts = _sampled(tuple(np.ascontiguousarray(column) for column in groups.T), counts, MAX_GROUPS)
    return rows, counts, n


def _sampled(rows: tuple[Array, ...], counts: Array, most: int) -> tuple[tuple[Array, ...], Array]:
    """
    ``most`` customers, evenly spaced in the order of the rows, where there are more rows; rows of weight 0
    leave.
    """
    if counts.size > most:
        each = counts.sum() / most
        picked = np.searchsorted(np.cumsum(counts), (np.arange(most) + 0.5) * each)
        counts = np.bincount(picked, minlength=counts.size) * each
    kept = counts > 0
    return tuple(column[kept] for column in rows), counts[kept]


def _gap(rows: tuple[Array, ...], counts: Array) -> float:
    """Weeks of age per repeat purchase over all customers: a start for alpha at r = 1."""
    return float(np.clip((counts @ rows[2]) / max(counts @ rows[0], 1), 0.1, 1000))


def _fit(
    name: str,
    names: Sequence[str],
    starts: Sequence[tuple[float, ...]],
    likelihood: Likelihood,
    rows: tuple[Array, ...],
    counts: Array,
    n: float,
) -> FittedModel:
    """
    The best of the searches from each start; with many rows, a search from the best end on a small sample of
    them.

    ``likelihood`` takes rows and parameters, and gives each row's logarithm and its derivatives.
    """
    if n < FEWEST_CUSTOMERS:
        unknown = dict.fromkeys(names, float("nan"))
        return FittedModel(name, unknown, float("nan"), False, f"fewer than {FEWEST_CUSTOMERS} customers", n)
    if counts.size > PILOT_GROUPS:
        values, _, gradient = search(starts, likelihood, *_sampled(rows, counts, PILOT_GROUPS))
        if not fault_of(0.0, gradient, values, names) and not at_bound(values).any():
            starts = [tuple(values)]
    values, cost, gradient = search(starts, likelihood, rows, counts)
    fault = fault_of(cost, gradient, values, names)
    parameters = {key: float(value) for key, value in zip(names, values, strict=True)}
    return FittedModel(name, parameters, -cost * n, not fault, fault or "converged", n)
