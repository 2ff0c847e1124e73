"""How a fit is evaluated: on rows that it knows nothing of, as it would have been published."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clv_ml.learn.calibration import Calibration
from clv_ml.learn.candidates import candidate_mean
from clv_ml.learn.churn import chance_of_churn
from clv_ml.learn.intervals import measure_intervals, recency_of
from clv_ml.learn.median_value import median_value
from clv_ml.learn.store_history import StoreHistory
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.evaluation import TENURE_ORDERS, Evaluation, spend_band, tenure_and_orders
from clv_ml.measure.metrics import Array
from clv_ml.model.recipe import Recipe
from clv_ml.settings import Settings

TENURE, ORDERS = "days_since_first_purchase", "total_purchases"
"""Features that customers are grouped by."""


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

    ``recipe`` is fitted for the rows' customers, and ``calibration`` made, on what was known when their
    first date began; ``others`` are predictions of further estimators by name, shape (n,) each, NaN for
    anybody where one could not be fitted.
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
    low, high = bins.bounds(mean, leaving)
    fitted = {name: predicted for name, predicted in others.items() if np.isfinite(predicted).all()}
    return Evaluation(
        as_of=str(days[0]) if days.size == 1 else None,
        candidate=calibration.choice.candidate,
        customer=rows.customer,
        groups=_groups(rows),
        actual=rows.revenue,
        left=rows.purchases == 0,
        predicted={"model": mean, "typical": median_value(mean, 1 - leaving, calibration.spread), **fitted},
        low=low,
        high=high,
        confidence=bins.confidence(mean, recency_of(rows)),
        confidence_floor=settings.vars.confidence_floor,
        nominal_coverage=settings.vars.interval_coverage,
        churn=leaving,
        unfitted=tuple(name for name in others if name not in fitted),
    )


def _groups(rows: TrainingData) -> dict[str, NDArray[np.str_]]:
    """Each customer's groups; of tenure and orders only where those features are not left out."""
    groups = {"behavior_type": rows.behavior, "spend_band": spend_band(rows.anchor)}
    if {TENURE, ORDERS} <= set(rows.names):
        tenure, orders = (rows.values[:, rows.names.index(name)] for name in (TENURE, ORDERS))
        groups[TENURE_ORDERS] = tenure_and_orders(tenure, orders)
    return groups
