"""
What a customer may spend: nothing, by their chance of churn, or an amount around what is expected of buyers.

Amounts are told by ratios, actual over expected, measured on later windows than the model was fitted on
(``clv_ml.learn.amounts``). A quantile of the value is one of these ratios, times what the customer is
expected to spend if they buy: a hurdle, as in Mullahy (1986), with the ratios' empirical distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from clv_ml.measure.metrics import Array

SHARES = np.linspace(0, 1, 41)
"""Of buyers: the shares whose ratio a group tells."""
RAREST_BUYER = 1e-9
"""A chance of buying is taken for at least this, so that it can be divided by."""


@dataclass(frozen=True)
class AmountGroup:
    """
    Buyers alike in what they were expected to spend, given that they buy: in a half-open range, in currency.

    ``ratios`` are quantiles, one for each of ``SHARES``, of what they spent over what was expected.
    """

    expected_from: float
    expected_below: float
    buyers: int
    ratios: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """For the manifest. Open ends are None."""
        ends = {name: _finite(getattr(self, name)) for name in ("expected_from", "expected_below")}
        return {**asdict(self), **ends, "ratios": list(self.ratios)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "AmountGroup":
        """What ``as_json`` gave."""
        low, below = stored["expected_from"], stored["expected_below"]
        return cls(
            -np.inf if low is None else low,
            np.inf if below is None else below,
            stored["buyers"],
            tuple(stored["ratios"]),
        )


def expected_amount(predicted: Array, leaving: Array) -> Array:
    """What customers are expected to spend if they buy, from the mean and the chance of churn. Shape (n,)."""
    return predicted / np.maximum(1 - leaving, RAREST_BUYER)


def value_quantile(groups: Sequence[AmountGroup], predicted: Array, leaving: Array, share: float) -> Array:
    """
    What a share of customers like each one spends at most. Shape (n,).

    Args:
        predicted: Mean value in currency, shape (n,).

        leaving: Chance of no purchase, shape (n,).

        share: Between 0 and 1.
    """
    buying, amount = np.maximum(1 - leaving, RAREST_BUYER), expected_amount(predicted, leaving)
    beyond_none = (share - leaving) / buying
    quantile = np.zeros(predicted.size)
    for one in groups:
        rows = (amount >= one.expected_from) & (amount < one.expected_below)
        # whoever takes back more than they buy comes before those who do nothing, these before the others
        taken_back = np.interp(np.minimum(share / buying[rows], 1), SHARES, one.ratios)
        spent = np.interp(np.clip(beyond_none[rows], 0, 1), SHARES, one.ratios)
        ratio = np.minimum(taken_back, 0) + np.where(beyond_none[rows] > 0, np.maximum(spent, 0), 0)
        quantile[rows] = amount[rows] * ratio
    return quantile


def _finite(end: float) -> float | None:
    return end if np.isfinite(end) else None
