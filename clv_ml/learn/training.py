"""
training_rows -> a published model: fit, measure on held-out time, refit, export, register.

The model that is measured saw nothing after the test date began; the champion is the same recipe, with the
same number of trees, refitted on every labelled date. The manifest holds the figures of the first and the
files of the second.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date

import duckdb
import numpy as np

from clv_ml.errors import HistoryError
from clv_ml.learn.calibration_window import Lessons, chance_of_churn, learn
from clv_ml.learn.candidates import in_form, mean_in_form
from clv_ml.learn.fitting import Parameters, fit_recipe, with_calibrated_churn
from clv_ml.learn.intervals import (
    Calibration,
    Held,
    calibrate,
    intervals,
    recency_of,
)
from clv_ml.learn.model_types import ModelType
from clv_ml.learn.shop_history import Shop, read_shop, shop_faults
from clv_ml.learn.threads import one_blas_thread
from clv_ml.learn.training_data import (
    ANCHOR,
    ANCHORS,
    TrainingData,
    read_scoring_rows,
    read_training_rows,
)
from clv_ml.learn.tuned import read_tuning
from clv_ml.learn.typical_value import typical_value, with_typical
from clv_ml.measure.coverage import came_true, churn_metrics, interval_figures
from clv_ml.measure.metrics import Array, evaluate_predictions, tenths
from clv_ml.model import registry
from clv_ml.model.manifest import AnchorPartSpec, ModelDescription
from clv_ml.model.model_files import write_model
from clv_ml.model.onnx_export import export_onnx
from clv_ml.model.recipe import Recipe, Trees
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

SHORTEST_ADVISED_DAYS = 7
"""A horizon of a day or two can be measured in a shop of two months, but nobody wants to know."""


@dataclass(frozen=True)
class TrainingResult:
    """
    What ``train`` did.

    ``metrics`` maps an estimator (``model``, ``typical``, ``simple``, ``persistence``, ...) to its metrics on
    the test dates (``intervals``, ``churn`` and ``decile_01`` to ``decile_10`` hold how those did);
    ``importance`` a feature to its share of the mean's total split gain, largest first. ``is_new`` is false
    where the same model had been published before. ``reason`` says which form was published and why;
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
        ExportError: If the ONNX graph does not agree with the fitted model; nothing is published then.
    """
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        require_history(connection, settings)
        shop = read_shop(connection)
        today = read_scoring_rows(connection, data.names)
    tuned_before = None
    if parameters is None:
        parameters, tuned_before = _parameters(settings, data)
    is_small_shop = today.anchor.size < settings.vars.small_shop_customers
    measured = _measure(data, shop, model_type, parameters, settings, is_small_shop)
    fitted = data.only(data.trainable)
    full = fit_recipe(fitted, today, model_type, measured.lessons.rounds, parameters)
    recipe = in_form(full, measured.lessons.choice.form)
    pace = shop.expected_pace(np.datetime64(shop.as_of_date))
    recipe = with_typical(
        with_calibrated_churn(recipe, today, pace, *measured.lessons.churn), measured.lessons.spread
    )
    warning = caution(data, shop, measured, settings)
    anchor = fitted.anchor if recipe.anchor == ANCHOR else fitted.baselines[measured.lessons.choice.form]
    known = np.isfinite(anchor)  # a baseline has no value before its first fit
    reference = float(np.exp(np.mean(np.log(np.maximum(anchor[known], 0.01)))))
    description = ModelDescription(
        version="unnamed",
        model_type=model_type,
        feature_hash=shop.feature_hash,
        feature_definitions=shop.definitions,
        horizon_days=settings.vars.horizon_days,
        reporting_currency=settings.vars.reporting_currency,
        anchor_reference=reference,
        anchor_parts=_anchor_parts(fitted.only(known), recipe.anchor or ANCHOR, anchor[known], reference),
        anchor_factors=len(ANCHORS[recipe.anchor or ANCHOR].factors),
        feature_drivers=_feature_drivers(shop, fitted.names, recipe),
        training_dates=_dates(data),
        parameters={
            **asdict(parameters),
            # pyrefly: ignore[bad-assignment]
            "rounds": measured.lessons.rounds,
            "spread": measured.lessons.spread,
            "form": measured.lessons.choice.form,
            "caution": warning,
            "tuned_before": tuned_before,
        },
        # pyrefly: ignore[bad-argument-type]
        metrics=_without_nan(measured.metrics),
        calibration=measured.calibration.as_json(),
    )
    description = description.model_copy(update={"version": _version(description, recipe, shop.as_of_date)})
    is_new = not (settings.models / description.version).exists()
    if is_new:
        types = dict(zip(fitted.names, fitted.types, strict=True))
        write_model(settings.models, recipe, description, fitted.values[known], anchor[known], types)
    with connect(settings, read_only=False) as connection:
        registry.promote(settings.models, description.version, measured.lessons.choice.reason)
        write_registry_tables(connection, settings)
    return TrainingResult(
        version=description.version,
        model_type=model_type,
        is_new=is_new,
        is_champion=True,
        reason=measured.lessons.choice.reason,
        caution=warning,
        tuned_before=tuned_before,
        rows_fitted=len(fitted),
        training_dates=description.training_dates,
        metrics=measured.metrics,
        importance=_importance(recipe),
    )


def _parameters(settings: Settings, data: TrainingData) -> tuple[Parameters, str | None]:
    """
    Those that `clv tune` left for this horizon, and before which date it searched; the defaults where there
    are none.
    """
    tuning = read_tuning(settings.models)
    if tuning and tuning.applies(settings.vars.horizon_days, data.dates("test").min().astype(date)):
        return tuning.laid_over(Parameters()), tuning.searched_before
    return Parameters(), None


@dataclass(frozen=True)
class Measured:
    """
    What was learned before the test, how that did on the test dates, and the calibration, which both have a
    part in.
    """

    lessons: Lessons
    metrics: dict[str, dict[str, float]]
    calibration: Calibration


def _measure(
    data: TrainingData,
    shop: Shop,
    model_type: ModelType,
    parameters: Parameters,
    settings: Settings,
    is_small_shop: bool,
) -> Measured:
    """
    Fits that saw only what came before predict the calibration and the test dates, and are compared with the
    truth.
    """
    train = data.only(data.trainable & (data.split == "train"))
    later = data.only(data.split == "calibrate")
    before = data.only(data.trainable & np.isin(data.split, ("train", "calibrate")))
    lessons = learn(train, later, before, data, shop, is_small_shop, model_type, parameters)

    test = data.only(data.split == "test")
    late = fit_recipe(before, test.customers, model_type, lessons.rounds, parameters)
    held = Held(test, mean_in_form(late, lessons.choice.form, test))
    leaving = chance_of_churn(late, test, shop.expected_pace, lessons.churn)
    typical = typical_value(held.predicted, 1 - leaving, lessons.spread)
    floor, coverage = settings.vars.confidence_floor, settings.vars.interval_coverage
    known = calibrate([lessons.held], shop.level_log_sd(test.as_of.min()), coverage, floor)
    metrics = _test_metrics(test, held.predicted, typical, known)
    metrics["churn"] = churn_metrics(test.purchases == 0, leaving)
    now = shop.level_log_sd(np.datetime64(shop.as_of_date))
    return Measured(lessons, metrics, calibrate([lessons.held, held], now, coverage, floor))


def _test_metrics(
    test: TrainingData, predicted: Array, typical: Array, known: Calibration
) -> dict[str, dict[str, float]]:
    """Every estimator on the test dates, and how the intervals and the confidence held there."""
    estimators = {"model": predicted, "typical": typical} | {
        name: values for name, values in test.baselines.items() if np.isfinite(values).all()
    }
    metrics = {name: dict(evaluate_predictions(test.revenue, values)) for name, values in estimators.items()}
    metrics["intervals"] = interval_metrics(known, test, predicted)
    metrics |= decile_metrics(known, test, predicted)
    return metrics


def interval_metrics(known: Calibration, rows: TrainingData, predicted: Array) -> dict[str, float]:
    """``interval_figures`` of a calibration on rows that it has not seen."""
    low, high, confidence = intervals(known, predicted, recency_of(rows))
    return interval_figures(rows.revenue, predicted, (low, high), confidence, known.confidence_floor)


def decile_metrics(known: Calibration, rows: TrainingData, predicted: Array) -> dict[str, dict[str, float]]:
    """
    Tenths of customers by prediction, ``decile_01`` the lowest: what was said and what happened.
    ``confidence`` is the mean that was stated, ``came_true`` the share that did.
    """
    low, high, confidence = intervals(known, predicted, recency_of(rows))
    inside = (rows.revenue >= low) & (rows.revenue <= high)
    hits = came_true(rows.revenue, predicted, known.confidence_floor)
    return {
        f"decile_{number:02}": {
            "customers": float(part.size),
            "predicted_mean": float(predicted[part].mean()),
            "actual_mean": float(rows.revenue[part].mean()),
            "coverage": float(inside[part].mean()),
            "confidence": float(confidence[part].mean()),
            "came_true": float(hits[part].mean()),
        }
        for number, part in enumerate(tenths(predicted), start=1)
    }


def caution(data: TrainingData, shop: Shop, measured: Measured, settings: Settings) -> str | None:
    """Why figures of this shop deserve little trust, in words; None where nothing speaks against them."""
    newest = data.only(data.as_of == data.as_of.max())
    reasons = shop_faults(shop.age_days, newest.revenue, settings.vars.small_shop_customers)
    if measured.metrics["model"]["r2"] < 0.05:
        reasons.append(f"R² of {measured.metrics['model']['r2']:.2f} on the test dates")
    return "; ".join(reasons) or None


def require_history(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Refuses a horizon for which no date is both matured and preceded by a matured window."""
    dates = connection.sql(
        "select as_of_date, is_grid, split, shop_age_days from as_of_dates order by as_of_date"
    ).fetchall()
    if not dates:
        raise HistoryError("The warehouse holds no events. Load some first (clv ingest).")
    if any(split == "test" for _, _, split, _ in dates):
        return
    horizon, maturity = settings.vars.horizon_days, settings.vars.label_maturity_days
    # first grid date, a window, the next grid date (months have up to 31 days), and a window again
    needed = settings.vars.first_training_day + 31 + 2 * (horizon + maturity) + 31
    longest = _longest_horizon([day for day, is_grid, _, _ in dates if is_grid], dates[-1][0], maturity)
    advice = (
        f"The longest horizon that works is {longest} days: set horizon_days to it."
        if longest >= SHORTEST_ADVISED_DAYS
        else "No horizon of a week or more works yet; clv_estimate carries on with the simple formula."
    )
    raise HistoryError(
        f"A horizon of {horizon} days needs up to {needed} days of "
        f"history, and there are {dates[-1][3]}. {advice}"
    )


def _longest_horizon(grid: list[date], as_of: date, maturity: int) -> int:
    """
    The longest horizon for which a training window ends before a test window that has ended too, in days.
    """
    spans = [
        min((test - first).days, (as_of - test).days)
        for number, first in enumerate(grid)
        for test in grid[number + 1 :]
    ]
    return max(spans, default=0) - maturity


def _dates(data: TrainingData) -> dict[str, tuple[str, ...]]:
    parts = {split: data.dates(split) for split in ("train", "calibrate", "test")}
    parts["refit"] = np.unique(data.as_of[data.trainable])
    return {part: tuple(str(day) for day in days) for part, days in parts.items()}


def _without_nan(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {
        estimator: {name: value if np.isfinite(value) else None for name, value in values.items()}
        for estimator, values in metrics.items()
    }


def _feature_drivers(shop: Shop, features: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """
    Features that are reported under another name; under a part of the anchor only where the anchor has parts.
    """
    return {
        name: driver
        for name in features
        if (driver := shop.drivers.get(name))
        and (recipe.anchor == ANCHOR or driver not in ANCHORS[ANCHOR].columns)
    }


def _anchor_parts(
    data: TrainingData, column: str, anchor: Array, reference: float
) -> tuple[AnchorPartSpec, ...]:
    """
    What each part of the anchor is compared with: of factors the geometric mean, as of the anchor itself, and
    what is added in an anchor of the size of its reference.
    """
    made_of = ANCHORS[column]
    factors = {name: _geometric_mean(data.anchor_parts[name]) for name in made_of.factors}
    addends = {
        name: float(data.anchor_parts[name].mean() * reference / anchor.mean()) for name in made_of.addends
    }
    return tuple(AnchorPartSpec(name=name, reference=mean) for name, mean in (factors | addends).items())


def _geometric_mean(values: Array) -> float:
    """Of those above 0; 1 where there is none."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if positive.size else 1.0


def _version(description: ModelDescription, recipe: Recipe, as_of: date) -> str:
    """
    Names the model after its content, so that the same fit has the same name and nothing is published twice.
    """
    content = json.dumps(description.model_dump(mode="json"), sort_keys=True).encode() + export_onnx(recipe)
    return f"{description.model_type}-{as_of:%Y%m%d}-{hashlib.sha256(content).hexdigest()[:8]}"


def _importance(recipe: Recipe) -> dict[str, float]:
    """Share of the mean's split gain by feature, largest first."""
    gains = np.zeros(len(recipe.features))
    for term in recipe.outputs[0].terms:
        for factor in term.factors:
            if isinstance(factor, Trees):
                gain = recipe.boosters[factor.name].feature_importance("gain").astype(float)
                gains += gain / max(gain.sum(), 1e-300)
    total = gains.sum()
    order = np.argsort(-gains, kind="stable")
    return {recipe.features[i]: float(gains[i] / total) for i in order if gains[i] > 0}
