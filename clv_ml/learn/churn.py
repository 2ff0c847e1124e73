"""
The chance of churn: no purchase in the horizon.

Who is likelier to leave, trees learn; how many in all follows from the purchases expected: by formula the
odds of buying are those purchases. So the trees' margins are stretched on held-out rows (Platt 1999) and then
moved until the mean of their chances is the formula's.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from clv_ml.learn.out_of_sample import OutOfSample
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.learn.usual_chance import logistic_curve, shift
from clv_ml.measure.metrics import Array
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees

Pace = Callable[[np.datetime64], float]
"""
How busy a date's window is, as a logarithm: purchases in all over those expected of its customers.
"""

CHURN = "churn_probability"
BUYING_ODDS = "log_buying_odds"
"""The feature that the formula reads."""
CHANCE_STRETCH = 1.25
"""Of the margin around the usual one: trees grown in small steps stop short of how sure they could be."""
STEEPEST = 3.0
"""Of a slope found on held-out rows: few rows may be separated without a fault, by chance."""
TREES_SHARE = 0.5
"""Of the margin; the other half is the formula's, which knows the customer's own purchases."""
SUREST = 1e-9
"""A chance is taken for at least this and at most 1 minus it, so that it has a margin."""


class ChurnCalibration(NamedTuple):
    """The stretch of the margins of not buying, and what to add to the formula's margins."""

    slope: float
    surplus: float


def churn_output(names: tuple[str, ...]) -> Output:
    """The output as it is fitted: the trees' chance turned round, half and half with the formula's."""
    formula = _buying_odds(names)
    slope = -1.0 if formula is None else -TREES_SHARE
    return _output(Trees("chance", "sigmoid", slope=slope, offset=formula))


def fit_churn(held_out: OutOfSample, pace: Pace) -> ChurnCalibration:
    """
    Calibrates the margin of not buying on rows that the recipes were not fitted on.

    Returns:
        A slope half way from ``CHANCE_STRETCH`` to the one that fits these rows, since they are of a date or
        two; and the surplus that brings the mean of the formula's chances to the share that left.
    """
    rows = held_out.rows
    left = rows.purchases == 0
    margin = held_out.predict(lambda recipe, mine: _margin(recipe, mine.customers))
    days = np.unique(rows.as_of)
    formula = np.empty(len(rows))
    for day in days:
        of_the_day = rows.as_of == day
        formula[of_the_day] = _formula_margin(rows.names, rows.values[of_the_day], pace(day))
    # half a customer to either side, since nobody knows of a shop where all leave, or none
    surplus = shift(formula, (left.sum() + 0.5) / (left.size + 1))
    if left.all() or not left.any():
        return ChurnCalibration(CHANCE_STRETCH, surplus)
    for day in days:
        of_the_day = rows.as_of == day
        margin[of_the_day] += shift(margin[of_the_day], _mean_chance(formula[of_the_day] + surplus))
    fitted, _ = logistic_curve(margin, left)
    return ChurnCalibration((CHANCE_STRETCH + float(np.clip(fitted, 0.0, STEEPEST))) / 2, surplus)


def with_calibrated_churn(
    recipe: Recipe, today: Customers, pace: float, calibration: ChurnCalibration
) -> Recipe:
    """
    The recipe whose margin of not buying is stretched, and moved so that today's mean chance is the
    formula's at today's pace.
    """
    formula = _formula_margin(recipe.features, today.values, pace) + calibration.surplus
    moved = shift(calibration.slope * _margin(recipe, today), _mean_chance(formula))
    (trees,) = next(output for output in recipe.outputs if output.name == CHURN).terms[0].factors
    assert isinstance(trees, Trees)
    calibrated = _output(replace(trees, slope=calibration.slope * trees.slope, intercept=moved))
    outputs = tuple(calibrated if output.name == CHURN else output for output in recipe.outputs)
    return replace(recipe, outputs=outputs)


def chance_of_churn(recipe: Recipe, rows: TrainingData, pace: Pace, calibration: ChurnCalibration) -> Array:
    """The calibrated chance of rows of several dates, each date at its own pace. Shape (n,)."""
    chance = np.empty(len(rows))
    for day in np.unique(rows.as_of):
        of_the_day = rows.only(rows.as_of == day)
        calibrated = with_calibrated_churn(recipe, of_the_day.customers, pace(day), calibration)
        chance[rows.as_of == day] = predict(calibrated, of_the_day.values, of_the_day.anchor)[CHURN]
    return chance


def _output(trees: Trees) -> Output:
    return Output(CHURN, (Term(1.0, (trees,), anchored=False),))


def _margin(recipe: Recipe, customers: Customers) -> Array:
    chance = predict(recipe, customers.values, customers.anchor)[CHURN]
    return logit(np.clip(chance, SUREST, 1 - SUREST))


def _formula_margin(names: tuple[str, ...], values: Array, pace: float) -> Array:
    """
    Margin of not buying by formula: the odds of buying are the purchases expected. Values have shape (n,
    k), the margin (n,); it is the same for all where the feature is left out.
    """
    if BUYING_ODDS not in names:
        return np.zeros(len(values))
    return -(values[:, names.index(BUYING_ODDS)] + pace)


def _buying_odds(names: tuple[str, ...]) -> Line | None:
    """The logarithm of the purchases expected, as a score; None where the feature is left out."""
    if BUYING_ODDS not in names:
        return None
    coefficients = tuple(float(name == BUYING_ODDS) for name in names)
    none = (0.0,) * len(names)
    return Line(BUYING_ODDS, coefficients, none, none, 0.0, "identity")


def _mean_chance(margin: Array) -> float:
    return float(np.mean(expit(margin)))
