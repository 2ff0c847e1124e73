"""
training_rows -> a published model: fit, measure on held-out time, refit, export, register.

The model that is measured saw nothing after the test date began; the champion is the same recipe, with the same number
of trees, refitted on every labelled date. The manifest holds the figures of the first and the files of the second.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date

import duckdb
import numpy as np

from clv_ml import registry
from clv_ml.errors import HistoryError, TrainingError
from clv_ml.fitting import ModelType, Parameters, choose_rounds, fit_recipe
from clv_ml.manifest import ModelDescription
from clv_ml.metrics import evaluate_predictions
from clv_ml.model_files import LoadedModel, write_model
from clv_ml.onnx_export import export_onnx
from clv_ml.parity import predict
from clv_ml.recipe import Recipe, Trees
from clv_ml.registry_tables import write_registry_tables
from clv_ml.settings import Settings
from clv_ml.training_data import TrainingData, read_training_rows
from clv_ml.warehouse import connect

MIN_TRAINING_ROWS = 20


@dataclass(frozen=True)
class TrainingResult:
    """
    What ``train`` did.

    ``metrics`` maps an estimator (``model``, ``typical``, ``simple``, ``persistence``, ...) to its metrics on the test
    dates; ``importance`` a feature to its share of the mean's total split gain, largest first. ``is_new`` is false
    where the same model had been published before.
    """

    version: str
    model_type: str
    is_new: bool
    is_champion: bool
    rows_fitted: int
    training_dates: Mapping[str, tuple[str, ...]]
    metrics: Mapping[str, Mapping[str, float]]
    importance: Mapping[str, float]


def train(
    settings: Settings,
    model_type: ModelType = "lightgbm",
    parameters: Parameters | None = None,
) -> TrainingResult:
    """
    Fits, measures, exports and promotes a model from ``training_rows``, which dbt must have built.

    Raises:
        HistoryError: If history is too short for the horizon; names the days needed and the longest horizon that works.
        TrainingError: If there are too few customers to learn from.
        ExportError: If the ONNX graph does not agree with the fitted model; nothing is published then.
    """
    parameters = parameters or Parameters()
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        _require_history(connection, settings)
        definitions = dict(
            connection.sql(
                "select definition, definition_hash from feature_definitions order by 1"
            ).fetchall()
        )
        feature_hash, as_of = connection.sql(
            "select feature_hash, as_of_date from as_of_dates where is_scoring_date"
        ).fetchall()[0]
    rounds, metrics = _measure(data, model_type, parameters)
    fitted = data.only(data.trainable)
    recipe = fit_recipe(fitted, model_type, rounds, parameters)
    description = ModelDescription(
        version="unnamed",
        model_type=model_type,
        feature_hash=feature_hash,
        feature_definitions=definitions,
        horizon_days=settings.vars.horizon_days,
        reporting_currency=settings.vars.reporting_currency,
        anchor_reference=float(np.exp(np.mean(np.log(fitted.anchor)))),
        training_dates=_dates(data),
        parameters={**asdict(parameters), "rounds": rounds},
        metrics=_without_nan(metrics),
    )
    description = description.model_copy(update={"version": _version(description, recipe, as_of)})
    is_new = not (settings.models / description.version).exists()
    model = _publish(settings, recipe, description, fitted) if is_new else _published(settings, description)
    registry.promote(settings.models, model.manifest.version, "trained")
    with connect(settings, read_only=False) as connection:
        write_registry_tables(connection, settings)
    return TrainingResult(
        version=model.manifest.version,
        model_type=model_type,
        is_new=is_new,
        is_champion=True,
        rows_fitted=len(fitted),
        training_dates=description.training_dates,
        metrics=metrics,
        importance=_importance(recipe),
    )


def _measure(
    data: TrainingData, model_type: ModelType, parameters: Parameters
) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    """Trees per part, and every estimator's metrics on the test dates, from a fit that saw only what came before."""
    train, later = (data.only(data.trainable & (data.split == split)) for split in ("train", "calibrate"))
    if min(len(train), len(later) or len(train)) < MIN_TRAINING_ROWS:
        raise TrainingError(
            f"Only {len(train)} training rows ({len(later)} to calibrate on); at least {MIN_TRAINING_ROWS} are needed. "
            "Load more customers, shorten horizon_days, or lower min_purchases_for_training."
        )
    rounds = choose_rounds(train, later if len(later) else train, parameters)
    test = data.only(data.split == "test")
    before = data.only(data.trainable & np.isin(data.split, ("train", "calibrate")))
    outputs = predict(fit_recipe(before, model_type, rounds, parameters), test.values, test.anchor)
    estimators = {"model": outputs["clv_predicted"], "typical": outputs["clv_typical"], **test.baselines}
    return rounds, {
        name: dict(evaluate_predictions(test.revenue, values)) for name, values in estimators.items()
    }


def _require_history(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
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
        if longest > 0
        else "No horizon works yet; clv_estimate carries on with the simple formula."
    )
    raise HistoryError(
        f"A horizon of {horizon} days needs up to {needed} days of history, and there are {dates[-1][3]}. {advice}"
    )


def _longest_horizon(grid: list[date], as_of: date, maturity: int) -> int:
    """The longest horizon for which a training window ends before a test window that has ended too, in days."""
    spans = [
        min((test - first).days, (as_of - test).days)
        for number, first in enumerate(grid)
        for test in grid[number + 1 :]
    ]
    return max(spans, default=0) - maturity


def _dates(data: TrainingData) -> dict[str, tuple[str, ...]]:
    parts = {split: data.dates(split) for split in ("train", "calibrate", "test")}
    parts["refit"] = np.unique(data.as_of)
    return {part: tuple(str(day) for day in days) for part, days in parts.items()}


def _without_nan(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {
        estimator: {name: value if np.isfinite(value) else None for name, value in values.items()}
        for estimator, values in metrics.items()
    }


def _version(description: ModelDescription, recipe: Recipe, as_of: date) -> str:
    """Names the model after its content, so that the same fit has the same name and nothing is published twice."""
    content = json.dumps(description.model_dump(mode="json"), sort_keys=True).encode() + export_onnx(recipe)
    return f"{description.model_type}-{as_of:%Y%m%d}-{hashlib.sha256(content).hexdigest()[:8]}"


def _publish(
    settings: Settings, recipe: Recipe, description: ModelDescription, fitted: TrainingData
) -> LoadedModel:
    types = dict(zip(fitted.names, fitted.types, strict=True))
    return write_model(settings.models, recipe, description, fitted.values, fitted.anchor, types)


def _published(settings: Settings, description: ModelDescription) -> LoadedModel:
    model = registry.load(settings.models, description.version)
    assert model is not None  # a pinned version loads or raises
    return model


def _importance(recipe: Recipe) -> dict[str, float]:
    """Share of the mean's split gain by feature, largest first."""
    gains = np.zeros(len(recipe.features))
    for term in recipe.outputs[0].terms:
        for factor in term.factors:
            if isinstance(factor, Trees):
                gain = factor.booster.feature_importance("gain").astype(float)
                gains += gain / max(gain.sum(), 1e-300)
    total = gains.sum()
    order = np.argsort(-gains, kind="stable")
    return {recipe.features[i]: float(gains[i] / total) for i in order if gains[i] > 0}
