"""Bounds and confidence: nominal on exchangeable customers, and equal in Python, SQL and manifest."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from made_rows import made_rows
from shops import query

from clv_ml.learn.amounts import measure_amounts
from clv_ml.learn.intervals import measure_intervals, recency_of
from clv_ml.learn.out_of_sample import Foretold
from clv_ml.measure.metrics import calibration_error, came_true
from clv_ml.model import registry
from clv_ml.model.amounts import SHARES, AmountGroup, value_quantile
from clv_ml.model.interval_bins import Bin, IntervalBins
from clv_ml.operate.published_functions import CHANCE_OF_AT_LEAST
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

CUSTOMERS = 6000
FLOOR = 10.0
CERTAIN = 0.0
"""A shop whose total has never been missed; the least uncertainty still applies."""


def _foretold(
    revenue: np.ndarray, predicted: np.ndarray, leaving: float = 0.0, **rows: np.ndarray
) -> Foretold:
    """Rows of these customers, of whom whoever spends something buys, and one chance of churn for all."""
    made = made_rows(revenue, purchases=(revenue != 0).astype(float), **rows)
    return Foretold(made, predicted, np.full(predicted.size, leaving))


def _customers(seed: int, zeros: float = 0.0, customers: int = CUSTOMERS) -> Foretold:
    """
    Predictions of customers with different recency, each right on average. The longer ago, the wilder the
    outcome, and a share of ``zeros`` spends nothing, as was foretold.
    """
    rng = np.random.default_rng(seed)
    predicted, recency = rng.lognormal(3, 1, customers), rng.integers(1, 400, customers).astype(float)
    shape = np.where(recency < 130, 9.0, 1.5)
    spent = predicted * rng.gamma(shape, 1 / shape) / (1 - zeros) * (rng.random(customers) >= zeros)
    return _foretold(spent, predicted, zeros, recency=recency)


def _outside(bins: IntervalBins, held: Foretold) -> tuple[np.ndarray, np.ndarray]:
    """Who ends below the lower bound, and who above the upper one."""
    low, high = bins.bounds(held.predicted, held.leaving)
    return held.rows.revenue < low, held.rows.revenue > high


@pytest.fixture(scope="module")
def measured() -> IntervalBins:
    """Bins measured on customers of the kind above, at 80 %."""
    return measure_intervals([_customers(1)], CERTAIN, 0.8, FLOOR)


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("zeros", [0.0, 0.03])
def test_as_many_unseen_customers_end_below_and_above_as_was_said(coverage: float, zeros: float):
    """
    In each fifth of predictions too. Tolerance: four binomial standard deviations of both samples, and one
    point for the least uncertainty of the total.
    """
    calibration = measure_intervals([_customers(1, zeros)], CERTAIN, coverage, FLOOR)
    later = _customers(2, zeros)
    outside = (1 - coverage) / 2

    for beyond in _outside(calibration, later):
        for rows in (np.arange(CUSTOMERS), *np.array_split(np.argsort(later.predicted), 5)):
            noise = 4 * np.sqrt(2 * outside * (1 - outside) / rows.size)
            assert beyond[rows].mean() == pytest.approx(outside, abs=noise + 0.01)


def test_bounds_are_the_quantiles_of_what_such_customers_spend():
    """
    Amounts are exponential: 10 % of buyers spend less than 0.105 times what was expected, 10 % more than 2.3
    times. Where a twentieth buys nothing, the lower bound is what 5 % of the others stay below.
    """
    rng = np.random.default_rng(3)
    predicted = rng.lognormal(3, 0.1, 20000)

    def bounds(leaving: float) -> list[float]:
        buys = rng.random(20000) >= leaving
        held = _foretold(predicted * rng.exponential(size=20000) * buys / (1 - leaving), predicted, leaving)
        measured = measure_intervals([held], CERTAIN, 0.8, FLOOR)
        return [float((one / predicted).mean()) for one in measured.bounds(predicted, held.leaving)]

    assert bounds(0.0) == pytest.approx([-np.log(0.9), -np.log(0.1)], rel=0.04)
    assert bounds(0.05) == pytest.approx(
        [-np.log(0.9 / 0.95) / 0.95, -np.log(0.1 / 0.95) / 0.95], rel=0.04, abs=0.005
    )
    assert bounds(0.5) == pytest.approx([0.0, -np.log(0.1 / 0.5) / 0.5], rel=0.04)
    assert bounds(0.95) == [0.0, 0.0]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.35, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("leaving", [0.0, 0.04, 0.3, 0.97])
def test_a_quantile_is_that_of_many_such_customers(share: float, leaving: float):
    """
    Second way: customers are drawn who buy nothing, or else spend a ratio drawn from the group's, some of
    which take money back. Tolerance: two hundredths of what a buyer is expected to spend, four standard
    errors of the rarest share.
    """
    ratios = np.quantile(np.random.default_rng(1).normal(1.0, 0.8, 10**5), SHARES)
    group = AmountGroup(-np.inf, np.inf, 10**5, tuple(ratios.tolist()))
    rng = np.random.default_rng(2)
    expected, drawn = 50.0, 200_000
    spent = expected * np.interp(rng.random(drawn), SHARES, ratios) * (rng.random(drawn) >= leaving)

    told = value_quantile([group], np.array([expected * (1 - leaving)]), np.array([leaving]), share)

    assert told[0] == pytest.approx(np.quantile(spent, share), abs=0.02 * expected)


def test_an_uncertain_total_moves_amounts_by_a_third_of_what_lies_between_buyers():
    """
    Ratios are lognormal with a spread of 0.6. A total that may be off by 40 % widens them by 0.2, one that
    may be off by 10 % by 0.1: by hand, the 90 % quantile is the exponent of 1.2816 times the root of the
    squares, about a mean that stays.
    """
    rng = np.random.default_rng(4)
    predicted = np.full(20000, 100.0)
    held = _foretold(predicted * rng.lognormal(-0.18, 0.6, 20000), predicted)

    for level, widening in ((0.4, 0.2), (0.1, 0.1)):
        spread = np.hypot(0.6, widening)
        _, high = measure_intervals([held], level, 0.8, FLOOR).bounds(predicted[:1], held.leaving[:1])
        assert high[0] == pytest.approx(100 * np.exp(1.2816 * spread - spread**2 / 2), rel=0.02)


def test_where_all_pay_the_same_a_total_that_is_often_missed_moves_no_amount():
    """
    Subscribers pay 20 six times or leave before: however far totals were off, those who stay pay 120, give or
    take the five percent that nobody knows better.
    """
    predicted = np.full(1000, 120.0 * 0.98)
    held = _foretold(np.where(np.arange(1000) < 20, 0.0, 120.0), predicted, 0.02)

    low, high = measure_intervals([held], 0.5, 0.8, FLOOR).bounds(predicted[:1], held.leaving[:1])

    assert 120 * 0.92 < low[0] < 120 < high[0] < 120 * 1.08


def test_nobody_is_sure_of_a_total(measured: IntervalBins):
    """
    However well the level did so far, five percent of uncertainty stay, and the calibration says so.
    """
    assert measured.level_log_sd == 0.05
    assert measure_intervals([_customers(1)], 0.4, 0.8, FLOOR).level_log_sd == 0.4


def test_the_calibration_window_s_own_total_is_taken_out(measured: IntervalBins):
    """
    A window in which everybody spent three times as much teaches the same ratios: its level is forecast
    apart.
    """
    held = _customers(1)
    richer = _foretold(3 * held.rows.revenue, held.predicted, recency=recency_of(held.rows))

    for one, other in zip(
        measure_intervals([richer], CERTAIN, 0.8, FLOOR).amounts, measured.amounts, strict=True
    ):
        assert one.ratios == pytest.approx(other.ratios)


def test_each_window_s_own_total_is_taken_out_where_dates_are_held_together():
    """
    Two dates in one set of rows, twice and half of what was expected: the same ratios as where both came out
    as expected.
    """
    held = _customers(1)
    second = np.arange(CUSTOMERS) % 2 == 1
    dated = replace(held.rows, as_of=held.rows.as_of + second.astype("timedelta64[D]"))
    level = held.rows.revenue.sum() / held.predicted.sum()
    even = replace(dated, revenue=dated.revenue / dated.total_ratio(held.predicted) * level)
    odd = replace(even, revenue=even.revenue * np.where(second, 2.0, 0.5))

    one, other = (measure_amounts([replace(held, rows=rows)], CERTAIN) for rows in (even, odd))

    assert [group.ratios for group in one] == [pytest.approx(group.ratios) for group in other]


@pytest.mark.parametrize("customers", [1, 2, 7, 12, 39, 81])
def test_a_handful_of_customers_is_measured_together(customers: int):
    """
    Groups hold forty customers at least: a handful is one group, each inside its interval or beside it, and
    no error.
    """
    held = _customers(3, customers=customers)

    bins = measure_intervals([held], CERTAIN, 0.8, FLOOR).bins

    assert sum(one.customers for one in bins if one.predicted_below != FLOOR) <= 2 * customers
    assert len(bins) <= 2 * max(1, customers // 40)
    assert all(one.customers > 0 for one in bins)


def test_whoever_takes_back_more_than_they_buy_comes_first():
    """
    Of ten buyers each, three take back 2 % of what was expected: the lower bound is what they take. Where one
    in twenty does, it is not.
    """
    rng = np.random.default_rng(7)
    predicted = rng.lognormal(3, 0.1, 4000)

    def low(share: float) -> float:
        given_back = np.arange(4000) % 100 < 100 * share
        spent = predicted * np.where(given_back, -0.02, rng.uniform(0.5, 1.5, 4000))
        held = _foretold(spent, predicted * spent.sum() / predicted.sum())
        bounds = measure_intervals([held], CERTAIN, 0.8, FLOOR).bounds(predicted, held.leaving)
        return float((bounds[0] / predicted).max())

    assert low(0.3) < 0
    assert low(0.05) > 0.4


def test_where_nobody_bought_amounts_are_what_is_expected():
    """
    Nothing was measured, and nothing is made up: whoever buys spends what is expected of them.
    """
    held = _foretold(np.zeros(100), np.full(100, 3.0), 0.9)

    low, high = measure_intervals([held], CERTAIN, 0.8, FLOOR).bounds(
        np.array([9.0, 9.0]), np.array([0.1, 0.95])
    )

    assert (low.tolist(), high.tolist()) == ([0.0, 0.0], [10.0, 0.0])


def test_a_shop_of_two_prices_has_no_group_without_buyers():
    """
    40 subscribers expect to pay 10 and 160 to pay 20: however they are cut, each group has buyers and each
    amount a group.
    """
    expected = np.repeat([10.0, 20.0], [40, 160])

    groups = measure_amounts([_foretold(expected.copy(), expected)], CERTAIN)

    assert [one.buyers for one in groups] == [40, 160]
    assert (groups[0].expected_from, groups[0].expected_below) == (-np.inf, groups[1].expected_from)


def test_bins_tile_all_predictions_and_recencies(measured: IntervalBins):
    """
    Every point of the quarter plane, edges and extremes included, lies in exactly one bin; each customer is
    counted once.
    """
    edges = {one.predicted_from for one in measured.bins} | {-1.0, 0.0, 1e-9, 1e9}
    days = {one.recency_from_days for one in measured.bins} | {0.0, 1e6}
    predicted, recency = np.meshgrid(sorted(edges), sorted(days))

    found = np.zeros(predicted.shape, dtype=int)
    for one in measured.bins:
        found += (
            (predicted >= one.predicted_from)
            & (predicted < one.predicted_below)
            & (recency >= one.recency_from_days)
            & (recency < one.recency_below_days)
        )

    assert len(measured.bins) == 33  # the group that the confidence floor cuts has two sides
    assert (found == 1).all()
    assert sum(one.customers for one in measured.bins) == CUSTOMERS


def test_a_small_shop_is_not_cut_into_tiny_groups():
    """
    Fewer than 120 customers in a group of prediction: recency does not divide it further.
    """
    bins = measure_intervals([_customers(1, customers=500)], CERTAIN, 0.8, FLOOR).bins

    assert len(bins) == 11
    assert min(one.customers for one in bins) >= 40


@pytest.mark.parametrize("mean", [FLOOR / 2, FLOOR, FLOOR * 2])
def test_confidence_holds_on_both_sides_of_the_floor(mean: float):
    """
    Of customers predicted about the same, nineteen in twenty spend nothing: true of those predicted less than
    the floor, and of nobody predicted more, since the others spend 20 times the prediction. The next
    customers straddle the floor, wherever those lay that the bins were measured on.
    """

    def shop(seed: int, mean: float) -> Foretold:
        rng = np.random.default_rng(seed)
        predicted = mean * rng.uniform(0.95, 1.05, CUSTOMERS)
        return _foretold(20 * predicted * (rng.random(CUSTOMERS) < 0.05), predicted, 0.95)

    calibration = measure_intervals([shop(1, mean)], CERTAIN, 0.8, FLOOR)
    later = shop(2, FLOOR)
    below = later.predicted < FLOOR

    confidence = calibration.confidence(later.predicted, recency_of(later.rows))
    true = came_true(later.rows.revenue, later.predicted, FLOOR)

    for side in (below, ~below):
        assert confidence[side].mean() == pytest.approx(true[side].mean(), abs=0.02)
    assert true[below].mean() > 0.9 and not true[~below].any()


def test_equal_predictions_share_a_bin():
    """
    Nine of ten customers are predicted the same: they are measured together, not told apart by their order.
    """
    predicted = np.where(np.arange(1000) % 10 == 0, 50.0, 5.0)
    held = _foretold(np.random.default_rng(1).gamma(1, predicted), predicted)

    bins = measure_intervals([held], CERTAIN, 0.8, FLOOR).bins

    assert {find for find in IntervalBins(bins, 0, 0, 0).find(np.array([5.0] * 3), np.full(3, 10.0))} == {0}
    assert sorted(one.customers for one in bins if one.customers)[-1] == 900


def test_a_prediction_of_nothing_has_no_ratio_and_stays_itself():
    """
    Customers who were predicted nothing are measured with nobody: the others' bins are what they are without
    them, and their interval is 0. A shop where nothing was predicted for anybody has one bin and no
    confidence.
    """
    held = _customers(1)
    predicted = np.append(held.predicted, [0.0, 0.0])
    with_zeros = _foretold(np.append(held.rows.revenue, [0.0, 0.0]), predicted)
    without = _foretold(held.rows.revenue, held.predicted)
    nothing = _foretold(np.array([5.0, 0.0]), np.zeros(2))

    both = [measure_intervals([one], CERTAIN, 0.8, FLOOR) for one in (with_zeros, without)]
    alone = measure_intervals([nothing], CERTAIN, 0.8, FLOOR)

    assert both[0] == both[1]
    assert [one.tolist() for one in alone.bounds(np.zeros(1), np.zeros(1))] == [[0.0], [0.0]]
    assert alone.confidence(np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_two_dates_are_measured_together():
    """
    Pooled, they have the customers of both.
    """
    both = measure_intervals([_customers(1), _customers(4)], CERTAIN, 0.8, FLOOR)

    assert sum(one.customers for one in both.bins) == 2 * CUSTOMERS


def test_confidence_comes_true_out_of_sample(measured: IntervalBins):
    """
    Of unseen customers with a confidence, that share falls within half of the prediction, or within the
    floor. Tolerance per third of customers: four binomial standard deviations of both samples (6 points).
    Recent ones are surer.
    """
    held = _customers(2)
    confidence = measured.confidence(held.predicted, recency_of(held.rows))
    hits = came_true(held.rows.revenue, held.predicted, FLOOR)

    for third in np.array_split(np.argsort(confidence, kind="stable"), 3):
        noise = 4 * np.sqrt(0.25 * 2 / third.size)
        assert hits[third].mean() == pytest.approx(confidence[third].mean(), abs=noise)
    assert calibration_error(confidence, hits) < 0.04
    assert np.ptp(confidence) > 0.2


def test_what_coming_true_means():
    """
    Within half of the prediction, both ends included; below the floor within the floor.
    """
    actual = np.array([50.0, 49.9, 150.0, 150.1, 0.0, 14.0, 14.1, -6.0])
    predicted = np.array([100.0, 100.0, 100.0, 100.0, 4.0, 4.0, 4.0, 4.0])

    np.testing.assert_array_equal(
        came_true(actual, predicted, FLOOR), [True, False, True, False, True, True, False, True]
    )


def test_calibration_error_by_hand():
    """
    Two groups of two: 0.2 said and none came true, 0.8 said and one of two did: (0.2 x 2 + 0.3 x 2) / 4.
    """
    confidence, happened = np.array([0.8, 0.2, 0.8, 0.2]), np.array([True, False, False, False])

    assert calibration_error(confidence, happened, groups=2) == pytest.approx(0.25)
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0.0
    assert calibration_error(np.array([1.0, 0.0]), np.array([False, True])) == 1.0


def test_the_manifest_s_json_gives_the_same_calibration(measured: IntervalBins):
    """
    Open ends are null in strict JSON and come back as infinity on their own side.
    """
    text = json.dumps(measured.as_json(), allow_nan=False)

    assert IntervalBins.from_json(json.loads(text)) == measured
    assert IntervalBins.from_json({}) == IntervalBins((), 0.0, 0.0, 0.0)


def test_a_bin_is_looked_up_the_same_way_on_its_edges(measured: IntervalBins):
    """
    DuckDB's range join and `IntervalBins.find` agree on customers and on points exactly on the edges.
    """
    held = _customers(2)
    edges = np.array([one.predicted_from for one in measured.bins if np.isfinite(one.predicted_from)])
    days = np.array([one.recency_from_days for one in measured.bins if np.isfinite(one.recency_from_days)])
    count = min(edges.size, days.size)
    predicted = np.concatenate([held.predicted, edges[:count], edges])
    recency = np.concatenate([recency_of(held.rows), days[:count], np.zeros(edges.size)])

    with duckdb.connect() as connection:
        connection.execute("create table bins (number int, p1 double, p2 double, r1 double, r2 double)")
        connection.executemany(
            "insert into bins values (?, ?, ?, ?, ?)",
            [(i, *_bounds(one)) for i, one in enumerate(measured.bins)],
        )
        connection.execute("create table points (id int, p double, r double)")
        connection.executemany(
            "insert into points values (?, ?, ?)",
            [(i, p, r) for i, (p, r) in enumerate(zip(predicted.tolist(), recency.tolist(), strict=True))][
                -300:
            ],
        )
        joined = connection.execute(
            "select id, number from points join bins on p >= p1 and p < p2 and r >= r1 and r < r2 order by id"
        ).fetchall()

    found = measured.find(predicted, recency)
    assert [number for _, number in joined] == found[-300:].tolist()


def _bounds(one: Bin) -> tuple[float, float, float, float]:
    return one.predicted_from, one.predicted_below, one.recency_from_days, one.recency_below_days


def test_the_warehouse_looks_up_what_python_does(trained: Settings):
    """
    Bin, interval and confidence of every scored customer equal those of the champion's manifest.
    """
    pointer = json.loads((trained.models / "champion.json").read_text(encoding="utf-8"))
    manifest = Path(trained.models, pointer["version"], "manifest.json").read_text(encoding="utf-8")
    calibration = IntervalBins.from_json(json.loads(manifest)["calibration"])
    rows = query(
        trained,
        "select p.clv_predicted, p.churn_probability, f.days_since_last_purchase, p.calibration_bin, "
        "p.clv_low, p.clv_high, p.clv_prediction_confidence from customer_predictions as p "
        "inner join customer_features as f using (customer_id, as_of_date)",
    )
    predicted, leaving, recency, number, low, high, confidence = np.array(rows, dtype=float).T

    assert len(rows) > 100
    np.testing.assert_array_equal(calibration.find(predicted, recency) + 1, number)
    expected = (*calibration.bounds(predicted, leaving), calibration.confidence(predicted, recency))
    for got, said in zip((low, high, confidence), expected, strict=True):
        np.testing.assert_allclose(got, said, rtol=1e-12)


def test_the_chance_of_any_amount_agrees_with_the_bounds(trained: Settings):
    """
    A tenth of customers spends more than the upper bound, nine tenths more than the lower one, and whoever
    buys spends something. Bounds are those that the manifest gives customers of many values and chances.
    """
    with connect(trained) as connection:
        quantiles = connection.execute("from amount_quantiles").df()
    model = registry.load(trained.models)
    assert model is not None
    predicted, leaving = (one.ravel() for one in np.meshgrid([0.5, 4, 30, 70, 900], [0.01, 0.08, 0.5, 0.96]))
    low, high = model.intervals.bounds(predicted, leaving)
    customers = pd.DataFrame({"predicted": predicted, "leaving": leaving, "low": low, "high": high})
    amounts = ("low", "high", "1e-6", "1e9", "0", "null")
    with duckdb.connect() as reader:
        reader.register("customers", customers)
        reader.execute("create table amount_quantiles as from quantiles")
        reader.execute(CHANCE_OF_AT_LEAST)
        chances = ", ".join(f"chance_of_at_least(predicted, leaving, {amount})" for amount in amounts)
        columns = zip(*reader.execute(f"select {chances} from customers").fetchall(), strict=True)
        reader.execute("truncate amount_quantiles")
        assert reader.execute("select chance_of_at_least(10, 0.2, 5)").fetchone() == (None,)
        of_low, of_high, of_little, of_all, of_nothing, of_unknown = map(np.array, columns)

    assert (low > 0).sum() == 10 and (high > 0).sum() == 15
    np.testing.assert_allclose(of_low[low > 0].astype(float), 0.9, atol=1e-9)
    np.testing.assert_allclose(of_high[high > 0].astype(float), 0.1, atol=1e-9)
    np.testing.assert_allclose(of_little.astype(float), 1 - leaving, atol=1e-3)
    assert not of_all.any() and (of_nothing == 1).all()
    assert set(of_unknown) == {None} and quantiles.shape[0] >= 40
