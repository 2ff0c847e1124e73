"""
Intervals and confidence, measured on a later window than the model was fitted on.

Bounds are quantiles of the customer's own distribution (``clv_ml.model.amounts``). For confidence, customers
are grouped by prediction and by recency: in each group the ratios of actual to predicted, spread by the
uncertainty of the next total, say how often a prediction comes true.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clv_ml.learn.amounts import measure_amounts
from clv_ml.learn.out_of_sample import Foretold
from clv_ml.learn.spread import (
    EVERYBODY,
    FEWEST_IN_GROUP,
    LEAST_LEVEL_LOG_SD,
    edges_of_groups,
    ratios_of,
    shocked,
)
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array, came_true
from clv_ml.model.interval_bins import RECENCY, Bin, IntervalBins

PREDICTION_GROUPS, RECENCY_GROUPS = 10, 3
"""Tenths of prediction, and thirds of recency in each, as far as customers suffice."""


def measure_intervals(
    held_out: Sequence[Foretold], level_log_sd: float, coverage: float, confidence_floor: float
) -> IntervalBins:
    """
    Measures intervals and confidence on predictions of the past, all their customers pooled.

    Args:
        level_log_sd: How far the forecast of the total is off, as the standard deviation of its logarithm.

        coverage: Nominal share of customers inside the interval, between 0 and 1.

        confidence_floor: Below this prediction, in currency, "within 50 %" becomes "within this much".
    """
    predicted = np.concatenate([one.predicted for one in held_out])
    ratios = np.concatenate([ratios_of(one, one.predicted) for one in held_out])
    recency = np.concatenate([recency_of(one.rows) for one in held_out])
    amounts = measure_amounts(held_out, level_log_sd)
    # a prediction of nothing has no ratio
    some = predicted > 0
    if not some.any():
        everybody = Bin(*EVERYBODY, *EVERYBODY, 0, 0.0, 0.0)
        return IntervalBins((everybody,), 0.0, coverage, confidence_floor, amounts)
    predicted, ratios, recency = predicted[some], ratios[some], recency[some]
    bins = []
    for (low, below), alike in _groups_by_prediction(predicted, confidence_floor):
        on_its_side = np.clip(predicted, low, np.nextafter(below, low))
        for recent, recent_below in _groups_by_recency(recency[alike]):
            rows = alike & (recency >= recent) & (recency < recent_below)
            figures = _measure(ratios[rows], on_its_side[rows], level_log_sd, confidence_floor)
            bins.append(Bin(low, below, recent, recent_below, int(rows.sum()), *figures))
    spread = float(max(level_log_sd, LEAST_LEVEL_LOG_SD))
    return IntervalBins(tuple(bins), spread, coverage, confidence_floor, amounts)


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
    for low, below in edges_of_groups(predicted, groups):
        group = (predicted >= low) & (predicted < below)
        sides = [(low, floor), (floor, below)] if low < floor < below else [(low, below)]
        for side in sides:
            alike = group & (predicted >= side[0]) & (predicted < side[1])
            yield side, alike if len(sides) == 1 or alike.sum() >= FEWEST_IN_GROUP else group


def _groups_by_recency(recency: Array) -> list[tuple[float, float]]:
    """Edges of thirds, where each would have customers enough; else one group."""
    is_enough = recency.size >= FEWEST_IN_GROUP * RECENCY_GROUPS
    return edges_of_groups(recency, RECENCY_GROUPS) if is_enough else [EVERYBODY]


def _measure(ratios: Array, predicted: Array, level_log_sd: float, floor: float) -> tuple[float, float]:
    """Spread of the ratios, and the share of predictions that came true."""
    outcomes = shocked(ratios, level_log_sd) * predicted[:, None]
    hits = came_true(outcomes, np.broadcast_to(predicted[:, None], outcomes.shape), floor)
    return float(ratios.std()), float(hits.mean())
