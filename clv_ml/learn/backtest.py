"""
The backtest: on past dates, strictly out of time, every model and every baseline on the same customers.

For a backtest date, a fit sees only rows whose label was final by then. ``clv_ml.measure.evaluation`` says
what is measured, ``clv_ml.measure.comparison`` what is beyond chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from clv_ml.errors import HistoryError
from clv_ml.learn.baselines import baseline_predictions
from clv_ml.learn.calibration import MIN_TRAINING_ROWS, Calibration, calibrate
from clv_ml.learn.fit_evaluation import evaluate_fit
from clv_ml.learn.horizons import compare_horizons, evaluate_horizons
from clv_ml.learn.model_types import fit_recipes
from clv_ml.learn.store_history import StoreHistory, read_store_history
from clv_ml.learn.threads import one_blas_thread
from clv_ml.learn.training_data import TrainingData, label_ends, read_training_rows
from clv_ml.measure.backtest_tables import metric_table, prediction_table
from clv_ml.measure.comparison import Comparison, compare
from clv_ml.measure.evaluation import Evaluation
from clv_ml.model.model_types import MODEL_TYPES
from clv_ml.model.prediction import predict
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

MIN_FIT_DATES = 2
"""Labelled dates before a backtest date: one to fit, one to calibrate on."""
OWN = ("model", "typical", "anchor", *MODEL_TYPES)
"""The estimators of this project; all others are baselines."""


@dataclass(frozen=True)
class BacktestResult:
    """
    What a backtest found. ``metrics`` has the columns of ``backtest_metrics``: a row per date (NULL: all
    together), segment, estimator and metric. ``candidates`` names what would have been published on each
    date. ``other_horizons`` compares the mean on each horizon, in days, that is past on a date.
    """

    horizon_days: int
    dates: tuple[str, ...]
    candidates: tuple[str, ...]
    metrics: pa.Table
    comparisons: tuple[Comparison, ...]
    other_horizons: Mapping[int, tuple[Comparison, ...]]

    def figures(self, date: str | None, segment: str = "all") -> dict[str, dict[str, float]]:
        """Estimator -> metric -> value, of a date or (None) of all together; NaN where not defined."""
        found: dict[str, dict[str, float]] = {}
        for row in self.metrics.to_pylist():
            if row["origin"] == date and row["segment"] == segment:
                value = row["metric_value"]
                found.setdefault(row["estimator"], {})[row["metric"]] = np.nan if value is None else value
        return found

    def averages(self) -> dict[str, dict[str, float]]:
        """
        Estimator -> metric -> mean over the dates, as compared; NaN where it is not defined on one of them.
        """
        each = [self.figures(date) for date in self.dates]
        return {
            estimator: {
                metric: float(np.mean([figures[estimator].get(metric, np.nan) for figures in each]))
                for metric in metrics
            }
            for estimator, metrics in each[0].items()
        }


def backtest(settings: Settings, dates: int = 4, newest: bool = False) -> BacktestResult:
    """
    Runs every estimator on past dates and writes ``backtest_metrics`` and ``backtest_predictions``.

    Args:
        dates: How many dates to predict from.

        newest: Whether they are the newest, instead of spread over history.

    Raises:
        HistoryError: If no date has at least two labelled dates before it.
    """
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        history = read_store_history(connection)
    days = choose_dates(data, settings, dates, newest)
    evaluations = [evaluate_date(data, history, day, settings) for day in days]
    horizons = evaluate_horizons(evaluations, settings)
    result = BacktestResult(
        horizon_days=settings.vars.horizon_days,
        dates=tuple(str(day) for day in days),
        candidates=tuple(one.candidate for one in evaluations),
        metrics=metric_table(evaluations, horizons),
        comparisons=compare(evaluations, own=OWN),
        other_horizons=compare_horizons(horizons, OWN),
    )
    predictions = prediction_table(evaluations)
    _write(settings, backtest_metrics=result.metrics, backtest_predictions=predictions)
    return result


def _write(settings: Settings, **tables: pa.Table) -> None:
    """Replaces what the tables hold, all of them or none."""
    with connect(settings, read_only=False) as connection:
        connection.begin()
        for name, table in tables.items():
            connection.register("new_rows", table)
            connection.execute(f"delete from {name}")
            connection.execute(
                f"insert into {name} by name select * replace (cast(origin as date) as origin) from new_rows"
            )
            connection.unregister("new_rows")
        connection.commit()


def choose_dates(
    data: TrainingData, settings: Settings, count: int, newest: bool = False
) -> list[np.datetime64]:
    """
    ``count`` of the dates with at least two labelled dates before them: the newest, or spread evenly from the
    first to the newest, as far apart as history permits.
    """
    ends = label_ends(np.unique(data.as_of[data.trainable]), settings)
    able = [day for day in np.unique(data.as_of) if (ends <= day).sum() >= MIN_FIT_DATES]
    if not able:
        raise HistoryError(
            "No date has two labelled dates before it, so nothing can be tested out of time. "
            "Load more history or shorten horizon_days."
        )
    if newest:
        return able[-count:]
    places = np.unique(np.linspace(len(able) - 1, 0, min(count, len(able))).round().astype(int))
    return [able[place] for place in places]


@one_blas_thread
def evaluate_date(
    data: TrainingData, history: StoreHistory, day: np.datetime64, settings: Settings
) -> Evaluation:
    """
    What would have been published on the date: calibrated on the newest date whose label was final, with
    default parameters, and trees that then learn from all that was known.

    Raises:
        TrainingError: If too few rows were known.
    """
    known = data.only(data.trainable & (label_ends(data.as_of, settings) <= day))
    rows = data.only(data.as_of == day)
    calibration = _calibrated(data, known, history, day, settings)
    recipes = fit_recipes(known, rows.customers, MODEL_TYPES, calibration.rounds)
    others = {
        model_type: predict(recipe, rows.values, rows.anchor)["clv_predicted"]
        for model_type, recipe in recipes.items()
    } | {"anchor": rows.anchor, **baseline_predictions(known, rows)}
    return evaluate_fit(recipes["lightgbm"], calibration, rows, history, settings, others)


def _calibrated(
    data: TrainingData, known: TrainingData, history: StoreHistory, day: np.datetime64, settings: Settings
) -> Calibration:
    """
    Calibrated on the newest known date. As in training, the candidate is chosen on a date before, where one
    can be predicted out of time, and the newest may only refute it.
    """
    seen = data.only(data.as_of <= day)
    is_small_shop = (data.as_of == day).sum() < settings.vars.small_shop_customers

    def on_newest(rows: TrainingData) -> tuple[TrainingData, Calibration]:
        newest = rows.as_of.max()
        ended = rows.only(label_ends(rows.as_of, settings) <= newest)
        fit = ended if len(ended) else rows.only(rows.as_of < newest)
        later = data.only(data.as_of == newest)
        return ended, calibrate(fit, later, rows, seen, history, is_small_shop)

    ended, calibration = on_newest(known)
    if not _is_predictable(ended, settings):
        return calibration
    _, earlier = on_newest(ended)
    choice = earlier.confirmed(calibration.full, seen, is_small_shop).choice
    return replace(calibration, choice=choice)


def _is_predictable(rows: TrainingData, settings: Settings) -> bool:
    """Whether enough rows of earlier dates had ended when the newest of these dates began."""
    newest = rows.as_of.max() if len(rows) else None
    return newest is not None and (label_ends(rows.as_of, settings) <= newest).sum() >= MIN_TRAINING_ROWS
