"""From columns to the facts that they are made of: whose contribution is whose."""

from collections.abc import Sequence

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.serve.anchor_drivers import AnchorShares

CANCELLED = 0.1
"""Squared share of their sizes: of facts that cancel each other out beyond it in the anchor, sizes say more
than their sum of a column that is made of them."""


def by_fact(
    owners: Sequence[tuple[str, ...]], change: Array, of_anchor: AnchorShares
) -> tuple[tuple[str, ...], Array]:
    """
    Facts in order of appearance, and what each of them contributed, shape (n, K).

    Args:
        owners: The facts that each column is made of.

        change: What each column contributed, shape (n, columns).

        of_anchor: How facts share the anchor, and with it a column that several of them own.
    """
    facts = tuple(dict.fromkeys(name for names in owners for name in names))
    values = np.zeros((len(change), len(facts)))
    for column, names in zip(change.T, owners, strict=True):
        places = [facts.index(name) for name in names]
        if len(places) == 1:
            values[:, places[0]] += column
        else:
            values[:, places] += _shared(column, _shares_of(names, of_anchor))
    return facts, values


def _shares_of(names: tuple[str, ...], of_anchor: AnchorShares) -> Array:
    """The facts' shares of the anchor, 0 where it has none of a fact; shape (n, facts)."""
    shares = np.zeros((len(of_anchor.shares), len(names)))
    for driver, share in zip(of_anchor.drivers, of_anchor.shares.T, strict=True):
        if driver in names:
            shares[:, names.index(driver)] += share
    return shares


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
