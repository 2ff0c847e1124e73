"""The baselines of record, worked out again in NumPy from what is known of each customer."""

import numpy as np
import pytest
from closed_forms import gammagamma_expected_value
from shops import query

from clv_ml.learn.btyd import (
    bgnbd_expected_purchases,
    paretonbd_expected_purchases,
)
from clv_ml.learn.renewal import renewal_chance, renewal_expected_purchases
from clv_ml.learn.renewal_fitting import LARGEST_VARIANCE, RANDOM_VARIANCE, Gaps, Kind
from clv_ml.settings import Settings

Columns = dict[str, np.ndarray]
RENEWAL_NAMES = ("share", "log_gap", "between", "within", "other_log_gap", "other_between", "a", "b")
NAMES = """
shop_age_days purchase_days days_since_first_purchase days_since_last_purchase
revenue_365d total_revenue
persistence_value empirical_bayes_value bgnbd_value paretonbd_value btyd_value
probabilistic_value steady_value log_buying_odds renewal_value typical_gap_days gap_log_std
renewal_share renewal_log_gap renewal_between renewal_within
renewal_other_log_gap renewal_other_between renewal_a renewal_b
bgnbd_r bgnbd_alpha bgnbd_a bgnbd_b
paretonbd_r paretonbd_alpha paretonbd_s paretonbd_beta
gammagamma_p gammagamma_q gammagamma_gamma
"""
CENT = 0.011
"""Values are rounded to the cent; their parts are rounded in the ninth decimal at most."""


@pytest.fixture(scope="module")
def columns(simulated: Settings) -> Columns:
    """
    Every customer of every date of the simulated shop on which BTYD was fitted: what was known, and the
    baselines.
    """
    columns = {
        "date": "extract(epoch from cast(as_of_date as timestamp))",
        "std_day_value": "coalesce(std_day_value, 0)",
        "customers": "count(*) over (partition by as_of_date)",
    }
    columns |= {name: name for name in NAMES.split()}
    rows = query(
        simulated,
        f"select {', '.join(columns.values())} from customer_baselines "
        "inner join customer_rfm using (customer_id, as_of_date) inner join as_of_dates using (as_of_date) "
        "inner join fitted_dates using (as_of_date) "
        "where bgnbd_r is not null and paretonbd_r is not null and gammagamma_p is not null",
    )
    known = dict(zip(columns, np.array(rows, dtype=float).T, strict=True))
    # in a small shop nobody is given less than after a single purchase
    large = known["customers"] >= simulated.vars.small_shop_customers
    return {name: column[large] for name, column in known.items()}


def test_persistence_is_last_years_spend_scaled_to_the_horizon(columns: Columns, simulated: Settings):
    """
    Over the history there is, which is shorter than a year here.
    """
    days = np.clip(columns["shop_age_days"], 1, 365)
    expected = columns["revenue_365d"] * simulated.vars.horizon_days / days

    np.testing.assert_allclose(columns["persistence_value"], expected, atol=CENT)


def test_empirical_bayes_follows_from_moments(columns: Columns, simulated: Settings):
    """
    Rates drawn from a gamma, orders of a value that is the customer's plus chance; both priors by moments of
    the date's customers.
    """
    for date in np.unique(columns["date"]):
        known = {name: column[columns["date"] == date] for name, column in columns.items()}
        n, revenue = known["purchase_days"], known["total_revenue"]
        mean = revenue / n
        repeats, days = n - 1, known["days_since_first_purchase"]
        rate = repeats.sum() / days.sum()
        spread = (((repeats - rate * days) ** 2).sum() - rate * days.sum()) / (days**2).sum()
        rates = (rate * rate / spread + repeats) / (rate / spread + days)

        usual = revenue.sum() / n.sum()
        within = (repeats * known["std_day_value"] ** 2).sum() / repeats.sum()
        between = (n * (mean - usual) ** 2).sum() - (n.size - 1) * within
        between /= n.sum() - (n**2).sum() / n.sum()
        weight = within / between
        order_values = np.maximum((usual * weight + revenue) / (weight + n), 0)

        assert spread > 0 and between > 0
        expected = rates * simulated.vars.horizon_days * order_values
        # squares are summed in hundredths of cents, so priors are off in the sixth digit
        np.testing.assert_allclose(known["empirical_bayes_value"], expected, rtol=1e-4, atol=CENT)


def test_btyd_is_purchases_times_order_value(columns: Columns, simulated: Settings):
    """
    With the parameters that were fitted: each model, the mean of both, and the logarithm of the purchases.
    """
    repeats, weeks = columns["purchase_days"] - 1, columns["days_since_first_purchase"] / 7
    recency, horizon = weeks - columns["days_since_last_purchase"] / 7, simulated.vars.horizon_days / 7
    bgnbd, paretonbd = (
        expected(repeats, recency, weeks, horizon, *(columns[f"{model}_{name}"] for name in names))
        for model, names, expected in (
            ("bgnbd", ("r", "alpha", "a", "b"), bgnbd_expected_purchases),
            ("paretonbd", ("r", "alpha", "s", "beta"), paretonbd_expected_purchases),
        )
    )
    order_value = gammagamma_expected_value(
        columns["purchase_days"],
        columns["total_revenue"] / columns["purchase_days"],
        *(columns[f"gammagamma_{name}"] for name in ("p", "q", "gamma")),
    )

    np.testing.assert_allclose(columns["bgnbd_value"], bgnbd * order_value, atol=CENT)
    np.testing.assert_allclose(columns["paretonbd_value"], paretonbd * order_value, atol=CENT)
    np.testing.assert_allclose(columns["btyd_value"], (bgnbd + paretonbd) / 2 * order_value, atol=CENT)

    w, purchases, chance = renewals(columns, simulated)
    others = (bgnbd + paretonbd) / 2
    renewal = (w * purchases + (1 - w) * others) * order_value
    np.testing.assert_allclose(columns["renewal_value"], renewal, atol=2 * CENT)
    np.testing.assert_array_equal(
        columns["probabilistic_value"],
        np.where(np.isnan(renewal), columns["btyd_value"], columns["renewal_value"]),
    )
    clock = np.where(np.isnan(w), 0, w * (1 - columns["renewal_within"] / LARGEST_VARIANCE))
    steady = np.where(clock > 0, clock * purchases * order_value, 0)
    steady += (1 - np.nan_to_num(clock)) * np.maximum(columns["persistence_value"], 0)
    np.testing.assert_allclose(columns["steady_value"], steady, atol=CENT)
    buying = np.where(np.isnan(renewal), 0, w * chance) + np.where(np.isnan(w), 1, 1 - w) * others / (
        1 + others
    )
    odds = np.maximum(buying, 1e-6) / np.maximum(1 - buying, 1e-6)
    np.testing.assert_allclose(columns["log_buying_odds"], np.log(odds), atol=2e-3)


def renewals(columns: Columns, simulated: Settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Chance of buying by a clock, then purchases and the chance of one, all NaN where no regular customers were
    found on the date; by the Python that fits.
    """
    count = columns["purchase_days"] - 1
    gaps = Gaps(
        count,
        np.where(count > 0, np.log(columns["typical_gap_days"]), 0),
        np.where(count > 1, (count - 1) * columns["gap_log_std"] ** 2, 0),
    )
    share, *kinds, a, b = (columns[f"renewal_{name}"] for name in RENEWAL_NAMES)
    regular, others = Kind(*kinds[:3]), Kind(*kinds[3:], RANDOM_VARIANCE)
    odds = share / (1 - share) * np.exp(regular.log_likelihood(gaps) - others.log_likelihood(gaps))
    own, variance = regular.own_gap(gaps)
    known = (
        count,
        columns["days_since_last_purchase"],
        simulated.vars.horizon_days,
        own,
        np.sqrt(variance + regular.within),
        a,
        b,
    )
    return odds / (1 + odds), renewal_expected_purchases(*known), renewal_chance(*known)
