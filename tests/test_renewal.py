"""Customers who buy by a clock: who they are, when they are due, and how often they renew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clv_ml.learn.likelihood_search import search
from clv_ml.learn.renewal import renewal_chance, renewal_expected_purchases
from clv_ml.learn.renewal_fitting import RENEWAL_STARTS, fit_renewal, renewal_likelihood

EXACT = 0.01
"""Deviation of the logarithm of a gap: due dates that do not vary."""
Array = NDArray[np.float64]


def test_due_dates_inside_the_horizon_are_counted():
    """
    Worked by hand: due in 20, 50 and 80 days, renewed with chances 1/2, then 2/3, then 3/4.
    """
    months = (0, 10, 91, np.log(30), EXACT, 1, 1)

    assert renewal_expected_purchases(*months) == pytest.approx(1 / 2 + 1 / 3 + 1 / 4, rel=1e-6)
    assert renewal_chance(*months) == pytest.approx(1 / 2, rel=1e-6)


def test_nothing_is_expected_before_the_due_date_or_long_after_it():
    """
    A yearly plan: due after the horizon; due within it; and ten months overdue, which nobody comes back from.
    """
    silent = np.array([100.0, 300.0, 665.0])

    chance = renewal_chance(3, silent, 182, np.log(365), EXACT, 1, 4)
    expected = renewal_expected_purchases(3, silent, 182, np.log(365), EXACT, 1, 4)

    np.testing.assert_allclose(chance, [0, 7 / 8, 0], atol=1e-6)
    np.testing.assert_allclose(expected, [0, 7 / 8, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("renewals", "silent", "sd"), [(0, 3, 0.3), (5, 20, 0.3), (5, 45, 0.3), (2, 29, 0.1)]
)
def test_expectations_match_simulated_lives(renewals: int, silent: float, sd: float):
    """
    200,000 customers who renewed so often and have been silent for so long. Within 2 %, or a hundredth of a
    purchase: sums of several gaps are taken for normal.
    """
    rng = np.random.default_rng(5)
    a, b, horizon, n = 1.5, 6.0, 120.0, 200_000
    stays = rng.beta(b + renewals, a, n)
    day = rng.lognormal(np.log(30), sd, n)
    there = rng.random(n) < stays
    possible = ~there | (day > silent)
    bought = np.zeros(n)
    for _ in range(20):
        bought += there & (day <= silent + horizon)
        day = day + rng.lognormal(np.log(30), sd, n)
        there &= rng.random(n) < stays
    known = (renewals, silent, horizon, np.log(30), sd, a, b)

    assert renewal_expected_purchases(*known) == pytest.approx(bought[possible].mean(), rel=0.02, abs=0.01)
    assert renewal_chance(*known) == pytest.approx((bought[possible] > 0).mean(), rel=0.02, abs=0.01)


@pytest.mark.parametrize(
    ("survived", "a", "b", "log_likelihood"),
    [
        ((1000, 631, 468, 382, 326, 289, 262, 241), 0.704, 1.182, -1680.3),
        ((1000, 869, 743, 653, 593, 551, 517, 491), 0.668, 3.806, -1611.2),
    ],
)
def test_the_published_retention_curves_are_met(
    survived: tuple[int, ...], a: float, b: float, log_likelihood: float
):
    """
    Fader and Hardie (2007): regular and high-end customers, seven renewals, to the digits of the paper.
    """
    left = -np.diff(survived)
    renewals = np.arange(len(survived), dtype=float)
    renewals[-1] = left.size
    still_due = np.append(np.zeros(left.size), 1.0)
    customers = np.append(left, survived[-1]).astype(float)

    found, cost, _ = search(RENEWAL_STARTS, renewal_likelihood, (renewals, still_due), customers)

    assert found == pytest.approx([b, a], abs=6e-4)
    assert -cost * customers.sum() == pytest.approx(log_likelihood, abs=0.06)


def gaps_of(rng: np.random.Generator, n: int, is_regular: NDArray[np.bool_]) -> tuple[Array, ...]:
    """
    Gaps of n customers, 1 to 8 each, as ``fit_renewal`` takes them; all are still in force. Regular ones come
    every 30 days, give or take a tenth; the others at random, every 60 days in the mean.
    """
    count = rng.integers(1, 9, n)
    logs = np.where(
        is_regular[:, None],
        np.log(30) + rng.normal(0, 0.05, (n, 1)) + rng.normal(0, 0.1, (n, 8)),
        np.log(np.ceil(rng.exponential(60, (n, 8)))),
    )
    logs = np.where(np.arange(8) < count[:, None], logs, np.nan)
    spread = np.zeros(n)
    spread[count > 1] = np.nanstd(logs[count > 1], axis=1, ddof=1)
    return count.astype(float), np.nanmean(logs, axis=1), spread, np.full(n, 5.0)


def test_regular_customers_are_found_among_others():
    """
    Of 2,000 customers 30 % buy by the clock. Tolerances are three standard errors or so.
    """
    rng = np.random.default_rng(2)

    fit = fit_renewal(*gaps_of(rng, 2000, np.arange(2000) < 600))

    assert fit.converged
    assert fit.parameters["share"] == pytest.approx(0.3, abs=0.04)
    assert fit.parameters["log_gap"] == pytest.approx(np.log(30), abs=0.02)
    assert fit.parameters["within"] == pytest.approx(0.01, rel=0.25)


def test_a_shop_without_regular_customers_has_no_fit():
    """
    Purchases at random, and a shop where hardly anybody came back.
    """
    rng = np.random.default_rng(2)
    random = gaps_of(rng, 2000, np.zeros(2000, dtype=bool))

    assert not fit_renewal(*random).converged
    assert not fit_renewal(*(column[:9] for column in random)).converged


def test_who_renewed_more_often_is_expected_to_renew_more():
    """
    And who is silent for longer beyond the due date, less.
    """
    renewals, silent = np.meshgrid(np.arange(10.0), np.array([10.0, 31.0, 40.0, 60.0]))

    expected = renewal_expected_purchases(renewals.ravel(), silent.ravel(), 91, np.log(30), 0.2, 1, 4)

    assert (np.diff(expected.reshape(4, 10), axis=1) >= 0).all()
    assert (np.diff(expected.reshape(4, 10)[1:], axis=0) < 0).all()
