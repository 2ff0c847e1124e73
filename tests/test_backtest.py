"""The backtest: strictly out of time, figures that add up, and comparisons that hold what they promise."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_evaluations import evaluation
from markdown_pages import DOCS, blocks
from shops import copied, query
from typer.testing import CliRunner

from clv_ml import cli
from clv_ml.engines import DuckDB
from clv_ml.errors import HistoryError
from clv_ml.learn import backtest as backtesting
from clv_ml.learn import calibration
from clv_ml.learn.backtest import BacktestResult, backtest, choose_dates, evaluate_date
from clv_ml.learn.boosters import BOOSTERS
from clv_ml.learn.btyd_functions import register_functions
from clv_ml.learn.candidates import Choice
from clv_ml.learn.store_history import StoreHistory, read_store_history
from clv_ml.learn.training_data import TrainingData, read_training_rows
from clv_ml.measure.backtest_tables import metric_table
from clv_ml.measure.comparison import compare
from clv_ml.measure.evaluation import Evaluation
from clv_ml.measure.metrics import METRICS
from clv_ml.settings import Settings
from clv_ml.show.backtest_sheets import HEADS, markdown, sheets, short_sheets, show_backtest
from clv_ml.show.models import is_fitted
from clv_ml.warehouse.connection import connect

DATES = 2
HORIZON = np.timedelta64(60, "D")


@pytest.fixture(scope="module")
def tested(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, BacktestResult]:
    """The simulated shop, trained and scored, after a backtest, and its result."""
    settings = copied(trained, tmp_path_factory.mktemp("tested"))
    return settings, backtest(settings, DATES)


@pytest.fixture(scope="module")
def rows_and_history(simulated: Settings) -> tuple[TrainingData, StoreHistory]:
    """The simulated shop's training rows, and what else the trainer knows."""
    with connect(simulated) as connection:
        return read_training_rows(connection, simulated), read_store_history(connection)


def _predictions(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Everything that is predicted on a date, without the answers."""
    return {
        **evaluation.predicted,
        "low": evaluation.low,
        "high": evaluation.high,
        "confidence": evaluation.confidence,
        "churn": evaluation.churn,
    }


def _poisoned(
    data: TrainingData, history: StoreHistory, poisoned: np.ndarray, since: np.datetime64
) -> tuple[TrainingData, StoreHistory]:
    """Other answers in these rows, and other totals of the shop that became known after a date."""
    rng = np.random.default_rng(1)
    windows = {
        day: replace(one, pace=one.pace + 5) if one.pace is not None and one.known_at > since else one
        for day, one in history.windows.items()
    }
    return (
        replace(
            data,
            revenue=np.where(poisoned, rng.gamma(1, 1e4, len(data)), data.revenue),
            purchases=np.where(poisoned, rng.integers(0, 2, len(data)), data.purchases),
        ),
        replace(history, windows=windows),
    )


def test_no_answer_after_a_date_reaches_its_predictions(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    Every label whose window ended after the backtest date is replaced by nonsense, the date's own included:
    predictions, intervals, confidence and chance of churn of every estimator stay the same to the last bit.
    """
    data, history = rows_and_history
    for day in choose_dates(data, simulated, DATES):
        unknown = data.as_of + HORIZON > day
        assert unknown.any() and not unknown.all()

        clean = evaluate_date(data, history, day, simulated)
        other = evaluate_date(*_poisoned(data, history, unknown, day), day, simulated)

        assert other.candidate == clean.candidate
        for name, predicted in _predictions(clean).items():
            np.testing.assert_array_equal(_predictions(other)[name], predicted, err_msg=name)
        assert not np.array_equal(other.actual, clean.actual)


def test_the_newest_answer_known_on_a_date_is_used(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    The counterpart: nonsense in the last window that had ended changes what every fitted estimator predicts.
    """
    data, history = rows_and_history
    day = choose_dates(data, simulated, DATES)[-1]
    newest = data.as_of[data.as_of + HORIZON <= day].max()

    clean = evaluate_date(data, history, day, simulated)
    other = evaluate_date(*_poisoned(data, history, data.as_of == newest, day), day, simulated)

    for name in ("lightgbm", "ridge", "ensemble", "typical", "plain_lightgbm", "lognormal_hurdle", "churn"):
        assert not np.array_equal(_predictions(other)[name], _predictions(clean)[name]), name


def test_where_the_trees_are_chosen_the_model_is_the_trees(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory], monkeypatch: pytest.MonkeyPatch
):
    """What is published as the full model is what LightGBM alone predicts, to the last bit."""
    data, history = rows_and_history
    day = choose_dates(data, simulated, DATES)[-1]
    monkeypatch.setattr(calibration, "choose_candidate", lambda *_: Choice("model", "as the test wants it"))

    predicted = evaluate_date(data, history, day, simulated).predicted

    np.testing.assert_array_equal(predicted["model"], predicted["lightgbm"])


def test_a_window_that_ends_on_the_date_has_ended(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    Windows are half-open. With dates sixty days apart, the third is the first backtest date: two windows
    have ended by then.
    """
    data, _ = rows_and_history
    dates = np.datetime64("2024-02-01") + HORIZON * np.arange(4)
    moved = replace(data.only(np.arange(len(data)) < 4), as_of=dates)

    assert choose_dates(moved, simulated, 9) == list(dates[2:])
    one_day_short = replace(moved, as_of=np.concatenate([dates[:2], dates[2:] - np.timedelta64(1, "D")]))
    assert choose_dates(one_day_short, simulated, 9) == [one_day_short.as_of[3]]


def test_dates_are_spread_evenly_up_to_the_newest(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    The first and the last that can be tested are among them, in order; one is the last; more than there are
    gives all.
    """
    data, _ = rows_and_history
    everyone = choose_dates(data, simulated, 99)

    assert choose_dates(data, simulated, 1) == [everyone[-1]]
    assert choose_dates(data, simulated, 2) == [everyone[0], everyone[-1]]
    assert everyone == sorted(everyone)
    assert everyone[-1] == data.as_of.max()


def test_a_date_grows_as_many_trees_as_training_would(
    simulated: Settings,
    rows_and_history: tuple[TrainingData, StoreHistory],
    monkeypatch: pytest.MonkeyPatch,
    spy: Callable[[Any, str], list[tuple]],
):
    """
    All fits of a date (on the date that chooses the candidate, on the newest known, and on all that is known)
    grow what `choose_rounds` says of dates whose windows had ended by then.
    """
    data, history = rows_and_history
    day = choose_dates(data, simulated, DATES)[-1]
    rounds = dict(zip(BOOSTERS, (11, 12, 13), strict=True))
    asked: list[TrainingData] = []
    monkeypatch.setattr(
        calibration, "choose_rounds", lambda fit, later, _: (asked.extend((fit, later)), rounds)[1]
    )
    fits, finals = spy(calibration, "fit_recipe"), spy(backtesting, "fit_recipes")

    evaluate_date(data, history, day, simulated)

    assert [arguments[3] for arguments, _ in fits + finals] == [rounds] * 3
    for fit, later in (asked[:2], asked[2:]):
        assert fit.as_of.max() + HORIZON <= later.as_of.min()
        assert later.as_of.max() + HORIZON <= day


def test_the_newest_dates_follow_each_other(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    Asked for the newest, the last of all that can be tested are taken; more than there are gives all.
    """
    data, _ = rows_and_history
    everyone = choose_dates(data, simulated, 99)

    assert len(everyone) > 2
    assert choose_dates(data, simulated, 2, newest=True) == everyone[-2:]
    assert choose_dates(data, simulated, 99, newest=True) == everyone


def test_too_short_a_history_is_refused(
    simulated: Settings, rows_and_history: tuple[TrainingData, StoreHistory]
):
    """
    With a remedy.
    """
    data, _ = rows_and_history
    with pytest.raises(HistoryError, match=r"shorten horizon_days"):
        choose_dates(data.only(data.as_of <= data.as_of.min()), simulated, 2)


def test_every_model_type_and_baseline_stands_beside_the_model(tested: tuple[Settings, BacktestResult]):
    """
    On each date and pooled, on the same customers.
    """
    _, result = tested
    expected = {"model", "typical", "lightgbm", "ridge", "ensemble", "plain_lightgbm", "lognormal_hurdle"}
    expected |= {"anchor", "simple", "persistence", "empirical_bayes", "bgnbd", "paretonbd", "btyd"}

    for day in (*result.dates, None):
        figures = result.figures(day)
        assert expected <= set(figures)
        assert all(set(METRICS) <= set(metrics) for metrics in figures.values())
    assert len(result.dates) == len(result.candidates) == DATES


def test_the_table_of_figures_follows_from_the_table_of_predictions(tested: tuple[Settings, BacktestResult]):
    """
    SQL over backtest_predictions is the second opinion: mean absolute error, squared error, bias and R² of
    every date, estimator, and of all dates pooled.
    """
    settings, result = tested
    for day, condition in [*((day, f"origin = '{day}'") for day in result.dates), (None, "true")]:
        rows = query(
            settings,
            "select estimator, avg(abs(predicted - actual)), sqrt(avg(pow(predicted - actual, 2))), "
            "abs(ln(sum(predicted) / sum(actual))), "
            "1 - sum(pow(predicted - actual, 2)) / (var_pop(actual) * count(*)) "
            f"from backtest_predictions where {condition} group by estimator",
        )
        found = result.figures(day)
        for estimator, *values in rows:
            if is_fitted(found[estimator]):
                mine = [found[estimator][name] for name in ("mae", "rmse", "bias", "r2")]
                assert mine == pytest.approx(values, rel=1e-9), (day, estimator)
        assert {name for name, figures in found.items() if is_fitted(figures)} <= {row[0] for row in rows}


def test_intervals_are_counted_alike_in_sql(tested: tuple[Settings, BacktestResult]):
    """
    Coverage, width and Brier score from the customers' rows in the warehouse; other estimators have no
    interval.
    """
    settings, result = tested
    rows = query(
        settings,
        "select cast(origin as varchar), avg(cast(actual between predicted_low and predicted_high as int)), "
        "avg(predicted_high - predicted_low "
        "+ 10 * greatest(0, actual - predicted_high, predicted_low - actual)) / avg(actual), "
        "avg(cast(actual > predicted_high as int)), "
        "avg(pow(cast(label_purchases = 0 as int) - churn_probability, 2)) from backtest_predictions as b "
        "inner join training_rows as t on t.customer_id = b.customer_id and t.as_of_date = b.origin "
        "where estimator = 'model' group by origin",
    )
    assert len(rows) == DATES
    for day, *values in rows:
        found = result.figures(day)["model"]
        mine = [found[name] for name in ("coverage", "interval_score_to_mean", "above_high", "churn_brier")]
        assert mine == pytest.approx(values, rel=1e-9)
    assert not query(
        settings,
        "select 1 from backtest_predictions where (estimator = 'model') <> (coalesce(predicted_low, "
        "predicted_high, confidence, churn_probability) is not null) limit 1",
    )


@pytest.mark.parametrize(
    "sql",
    [
        sql
        for page in ("backtest", "confidence")
        for sql in blocks(DOCS / "explanation" / f"{page}.md", "sql")
    ],
    ids=lambda sql: " ".join(sql.split())[:40],
)
def test_queries_of_the_docs_run(tested: tuple[Settings, BacktestResult], sql: str):
    """
    As they stand, and find rows; but those that say no row is to be found find none.
    """
    none_expected = "abs(clv_low)" in sql or "actual_revenue between" in sql

    assert bool(query(tested[0], sql)) is not none_expected


def test_segments_add_up(tested: tuple[Settings, BacktestResult]):
    """
    Behaviour types, spend bands and deciles each hold everybody once: weighted by customers, their mean
    absolute errors, predicted and actual means are the whole's. The same for churn, and for dates within
    the pool.
    """
    _, result = tested
    rows = result.metrics.to_pylist()
    for day in (*result.dates, None):
        whole = result.figures(day)["model"]
        for column, metrics in {
            "behavior_type": ("mae", "mean_actual", "mean_predicted"),
            "spend_band": ("mae", "mean_actual", "mean_predicted"),
            "decile": ("mean_actual", "mean_predicted"),
        }.items():
            for metric in metrics:
                assert _weighted(rows, day, column, metric) == pytest.approx(whole[metric]), column
        left = 1 - query(tested[0], _BUYERS.format(_where(day)))[0][0]
        assert _weighted(rows, day, "churn_decile", "churn_observed") == pytest.approx(left)

    sizes = [row["customers"] for row in rows if _is(row, result.dates, "all", "model", "mae")]
    errors = [result.figures(day)["model"]["mae"] for day in result.dates]
    assert result.figures(None)["model"]["mae"] == pytest.approx(np.average(errors, weights=sizes))


def test_groups_of_tenure_and_orders_are_those_that_sql_finds(tested: tuple[Settings, BacktestResult]):
    """
    Pooled predicted / actual and customers of each group, by SQL over features and predictions.
    """
    settings, result = tested
    rows = query(
        settings,
        "select case when days_since_first_purchase < 90 then 'under 90 days' "
        "when days_since_first_purchase < 365 then '90 to 364 days' "
        "when days_since_first_purchase < 730 then '1 to 2 years' else 'over 2 years' end, "
        "case when total_purchases = 1 then '1 order' when total_purchases <= 3 then '2 to 3 orders' "
        "when total_purchases <= 9 then '4 to 9 orders' else '10 orders and more' end, "
        "avg(predicted), avg(actual), count(*) from backtest_predictions as b inner join customer_rfm as r "
        "on r.customer_id = b.customer_id and r.as_of_date = b.origin where estimator = 'model' group by all",
    )
    (sheet,) = [sheet for sheet in short_sheets(result) if sheet.head[0] == "first order"]
    cells = {
        (row[0], orders): cell
        for row in sheet.rows
        for orders, cell in zip(sheet.head[1:], row[1:], strict=True)
    }

    assert len(rows) == sum(cell != "" for cell in cells.values()) > 3
    for tenure, orders, predicted, actual, customers in rows:
        figures = result.figures(None, f"tenure_orders={tenure}, {orders}")["model"]
        assert (figures["mean_predicted"], figures["mean_actual"]) == pytest.approx((predicted, actual))
        ratio = f"{predicted / actual:.2f}" if actual > 0 else "-"
        assert cells[tenure, orders] == f"{ratio} ({customers:,})"


def test_other_horizons_are_the_same_predictions_by_their_shares(tested: tuple[Settings, BacktestResult]):
    """
    Second way, in SQL: each prediction times its share against the money of the days, for a horizon shorter
    than the one predicted and a longer one; a date counts only once that many days have passed.
    """
    settings, result = tested
    with connect(settings) as connection:
        register_functions(connection)
        found = connection.execute(
            """
            select labels.horizon_days, cast(told.origin as text), told.estimator, count(*),
                avg(told.predicted * case told.estimator
                    when 'model' then expected_share when 'bgnbd' then bgnbd_share else days_share end),
                avg(cast(labels.label_revenue as double))
            from backtest_predictions as told
            inner join horizon_labels as labels
                on labels.customer_id = told.customer_id and labels.as_of_date = told.origin
            inner join horizon_shares as shares
                on shares.customer_id = told.customer_id and shares.as_of_date = told.origin
                and shares.horizon_days = labels.horizon_days
            where told.estimator in ('model', 'bgnbd', 'persistence')
            group by all
            """
        ).fetchall()
        newest = connection.sql("select max(as_of_date) from as_of_dates").fetchall()[0][0]

    of_others = [row for row in found if row[0] != settings.vars.horizon_days]
    for days, day, estimator, customers, predicted, actual in of_others:
        figures = result.figures(day, f"horizon={days}")[estimator]
        assert (figures["mean_predicted"], figures["mean_actual"]) == pytest.approx((predicted, actual))
        assert customers > 0 and (newest - date.fromisoformat(day)).days >= days
    assert set(result.other_horizons) == {row[0] for row in of_others}
    assert min(result.other_horizons) < settings.vars.horizon_days < max(result.other_horizons)


def test_a_baseline_that_was_not_fitted_on_a_date_says_so():
    """
    A fit that did not converge on the first of two dates: named in the table of that date, and in the mean
    of both with the number of dates that it has; the model is compared with the others.
    """
    actual = np.arange(1.0, 41)
    others = {"typical": actual, "simple": actual[::-1].copy()}
    first = replace(evaluation("2024-01-01", actual, model=actual, **others), unfitted=("bgnbd",))
    evaluations = [first, evaluation("2024-02-01", actual, model=actual, **others, bgnbd=actual)]
    result = BacktestResult(
        horizon_days=60,
        dates=("2024-01-01", "2024-02-01"),
        candidates=("model", "model"),
        metrics=metric_table(evaluations),
        comparisons=compare(evaluations, replicates=20),
        other_horizons={},
    )

    rows = {sheet.title: {row[0]: row[1] for row in sheet.rows} for sheet in sheets(result)}

    assert rows["60 days ahead, mean of 2 dates"]["bgnbd"] == "fitted on 1 of 2"
    assert rows["60 days ahead, from 2024-01-01 (published: model)"]["bgnbd"] == "not fitted"
    assert rows["60 days ahead, from 2024-02-01 (published: model)"]["bgnbd"] == "0.000"
    assert {one.baseline for one in result.comparisons} == {"simple"}


_BUYERS = """
    select avg(cast(label_purchases > 0 as double)) from training_rows
    where as_of_date in (select distinct origin from backtest_predictions where {})
"""


def _where(day: str | None) -> str:
    return "true" if day is None else f"origin = '{day}'"


def _is(row: dict, days: tuple, segment: str, estimator: str, metric: str) -> bool:
    """Whether a row of figures is of one of these dates and of this kind."""
    return row["origin"] in days and (row["segment"], row["estimator"], row["metric"]) == (
        segment,
        estimator,
        metric,
    )


def _weighted(rows: list[dict], day: str | None, column: str, metric: str) -> float:
    """The model's metric over the segments of a column, weighted by customers."""
    parts = [
        (row["metric_value"], row["customers"])
        for row in rows
        if row["origin"] == day
        and row["estimator"] == "model"
        and row["metric"] == metric
        and row["segment"].startswith(f"{column}=")
    ]
    values, weights = zip(*parts, strict=True)
    return float(np.average(values, weights=weights))


TOLD_OTHERWISE = ("tenure_orders", "horizon")
"""Segments that have sheets of their own, in other words."""


@pytest.mark.long
def test_json_table_and_print_agree(
    tested: tuple[Settings, BacktestResult],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """
    The command's JSON, on features that are built already, is what the warehouse holds and what the first run
    found; the print begins with the verdict and shows the same figures, every estimator, date and decile, and
    the sheets every segment and tenth of churn.
    """
    settings, result = tested
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setattr(DuckDB, "build_features", lambda engine: None)

    ran = CliRunner().invoke(cli.app, ["backtest", "--origins", str(DATES), "--horizon-days", "60", "--json"])
    show_backtest(result)
    printed = capsys.readouterr().out

    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    stored = query(
        settings,
        "select cast(origin as varchar), segment, estimator, metric, metric_value, customers "
        "from backtest_metrics",
    )
    key = ("origin", "segment", "estimator", "metric", "metric_value", "customers")
    assert sorted(map(str, stored)) == sorted(
        str(tuple(row[name] for name in key)) for row in found["metrics"]
    )
    assert found["metrics"] == json.loads(json.dumps(result.metrics.to_pylist()))
    assert [one["p_holm"] for one in found["comparisons"]] == [one.p_holm for one in result.comparisons]
    assert found["averages"]["model"]["mae"] == pytest.approx(result.averages()["model"]["mae"])
    for text in (
        *result.figures(None),
        *result.dates,
        *(row["segment"] for row in found["metrics"] if row["segment"].startswith("decile=")),
        f"{result.averages()['model']['r2']:.3f}",
        f"{result.figures(result.dates[0])['model']['coverage_top_fifth']:.3f}",
        *HEADS.values(),
    ):
        assert text in printed, text
    whole = "\n".join(markdown(sheet) for sheet in sheets(result))
    for text in (
        *(row["segment"] for row in found["metrics"] if row["segment"].split("=")[0] not in TOLD_OTHERWISE),
        *(f"| {days} days |" for days in result.other_horizons),
        f"{result.figures(None)['model']['coverage_top_fifth']:.3f}",
    ):
        assert text in whole or text == "all", text
    assert " ".join(printed.split()).startswith(found["verdict"])


def test_sheets_are_whole_markdown_tables(tested: tuple[Settings, BacktestResult]):
    """
    As many cells in each line as in the head, no cell that would break the table, nothing undefined written
    as a number.
    """
    for sheet in sheets(tested[1]):
        lines = markdown(sheet).splitlines()[2:]
        assert {line.count("|") for line in lines} == {len(sheet.head) + 1}
        assert len(lines) == len(sheet.rows) + 2 > 2
