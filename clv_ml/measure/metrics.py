"""
How good predictions are: error, ranking, totals and calibration, each metric once.

Arrays have shape (n,), in the reporting currency. Rankings are made after a seeded shuffle, so that ties fall
at random: average ranks would reward predictors that say nothing.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEED = 20260101


def mean_absolute_error(actual: Array, predicted: Array) -> float:
    """Mean of |actual - predicted|, in currency."""
    return float(np.mean(np.abs(actual - predicted)))


def normalised_mae(actual: Array, predicted: Array) -> float:
    """Mean absolute error over the mean of the actual; NaN where that is not positive."""
    mean = float(actual.mean())
    return float(mean_absolute_error(actual, predicted) / mean) if mean > 0 else float("nan")


def root_mean_squared_error(actual: Array, predicted: Array) -> float:
    """Root of the mean squared error, in currency."""
    return float(np.sqrt(np.mean((actual - predicted) ** 2)))


def mean_absolute_percentage_error(actual: Array, predicted: Array) -> float:
    """Mean of |actual - predicted| / |actual| over rows whose actual is not zero; NaN where there is none."""
    some = actual != 0
    if not some.any():
        return float("nan")
    return float(np.mean(np.abs(actual[some] - predicted[some]) / np.abs(actual[some])))


def r_squared(actual: Array, predicted: Array) -> float:
    """1 - squared error / variance of the actual; NaN where all actuals are alike."""
    spread = np.sum((actual - actual.mean()) ** 2)
    return float(1 - np.sum((actual - predicted) ** 2) / spread) if spread > 0 else float("nan")


def spearman(actual: Array, predicted: Array) -> float:
    """Rank correlation, ties broken at random on each side apart; NaN with fewer than two rows."""
    if actual.size < 2:
        return float("nan")
    return float(np.corrcoef(_ranks(actual, SEED), _ranks(predicted, SEED + 1))[0, 1])


def normalised_gini(actual: Array, predicted: Array) -> float:
    """Area between concentration curve and diagonal, over that of a perfect ranking; NaN without spend."""
    order = _shuffled(actual.size)
    perfect = _gini(actual[order], actual[order])
    return _gini(actual[order], predicted[order]) / perfect if perfect else float("nan")


def top_decile_lift(actual: Array, predicted: Array) -> float:
    """Mean actual of the tenth predicted highest, over the overall mean; NaN where that is not positive."""
    mean = actual.mean()
    if not mean > 0:
        return float("nan")
    order = _shuffled(actual.size)
    best_first = order[np.argsort(-predicted[order], kind="stable")]
    top = best_first[: max(1, round(actual.size / 10))]
    return float(actual[top].mean() / mean)


def total_bias(actual: Array, predicted: Array) -> float:
    """|ln(sum predicted / sum actual)|: 0 where the totals agree; NaN where either is not positive."""
    total, expected = actual.sum(), predicted.sum()
    return float(abs(np.log(expected / total))) if total > 0 and expected > 0 else float("nan")


def tenths(predicted: Array) -> list[NDArray[np.intp]]:
    """Row numbers of each tenth by prediction, lowest first; fewer than ten customers make fewer."""
    order = _shuffled(predicted.size)
    lowest_first = order[np.argsort(predicted[order], kind="stable")]
    return [tenth for tenth in np.array_split(lowest_first, 10) if tenth.size]


def decile_table(actual: Array, predicted: Array) -> tuple[Array, Array]:
    """Mean predicted and mean actual of each tenth by prediction, lowest first. Shape (up to 10,) each."""
    means = np.array([(predicted[tenth].mean(), actual[tenth].mean()) for tenth in tenths(predicted)])
    return means[:, 0], means[:, 1]


def decile_mape(actual: Array, predicted: Array) -> float:
    """Mean over deciles of |predicted - actual| / max(actual, 5 % of the overall mean)."""
    floor = 0.05 * actual.mean()
    if not floor > 0:
        return float("nan")
    expected, happened = decile_table(actual, predicted)
    return float(np.mean(np.abs(expected - happened) / np.maximum(happened, floor)))


def decile_wape(actual: Array, predicted: Array) -> float:
    """Sum over deciles of |predicted - actual| over the sum of the actual."""
    expected, happened = decile_table(actual, predicted)
    return float(np.abs(expected - happened).sum() / happened.sum()) if happened.sum() > 0 else float("nan")


def deviance(actual: Array, predicted: Array) -> Array:
    """
    Poisson deviance of each row, shape (n,): lowest in the mean where the prediction is the true mean. A
    negative actual counts as 0, a prediction below a thousandth of the mean as that.
    """
    happened = np.maximum(actual, 0.0)
    expected = np.maximum(predicted, max(1e-3 * float(happened.mean()), 1e-9))
    logs = np.where(happened > 0, happened * np.log(np.where(happened > 0, happened, 1.0) / expected), 0.0)
    return 2 * (logs - (happened - expected))


def brier_score(happened: Array, chance: Array) -> float:
    """Mean squared difference of a chance and what happened (0 or 1)."""
    return float(np.mean((happened - chance) ** 2))


def came_true(actual: Array, predicted: Array, floor: float) -> NDArray[np.bool_]:
    """Whether the actual fell within 50 % of the prediction, or within ``floor`` of one below. Shape (n,)."""
    return np.abs(actual - predicted) <= np.where(predicted < floor, floor, 0.5 * predicted)


def calibration_error(confidence: Array, happened: NDArray[np.bool_], groups: int = 10) -> float:
    """Mean over customers of |confidence - share that came true| in groups (Naeini et al. 2015)."""
    order = np.argsort(confidence, kind="stable")
    members = [group for group in np.array_split(order, groups) if group.size]
    gaps = [abs(confidence[group].mean() - happened[group].mean()) * group.size for group in members]
    return float(sum(gaps) / max(confidence.size, 1))


METRICS = {
    "r2": r_squared,
    "mae": mean_absolute_error,
    "nmae": normalised_mae,
    "rmse": root_mean_squared_error,
    "mape": mean_absolute_percentage_error,
    "spearman": spearman,
    "gini": normalised_gini,
    "top_decile_lift": top_decile_lift,
    "bias": total_bias,
    "decile_mape": decile_mape,
    "decile_wape": decile_wape,
}
NOT_DEFINED = dict.fromkeys(METRICS, np.nan)
"""The metrics of an estimator that has no prediction."""
HIGHER_IS_BETTER = frozenset({"r2", "spearman", "gini", "top_decile_lift"})


def evaluate_predictions(actual: Array, predicted: Array) -> Mapping[str, float]:
    """Every metric by name, see ``METRICS``."""
    return {name: metric(actual, predicted) for name, metric in METRICS.items()}


def _shuffled(size: int, seed: int = SEED) -> NDArray[np.intp]:
    return np.random.default_rng(seed).permutation(size)


def _ranks(values: Array, seed: int) -> Array:
    order = _shuffled(values.size, seed)
    ranks = np.empty(values.size)
    ranks[order[np.argsort(values[order], kind="stable")]] = np.arange(values.size)
    return ranks


def _gini(actual: Array, by: Array) -> float:
    total = actual.sum()
    if not total > 0:
        return 0.0
    best_first = np.argsort(-by, kind="stable")
    return float(
        np.cumsum(actual[best_first]).sum() / total / actual.size - (actual.size + 1) / (2 * actual.size)
    )
