"""
Searches the fit's parameters on the past; the defaults stay unless the best is better beyond chance.

For each of the newest dates whose answers were final when the test date began, a fit on what had been final
by then predicts the date. The loss is the deviance of ``candidates`` over the date's mean revenue. One half
of the customers leads the search; the other half decides, since the best of many trials flatters itself on
the customers that picked it.

Sources: Bergstra et al. (2011) for the tree-structured Parzen estimator; Cawley and Talbot (2010) for why the
search's own score is no evidence.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import HistoryError, MissingExtraError
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.calibration import MIN_TRAINING_ROWS
from clv_ml.learn.candidates import levelled_deviance
from clv_ml.learn.model_types import fit_recipe
from clv_ml.learn.store_history import require_history
from clv_ml.learn.threads import one_blas_thread
from clv_ml.learn.training_data import TrainingData, label_ends, read_training_rows
from clv_ml.learn.tuned import TunedParameters, Tuning, write_tuning
from clv_ml.measure.bootstrap import drawn_means, sums_by_customer
from clv_ml.measure.metrics import Array
from clv_ml.model.prediction import predict
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

REPLICATES, SEED = 500, 13
"""Draws of customers for the gain's interval; the seed also splits the customers and leads the search."""

VALIDATION_DATES = 3
"""The newest that can be predicted: more would be of a shop that is no longer so."""
Number = int | float


@dataclass(frozen=True)
class Trial:
    """A set of parameters and its loss on the customers that lead the search; lower is better."""

    number: int
    loss: float
    parameters: Mapping[str, Number]


@dataclass(frozen=True)
class TuningResult:
    """
    What ``tune`` found. Trial 0 is the defaults.

    ``gain`` is by how much of the defaults' loss the best trial is lower on the half of the customers
    that decides, with its 95 % interval; ``is_adopted`` whether all of that lies above 0.
    """

    horizon_days: int
    searched_before: str
    validation_dates: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: Trial
    gain: float
    gain_low: float
    gain_high: float
    is_adopted: bool


@dataclass(frozen=True)
class Fold:
    """A validation date: what a fit may learn from, and the customers that it is measured on."""

    fit: TrainingData
    rows: TrainingData


@one_blas_thread
def tune(settings: Settings, trials: int = 30) -> TuningResult:
    """
    Searches ``trials`` sets of parameters, the defaults among them, on training rows that are built;
    writes ``tuning.json`` where the best is better than the defaults, and removes it where not.

    Raises:
        MissingExtraError: If optuna is not installed.
        HistoryError: If no date before the test date can be predicted out of time.
    """
    require_optuna()
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        require_history(connection, settings)
    result = search(data, settings, trials)
    found = TunedParameters.model_validate(dict(result.best.parameters))
    tuning = Tuning(
        horizon_days=result.horizon_days, searched_before=result.searched_before, parameters=found
    )
    write_tuning(settings.models, tuning if result.is_adopted else None)
    return result


def search(data: TrainingData, settings: Settings, trials: int) -> TuningResult:
    """The search itself, on rows in memory. Writes nothing."""
    test_date = data.dates("test").min()
    folds = rolling_folds(before_test(data, settings), settings)
    customers = np.unique(np.concatenate([fold.rows.customer for fold in folds]))
    leads = np.random.default_rng(SEED).permutation(customers.size) < customers.size / 2
    halves = [leads[np.searchsorted(customers, fold.rows.customer)] for fold in folds]
    others = [~half for half in halves]

    def loss_of(parameters: Mapping[str, Any], rows: list[NDArray[np.bool_]]) -> list[Array]:
        return _losses(folds, rows, replace(Parameters(), **parameters))

    tried = _trials(lambda parameters: _mean(loss_of(parameters, halves)), trials)
    best = min(tried, key=lambda trial: trial.loss)
    before = loss_of(tried[0].parameters, others)
    after = loss_of(best.parameters, others)
    gains = _gains(folds, others, before, after) / _mean(before)
    low, high = np.quantile(drawn_means(gains, REPLICATES, SEED), [0.025, 0.975]) * len(gains)
    return TuningResult(
        horizon_days=settings.vars.horizon_days,
        searched_before=str(test_date),
        validation_dates=tuple(str(fold.rows.as_of[0]) for fold in folds),
        trials=tuple(tried),
        best=best,
        gain=float(gains.sum()),
        gain_low=float(low),
        gain_high=float(high),
        is_adopted=bool(low > 0),
    )


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


def require_optuna() -> Any:
    """The library that searches; a MissingExtraError says how to install it."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(
            "clv tune needs optuna, which is not installed. Install the extra: pip install -e '.[tune]'."
        ) from error
    return optuna


def _trials(loss_of: Callable[[Mapping[str, Number]], float], count: int) -> list[Trial]:
    """The trials in order, the defaults first. Seeded and one at a time, so that a search can be repeated."""
    optuna = require_optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    defaults = asdict(Parameters())
    study.enqueue_trial({name: defaults[name] for name in TunedParameters.model_fields})
    study.optimize(lambda trial: loss_of(_suggested(trial)), n_trials=count)
    return [Trial(trial.number, float(trial.value), dict(trial.params)) for trial in study.trials]


def _suggested(trial: Any) -> dict[str, Number]:
    """
    The space: a few times less and more than the defaults, without what trades with the number of trees.
    """
    return {
        "leaves": trial.suggest_int("leaves", 3, 31, log=True),
        "feature_share": trial.suggest_float("feature_share", 0.2, 1.0),
        "row_share": trial.suggest_float("row_share", 0.4, 1.0),
        "l2": trial.suggest_float("l2", 0.1, 100.0, log=True),
        "tweedie_power": trial.suggest_float("tweedie_power", 1.05, 1.7),
        "ratio_cap": trial.suggest_float("ratio_cap", 3.0, 30.0, log=True),
    }


def _losses(folds: tuple[Fold, ...], rows: list[NDArray[np.bool_]], parameters: Parameters) -> list[Array]:
    """Per fold the loss of each row that the mask keeps."""
    losses = []
    for fold, mask in zip(folds, rows, strict=True):
        recipe = fit_recipe(fold.fit, fold.rows.customers, "lightgbm", parameters=parameters)
        predicted = predict(recipe, fold.rows.values, fold.rows.anchor)["clv_predicted"]
        losses.append(_loss(fold.rows.only(mask), predicted[mask]))
    return losses


def _loss(rows: TrainingData, predicted: Array) -> Array:
    """Deviance of each customer over the mean revenue: a date counts by its customers, not its money."""
    return levelled_deviance(rows, predicted) / max(float(np.maximum(rows.revenue, 0.0).mean()), 1e-9)


def _mean(losses: list[Array]) -> float:
    return float(np.concatenate(losses).mean())


def _gains(
    folds: tuple[Fold, ...], rows: list[NDArray[np.bool_]], before: list[Array], after: list[Array]
) -> Array:
    """Each customer's share of the fall of the mean loss over all dates. Shape (customers,)."""
    names = np.concatenate([fold.rows.customer[mask] for fold, mask in zip(folds, rows, strict=True)])
    fall = np.concatenate(before) - np.concatenate(after)
    return sums_by_customer(fall, names) / fall.size
