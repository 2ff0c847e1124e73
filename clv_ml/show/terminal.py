"""
What commands print: a result as text for people, on stdout, with warnings on stderr; or as one JSON object.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clv_ml import pipeline
from clv_ml.learn.backtest import BacktestResult
from clv_ml.learn.training import TrainingResult
from clv_ml.learn.tuned import TUNING_FILE
from clv_ml.learn.tuning import TuningResult
from clv_ml.model import registry
from clv_ml.model.interval_bins import IntervalBins
from clv_ml.operate.customers import CustomerExplanation
from clv_ml.operate.doctor import Finding
from clv_ml.operate.erasure import Erasure
from clv_ml.operate.value_changes import ValueChanges
from clv_ml.serve.narrative import OTHERS, amount_text, signed_amount
from clv_ml.settings import Settings
from clv_ml.show.backtest_sheets import sheets
from clv_ml.show.report import ReportResult
from clv_ml.warehouse.connection import connect

out, err = Console(), Console(stderr=True)
WIDEST_TABLE = 120
"""
Columns that a table may take on a narrower terminal: a line that runs over is better than a number cut off.
"""
DRIVERS_SHOWN = 5
"""Of either sign; the others stand in one line, so that all amounts add up."""


def print_result(result: Any, as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        print(json.dumps(_plain(result), ensure_ascii=False, allow_nan=False))
    else:
        show()


def _plain(value: Any) -> Any:
    """
    A value as JSON has it: dataclasses and mappings as objects, dates as text, and no number that JSON lacks.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal | float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


def show_run(settings: Settings, result: pipeline.RunResult) -> None:
    if result.ingested:
        show_ingested(result.ingested)
    if result.training:
        _show_fit(result.training)
    told = {warning for summary in result.ingested for warning in summary.warnings}
    _warn(warning for warning in result.warnings if warning not in told)
    show_scoring(settings, result.scoring)
    out.print(f"Published: {result.publication.path}", soft_wrap=True)
    if result.removed.models:
        out.print(f"Removed old models: {', '.join(result.removed.models)}")
    for table, dates in result.removed.dates.items():
        out.print(f"Removed from {table}: {len(dates)} dates up to {dates[-1]}")


def show_trained(ingested: tuple, result: TrainingResult) -> None:
    if ingested:
        show_ingested(ingested)
    _show_training(result)


def show_ingested(summaries: tuple) -> None:
    table = Table("file", "rows", "kept", "new", "quarantined", "why", title="Ingested")
    for summary in summaries:
        why = ", ".join(f"{reason} {count:,}" for reason, count in summary.reasons.items())
        table.add_row(
            summary.path.name,
            f"{summary.rows_in:,}",
            f"{summary.rows_kept:,}",
            f"{summary.rows_new:,}",
            f"{summary.rows_quarantined:,}",
            why,
        )
    out.print(table)
    _warn(warning for summary in summaries for warning in summary.warnings)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        err.print("[yellow]Warning:[/yellow]", Text(warning))


def _warn_of_shop(caution: str | None) -> None:
    if caution:
        err.print(f"[yellow]Caution:[/yellow] this shop is hard to learn from: {caution}.")


def _show_training(result: TrainingResult) -> None:
    _show_fit(result)
    _warn_of_shop(result.caution)


def _show_fit(result: TrainingResult) -> None:
    state = "new" if result.is_new else "the same as before"
    test = ", ".join(result.training_dates["test"])
    out.print(f"Model {result.version} ({state}), {result.rows_fitted:,} rows; measured on {test}:")
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
    table = Table("estimator", *shown)
    for estimator, figures in metrics.items():
        if "r2" in figures:
            table.add_row(estimator, *(_figure(figures.get(name)) for name in shown))
    out.print(table)
    if lost := better_than_model(metrics):
        out.print(
            f"On these dates alone, better than the model: {lost}. clv backtest measures several windows."
        )
    if "intervals" in metrics and "churn" in metrics:
        intervals, churn = metrics["intervals"], metrics["churn"]
        out.print(
            f"Intervals held {intervals['coverage']:.0%} ({intervals['coverage_top_fifth']:.0%} of the top "
            f"fifth), confidence was off by {intervals['confidence_error']:.2f}, churn had a Brier score of "
            f"{churn['brier']:.3f} ({churn['brier_of_constant']:.3f} for a constant)."
        )


def better_than_model(metrics: Mapping[str, Any]) -> str:
    """
    Which baselines had the better R² or MAE, so that nobody has to search the table for what speaks against
    the model.
    """
    rivals = {name: one for name, one in metrics.items() if "r2" in one and name not in ("model", "typical")}
    lost = []
    for name, sign in (("r2", 1), ("mae", -1)):
        best = max(rivals, key=lambda rival: sign * rivals[rival][name], default="model")
        if sign * metrics[best][name] > sign * metrics["model"][name]:
            lost.append(f"{best} in {name} ({_figure(metrics[best][name])})")
    return ", ".join(lost)


def _figure(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:,.3f}"


def show_model(model: registry.ShownModel) -> None:
    def say(name: str, text: object) -> None:
        out.print(f"{name:<14}{text}", markup=False, highlight=False, soft_wrap=True)

    say("version", f"{model.version}{' (champion)' if model.is_champion else ''}")
    say("files", model.fault or "every file is the one that was published")
    if model.reason:
        say("champion for", model.reason)
    manifest = model.manifest
    if manifest is None:
        return
    say("made", f"{manifest.created_at}, {manifest.model_type}, form {manifest.parameters.get('form')}")
    if spread := manifest.parameters.get("spread"):
        say("typical", f"the median of amounts with a spread of {spread:.2f} (clv_ml/learn/median_value.py)")
    if manifest.parameters.get("caution"):
        say("caution", manifest.parameters["caution"])
    say("predicts", f"{manifest.horizon_days} days, {manifest.reporting_currency}")
    for part, dates in manifest.training_dates.items():
        say(part, f"{len(dates)} dates, {dates[0]} to {dates[-1]}" if dates else "no dates")
    bins = IntervalBins.from_json(manifest.calibration)
    say(
        "calibration",
        f"{len(bins.bins)} bins for {bins.coverage:.0%} intervals; the shop's total is off by "
        f"{bins.level_log_sd:.0%} (sd of its logarithm)",
    )
    say(
        "features",
        f"{len(manifest.features)}, hash {manifest.feature_hash}: {', '.join(manifest.feature_names)}",
    )
    _show_metrics({name: figures for name, figures in manifest.metrics.items() if isinstance(figures, dict)})


def show_tuning(settings: Settings, result: TuningResult) -> None:
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


def show_scoring(settings: Settings, result: pipeline.ScoringResult) -> None:
    methods = ", ".join(f"{method} {count:,}" for method, count in result.methods.items())
    out.print(
        f"{result.customers:,} customers as of {result.as_of_date}; {settings.vars.horizon_days} days ahead, "
        f"{settings.vars.reporting_currency} {result.estimate_total:,.0f} in all ({methods})."
    )
    if settings.target == "duckdb":
        with connect(settings) as connection:
            out.print(_top_customers(connection))
    _warn_of_shop(result.caution)
    out.print(f"Model version: {result.model_version or 'none'}")
    if settings.target == "duckdb":
        out.print(f"Warehouse: {settings.warehouse}  (table customer_clv)", soft_wrap=True)


def _top_customers(connection: duckdb.DuckDBPyConnection) -> Table:
    table = Table(
        "customer", "estimate", "low", "high", "confidence", "drivers", title="Most valuable customers"
    )
    rows = connection.sql(
        "select customer_id, clv_estimate, clv_low, clv_high, clv_prediction_confidence, clv_top_features "
        "from customer_clv order by clv_estimate desc, customer_id limit 10"
    ).fetchall()
    for customer, estimate, low, high, confidence, drivers in rows:
        numbers = (
            f"{value:,.2f}" if value is not None else "" for value in (estimate, low, high, confidence)
        )
        table.add_row(customer, *numbers, (drivers or "").replace("; ", "\n"))
    return table


def show_explanation(found: CustomerExplanation) -> None:
    def say(text: str) -> None:
        out.print(text, markup=False, highlight=False)

    say(f"Customer {found.customer_id} as of {found.as_of_date}")
    say(found.narrative)
    say(f"Estimate: {found.currency} {amount_text(float(found.clv_estimate))} ({found.clv_method})")
    if found.base is None:
        return
    if found.clv_low is not None and found.clv_high is not None:
        say(
            f"Interval: {found.currency} {amount_text(found.clv_low)} to {amount_text(found.clv_high)}; "
            f"confidence {found.clv_prediction_confidence or 0:.0%}"
        )
    if found.churn_probability is not None:
        say(f"Chance of no purchase: {found.churn_probability:.0%}")
    say(f"Model: {found.clv_model_version}, which starts from {found.currency} {amount_text(found.base)}")
    rest = sum(driver.contribution for driver in found.drivers if driver.name == OTHERS)
    for title, drivers, left in (
        ("Raised by", found.positive, max(rest, 0.0)),
        ("Held back by", found.negative, min(rest, 0.0)),
    ):
        if not drivers and not left:
            continue
        table = Table(title, found.currency, title_justify="left")
        table.columns[1].justify = "right"
        for driver in drivers[:DRIVERS_SHOWN]:
            table.add_row(Text(driver.phrase), signed_amount(driver.contribution))
        if others := left + sum(driver.contribution for driver in drivers[DRIVERS_SHOWN:]):
            table.add_row("all others", signed_amount(others))
        out.print(table)


def show_report(result: ReportResult) -> None:
    for notice in result.notices:
        err.print(f"[yellow]Caution:[/yellow] {notice}")
    out.print(f"Report: {result.path} ({result.size / 1e6:.1f} MB)", soft_wrap=True, markup=False)


def show_erasure(result: Erasure) -> None:
    table = Table("file", "rows removed", "texts emptied", "bytes before", "bytes after", title="Erased")
    for file in result.files:
        counts = (sum(file.rows_removed.values()), file.texts_emptied, file.bytes_before, file.bytes_after)
        table.add_row(str(file.path), *(f"{count:,}" for count in counts))
        for column, count in file.mentions.items():
            err.print(
                f"[yellow]Look at[/yellow] {column}: the same text in {count:,} cells of another meaning?"
            )
    out.print(table)
    out.print(
        f"{result.ids} numbers of one person. Numbers over many customers are made anew by the next clv run."
    )
    if result.report:
        out.print(
            f"Removed: {result.report}. Write it anew with clv report; copies elsewhere are yours to remove."
        )
    if result.models:
        out.print(
            f"Trained on the person among others: {', '.join(result.models)}. "
            "Train anew (clv train) to be rid of it."
        )


def show_backtest(result: BacktestResult) -> None:
    for sheet in sheets(result):
        table = Table(title=sheet.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, head in enumerate(sheet.head):
            table.add_column(head, justify="right" if number else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*row)
        _print_wide(table)


def _print_wide(table: Table) -> None:
    Console(width=max(out.width, WIDEST_TABLE)).print(table)


def show_findings(found: tuple[Finding, ...]) -> None:
    colours = {"ok": "green", "absent": "blue", "warn": "yellow", "fail": "red"}
    for finding in found:
        out.print(f"[{colours[finding.status]}]{finding.status:<7}[/]{finding.name:<12}", end="")
        out.print(finding.text, markup=False, highlight=False, soft_wrap=True)


def show_comparison(compared: list) -> None:
    table = Table(
        "table", "rows", "cells", "only DuckDB", "only Spark", "differing", title="DuckDB and Spark"
    )
    for one in compared:
        differing = ", ".join(f"{column} {count:,}" for column, count in one.differing.items()) or "0"
        table.add_row(
            one.table,
            f"{one.rows:,}",
            f"{one.cells:,}",
            f"{one.only_duckdb:,}",
            f"{one.only_spark:,}",
            differing,
        )
    Console(width=max(out.width, WIDEST_TABLE)).print(table)
    cells, unequal = sum(o.cells for o in compared), sum(sum(o.differing.values()) for o in compared)
    out.print(f"{unequal:,} of {cells:,} cells differ.")


def model_entry(model: registry.ListedModel) -> dict[str, Any]:
    manifest = model.manifest.model_dump(mode="json") if model.manifest else {}
    kept = ("model_type", "created_at", "horizon_days", "reporting_currency", "feature_hash", "metrics")
    return {
        "version": model.version,
        "is_champion": model.is_champion,
        "fault": model.fault,
        **{key: manifest.get(key) for key in kept},
    }


def show_models(listed: list[registry.ListedModel]) -> None:
    table = Table("version", "champion", "created", "horizon", "R²", "MAE", "fault")
    for model in listed:
        metrics = model.manifest.metrics.get("model", {}) if model.manifest else {}
        figures = [metrics.get(name) if isinstance(metrics, dict) else None for name in ("r2", "mae")]
        table.add_row(
            model.version,
            "yes" if model.is_champion else "",
            model.manifest.created_at if model.manifest else "",
            f"{model.manifest.horizon_days} days" if model.manifest else "",
            *(f"{figure:,.3f}" if isinstance(figure, float) else "" for figure in figures),
            model.fault or "",
        )
    _print_wide(table)


def show_changes(result: ValueChanges) -> None:
    sides = f"{result.from_date} to {result.to_date}"
    if result.from_date == result.to_date:
        sides = f"{result.model_before} to {result.model_after}, as of {result.to_date}"
    out.print(
        f"{sides}: {result.total_before:,.0f} to {result.total_after:,.0f} "
        f"({result.total_after - result.total_before:+,.0f}); {result.customers_before:,} and "
        f"{result.customers_after:,} customers, {result.customers_on_both:,} on both sides."
    )
    if result.is_other_model and result.from_date != result.to_date:
        err.print(
            f"[yellow]Caution:[/yellow] {result.model_before} predicted then and {result.model_after} now; "
            "part of every change is the model's."
        )
    table = Table("driver", "change", "raised", "lowered", "customers", title="What moved the total")
    for row in result.drivers[:20]:
        money = (f"{row[name]:+,.2f}" for name in ("change", "raised", "lowered"))
        table.add_row(row["driver_name"], *money, f"{row['customers_moved']:,}")
    out.print(table)
    table = Table(
        "customer", "before", "after", "change", "largest changes", title="Whose value changed most"
    )
    for row in result.customers:
        money = (f"{row[name] or 0:,.2f}" for name in ("predicted_before", "predicted_after"))
        reasons = "\n".join(f"{one['driver_name']} ({one['change']:+,.2f})" for one in row["drivers"][:3])
        table.add_row(row["customer_id"], *money, f"{row['change']:+,.2f}", reasons)
    out.print(table)
