"""
Intervals and confidence, measured on a later window than the model was fitted on.

Customers are grouped by what was predicted (ten groups, one of them cut at the confidence floor) and by
recency (three). In each group the ratios of actual to predicted, with the date's own error of the total taken
out, are spread by the uncertainty of the next total; the shortest interval that holds the nominal share of
them is the group's. So a season that throws the whole shop off its total widens the intervals instead of
breaking them.

Sources: split conformal prediction (Lei et al. 2018) within groups (Vovk's Mondrian form); shortest intervals
as in Hyndman (1996).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.coverage import came_true

Array = NDArray[np.float64]
RECENCY = "days_since_last_purchase"
PREDICTION_GROUPS, RECENCY_GROUPS = 10, 3
FEWEST_IN_GROUP = 40
ZERO_SHARE_FOR_OPEN_START = 0.10
"""
Above this share of zeros the interval starts at 0: any other start would leave the likeliest outcome out.
"""
SHOCKS = norm.ppf((np.arange(21) + 0.5) / 21)
FEWEST_LEVEL_SD = 0.05
"""Nobody knows next year's total better than this, whatever a short history says."""


@dataclass(frozen=True)
class Bin:
    """
    Customers alike: predicted in [predicted_from, predicted_below) and recency in [recency_from_days,
    recency_below_days).

    ``ratio_low`` and ``ratio_high`` times the prediction are the interval; ``ratio_sd`` is the spread of
    actual over predicted around its mean, without the shop's total. ``confidence`` is the share whose actual
    fell within 50 % of the prediction, or within the floor. ``customers`` is how many the figures were
    measured on.
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
class Calibration:
    """
    The bins, which tile all predictions and recencies, and the uncertainty of the shop's total (sd of its
    logarithm).
    """

    bins: tuple[Bin, ...]
    level_log_sd: float
    coverage: float
    confidence_floor: float

    def as_json(self) -> dict:
        """For the manifest. Open ends are None."""
        return {
            "level_log_sd": self.level_log_sd,
            "coverage": self.coverage,
            "confidence_floor": self.confidence_floor,
            "bins": [
                {key: value if np.isfinite(value) else None for key, value in asdict(one).items()}
                for one in self.bins
            ],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Calibration":
        """What ``as_json`` gave; without bins where the manifest has none."""
        bins = tuple(
            Bin(
                # pyrefly: ignore[bad-argument-type]
                **{
                    key: value
                    if value is not None
                    else (-np.inf if key.endswith(("_from", "_from_days")) else np.inf)
                    for key, value in one.items()
                }
            )
            for one in stored.get("bins", [])
        )
        return cls(
            bins,
            stored.get("level_log_sd", 0.0),
            stored.get("coverage", 0.0),
            stored.get("confidence_floor", 0.0),
        )


@dataclass(frozen=True)
class Held:
    """
    Predictions made out of time: rows of one or more dates, and what was predicted for each. Shape (n,).
    """

    rows: TrainingData
    predicted: Array


def calibrate(
    held: Sequence[Held], level_log_sd: float, coverage: float, confidence_floor: float
) -> Calibration:
    """
    Measures intervals and confidence on predictions of the past.

    Args:
        held: One or more calibration dates; their customers are pooled.

        level_log_sd: How far the shop's total is off, as the standard deviation of its logarithm.

        coverage: Nominal share of customers inside the interval, between 0 and 1.

        confidence_floor: Below this prediction, in currency, "within 50 %" becomes "within this much".
    """
    predicted = np.concatenate([one.predicted for one in held])
    ratios = np.concatenate([_ratios(one) for one in held])
    recency = np.concatenate([recency_of(one.rows) for one in held])
    # a prediction of nothing has no ratio: its interval is itself
    told = predicted > 0
    if not told.any():
        return Calibration((Bin(*ALL, *ALL, 0, 1.0, 1.0, 0.0, 0.0),), 0.0, coverage, confidence_floor)
    predicted, ratios, recency = predicted[told], ratios[told], recency[told]
    spread = max(level_log_sd, FEWEST_LEVEL_SD)
    bins = []
    for (low, below), alike in _groups_by_prediction(predicted, confidence_floor):
        on_its_side = np.clip(predicted, low, np.nextafter(below, low))
        parts = (
            _edges(recency[alike], RECENCY_GROUPS)
            if alike.sum() >= FEWEST_IN_GROUP * RECENCY_GROUPS
            else [ALL]
        )
        for recent, recent_below in parts:
            rows = alike & (recency >= recent) & (recency < recent_below)
            figures = _measure(ratios[rows], on_its_side[rows], spread, coverage, confidence_floor)
            bins.append(Bin(low, below, recent, recent_below, int(rows.sum()), *figures))
    return Calibration(tuple(bins), float(spread), coverage, confidence_floor)


ALL = (-np.inf, np.inf)


def _groups_by_prediction(
    predicted: Array, floor: float
) -> Iterator[tuple[tuple[float, float], NDArray[np.bool_]]]:
    """
    Edges of each group and the rows that it is measured on, a mask of shape (n,).

    The group that the confidence floor lies in is cut there: below it a prediction of nearly nothing comes
    true where nothing is spent, above it hardly ever. A side with too few customers of its own is measured on
    the whole group.
    """
    groups = int(np.clip(predicted.size // FEWEST_IN_GROUP, 1, PREDICTION_GROUPS))
    for low, below in _edges(predicted, groups):
        group = (predicted >= low) & (predicted < below)
        sides = [(low, floor), (floor, below)] if low < floor < below else [(low, below)]
        for side in sides:
            alike = group & (predicted >= side[0]) & (predicted < side[1])
            yield side, alike if len(sides) == 1 or alike.sum() >= FEWEST_IN_GROUP else group


def recency_of(rows: TrainingData) -> Array:
    """Days since the last purchase, 0 where there was none, as the SQL join reads it. Shape (n,)."""
    if RECENCY not in rows.names:
        return np.zeros(len(rows))
    return np.nan_to_num(rows.values[:, rows.names.index(RECENCY)])


def find_bins(calibration: Calibration, predicted: Array, recency: Array) -> NDArray[np.intp]:
    """Index of each row's bin, as the SQL join finds it. Shape (n,)."""
    found = np.zeros(predicted.size, dtype=np.intp)
    for index, one in enumerate(calibration.bins):
        inside = (predicted >= one.predicted_from) & (predicted < one.predicted_below)
        found[inside & (recency >= one.recency_from_days) & (recency < one.recency_below_days)] = index
    return found


def intervals(calibration: Calibration, predicted: Array, recency: Array) -> tuple[Array, Array, Array]:
    """Low, high and confidence of each prediction. Shape (n,) each."""
    index = find_bins(calibration, predicted, recency)
    low, high, confidence = (
        np.array([getattr(one, name) for one in calibration.bins])[index]
        for name in ("ratio_low", "ratio_high", "confidence")
    )
    return predicted * low, predicted * high, confidence


def _ratios(one: Held) -> Array:
    """Actual over predicted, with each date's error of the total taken out."""
    level = one.rows.level(one.predicted)
    expected = one.predicted * np.where(level > 0, level, 1.0)
    return np.divide(one.rows.revenue, expected, out=np.ones(len(expected)), where=expected > 0)


def _edges(values: Array, groups: int) -> list[tuple[float, float]]:
    """Half-open groups of about equal size that tile the line; equal values stay together."""
    inner = np.unique(np.quantile(values, np.arange(1, groups) / groups))
    inner = inner[(inner > values.min()) & (inner <= values.max())]
    edges = [-np.inf, *inner.tolist(), np.inf]
    return list(pairwise(edges))


def _measure(
    ratios: Array, predicted: Array, spread: float, coverage: float, floor: float
) -> tuple[float, float, float, float]:
    shocked = np.multiply.outer(ratios, np.exp(spread * SHOCKS - spread**2 / 2))
    low, high = _shortest(np.sort(shocked.ravel()), ratios, coverage)
    hits = came_true(shocked * predicted[:, None], np.broadcast_to(predicted[:, None], shocked.shape), floor)
    return min(low, 1.0), max(high, 1.0), float(ratios.std()), float(hits.mean())


def _shortest(outcomes: Array, ratios: Array, coverage: float) -> tuple[float, float]:
    """
    The shortest interval of sorted outcomes with the nominal share, raised for the number of customers behind
    it. Refunds beyond zero are the tail that is left out, unless there are too many of them to.
    """
    share = min(1.0, coverage * (1 + 1 / max(ratios.size, 1)))
    held = min(outcomes.size, int(np.ceil(share * outcomes.size)))
    first = min(int(np.searchsorted(outcomes, 0.0)), outcomes.size - held)
    if (ratios <= 0).mean() > ZERO_SHARE_FOR_OPEN_START:
        return min(0.0, float(outcomes[first])), float(outcomes[first + held - 1])
    widths = outcomes[first + held - 1 :] - outcomes[first : outcomes.size - held + 1]
    first += int(np.argmin(widths))
    return float(outcomes[first]), float(outcomes[first + held - 1])
