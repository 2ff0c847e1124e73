"""The intervals and confidence of a manifest: buyers' amounts, and the bins that a prediction falls into."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import Array
from clv_ml.model.amounts import AmountGroup, value_quantile

RECENCY = "days_since_last_purchase"
"""The column that bins are cut by, next to the prediction."""


@dataclass(frozen=True)
class Bin:
    """
    Customers alike in prediction and recency, in half-open ranges, and how many they are.

    ``ratio_sd`` is the spread of actual over predicted around its mean, without the error of the total.
    ``confidence`` is the share whose actual fell within 50 % of the prediction, or within the floor.
    """

    predicted_from: float
    predicted_below: float
    recency_from_days: float
    recency_below_days: float
    customers: int
    ratio_sd: float
    confidence: float


@dataclass(frozen=True)
class IntervalBins:
    """
    The bins, which tile all predictions and recencies; the uncertainty of the total (sd of its logarithm);
    the nominal share of customers inside; the floor of the confidence in currency; and the groups of buyers
    that bounds come from, which models of 0.1.0 lack.
    """

    bins: tuple[Bin, ...]
    level_log_sd: float
    coverage: float
    confidence_floor: float
    amounts: tuple[AmountGroup, ...] = ()

    def as_json(self) -> dict:
        """For the manifest. Open ends are None."""
        bins = [
            {key: value if np.isfinite(value) else None for key, value in asdict(one).items()}
            for one in self.bins
        ]
        return {**asdict(self), "bins": bins, "amounts": [one.as_json() for one in self.amounts]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "IntervalBins":
        """What ``as_json`` gave; without bins where the manifest has none."""
        return cls(
            tuple(_bin(one) for one in stored.get("bins", [])),
            stored.get("level_log_sd", 0.0),
            stored.get("coverage", 0.0),
            stored.get("confidence_floor", 0.0),
            tuple(AmountGroup.from_json(one) for one in stored.get("amounts", [])),
        )

    def find(self, predicted: Array, recency: Array) -> NDArray[np.intp]:
        """Index of each row's bin, as the SQL join finds it. Shape (n,)."""
        found = np.zeros(predicted.size, dtype=np.intp)
        for index, one in enumerate(self.bins):
            inside = (predicted >= one.predicted_from) & (predicted < one.predicted_below)
            found[inside & (recency >= one.recency_from_days) & (recency < one.recency_below_days)] = index
        return found

    def bounds(self, predicted: Array, leaving: Array) -> tuple[Array, Array]:
        """The quantiles that ``coverage`` leaves on either side of each customer's value. Shape (n,) each."""
        outside = (1 - self.coverage) / 2
        low, high = (
            value_quantile(self.amounts, predicted, leaving, share) for share in (outside, 1 - outside)
        )
        return low, high

    def confidence(self, predicted: Array, recency: Array) -> Array:
        """The share of customers in each one's bin that came true. Shape (n,)."""
        return np.array([one.confidence for one in self.bins])[self.find(predicted, recency)]


def _bin(stored: Mapping[str, Any]) -> Bin:
    """A bin from JSON: a null is an open end, on the side that its name says."""
    names = [field.name for field in fields(Bin)]
    ends = {name: -np.inf if name.endswith(("_from", "_from_days")) else np.inf for name in names}
    values = {name: ends[name] if stored[name] is None else stored[name] for name in names}
    return Bin(**values)  # pyrefly: ignore[bad-argument-type]
