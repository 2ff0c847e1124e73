"""
Rolling origins, strictly out of time: every model and every baseline on the same customers, dates and
answers.

For an origin, a fit sees only rows whose label was final by then. ``clv_ml.measure.evaluation`` says what is
measured, ``clv_ml.measure.comparison`` what is beyond chance.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clv_ml.errors import HistoryError
from clv_ml.learn.calibration_window import chance_of_churn, learn
from clv_ml.learn.candidates import mean_in_form
from clv_ml.learn.fitting import Parameters, fit_hurdle, fit_plain, fit_recipes
from clv_ml.learn.intervals import calibrate, intervals, recency_of
from clv_ml.learn.model_types import MODEL_TYPES
from clv_ml.learn.shop_history import Shop, read_shop
from clv_ml.learn.threads import one_blas_thread
from clv_ml.learn.training_data import TrainingData, label_ends, read_training_rows
from clv_ml.learn.typical_value import typical_value
from clv_ml.measure.comparison import Comparison, compare
from clv_ml.measure.evaluation import Origin, metric_table, prediction_table, spend_band
from clv_ml.measure.metrics import Array
from clv_ml.model.prediction import predict
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

MIN_FIT_DATES = 2
OWN = ("model", "typical", *MODEL_TYPES)
"""The estimators of this project; all others are baselines."""


@dataclass(frozen=True)
class BacktestResult:
    """
    What a backtest found. ``metrics`` has the columns of ``backtest_metrics``: a row per origin (NULL: all
    together), segment, estimator and metric. ``forms`` names what would have been published at each origin.
    """

    horizon_days: int
    origins: tuple[str, ...]
    forms: tuple[str, ...]
    metrics: pa.Table
    comparisons: tuple[Comparison, ...]

    def figures(self, origin: str | None, segment: str = "all") -> dict[str, dict[str, float]]:
        """Estimator -> metric -> value, of an origin or (None) of all together; NaN where not defined."""
        found: dict[str, dict[str, float]] = {}
        for row in self.metrics.to_pylist():
            if row["origin"] == origin and row["segment"] == segment:
                value = row["metric_value"]
                found.setdefault(row["estimator"], {})[row["metric"]] = np.nan if value is None else value
        return found

    def averages(self) -> dict[str, dict[str, float]]:
        """
        Estimator -> metric -> mean over the origins, as compared; only estimators that spoke at all of them.
        """
        each = [self.figures(origin) for origin in self.origins]
        return {
            estimator: {
                metric: float(np.mean([figures[estimator][metric] for figures in each])) for metric in metrics
            }
            for estimator, metrics in each[0].items()
            if all(estimator in figures for figures in each)
        }


def backtest(settings: Settings, origins: int = 4, newest: bool = False) -> BacktestResult:
    """
    Runs every estimator at past dates and writes ``backtest_metrics`` and ``backtest_predictions``.

    Args:
        origins: How many dates to predict from.

        newest: Whether they are the newest, instead of spread over history.

    Raises:
        HistoryError: If no date has at least two labelled dates before it.
    """
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        shop = read_shop(connection)
    days = choose_origins(data, settings, origins, newest)
    ran = [run_origin(data, shop, day, settings) for day in days]
    result = BacktestResult(
        horizon_days=settings.vars.horizon_days,
        origins=tuple(str(origin.as_of) for origin in ran),
        forms=tuple(origin.form for origin in ran),
        metrics=metric_table(ran),
        comparisons=compare(ran, own=OWN),
    )
    _write(settings, backtest_metrics=result.metrics, backtest_predictions=prediction_table(ran))
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


def choose_origins(
    data: TrainingData, settings: Settings, count: int, newest: bool = False
) -> list[np.datetime64]:
    """
    ``count`` of the dates with at least two labelled dates before them: the newest, or spread evenly from the
    first to the newest, as far apart as history permits.
    """
    taught = label_ends(np.unique(data.as_of[data.trainable]), settings)
    able = [day for day in np.unique(data.as_of) if (taught <= day).sum() >= MIN_FIT_DATES]
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
def run_origin(data: TrainingData, shop: Shop, day: np.datetime64, settings: Settings) -> Origin:
    """
    What would have been published at the date: what ``learn`` makes of the newest date whose label was final,
    with default parameters, and trees that then learn from all that was known.

    Raises:
        TrainingError: If too few rows were known.
    """
    ends = label_ends(data.as_of, settings)
    known = data.only(data.trainable & (ends <= day))
    last = known.as_of.max()
    ended = known.only(label_ends(known.as_of, settings) <= last)
    train = ended if len(ended) else known.only(known.as_of < last)
    rows = data.only(data.as_of == day)
    is_small_shop = len(rows) < settings.vars.small_shop_customers
    seen = data.only(data.as_of <= day)
    lessons = learn(train, data.only(data.as_of == last), known, seen, shop, is_small_shop)

    recipes = fit_recipes(known, rows.customers, MODEL_TYPES, lessons.rounds)
    mean = mean_in_form(recipes["lightgbm"], lessons.choice.form, rows)
    leaving = chance_of_churn(recipes["lightgbm"], rows, shop.expected_pace, lessons.churn)
    calibration = calibrate(
        [lessons.held],
        shop.level_log_sd(day),
        settings.vars.interval_coverage,
        settings.vars.confidence_floor,
    )
    low, high, confidence = intervals(calibration, mean, recency_of(rows))
    return Origin(
        as_of=str(day),
        form=lessons.choice.form,
        customer=rows.customer,
        groups={"behavior_type": rows.behavior, "spend_band": spend_band(rows.anchor)},
        actual=rows.revenue,
        left=rows.purchases == 0,
        predicted={
            "model": mean,
            "typical": typical_value(mean, 1 - leaving, lessons.spread),
            **{
                kind: predict(recipe, rows.values, rows.anchor)["clv_predicted"]
                for kind, recipe in recipes.items()
            },
            **_baselines(known, rows),
        },
        low=low,
        high=high,
        confidence=confidence,
        confidence_floor=calibration.confidence_floor,
        churn=leaving,
    )


def _baselines(known: TrainingData, rows: TrainingData) -> dict[str, Array]:
    """
    What the usual first attempts and the closed forms of SQL say; one that is NULL for anybody is left out.
    """
    closed = {name: said for name, said in rows.baselines.items() if np.isfinite(said).all()}
    return {
        "plain_lightgbm": fit_plain(known, Parameters())(rows),
        "lognormal_hurdle": fit_hurdle(known, Parameters())(rows),
        **closed,
    }
