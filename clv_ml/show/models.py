"""What commands print of models: a training with its figures, the registry's list, one version, a search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from clv_ml.settings import Settings
from clv_ml.show.terminal import out, print_wide, say, warn_of_shop
from clv_ml.wording import count_of

if TYPE_CHECKING:
    from clv_ml.learn.training import TrainingResult
    from clv_ml.learn.tuning import TuningResult
    from clv_ml.model.registry import ListedModel


def show_trained(result: TrainingResult, in_use: str | None) -> None:
    show_fit(result)
    warn_of_shop(result.caution)
    say_what_scores(result.version, in_use)


def show_champion(version: str, in_use: str | None) -> None:
    say(f"Champion is now {version}.")
    say_what_scores(version, in_use)


def say_what_scores(champion: str, in_use: str | None) -> None:
    """Says so where a new champion will not score."""
    if in_use is None:
        say("No model scores, since use_ml_clv is false.")
    elif in_use != champion:
        say(f"model_version pins {in_use}, which stays in use.")


def show_fit(result: TrainingResult) -> None:
    """The training without its caution, which the scores repeat."""
    from clv_ml.learn.tuned import TUNING_FILE

    state = "new" if result.is_new else "the same as before"
    test = ", ".join(result.training_dates["test"])
    out.print(f"Model {result.version} ({state}), {count_of(result.rows_fitted, 'row')}; measured on {test}:")
    _show_metrics(result.metrics)
    out.print(f"Published as {result.reason}")
    if result.tuned_before:
        out.print(f"Parameters tuned on what was known before {result.tuned_before} ({TUNING_FILE}).")
    top = ", ".join(f"{name} {share:.0%}" for name, share in list(result.importance.items())[:5])
    if top:
        out.print(f"Most important: {top}")


def _show_metrics(metrics: Mapping[str, Any]) -> None:
    """Every estimator on the test dates, and how intervals, confidence and chances of churn did."""
    shown = ("r2", "mae", "rmse", "mape", "top_decile_lift", "gini", "bias")
    table = Table(Column("estimator", no_wrap=True), *shown)
    for estimator, figures in metrics.items():
        if "r2" in figures:
            cells = [_figure(figures.get(name)) for name in shown] if is_fitted(figures) else ["not fitted"]
            table.add_row(estimator, *cells)
    out.print(table)
    if lost := better_than_model(metrics):
        out.print(
            f"On these dates alone, better than the model: {lost}. clv backtest measures several windows."
        )
    if "intervals" in metrics and "churn" in metrics:
        intervals, churn = metrics["intervals"], metrics["churn"]
        out.print(
            f"Bounds held {intervals['coverage']:.0%} of customers "
            f"({intervals['coverage_top_fifth']:.0%} of the top fifth), confidence was off by "
            f"{intervals['confidence_error']:.2f}, churn had a Brier score of {churn['brier']:.3f} "
            f"({churn['brier_of_constant']:.3f} for a constant)."
        )


def better_than_model(metrics: Mapping[str, Any]) -> str:
    """Which baselines had the better R² or MAE: what speaks against the model is said, not searched for."""
    rivals = {
        name: one
        for name, one in metrics.items()
        if "r2" in one and is_fitted(one) and name not in ("model", "typical")
    }
    lost = []
    for name, sign in (("r2", 1), ("mae", -1)):
        best = max(rivals, key=lambda rival: sign * rivals[rival][name], default="model")
        if sign * metrics[best][name] > sign * metrics["model"][name]:
            lost.append(f"{best} in {name} ({_figure(metrics[best][name])})")
    return ", ".join(lost)


def is_fitted(figures: Mapping[str, float | None]) -> bool:
    """Whether the estimator of these metrics had a prediction: an absolute error is defined then."""
    error = figures.get("mae")
    return error is not None and not math.isnan(error)


def _figure(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:,.3f}"


def model_entry(model: ListedModel, in_use: str | None) -> dict[str, Any]:
    manifest = model.manifest.model_dump(mode="json") if model.manifest else {}
    kept = ("model_type", "created_at", "horizon_days", "reporting_currency", "feature_hash", "metrics")
    return {
        "version": model.version,
        "is_champion": model.is_champion,
        "is_in_use": model.version == in_use,
        "fault": model.fault,
        **{key: manifest.get(key) for key in kept},
    }


def show_models(listed: Sequence[ListedModel], in_use: str | None) -> None:
    table = Table("version", "champion", "in use", "created", "horizon", "R²", "MAE", "fault")
    for model in listed:
        metrics = model.manifest.metrics.get("model", {}) if model.manifest else {}
        figures = [metrics.get(name) if isinstance(metrics, dict) else None for name in ("r2", "mae")]
        table.add_row(
            model.version,
            "yes" if model.is_champion else "",
            _how_in_use(model, in_use),
            model.manifest.created_at if model.manifest else "",
            f"{model.manifest.horizon_days} days" if model.manifest else "",
            *(f"{figure:,.3f}" if isinstance(figure, float) else "" for figure in figures),
            model.fault or "",
        )
    print_wide(table)


def _how_in_use(model: ListedModel, in_use: str | None) -> str:
    """Whether a version is the one that scores; what is not the champion scores because it is pinned."""
    return "" if model.version != in_use else "yes" if model.is_champion else "pinned"


def show_model(model: ListedModel, in_use: str | None) -> None:
    from clv_ml.model.interval_bins import IntervalBins

    marks = [
        "champion" if model.is_champion else "",
        {"": "", "yes": "in use", "pinned": "in use, pinned"}[_how_in_use(model, in_use)],
    ]
    _fact("version", f"{model.version} ({', '.join(filter(None, marks))})".replace(" ()", ""))
    _fact("files", model.fault or "every file is the one that was published")
    if model.reason:
        _fact("champion for", model.reason)
    manifest = model.manifest
    if manifest is None:
        return
    _fact("made", f"{manifest.created_at}, {manifest.model_type}, candidate {manifest.candidate}")
    if spread := manifest.parameters.get("spread"):
        text = f"of amounts with a spread of {spread:.2f} (clv_ml/learn/median_value.py)"
        _fact("median", text)
    if manifest.parameters.get("caution"):
        _fact("caution", manifest.parameters["caution"])
    rate = 100 * manifest.annual_discount_rate
    discount = f", discounted at {rate:.3g} % a year" if rate else ""
    _fact("predicts", f"{manifest.horizon_days} days, {manifest.reporting_currency}{discount}")
    for split, dates in manifest.training_dates.items():
        _fact(split, f"{len(dates)} dates, {dates[0]} to {dates[-1]}" if dates else "no dates")
    calibration = IntervalBins.from_json(manifest.calibration)
    _fact(
        "calibration",
        f"{len(calibration.bins)} bins for {calibration.coverage:.0%} intervals; the shop's total is off by "
        f"{calibration.level_log_sd:.0%} (sd of its logarithm)",
    )
    _fact(
        "features",
        f"{len(manifest.features)}, hash {manifest.feature_hash}: {', '.join(manifest.feature_names)}",
    )
    _show_metrics({name: figures for name, figures in manifest.metrics.items() if isinstance(figures, dict)})


def _fact(name: str, text: object) -> None:
    say(f"{name:<14}{text}")


def show_tuning(settings: Settings, result: TuningResult) -> None:
    from clv_ml.learn.tuned import TUNING_FILE

    names = tuple(result.best.parameters)
    table = Table("trial", "loss", *names, title=f"Validated on {', '.join(result.validation_dates)}")
    best_first = sorted(result.trials, key=lambda trial: trial.loss)[:10]
    for trial in dict.fromkeys(trial.number for trial in (*best_first, result.trials[0])):
        shown = result.trials[trial]
        figures = (f"{shown.parameters[name]:.4g}" for name in names)
        table.add_row("defaults" if trial == 0 else str(trial), f"{shown.loss:.4f}", *figures)
    out.print(table)
    out.print(
        f"On the customers that the search did not see, trial {result.best.number} lowers the defaults' loss "
        f"by {result.gain:.1%} (95 %: {result.gain_low:.1%} to {result.gain_high:.1%}). Nothing from "
        f"{result.searched_before} on was read."
    )
    if result.is_adopted:
        out.print(f"Written to {settings.models / TUNING_FILE}; clv train uses it.", soft_wrap=True)
    else:
        out.print("Not better beyond noise: the defaults stay.")
