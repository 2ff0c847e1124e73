"""
What facts the anchor is made of: a sum of products, each with its reference.

The anchor is level x (addends + product + what is the same for everybody), the product being its factors
times a rest. All are compared with the reference at the same level, for the level is nobody's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.model.manifest import AnchorOpening

FAINTEST = 1e-6
"""Factors that are less of their references explain no product that is not nothing itself."""
ANCHOR_DRIVER = "anchor"
"""Driver of an anchor that is not opened."""

AnchorPart = Mapping[str, tuple[Array, Array]]
"""By driver, what it multiplies a part of the anchor by, at the reference and now, of shape (n,) each."""


@dataclass(frozen=True)
class OpenedAnchor:
    """How the anchor is made, and the columns that its opening names, by name, of shape (n,) each."""

    opening: AnchorOpening
    columns: dict[str, Array]


def anchor_parts(
    anchor: Array, reference: float, opened: OpenedAnchor | None, whole: str = ANCHOR_DRIVER
) -> list[AnchorPart]:
    """
    Parts that add up to the anchor, of shape (n,), and at the reference to that at the customer's level;
    an anchor that is not opened is of the driver ``whole``.
    """
    if opened is None:
        return [{whole: (np.full(len(anchor), reference), anchor)}]
    opening, columns = opened.opening, opened.columns
    level = _level(opened, anchor)
    parts: list[AnchorPart] = [
        {one.driver: (one.reference * level, columns[one.name])} for one in opening.addends
    ]
    if opening.product:
        product = _product(opened, opening.product.reference * level, columns[opening.product.name])
    else:
        product = _product(opened, reference * level, anchor)
    left = [reference * level, anchor]
    for part in (*parts, product):
        for end in range(2):
            left[end] = left[end] - np.prod([ends[end] for ends in part.values()], axis=0)
    # to a cent the anchor is its parts; what rounding leaves is the rest's
    return [*parts, product, {opening.rest: (left[0], left[1])}]


def _level(opened: OpenedAnchor, anchor: Array) -> Array:
    """The level over its reference, shape (n,)."""
    level = opened.opening.level
    return opened.columns[level.name] / level.reference if level else np.ones_like(anchor)


def _product(opened: OpenedAnchor, then: Array, now: Array) -> AnchorPart:
    """
    The factors over their references, of which a missing one counts as its own, and the rest. Where factors
    are nothing and the product is not, it is the rest's alone.
    """
    factors: dict[str, Array] = {}
    whole = np.ones(len(now))
    for one in opened.opening.factors:
        value = opened.columns[one.name] / one.reference
        factors[one.driver] = factors.get(one.driver, whole) * np.where(np.isnan(value), 1.0, value)
    together = np.prod(list(factors.values()), axis=0) * whole
    known = together > FAINTEST
    nothing = ~known & (now <= FAINTEST * then)
    rest = np.where(nothing, then, now / np.where(known, together, 1.0))
    part = {name: (whole, np.where(known | nothing, value, 1.0)) for name, value in factors.items()}
    base, more = part.pop(opened.opening.rest, (whole, whole))
    return {**part, opened.opening.rest: (base * then, more * rest)}
