"""
How a fit is evaluated: on rows that it knows nothing of, as it would have been published.

Training measures its test dates so, and the backtest each of its dates.
"""

from collections.abc import Mapping

import numpy as np

from clv_ml.learn.calibration import Calibration
from clv_ml.learn.candidates import candidate_mean
from clv_ml.learn.churn import chance_of_churn
from clv_ml.learn.intervals import measure_intervals, recency_of
from clv_ml.learn.median_value import median_value
from clv_ml.learn.store_history import StoreHistory
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.evaluation import Evaluation, spend_band
from clv_ml.measure.metrics import Array
from clv_ml.model.recipe import Recipe
from clv_ml.settings import Settings


def evaluate_fit(
    recipe: Recipe,
    calibration: Calibration,
    rows: TrainingData,
    history: StoreHistory,
    settings: Settings,
    others: Mapping[str, Array],
) -> Evaluation:
    """
    Predictions of the rows with mean, median, chance of churn, interval and confidence as they would have
    been published, and what happened.

    Args:
        recipe: Fitted for the rows' customers on what was known when their first date began.

        calibration: Made of that, too.

        others: Predictions of further estimators by name, shape (n,) each.
    """
    days = np.unique(rows.as_of)
    mean = candidate_mean(calibration.choice.candidate, recipe, rows)
    leaving = chance_of_churn(recipe, rows, history.expected_pace, calibration.churn)
    bins = measure_intervals(
        [calibration.held_out],
        history.level_log_sd(days[0]),
        settings.vars.interval_coverage,
        settings.vars.confidence_floor,
    )
    low, high, confidence = bins.intervals(mean, recency_of(rows))
    return Evaluation(
        as_of=str(days[0]) if days.size == 1 else None,
        candidate=calibration.choice.candidate,
        customer=rows.customer,
        groups={"behavior_type": rows.behavior, "spend_band": spend_band(rows.anchor)},
        actual=rows.revenue,
        left=rows.purchases == 0,
        predicted={"model": mean, "typical": median_value(mean, 1 - leaving, calibration.spread), **others},
        low=low,
        high=high,
        confidence=confidence,
        confidence_floor=settings.vars.confidence_floor,
        churn=leaving,
    )
