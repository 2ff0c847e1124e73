"""Customers and shops at the edges: each has a stated outcome, by hand-worked rows."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hand_picked import NFC, NFD, ODD_MERGES, ODDITIES, UNICODE
from shops import (
    BY_MODEL,
    HORIZON,
    Event,
    add_events,
    add_merges,
    build,
    by_formula,
    copied,
    execute,
    feature_rows,
    one,
    purchase,
    query,
    refused_by,
    regular_shop,
    visit,
    with_vars,
)

from clv_ml import pipeline
from clv_ml.engines import engine_of
from clv_ml.errors import HistoryError
from clv_ml.learn.btyd import bgnbd_alive, bgnbd_expected_purchases
from clv_ml.learn.training import train
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import run_dbt
from clv_ml.warehouse.quoting import quoted_text

OpenShop = Callable[..., Settings]
MONTH = 30.436875


@pytest.fixture(scope="module")
def oddities(empty_shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shop of oddities, built; `old` became `middle`, and `middle` became `final`."""
    settings = copied(empty_shop, tmp_path_factory.mktemp("oddities"))
    add_events(settings, ODDITIES)
    add_merges(settings, *ODD_MERGES)
    build(settings)
    return settings


def _profile(settings: Settings, customer: str) -> dict[str, object]:
    columns = (
        "total_purchases, total_revenue, days_since_last_purchase, avg_order_value, refund_rate, "
        "interval_mean_days, interval_std_days, interval_cv, behavior_type, tenure_days, "
        "churn_risk_score, simple_clv_estimate, clv_estimate, clv_method"
    )
    rows = query(settings, f"select {columns} from customer_clv where customer_id = {quoted_text(customer)}")
    assert len(rows) == 1, f"{customer} has {len(rows)} rows"
    return dict(zip(columns.split(", "), rows[0], strict=True))


def test_a_customer_without_a_purchase_stays_and_says_so(oddities: Settings):
    """
    Who only looked has a row: no purchases, NULL where nothing is defined, an estimate of 0 by method
    no_purchase.
    """
    found = _profile(oddities, "looker")

    assert (found["total_purchases"], found["total_revenue"], found["clv_estimate"]) == (0, 0, 0)
    assert found["days_since_last_purchase"] is None
    assert found["avg_order_value"] is None
    assert (found["behavior_type"], found["clv_method"]) == ("new", "no_purchase")


def test_one_purchase_has_no_interval(oddities: Settings):
    """
    One sale of 30 a hundred days ago: no interval, one_time, and the simple formula worked by hand.
    """
    found = _profile(oddities, "once")

    assert (found["total_purchases"], found["total_revenue"], found["days_since_last_purchase"]) == (
        1,
        30,
        100,
    )
    assert found["interval_mean_days"] is None
    assert found["churn_risk_score"] is None
    assert found["behavior_type"] == "one_time"
    assert float(found["simple_clv_estimate"]) == round(1 / (100 / MONTH) * 30 * 60 / MONTH, 2)
    assert found["clv_method"] == by_formula(oddities, "no model")


def test_two_purchases_at_one_instant_are_two_orders_without_a_gap(oddities: Settings):
    """
    They count as two and add up, but no interval lies between them; the type falls to irregular, as NULL CV
    does.
    """
    found = _profile(oddities, "twin")

    assert (found["total_purchases"], found["total_revenue"]) == (2, 30)
    assert found["interval_mean_days"] is None
    assert found["interval_cv"] is None
    assert found["behavior_type"] == "irregular"


def test_a_very_long_tenure_is_counted_in_full(oddities: Settings):
    """
    Ten years between two purchases: one interval of 3,840 days, and a grid that reaches back
    `grid_days_kept`, 120 months.
    """
    found = _profile(oddities, "veteran")

    assert found["tenure_days"] == 3850
    assert found["interval_mean_days"] == 3840.0
    assert found["interval_std_days"] is None
    assert found["behavior_type"] == "long_cycle"
    assert one(oddities, "select count(*) from as_of_dates where is_grid") == 120


def test_a_refund_larger_than_its_sale_undoes_it_and_leaves_negative_revenue(oddities: Settings):
    """
    10 bought, 25 given back: no sale stands, revenue is -15, and no estimate is below zero.
    """
    found = _profile(oddities, "over-refunded")

    assert (found["total_purchases"], found["total_revenue"], found["refund_rate"]) == (0, -15, None)
    assert (found["behavior_type"], found["clv_method"]) == ("returned", "returned")
    assert one(oddities, "select min(clv_estimate) from customer_clv") >= 0
    assert one(oddities, "select min(anchor_value) > 0 from customer_anchors")
    assert one(oddities, "select count(*) from customer_clv where clv_estimate is null") == 0


def test_a_refund_without_a_sale_counts_as_money_only(oddities: Settings):
    """
    No purchase, -40 of revenue, no rate of refunds, method no_purchase.
    """
    found = _profile(oddities, "refund-only")

    assert (found["total_purchases"], found["total_revenue"], found["refund_rate"]) == (0, -40, None)
    assert found["clv_method"] == "no_purchase"


def test_a_sale_cancelled_in_full_never_was_afterwards_but_was_before(oddities: Settings):
    """
    The order counts on no later date; on a date between sale and cancellation it would have.
    """
    found = _profile(oddities, "cancelled")

    assert (found["total_purchases"], found["total_revenue"]) == (0, 0)
    assert (found["behavior_type"], found["clv_method"]) == ("returned", "returned")


@pytest.mark.parametrize(
    ("customer", "left_over"),
    [
        ("a cent less", "0.01"),
        ("a cent more", "-0.01"),
        ("goodwill", "-10"),
        ("credit note", "0.01"),
        ("that afternoon", "0"),
        ("note of that day", "0"),
        ("line a cent off", "0.01"),
    ],
)
def test_a_return_that_differs_a_little_undoes_the_purchase_as_an_exact_one_does(
    oddities: Settings, customer: str, left_over: str
):
    """
    A cent off, more than was paid, under a number of its own, or dated the day of the sale: nothing was
    bought, the customer is `returned`, and the money that is left over stands.
    """
    found = _profile(oddities, customer)

    assert (found["total_purchases"], found["total_revenue"]) == (0, Decimal(left_over))
    assert (found["behavior_type"], found["clv_method"]) == ("returned", "returned")
    segment = f"select rfm_segment from customer_segments where customer_id = '{customer}'"
    assert one(oddities, segment) == "returned"


def test_who_returned_a_purchase_and_bought_again_is_a_buyer(oddities: Settings):
    """
    99.00 bought and 99.01 given back, then 7 bought: one purchase, and revenue of 6.99.
    """
    found = _profile(oddities, "came back")

    assert (found["total_purchases"], found["total_revenue"]) == (1, Decimal("6.99"))
    assert found["behavior_type"] == "one_time"


def test_returns_conserve_money(oddities: Settings):
    """
    Over all customers of the oddities, what stands and what was voided make what was delivered.
    """
    run_dbt(oddities, ["test", "--select", "money_is_conserved", "int_money_lines"])


def test_merged_customers_are_one_person_on_every_date(oddities: Settings):
    """
    A chain of two merges ends at the last number, which has all three purchases, in the past too.
    """
    found = _profile(oddities, "final")
    replaced = "select count(*) from customer_features where customer_id in ('old', 'middle')"
    past = (
        "select total_purchases from customer_features where customer_id = 'final' "
        "and as_of_date = '2024-05-01'"
    )

    assert (found["total_purchases"], found["total_revenue"]) == (3, 18)
    assert one(oddities, replaced) == 0
    assert one(oddities, past) == 3


def test_ids_may_hold_any_text(oddities: Settings):
    """
    Quotes, signs of any script and emoji pass unchanged; two spellings of one name in bytes are two
    customers.
    """
    assert _profile(oddities, UNICODE)["total_revenue"] == 11
    assert _profile(oddities, NFC)["total_revenue"] == 12
    assert _profile(oddities, NFD)["total_revenue"] == 13


def test_a_customer_untouched_by_oddities_is_plain(oddities: Settings):
    """
    Two sales a hundred days apart: one interval, overdue by a hundredth of it, hand-worked.
    """
    found = _profile(oddities, "regular")

    assert (found["total_purchases"], found["total_revenue"], found["interval_mean_days"]) == (2, 16, 100.0)
    assert found["churn_risk_score"] == pytest.approx(0.01 / 1.01, rel=1e-12)


@pytest.mark.long
def test_merges_in_a_circle_are_set_aside_with_a_warning(open_shop: OpenShop):
    """
    a -> b -> c -> a, as an earlier version kept it: the build goes on, each of the three stands for itself, a
    sound merge into one of them holds, and the warning says what to do.
    """
    settings = open_shop([purchase(name, 50 + number, 10) for number, name in enumerate("abcd")])
    add_merges(settings, ("a", "b"), ("b", "c"), ("c", "a"), ("d", "b"))

    build(settings, "--select", "+customer_rfm", "int_circular_merges")
    warnings = run_dbt(settings, ["test", "--select", "merges_lead_to_a_customer"])

    revenue = "select customer_id, max(total_revenue) from customer_rfm group by customer_id order by 1"
    assert query(settings, revenue) == [("a", 10), ("b", 20), ("c", 10)]
    assert "3 rows" in warnings[0] and "lead back to where they began" in warnings[0]


def test_a_number_merged_into_itself_is_no_cycle(oddities: Settings):
    """
    A row that replaces a number by itself says nothing and is ignored.
    """
    assert _profile(oddities, "itself")["total_revenue"] == 9


def _clv(settings: Settings) -> list[str]:
    return [str(row) for row in query(settings, "select * from customer_clv order by customer_id")]


@pytest.mark.long
def test_a_shop_of_one_customer_works(open_shop: OpenShop):
    """
    One customer: scored by the best baseline, finite everywhere; training says what is lacking.
    """
    settings = open_shop([purchase("only", number, 10) for number in range(0, 400, 15)])

    result = pipeline.run(settings)

    assert result.scoring.methods == {by_formula(settings, "no model"): 1}
    assert one(settings, "select isfinite(anchor_value::double) from customer_anchors limit 1")
    assert result.training is None
    assert "No model was trained" in result.warnings[0]
    assert "clv_estimate is a formula" in result.warnings[1]


@pytest.mark.long
def test_two_days_of_history_are_no_pace_of_a_year(open_shop: OpenShop):
    """
    8.50 in two days is at most 8.50 a month, not 1,551 a year, and the run says what the total rests on.
    """
    events = [purchase("first", 0, 4.25), purchase("first", 1.5, 4.25), visit("second", 1.6)]
    settings = open_shop(events, horizon_days=365)

    result = pipeline.run(settings)

    assert 0 < result.scoring.estimate_total <= 8.5 * 365 / 30 + 0.01
    (young,) = [warning for warning in result.warnings if "looks 365 days ahead" in warning]
    assert "The shop has 2 days of history" in young
    assert "100% of the total" in young and "so far is 8.50" in young
    assert not any("unusual" in warning for warning in result.warnings)


@pytest.mark.long
def test_a_shop_of_one_time_buyers_works(open_shop: OpenShop):
    """
    Nobody ever comes back, so there is no spend to learn: everyone has an estimate all the same, from a model
    or, with a warning, from a formula.
    """
    settings = open_shop([purchase(f"c{number:03}", number + 0.5, 10 + number % 9) for number in range(220)])

    result = pipeline.run(settings)

    assert result.scoring.customers == 220
    if result.training is None:
        assert "No model was trained" in result.warnings[0]
        assert result.scoring.methods == {by_formula(settings, "no model"): 220}
    else:
        assert set(result.scoring.methods) <= BY_MODEL


@pytest.mark.long
def test_in_a_small_shop_no_one_time_buyer_is_valued_above_a_repeat_buyer(open_shop: OpenShop):
    """
    240 customers in eight months, every order of one price, some of whom come often and then no more: of any
    two who bought last on the same day, the repeat buyer is worth at least as much. Nobody is worth more than
    three times what anybody ever spent within the horizon, and all together between a third and three times
    what they spent in the last one. That the shop is hard to learn from is among the warnings.
    """
    settings = open_shop(_one_price_shop(customers=240, days=240), small_shop_customers=500)

    result = pipeline.run(settings)

    assert set(result.scoring.methods) <= BY_MODEL
    assert result.scoring.caution
    assert f"This shop is hard to learn from: {result.scoring.caution}." in result.warnings
    values = (
        "select customer_id, days_since_last_purchase as recency, total_purchases > 1 as came_back, "
        "clv_predicted, revenue_90d from customer_features inner join customer_predictions "
        "using (customer_id, as_of_date)"
    )
    pairs = (
        f"from ({values}) as once inner join ({values}) as repeat "
        "on once.recency = repeat.recency and not once.came_back and repeat.came_back"
    )
    assert one(settings, f"select count(*) {pairs}") > 30
    # a cent is what rounding the parts of an anchor may add up to
    assert (
        query(settings, f"select once, repeat {pairs} and once.clv_predicted > repeat.clv_predicted + 0.01")
        == []
    )
    highest, total, spent, most = query(
        settings,
        "select max(clv_predicted), sum(clv_predicted), sum(revenue_90d), (select max(revenue_90d) "
        f"from customer_features) from ({values})",
    )[0]
    assert highest <= 3 * float(most) * HORIZON / 90
    assert 1 / 3 <= total / (float(spent) * HORIZON / 90) <= 3
    _a_single_purchase_counts_as_a_repeat_one(settings)


def _a_single_purchase_counts_as_a_repeat_one(settings: Settings) -> None:
    """
    In BG/NBD's chance of still being active: by its own functions, for those who bought once, to a cent.
    """
    weeks, said, order_value, *parameters = np.array(
        query(
            settings,
            "select days_since_last_purchase / 7.0, bgnbd_value, expected_order_value, bgnbd_r, "
            "bgnbd_alpha, bgnbd_a, bgnbd_b from customer_baselines inner join customer_rfm "
            "using (customer_id, as_of_date) inner join fitted_dates using (as_of_date) "
            "where total_purchases = 1 and bgnbd_value is not null",
        ),
        dtype=float,
    ).T
    active = bgnbd_alive(1, 0, weeks, *parameters)
    purchases = active * bgnbd_expected_purchases(0, 0, weeks, HORIZON / 7, *parameters)

    assert weeks.size > 30
    # the order value is read to the cent, and multiplied by purchases
    np.testing.assert_allclose(said, purchases * order_value, atol=0.005 * (1 + purchases.max()))


def _one_price_shop(customers: int, days: int) -> list[Event]:
    """
    Poisson purchases of 20 each at rates that differ from customer to customer, until each leaves for good.
    """
    rng = np.random.default_rng(10)
    events = []
    for number in range(customers):
        at = rng.uniform(0, days)
        leaves = at + rng.exponential(90)
        gap = 1 / rng.gamma(0.8, 1 / 60)
        while at < min(leaves, days):
            events.append(purchase(f"c{number:03}", float(at), 20))
            at += rng.exponential(gap)
    return events


@pytest.mark.long
def test_history_shorter_than_the_horizon_is_explained(open_shop: OpenShop):
    """
    The error names the days needed, the days there are and the longest horizon that works; one day more does
    not.
    """
    settings = open_shop(regular_shop(customers=40, days=200, every=12), horizon_days=365)
    engine_of(settings).build_features()
    there = one(settings, "select shop_age_days from as_of_dates where is_scoring_date")

    with pytest.raises(HistoryError) as caught:
        train(settings)

    message = refused_by(caught.value)
    assert "horizon of 365 days" in message
    assert f"there are {there}." in message
    needed = int(message.split("needs up to ")[1].split(" days")[0])
    assert needed >= 2 * 365
    longest = int(message.split("longest horizon that works is ")[1].split(" days")[0])
    assert 0 < longest < there
    a_day_more = with_vars(settings, horizon_days=longest + 1)
    build(a_day_more, "--select", "+as_of_dates")
    assert one(settings, "select count(*) from as_of_dates where split = 'test'") == 0
    just_so = with_vars(settings, horizon_days=longest)
    engine_of(just_so).build_features()
    assert train(just_so).is_champion


@pytest.mark.long
def test_history_too_short_for_any_horizon_still_scores(open_shop: OpenShop):
    """
    Three weeks old: training says that no horizon of a week works, and the run scores by the best baseline
    with a warning, and expects no more of all than the shop's pace so far.
    """
    settings = open_shop(regular_shop(customers=5, days=21, every=7))

    result = pipeline.run(settings)

    assert result.training is None
    assert "No horizon of a week or more works yet" in result.warnings[0]
    assert set(result.scoring.methods) == {"empirical_bayes: no model"}
    spent = one(settings, "select sum(total_revenue) from customer_clv")
    age = one(settings, "select shop_age_days from as_of_dates where is_scoring_date")
    pace = float(spent) * settings.vars.horizon_days / age
    assert result.scoring.estimate_total <= pace + 5 * 0.005  # each customer's is rounded to cents
    assert one(settings, "select max(known_date_count) from baseline_ranking") == 0


def test_a_shop_that_tracks_has_zero_for_who_never_came(oddities: Settings):
    """
    Where sessions are tracked, a customer without one has 0 sessions, and NULL for ratios over them; page
    views, which nobody has, are NULL for all.
    """
    columns = "total_sessions, purchase_per_session, total_page_views"

    assert feature_rows(oddities, "looker", columns) == [(1, 0.0, None)]
    assert feature_rows(oddities, "once", columns) == [(0, None, None)]


def test_money_without_a_rate_is_left_aside_until_one_comes(oddities: Settings):
    """
    A sale in a currency without a rate is summed nowhere; nor does it stop the others.
    """
    assert feature_rows(oddities, "abroad", "total_purchases, total_revenue") == [(1, Decimal("10.00"))]
    assert one(oddities, "select count(*) from int_unconverted_events") == 1


def test_window_edges_are_half_open(oddities: Settings):
    """
    A sale exactly 90 days before the date is inside, a second earlier outside; one a second before the date
    is inside.
    """
    columns = "purchase_count_90d, revenue_90d, total_revenue"

    assert feature_rows(oddities, "on the edge", columns) == [(2, 101, 111)]


@pytest.mark.long
def test_pieces_that_no_line_can_hold_are_said(open_shop: OpenShop):
    """In a team's own events, which no ingestion has checked: left out of every count, with a warning."""
    shop = open_shop([purchase("ann", 10), purchase("bob", 20)])
    assert run_dbt(shop, ["test", "--select", "pieces_can_be_counted"]) == ()
    execute(shop, "update raw.events set quantity = 99999999999999 where customer_id = 'ann'")

    (warning,) = run_dbt(shop, ["test", "--select", "pieces_can_be_counted"])

    assert warning.startswith("Pieces of lines are left out") and "1 row)" in warning
