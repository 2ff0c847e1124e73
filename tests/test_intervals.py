"""Intervals and confidence: nominal on exchangeable customers, and equal in Python, SQL and manifest."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from made_rows import made_rows
from shops import query

from clv_ml.learn.intervals import measure_intervals, recency_of
from clv_ml.learn.out_of_sample import HeldOut
from clv_ml.measure.metrics import calibration_error, came_true
from clv_ml.model.interval_bins import Bin, IntervalBins
from clv_ml.settings import Settings

CUSTOMERS = 6000
FLOOR = 10.0
CERTAIN = 0.0
"""A shop whose total has never been missed; the least uncertainty still applies."""


def _customers(seed: int, zeros: float = 0.0, customers: int = CUSTOMERS) -> HeldOut:
    """
    Predictions of customers with different recency, each right on average. The longer ago, the wilder the
    outcome, and a share of ``zeros`` spends nothing.
    """
    rng = np.random.default_rng(seed)
    predicted, recency = rng.lognormal(3, 1, customers), rng.integers(1, 400, customers).astype(float)
    shape = np.where(recency < 130, 9.0, 1.5)
    spent = predicted * rng.gamma(shape, 1 / shape) / (1 - zeros) * (rng.random(customers) >= zeros)
    return HeldOut(made_rows(spent, recency=recency), predicted)


def _inside(bins: IntervalBins, held: HeldOut) -> np.ndarray:
    low, high, _ = bins.intervals(held.predicted, recency_of(held.rows))
    return (held.rows.revenue >= low) & (held.rows.revenue <= high)


@pytest.fixture(scope="module")
def measured() -> IntervalBins:
    """Bins measured on customers of the kind above, at 80 %."""
    return measure_intervals([_customers(1)], CERTAIN, 0.8, FLOOR)


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.9])
def test_the_nominal_share_of_unseen_customers_lies_inside(coverage: float):
    """
    Tolerance: four binomial standard deviations of both samples (3 points at 80 %), and two points either way
    for choosing the shortest interval in each bin and for the least uncertainty of the total.
    """
    calibration = measure_intervals([_customers(1)], CERTAIN, coverage, FLOOR)

    inside = _inside(calibration, _customers(2))

    noise = 4 * np.sqrt(2 * coverage * (1 - coverage) / CUSTOMERS)
    assert inside.mean() == pytest.approx(coverage, abs=noise + 0.02)


def test_it_does_so_within_groups_of_recency_and_prediction(measured: IntervalBins):
    """
    Recent customers are predicted far better, and have narrower intervals that hold as often as the others':
    one interval for everybody would hold nearly all of the first and too few of the second.
    """
    held = _customers(2)
    inside, recent = _inside(measured, held), recency_of(held.rows) < 120
    top = held.predicted > np.quantile(held.predicted, 0.8)
    low, high, _ = measured.intervals(held.predicted, recency_of(held.rows))
    width = (high - low) / held.predicted

    for group in (recent, recency_of(held.rows) > 140, top, top & recent):
        noise = 4 * np.sqrt(0.16 * (1 / group.sum() + 1 / group.sum()))
        assert inside[group].mean() == pytest.approx(0.8, abs=noise + 0.02)
    assert np.median(width[recent]) < 0.6 * np.median(width[~recent])


def test_intervals_are_the_shortest_that_hold_the_share():
    """
    Outcomes are exponential, densest at zero: equal tails would begin at 0.105 times the prediction and be
    2.2 wide, the shortest begin at 0 and are 1.61 wide (ln 5).
    """
    rng = np.random.default_rng(3)
    predicted = rng.lognormal(3, 0.1, 20000)
    held = HeldOut(made_rows(predicted * rng.exponential(size=20000)), predicted)

    bins = measure_intervals([held], CERTAIN, 0.8, FLOOR).bins

    assert max(one.ratio_low for one in bins) < 0.03
    assert np.mean([one.ratio_high for one in bins]) == pytest.approx(np.log(5), rel=0.05)


def test_an_uncertain_total_widens_intervals_until_whole_seasons_are_held(measured: IntervalBins):
    """
    A shop whose totals are off by 40 % (sd of the logarithm), seen where customers are else predictable: over
    300 windows, each thrown off as a whole, the wide intervals still hold 80 % on average. Those of a certain
    total are narrower and hold less than two thirds.
    """
    wide = measure_intervals([_customers(1)], 0.4, 0.8, FLOOR)
    everybody = _customers(2)
    predictable = recency_of(everybody.rows) < 120
    predicted, revenue = everybody.predicted[predictable], everybody.rows.revenue[predictable]
    shocks = np.exp(np.random.default_rng(5).normal(-(0.4**2) / 2, 0.4, 300))

    def held_and_width(bins: IntervalBins) -> tuple[float, float]:
        low, high, _ = bins.intervals(predicted, recency_of(everybody.rows)[predictable])
        held = [((revenue * shock >= low) & (revenue * shock <= high)).mean() for shock in shocks]
        return float(np.mean(held)), float(np.mean((high - low) / predicted))

    (held_wide, width_wide), (held_narrow, width_narrow) = held_and_width(wide), held_and_width(measured)

    assert held_wide == pytest.approx(0.8, abs=0.03)
    assert held_narrow < 2 / 3
    assert width_wide > 1.3 * width_narrow


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
    richer = HeldOut(made_rows(3 * held.rows.revenue, recency=recency_of(held.rows)), held.predicted)

    for one, other in zip(measure_intervals([richer], CERTAIN, 0.8, FLOOR).bins, measured.bins, strict=True):
        assert (one.ratio_low, one.ratio_high) == pytest.approx((other.ratio_low, other.ratio_high))


def test_each_window_s_own_total_is_taken_out_where_dates_are_held_together():
    """
    Two dates in one set of rows, twice and half of what was expected: the same bins as where both came out as
    expected.
    """
    held = _customers(1)
    second = np.arange(CUSTOMERS) % 2 == 1
    dated = replace(held.rows, as_of=held.rows.as_of + second.astype("timedelta64[D]"))
    level = held.rows.revenue.sum() / held.predicted.sum()
    even = replace(dated, revenue=dated.revenue / dated.total_ratio(held.predicted) * level)
    odd = replace(even, revenue=even.revenue * np.where(second, 2.0, 0.5))

    one, other = (
        measure_intervals([HeldOut(rows, held.predicted)], CERTAIN, 0.8, FLOOR).bins for rows in (even, odd)
    )

    assert [(bin.ratio_low, bin.ratio_high) for bin in one] == [
        pytest.approx((bin.ratio_low, bin.ratio_high)) for bin in other
    ]


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
    assert all(one.customers > 0 and one.ratio_low <= 1 <= one.ratio_high for one in bins)


def test_a_few_refunds_leave_no_good_customer_with_a_low_bound_below_zero():
    """
    Three in a hundred give back a little more than they bought, and nobody spends nothing: however close
    together those lie to the rest, the interval starts at zero or above and holds the nominal share. Where
    half do, they cannot be left out.
    """
    rng = np.random.default_rng(7)
    predicted = rng.lognormal(3, 0.1, 4000)

    def low(share: float) -> tuple[float, float]:
        given_back = rng.random(4000) < share
        held = HeldOut(made_rows(predicted * np.where(given_back, -0.02, rng.uniform(0, 1, 4000))), predicted)
        calibration = measure_intervals([held], CERTAIN, 0.8, FLOOR)
        return min(one.ratio_low for one in calibration.bins), float(_inside(calibration, held).mean())

    assert low(0.03)[0] >= 0
    assert low(0.03)[1] == pytest.approx(0.8, abs=0.03)
    assert low(0.5)[0] < 0


def test_where_many_spend_nothing_the_interval_starts_at_zero():
    """
    A fifth spend nothing: zero is the likeliest single outcome and inside every interval, though the other
    outcomes lie so close together that a shorter interval would leave it out. Where one in fifty spends
    nothing, it does leave it out wherever outcomes are tame, which is a third of the bins.
    """
    held = _customers(1, zeros=0.2)
    calibration = measure_intervals([held], CERTAIN, 0.6, FLOOR)
    hardly = measure_intervals([_customers(1, zeros=0.02)], CERTAIN, 0.6, FLOOR)

    low, _, _ = calibration.intervals(held.predicted, recency_of(held.rows))

    assert not low.any()
    assert _inside(calibration, _customers(2, zeros=0.2)).mean() == pytest.approx(0.6, abs=0.05)
    assert np.mean([one.ratio_low > 0.05 for one in hardly.bins]) >= 1 / 3


@pytest.mark.parametrize(("refunded", "below_zero"), [(0.03, False), (0.3, True)])
def test_a_few_refunds_do_not_open_the_interval_below_zero(refunded: float, below_zero: bool):
    """
    Of customers of whom a fifth spend nothing, a few get back up to what they were predicted to spend: the
    interval still starts at zero and holds its share. Where more do than may be outside, it reaches down to
    them.
    """

    def shop(seed: int) -> HeldOut:
        held = _customers(seed, zeros=0.2)
        chance, share = np.random.default_rng(seed + 100).random((2, len(held.rows)))
        revenue = np.where(chance < refunded, -share * held.predicted, held.rows.revenue)
        return HeldOut(
            replace(held.rows, revenue=revenue), held.predicted * revenue.sum() / held.predicted.sum()
        )

    calibration = measure_intervals([shop(1)], CERTAIN, 0.8, FLOOR)

    assert _inside(calibration, shop(2)).mean() == pytest.approx(0.8, abs=0.05)
    assert {one.ratio_low < 0 for one in calibration.bins} == {below_zero}


def test_every_interval_holds_its_prediction():
    """
    A model that is twice too low for one half and too high for the other still names a value that it calls
    possible.
    """
    held = _customers(1)
    odd = np.arange(CUSTOMERS) % 2 > 0
    biased = HeldOut(made_rows(held.rows.revenue * np.where(odd, 4.0, 0.01)), held.predicted)

    for one in measure_intervals([biased], CERTAIN, 0.5, FLOOR).bins:
        assert one.ratio_low <= 1 <= one.ratio_high


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

    def shop(seed: int, mean: float) -> HeldOut:
        rng = np.random.default_rng(seed)
        predicted = mean * rng.uniform(0.95, 1.05, CUSTOMERS)
        return HeldOut(made_rows(20 * predicted * (rng.random(CUSTOMERS) < 0.05)), predicted)

    calibration = measure_intervals([shop(1, mean)], CERTAIN, 0.8, FLOOR)
    later = shop(2, FLOOR)
    below = later.predicted < FLOOR

    _, _, confidence = calibration.intervals(later.predicted, recency_of(later.rows))
    true = came_true(later.rows.revenue, later.predicted, FLOOR)

    for side in (below, ~below):
        assert confidence[side].mean() == pytest.approx(true[side].mean(), abs=0.02)
    assert true[below].mean() > 0.9 and not true[~below].any()


def test_equal_predictions_share_a_bin():
    """
    Nine of ten customers are predicted the same: they are measured together, not told apart by their order.
    """
    predicted = np.where(np.arange(1000) % 10 == 0, 50.0, 5.0)
    held = HeldOut(made_rows(np.random.default_rng(1).gamma(1, predicted)), predicted)

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
    with_zeros = HeldOut(made_rows(np.append(held.rows.revenue, [0.0, 0.0])), predicted)
    without = HeldOut(made_rows(held.rows.revenue), held.predicted)
    nothing = HeldOut(made_rows(np.array([5.0, 0.0])), np.zeros(2))

    both = [measure_intervals([one], CERTAIN, 0.8, FLOOR).bins for one in (with_zeros, without)]
    alone = measure_intervals([nothing], CERTAIN, 0.8, FLOOR)

    assert both[0] == both[1]
    assert [one.tolist() for one in alone.intervals(np.zeros(1), np.zeros(1))] == [[0.0], [0.0], [0.0]]


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
    _, _, confidence = measured.intervals(held.predicted, recency_of(held.rows))
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
        "select p.clv_predicted, f.days_since_last_purchase, p.calibration_bin, p.clv_low, p.clv_high, "
        "p.clv_prediction_confidence from customer_predictions as p "
        "inner join customer_features as f using (customer_id, as_of_date)",
    )
    predicted, recency, number, low, high, confidence = np.array(rows, dtype=float).T

    assert len(rows) > 100
    np.testing.assert_array_equal(calibration.find(predicted, recency) + 1, number)
    expected = calibration.intervals(predicted, recency)
    for got, said in zip((low, high, confidence), expected, strict=True):
        np.testing.assert_allclose(got, said, rtol=1e-12)
