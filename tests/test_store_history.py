"""What is said of a shop's totals, by hand."""

from datetime import date

import numpy as np
import pytest

from clv_ml.learn.store_history import PastWindow, StoreHistory


def _history(*misses: float | None) -> StoreHistory:
    """Windows that were missed by these logarithms (actual over expected); None: not known yet."""
    days = np.datetime64("2024-01-01") + 30 * np.arange(len(misses))
    windows = {
        day: PastWindow(day, day + 90, 0.1, None if miss is None else 0.1 + miss)
        for day, miss in zip(days, misses, strict=True)
    }
    return StoreHistory(date(2025, 1, 1), 366, "hash", {}, {}, windows)


def test_totals_that_are_always_missed_on_one_side_are_named():
    """Seven windows over-forecast: the mean of the logarithms is -.343, so by 41 % on average."""
    reasons = _history(-1.0, -0.5, -0.3, -0.1, -0.1, -0.2, -0.2, None).missed_on_one_side()

    assert reasons == ["totals of this shop were over-forecast 7 times of 7, by 41% on average"]


def test_totals_that_fell_short_are_named_too():
    """
    The mean of the logarithms is .49: 39 % less was forecast than came. One of ten on the other side changes
    no habit.
    """
    reasons = _history(*[0.55] * 9, -0.05).missed_on_one_side()

    assert reasons == ["totals of this shop were under-forecast 9 times of 10, by 39% on average"]


@pytest.mark.parametrize(
    "misses",
    [(-0.5, -0.5), (-0.15, -0.15, -0.2), (-2.0, 0.4, 0.3, -1.0), ()],
    ids=["two windows", "by less than a fifth", "on both sides", "nothing known"],
)
def test_chance_is_no_habit(misses: tuple[float, ...]):
    """Few windows, small misses and misses on both sides say nothing."""
    assert _history(*misses).missed_on_one_side() == []


@pytest.mark.parametrize(
    ("misses", "factor"),
    [
        ((0.7, -0.7, 0.7), "2.0"),
        ((-3.0, 2.0, -2.0, None), "10.8"),
        ((0.6, -0.6, 0.7), None),
        ((3.0, -3.0), None),
        ((), None),
    ],
)
def test_totals_that_are_missed_by_factors_are_said_to_be_a_guess(
    misses: tuple[float | None, ...], factor: str | None
):
    """The root of the mean square of three logarithms or more, from a factor of two on, whatever the side."""
    reasons = _history(*misses).missed_widely()

    assert len(reasons) == (factor is not None)
    assert all(
        f"were off by a factor of {factor}, as this one may be, to either side" in one for one in reasons
    )
