"""
Buy-till-you-die models: what a customer's past purchases say of the next ones.

BG/NBD (Fader, Hardie and Lee 2005), Pareto/NBD (Schmittlein, Morrison and Colombo 1987, in the form of Fader
and Hardie 2005) and Gamma-Gamma (Fader and Hardie 2013). Times are weeks. The parameters are arguments:
``btyd_fitting`` fits them, ``btyd_functions`` offers the formulas to SQL.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from clv_ml.learn.btyd_integrals import beta_nodes, log_left_integral

Array = NDArray[np.float64]
Kernel = Callable[..., Array]

CHUNK_ROWS = 2_048
"""One batch of DuckDB: the quadrature's nodes of so many rows stay in the processor's cache."""


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
    leave, weight = beta_nodes(a, b + x, scale=1 + b + x + (r + x) * share[:, 0])
    bought = -np.expm1(-shape * np.log1p(leave * share)) / leave
    mean = (weight * bought).sum(axis=1) / weight.sum(axis=1)
    return mean * _bgnbd_alive(x, t_x, age, r, alpha, a, b)


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


def _chunked(kernel: Kernel, rows: tuple[Array, ...]) -> Array:
    """The kernel on rows without a NaN, a chunk at a time; NaN elsewhere."""
    known = ~np.isnan(rows).any(axis=0)
    whole = [np.ascontiguousarray(row[known]) for row in rows]
    count = int(known.sum())
    result = np.full(known.shape, np.nan)
    chunks = [
        kernel(*(row[first : first + CHUNK_ROWS] for row in whole)) for first in range(0, count, CHUNK_ROWS)
    ]
    if chunks:
        result[known] = np.concatenate(chunks)
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
