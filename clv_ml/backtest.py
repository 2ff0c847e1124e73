"""
Rolling origins, strictly out of time: every model and every baseline on the same customers, dates and answers.

For an origin, a fit sees only rows whose label was final by then. Each metric is taken per origin and averaged. The
difference to each baseline has a bootstrap interval over customers (a customer's origins are drawn together); origins
overlap in time and are not independent, so the interval speaks of other customers, not of other years.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.calibration import Held, calibrate
from clv_ml.errors import HistoryError
from clv_ml.fitting import Parameters, fit_churn, fit_hurdle, fit_plain, fit_recipe, with_calibrated_churn
from clv_ml.metrics import HIGHER_IS_BETTER, METRICS, Array
from clv_ml.parity import predict
from clv_ml.selection import choose_form, mean_in_form
from clv_ml.settings import Settings
from clv_ml.training import Shop, churn_metrics, interval_metrics, read_shop
from clv_ml.training_data import TrainingData, label_ends, read_training_rows
from clv_ml.warehouse import connect

MIN_FIT_DATES = 2
REPLICATES = 999
SEED = 11
COMPARED = ("r2", "nmae", "spearman", "gini", "top_decile_lift", "bias", "decile_mape")
"""Metrics that are compared with the baselines; ``typical`` is judged on nmae, ``model`` on all others."""


@dataclass(frozen=True)
class Origin:
    """
    One origin: the rows predicted, each estimator's prediction, shape (n,), how intervals, confidence and chance of churn
    held, and the form of the model that would have been published.
    """

    as_of: np.datetime64
    rows: TrainingData
    predicted: Mapping[str, Array]
    held_up: Mapping[str, float]
    form: str


@dataclass(frozen=True)
class Comparison:
    """
    Ours against the best baseline of one metric, picked afterwards.

    ``gain`` is positive where ours is better, with a 95 % interval over customers; ``p_value`` is two-sided, and
    ``p_holm`` the same corrected for all metrics compared.
    """

    metric: str
    ours: float
    baseline: str
    theirs: float
    gain: float
    gain_low: float
    gain_high: float
    p_value: float
    p_holm: float

    @property
    def is_loss(self) -> bool:
        """Whether ours is worse beyond chance."""
        return self.gain < 0 and self.p_holm < 0.05


@dataclass(frozen=True)
class BacktestResult:
    """All origins' metrics (a row per origin, segment, estimator and metric), and the comparisons."""

    horizon_days: int
    origins: tuple[str, ...]
    forms: tuple[str, ...]
    metrics: pa.Table
    comparisons: tuple[Comparison, ...]

    def averages(self) -> dict[str, dict[str, float]]:
        """Each estimator's metrics on all customers, averaged over the origins that have them."""
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.metrics.to_pylist():
            if row["segment"] == "all" and np.isfinite(row["metric_value"]):
                found.setdefault(row["estimator"], {}).setdefault(row["metric"], []).append(
                    row["metric_value"]
                )
        return {
            estimator: {metric: float(np.mean(values)) for metric, values in metrics.items()}
            for estimator, metrics in found.items()
        }


def backtest(settings: Settings, origins: int = 4) -> BacktestResult:
    """
    Runs every estimator at the newest origins and writes ``backtest_metrics`` and ``backtest_predictions``.

    Raises:
        HistoryError: If no date has at least two labelled dates before it.
    """
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        shop = read_shop(connection)
    ran = [_run_origin(data, shop, day, settings) for day in choose_origins(data, settings, origins)]
    result = BacktestResult(
        horizon_days=settings.vars.horizon_days,
        origins=tuple(str(origin.as_of) for origin in ran),
        forms=tuple(origin.form for origin in ran),
        metrics=_metric_table(ran),
        comparisons=_compare(ran),
    )
    predictions = _prediction_table(ran)
    with connect(settings, read_only=False) as connection:
        connection.register("new_metrics", result.metrics)
        connection.register("new_predictions", predictions)
        connection.begin()
        for table, new in (("backtest_metrics", "new_metrics"), ("backtest_predictions", "new_predictions")):
            connection.execute(f"delete from {table}")
            connection.execute(
                f"insert into {table} by name select * replace (cast(origin as date) as origin) from {new}"
            )
        connection.commit()
    return result


def choose_origins(data: TrainingData, settings: Settings, count: int) -> list[np.datetime64]:
    """The dates with at least two labelled dates before them, ``count`` of them spread evenly up to the newest."""
    dates = np.unique(data.as_of)
    able = [day for day in dates if (label_ends(dates, settings) <= day).sum() >= MIN_FIT_DATES]
    if not able:
        raise HistoryError(
            "No date has two labelled dates before it, so nothing can be tested out of time. "
            "Load more history or shorten horizon_days."
        )
    places = np.unique(np.linspace(0, len(able) - 1, min(count, len(able))).round().astype(int))
    return [able[place] for place in places]


def _run_origin(data: TrainingData, shop: Shop, day: np.datetime64, settings: Settings) -> Origin:
    """
    What would have been published at the date: form, intervals and chance of churn are taken from the last date whose
    label was final, predicted by a fit that ended before it.
    """
    ends = label_ends(data.as_of, settings)
    known = data.only(data.trainable & (ends <= day))
    last = known.as_of.max()
    later = known.only(known.as_of == last)
    earlier = known.only(label_ends(known.as_of, settings) <= last)
    earlier = earlier if len(earlier) else known.only(known.as_of < last)
    early = fit_recipe(earlier, later.customers, "lightgbm")
    early_said = predict(early, later.values, later.anchor)["clv_predicted"]
    form = choose_form(later, early_said).form
    held = Held(later, mean_in_form(early, form, later))
    calibration = calibrate(
        [held], shop.level_log_sd(day), settings.vars.interval_coverage, settings.vars.confidence_floor
    )

    rows = data.only(data.as_of == day)
    recipe = with_calibrated_churn(fit_recipe(known, rows.customers, "lightgbm"), *fit_churn(early, later))
    ours = predict(recipe, rows.values, rows.anchor)
    line = predict(fit_recipe(known, rows.customers, "ridge"), rows.values, rows.anchor)
    mean = mean_in_form(recipe, form, rows)
    baselines = {name: values for name, values in rows.baselines.items() if np.isfinite(values).all()}
    predicted = {
        "model": mean,
        "typical": ours["clv_typical"],
        "ridge": line["clv_predicted"],
        "plain_lightgbm": fit_plain(known, Parameters())(rows),
        "lognormal_hurdle": fit_hurdle(known, Parameters())(rows),
        **baselines,
    }
    held_up = {
        **interval_metrics(calibration, rows, mean),
        **{f"churn_{name}": value for name, value in churn_metrics(rows, ours["churn_probability"]).items()},
    }
    return Origin(day, rows, predicted, held_up, form)


def _segments(rows: TrainingData) -> dict[str, NDArray[np.bool_]]:
    """Everybody, each behaviour type, and each fifth of customers by anchor."""
    masks = {"all": np.ones(len(rows), dtype=np.bool_)}
    masks |= {f"behavior_type={kind}": rows.behavior == kind for kind in np.unique(rows.behavior)}
    fifth = np.argsort(np.argsort(rows.anchor, kind="stable")) * 5 // max(len(rows), 1)
    return masks | {f"spend_band={number + 1}": fifth == number for number in range(5)}


def _metric_table(origins: Sequence[Origin]) -> pa.Table:
    found = [
        (
            str(origin.as_of),
            segment,
            estimator,
            metric,
            measure(origin.rows.revenue[mask], predicted[mask]),
            int(mask.sum()),
        )
        for origin in origins
        for segment, mask in _segments(origin.rows).items()
        if mask.any()
        for estimator, predicted in origin.predicted.items()
        for metric, measure in METRICS.items()
    ] + [
        (str(origin.as_of), "all", "model", metric, value, len(origin.rows))
        for origin in origins
        for metric, value in origin.held_up.items()
    ]
    names = ("origin", "segment", "estimator", "metric", "metric_value", "customers")
    return pa.table(
        {name: list(column) for name, column in zip(names, zip(*found, strict=True), strict=True)}
    )


def _prediction_table(origins: Sequence[Origin]) -> pa.Table:
    parts = [
        pa.table(
            {
                "origin": np.repeat(str(origin.as_of), len(origin.rows)),
                "customer_id": origin.rows.customer,
                "estimator": np.repeat(estimator, len(origin.rows)),
                "predicted": predicted,
                "actual": origin.rows.revenue,
            }
        )
        for origin in origins
        for estimator, predicted in origin.predicted.items()
    ]
    return pa.concat_tables(parts)


def _compare(origins: Sequence[Origin]) -> tuple[Comparison, ...]:
    everywhere = set.intersection(*(set(origin.predicted) for origin in origins))
    rivals = tuple(
        name for name in origins[-1].predicted if name in everywhere - {"model", "typical", "ridge"}
    )
    draws = list(_draws(origins))
    found = [_comparison(metric, origins, rivals, draws) for metric in COMPARED]
    order = np.argsort([comparison.p_value for comparison in found])
    corrected, running = dict[int, float](), 0.0
    for place, index in enumerate(order):
        running = max(running, min(1.0, found[index].p_value * (len(found) - place)))
        corrected[int(index)] = running
    return tuple(replace(comparison, p_holm=corrected[index]) for index, comparison in enumerate(found))


def _comparison(
    metric: str, origins: Sequence[Origin], rivals: Sequence[str], draws: Sequence[list[NDArray[np.intp]]]
) -> Comparison:
    mine = "typical" if metric == "nmae" else "model"
    sign = 1.0 if metric in HIGHER_IS_BETTER else -1.0
    whole = [np.arange(len(origin.rows)) for origin in origins]
    value = {name: _average(metric, origins, name, whole) for name in (mine, *rivals)}
    best = max(rivals, key=lambda name: sign * value[name] if np.isfinite(value[name]) else -np.inf)
    gains = np.array(
        [
            sign * (_average(metric, origins, mine, draw) - _average(metric, origins, best, draw))
            for draw in draws
        ]
    )
    gains = gains[np.isfinite(gains)]
    below = (gains <= 0).mean() if gains.size else 1.0
    return Comparison(
        metric=metric,
        ours=value[mine],
        baseline=best,
        theirs=value[best],
        gain=sign * (value[mine] - value[best]),
        gain_low=float(np.quantile(gains, 0.025)) if gains.size else float("nan"),
        gain_high=float(np.quantile(gains, 0.975)) if gains.size else float("nan"),
        p_value=float(min(1.0, 2 * max(min(below, 1 - below), 1 / (len(draws) + 1)))),
        p_holm=1.0,
    )


def _average(metric: str, origins: Sequence[Origin], name: str, draw: Sequence[NDArray[np.intp]]) -> float:
    measure: Callable[[Array, Array], float] = METRICS[metric]
    return float(
        np.mean(
            [
                measure(origin.rows.revenue[rows], origin.predicted[name][rows])
                for origin, rows in zip(origins, draw, strict=True)
            ]
        )
    )


def _draws(origins: Sequence[Origin]) -> Iterator[list[NDArray[np.intp]]]:
    """Rows of each origin under a draw of customers with replacement."""
    customers = np.unique(np.concatenate([origin.rows.customer for origin in origins]))
    places = [np.searchsorted(customers, origin.rows.customer) for origin in origins]
    generator = np.random.default_rng(SEED)
    for _ in range(REPLICATES):
        times = np.bincount(generator.integers(0, customers.size, customers.size), minlength=customers.size)
        yield [np.repeat(np.arange(place.size), times[place]) for place in places]
