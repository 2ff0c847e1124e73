"""
What later dates teach of a fit that ended before them: how many trees to grow, which form to publish, and how
sure its chance of churn and its typical value are.

Training asks it of the calibration dates, the backtest of the newest date whose answers an origin knew; so
the backtest measures what would have been published.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import TrainingError
from clv_ml.learn.candidates import Choice, choose_form, mean_in_form
from clv_ml.learn.fitting import (
    Parameters,
    choose_rounds,
    fit_churn,
    fit_recipe,
    out_of_fold,
    out_of_time,
    with_calibrated_churn,
)
from clv_ml.learn.intervals import Held
from clv_ml.learn.model_types import ModelType
from clv_ml.learn.shop_history import Shop
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.learn.typical_value import fit_spread
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Recipe

Array = NDArray[np.float64]
MIN_TRAINING_ROWS = 20


@dataclass(frozen=True)
class Lessons:
    """
    Trees per part, the form to publish, what ``fit_churn`` found, and the spread of spending; ``held`` is
    what was predicted, in that form, of the rows that taught them.
    """

    rounds: dict[str, int]
    choice: Choice
    churn: tuple[float, float]
    spread: float
    held: Held


def learn(
    train: TrainingData,
    later: TrainingData,
    known: TrainingData,
    seen: TrainingData,
    shop: Shop,
    is_small_shop: bool,
    model_type: ModelType = "lightgbm",
    parameters: Parameters | None = None,
) -> Lessons:
    """
    The lessons of dates that a fit on earlier ones predicts.

    Intervals, churn and spread always come from that fit, also where trees are published because younger fits
    did better (``choose_form``): it is the only one that knew nothing of the rows' window, so what it teaches
    errs to the cautious side.

    Args:
        train: Trainable rows of the dates before.

        later: All rows of the later dates; without rows, each third of the customers of ``train`` is
            predicted by a fit on the other two.

        known: Trainable rows of all dates whose answers may be learned from.

        seen: Rows of all dates up to the last that is predicted; of those after the later ones no answer is
            read.

    Raises:
        TrainingError: If there are too few rows to learn from.
    """
    parameters = parameters or Parameters()
    _require_rows(train, later)
    one_date_only = not len(later)
    later = train if one_date_only else later
    rounds = choose_rounds(train, later.only(later.trainable), parameters)

    def fit(rows: TrainingData, today: Customers) -> Recipe:
        return fit_recipe(rows, today, model_type, rounds, parameters)

    def again() -> Array:
        return out_of_fold(later, fit, known).said(_full_mean)

    early = out_of_fold(train, fit) if one_date_only else out_of_time(fit(train, later.customers), later)
    choice = choose_form(
        later,
        early.said(_full_mean),
        seen.only(seen.as_of >= later.as_of.min()),
        is_small_shop,
        None if one_date_only else again,
    )
    held = Held(later, early.said(lambda recipe, rows: mean_in_form(recipe, choice.form, rows)))
    churn = fit_churn(early, shop.pace)
    left = early.said(lambda recipe, rows: chance_of_churn(recipe, rows, shop.pace, churn))
    return Lessons(rounds, choice, churn, fit_spread(later, held.predicted, 1 - left), held)


def chance_of_churn(
    recipe: Recipe, rows: TrainingData, pace: Callable[[np.datetime64], float], churn: tuple[float, float]
) -> Array:
    """The calibrated chance of churn of rows of several dates, each date at its own pace. Shape (n,)."""
    chance = np.empty(len(rows))
    for day in np.unique(rows.as_of):
        alike = rows.only(rows.as_of == day)
        calibrated = with_calibrated_churn(recipe, alike.customers, pace(day), *churn)
        chance[rows.as_of == day] = predict(calibrated, alike.values, alike.anchor)["churn_probability"]
    return chance


def _full_mean(recipe: Recipe, rows: TrainingData) -> Array:
    return mean_in_form(recipe, "model", rows)


def _require_rows(train: TrainingData, later: TrainingData) -> None:
    if min(len(train), len(later) or len(train)) < MIN_TRAINING_ROWS:
        raise TrainingError(
            f"Only {len(train)} training rows ({len(later)} to calibrate on); at least "
            f"{MIN_TRAINING_ROWS} are needed. Load more customers or more history, or lower "
            "min_purchases_for_training or min_history_days."
        )
