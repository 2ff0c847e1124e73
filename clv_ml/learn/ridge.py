"""The ridge regression of the ratio to the anchor, as a line: the simplest multiplier."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from clv_ml.learn.boosters import Parameters, by_anchor, capped_ratio, ratio
from clv_ml.learn.churn import BUYING_ODDS
from clv_ml.learn.training_data import TrainingData
from clv_ml.learn.usual_chance import RELATIVE_ANCHOR
from clv_ml.model.recipe import Line

Array = NDArray[np.float64]

RATIO = "_to_anchor"
"""How the names of features end that are ratios to the anchor."""


def fit_ridge(data: TrainingData, parameters: Parameters) -> tuple[float, Line]:
    """
    Ridge regression of the ratio on standardised features, medians for the missing, and a flag for each of
    them.

    Ratios to the anchor are limited as the ratio that is learned, and no feature counts as more or less than
    was ever seen: a line, unlike trees, would go on beyond. Odds of buying that would count against a
    customer are left out.

    Returns:
        The least ratio, and what is added to it, 0 or more. The ratio may fall as the anchor rises, since
        large anchors promise too much: with a slope of -b along the anchor's logarithm, anchor x ratio still
        rises where the ratio is at least b. So b is the least.
    """
    lowest, highest = _limits(data, parameters.ratio_cap)
    missing = np.isnan(data.values)
    values = np.clip(data.values, lowest, highest)
    medians = np.array(
        [
            np.median(column[~gap]) if not gap.all() else 0.0
            for column, gap in zip(values.T, missing.T, strict=True)
        ]
    )
    inputs = np.column_stack([np.where(missing, medians, values), missing])
    spread = np.where(inputs.std(axis=0) > 0, inputs.std(axis=0), 1.0)
    standard, names = (inputs - inputs.mean(axis=0)) / spread, np.array(data.names)
    target, weight = capped_ratio(data, ratio(data), parameters), by_anchor(data)
    model = Ridge(alpha=parameters.ridge_l2).fit(standard, target, sample_weight=weight)
    against = np.flatnonzero((names == BUYING_ODDS) & (model.coef_[: names.size] < 0))
    if against.size:
        standard[:, against] = 0.0
        model.fit(standard, target, sample_weight=weight)
    coefficients = model.coef_ / spread
    least = float(np.maximum(-coefficients[: names.size][names == RELATIVE_ANCHOR], 0.0).sum())
    return least, Line(
        name="line",
        coefficients=tuple(coefficients[: names.size].tolist()),
        missing_coefficients=tuple(coefficients[names.size :].tolist()),
        medians=tuple(medians.tolist()),
        intercept=float(model.intercept_ - coefficients @ inputs.mean(axis=0)) - least,
        link="relu",
        lowest=tuple(lowest.tolist()),
        highest=tuple(highest.tolist()),
    )


def _limits(data: TrainingData, ratio_cap: float) -> tuple[Array, Array]:
    """The least and the most that each feature counts as, shape (k,) each; 0 where it was never seen."""
    seen = np.where(np.isnan(data.values).all(axis=0), 0.0, data.values)
    cap = np.where([name.endswith(RATIO) for name in data.names], ratio_cap, np.inf)
    return np.clip(np.nanmin(seen, axis=0), -cap, cap), np.clip(np.nanmax(seen, axis=0), -cap, cap)
