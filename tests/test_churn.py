"""The chance of churn: its level and its stretch, against simulated purchases."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_rows
from scipy.special import expit, logit

from clv_ml.learn.boosters import Parameters
from clv_ml.learn.churn import CHANCE_STRETCH, fit_churn, with_calibrated_churn
from clv_ml.learn.model_types import fit_recipe
from clv_ml.learn.out_of_sample import out_of_fold, out_of_time
from clv_ml.learn.training_data import TrainingData
from clv_ml.model.prediction import predict


@pytest.mark.parametrize("log_change", [-0.7, 0.0, 0.4])
def test_as_many_are_said_to_leave_as_the_purchases_expected_say(log_change: float):
    """
    Geometric purchases of known mean, half of what the formula expects: on the date that is learned from
    everybody's pace is 0, on the next it is ``log_change``, and its customers buy less often for the most
    part. The mean chance of none is the known one (20,000 customers toss for it: 3 standard errors), whatever
    the trees make of the new customers.
    """
    rng = np.random.default_rng(0)
    expected = rng.gamma(1.0, 2.0, 20_000)
    stays = rng.random(20_000) < 0.5 * expected / (1 + 0.5 * expected)
    then = _expecting(expected, purchases=stays.astype(float))
    recipe = fit_recipe(then.only(np.arange(20_000) < 2_000), then.customers, "lightgbm")
    now = _expecting(rng.gamma(1.0, 0.7, 5_000))
    truth = 1 / (1 + 0.5 * np.exp(now.values[:, 1] + log_change))

    learned = fit_churn(out_of_time(recipe, then), lambda day: 0.0)
    predicted = predict(
        with_calibrated_churn(recipe, now.customers, log_change, learned), now.values, now.anchor
    )["churn_probability"]

    assert predicted.mean() == pytest.approx(truth.mean(), abs=3 * 0.5 / np.sqrt(20_000))


def test_a_date_on_which_all_left_leaves_a_chance_of_staying():
    """Nobody of 99 bought: one in two hundred is taken to have, and as many of the next."""
    rows = _expecting(np.ones(99), purchases=np.zeros(99))
    recipe = fit_recipe(rows, rows.customers, "lightgbm")

    learned = fit_churn(out_of_time(recipe, rows), lambda day: 0.0)
    predicted = predict(with_calibrated_churn(recipe, rows.customers, 0.0, learned), rows.values, rows.anchor)

    assert predicted["churn_probability"] == pytest.approx(1 - 0.5 / 100)


def _expecting(expected: np.ndarray, **changes: object) -> TrainingData:
    """Customers who differ in the purchases expected of them, and in a recency that says nothing."""
    recency = np.random.default_rng(1).random(expected.size)
    return made_rows(
        np.ones(expected.size),
        names=("days_since_last_purchase", "log_buying_odds"),
        types=("integer", "double"),
        values=np.column_stack([recency, np.log(expected)]),
        **changes,
    )


def test_a_chance_learned_by_heart_is_found_out_of_fold():
    """
    Whether anybody leaves is a coin's toss that no feature knows, and the trees learn the very rows. Judged
    on those, their margins seem too timid (slope above 1); judged on customers whom they did not see, they
    are worth nothing (slope half way to 0).
    """
    rng = np.random.default_rng(5)
    rows = made_rows(rng.integers(0, 2, 900) * 10.0, recency=rng.random(900))
    greedy = Parameters(l2=0.0, leaves=31)

    def fit(part, today):
        return fit_recipe(part, today, "lightgbm", parameters=greedy)

    by_heart, _ = fit_churn(out_of_time(fit(rows, rows.customers), rows), lambda day: 0.0)
    apart, _ = fit_churn(out_of_fold(rows, fit), lambda day: 0.0)

    assert by_heart > 1
    assert apart == pytest.approx(CHANCE_STRETCH / 2, abs=0.15)


@pytest.mark.parametrize(("sign", "fitted"), [(-1, 0.0), (50, 3.0)])
def test_a_margin_of_churn_is_neither_turned_round_nor_blown_up(sign: int, fitted: float):
    """
    Who was predicted to leave stays, or nobody is ever told apart wrongly, as few rows may have it: these
    rows' slope is taken for 0 or 3, half of that counts, and the mean chance is still the share that left.
    """
    rng = np.random.default_rng(6)
    rows = made_rows(np.ones(400), recency=rng.random(400))
    recipe = fit_recipe(
        made_rows(rng.integers(0, 2, 400) * (rows.values[:, 0] < 0.6) * 9.0, recency=rows.values[:, 0]),
        rows.customers,
        "lightgbm",
    )
    margins = logit(predict(recipe, rows.values, rows.anchor)["churn_probability"])
    chance = expit(sign * (margins - np.median(margins)))
    left = rng.random(400) < chance
    truth = replace(rows, purchases=1.0 - left)

    found = fit_churn(out_of_time(recipe, truth), lambda day: 0.0)
    predicted = predict(with_calibrated_churn(recipe, rows.customers, 0.0, found), rows.values, rows.anchor)

    assert found.slope == (fitted + CHANCE_STRETCH) / 2
    # half a customer is added to those who left, and one to all
    assert predicted["churn_probability"].mean() == pytest.approx((left.sum() + 0.5) / 401, abs=1e-6)
