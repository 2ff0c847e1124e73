"""
Shapley values of a sum of products, exactly.

A coalition of players is worth the sum over parts of a product, in which each player of the coalition has its
value now, and each other one its value at the base. A player's Shapley value is its mean change over all
orders in which players may come; of a product that is the integral over t in [0, 1] of (now - base) times all
others at base + t x (now - base). The integrand is a polynomial of t, of one degree less than there are
players, so Gauss and Legendre's rule with half as many nodes is exact.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from clv_ml.measure.metrics import Array

Part = Mapping[int, tuple[Array, Array]]
"""What players multiply one part by, at the base and now, of shape (n,) each; players who are not here, 1."""
ROWS = 2048
"""At once, so that all players of them stay in the processor's cache."""


def product_changes(logs: Array, parts: Sequence[Part]) -> Array:
    """
    The players' Shapley values, shape (n, K), from the logarithms of what each multiplies all parts by, of
    shape (n, K), 0 at the base.
    """
    values = np.empty(logs.shape)
    for start in range(0, len(logs), ROWS):
        block = slice(start, start + ROWS)
        cut = [{one: (base[block], now[block]) for one, (base, now) in part.items()} for part in parts]
        values[block] = _block_changes(np.ascontiguousarray(logs[block].T), cut).T
    return values


def _block_changes(logs: Array, parts: Sequence[Part]) -> Array:
    """The same from and in shape (K, n)."""
    values, ratios = np.zeros_like(logs), np.exp(logs)
    inside = sorted({player for part in parts for player in part})
    outside = [player for player in range(len(logs)) if player not in inside]
    rises = np.expm1(logs[outside])
    one = (np.ones(1), np.ones(1))
    ends = [
        [(part.get(player, one)[0], part.get(player, one)[1] * ratios[player]) for player in inside]
        for part in parts
    ]
    for at, weight in _nodes((len(logs) + 1) // 2):
        steps = 1.0 + at * rises
        product = weight * steps.prod(axis=0)
        total, changes = _parts_changes(ends, at)
        values[outside] += product * total / steps
        for player, change in zip(inside, changes, strict=True):
            values[player] += product * change
    values[outside] *= rises
    return values


def _parts_changes(ends: Sequence[Sequence[tuple[Array, Array]]], at: float) -> tuple[Array | float, list]:
    """All parts together at this point of the way, and by player its change times the others there."""
    total: Array | float = 0.0
    changes: list[Array | float] = [0.0] * len(ends[0])
    for part in ends:
        steps = [base + at * (now - base) for base, now in part]
        before = [np.ones(1)]
        for step in steps:
            before.append(before[-1] * step)
        total = total + before[-1]
        after: Array | float = 1.0
        for player in reversed(range(len(steps))):
            base, now = part[player]
            changes[player] = changes[player] + (now - base) * before[player] * after
            after = after * steps[player]
    return total, changes


@cache
def _nodes(count: int) -> tuple[tuple[float, float], ...]:
    """Gauss and Legendre's points in [0, 1] and their weights."""
    points, weights = np.polynomial.legendre.leggauss(max(1, count))
    return tuple(zip(((points + 1.0) / 2.0).tolist(), (weights / 2.0).tolist(), strict=True))
