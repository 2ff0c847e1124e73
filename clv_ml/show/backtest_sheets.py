"""A backtest as tables to read: for the terminal (`clv backtest`) and as Markdown (`make bench-quality`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from clv_ml.measure.evaluation import ORDERS, TENURE_ORDERS, TENURES
from clv_ml.show.models import is_fitted
from clv_ml.show.terminal import print_wide, say

if TYPE_CHECKING:
    from clv_ml.learn.backtest import BacktestResult
    from clv_ml.measure.comparison import Comparison

HEADS = {
    "mae": "MAE",
    "nmae": "nMAE",
    "rmse": "RMSE",
    "r2": "R²",
    "spearman": "Spear.",
    "gini": "Gini",
    "top_decile_lift": "lift",
    "bias": "bias",
    "decile_mape": "dMAPE",
    "decile_wape": "dWAPE",
}
"""Metrics shown of every estimator, and how they are headed. docs/explanation/backtest.md defines them."""
DATE_HEADS = {name: HEADS[name] for name in ("r2", "spearman", "gini", "top_decile_lift", "bias")}
SEGMENT_HEADS = {name: HEADS[name] for name in ("nmae", "r2", "spearman", "gini", "bias")}
COVERAGE_HEADS = {
    "coverage": "coverage",
    "coverage_top_fifth": "of top fifth",
    "above_high": "above",
    "below_low": "below",
    "interval_score_to_mean": "score / mean",
    "confidence_error": "conf. error",
    "churn_brier": "Brier",
    "churn_brier_of_constant": "constant's",
    "churn_calibration_error": "churn error",
}


@dataclass(frozen=True)
class Sheet:
    """A titled table of texts; the first column names the row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show_backtest(result: BacktestResult) -> None:
    """The verdict, and the tables that a reader needs."""
    from clv_ml.measure.comparison import verdict

    say(verdict(result.comparisons, HEADS))
    for sheet in short_sheets(result):
        table = Table(title=sheet.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, head in enumerate(sheet.head):
            table.add_column(head, justify="right" if number else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*row)
        print_wide(table)
    say(
        "Each date's estimators, segments, the chance of churn and everybody's prediction: tables "
        "backtest_metrics and backtest_predictions, or --json."
    )


def short_sheets(result: BacktestResult) -> list[Sheet]:
    """What a reader needs first: estimators, comparison, dates, tenure and orders, deciles."""
    ahead = f"{result.horizon_days} days ahead"
    return [
        _estimators(f"{ahead}, mean of {len(result.dates)} dates", result.averages(), result),
        comparison_sheet("Against the best baseline, mean of the dates", result.comparisons),
        *_horizons(result),
        _dates(result),
        *_tenure_and_orders(result),
        _deciles(result),
    ]


def sheets(result: BacktestResult) -> list[Sheet]:
    """Everything: the short sheets, then all estimators by date, segments, churn, intervals."""
    ahead = f"{result.horizon_days} days ahead"
    each = [
        _estimators(f"{ahead}, from {day} (published: {candidate})", result.figures(day))
        for day, candidate in zip(result.dates, result.candidates, strict=True)
    ]
    return [
        *short_sheets(result),
        _estimators(f"{ahead}, customers of all dates pooled", result.figures(None), result),
        *each,
        _segments(result),
        _churn(result),
        _coverage(result),
    ]


def comparison_sheet(title: str, comparisons: Sequence[Comparison]) -> Sheet:
    """Ours against the best baseline of each metric; a loss beyond chance is marked."""
    rows = [
        (
            one.metric,
            f"{one.estimator} {one.ours:.3f}",
            f"{one.baseline} {one.theirs:.3f}",
            f"{one.gain:+.3f}",
            f"{one.gain_low:+.3f} to {one.gain_high:+.3f}",
            f"{one.p_holm:.3f}",
            "LOSS" if one.is_loss else "",
        )
        for one in comparisons
    ]
    return Sheet(title, ("metric", "ours", "best baseline", "gain", "95 %", "p (Holm)", ""), tuple(rows))


def against(one: Comparison) -> str:
    """Ours / the best baseline's, with a loss beyond chance marked."""
    return f"{one.ours:.3f} / {one.theirs:.3f}{' LOSS' * one.is_loss}"


def markdown(sheet: Sheet) -> str:
    """The sheet as a Markdown table under its title in bold."""
    lines = [sheet.head, ("---",) * len(sheet.head), *sheet.rows]
    return "\n".join([f"**{sheet.title}**", "", *("| " + " | ".join(line) + " |" for line in lines)])


def _estimators(
    title: str, figures: Mapping[str, Mapping[str, float]], result: BacktestResult | None = None
) -> Sheet:
    """
    A row per estimator, with every metric; of one that could not be fitted that is said, and of the result's
    dates on how many it was.
    """
    rows = []
    for name, metrics in figures.items():
        missing = "not fitted"
        if result is not None:
            fitted = sum(is_fitted(result.figures(day)[name]) for day in result.dates)
            missing = f"fitted on {fitted} of {len(result.dates)}"
        cells = [_number(metrics[key]) for key in HEADS]
        rows.append((name, *(cells if is_fitted(metrics) else [missing, *[""] * (len(HEADS) - 1)])))
    return Sheet(title, ("estimator", *HEADS.values()), tuple(rows))


def _horizons(result: BacktestResult) -> list[Sheet]:
    """A row per other horizon: the mean against the best baseline of each metric; none where none is past."""
    rows, heads, metrics = [], (), result.metrics.to_pylist()
    for days, compared in result.other_horizons.items():
        known = {row["origin"] for row in metrics if row["segment"] == f"horizon={days}"}
        heads = tuple(HEADS[one.metric] for one in compared)
        rows.append((f"{days} days", str(len(known - {None})), *map(against, compared)))
    title = "Other horizons: ours / the best baseline's, mean of the dates whose window is past"
    return [Sheet(title, ("horizon", "dates", *heads), tuple(rows))] if rows else []


def _dates(result: BacktestResult) -> Sheet:
    """A row per date: what would have been published, and how it did."""
    rows = []
    for day, candidate in zip(result.dates, result.candidates, strict=True):
        model = result.figures(day)["model"]
        total = model["mean_predicted"] / model["mean_actual"] if model["mean_actual"] > 0 else math.nan
        figures = (total, *(model[key] for key in (*DATE_HEADS, "coverage", "coverage_top_fifth")))
        rows.append((day, candidate, *(_number(figure) for figure in figures)))
    heads = (*DATE_HEADS.values(), COVERAGE_HEADS["coverage"], COVERAGE_HEADS["coverage_top_fifth"])
    title = "From each date: candidate, predicted / actual total, metrics of the model"
    return Sheet(title, ("date", "published", "total", *heads), tuple(rows))


def _tenure_and_orders(result: BacktestResult) -> list[Sheet]:
    """
    Predicted / actual of the model and customers, by tenure and orders; no sheet where those features are
    left out.
    """
    cells: dict[str, dict[str, str]] = {}
    for segment, customers in segment_sizes(result, (TENURE_ORDERS,)):
        tenure, orders = segment.removeprefix(f"{TENURE_ORDERS}=").split(", ")
        model = result.figures(None, segment)["model"]
        ratio = f"{model['mean_predicted'] / model['mean_actual']:.2f}" if model["mean_actual"] > 0 else "-"
        cells.setdefault(tenure, {})[orders] = f"{ratio} ({customers:,})"
    rows = tuple(
        (tenure, *(cells[tenure].get(orders, "") for orders in ORDERS.values()))
        for tenure in TENURES.values()
        if tenure in cells
    )
    title = "Predicted / actual (customers), by time since the first order and number of orders, pooled"
    return [Sheet(title, ("first order", *ORDERS.values()), rows)] if rows else []


def _segments(result: BacktestResult) -> Sheet:
    """The model by group; nMAE is the median's."""
    rows = []
    for segment, customers in segment_sizes(result, ("behavior_type", "spend_band")):
        figures = result.figures(None, segment)
        model = {**figures["model"], "nmae": figures["typical"]["nmae"]}
        means = (_number(model["mean_predicted"]), _number(model["mean_actual"]))
        rows.append((segment, f"{customers:,}", *means, *(_number(model[key]) for key in SEGMENT_HEADS)))
    head = ("model, pooled", "customers", "predicted", "actual", *SEGMENT_HEADS.values())
    return Sheet("By segment (nMAE of the median)", head, tuple(rows))


def _deciles(result: BacktestResult) -> Sheet:
    rows = []
    for segment, customers in segment_sizes(result, ("decile",)):
        model = result.figures(None, segment)["model"]
        predicted, actual = model["mean_predicted"], model["mean_actual"]
        ratio = _number(actual / predicted) if predicted > 0 else ""
        rows.append((segment, f"{customers:,}", _number(predicted), _number(actual), ratio))
    head = ("model, pooled", "customers", "predicted", "actual", "actual / predicted")
    return Sheet("Calibration by decile of prediction, means", head, tuple(rows))


def _churn(result: BacktestResult) -> Sheet:
    rows = []
    for segment, customers in segment_sizes(result, ("churn_decile",)):
        model = result.figures(None, segment)["model"]
        rows.append(
            (segment, f"{customers:,}", f"{model['churn_predicted']:.3f}", f"{model['churn_observed']:.3f}")
        )
    head = ("pooled", "customers", "predicted", "observed")
    return Sheet("Chance of churn, by tenth", head, tuple(rows))


def _coverage(result: BacktestResult) -> Sheet:
    rows = []
    for day in (*result.dates, None):
        model = result.figures(day)["model"]
        rows.append((day or "pooled", *(f"{model[key]:.3f}" for key in COVERAGE_HEADS)))
    title = "Intervals, confidence and chance of churn, against what happened"
    return Sheet(title, ("date", *COVERAGE_HEADS.values()), tuple(rows))


def segment_sizes(result: BacktestResult, columns: Sequence[str]) -> list[tuple[str, int]]:
    """Segments of these columns over all dates, in order, with their customers."""
    sizes = {
        row["segment"]: row["customers"]
        for row in result.metrics.to_pylist()
        if row["origin"] is None and row["segment"].split("=")[0] in columns
    }
    return list(sizes.items())


def _number(value: float) -> str:
    """Three decimals, fewer where the number is large; nothing where the figure is not defined."""
    if math.isnan(value):
        return ""
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
