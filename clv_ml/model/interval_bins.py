"""The bins of intervals and confidence in a manifest, and which one a prediction falls into."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import Array

RECENCY = "days_since_last_purchase"
"""The column that bins are cut by, next to the prediction."""


@dataclass(frozen=True)
class Bin:
    """
    Customers alike in prediction and recency, in half-open ranges, and how many they are.

    ``ratio_low`` and ``ratio_high`` times the prediction are the interval; ``ratio_sd`` is the spread of
    actual over predicted around its mean, without the error of the total. ``confidence`` is the share
    whose actual fell within 50 % of the prediction, or within the floor.
    """

    predicted_from: float
    predicted_below: float
    recency_from_days: float
    recency_below_days: float
    customers: int
    ratio_low: float
    ratio_high: float
    ratio_sd: float
    confidence: float


@dataclass(frozen=True)
class IntervalBins:
    """
    The bins, which tile all predictions and recencies; the uncertainty of the total (sd of its logarithm);
    the nominal share of customers inside, and the floor of the confidence in currency.
    """

    bins: tuple[Bin, ...]
    level_log_sd: float
    coverage: float
    confidence_floor: float

    def as_json(self) -> dict:
        """For the manifest. Open ends are None."""
        bins = [
            {key: value if np.isfinite(value) else None for key, value in asdict(one).items()}
            for one in self.bins
        ]
        return {**asdict(self), "bins": bins}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "IntervalBins":
        """What ``as_json`` gave; without bins where the manifest has none."""
        return cls(
            tuple(_bin(one) for one in stored.get("bins", [])),
            stored.get("level_log_sd", 0.0),
            stored.get("coverage", 0.0),
            stored.get("confidence_floor", 0.0),
        )

    def find(self, predicted: Array, recency: Array) -> NDArray[np.intp]:
        """Index of each row's bin, as the SQL join finds it. Shape (n,)."""
        found = np.zeros(predicted.size, dtype=np.intp)
        for index, one in enumerate(self.bins):
            inside = (predicted >= one.predicted_from) & (predicted < one.predicted_below)
            found[inside & (recency >= one.recency_from_days) & (recency < one.recency_below_days)] = index
        return found

    def intervals(self, predicted: Array, recency: Array) -> tuple[Array, Array, Array]:
        """Low, high and confidence of each prediction. Shape (n,) each."""
        index = self.find(predicted, recency)
        low, high, confidence = (
            np.array([getattr(one, name) for one in self.bins])[index]
            for name in ("ratio_low", "ratio_high", "confidence")
        )
        return predicted * low, predicted * high, confidence


def _bin(stored: Mapping[str, Any]) -> Bin:
    """A bin from JSON: a null is an open end, on the side that its name says."""
    ends = {name: -np.inf if name.endswith(("_from", "_from_days")) else np.inf for name in stored}
    values = {name: ends[name] if value is None else value for name, value in stored.items()}
    return Bin(**values)  # pyrefly: ignore[bad-argument-type]
