"""
training_rows -> a published model: fit, measure on held-out time, refit, export, register.

The model that is measured saw nothing after the test date began; the champion is the same recipe, with the same number
of trees, refitted on every labelled date. The manifest holds the figures of the first and the files of the second.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from clv_ml import registry
from clv_ml.calibration import (
    Calibration,
    Held,
    calibrate,
    calibration_error,
    came_true,
    intervals,
    recency_of,
)
from clv_ml.errors import HistoryError, TrainingError
from clv_ml.fitting import (
    ModelType,
    Parameters,
    choose_rounds,
    fit_churn,
    fit_recipe,
    out_of_fold,
    out_of_time,
    with_calibrated_churn,
    with_probabilistic,
)
from clv_ml.manifest import AnchorPartSpec, ModelDescription
from clv_ml.metrics import Array, brier_score, evaluate_predictions, tenths
from clv_ml.model_files import write_model
from clv_ml.onnx_export import export_onnx
from clv_ml.parity import predict
from clv_ml.recipe import Recipe, Trees
from clv_ml.registry_tables import write_registry_tables
from clv_ml.selection import Choice, choose_form, in_form, mean_in_form, probabilistic_share
from clv_ml.settings import Settings
from clv_ml.training_data import (
    ANCHOR,
    ANCHORS,
    Customers,
    TrainingData,
    read_scoring_rows,
    read_training_rows,
)
from clv_ml.tuned import read_tuning
from clv_ml.typical import fit_spread, typical_value, with_typical
from clv_ml.warehouse import connect

MIN_TRAINING_ROWS = 20


@dataclass(frozen=True)
class TrainingResult:
    """
    What ``train`` did.

    ``metrics`` maps an estimator (``model``, ``typical``, ``simple``, ``persistence``, ...) to its metrics on the test
    dates (``intervals``, ``churn`` and ``decile_01`` to ``decile_10`` hold how those did); ``importance`` a feature to its share of the mean's total
    split gain, largest first. ``is_new`` is false where the same model had been published before. ``reason`` says which
    form was published and why; ``caution`` why the shop is hard to learn from, None where it is not. ``tuned_before`` is the date before which ``clv tune``
    found the parameters, None where they are the defaults.
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
    full = fit_recipe(fitted, today, model_type, measured.rounds, parameters)
    full = with_probabilistic(full, today, measured.probabilistic_share)
    recipe = in_form(full, measured.choice.form)
    season = shop.busier_than(fitted, is_over=False)(np.datetime64(shop.as_of_date))
    recipe = with_typical(with_calibrated_churn(recipe, today, season, *measured.churn), measured.spread)
    warning = caution(data, shop, measured, settings)
    anchor = fitted.anchor if recipe.anchor == ANCHOR else fitted.baselines[measured.choice.form]
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
            "rounds": measured.rounds,
            "probabilistic_share": measured.probabilistic_share,
            "spread": measured.spread,
            "form": measured.choice.form,
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
        registry.promote(settings.models, description.version, measured.choice.reason)
        write_registry_tables(connection, settings)
    return TrainingResult(
        version=description.version,
        model_type=model_type,
        is_new=is_new,
        is_champion=True,
        reason=measured.choice.reason,
        caution=warning,
        tuned_before=tuned_before,
        rows_fitted=len(fitted),
        training_dates=description.training_dates,
        metrics=measured.metrics,
        importance=_importance(recipe),
    )


def _parameters(settings: Settings, data: TrainingData) -> tuple[Parameters, str | None]:
    """Those that `clv tune` left for this horizon, and before which date it searched; the defaults where there are none."""
    tuning = read_tuning(settings.models)
    if tuning and tuning.applies(settings.vars.horizon_days, data.dates("test").min().astype(date)):
        return tuning.laid_over(Parameters()), tuning.searched_before
    return Parameters(), None


@dataclass(frozen=True)
class Window:
    """
    The shop's total of one date's horizon. ``pace`` is ln(actual / probabilistic total), ``expected_pace`` what the level said
    of it on the date; ``pace`` is None where the total is not known yet. Paces compare among dates of one ``is_fitted`` only.
    """

    as_of: np.datetime64
    known_at: np.datetime64
    is_fitted: bool
    expected_pace: float
    pace: float | None


@dataclass(frozen=True)
class Shop:
    """
    What the trainer knows of the shop besides its rows. ``drivers`` maps a feature to the idea that it is reported under.
    """

    as_of_date: date
    age_days: int
    feature_hash: str
    definitions: dict[str, str]
    drivers: dict[str, str]
    windows: Mapping[np.datetime64, Window]

    def level_log_sd(self, known_by: np.datetime64) -> float:
        """
        How far the level was off where the answer was known by then, by a factor of e at most; three misses of 15 % are assumed
        beforehand.
        """
        squares = [
            min(1.0, (window.pace - window.expected_pace) ** 2)
            for window in self.windows.values()
            if window.pace is not None and window.known_at <= known_by
        ]
        return float(np.sqrt((sum(squares) + 3 * 0.15**2) / (len(squares) + 3)))

    def busier_than(self, fitted: TrainingData, is_over: bool) -> Callable[[np.datetime64], float]:
        """
        How much busier a date's window is than those of the fitted dates, as a logarithm within -1 and 1.

        Args:
            fitted: Rows whose answers were known.

            is_over: Whether the date's own answer is known, too; else what the level expects of it counts.
        """
        known = [self.windows[day] for day in np.unique(fitted.as_of)]

        def change(day: np.datetime64) -> float:
            window = self.windows[day]
            pace = window.pace if is_over else window.expected_pace
            alike = [one.pace for one in known if one.is_fitted == window.is_fitted and one.pace is not None]
            return float(np.clip(pace - np.mean(alike), -1, 1)) if alike and pace is not None else 0.0

        return change


@dataclass(frozen=True)
class Measured:
    """
    What out-of-time predictions taught: trees per part, the probabilistic estimate's share of the mean, the form to publish,
    figures, the calibration, and the spread of spending.
    """

    rounds: dict[str, int]
    probabilistic_share: float
    choice: Choice
    metrics: dict[str, dict[str, float]]
    calibration: Calibration
    churn: tuple[float, float]
    spread: float


def read_shop(connection: duckdb.DuckDBPyConnection) -> Shop:
    as_of, age, feature_hash = connection.sql(
        "select as_of_date, shop_age_days, feature_hash from as_of_dates where is_scoring_date"
    ).fetchall()[0]
    definitions = connection.sql(
        "select definition, definition_hash from feature_definitions order by 1"
    ).fetchall()
    drivers = connection.sql("select feature, driver from feature_drivers order by 1").fetchall()
    windows = connection.sql(
        "select levels.as_of_date, cast(dates.label_known_at as date), levels.is_fitted, levels.log_correction, "
        "case when levels.actual_total > 0 and levels.probabilistic_total > 0 "
        "then ln(levels.actual_total / levels.probabilistic_total) end "
        "from shop_levels as levels inner join as_of_dates as dates on dates.as_of_date = levels.as_of_date "
        "order by levels.as_of_date"
    ).fetchall()
    known = [
        Window(np.datetime64(day, "D"), np.datetime64(known_at, "D"), *figures)
        for day, known_at, *figures in windows
    ]
    return Shop(
        as_of, age, feature_hash, dict(definitions), dict(drivers), {window.as_of: window for window in known}
    )


def _measure(
    data: TrainingData,
    shop: Shop,
    model_type: ModelType,
    parameters: Parameters,
    settings: Settings,
    is_small_shop: bool,
) -> Measured:
    """Fits that saw only what came before predict the calibration and the test dates, and are compared with the truth."""
    train = data.only(data.trainable & (data.split == "train"))
    later = data.only(data.split == "calibrate")
    _require_rows(train, later)
    one_date_only = not len(later)
    later = train if one_date_only else later
    rounds = choose_rounds(train, later.only(later.trainable), parameters)

    def fit(rows: TrainingData, today: Customers) -> Recipe:
        return fit_recipe(rows, today, model_type, rounds, parameters)

    early = out_of_fold(train, fit) if one_date_only else out_of_time(fit(train, later.customers), later)
    share = probabilistic_share(later, early.said(_full_mean), is_small_shop)
    early = early.altered(lambda recipe, customers: with_probabilistic(recipe, customers, share))
    before = data.only(data.trainable & np.isin(data.split, ("train", "calibrate")))
    test = data.only(data.split == "test")

    def shared(rows: TrainingData, today: Customers) -> Recipe:
        return with_probabilistic(fit(rows, today), today, share)

    late = shared(before, test.customers)

    def again() -> Array:
        return out_of_fold(later, shared, before).said(_full_mean)

    since = data.only(data.as_of >= later.as_of.min())
    choice = choose_form(
        later, early.said(_full_mean), since, is_small_shop, None if one_date_only else again
    )

    held = [
        Held(later, early.said(lambda recipe, rows: mean_in_form(recipe, choice.form, rows))),
        Held(test, mean_in_form(late, choice.form, test)),
    ]
    floor, coverage = settings.vars.confidence_floor, settings.vars.interval_coverage
    known = calibrate(held[:1], shop.level_log_sd(test.as_of.min()), coverage, floor)
    past, season = shop.busier_than(train, is_over=True), shop.busier_than(before, is_over=False)
    churn = fit_churn(early, past)
    left = early.said(lambda recipe, rows: _chance_of_churn(recipe, rows, past, churn))
    spread = fit_spread(later.revenue, held[0].predicted, 1 - left)
    leaving = _chance_of_churn(late, test, season, churn)
    metrics = _test_metrics(
        test, held[1].predicted, typical_value(held[1].predicted, 1 - leaving, spread), known
    )
    metrics["churn"] = churn_metrics(test.purchases == 0, leaving)
    return Measured(
        rounds=rounds,
        probabilistic_share=share,
        choice=choice,
        metrics=metrics,
        calibration=calibrate(held, shop.level_log_sd(np.datetime64(shop.as_of_date)), coverage, floor),
        churn=churn,
        spread=spread,
    )


def _full_mean(recipe: Recipe, rows: TrainingData) -> Array:
    return mean_in_form(recipe, "model", rows)


def _require_rows(train: TrainingData, later: TrainingData) -> None:
    if min(len(train), len(later) or len(train)) < MIN_TRAINING_ROWS:
        raise TrainingError(
            f"Only {len(train)} training rows ({len(later)} to calibrate on); at least {MIN_TRAINING_ROWS} are needed. "
            "Load more customers, shorten horizon_days, or lower min_purchases_for_training."
        )


def _chance_of_churn(
    recipe: Recipe, rows: TrainingData, season: Callable[[np.datetime64], float], churn: tuple[float, float]
) -> Array:
    """The calibrated chance of churn of rows of several dates, each date in its own season. Shape (n,)."""
    chance = np.empty(len(rows))
    for day in np.unique(rows.as_of):
        alike = rows.only(rows.as_of == day)
        calibrated = with_calibrated_churn(recipe, alike.customers, season(day), *churn)
        chance[rows.as_of == day] = predict(calibrated, alike.values, alike.anchor)["churn_probability"]
    return chance


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


def interval_figures(
    actual: Array, predicted: Array, bounds: tuple[Array, Array], confidence: Array, floor: float
) -> dict[str, float]:
    """How intervals and confidence held: shares of customers, and the mean width over the mean actual."""
    low, high = bounds
    inside = (actual >= low) & (actual <= high)
    top = predicted >= np.quantile(predicted, 0.8)
    return {
        "coverage": float(inside.mean()),
        "coverage_top_fifth": float(inside[top].mean()),
        "mean_width_to_mean": float((high - low).mean() / max(actual.mean(), 1e-9)),
        "confidence_error": calibration_error(confidence, came_true(actual, predicted, floor)),
    }


def decile_metrics(known: Calibration, rows: TrainingData, predicted: Array) -> dict[str, dict[str, float]]:
    """
    Tenths of customers by prediction, ``decile_01`` the lowest: what was said and what happened. ``confidence`` is the
    mean that was stated, ``came_true`` the share that did.
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


def churn_metrics(left: NDArray[np.bool_], chance: Array) -> dict[str, float]:
    """Brier score of the chance of churn, that of the mean for everybody, and the calibration error in ten groups."""
    happened = left.astype(float)
    return {
        "brier": brier_score(happened, chance),
        "brier_of_constant": brier_score(happened, np.full(left.size, happened.mean())),
        "calibration_error": calibration_error(chance, left),
    }


def caution(data: TrainingData, shop: Shop, measured: Measured, settings: Settings) -> str | None:
    """Why figures of this shop deserve little trust, in words; None where nothing speaks against them."""
    newest = data.only(data.as_of == data.as_of.max())
    reasons = shop_faults(shop.age_days, newest.revenue, settings.vars.small_shop_customers)
    if measured.metrics["model"]["r2"] < 0.05:
        reasons.append(f"R² of {measured.metrics['model']['r2']:.2f} on the test date")
    return "; ".join(reasons) or None


def shop_faults(age_days: int, revenue: Array, few_customers: int) -> list[str]:
    """
    What makes a shop hard to learn from, in words: its age, its largest customer's share of ``revenue`` (one number a customer,
    shape (n,)), and n below ``few_customers``.
    """
    reasons = []
    spent = np.maximum(revenue, 0.0)
    if age_days < 365:
        reasons.append(f"{age_days} days of history, less than a year")
    if spent.sum() > 0 and spent.max() > 0.10 * spent.sum():
        reasons.append(f"one customer is {spent.max() / spent.sum():.0%} of revenue")
    if revenue.size < few_customers:
        reasons.append(f"{revenue.size} customers, fewer than {few_customers}")
    return reasons


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


def _feature_drivers(shop: Shop, features: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """Features that are reported under another name; under a part of the anchor only where the anchor has parts."""
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
    What each part of the anchor is compared with: of factors the geometric mean, as of the anchor itself, and what is added in
    an anchor of the size of its reference.
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
    """Names the model after its content, so that the same fit has the same name and nothing is published twice."""
    content = json.dumps(description.model_dump(mode="json"), sort_keys=True).encode() + export_onnx(recipe)
    return f"{description.model_type}-{as_of:%Y%m%d}-{hashlib.sha256(content).hexdigest()[:8]}"


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
