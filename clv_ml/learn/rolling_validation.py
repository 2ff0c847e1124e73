"""
Rolling validation before the test date: each fold fits what was known by its date, and predicts the date.
"""

from dataclasses import dataclass

import numpy as np

from clv_ml.errors import HistoryError
from clv_ml.learn.calibration import MIN_TRAINING_ROWS
from clv_ml.learn.training_data import TrainingData, label_ends
from clv_ml.settings import Settings

VALIDATION_DATES = 3
"""The newest that can be predicted: more would be of a shop that is no longer so."""


@dataclass(frozen=True)
class Fold:
    """A validation date: what a fit may learn from, and the customers that it is measured on."""

    fit: TrainingData
    rows: TrainingData


def before_test(data: TrainingData, settings: Settings) -> TrainingData:
    """The rows whose answers were final when the test date began: all that the search may know."""
    return data.only(label_ends(data.as_of, settings) <= data.dates("test").min())


def rolling_folds(known: TrainingData, settings: Settings) -> tuple[Fold, ...]:
    """
    The newest dates that a fit on earlier answers can predict, in order.

    Raises:
        HistoryError: If there is none.
    """
    ends = label_ends(known.as_of, settings)
    folds = []
    for day in np.unique(known.as_of)[::-1][:VALIDATION_DATES]:
        fit = known.only(known.trainable & (ends <= day))
        if len(fit) >= MIN_TRAINING_ROWS:
            folds.insert(0, Fold(fit, known.only(known.as_of == day)))
    if not folds:
        horizon = settings.vars.horizon_days
        raise HistoryError(
            f"A search needs three horizons of {horizon} days in a row (to fit, to validate, to "
            f"test), {3 * horizon} days of history and some weeks. Load more history, shorten "
            "horizon_days, or keep the default parameters."
        )
    return tuple(folds)
