"""Predictions of rows by recipes that did not learn from them: from earlier dates, or other customers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.measure.metrics import Array
from clv_ml.model.recipe import Recipe

FOLDS = 3
"""A fit on two thirds is near enough to one on all, and three fits are quick."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows of one or more dates, and what was predicted for each. Shape (n,)."""

    rows: TrainingData
    predicted: Array


@dataclass(frozen=True)
class Foretold(HeldOut):
    """And the chance of churn that was. Shape (n,)."""

    leaving: Array


@dataclass(frozen=True)
class OutOfSample:
    """Recipe ``k`` predicts the rows whose ``fold``, shape (n,), is k: it learned from none of them."""

    rows: TrainingData
    fold: NDArray[np.int64]
    recipes: tuple[Recipe, ...]

    def predict(self, by: Callable[[Recipe, TrainingData], Array]) -> Array:
        """What ``by`` makes of each recipe and its rows, put together in the rows' order. Shape (n,)."""
        predicted = np.empty(len(self.rows))
        for number, recipe in enumerate(self.recipes):
            mine = self.fold == number
            predicted[mine] = by(recipe, self.rows.only(mine))
        return predicted


def customer_folds(customer: NDArray[np.str_]) -> NDArray[np.int64]:
    """A fold per row, 0 to ``FOLDS`` - 1; all rows of a customer share one. Shape (n,)."""
    fold_of = np.empty(customer.size, dtype=np.int64)
    for fold, (_, held_out) in enumerate(GroupKFold(FOLDS).split(customer, groups=customer)):
        fold_of[held_out] = fold
    return fold_of


def out_of_time(recipe: Recipe, rows: TrainingData) -> OutOfSample:
    """Rows of later dates than the recipe was fitted on."""
    return OutOfSample(rows, np.zeros(len(rows), dtype=np.int64), (recipe,))


def out_of_fold(
    rows: TrainingData,
    fit: Callable[[TrainingData, Customers], Recipe],
    known: TrainingData | None = None,
) -> OutOfSample:
    """
    Each customer predicted by what ``fit`` learns from the others, on the rows or on all that are
    ``known``: for where no later date is there to predict, or too little before it.

    Source: cross-fitting as in Barber et al. (2021), "Predictive inference with the jackknife+" (CV+).
    """
    known = rows if known is None else known
    known_fold = customer_folds(known.customer)
    # who is not among the known was learned from by no fold
    fold_of = dict(zip(known.customer, known_fold, strict=True))
    fold = np.array([fold_of.get(customer, 0) for customer in rows.customer], dtype=np.int64)
    recipes = tuple(
        fit(known.only(known_fold != number), rows.only(fold == number).customers) for number in range(FOLDS)
    )
    return OutOfSample(rows, fold, recipes)
