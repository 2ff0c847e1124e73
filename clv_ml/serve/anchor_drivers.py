"""
What the components of the anchor have changed in its logarithm, exactly.

Where the anchor a = f1 x f2 ... x (q1 + q2 + ... + rest) is known by its components, ln(a / reference) is
the sum of ln(f / its reference) plus ln of the sum over its reference; the latter is shared by (q - its
reference) / logarithmic mean of the two sums, which adds up exactly. ``rest`` is what the named components
leave of the anchor: the floor where some are added, else one more factor, expected purchases, where the
others are the value of an order and the chance of still being a customer.
"""

from dataclasses import dataclass

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.serve.term_changes import logarithmic_mean

FAINTEST = 1e-60
"""A smaller factor (the chance that somebody long gone is still a customer) cannot be divided by."""
ANCHOR_DRIVER, FLOOR_DRIVER, PURCHASES_DRIVER = "anchor", "anchor_floor", "expected_purchases"
"""Drivers of an anchor without components, and of what the components leave where some are added, or none."""


@dataclass(frozen=True)
class AnchorComponents:
    """
    What the anchor is made of: first so many factors, then addends in the anchor's unit.

    ``values`` has shape (n, names), ``reference`` (names,). A factor that is missing or not above
    ``FAINTEST`` is taken for its reference.
    """

    names: tuple[str, ...]
    values: Array
    reference: Array
    factors: int = 1


def anchor_drivers(
    anchor: Array, reference: float, components: AnchorComponents | None
) -> tuple[tuple[str, ...], Array, Array]:
    """
    Names, values and shares of the anchor's drivers, the last two of shape (n, A). Shares of a row add up to
    ln(anchor / reference), or to 1 where that is not defined.
    """
    positive = ~(anchor <= 0)
    if components is None:
        logs = np.log(np.where(positive, anchor, np.e * reference) / reference)
        return (ANCHOR_DRIVER,), anchor[:, None], logs[:, None]
    split = components.factors
    factors, factor_reference = components.values[:, :split], components.reference[:split]
    factors = np.where(factors > FAINTEST, factors, factor_reference)
    factor_logs = np.where(positive[:, None], np.log(factors / factor_reference), 0.0)
    addends, addend_reference = components.values[:, split:], components.reference[split:]
    level = np.where(positive, factors.prod(axis=1), 1.0)
    level_reference = np.where(positive, factor_reference.prod(), 1.0)
    distance = addends / level[:, None] - addend_reference / level_reference[:, None]
    now, base = anchor / level, reference / level_reference
    rest = now - base - distance.sum(axis=1)
    mean = np.where(
        positive, logarithmic_mean(base, np.log(np.where(positive, now, base) / base)), now - base
    )
    shares = np.column_stack([distance, rest]) / mean[:, None]
    name, left = (
        (FLOOR_DRIVER, anchor - addends.sum(axis=1))
        if addends.shape[1]
        else (PURCHASES_DRIVER, anchor / level)
    )
    inputs = np.column_stack([components.values, left])
    return (*components.names, name), inputs, np.column_stack([factor_logs, shares])
