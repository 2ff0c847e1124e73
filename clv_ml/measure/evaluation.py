"""
Predictions of customers with what happened, and every figure that follows. Arrays in, numbers out.

Several dates together are an evaluation too, whose rows are theirs one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import (
    NOT_DEFINED,
    Array,
    brier_score,
    calibration_error,
    came_true,
    evaluate_predictions,
    tenths,
)

SPEND_BANDS = 5
TENURE_ORDERS = "tenure_orders"
"""The group that ``tenure_and_orders`` makes."""
TENURES = {0: "under 90 days", 90: "90 to 364 days", 365: "1 to 2 years", 730: "over 2 years"}
ORDERS = {0: "1 order", 2: "2 to 3 orders", 4: "4 to 9 orders", 10: "10 orders and more"}
"""Bands by what they begin with: days since the first purchase, and purchases."""


@dataclass(frozen=True)
class Evaluation:
    """
    n customers of one date, or of several together (``as_of`` is None). Arrays have shape (n,), money is in
    the reporting currency.

    ``predicted`` maps an estimator to its prediction; ``model`` is ``clv_predicted`` as it would have been
    published, by the ``candidate`` named. ``low``, ``high`` (which ``nominal_coverage`` of customers should
    lie between) and ``confidence`` belong to it, ``churn`` is its
    chance of no purchase, and ``left`` whether there was none. ``groups`` maps a column's name to each
    customer's group. ``unfitted`` names estimators that have no prediction, as a fit that does not converge.
    """

    as_of: str | None
    candidate: str
    customer: NDArray[np.str_]
    groups: Mapping[str, NDArray[np.str_]]
    actual: Array
    left: NDArray[np.bool_]
    predicted: Mapping[str, Array]
    low: Array
    high: Array
    confidence: Array
    confidence_floor: float
    nominal_coverage: float
    churn: Array
    unfitted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.actual.size


def spend_band(anchor: Array) -> NDArray[np.str_]:
    """Each customer's fifth by anchor, "1" the lowest. Shape (n,)."""
    rank = np.argsort(np.argsort(anchor, kind="stable"))
    return (rank * SPEND_BANDS // max(anchor.size, 1) + 1).astype(str)


def tenure_and_orders(days: Array, orders: Array) -> NDArray[np.str_]:
    """Each customer's bands, of days since the first purchase and of purchases. Shape (n,)."""
    tenure, bought = (
        np.array(list(bands.values()))[np.searchsorted(list(bands), values, side="right") - 1]
        for bands, values in ((TENURES, days), (ORDERS, orders))
    )
    return np.strings.add(np.strings.add(tenure, ", "), bought)


def pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The rows of all of them together, with the estimators that each has; unfitted are the others."""
    first = evaluations[0]
    arrays: dict[str, Any] = {
        field.name: np.concatenate([getattr(one, field.name) for one in evaluations])
        for field in fields(first)
        if isinstance(getattr(first, field.name), np.ndarray)
    }
    groups, predicted = (
        {name: np.concatenate([getattr(one, table)[name] for one in evaluations]) for name in names}
        for table, names in (("groups", first.groups), ("predicted", common_estimators(evaluations)))
    )
    candidate = ", ".join(dict.fromkeys(one.candidate for one in evaluations))
    unfitted = tuple(dict.fromkeys(name for one in evaluations for name in one.unfitted))
    return replace(
        first,
        as_of=None,
        candidate=candidate,
        groups=groups,
        predicted=predicted,
        unfitted=unfitted,
        **arrays,
    )


def common_estimators(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """The estimators that every evaluation has; a probabilistic fit may not have converged on some date."""
    return tuple(
        name for name in evaluations[0].predicted if all(name in one.predicted for one in evaluations)
    )


def segments(evaluation: Evaluation) -> dict[str, NDArray[np.bool_]]:
    """Who belongs to which segment: ``all``, and ``column=group`` of each group. Masks of shape (n,)."""
    masks = {"all": np.ones(len(evaluation), dtype=np.bool_)}
    for column, group_of in evaluation.groups.items():
        masks |= {f"{column}={group}": group_of == group for group in np.unique(group_of)}
    return masks


def interval_metrics(evaluation: Evaluation) -> dict[str, float]:
    """
    Of ``model``: shares of customers inside their interval, above and below it; its score (width, and 2 / a
    times what lies outside where a share of a may) over the mean actual; and the error of the confidence.

    Source: Gneiting and Raftery (2007), "Strictly proper scoring rules", section 6.2.
    """
    actual, predicted = evaluation.actual, evaluation.predicted["model"]
    above, below = actual > evaluation.high, actual < evaluation.low
    inside = ~above & ~below
    beyond = np.maximum(actual - evaluation.high, 0) + np.maximum(evaluation.low - actual, 0)
    score = evaluation.high - evaluation.low + 2 / (1 - evaluation.nominal_coverage) * beyond
    top = predicted >= np.quantile(predicted, 0.8)
    hits = came_true(actual, predicted, evaluation.confidence_floor)
    return {
        "coverage": float(inside.mean()),
        "coverage_top_fifth": float(inside[top].mean()),
        "above_high": float(above.mean()),
        "below_low": float(below.mean()),
        "interval_score_to_mean": float(score.mean() / max(actual.mean(), 1e-9)),
        "confidence_error": calibration_error(evaluation.confidence, hits),
    }


def churn_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Brier score of the chance of churn, that of the mean for everybody, and the calibration error."""
    happened = evaluation.left.astype(float)
    return {
        "brier": brier_score(happened, evaluation.churn),
        "brier_of_constant": brier_score(happened, np.full(happened.size, happened.mean())),
        "calibration_error": calibration_error(evaluation.churn, evaluation.left),
    }


def decile_metrics(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """
    Tenths of customers by the prediction of ``model``, ``decile_01`` the lowest: what was predicted and what
    happened. ``confidence`` is the mean that was stated, ``came_true`` the share that did.
    """
    actual, predicted = evaluation.actual, evaluation.predicted["model"]
    inside = (actual >= evaluation.low) & (actual <= evaluation.high)
    hits = came_true(actual, predicted, evaluation.confidence_floor)
    return {
        f"decile_{number:02}": {
            "customers": float(tenth.size),
            "predicted_mean": float(predicted[tenth].mean()),
            "actual_mean": float(actual[tenth].mean()),
            "coverage": float(inside[tenth].mean()),
            "confidence": float(evaluation.confidence[tenth].mean()),
            "came_true": float(hits[tenth].mean()),
        }
        for number, tenth in enumerate(tenths(predicted), start=1)
    }


def all_metrics(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """
    Every estimator's metrics by its name, NaN where it is unfitted, then ``intervals``, ``decile_01`` to
    ``decile_10``, ``churn``.
    """
    estimators = {
        name: dict(evaluate_predictions(evaluation.actual, predicted))
        for name, predicted in evaluation.predicted.items()
    }
    return {
        **estimators,
        **{name: dict(NOT_DEFINED) for name in evaluation.unfitted},
        "intervals": interval_metrics(evaluation),
        **decile_metrics(evaluation),
        "churn": churn_metrics(evaluation),
    }
