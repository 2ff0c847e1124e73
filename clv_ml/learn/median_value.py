"""
The median of a customer's spend (``clv_typical``), in closed form from mean and chance of buying.

A customer buys with chance p, and then spends an amount that is log-logistic around its expectation, mean /
p. The median over both is 0 where p is at most one half, and else the amount's quantile at 1 - 0.5 / p, which
is

    mean / p x sin(pi s) / (pi s) x (2 p - 1) ** s

for the scale s, the *spread*: 0 for amounts that never vary, larger where a few spend much more than most.

Source: the quantile function of the log-logistic distribution (Fisk 1961) in a hurdle model.
"""

from dataclasses import replace

import numpy as np

from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array
from clv_ml.model.recipe import Output, Recipe, Term, Trees

MEDIAN = "clv_typical"
"""The output's name, and the column's."""
USUAL_SPREAD = 0.4
"""A scale without unit, taken where a date says nothing of it."""
SPREADS = np.linspace(0.05, 0.8, 16)
"""Those that are tried: from amounts that hardly vary to a mean that a few customers carry."""
TOLERANCE = 0.01
"""One date says little: a spread nearer to the usual one may err by this share more than the best."""


def median_value(mean: Array, buying: Array, spread: float) -> Array:
    """
    The median of each customer's value, from its mean, in currency, and the chance of buying. Shape (n,).
    """
    beyond_half = np.maximum(2 * buying - 1, 0.0)
    return mean / np.maximum(buying, 0.5) * _median_to_mean(spread) * beyond_half**spread


def fit_spread(rows: TrainingData, mean: Array, buying: Array) -> float:
    """
    The spread nearest to the usual one among those whose mean absolute error is within 1 % of the least,
    on customers of later dates; ``mean``, brought to each date's total first, and ``buying`` are of a fit
    that ended before.
    """
    spent, levelled = np.maximum(rows.revenue, 0.0), mean * rows.total_ratio(mean)
    if not (spent.any() and levelled.any()):
        return USUAL_SPREAD
    errors = np.array([np.abs(spent - median_value(levelled, buying, spread)).sum() for spread in SPREADS])
    good = SPREADS[errors <= (1 + TOLERANCE) * errors.min()]
    return round(float(good[np.abs(good - USUAL_SPREAD).argmin()]), 3)


def with_median(recipe: Recipe, spread: float) -> Recipe:
    """The recipe, of a mean and a chance of churn made of trees, with the median's output between them."""
    mean, churn = recipe.outputs
    (leaving,) = churn.terms[0].factors
    assert isinstance(leaving, Trees)
    buying = replace(leaving, link="one_over_sigmoid", slope=-leaving.slope, intercept=-leaving.intercept)
    beyond_half = replace(buying, link="excess", power=spread)
    terms = tuple(
        Term(_median_to_mean(spread) * term.weight, (*term.factors, buying, beyond_half), term.anchored)
        for term in mean.terms
    )
    return replace(recipe, outputs=(mean, Output(MEDIAN, terms), churn))


def _median_to_mean(spread: float) -> float:
    return float(np.sinc(spread))
