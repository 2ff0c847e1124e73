"""How intervals, confidence and the chance of churn came true."""

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import Array, brier_score


def came_true(actual: Array, predicted: Array, floor: float) -> NDArray[np.bool_]:
    """
    Whether the actual fell within 50 % of the prediction, or within ``floor`` of one below it. Shape (n,).
    """
    return np.abs(actual - predicted) <= np.where(predicted < floor, floor, 0.5 * predicted)


def calibration_error(confidence: Array, happened: NDArray[np.bool_], groups: int = 10) -> float:
    """
    Mean over customers of |confidence - share that came true| in ten groups of confidence (Naeini et al.
    2015).
    """
    order = np.argsort(confidence, kind="stable")
    members = [group for group in np.array_split(order, groups) if group.size]
    gaps = [abs(confidence[group].mean() - happened[group].mean()) * group.size for group in members]
    return float(sum(gaps) / max(confidence.size, 1))


def interval_metrics(
    actual: Array, predicted: Array, bounds: tuple[Array, Array], confidence: Array, floor: float
) -> dict[str, float]:
    """Shares of customers inside their interval, its mean width over the mean actual, error of confidence."""
    low, high = bounds
    inside = (actual >= low) & (actual <= high)
    top = predicted >= np.quantile(predicted, 0.8)
    return {
        "coverage": float(inside.mean()),
        "coverage_top_fifth": float(inside[top].mean()),
        "mean_width_to_mean": float((high - low).mean() / max(actual.mean(), 1e-9)),
        "confidence_error": calibration_error(confidence, came_true(actual, predicted, floor)),
    }


def churn_metrics(left: NDArray[np.bool_], chance: Array) -> dict[str, float]:
    """
    Brier score of the chance of churn, that of the mean for everybody, and the calibration error in ten
    groups.
    """
    happened = left.astype(float)
    return {
        "brier": brier_score(happened, chance),
        "brier_of_constant": brier_score(happened, np.full(left.size, happened.mean())),
        "calibration_error": calibration_error(chance, left),
    }
