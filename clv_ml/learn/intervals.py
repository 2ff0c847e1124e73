"""
Intervals and confidence, measured on a later window than the model was fitted on.

Customers are grouped by prediction and by recency. In each group the ratios of actual to predicted, without
the date's own error of the total, are spread by the uncertainty of the next total; the shortest interval that
covers the nominal share is the group's. So a season that throws the total off widens the intervals instead of
breaking them.

Sources: split conformal prediction (Lei et al. 2018) within groups (Vovk's Mondrian form); shortest intervals
as in Hyndman (1996).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from clv_ml.learn.out_of_sample import HeldOut
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array, came_true
from clv_ml.model.interval_bins import RECENCY, Bin, IntervalBins

PREDICTION_GROUPS, RECENCY_GROUPS = 10, 3
"""Tenths of prediction, and thirds of recency in each, as far as customers suffice."""
FEWEST_IN_GROUP = 40
"""Customers: of fewer, a share of 80 % is known to no better than an eighth either way."""
ZERO_SHARE_FOR_OPEN_START = 0.10
"""Above this share of zeros the interval starts at 0, or it would leave the likeliest outcome out."""
SHOCKS = norm.ppf((np.arange(21) + 0.5) / 21)
"""Of the total, in standard deviations: 21 quantiles stand for the normal distribution."""
LEAST_LEVEL_LOG_SD = 0.05
"""Nobody knows next year's total better than this, whatever a short history says."""
EVERYBODY = (-np.inf, np.inf)
"""Ends of a group that takes everybody."""


def measure_intervals(
    held_out: Sequence[HeldOut], level_log_sd: float, coverage: float, confidence_floor: float
) -> IntervalBins:
    """
    Measures intervals and confidence on predictions of the past, all their customers pooled.

    Args:
        level_log_sd: How far the forecast of the total is off, as the standard deviation of its logarithm.

        coverage: Nominal share of customers inside the interval, between 0 and 1.

        confidence_floor: Below this prediction, in currency, "within 50 %" becomes "within this much".
    """
    predicted = np.concatenate([one.predicted for one in held_out])
    ratios = np.concatenate([_ratios(one) for one in held_out])
    recency = np.concatenate([recency_of(one.rows) for one in held_out])
    # a prediction of nothing has no ratio: its interval is itself
    some = predicted > 0
    if not some.any():
        everybody = Bin(*EVERYBODY, *EVERYBODY, 0, 1.0, 1.0, 0.0, 0.0)
        return IntervalBins((everybody,), 0.0, coverage, confidence_floor)
    predicted, ratios, recency = predicted[some], ratios[some], recency[some]
    spread = max(level_log_sd, LEAST_LEVEL_LOG_SD)
    bins = []
    for (low, below), alike in _groups_by_prediction(predicted, confidence_floor):
        on_its_side = np.clip(predicted, low, np.nextafter(below, low))
        for recent, recent_below in _groups_by_recency(recency[alike]):
            rows = alike & (recency >= recent) & (recency < recent_below)
            figures = _measure(ratios[rows], on_its_side[rows], spread, coverage, confidence_floor)
            bins.append(Bin(low, below, recent, recent_below, int(rows.sum()), *figures))
    return IntervalBins(tuple(bins), float(spread), coverage, confidence_floor)


def recency_of(rows: TrainingData) -> Array:
    """Days since the last purchase, 0 where there was none, as the SQL join reads it. Shape (n,)."""
    if RECENCY not in rows.names:
        return np.zeros(len(rows))
    return np.nan_to_num(rows.values[:, rows.names.index(RECENCY)])


def _groups_by_prediction(
    predicted: Array, floor: float
) -> Iterator[tuple[tuple[float, float], NDArray[np.bool_]]]:
    """
    Edges of each group and the rows that it is measured on, a mask of shape (n,).

    The group of the confidence floor is cut there: below it a prediction of nearly nothing comes true
    where nothing is spent. A side with too few customers of its own is measured on the whole group.
    """
    groups = int(np.clip(predicted.size // FEWEST_IN_GROUP, 1, PREDICTION_GROUPS))
    for low, below in _edges(predicted, groups):
        group = (predicted >= low) & (predicted < below)
        sides = [(low, floor), (floor, below)] if low < floor < below else [(low, below)]
        for side in sides:
            alike = group & (predicted >= side[0]) & (predicted < side[1])
            yield side, alike if len(sides) == 1 or alike.sum() >= FEWEST_IN_GROUP else group


def _groups_by_recency(recency: Array) -> list[tuple[float, float]]:
    """Edges of thirds, where each would have customers enough; else one group."""
    is_enough = recency.size >= FEWEST_IN_GROUP * RECENCY_GROUPS
    return _edges(recency, RECENCY_GROUPS) if is_enough else [EVERYBODY]


def _ratios(one: HeldOut) -> Array:
    """Actual over predicted, with each date's error of the total taken out."""
    total = one.rows.total_ratio(one.predicted)
    expected = one.predicted * np.where(total > 0, total, 1.0)
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
    covered = min(outcomes.size, int(np.ceil(share * outcomes.size)))
    first = min(int(np.searchsorted(outcomes, 0.0)), outcomes.size - covered)
    if (ratios <= 0).mean() > ZERO_SHARE_FOR_OPEN_START:
        return min(0.0, float(outcomes[first])), float(outcomes[first + covered - 1])
    widths = outcomes[first + covered - 1 :] - outcomes[first : outcomes.size - covered + 1]
    first += int(np.argmin(widths))
    return float(outcomes[first]), float(outcomes[first + covered - 1])
