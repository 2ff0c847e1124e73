"""Every figure of an evaluation, by hand."""

from dataclasses import fields, replace

import numpy as np
import pytest
from made_evaluations import evaluation

from clv_ml.measure.backtest_tables import metric_rows
from clv_ml.measure.evaluation import (
    Evaluation,
    all_metrics,
    pooled,
    segments,
    spend_band,
    tenure_and_orders,
)


def test_spend_bands_are_fifths_from_the_lowest():
    """
    Ten anchors, two to a band, whatever their order.
    """
    anchor = np.array([9.0, 1, 8, 2, 7, 3, 6, 4, 5, 0])

    np.testing.assert_array_equal(spend_band(anchor).astype(int), anchor.astype(int) // 2 + 1)


def test_tenure_and_orders_at_their_edges():
    """
    Each band holds what it begins with, and nothing of the next.
    """
    days, orders = np.array([0.0, 89, 90, 364, 365, 729, 730]), np.array([1.0, 1, 2, 3, 4, 9, 10])

    assert tenure_and_orders(days, orders).tolist() == [
        "under 90 days, 1 order",
        "under 90 days, 1 order",
        "90 to 364 days, 2 to 3 orders",
        "90 to 364 days, 2 to 3 orders",
        "1 to 2 years, 4 to 9 orders",
        "1 to 2 years, 4 to 9 orders",
        "over 2 years, 10 orders and more",
    ]


def test_what_could_not_be_fitted_has_figures_that_are_not_defined():
    """
    Every metric is there and is no number, so that a table can say so; on a date that has the estimator it
    has figures, and all dates together have none.
    """
    actual = np.arange(10.0)
    without = replace(evaluation("2024-01-01", actual, model=actual), unfitted=("bgnbd",))
    fitted = evaluation("2024-02-01", actual, model=actual, bgnbd=actual)

    assert np.isnan(list(all_metrics(without)["bgnbd"].values())).all()
    assert set(all_metrics(without)["bgnbd"]) == set(all_metrics(without)["model"])
    assert all_metrics(fitted)["bgnbd"]["mae"] == 0
    assert pooled([without, fitted]).unfitted == ("bgnbd",)
    found = {
        (estimator, metric): value
        for _, segment, estimator, metric, value, _ in metric_rows(without)
        if segment == "all"
    }
    assert np.isnan(found["bgnbd", "r2"])
    assert found["model", "r2"] == 1


def test_coverage_is_counted_by_hand():
    """
    Ten customers, the top two by prediction one in and one out; edges are inside.
    """
    actual = np.arange(10.0)
    made = replace(
        evaluation("2024-01-01", actual, model=actual + 1),
        low=np.array([0.0, 2, 2, 3, 4, 5, 6, 7, 8, 9.5]),
        high=np.array([0.0, 9, 9, 3, 4, 5, 6, 7, 8, 9.9]),
    )
    figures = {metric: value for _, segment, _, metric, value, _ in metric_rows(made) if segment == "all"}

    assert figures["coverage"] == pytest.approx(0.8)
    assert figures["coverage_top_fifth"] == pytest.approx(0.5)
    assert (figures["above_high"], figures["below_low"]) == (0.0, 0.2)
    # ten times what lies outside: one customer is 1 below the lower bound, one 0.5
    assert figures["interval_score_to_mean"] == pytest.approx((7 + 7 + 0.4 + 10 * (1 + 0.5)) / 10 / 4.5)


def test_churn_is_shown_by_tenth_of_its_chance():
    """
    Chances of 0.05 to 0.95, two customers each, of whom one left where the chance is above a half.
    """
    chance = np.repeat(np.arange(10) / 10 + 0.05, 2)
    made = replace(
        evaluation("2024-01-01", np.ones(20), model=np.ones(20)),
        churn=chance,
        left=(chance > 0.5) & (np.arange(20) % 2 > 0),
    )
    found = {
        (segment, metric): (value, customers)
        for _, segment, _, metric, value, customers in metric_rows(made)
        if segment.startswith("churn_decile")
    }

    assert found["churn_decile=1", "churn_predicted"] == (pytest.approx(0.05), 2)
    assert [found[f"churn_decile={n}", "churn_observed"][0] for n in range(1, 11)] == [0.0] * 5 + [0.5] * 5


def test_all_dates_together_are_their_rows_one_after_the_other():
    """
    Only estimators that every date has; every array of every field in the same order.
    """
    one = evaluation("2024-01-01", np.array([1.0, 2.0]), model=np.array([3.0, 4.0]), btyd=np.ones(2))
    two = evaluation("2024-02-01", np.array([5.0]), model=np.array([6.0]))

    both = pooled([one, two])

    assert both.as_of is None and list(both.predicted) == ["model"]
    for field in fields(Evaluation):
        value = getattr(both, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, [*getattr(one, field.name), *getattr(two, field.name)])
    assert segments(both)["spend_band=1"].tolist() == [True, False, True]
