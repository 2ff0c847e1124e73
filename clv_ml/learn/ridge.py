"""The ridge regression of the ratio to the anchor, as a line: the simplest multiplier."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from clv_ml.learn.boosters import Parameters, by_anchor, capped_ratio, ratio
from clv_ml.learn.training_data import TrainingData
from clv_ml.model.recipe import Line

Array = NDArray[np.float64]

RATIO = "_to_anchor"
"""How the names of features end that are ratios to the anchor."""


def fit_ridge(data: TrainingData, parameters: Parameters) -> Line:
    """
    Ridge regression of the ratio on standardised features, medians for the missing, and a flag for each of
    them.

    Ratios to the anchor are limited as the ratio that is learned, and no feature counts as more or less than
    was ever seen: a line, unlike trees, would go on beyond.
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
    model = Ridge(alpha=parameters.ridge_l2).fit(
        (inputs - inputs.mean(axis=0)) / spread,
        capped_ratio(data, ratio(data), parameters),
        sample_weight=by_anchor(data),
    )
    coefficients = model.coef_ / spread
    count = len(data.names)
    return Line(
        name="line",
        coefficients=tuple(coefficients[:count].tolist()),
        missing_coefficients=tuple(coefficients[count:].tolist()),
        medians=tuple(medians.tolist()),
        intercept=float(model.intercept_ - coefficients @ inputs.mean(axis=0)),
        link="relu",
        lowest=tuple(lowest.tolist()),
        highest=tuple(highest.tolist()),
    )


def _limits(data: TrainingData, ratio_cap: float) -> tuple[Array, Array]:
    """The least and the most that each feature counts as, shape (k,) each; 0 where it was never seen."""
    seen = np.where(np.isnan(data.values).all(axis=0), 0.0, data.values)
    cap = np.where([name.endswith(RATIO) for name in data.names], ratio_cap, np.inf)
    return np.clip(np.nanmin(seen, axis=0), -cap, cap), np.clip(np.nanmax(seen, axis=0), -cap, cap)
