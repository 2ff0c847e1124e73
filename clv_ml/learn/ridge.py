"""The ridge regression of the ratio to the anchor, as a line: the simplest multiplier."""

import numpy as np
from sklearn.linear_model import Ridge

from clv_ml.learn.boosters import Parameters, by_anchor, capped_ratio, ratio
from clv_ml.learn.training_data import TrainingData
from clv_ml.model.recipe import Line


def fit_ridge(data: TrainingData, parameters: Parameters) -> Line:
    """
    Ridge regression of the ratio on standardised features, medians for the missing, and a flag for each of
    them.
    """
    missing = np.isnan(data.values)
    medians = np.array(
        [
            np.median(column[~gap]) if not gap.all() else 0.0
            for column, gap in zip(data.values.T, missing.T, strict=True)
        ]
    )
    inputs = np.column_stack([np.where(missing, medians, data.values), missing])
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
    )
