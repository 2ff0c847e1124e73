"""
What the inputs of the anchor's formula have changed in its logarithm, exactly.

The anchor is level x (addends + product + what is the same for everybody), the product being its factors
times a rest. Relative to the reference at the same level, an addend q has the share (q - its reference) /
logarithmic mean of the anchor and its reference. The product has such a share too, and its factors have of
that what they have of the product's logarithm. Both are Aumann and Shapley's values along the straight way
and along the geometric one, and add up to ln(anchor / reference). The level moves the reference itself.
"""

from dataclasses import dataclass

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.model.manifest import AnchorOpening
from clv_ml.serve.term_changes import logarithmic_mean

FAINTEST = 1e-60
"""A smaller factor (the chance that somebody long gone is still a customer) cannot be divided by."""
ANCHOR_DRIVER = "anchor"
"""Driver of an anchor that is not opened."""


@dataclass(frozen=True)
class OpenedAnchor:
    """How the anchor is made, and the columns that its opening names, by name, of shape (n,) each."""

    opening: AnchorOpening
    columns: dict[str, Array]


@dataclass(frozen=True)
class AnchorShares:
    """
    ``shares``, of shape (n, A), by driver: a row's add up to ln(anchor / its reference), or to 1 where that
    is not defined. ``reference`` has shape (n,).
    """

    drivers: tuple[str, ...]
    shares: Array
    reference: Array


def anchor_shares(anchor: Array, reference: float, opened: OpenedAnchor | None) -> AnchorShares:
    """What each driver of the anchor, of shape (n,), has of its logarithm."""
    positive = ~(anchor <= 0)
    if opened is None:
        logs = np.log(np.where(positive, anchor, np.e * reference) / reference)
        return AnchorShares((ANCHOR_DRIVER,), logs[:, None], np.full(len(anchor), reference))
    opening, columns = opened.opening, opened.columns
    level = _level(opened, anchor)
    now = np.where(positive, anchor / level, reference)
    mean = logarithmic_mean(np.full(len(anchor), reference), np.log(now / reference))
    addends = [columns[one.name] / level - one.reference for one in opening.addends]
    product_now, product_then = now, reference
    if opening.product:
        product_now, product_then = columns[opening.product.name] / level, opening.product.reference
    shared = _product_changes(opened, product_now, product_then)
    # to a cent the anchor is its parts; what rounding leaves is the rest's
    shared[-1] += now - reference - sum(addends) - sum(shared)
    shares = np.column_stack([*addends, *shared]) / mean[:, None]
    shares[~positive] = 0.0
    shares[~positive, -1] = 1.0
    names = [one.driver for one in (*opening.addends, *opening.factors)]
    return AnchorShares((*names, opening.rest), shares, np.where(positive, reference * level, reference))


def _level(opened: OpenedAnchor, anchor: Array) -> Array:
    """The level over its reference, shape (n,)."""
    level = opened.opening.level
    return opened.columns[level.name] / level.reference if level else np.ones_like(anchor)


def _product_changes(opened: OpenedAnchor, now: Array, then: float) -> list[Array]:
    """
    What each factor, and last the rest, changed in the product. A factor that is missing counts as its
    reference; what is nothing at all is so by the factors that are nothing, or else by the rest.
    """
    known = (now > FAINTEST) & (then > FAINTEST)
    log = np.log(np.where(known, now, 1.0) / np.where(known, then, 1.0))
    values = [opened.columns[one.name] / one.reference for one in opened.opening.factors]
    logs = [np.log(np.where(value > FAINTEST, value, 1.0)) for value in values]
    mean = logarithmic_mean(np.full(len(now), then), log)
    changes = [mean * part for part in (*logs, log - sum(logs))]
    nothing = [value <= FAINTEST for value in values]
    at_fault = [*nothing, sum(nothing, np.zeros(len(now))) == 0]
    faults = np.maximum(1, sum(fault.astype(float) for fault in at_fault))
    return [
        np.where(known, change, fault * (now - then) / faults)
        for change, fault in zip(changes, at_fault, strict=True)
    ]
