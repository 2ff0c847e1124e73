"""
training_rows -> a published model: fit, measure out of time, refit, export, register.

The model that is measured saw nothing after the test date began; the champion is the same recipe, with the
same number of trees, refitted on every labelled date. The manifest holds the figures of the first and the
files of the second.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np

from clv_ml.errors import ModelError
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.calibration import Calibration, calibrate
from clv_ml.learn.candidates import candidate_anchor, candidate_mean, reduced_to
from clv_ml.learn.churn import with_calibrated_churn
from clv_ml.learn.fit_evaluation import evaluate_fit
from clv_ml.learn.intervals import measure_intervals
from clv_ml.learn.median_value import with_median
from clv_ml.learn.model_description import (
    anchor_opening,
    anchor_reference,
    dates_by_use,
    feature_drivers,
    importance,
    named_by_content,
    without_nan,
)
from clv_ml.learn.model_types import fit_recipe
from clv_ml.learn.out_of_sample import Foretold, HeldOut
from clv_ml.learn.store_history import (
    StoreHistory,
    read_store_history,
    reasons_for_caution,
    require_history,
)
from clv_ml.learn.threads import one_blas_thread
from clv_ml.learn.training_data import (
    Customers,
    TrainingData,
    read_scoring_rows,
    read_training_rows,
)
from clv_ml.learn.tuned import parameters_in_force
from clv_ml.measure.evaluation import all_metrics
from clv_ml.model import registry
from clv_ml.model.interval_bins import IntervalBins
from clv_ml.model.manifest import ModelDescription
from clv_ml.model.model_files import write_model
from clv_ml.model.model_in_use import chosen_version, manifest_of
from clv_ml.model.model_types import ModelType
from clv_ml.model.recipe import Recipe
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.model.shop import foreign_model, shop_of
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

LEAST_R2 = 0.05
"""On the test dates: a model that explains less of who spends what comes with a caution."""


@dataclass(frozen=True)
class TrainingResult:
    """
    What ``train`` did.

    ``metrics`` maps an estimator (``model``, ``typical``, ``simple``, ``persistence``, ...) to its metrics on
    the test dates, NaN where it could not be fitted (``intervals``, ``churn`` and ``decile_01`` to
    ``decile_10`` hold how those did);
    ``importance`` a feature to its share of the mean's total split gain, largest first. ``is_new`` is false
    where the same model had been published before. ``reason`` says which candidate was published and why;
    ``caution`` why the shop is hard to learn from, None where it is not. ``tuned_before`` is the date before
    which ``clv tune`` found the parameters, None where they are the defaults.
    """

    version: str
    model_type: str
    is_new: bool
    is_champion: bool
    rows_fitted: int
    training_dates: Mapping[str, tuple[str, ...]]
    metrics: Mapping[str, Mapping[str, float]]
    importance: Mapping[str, float]
    reason: str
    caution: str | None
    tuned_before: str | None


@dataclass(frozen=True)
class Task:
    """What one training works with. ``tuned_before`` as in its result, ``shop`` as in a manifest."""

    settings: Settings
    data: TrainingData
    history: StoreHistory
    today: Customers
    model_type: ModelType
    parameters: Parameters
    tuned_before: str | None
    shop: str | None

    @property
    def is_small_shop(self) -> bool:
        """Whether trees must prove better there (``choose_candidate``)."""
        return self.today.anchor.size < self.settings.vars.small_shop_customers


@dataclass(frozen=True)
class Measured:
    """
    What was learned before the test, how that did on the test dates, and the intervals of what is published.
    What the test dates refute is not what is measured: another candidate takes its place.
    """

    calibration: Calibration
    metrics: dict[str, dict[str, float]]
    bins: IntervalBins


@one_blas_thread
def train(
    settings: Settings,
    model_type: ModelType = "lightgbm",
    parameters: Parameters | None = None,
) -> TrainingResult:
    """
    Fits, measures, exports and promotes a model from ``training_rows``, which dbt must have built.

    Raises:
        HistoryError: If history is too short for the horizon; names the days needed and the longest horizon
            that works.
        TrainingError: If there are too few customers to learn from.
        ModelError: If somebody rolled back from the version that this makes again, or the model in use is
            another shop's.
        ExportError: If the ONNX graph does not agree with the fitted model; nothing is published then.
    """
    task = _task(settings, model_type, parameters)
    measured = _measure(task)
    fitted = task.data.only(task.data.trainable)
    recipe = _final_recipe(task, measured.calibration, fitted)
    anchor = candidate_anchor(measured.calibration.choice.candidate, fitted)
    known = np.isfinite(anchor)  # a baseline has no value before its first fit
    description = _description(task, measured, recipe, fitted.only(known), anchor[known])
    is_new = not (settings.models / description.version).exists()
    if is_new:
        types = dict(zip(fitted.names, fitted.types, strict=True))
        write_model(settings.models, recipe, description, fitted.values[known], anchor[known], types)
    reason = measured.calibration.choice.reason
    with connect(settings, read_only=False) as connection:
        registry.promote(settings.models, description.version, reason, by_hand=False)
        write_registry_tables(connection, settings)
    return TrainingResult(
        version=description.version,
        model_type=model_type,
        is_new=is_new,
        is_champion=True,
        reason=reason,
        caution=_caution(task, measured.metrics),
        tuned_before=task.tuned_before,
        rows_fitted=len(fitted),
        training_dates=description.training_dates,
        metrics=measured.metrics,
        importance=importance(recipe),
    )


def _task(settings: Settings, model_type: ModelType, parameters: Parameters | None) -> Task:
    with connect(settings) as connection:
        shop = shop_of(connection)
        if refusal := foreign_model(manifest_of(settings, chosen_version(settings)), settings.models, shop):
            raise ModelError(refusal)
        data = read_training_rows(connection, settings)
        require_history(connection, settings)
        history = read_store_history(connection)
        today = read_scoring_rows(connection, data.names, data.roles.anchor)
    tuned_before = None
    if parameters is None:
        test_date = data.dates("test").min().astype(date)
        parameters, tuned_before = parameters_in_force(settings.models, settings.vars.horizon_days, test_date)
    return Task(settings, data, history, today, model_type, parameters, tuned_before, shop)


def _measure(task: Task) -> Measured:
    """
    Fits that saw only what came before predict the calibration and the test dates, and are compared with the
    truth.
    """
    data, history = task.data, task.history
    train = data.only(data.trainable & (data.split == "train"))
    later = data.only(data.split == "calibrate")
    before = data.only(data.trainable & np.isin(data.split, ("train", "calibrate")))
    calibration = calibrate(
        train, later, before, data, history, task.is_small_shop, task.model_type, task.parameters
    )
    test = data.only(data.split == "test")
    late = fit_recipe(before, test.customers, task.model_type, calibration.rounds, task.parameters)
    tested = HeldOut(test, candidate_mean("model", late, test))
    calibration = calibration.confirmed(tested, data, task.is_small_shop)
    evaluation = evaluate_fit(late, calibration, test, history, task.settings, test.baselines)
    bins = measure_intervals(
        [calibration.held_out, Foretold(test, evaluation.predicted["model"], evaluation.churn)],
        history.level_log_sd(np.datetime64(history.as_of_date)),
        task.settings.vars.interval_coverage,
        task.settings.vars.confidence_floor,
    )
    return Measured(calibration, all_metrics(evaluation), bins)


def _final_recipe(task: Task, calibration: Calibration, fitted: TrainingData) -> Recipe:
    """The recipe to publish: the candidate that was chosen, fitted on all labelled dates."""
    full = fit_recipe(fitted, task.today, task.model_type, calibration.rounds, task.parameters)
    pace = task.history.expected_pace(np.datetime64(task.history.as_of_date))
    recipe = reduced_to(calibration.choice.candidate, full, task.data.roles)
    recipe = with_calibrated_churn(recipe, task.today, pace, calibration.churn)
    return with_median(recipe, calibration.spread)


def _description(
    task: Task, measured: Measured, recipe: Recipe, rows: TrainingData, anchor: np.ndarray
) -> ModelDescription:
    """What the manifest says; ``rows`` are those that were fitted and have an anchor."""
    variables, history = task.settings.vars, task.history
    column = recipe.anchor or rows.roles.anchor
    description = ModelDescription(
        version="unnamed",
        model_type=task.model_type,
        feature_hash=history.feature_hash,
        feature_definitions=history.definitions,
        horizon_days=variables.horizon_days,
        reporting_currency=variables.reporting_currency,
        annual_discount_rate=variables.annual_discount_rate,
        anchor_reference=anchor_reference(anchor),
        anchor_opening=anchor_opening(rows, column, history.drivers),
        feature_drivers=feature_drivers(history.drivers, recipe),
        training_dates=dates_by_use(task.data),
        parameters={
            **asdict(task.parameters),
            # pyrefly: ignore[bad-assignment]
            "rounds": measured.calibration.rounds,
            "spread": measured.calibration.spread,
            "candidate": measured.calibration.choice.candidate,
            "caution": _caution(task, measured.metrics),
            "tuned_before": task.tuned_before,
        },
        # pyrefly: ignore[bad-argument-type]
        metrics=without_nan(measured.metrics),
        calibration=measured.bins.as_json(),
    )
    # named before: equal data makes an equal model in any shop
    named = named_by_content(description, recipe, history.as_of_date)
    return named.model_copy(update={"shop": task.shop})


def _caution(task: Task, metrics: Mapping[str, Mapping[str, float]]) -> str | None:
    """Why the figures deserve little trust, in words; None where nothing is known against them."""
    newest = task.data.only(task.data.as_of == task.data.as_of.max())
    reasons = reasons_for_caution(
        task.history.age_days, newest.revenue, task.settings.vars.small_shop_customers
    )
    reasons += task.history.missed_on_one_side() + task.history.missed_widely()
    if metrics["model"]["r2"] < LEAST_R2:
        reasons.append(f"R² of {metrics['model']['r2']:.2f} on the test dates")
    return "; ".join(reasons) or None
