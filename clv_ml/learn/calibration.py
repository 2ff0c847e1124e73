"""What later dates teach of a fit that ended before them: trees, candidate, churn, spread of amounts."""

from dataclasses import dataclass, replace

from clv_ml.errors import TrainingError
from clv_ml.learn.boosters import Parameters, choose_rounds
from clv_ml.learn.candidates import (
    Choice,
    candidate_estimate,
    candidate_mean,
    choose_candidate,
    confirm_candidate,
)
from clv_ml.learn.churn import ChurnCalibration, chance_of_churn, fit_churn
from clv_ml.learn.median_value import fit_spread
from clv_ml.learn.model_types import fit_recipe
from clv_ml.learn.out_of_sample import Foretold, HeldOut, OutOfSample, out_of_fold, out_of_time
from clv_ml.learn.store_history import StoreHistory
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.measure.metrics import Array
from clv_ml.model.model_types import ModelType
from clv_ml.model.recipe import Recipe

MIN_TRAINING_ROWS = 20
"""Customer-dates: three folds of fewer leave the boosters nothing to split."""


@dataclass(frozen=True)
class Calibration:
    """
    Trees per booster, the candidate to publish, and the churn's calibration; ``full`` is what the full recipe
    predicted of the rows that all this was learned from, and ``leaving`` their chance of churn, shape (n,).
    """

    rounds: dict[str, int]
    choice: Choice
    churn: ChurnCalibration
    full: HeldOut
    leaving: Array

    @property
    def held_out(self) -> Foretold:
        """What the candidate to publish predicted of these rows."""
        rows = self.full.rows
        estimate = candidate_estimate(self.choice.candidate, rows, self.full.predicted)
        return Foretold(rows, estimate, self.leaving)

    @property
    def spread(self) -> float:
        """Of spending, around what the candidate to publish predicted."""
        return fit_spread(self.full.rows, self.held_out.predicted, 1 - self.leaving)

    def confirmed(self, later: HeldOut, seen: TrainingData, is_small_shop: bool) -> "Calibration":
        """
        With the candidate that ``confirm_candidate`` finds; ``later`` is what the full recipe predicted of
        later dates, ``seen`` as for ``calibrate``.
        """
        since = seen.only(seen.as_of >= self.full.rows.as_of.min())
        return replace(self, choice=confirm_candidate(self.choice, self.full, later, since, is_small_shop))


def calibrate(
    train: TrainingData,
    later: TrainingData,
    known: TrainingData,
    seen: TrainingData,
    history: StoreHistory,
    is_small_shop: bool,
    model_type: ModelType = "lightgbm",
    parameters: Parameters | None = None,
) -> Calibration:
    """
    What dates teach that a fit on earlier ones predicts.

    Intervals, churn and spread always come from that fit: it alone knew nothing of the rows' window, so
    what it teaches errs to the cautious side.

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
    is_one_date = not len(later)
    later = train if is_one_date else later
    rounds = choose_rounds(train, later.only(later.trainable), parameters)

    def fit(rows: TrainingData, today: Customers) -> Recipe:
        return fit_recipe(rows, today, model_type, rounds, parameters)

    def again() -> Array:
        return _full_means(out_of_fold(later, fit, known))

    early = out_of_fold(train, fit) if is_one_date else out_of_time(fit(train, later.customers), later)
    full = HeldOut(later, _full_means(early))
    choice = choose_candidate(
        later,
        full.predicted,
        seen.only(seen.as_of >= later.as_of.min()),
        is_small_shop,
        None if is_one_date else again,
    )
    churn = fit_churn(early, history.pace)
    leaving = early.predict(lambda recipe, rows: chance_of_churn(recipe, rows, history.pace, churn))
    return Calibration(rounds, choice, churn, full, leaving)


def _full_means(held_out: OutOfSample) -> Array:
    """What the full recipe expects of the rows."""
    return held_out.predict(lambda recipe, rows: candidate_mean("model", recipe, rows))


def _require_rows(train: TrainingData, later: TrainingData) -> None:
    if min(len(train), len(later) or len(train)) < MIN_TRAINING_ROWS:
        raise TrainingError(
            f"Only {len(train)} training rows ({len(later)} to calibrate on); at least {MIN_TRAINING_ROWS} "
            "are needed. Load more customers or more history, or lower min_purchases_for_training or "
            "min_history_days."
        )
