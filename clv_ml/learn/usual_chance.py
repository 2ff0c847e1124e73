"""
The usual chance of buying: what goes with an anchor, by a logistic curve, whoever the customer is.

Trees say how much likelier than that a customer is to buy.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from clv_ml.learn.training_data import TrainingData
from clv_ml.model.recipe import Line

Array = NDArray[np.float64]
RELATIVE_ANCHOR = "log_anchor_to_mean"
"""The feature that the curve runs along."""
RAREST = 0.01
"""The share that bought is taken for at least this and at most 1 minus it, so that it has a margin."""
UNPENALISED = 1e6
"""scikit-learn's C: so weak a penalty changes no digit that is shown."""


def usual_chance(data: TrainingData) -> Line:
    """
    One over the chance of buying that goes with the anchor: a logistic curve of its logarithm relative to the
    mean, or the share that bought where that feature is left out or everybody did the same.
    """
    bought, none = data.purchases > 0, (0.0,) * len(data.names)
    slope, intercept = 0.0, mean_margin(data)
    if RELATIVE_ANCHOR in data.names and 0 < bought.mean() < 1:
        slope, intercept = logistic_curve(data.values[:, data.names.index(RELATIVE_ANCHOR)], bought)
    coefficients = tuple(slope if name == RELATIVE_ANCHOR else 0.0 for name in data.names)
    return Line("usual_chance", coefficients, none, none, intercept, "one_over_sigmoid")


def mean_margin(data: TrainingData) -> float:
    """The margin of the share that bought."""
    return float(logit(np.clip((data.purchases > 0).mean(), RAREST, 1 - RAREST)))


def logistic_curve(values: Array, happened: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the margin of what happened, both arrays of shape (n,)."""
    curve = LogisticRegression(C=UNPENALISED).fit(values[:, None], happened)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])
