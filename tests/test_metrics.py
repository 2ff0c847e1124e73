"""Metrics against values worked by hand, and at their limits."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from clv_ml.measure.metrics import (
    METRICS,
    decile_mape,
    decile_table,
    decile_wape,
    evaluate_predictions,
    mean_absolute_error,
    mean_absolute_percentage_error,
    normalised_gini,
    normalised_mae,
    r_squared,
    root_mean_squared_error,
    spearman,
    top_decile_lift,
    total_bias,
)

ACTUAL = np.array([0.0, 10.0, 20.0, 50.0])
PREDICTED = np.array([5.0, 10.0, 10.0, 55.0])


@pytest.fixture
def skewed() -> tuple[np.ndarray, np.ndarray]:
    """Two thousand customers, most of them at zero, and a noisy forecast."""
    rng = np.random.default_rng(4)
    actual = np.where(rng.random(2000) < 0.6, 0, rng.lognormal(3, 1, 2000))
    return actual, actual * rng.lognormal(0, 0.5, 2000) + rng.gamma(1, 5, 2000)


def test_errors_by_hand():
    """
    Errors are 5, 0, -10, 5: absolute mean 5, squares' mean 37.5; percentages skip the customer who spent
    nothing.
    """
    assert mean_absolute_error(ACTUAL, PREDICTED) == 5.0
    assert normalised_mae(ACTUAL, PREDICTED) == 0.25
    assert root_mean_squared_error(ACTUAL, PREDICTED) == pytest.approx(np.sqrt(37.5))
    assert mean_absolute_percentage_error(ACTUAL, PREDICTED) == pytest.approx((0 + 0.5 + 0.1) / 3)
    assert r_squared(ACTUAL, PREDICTED) == pytest.approx(1 - 150 / 1400)
    assert total_bias(ACTUAL, PREDICTED) == 0.0


def test_bias_is_the_same_for_twice_and_half():
    """
    |ln| treats a total twice as large like one half as large.
    """
    assert total_bias(ACTUAL, 2 * ACTUAL) == pytest.approx(np.log(2))
    assert total_bias(ACTUAL, ACTUAL / 2) == pytest.approx(np.log(2))


def test_errors_agree_with_scikit_learn(skewed: tuple[np.ndarray, np.ndarray]):
    """
    An independent implementation gives the same; Spearman up to ties, which fall at random here.
    """
    actual, predicted = skewed

    assert mean_absolute_error(actual, predicted) == pytest.approx(
        reference.mean_absolute_error(actual, predicted)
    )
    assert root_mean_squared_error(actual, predicted) == pytest.approx(
        reference.root_mean_squared_error(actual, predicted)
    )
    assert r_squared(actual, predicted) == pytest.approx(reference.r2_score(actual, predicted))
    spent = actual > 0
    assert spearman(actual[spent], predicted[spent]) == pytest.approx(
        stats.spearmanr(actual[spent], predicted[spent]).statistic
    )


def test_a_perfect_forecast_scores_perfectly(skewed: tuple[np.ndarray, np.ndarray]):
    """
    1 for the rankings and R², 0 for the errors. Spearman's ties fall at random, so it is 1 only where there
    are none.
    """
    actual, _ = skewed
    distinct = actual[actual > 0]

    found = evaluate_predictions(actual, actual)

    assert found["r2"] == found["gini"] == 1.0
    assert spearman(distinct, distinct) == pytest.approx(1.0)
    assert 0.5 < found["spearman"] < 1.0
    for name in ("mae", "nmae", "rmse", "mape", "bias", "decile_mape", "decile_wape"):
        assert found[name] == 0.0, name


def test_a_constant_forecast_ranks_nobody_even_in_sorted_data(skewed: tuple[np.ndarray, np.ndarray]):
    """
    Customers sorted by the answer, as a join may leave them, give a constant no credit: ties fall at random.
    """
    best_first = np.sort(skewed[0])[::-1]

    found = evaluate_predictions(best_first, np.full(best_first.size, 7.0))

    assert abs(found["gini"]) < 0.1
    assert abs(found["spearman"]) < 0.1
    assert found["top_decile_lift"] == pytest.approx(1.0, abs=0.3)


def test_the_opposite_ranking_is_as_bad_as_the_right_one_is_good(skewed: tuple[np.ndarray, np.ndarray]):
    """
    Without ties among the actuals, the Gini of the reversed ranking is exactly -1.
    """
    actual = skewed[0][skewed[0] > 0]

    assert normalised_gini(actual, -actual) == pytest.approx(-1.0)


def test_top_decile_lift_by_hand():
    """
    Of ten customers the one predicted highest spent 40 where the mean is 10: four times.
    """
    actual = np.array([40.0, *([20.0] * 3), *([0.0] * 6)])

    assert top_decile_lift(actual, actual) == 4.0
    assert top_decile_lift(actual, -actual) == 0.0


def test_deciles_by_hand():
    """
    Twenty customers, each tenth two of them; errors of one tenth only count that tenth.
    """
    actual = np.repeat(np.arange(1.0, 11.0), 2)
    predicted = actual.copy()
    predicted[-2:] += 5.0

    expected, happened = decile_table(actual, predicted)

    np.testing.assert_array_equal(happened, np.arange(1.0, 11.0))
    np.testing.assert_array_equal(expected, [*np.arange(1.0, 10.0), 15.0])
    assert decile_mape(actual, predicted) == pytest.approx(0.5 / 10)
    assert decile_wape(actual, predicted) == pytest.approx(5 / 55)


def test_refunds_make_negative_actuals_and_no_metric_fails():
    """
    Signed actuals are measured as they are.
    """
    found = evaluate_predictions(np.array([-5.0, 0.0, 30.0, 8.0]), np.array([1.0, 1.0, 20.0, 9.0]))

    assert found["mae"] == pytest.approx((6 + 1 + 10 + 1) / 4)
    assert all(np.isfinite(value) for value in found.values())


def test_what_is_not_defined_is_nan():
    """
    Nobody spent anything: errors are defined, shares and rankings of spend are not.
    """
    nothing = np.zeros(5)

    found = evaluate_predictions(nothing, np.arange(5.0))

    assert found["mae"] == 2.0
    for name in ("r2", "mape", "nmae", "gini", "top_decile_lift", "bias"):
        assert np.isnan(found[name]), name


def test_metrics_are_plain_numbers_under_their_names(skewed: tuple[np.ndarray, np.ndarray]):
    """
    `evaluate` returns every metric, each a float, the same each time.
    """
    found = evaluate_predictions(*skewed)

    assert list(found) == list(METRICS)
    assert {type(value) for value in found.values()} == {float}
    assert evaluate_predictions(*skewed) == found
