"""The median, against draws of what it is the median of; and the recipe that publishes it, by the formula."""

import numpy as np
import pytest
from made_rows import made_rows
from scipy.stats import fisk

from clv_ml.learn.churn import ChurnCalibration, with_calibrated_churn
from clv_ml.learn.median_value import SPREADS, USUAL_SPREAD, fit_spread, median_value, with_median
from clv_ml.learn.model_types import fit_recipe
from clv_ml.model.onnx_export import export_onnx
from clv_ml.model.parity import check_parity
from clv_ml.model.prediction import predict

DRAWS = 400_000


def _drawn(rng: np.random.Generator, mean: float, buying: float, spread: float, draws: int) -> np.ndarray:
    """
    Values of customers who buy with a chance, and then spend a log-logistic amount of expectation mean /
    chance.
    """
    amount = fisk(1 / spread)
    scale = mean / buying / amount.mean()
    return (rng.random(draws) < buying) * scale * amount.rvs(draws, random_state=rng)


@pytest.mark.parametrize(("buying", "spread"), [(0.95, 0.3), (0.8, 0.4), (0.6, 0.2), (0.55, 0.6)])
def test_it_is_the_median_of_what_customers_spend(buying: float, spread: float):
    """
    The median of 400,000 draws: near one half its density is low, so three standard errors by the draws' own
    quantiles.
    """
    drawn = _drawn(np.random.default_rng(5), 60.0, buying, spread, DRAWS)
    near = 1.5 / np.sqrt(DRAWS)
    low, high = np.quantile(drawn, [0.5 - near, 0.5 + near])

    (predicted,) = median_value(np.array([60.0]), np.array([buying]), spread)
    assert low <= predicted <= high


def test_it_is_zero_where_most_buy_nothing():
    """At a chance of one half, below it and at none at all."""
    assert median_value(np.full(3, 80.0), np.array([0.5, 0.3, 0.0]), 0.4).tolist() == [0, 0, 0]


@pytest.mark.parametrize("spread", [0.1, 0.4, 0.7])
def test_the_spread_of_amounts_is_found(spread: float):
    """
    Within a tenth of what 20,000 customers were drawn with, and never farther from the usual spread than
    that.
    """
    rng = np.random.default_rng(8)
    buying, mean = rng.uniform(0.2, 0.98, 20_000), rng.gamma(2.0, 50.0, 20_000)
    amount = fisk(1 / spread)
    scale = mean / buying / amount.mean()
    actual = (rng.random(20_000) < buying) * scale * amount.rvs(20_000, random_state=rng)

    found = fit_spread(made_rows(actual), 3 * mean, buying)
    assert abs(found - spread) <= 0.1 + 1e-9
    assert abs(found - USUAL_SPREAD) <= abs(spread - USUAL_SPREAD) + 1e-9


def test_a_date_without_spend_says_nothing_of_the_spread():
    """Nor one on which nothing was expected."""
    nothing, some = np.zeros(4), np.ones(4)
    assert fit_spread(made_rows(nothing), some, some) == USUAL_SPREAD
    assert fit_spread(made_rows(some), nothing, some) == USUAL_SPREAD
    assert USUAL_SPREAD in SPREADS.round(3)


def test_the_published_recipe_says_what_the_formula_says():
    """
    Of the mean and of the chance of churn that are published with it, also through ONNX.
    """
    rng = np.random.default_rng(2)
    anchor, recency = rng.gamma(2.0, 40.0, 600), rng.integers(1, 300, 600).astype(float)
    bought = rng.random(600) < np.where(recency < 100, 0.9, 0.2)
    rows = made_rows(
        bought * rng.gamma(2.0, anchor),
        anchor=anchor,
        names=("days_since_last_purchase", "log_buying_odds"),
        types=("integer", "double"),
        values=np.column_stack([recency, np.log(anchor / 40)]),
    )
    recipe = with_calibrated_churn(
        fit_recipe(rows, rows.customers, "lightgbm"), rows.customers, 0.2, ChurnCalibration(1.3, -0.1)
    )

    published = with_median(recipe, 0.3)
    predicted = predict(published, rows.values, rows.anchor)

    expected = median_value(predicted["clv_predicted"], 1 - predicted["churn_probability"], 0.3)
    assert [output.name for output in published.outputs] == [
        "clv_predicted",
        "clv_typical",
        "churn_probability",
    ]
    assert 0.2 < (expected > 0).mean() < 0.9
    np.testing.assert_allclose(predicted["clv_typical"], expected, rtol=1e-9, atol=1e-9)
    assert check_parity(published, export_onnx(published), rows.values, rows.anchor).rows > len(rows)
