"""
The usual chance of buying: what goes with an anchor, by a logistic curve, whoever the customer is.

Trees say how much likelier than that a customer is to buy.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.special import expit, logit
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
WIDEST_SHIFT = 100.0
"""Of margins: no mean chance that a double can hold lies further off."""


def usual_chance(data: TrainingData) -> Line:
    """
    One over the chance of buying that goes with the anchor: a logistic curve of its logarithm relative to the
    mean, or the share that bought where that feature is left out or everybody did the same.

    Its slope lies between 0 and 1. A steeper one would make the quotient of the chances fall faster than the
    anchor rises: who is surer to buy would be worth less.
    """
    bought, none = data.purchases > 0, (0.0,) * len(data.names)
    slope, intercept = 0.0, mean_margin(data)
    if RELATIVE_ANCHOR in data.names and 0 < bought.mean() < 1:
        relative = data.values[:, data.names.index(RELATIVE_ANCHOR)]
        free, _ = logistic_curve(relative, bought)
        slope = float(np.clip(free, 0.0, 1.0))
        # the likeliest intercept next to any slope: as many are said to buy as did
        intercept = shift(slope * relative, float(bought.mean()))
    coefficients = tuple(slope if name == RELATIVE_ANCHOR else 0.0 for name in data.names)
    return Line("usual_chance", coefficients, none, none, intercept, "one_over_sigmoid")


def mean_margin(data: TrainingData) -> float:
    """The margin of the share that bought."""
    return float(logit(np.clip((data.purchases > 0).mean(), RAREST, 1 - RAREST)))


def logistic_curve(values: Array, happened: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the margin of what happened, both arrays of shape (n,)."""
    curve = LogisticRegression(C=UNPENALISED).fit(values[:, None], happened)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def shift(margin: Array, wanted: float) -> float:
    """
    What to add to margins, shape (n,), so that the mean of their chances is the one wanted; 0 where that is
    no chance.
    """
    if not 0 < wanted < 1:
        return 0.0
    found = root_scalar(
        lambda moved: float(np.mean(expit(margin + moved))) - wanted, bracket=(-WIDEST_SHIFT, WIDEST_SHIFT)
    )
    return float(found.root)
