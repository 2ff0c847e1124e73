"""Evaluations made up for tests, without a warehouse or a fit."""

import numpy as np

from clv_ml.measure.evaluation import Evaluation, spend_band


def evaluation(
    as_of: str, actual: np.ndarray, customer: np.ndarray | None = None, **predicted: np.ndarray
) -> Evaluation:
    """Customers of a date and what was predicted of them; intervals and chances are of no interest."""
    nothing = np.zeros(actual.size)
    return Evaluation(
        as_of=as_of,
        candidate="model",
        customer=np.arange(actual.size).astype(str) if customer is None else customer,
        groups={"spend_band": spend_band(actual)},
        actual=actual,
        left=actual == 0,
        predicted=predicted,
        low=nothing,
        high=nothing,
        confidence=nothing,
        confidence_floor=0.0,
        nominal_coverage=0.8,
        churn=nothing,
    )
