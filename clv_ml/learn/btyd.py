"""
Buy-till-you-die models: what a customer's past purchases say of the next ones.

BG/NBD (Fader, Hardie and Lee 2005) and Pareto/NBD (Schmittlein, Morrison and Colombo 1987, in the form of
Fader and Hardie 2005). ``btyd_fitting`` fits the parameters, ``btyd_functions`` offers the formulas to SQL.

Arguments are arrays of shape (n,), or a number for all rows; times are weeks:

- ``x``: repeat purchases; the first one is not counted.
- ``t_x``, ``age``: from the first purchase to the last one, and to the date; ``horizon``: from there on.
- ``r``, ``alpha``: shape and rate of the gamma distribution of purchase rates.
- ``a``, ``b``: of the beta distribution of the chance to leave after a repeat purchase.
- ``s``, ``beta``: shape and rate of the gamma distribution of leaving rates.

Results have shape (n,), NaN where an argument is. A number that is infinite or outside its range is refused
with a ValueError that names the first such row.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from clv_ml.learn.btyd_integrals import beta_nodes, log_left_integral
from clv_ml.measure.metrics import Array

Kernel = Callable[..., Array]

CHUNK_ROWS = 2_048
"""One batch of DuckDB: the quadrature's nodes of so many rows stay in the processor's cache."""
HISTORY = ("x", "t_x", "age", "horizon", "silent", "log_gap")
"""Arguments that may be 0; parameters must lie above."""


def formula(kernel: Kernel) -> Kernel:
    """The kernel on numbers or arrays: each within its range, rows without a NaN, a chunk at a time."""
    names = tuple(signature(kernel).parameters)

    @wraps(kernel)
    def checked(*arguments: ArrayLike) -> Array:
        rows = _rows(names, arguments)
        known = ~np.isnan(rows).any(axis=0)
        whole = [np.ascontiguousarray(row[known]) for row in rows]
        result = np.full(known.shape, np.nan)
        starts = range(0, int(known.sum()), CHUNK_ROWS)
        if chunks := [kernel(*(row[first : first + CHUNK_ROWS] for row in whole)) for first in starts]:
            result[known] = np.concatenate(chunks)
        return result

    return checked


@formula
def bgnbd_alive(x: Array, t_x: Array, age: Array, r: Array, alpha: Array, a: Array, b: Array) -> Array:
    """
    Chance under BG/NBD that the customer is still active: 1 for x = 0, since nobody leaves before a repeat
    purchase.

    Source: Fader, Hardie and Lee (2008), "Computing P(alive) using the BG/NBD model".
    """
    repeats = np.maximum(x, 1)
    silence = np.log((alpha + age) / (alpha + t_x))
    odds = np.log(a) - np.log(b + repeats - 1) + (r + repeats) * silence
    return np.where(x > 0, expit(-odds), 1.0)


@formula
def bgnbd_expected_purchases(
    x: Array, t_x: Array, age: Array, horizon: Array, r: Array, alpha: Array, a: Array, b: Array
) -> Array:
    """
    Purchases expected under BG/NBD in the horizon, from 0 to (r + x) x horizon / (alpha + age).

    Source: Fader, Hardie and Lee (2005), equation (10), before the integration over the chance p to leave: an
    active customer buys (1 - (1 + p horizon / (alpha + age))^-(r + x)) / p times, p ~ beta(a, b + x). So a =
    1 is no special case.
    """
    shape, share = (r + x)[:, None], (horizon / (alpha + age))[:, None]
    leave, weight = beta_nodes(a, b + x, scale=1 + b + x + (r + x) * share[:, 0])
    bought = -np.expm1(-shape * np.log1p(leave * share)) / leave
    mean = (weight * bought).sum(axis=1) / weight.sum(axis=1)
    return mean * bgnbd_alive(x, t_x, age, r, alpha, a, b)


@formula
def paretonbd_alive(x: Array, t_x: Array, age: Array, r: Array, alpha: Array, s: Array, beta: Array) -> Array:
    """
    Chance under Pareto/NBD that the customer is still active.

    Source: Fader and Hardie (2005), "A note on deriving the Pareto/NBD model and related expressions".
    """
    left = log_left_integral(x, t_x, age, r, alpha, s, beta)[0]
    return expit(-(np.log(s) + left + (r + x) * np.log(alpha + age) + s * np.log(beta + age)))


@formula
def paretonbd_expected_purchases(
    x: Array, t_x: Array, age: Array, horizon: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> Array:
    """
    Purchases expected under Pareto/NBD in the horizon, from 0 to (r + x) x horizon / (alpha + age).

    Source: Fader and Hardie (2005), the conditional expectation, written so that s = 1 is no special case.
    """
    grown = np.log1p(horizon / (beta + age))
    excess = np.where(np.abs(s - 1) * grown < 1e-9, 1e-9, s - 1)
    discounted = np.where(excess == 1e-9, grown, -np.expm1(-excess * grown) / excess)
    mean = (r + x) * (beta + age) / (alpha + age) * discounted
    return mean * paretonbd_alive(x, t_x, age, r, alpha, s, beta)


def _rows(names: tuple[str, ...], arguments: tuple[ArrayLike, ...]) -> tuple[Array, ...]:
    """The arguments as arrays of one length, in order, each within its range."""
    given = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in arguments))
    named = {name: np.atleast_1d(values) for name, values in zip(names, given, strict=True)}
    for name, values in named.items():
        _check(name, values, positive=name not in HISTORY)
    if "t_x" in named:
        _check("age - t_x", named["age"] - named["t_x"], positive=False)
    return tuple(named.values())


def _check(name: str, values: Array, *, positive: bool) -> None:
    bad = np.isinf(values) | (values <= 0 if positive else values < 0)
    if bad.any():
        raise ValueError(
            f"{name} must be finite and {'positive' if positive else 'not negative'}; {bad.sum()} of "
            f"{bad.size} rows are not, the first at row {bad.argmax()} ({values[bad.argmax()]})."
        )
