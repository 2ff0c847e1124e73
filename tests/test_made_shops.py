"""
The made shops of `make bench-quality`: same seed, same rows; the stated truth is what happens on average.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_habits import Clock, Random, Replace
from made_shops import (
    MADE_SHOPS,
    OPENING,
    MadeShop,
    durable,
    marketplace,
    monthly_plans,
    ten_months,
    write_orders,
    yearly_plans,
)


def one_clock(**changes: object) -> Clock:
    """A single plan of 20 every 30 days from day 0 on, in force for its first four due dates."""
    plan = Clock(
        first=np.array([0.0]),
        period=30,
        stay=np.array([0.9]),
        pay=np.array([1.0]),
        amount=np.array([20.0]),
        stayed=np.array([[True, True, True, True, False, False]]),
        turn=np.array([0]),
    )
    return replace(plan, **changes)


def test_plan_in_force_is_worth_its_due_dates_times_the_chance_to_stay():
    """
    From day 95 on, three months bring 20 x (.9 + .9² + .9³): each payment needs every renewal before it.
    """
    value = one_clock().value(95, 90)

    assert value[0] == pytest.approx(20 * (0.9 + 0.81 + 0.729))


def test_plan_that_ended_is_worth_nothing():
    """From the first due date that was not paid on, the truth is 0."""
    assert one_clock().value(121, 90)[0] == 0


def test_payment_that_is_late_counts_in_the_window_into_which_it_falls():
    """Of a payment due on day 90 and up to 10 days late, half is still to come on day 95."""
    value = one_clock(late=10.0, pay=np.array([0.5])).value(95, 20)

    assert value[0] == pytest.approx(20 * 0.5 * 0.5)


def test_rhythm_turns_from_the_customers_own_first_turn_on():
    """
    Every fourth payment is three times as much; who began with the fourth turn has it at numbers 0, 4, 8.
    """
    _, days, amounts = one_clock(rhythm=(1.0, 1.0, 1.0, 3.0), turn=np.array([3])).orders(
        np.random.default_rng(1)
    )

    assert days.tolist() == [0, 30, 60, 90]
    assert amounts.tolist() == [60, 20, 20, 20]


def test_random_buyer_is_worth_rate_times_amount_times_the_days_they_stay():
    """
    One order of 10 in ten days, leaving after 50 days on average: 100 days see 50 x (1 - e^-2) of them; who
    left, none.
    """
    habit = Random(
        first=np.zeros(2),
        left=np.array([1000.0, 30.0]),
        rate=np.full(2, 0.1),
        leave=0.02,
        amount=np.full(2, 10.0),
        until=1000,
    )

    value = habit.value(40, 100)

    assert value == pytest.approx([0.1 * 10 * 50 * (1 - np.exp(-2)), 0])


def test_replacement_is_worth_nothing_until_the_least_wait_is_over():
    """
    Bought on day 0, at least 1,095 days apart: a window that ends before cannot see the next one; a long one
    will.
    """
    habit = Replace(bought=np.array([[0.0]]), amount=np.array([800.0]), least=1095, wait=730, shape=4)

    assert habit.value(500, 365)[0] == 0
    assert habit.value(1095, 20_000)[0] == pytest.approx(800)


def test_monthly_and_yearly_plans_have_the_truth_that_their_names_promise():
    """Monthly: 20 x six payments of .94 each time, 97; yearly: 100 x .8; all others are worth 0."""
    monthly, yearly = monthly_plans(3).habits[0], yearly_plans(3).habits[0]

    by_month = monthly.value(700, 180)[monthly.first < 700]
    by_year = yearly.value(1400, 365)[yearly.first < 1400]

    in_force = 20 * sum(0.94**month for month in range(1, 7))
    assert np.unique(by_month.round(6)) == pytest.approx([0, in_force])
    assert np.unique(by_year.round(6)) == pytest.approx([0, 80])


def test_marketplace_is_97_percent_one_time_buyers_and_ten_months_hang_on_five():
    """The shares that make these shops hard: buyers who may come again, and what five customers spend."""
    rates = marketplace(1).habits[0].rate
    who, _, amount = ten_months(1).habits[0].orders(np.random.default_rng(0))

    assert (rates > 0).mean() == pytest.approx(0.03, abs=0.008)  # three standard errors of 5,000 draws
    assert amount[who < 5].sum() / amount.sum() > 0.1


@pytest.mark.parametrize("kind", MADE_SHOPS)
def test_truth_is_what_happens_on_average(kind: str):
    """
    Over twelve seeds, what a quarter brings is the sum of what it was expected to bring, within four standard
    errors of the differences themselves.
    """
    off, happened = [], []
    for seed in range(12):
        shop = MADE_SHOPS[kind](seed)
        day = shop.days * 2 // 3
        expected, came = 0.0, 0.0
        for habit in shop.habits:
            who, days, amount = habit.orders(np.random.default_rng([seed, 2]))
            seen = np.unique(who[days < day])
            expected += habit.value(day, 91)[seen].sum()
            came += amount[(days >= day) & (days < day + 91) & np.isin(who, seen)].sum()
        off.append(came - expected)
        happened.append(came)

    assert abs(np.mean(off)) < 4 * np.std(off, ddof=1) / np.sqrt(len(off))
    assert np.mean(happened) > 0


def test_same_seed_same_rows_and_another_seed_others(tmp_path: Path):
    """
    A shop is its seed; the file holds the columns of the preset `orders`, and no order after the last day.
    """
    again, other = durable(5).orders(), durable(6).orders()

    written = pq.read_table(write_orders(durable(5), tmp_path / "orders.parquet"))

    assert written.equals(again)
    assert not written.equals(other)
    assert written.column_names == ["order_id", "customer_id", "ordered_at", "amount", "currency"]
    assert max(written["ordered_at"].to_pylist()) < str(OPENING + timedelta(days=durable(5).days))


def test_true_values_add_up_the_habits_of_a_customer():
    """A customer with a plan who buys at random too is worth both."""
    shop = MadeShop(
        400,
        90,
        (
            one_clock(),
            Random(np.zeros(1), np.array([1e6]), np.array([0.1]), 0.02, np.array([10.0]), 400),
        ),
        seed=1,
    )

    value = shop.true_values((OPENING + timedelta(days=95)).date())

    assert value == {"c00000": pytest.approx(20 * (0.9 + 0.81 + 0.729) + 0.1 * 10 * 50 * (1 - np.exp(-1.8)))}
