"""
Fits the parameters of buy-till-you-die models by maximum likelihood.

Customers with equal numbers are fitted as one row with a weight. A likelihood gives the logarithm of each
row's, without constants that no parameter enters, and its derivatives by each parameter, of shape (n,).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, psi

from clv_ml.learn.btyd_integrals import log_left_integral
from clv_ml.learn.likelihood_search import Likelihood, at_bound, fault_of, search
from clv_ml.measure.metrics import Array

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
    What a fit of ``bgnbd``, ``paretonbd``, ``gammagamma`` or ``renewal`` found: parameters by the papers'
    names, in weeks (alpha, beta) and currency (gamma), and how many customers, ``n``, were fitted.

    ``log_likelihood`` is that of all of them, without constants that no parameter enters, as in the papers;
    scaled up from the sample where one was taken. ``converged`` is whether the parameters may be used; if
    not, ``message`` says why.
    """

    name: str
    parameters: dict[str, float]
    log_likelihood: float
    converged: bool
    message: str
    n: float


def fit_bgnbd(x: ArrayLike, t_x: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None) -> FittedModel:
    """
    Fits r, alpha, a and b on arguments of shape (n,), as in ``btyd``; ``weights`` counts the customers with
    these numbers, 1 each if not given.

    Not converged for data without an optimum. Above 20,000 distinct rows it is fitted on 20,000 customers,
    evenly spaced in the order of the arguments.

    Source: Fader, Hardie and Lee (2005), equation (6).
    """
    rows, counts, n = grouped(weights, x, t_x, age)
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
    rows, counts, n = grouped(weights, x, t_x, age)
    starts = [PARETONBD_USUAL, (1.0, _gap(rows, counts), 0.3, 50.0)]
    names = ("r", "alpha", "s", "beta")
    return _fit("paretonbd", names, starts, paretonbd_likelihood, rows, counts, n)


def fit_gammagamma(x: ArrayLike, mean_value: ArrayLike, weights: ArrayLike | None = None) -> FittedModel:
    """
    Fits p, q and gamma, likewise. Not converged also if q is not above 1, where the mean value of an order
    does not exist.

    Args:
        x: Orders that the mean was taken over, at least 1.
        mean_value: In currency, above 0.

    Source: Fader and Hardie (2013), "The Gamma-Gamma model of monetary value".
    """
    (orders, mean), counts, n = grouped(weights, x, mean_value)
    unit = float(np.average(mean, weights=counts)) if counts.size else 1.0  # so that bounds fit any currency
    rows = (orders, mean / unit)
    fit = _fit("gammagamma", ("p", "q", "gamma"), GAMMAGAMMA_STARTS, gammagamma_likelihood, rows, counts, n)
    if fit.converged and fit.parameters["q"] <= 1:
        fault = "q is not above 1: the mean value of an order does not exist"
        fit = replace(fit, converged=False, message=fault)
    parameters = fit.parameters | {"gamma": fit.parameters["gamma"] * unit}
    return replace(fit, parameters=parameters, log_likelihood=fit.log_likelihood - n * float(np.log(unit)))


def grouped(weights: ArrayLike | None, *columns: ArrayLike) -> tuple[tuple[Array, ...], Array, float]:
    """Distinct rows in order, the customers of each, and how many in all; a sample of too many rows."""
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
    """``most`` customers, evenly spaced in the order of the rows, of more rows; rows of weight 0 leave."""
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


def bgnbd_likelihood(
    x: Array, t_x: Array, age: Array, r: float, alpha: float, a: float, b: float
) -> tuple[Array, list[Array]]:
    again = x > 0
    stay, leave = alpha + age, alpha + t_x
    last = np.where(again, b + x - 1, 1)
    log_stayed = -(r + x) * np.log(stay)
    log_left = np.where(again, np.log(a) - np.log(last) - (r + x) * np.log(leave), -np.inf)
    either = np.logaddexp(log_stayed, log_left)
    stayed, left = np.exp(log_stayed - either), np.exp(log_left - either)
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    chance = gammaln(a + b) - gammaln(b) + gammaln(b + x) - gammaln(a + b + x)
    return common + chance + either, [
        psi(r + x) - psi(r) + np.log(alpha) - stayed * np.log(stay) - left * np.log(leave),
        r / alpha - (r + x) * (stayed / stay + left / leave),
        psi(a + b) - psi(a + b + x) + left / a,
        psi(a + b) - psi(b) + psi(b + x) - psi(a + b + x) - left / last,
    ]


def paretonbd_likelihood(
    x: Array, t_x: Array, age: Array, r: float, alpha: float, s: float, beta: float
) -> tuple[Array, list[Array]]:
    log_integral, y, share = log_left_integral(x, t_x, age, r, alpha, s, beta)
    buying, leaving = alpha + age, beta + age
    log_stayed = -(r + x) * np.log(buying) - s * np.log(leaving)
    log_left = np.log(s) + log_integral
    either = np.logaddexp(log_stayed, log_left)
    stayed, left = np.exp(log_stayed - either), np.exp(log_left - either)
    mean = lambda values: (share * values).sum(axis=1)  # noqa: E731
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return common + either, [
        psi(r + x) - psi(r) + np.log(alpha) - stayed * np.log(buying) - left * mean(np.log(alpha + y)),
        r / alpha - (r + x) * (stayed / buying + left * mean(1 / (alpha + y))),
        np.log(beta) - stayed * np.log(leaving) + left * (1 / s - mean(np.log(beta + y))),
        s / beta - stayed * s / leaving - left * (s + 1) * mean(1 / (beta + y)),
    ]


def gammagamma_likelihood(
    x: Array, mean: Array, p: float, q: float, gamma: float
) -> tuple[Array, list[Array]]:
    spent, shape = x * mean, p * x
    scale = np.log(gamma + spent)
    log_likelihood = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma)
    log_likelihood += (shape - 1) * np.log(mean) + shape * np.log(x) - (shape + q) * scale
    both = psi(shape + q)
    return log_likelihood, [
        x * (both - psi(shape) + np.log(spent) - scale),
        both - psi(q) + np.log(gamma) - scale,
        q / gamma - (shape + q) / (gamma + spent),
    ]
