"""
Fits the parameters of ``btyd`` by maximum likelihood, and keeps them per date in the table
``fitted_parameters``.

The likelihoods see a customer only through a few numbers, so customers with equal ones are fitted as one row
with a weight. The search runs over the logarithms of the parameters with exact derivatives (L-BFGS-B), from
several starts.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, psi

from clv_ml.learn.btyd import CHUNK_ROWS, log_left_integral
from clv_ml.learn.threads import one_blas_thread

Array = NDArray[np.float64]
Likelihood = Callable[..., tuple[Array, list[Array]]]

LOWEST, HIGHEST = 1e-3, 1e4  # of every parameter; an end there is a limit where the likelihood is flat
FLAT = 1e-4  # largest derivative, per customer and logarithm of a parameter, at an optimum
MAX_GROUPS = 20_000
PILOT_GROUPS = 2_000  # where the search looks for a start
FEWEST_CUSTOMERS = 10
DAYS_A_WEEK = 7.0
MARKER = "btyd_customers"


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
    starts = [(0.5, 10.0, 1.0, 3.0), (1.0, _gap(rows, counts), 0.3, 1.5), (0.25, 4.0, 3.0, 10.0)]
    names = ("r", "alpha", "a", "b")
    return _fit("bgnbd", names, starts, _bgnbd_likelihood, rows, counts, n)


def fit_paretonbd(
    x: ArrayLike, t_x: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
) -> FittedModel:
    """
    Fits r, alpha, s and beta; arguments and result as for ``fit_bgnbd``.

    Source: Fader and Hardie (2005), "A note on deriving the Pareto/NBD model and related expressions".
    """
    rows, counts, n = _grouped(weights, x, t_x, age)
    starts = [(0.5, 10.0, 0.5, 10.0), (1.0, _gap(rows, counts), 0.3, 50.0)]
    names = ("r", "alpha", "s", "beta")
    return _fit("paretonbd", names, starts, _paretonbd_likelihood, rows, counts, n)


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
    starts = [(2.0, 3.0, 1.0), (6.0, 4.0, 0.5), (0.5, 1.5, 1.0)]
    rows = (orders, mean / unit)
    fit = _fit("gammagamma", ("p", "q", "gamma"), starts, _gammagamma_likelihood, rows, counts, n)
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


def fit_date(connection: duckdb.DuckDBPyConnection, as_of_date: dt.date) -> dict[str, float]:
    """
    Fits all three models on what ``customer_rfm`` says of the date.

    Returns:
        Parameters by name (``bgnbd_r``, ``paretonbd_alpha``, ``gammagamma_gamma``), of the models that
        converged.

    Raises:
        duckdb.Error: If the table is absent.
    """
    parameters, _ = _fit_customers(connection, as_of_date)
    return parameters


def fit_missing_dates(connection: duckdb.DuckDBPyConnection) -> list[dt.date]:
    """
    Fits the grid dates of ``as_of_dates`` whose features have no fit yet, or have changed since, into
    ``fitted_parameters``, one transaction a date.

    A date is done once it has a row ``btyd_customers``, the number of customers fitted on, which is written
    even where no model converged. A date without customers is left for later.

    Returns:
        The dates written, in order.

    Raises:
        duckdb.Error: If a table is absent or the connection cannot write; the dates before stay written.
    """
    missing = connection.execute(
        """
        select dates.as_of_date, dates.build_hash
        from as_of_dates as dates
        left join
            fitted_parameters as fitted
            on fitted.fitted_as_of = dates.as_of_date
            and fitted.build_hash = dates.build_hash
            and fitted.name = ?
        where dates.is_grid and fitted.fitted_as_of is null
        order by dates.as_of_date
        """,
        [MARKER],
    ).fetchall()
    written = []
    for date, build_hash in missing:
        parameters, customers = _fit_customers(connection, date)
        if customers:
            _write(connection, date, build_hash, {**parameters, MARKER: float(customers)})
            written.append(date)
    return written


def _write(
    connection: duckdb.DuckDBPyConnection, date: dt.date, build_hash: str, values: dict[str, float]
) -> None:
    rows = [(date, build_hash, name, value) for name, value in sorted(values.items())]
    connection.execute("begin transaction")
    try:
        connection.execute("delete from fitted_parameters where fitted_as_of = ?", [date])
        connection.executemany("insert into fitted_parameters values (?, ?, ?, ?)", rows)
        connection.execute("commit")
    except duckdb.Error:
        connection.execute("rollback")
        raise


@one_blas_thread
def _fit_customers(
    connection: duckdb.DuckDBPyConnection, as_of_date: dt.date
) -> tuple[dict[str, float], int]:
    """The converged parameters, and on how many customers they were fitted."""
    found = connection.execute(
        """
        select
            cast(total_purchases as double) as purchases,
            cast(days_since_first_purchase - days_since_last_purchase as double) as active_days,
            cast(days_since_first_purchase as double) as age_days,
            cast(total_revenue as double) as revenue,
            cast(count(*) as double) as customers
        from customer_rfm
        where as_of_date = ? and total_purchases > 0
        group by total_purchases, days_since_first_purchase, days_since_last_purchase, total_revenue
        """,
        [as_of_date],
    ).fetchnumpy()
    purchases, active, age, revenue, customers = (np.asarray(column) for column in found.values())
    history = (purchases - 1, active / DAYS_A_WEEK, age / DAYS_A_WEEK, customers)
    paid = revenue > 0
    value = (purchases[paid], revenue[paid] / purchases[paid], customers[paid])
    fits = [fit_bgnbd(*history), fit_paretonbd(*history), fit_gammagamma(*value)]
    parameters = {
        f"{fit.name}_{name}": value for fit in fits if fit.converged for name, value in fit.parameters.items()
    }
    return parameters, int(customers.sum())


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
        values, _, gradient = _search(starts, likelihood, *_sampled(rows, counts, PILOT_GROUPS))
        if not _fault(0.0, gradient, values, names) and not _at_bound(values).any():
            starts = [tuple(values)]
    values, cost, gradient = _search(starts, likelihood, rows, counts)
    fault = _fault(cost, gradient, values, names)
    parameters = {key: float(value) for key, value in zip(names, values, strict=True)}
    return FittedModel(name, parameters, -cost * n, not fault, fault or "converged", n)


def _search(
    starts: Sequence[tuple[float, ...]], likelihood: Likelihood, rows: tuple[Array, ...], counts: Array
) -> tuple[Array, float, Array]:
    """
    The best end found: parameters, minus the log-likelihood per customer, its derivatives by their
    logarithms.
    """
    n = counts.sum()

    def cost(logs: Array) -> tuple[float, Array]:
        values, total, gradient = np.exp(logs), 0.0, np.zeros(logs.size)
        for first in range(0, counts.size, CHUNK_ROWS):
            part = slice(first, first + CHUNK_ROWS)
            log_likelihood, slopes = likelihood(*(column[part] for column in rows), *values)
            total += np.sum(counts[part] * log_likelihood)
            gradient += [np.sum(counts[part] * slope) for slope in slopes]
        return -total / n, -gradient * values / n

    bounds = [(np.log(LOWEST), np.log(HIGHEST))] * len(starts[0])
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-7}
    with np.errstate(all="ignore"):  # a step that overflows ends a search, and _fault says so
        searches = [
            minimize(cost, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            for start in starts
        ]
    best = min(searches, key=lambda search: search.fun if np.isfinite(search.fun) else np.inf)
    return np.exp(best.x), float(best.fun), np.asarray(best.jac)


def _fault(cost: float, gradient: Array, values: Array, names: Sequence[str]) -> str:
    """
    Why the end of a search is no optimum; empty if it is one, or its limit: where customers differ less than
    chance, or nobody leaves, parameters grow or vanish without end, the likelihood stays as it is, and so do
    the expectations.
    """
    if not (np.isfinite(cost) and np.isfinite(gradient).all() and np.isfinite(values).all()):
        return "the likelihood is not finite"
    if values[0] < LOWEST * 1.01:
        return f"no optimum: {names[0]} ran to its lower bound"
    if np.abs(gradient).max() > FLAT:
        return (
            f"no optimum: the derivative by {names[int(np.abs(gradient).argmax())]} "
            f"is {np.abs(gradient).max():.1e}"
        )
    return ""


def _at_bound(values: Array) -> NDArray[np.bool_]:
    return (values < LOWEST * 1.01) | (values > HIGHEST / 1.01)


def _bgnbd_likelihood(
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


def _paretonbd_likelihood(
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


def _gammagamma_likelihood(
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
