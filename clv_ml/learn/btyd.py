"""
Buy-till-you-die models: what a customer's past purchases say of the next ones, and the same as SQL functions.

BG/NBD (Fader, Hardie and Lee 2005), Pareto/NBD (Schmittlein, Morrison and Colombo 1987, in the form of Fader
and Hardie 2005) and Gamma-Gamma (Fader and Hardie 2013). Times are weeks; the parameters are arguments,
fitted in ``btyd_fitting``. The papers' 2F1 overflows, or loses its digits in a difference, for frequent
buyers. Both of its uses are integrals of something positive, and are computed as such here: the result is a
weighted mean with positive weights, which can neither overflow nor leave its range.
"""

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import ARROW, SPECIAL
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Kernel = Callable[..., Array]

CHUNK_ROWS = 2_048  # one batch of DuckDB; keeps the nodes of a chunk in the processor's cache
DECIMALS = 9  # of what SQL sees, far above the quadrature's error
NEGLIGIBLE = 40.0  # exp(-40): where an integrand is cut off, relative to its peak
BETA_NODES = 72
LEGENDRE_NODES, LEGENDRE_WEIGHTS = (half / 2 for half in np.polynomial.legendre.leggauss(32))
LEGENDRE_NODES = LEGENDRE_NODES + 0.5  # on (0, 1), weights sum to 1


def bgnbd_alive(
    x: ArrayLike, t_x: ArrayLike, age: ArrayLike, r: ArrayLike, alpha: ArrayLike, a: ArrayLike, b: ArrayLike
) -> Array:
    """
    Chance under BG/NBD that the customer is still active.

    Args:
        x: Shape (n,), like all arguments (or a number for all rows). Repeat purchases; the first is not
            counted.

        t_x: Weeks from the first purchase to the last one, between 0 and ``age``.

        age: Weeks from the first purchase to the date.

        r, alpha: Shape and rate (weeks) of the gamma distribution of purchase rates.

        a, b: Of the beta distribution of the chance to leave after a repeat purchase.

    Returns:
        Shape (n,), between 0 and 1; 1 for x = 0, since nobody leaves before a repeat purchase. NaN where an
        argument is.

    Raises:
        ValueError: If a number is infinite or outside its range, with the first such row.

    Source: Fader, Hardie and Lee (2008), "Computing P(alive) using the BG/NBD model".
    """
    rows = _rows({"x": x, "t_x": t_x, "age": age}, {"r": r, "alpha": alpha, "a": a, "b": b})
    return _chunked(_bgnbd_alive, rows)


def bgnbd_expected_purchases(
    x: ArrayLike,
    t_x: ArrayLike,
    age: ArrayLike,
    horizon: ArrayLike,
    r: ArrayLike,
    alpha: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
) -> Array:
    """
    Purchases expected under BG/NBD in the next ``horizon`` weeks; the other arguments as for ``bgnbd_alive``.

    Returns:
        Shape (n,), from 0 to (r + x) x horizon / (alpha + age). NaN where an argument is.

    Raises:
        ValueError: If a number is infinite or outside its range, with the first such row.

    Source: Fader, Hardie and Lee (2005), equation (10), before the integration over the chance p to leave: an
    active customer buys (1 - (1 + p horizon / (alpha + age))^-(r + x)) / p times, p ~ beta(a, b + x). So a =
    1 is no special case.
    """
    rows = _rows(
        {"x": x, "t_x": t_x, "age": age, "horizon": horizon}, {"r": r, "alpha": alpha, "a": a, "b": b}
    )
    return _chunked(_bgnbd_purchases, rows)


def paretonbd_alive(
    x: ArrayLike,
    t_x: ArrayLike,
    age: ArrayLike,
    r: ArrayLike,
    alpha: ArrayLike,
    s: ArrayLike,
    beta: ArrayLike,
) -> Array:
    """
    Chance under Pareto/NBD that the customer is still active.

    Args:
        x, t_x, age: As for ``bgnbd_alive``.

        r, alpha: Shape and rate (weeks) of the gamma distribution of purchase rates.

        s, beta: Shape and rate (weeks) of the gamma distribution of leaving rates.

    Returns:
        Shape (n,), between 0 and 1. NaN where an argument is.

    Raises:
        ValueError: If a number is infinite or outside its range, with the first such row.

    Source: Fader and Hardie (2005), "A note on deriving the Pareto/NBD model and related expressions".
    """
    rows = _rows({"x": x, "t_x": t_x, "age": age}, {"r": r, "alpha": alpha, "s": s, "beta": beta})
    return _chunked(_paretonbd_alive, rows)


def paretonbd_expected_purchases(
    x: ArrayLike,
    t_x: ArrayLike,
    age: ArrayLike,
    horizon: ArrayLike,
    r: ArrayLike,
    alpha: ArrayLike,
    s: ArrayLike,
    beta: ArrayLike,
) -> Array:
    """
    Purchases expected under Pareto/NBD in the next ``horizon`` weeks; the other arguments as for
    ``paretonbd_alive``.

    Returns:
        Shape (n,), from 0 to (r + x) x horizon / (alpha + age). NaN where an argument is.

    Raises:
        ValueError: If a number is infinite or outside its range, with the first such row.

    Source: Fader and Hardie (2005), the conditional expectation, written so that s = 1 is no special case.
    """
    rows = _rows(
        {"x": x, "t_x": t_x, "age": age, "horizon": horizon}, {"r": r, "alpha": alpha, "s": s, "beta": beta}
    )
    return _chunked(_paretonbd_purchases, rows)


def gammagamma_expected_value(
    x: ArrayLike, mean_value: ArrayLike, p: ArrayLike, q: ArrayLike, gamma: ArrayLike
) -> Array:
    """
    The customer's expected value of an order under Gamma-Gamma: own mean and shop's mean, weighed by p x and
    q - 1.

    Args:
        x: Shape (n,), like all arguments (or a number for all rows). Orders that the mean was taken over; may
            be 0.

        mean_value: In currency. Ignored for x = 0; a negative one (more refunds than sales) counts as 0.

        p, q, gamma: Shapes of an order's value and of the customers' scale; gamma in currency.

    Returns:
        Shape (n,), in currency, never negative. NaN where an argument that is used is.

    Raises:
        ValueError: If a number is infinite or outside its range, or q is not above 1: then no shop's mean
            exists.

    Source: Fader and Hardie (2013), "The Gamma-Gamma model of monetary value".
    """
    orders, mean, p_, q_, gamma_ = _rows({"x": x}, {}) + _broadcast(mean_value, p, q, gamma)
    _check_all({"p": p_, "q - 1": q_ - 1, "gamma": gamma_}, positive=True)
    spent = np.where(orders > 0, orders * np.maximum(mean, 0), 0)
    return p_ * (gamma_ + spent) / (p_ * orders + q_ - 1)


def _bgnbd_alive(x: Array, t_x: Array, age: Array, r: Array, alpha: Array, a: Array, b: Array) -> Array:
    repeats = np.maximum(x, 1)
    silence = np.log((alpha + age) / (alpha + t_x))
    odds = np.log(a) - np.log(b + repeats - 1) + (r + repeats) * silence
    return np.where(x > 0, expit(-odds), 1.0)


def _bgnbd_purchases(
    x: Array, t_x: Array, age: Array, horizon: Array, r: Array, alpha: Array, a: Array, b: Array
) -> Array:
    shape, share = (r + x)[:, None], (horizon / (alpha + age))[:, None]
    leave, weight = _beta_nodes(a, b + x, scale=1 + b + x + (r + x) * share[:, 0])
    bought = -np.expm1(-shape * np.log1p(leave * share)) / leave
    mean = (weight * bought).sum(axis=1) / weight.sum(axis=1)
    return mean * _bgnbd_alive(x, t_x, age, r, alpha, a, b)


def _beta_nodes(a: Array, m: Array, scale: Array) -> tuple[Array, Array]:
    """
    Values of p ~ beta(a, m) and their weights, shape (n, nodes), for means of functions that vary where p ~
    1/scale.

    Trapezoids in v, where ln(p / (1 - p)) = w(v) runs straight between the scale and 1 and exponentially
    beyond, so that the tails p^a and (1 - p)^m take few nodes however small a and m are (double-exponential
    quadrature, Takahasi and Mori 1974). The range holds all but exp(-40) of the density.
    """
    centre = -np.log(scale)
    turn = 2 - centre
    spread = 1 / a + 1 / m
    reach = np.minimum(np.sqrt(2 * NEGLIGIBLE * spread), np.log1p(100 * spread))
    mode = np.log(a) - np.log(m)
    low = _straightened(mode - NEGLIGIBLE / a - reach - centre, turn, outer=0)
    high = _straightened(mode + NEGLIGIBLE / m + reach - centre, turn, outer=1)
    v = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, BETA_NODES)
    left, right = np.exp(-v), np.exp(v - turn[:, None])
    w = centre[:, None] + v - left + right
    density = a[:, None] * w - (a + m)[:, None] * np.logaddexp(0, w)
    weight = np.exp(density - density.max(axis=1, keepdims=True)) * (1 + left + right)
    return np.maximum(expit(w), 1e-200), weight


def _straightened(w: Array, turn: Array, outer: int) -> Array:
    """The v of a w, to within a hundredth and on the outer side, by bisection (w grows with v)."""
    bounds = [np.full_like(w, -20.0), turn + 20]
    for _ in range(12):
        middle = (bounds[0] + bounds[1]) / 2
        above = middle - np.exp(-middle) + np.exp(middle - turn) > w
        bounds = [np.where(above, bounds[0], middle), np.where(above, middle, bounds[1])]
    return bounds[outer]


def _paretonbd_alive(
    x: Array, t_x: Array, age: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> Array:
    left = log_left_integral(x, t_x, age, r, alpha, s, beta)[0]
    return expit(-(np.log(s) + left + (r + x) * np.log(alpha + age) + s * np.log(beta + age)))


def _paretonbd_purchases(
    x: Array, t_x: Array, age: Array, horizon: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> Array:
    grown = np.log1p(horizon / (beta + age))
    excess = np.where(np.abs(s - 1) * grown < 1e-9, 1e-9, s - 1)
    discounted = np.where(excess == 1e-9, grown, -np.expm1(-excess * grown) / excess)
    mean = (r + x) * (beta + age) / (alpha + age) * discounted
    return mean * _paretonbd_alive(x, t_x, age, r, alpha, s, beta)


def log_left_integral(
    x: Array,
    t_x: Array,
    age: Array,
    r: Array | float,
    alpha: Array | float,
    s: Array | float,
    beta: Array | float,
) -> tuple[Array, Array, Array]:
    """
    ln of the integral of (alpha + y)^-(r + x) (beta + y)^-(s + 1) over y from t_x to age.

    It stands for those who left at y, and replaces A0 of the papers, a difference of two 2F1: A0 s / (r + s +
    x) is s times this. Gauss-Legendre in ln(c + y), c the smaller of alpha and beta, where the integrand is
    log-concave, over the part of the range that is not negligible.

    Args:
        x, t_x, age: Shape (n,). The parameters have that shape too, or are numbers.

    Returns:
        The logarithm, shape (n,); the nodes y and their shares of the integral, shape (n, nodes), for
        derivatives.
    """
    start = np.minimum(alpha, beta) + t_x
    length = np.log1p((age - t_x) / start)
    decay = (r + x) * start / (alpha + t_x) + (s + 1) * start / (beta + t_x) - 1
    length = np.where(decay * length > NEGLIGIBLE, NEGLIGIBLE / np.maximum(decay, 1e-9), length)
    length = np.maximum(length, 1e-300)
    stretched = length[:, None] * LEGENDRE_NODES
    y = t_x[:, None] + start[:, None] * np.expm1(stretched)
    power, other = np.broadcast_to(r + x, x.shape)[:, None], np.broadcast_to(s + 1, x.shape)[:, None]
    log_term = stretched - power * np.log(_column(alpha) + y) - other * np.log(_column(beta) + y)
    peak = log_term.max(axis=1)
    share = np.exp(log_term - peak[:, None]) * LEGENDRE_WEIGHTS
    total = share.sum(axis=1)
    return np.log(total) + peak + np.log(length) + np.log(start), y, share / total[:, None]


def _column(value: Array | float) -> Array | float:
    return value[:, None] if isinstance(value, np.ndarray) else value


def _chunked(kernel: Kernel, rows: tuple[Array, ...]) -> Array:
    """The kernel on rows without a NaN, a chunk at a time; NaN elsewhere."""
    known = ~np.isnan(rows).any(axis=0)
    whole = [np.ascontiguousarray(row[known]) for row in rows]
    count = int(known.sum())
    result = np.full(known.shape, np.nan)
    parts = [
        kernel(*(row[first : first + CHUNK_ROWS] for row in whole)) for first in range(0, count, CHUNK_ROWS)
    ]
    if parts:
        result[known] = np.concatenate(parts)
    return result


def _broadcast(*values: ArrayLike) -> tuple[Array, ...]:
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    return tuple(np.atleast_1d(array) for array in arrays)


def _rows(history: dict[str, ArrayLike], parameters: dict[str, ArrayLike]) -> tuple[Array, ...]:
    """The arguments as arrays of one length, in order, each within its range."""
    arrays = _broadcast(*history.values(), *parameters.values())
    named = dict(zip([*history, *parameters], arrays, strict=True))
    _check_all({name: named[name] for name in history}, positive=False)
    _check_all({name: named[name] for name in parameters}, positive=True)
    if "t_x" in named:
        _check("age - t_x", named["age"] - named["t_x"], positive=False)
    return arrays


def _check_all(named: dict[str, Array], *, positive: bool) -> None:
    for name, values in named.items():
        _check(name, values, positive=positive)


def _check(name: str, values: Array, *, positive: bool) -> None:
    bad = np.isinf(values) | (values <= 0 if positive else values < 0)
    if bad.any():
        raise ValueError(
            f"{name} must be finite and {'positive' if positive else 'not negative'}; {bad.sum()} of "
            f"{bad.size} rows are not, the first at row {bad.argmax()} ({values[bad.argmax()]})."
        )


FUNCTIONS: dict[str, tuple[Kernel, int]] = {
    "clv_bgnbd_purchases": (bgnbd_expected_purchases, 8),
    "clv_bgnbd_alive": (bgnbd_alive, 7),
    "clv_paretonbd_purchases": (paretonbd_expected_purchases, 8),
    "clv_paretonbd_alive": (paretonbd_alive, 7),
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
    """
    Gives the connection each of ``FUNCTIONS`` as a pure SQL function of doubles, NULL where an argument is
    NULL.
    """
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
