"""From columns to the facts that they are made of: whose contribution is whose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.serve.product_changes import Part, product_changes

CANCELLED = 0.1
"""Squared share of their sizes: of facts that cancel each other out beyond it in the anchor, sizes say more
than their sum of a column that is made of them."""


@dataclass(frozen=True)
class Facts:
    """
    K facts by name, and the places among them of those that each feature is made of. ``anchor`` has what
    they multiply parts of the anchor by, ``in_anchor``, of shape (n, K), what each of them changed in it.
    """

    names: tuple[str, ...]
    owners: tuple[tuple[int, ...], ...]
    anchor: tuple[Part, ...]
    in_anchor: Array

    def of_features(self, change: Array) -> Array:
        """By fact, shape (n, K), what features, shape (n, F), changed; several share it as the anchor."""
        values = np.zeros(self.in_anchor.shape)
        for column, places in zip(change.T, self.owners, strict=True):
            if len(places) == 1:
                values[:, places[0]] += column
            else:
                values[:, places] += _shared(column, self.in_anchor[:, places])
        return values


def facts_of(
    owners: Sequence[tuple[str, ...]], anchor: Sequence[Mapping[str, tuple[Array, Array]]], rows: int
) -> Facts:
    """Facts in order of appearance, from the names of those that each feature and part is made of."""
    names = tuple(dict.fromkeys(name for group in (*owners, *anchor) for name in group))
    place = {name: index for index, name in enumerate(names)}
    parts = tuple({place[name]: ends for name, ends in part.items()} for part in anchor)
    return Facts(
        names,
        tuple(tuple(place[name] for name in group) for group in owners),
        parts,
        _changes_of(parts, np.zeros((rows, len(names)))),
    )


def _changes_of(parts: tuple[Part, ...], values: Array) -> Array:
    """What each fact changed in the anchor, written into zeros of shape (n, K)."""
    inside = sorted({player for part in parts for player in part})
    own = [{inside.index(player): ends for player, ends in part.items()} for part in parts]
    if own:
        values[:, inside] = product_changes(values[:, inside], own)
    return values


def _shared(change: Array, shares: Array) -> Array:
    """
    A change, shape (n,), in proportion to shares of shape (n, m): signed, as far as these do not cancel each
    other out, and by size for what that leaves.
    """
    total, sizes = shares.sum(axis=1), np.abs(shares)
    size = sizes.sum(axis=1)
    some = size > 0
    spread = np.where(some, total**2 + CANCELLED * size**2, 1.0)
    slope = change * total / spread
    by_size = np.where(some[:, None], sizes / np.where(some, size, 1.0)[:, None], 1.0 / shares.shape[1])
    return shares * slope[:, None] + by_size * (change - slope * total)[:, None]
