"""The backtest: strictly out of time, figures that add up, and comparisons that hold what they promise."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from markdown_pages import DOCS, blocks
from shops import copied, query
from typer.testing import CliRunner

from clv_ml import cli, pipeline
from clv_ml.errors import HistoryError
from clv_ml.learn import backtest as backtesting
from clv_ml.learn import calibration_window as lessons
from clv_ml.learn.backtest import OWN, BacktestResult, backtest, choose_origins, run_origin
from clv_ml.learn.candidates import Choice
from clv_ml.learn.fitting import PARTS
from clv_ml.learn.shop_history import Shop, read_shop
from clv_ml.learn.training_data import TrainingData, read_training_rows
from clv_ml.measure.comparison import compare, holm, with_holm
from clv_ml.measure.evaluation import Origin, metric_rows, pooled, segments, spend_band
from clv_ml.measure.metrics import METRICS
from clv_ml.settings import Settings
from clv_ml.show.backtest_sheets import HEADS, markdown, sheets, show_backtest

ORIGINS = 2
HORIZON = np.timedelta64(60, "D")


@pytest.fixture(scope="module")
def tested(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, BacktestResult]:
    """The simulated shop, trained and scored, after a backtest, and its result."""
    settings = copied(trained, tmp_path_factory.mktemp("tested"))
    return settings, backtest(settings, ORIGINS)


@pytest.fixture(scope="module")
def rows_and_shop(simulated: Settings) -> tuple[TrainingData, Shop]:
    """The simulated shop's training rows, and what else the trainer knows."""
    with duckdb.connect(simulated.warehouse, read_only=True) as connection:
        return read_training_rows(connection, simulated), read_shop(connection)


def _said(origin: Origin) -> dict[str, np.ndarray]:
    """Everything that an origin claims, without the answers."""
    return {
        **origin.predicted,
        "low": origin.low,
        "high": origin.high,
        "confidence": origin.confidence,
        "churn": origin.churn,
    }


def _poisoned(
    data: TrainingData, shop: Shop, poisoned: np.ndarray, since: np.datetime64
) -> tuple[TrainingData, Shop]:
    """Other answers in these rows, and other totals of the shop that became known after a date."""
    rng = np.random.default_rng(1)
    windows = {
        day: replace(one, pace=one.pace + 5) if one.pace is not None and one.known_at > since else one
        for day, one in shop.windows.items()
    }
    return (
        replace(
            data,
            revenue=np.where(poisoned, rng.gamma(1, 1e4, len(data)), data.revenue),
            purchases=np.where(poisoned, rng.integers(0, 2, len(data)), data.purchases),
        ),
        replace(shop, windows=windows),
    )


def test_no_answer_after_an_origin_reaches_its_predictions(
    simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]
):
    """
    Every label whose window ended after the origin is replaced by nonsense, the origin's own included:
    predictions, intervals, confidence and chance of churn of every estimator stay the same to the last bit.
    """
    data, shop = rows_and_shop
    for day in choose_origins(data, simulated, ORIGINS):
        unknown = data.as_of + HORIZON > day
        assert unknown.any() and not unknown.all()

        clean = run_origin(data, shop, day, simulated)
        other = run_origin(*_poisoned(data, shop, unknown, day), day, simulated)

        assert other.form == clean.form
        for name, said in _said(clean).items():
            np.testing.assert_array_equal(_said(other)[name], said, err_msg=name)
        assert not np.array_equal(other.actual, clean.actual)


def test_the_newest_answer_known_at_an_origin_is_used(
    simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]
):
    """
    The counterpart: nonsense in the last window that had ended changes what every fitted estimator says.
    """
    data, shop = rows_and_shop
    day = choose_origins(data, simulated, ORIGINS)[-1]
    newest = data.as_of[data.as_of + HORIZON <= day].max()

    clean = run_origin(data, shop, day, simulated)
    other = run_origin(*_poisoned(data, shop, data.as_of == newest, day), day, simulated)

    for name in ("lightgbm", "ridge", "ensemble", "typical", "plain_lightgbm", "lognormal_hurdle", "churn"):
        assert not np.array_equal(_said(other)[name], _said(clean)[name]), name


def test_in_the_form_that_keeps_them_the_model_is_the_trees(
    simulated: Settings, rows_and_shop: tuple[TrainingData, Shop], monkeypatch: pytest.MonkeyPatch
):
    """What is published as the full model is what LightGBM alone says, to the last bit."""
    data, shop = rows_and_shop
    day = choose_origins(data, simulated, ORIGINS)[-1]
    monkeypatch.setattr(lessons, "choose_form", lambda *_: Choice("model", "as the test wants it"))

    said = run_origin(data, shop, day, simulated).predicted

    np.testing.assert_array_equal(said["model"], said["lightgbm"])


def test_a_window_that_ends_on_the_origin_has_ended(
    simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]
):
    """
    Windows are half-open. With dates sixty days apart, the third is the first origin: two windows have ended
    by then.
    """
    data, _ = rows_and_shop
    dates = np.datetime64("2024-02-01") + HORIZON * np.arange(4)
    moved = replace(data.only(np.arange(len(data)) < 4), as_of=dates)

    assert choose_origins(moved, simulated, 9) == list(dates[2:])
    one_day_short = replace(moved, as_of=np.concatenate([dates[:2], dates[2:] - np.timedelta64(1, "D")]))
    assert choose_origins(one_day_short, simulated, 9) == [one_day_short.as_of[3]]


def test_origins_are_spread_evenly_up_to_the_newest(
    simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]
):
    """
    The first and the last that can be tested are among them, in order; one is the last; more than there are
    gives all.
    """
    data, _ = rows_and_shop
    everyone = choose_origins(data, simulated, 99)

    assert choose_origins(data, simulated, 1) == [everyone[-1]]
    assert choose_origins(data, simulated, 2) == [everyone[0], everyone[-1]]
    assert everyone == sorted(everyone)
    assert everyone[-1] == data.as_of.max()


def test_an_origin_grows_as_many_trees_as_training_would(
    simulated: Settings,
    rows_and_shop: tuple[TrainingData, Shop],
    monkeypatch: pytest.MonkeyPatch,
    spy: Callable[[Any, str], list[tuple]],
):
    """
    Both fits of an origin grow what `choose_rounds` says of dates whose windows had ended by then.
    """
    data, shop = rows_and_shop
    day = choose_origins(data, simulated, ORIGINS)[-1]
    told = dict(zip(PARTS, (11, 12, 13), strict=True))
    asked: list[TrainingData] = []
    monkeypatch.setattr(lessons, "choose_rounds", lambda fit, later, _: (asked.extend((fit, later)), told)[1])
    fits, finals = spy(lessons, "fit_recipe"), spy(backtesting, "fit_recipes")

    run_origin(data, shop, day, simulated)

    assert [arguments[3] for arguments, _ in fits + finals] == [told, told]
    fit, later = asked
    assert fit.as_of.max() + HORIZON <= later.as_of.min()
    assert later.as_of.max() + HORIZON <= day


def test_the_newest_origins_follow_each_other(simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]):
    """
    Asked for the newest, the last of all that can be tested are taken; more than there are gives all.
    """
    data, _ = rows_and_shop
    everyone = choose_origins(data, simulated, 99)

    assert len(everyone) > 2
    assert choose_origins(data, simulated, 2, newest=True) == everyone[-2:]
    assert choose_origins(data, simulated, 99, newest=True) == everyone


def test_too_short_a_history_is_refused(simulated: Settings, rows_and_shop: tuple[TrainingData, Shop]):
    """
    With a remedy.
    """
    data, _ = rows_and_shop
    with pytest.raises(HistoryError, match=r"shorten horizon_days"):
        choose_origins(data.only(data.as_of <= data.as_of.min()), simulated, 2)


def test_every_model_type_and_baseline_stands_beside_the_model(tested: tuple[Settings, BacktestResult]):
    """
    At each origin and pooled, on the same customers.
    """
    _, result = tested
    expected = {"model", "typical", "lightgbm", "ridge", "ensemble", "plain_lightgbm", "lognormal_hurdle"}
    expected |= {"simple", "persistence", "empirical_bayes"}

    for origin in (*result.origins, None):
        figures = result.figures(origin)
        assert expected <= set(figures)
        assert all(set(METRICS) <= set(metrics) for metrics in figures.values())
    assert len(result.origins) == len(result.forms) == ORIGINS


def test_the_table_of_figures_follows_from_the_table_of_predictions(tested: tuple[Settings, BacktestResult]):
    """
    SQL over backtest_predictions is the second opinion: mean absolute error, squared error, bias and R² of
    every origin, estimator, and of all origins pooled.
    """
    settings, result = tested
    for origin, condition in [*((day, f"origin = '{day}'") for day in result.origins), (None, "true")]:
        rows = query(
            settings,
            "select estimator, avg(abs(predicted - actual)), sqrt(avg(pow(predicted - actual, 2))), "
            "abs(ln(sum(predicted) / sum(actual))), "
            "1 - sum(pow(predicted - actual, 2)) / (var_pop(actual) * count(*)) "
            f"from backtest_predictions where {condition} group by estimator",
        )
        found = result.figures(origin)
        for estimator, *values in rows:
            if estimator in found:
                mine = [found[estimator][name] for name in ("mae", "rmse", "bias", "r2")]
                assert mine == pytest.approx(values, rel=1e-9), (origin, estimator)
        assert set(found) <= {row[0] for row in rows}


def test_intervals_are_counted_alike_in_sql(tested: tuple[Settings, BacktestResult]):
    """
    Coverage, width and Brier score from the customers' rows in the warehouse; other estimators have no
    interval.
    """
    settings, result = tested
    rows = query(
        settings,
        "select cast(origin as varchar), avg(cast(actual between predicted_low and predicted_high as int)), "
        "avg(predicted_high - predicted_low) / avg(actual), "
        "avg(pow(cast(label_purchases = 0 as int) - churn_probability, 2)) from backtest_predictions as b "
        "inner join training_rows as t on t.customer_id = b.customer_id and t.as_of_date = b.origin "
        "where estimator = 'model' group by origin",
    )
    assert len(rows) == ORIGINS
    for origin, *values in rows:
        found = result.figures(origin)["model"]
        mine = [found[name] for name in ("coverage", "mean_width_to_mean", "churn_brier")]
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
    none_expected = "ratio_low) > 1e-9" in sql or "label_revenue between" in sql

    assert bool(query(tested[0], sql)) is not none_expected


def test_segments_add_up(tested: tuple[Settings, BacktestResult]):
    """
    Behaviour types, spend bands and deciles each hold everybody once: weighted by customers, their mean
    absolute errors, predicted and actual means are the whole's. The same for churn, and for origins within
    the pool.
    """
    _, result = tested
    rows = result.metrics.to_pylist()
    for origin in (*result.origins, None):
        whole = result.figures(origin)["model"]
        for column, metrics in {
            "behavior_type": ("mae", "mean_actual", "mean_predicted"),
            "spend_band": ("mae", "mean_actual", "mean_predicted"),
            "decile": ("mean_actual", "mean_predicted"),
        }.items():
            for metric in metrics:
                assert _weighted(rows, origin, column, metric) == pytest.approx(whole[metric]), column
        left = 1 - query(tested[0], _BUYERS.format(_where(origin)))[0][0]
        assert _weighted(rows, origin, "churn_decile", "churn_observed") == pytest.approx(left)

    sizes = [row["customers"] for row in rows if _is(row, result.origins, "all", "model", "mae")]
    errors = [result.figures(day)["model"]["mae"] for day in result.origins]
    assert result.figures(None)["model"]["mae"] == pytest.approx(np.average(errors, weights=sizes))


_BUYERS = """
    select avg(cast(label_purchases > 0 as double)) from training_rows
    where as_of_date in (select distinct origin from backtest_predictions where {})
"""


def _where(origin: str | None) -> str:
    return "true" if origin is None else f"origin = '{origin}'"


def _is(row: dict, origins: tuple, segment: str, estimator: str, metric: str) -> bool:
    """Whether a row of figures is of one of these origins and of this kind."""
    return row["origin"] in origins and (row["segment"], row["estimator"], row["metric"]) == (
        segment,
        estimator,
        metric,
    )


def _weighted(rows: list[dict], origin: str | None, column: str, metric: str) -> float:
    """The model's metric over the segments of a column, weighted by customers."""
    parts = [
        (row["metric_value"], row["customers"])
        for row in rows
        if row["origin"] == origin
        and row["estimator"] == "model"
        and row["metric"] == metric
        and row["segment"].startswith(f"{column}=")
    ]
    values, weights = zip(*parts, strict=True)
    return float(np.average(values, weights=weights))


def test_json_table_and_print_agree(
    tested: tuple[Settings, BacktestResult],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """
    The command's JSON, on features that are built already, is what the warehouse holds and what the first run
    found; the print shows the same figures, and every estimator, segment, decile and tenth of churn.
    """
    settings, result = tested
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setattr(pipeline.DuckDB, "build_features", lambda engine: None)

    said = CliRunner().invoke(
        cli.app, ["backtest", "--origins", str(ORIGINS), "--horizon-days", "60", "--json"]
    )
    show_backtest(result)
    printed = capsys.readouterr().out

    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
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
        *result.origins,
        *(row["segment"] for row in found["metrics"]),
        f"{result.averages()['model']['r2']:.3f}",
        f"{result.figures(None)['model']['coverage_top_fifth']:.3f}",
        *HEADS.values(),
    ):
        assert text in printed or text == "all", text


def test_sheets_are_whole_markdown_tables(tested: tuple[Settings, BacktestResult]):
    """
    As many cells in each line as in the head, no cell that would break the table, nothing undefined written
    as a number.
    """
    for sheet in sheets(tested[1]):
        lines = markdown(sheet).splitlines()[2:]
        assert {line.count("|") for line in lines} == {len(sheet.head) + 1}
        assert len(lines) == len(sheet.rows) + 2 > 2


def _origin(
    as_of: str, actual: np.ndarray, customer: np.ndarray | None = None, **predicted: np.ndarray
) -> Origin:
    """Customers of an origin and what was said of them; intervals and chances are of no interest."""
    nothing = np.zeros(actual.size)
    return Origin(
        as_of=as_of,
        form="model",
        customer=np.arange(actual.size).astype(str) if customer is None else customer,
        groups={"spend_band": spend_band(actual)},
        actual=actual,
        left=actual == 0,
        predicted=predicted,
        low=nothing,
        high=nothing,
        confidence=nothing,
        confidence_floor=0.0,
        churn=nothing,
    )


def test_spend_bands_are_fifths_from_the_lowest():
    """
    Ten anchors, two to a band, whatever their order.
    """
    anchor = np.array([9.0, 1, 8, 2, 7, 3, 6, 4, 5, 0])

    np.testing.assert_array_equal(spend_band(anchor).astype(int), anchor.astype(int) // 2 + 1)


def test_coverage_is_counted_by_hand():
    """
    Ten customers, the top two by prediction one in and one out; edges are inside.
    """
    actual = np.arange(10.0)
    origin = replace(
        _origin("2024-01-01", actual, model=actual + 1),
        low=np.array([0.0, 2, 2, 3, 4, 5, 6, 7, 8, 9.5]),
        high=np.array([0.0, 9, 9, 3, 4, 5, 6, 7, 8, 9.9]),
    )
    figures = {metric: value for _, segment, _, metric, value, _ in metric_rows(origin) if segment == "all"}

    assert figures["coverage"] == pytest.approx(0.8)
    assert figures["coverage_top_fifth"] == pytest.approx(0.5)
    assert figures["mean_width_to_mean"] == pytest.approx((7 + 7 + 0.4) / 10 / 4.5)


def test_churn_is_told_by_tenth_of_its_chance():
    """
    Chances of 0.05 to 0.95, two customers each, of whom one left where the chance is above a half.
    """
    chance = np.repeat(np.arange(10) / 10 + 0.05, 2)
    origin = replace(
        _origin("2024-01-01", np.ones(20), model=np.ones(20)),
        churn=chance,
        left=(chance > 0.5) & (np.arange(20) % 2 > 0),
    )
    found = {
        (segment, metric): (value, customers)
        for _, segment, _, metric, value, customers in metric_rows(origin)
        if segment.startswith("churn_decile")
    }

    assert found["churn_decile=1", "churn_predicted"] == (pytest.approx(0.05), 2)
    assert [found[f"churn_decile={n}", "churn_observed"][0] for n in range(1, 11)] == [0.0] * 5 + [0.5] * 5


def test_all_origins_together_are_their_rows_one_after_the_other():
    """
    Only estimators that spoke everywhere; every array of every field in the same order.
    """
    one = _origin("2024-01-01", np.array([1.0, 2.0]), model=np.array([3.0, 4.0]), btyd=np.ones(2))
    two = _origin("2024-02-01", np.array([5.0]), model=np.array([6.0]))

    both = pooled([one, two])

    assert both.as_of is None and list(both.predicted) == ["model"]
    for field in fields(Origin):
        value = getattr(both, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, [*getattr(one, field.name), *getattr(two, field.name)])
    assert segments(both)["spend_band=1"].tolist() == [True, False, True]


def test_holm_by_hand_and_by_its_definition():
    """
    Four values worked by hand; then, on random ones with ties, the definition: p is the largest over values
    at most as large of the value times the number of values not below it.
    """
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []

    rng = np.random.default_rng(2)
    for count in (1, 2, 7, 35):
        p = np.round(rng.random(count) ** 3, 2)
        # among equal values the first in rank has the most others beside it, and the maximum picks it
        expected = [min(1.0, max(q * (count - (p < q).sum()) for q in p[p <= own])) for own in p]
        assert holm(list(p)) == pytest.approx(expected)


def test_correction_over_more_cells_is_stricter():
    """
    Seven metrics, corrected alone and together with those of four other tables.
    """
    rng = np.random.default_rng(1)
    actual = rng.gamma(1, 10, 300)
    origins = [_origin("2024-01-01", actual, model=actual, typical=actual, btyd=actual[::-1].copy())]
    alone = compare(origins, replicates=99, own=OWN)

    together = with_holm([*alone] * 5)

    assert [one.p_holm for one in alone] == pytest.approx(holm([one.p_value for one in alone]))
    assert all(many.p_holm >= one.p_holm for many, one in zip(together, alone, strict=False))
    assert together[0].p_holm == pytest.approx(min(1.0, 35 * alone[0].p_value))


def test_the_smallest_p_value_survives_the_benchmark_s_correction():
    """
    A clear loss is called one even among 40 cells: with too few replicates no cell ever could be.
    """
    rng = np.random.default_rng(1)
    actual = rng.gamma(1, 10, 200)
    origins = [_origin("2024-01-01", actual, model=rng.permutation(actual), typical=actual, btyd=actual)]

    (one,) = compare(origins, ("r2",), own=OWN)

    assert one.gain < 0 and one.gain_high < 0 and one.is_loss
    assert 40 * one.p_value <= 0.05


def test_the_same_prediction_is_neither_gain_nor_loss():
    """
    Zero, from zero to zero, at p = 1; and it is told which of ours spoke, and against whom.
    """
    rng = np.random.default_rng(1)
    actual, said, worse = rng.gamma(1, 10, 100), rng.gamma(1, 10, 100), np.zeros(100)
    origins = [
        _origin("2024-01-01", actual, model=said, typical=said, btyd=said, simple=worse, lightgbm=actual)
    ]

    for one in compare(origins, ("r2", "nmae"), replicates=99, own=OWN):
        assert (one.gain, one.gain_low, one.gain_high, one.p_value) == (0.0, 0.0, 0.0, 1.0)
        assert one.baseline == "btyd"
        assert one.estimator == ("typical" if one.metric == "nmae" else "model")
        assert not one.is_loss
    assert {"model", "typical", "lightgbm", "ridge", "ensemble"} == set(OWN)


def test_a_baseline_that_was_silent_somewhere_is_no_rival():
    """
    Though it was perfect where it spoke.
    """
    actual = np.random.default_rng(1).gamma(1, 10, 50)
    rest = {"model": actual + 1, "typical": actual, "simple": actual + 5}
    origins = [_origin("2024-01-01", actual, **rest), _origin("2024-02-01", actual, btyd=actual, **rest)]

    assert [one.baseline for one in compare(origins, ("r2",), replicates=9, own=OWN)] == ["simple"]
    assert [one.baseline for one in compare(origins[::-1], ("r2",), replicates=9, own=OWN)] == ["simple"]


def test_the_interval_covers_the_true_difference():
    """
    Customers err alike at all four origins, so only a draw of whole customers is right. Spend is 10 each and
    the errors are exponential per customer, mean 2 (ours) and 3 (theirs): the true gain in nMAE is 0.1. Of
    300 worlds the 95 % interval holds it in 270 to 297 (binomial: beyond that below 0.1 %, three points
    allowed for the percentile method's undercoverage with 60 customers). Drawing rows instead of customers
    would hold it in about two thirds.
    """
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(300):
        actual = np.full(60, 10.0)
        ours, theirs = actual + rng.exponential(2, 60), actual + rng.exponential(3, 60)
        origins = [_origin(str(day), actual, model=ours, typical=ours, btyd=theirs) for day in range(4)]
        (one,) = compare(origins, ("nmae",), replicates=199, own=OWN)
        held += one.gain_low <= 0.1 <= one.gain_high

    assert 270 <= held <= 297


def test_no_difference_is_called_one_as_often_as_stated():
    """
    Both err alike on average: p is below 10 % in about a tenth of worlds (of 300, 30 expected, at most 51
    allowed: four standard deviations), and not never.
    """
    rng = np.random.default_rng(7)
    called = 0
    for _ in range(300):
        actual = np.full(60, 10.0)
        ours, theirs = actual + rng.exponential(2, 60), actual + rng.exponential(2, 60)
        origins = [_origin("2024-01-01", actual, model=ours, typical=ours, btyd=theirs)]
        (one,) = compare(origins, ("nmae",), replicates=199, own=OWN)
        called += one.p_value < 0.10

    assert 12 <= called <= 51
