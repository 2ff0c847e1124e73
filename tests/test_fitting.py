"""What the fit does to its targets and margins: by hand, and against simulated purchases."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import DAY, made_rows
from scipy.special import expit, logit

from clv_ml.learn import fitting
from clv_ml.learn.fitting import (
    CHANCE_STRETCH,
    PARTS,
    Parameters,
    choose_rounds,
    fit_churn,
    fit_recipe,
    fit_recipes,
    out_of_fold,
    out_of_time,
    ratio,
    with_calibrated_churn,
)
from clv_ml.learn.model_types import MODEL_TYPES
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.model.prediction import line_score, link, predict
from clv_ml.model.recipe import Output, Recipe


def test_the_cap_cuts_windfalls_and_no_ordinary_order():
    """
    With a cap of 8: eight times the anchor of a large customer, eight mean anchors for a small one; mean
    anchor 40.
    """
    rows = made_rows(
        np.array([900.0, 300.0, 500.0, 0.0]), anchor=np.array([100.0, 20.0, 20.0, 20.0]), recency=np.ones(4)
    )
    capped = PARTS["spend"].target(rows, rows.revenue / rows.anchor, Parameters(ratio_cap=8.0))
    assert capped * rows.anchor == pytest.approx([800.0, 300.0, 8 * 40.0, 0.0])


def test_the_cap_knows_each_date_by_itself():
    """A date of small anchors is not measured by the mean of another."""
    rows = made_rows(
        np.full(4, 1e6),
        anchor=np.array([1.0, 3.0, 100.0, 300.0]),
        as_of=np.array([DAY, DAY, DAY + 1, DAY + 1]),
    )
    capped = PARTS["spend"].target(rows, rows.revenue / rows.anchor, Parameters(ratio_cap=8.0))
    assert capped * rows.anchor == pytest.approx([16.0, 24.0, 1600.0, 2400.0])


def test_the_number_of_trees_goes_half_way_to_early_stopping(monkeypatch: pytest.MonkeyPatch):
    """
    Three folds that stop after 10, 20 and 60 trees, 30 in the mean, and a default of 150: 90. With too few
    customers for folds the default stays.
    """
    rows = made_rows(np.arange(1.0, 7.0))
    stops = iter([10, 20, 60] * len(PARTS))
    monkeypatch.setattr(fitting, "_best_round", lambda *_: next(stops))

    assert choose_rounds(rows, rows, Parameters(default_rounds=150)) == dict.fromkeys(PARTS, 90)
    few = rows.only(np.arange(6) < 2)
    assert choose_rounds(few, few, Parameters(default_rounds=150)) == dict.fromkeys(PARTS, 150)


def test_model_types_share_their_trees():
    """
    Fitted together, each model type predicts what it does fitted alone, from one set of boosters.
    """
    rows = made_rows(np.random.default_rng(3).gamma(1.0, 30.0, 300))
    together = fit_recipes(rows, rows.customers, MODEL_TYPES)

    for model_type, recipe in together.items():
        alone = fit_recipe(rows, rows.customers, model_type)
        for name, said in predict(alone, rows.values, rows.anchor).items():
            assert predict(recipe, rows.values, rows.anchor)[name] == pytest.approx(said, rel=1e-12)
    boosters = {id(recipe.boosters["chance"]) for recipe in together.values()}
    assert set(together) == set(MODEL_TYPES)
    assert len(boosters) == 1


def test_ratios_have_each_dates_total_taken_out():
    """Twice as much was spent on the second date by everybody: the trees see the same ratios."""
    rows = made_rows(
        np.array([10.0, 30.0, 20.0, 60.0]),
        anchor=np.array([20.0, 20.0, 20.0, 20.0]),
        as_of=np.array([DAY, DAY, DAY + 1, DAY + 1]),
    )
    assert ratio(rows) == pytest.approx([0.5, 1.5, 0.5, 1.5])


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
    said = predict(
        with_calibrated_churn(recipe, now.customers, log_change, *learned), now.values, now.anchor
    )["churn_probability"]

    assert said.mean() == pytest.approx(truth.mean(), abs=3 * 0.5 / np.sqrt(20_000))


def test_a_date_on_which_all_left_leaves_a_chance_of_staying():
    """Nobody of 99 bought: one in two hundred is taken to have, and as many of the next."""
    rows = _expecting(np.ones(99), purchases=np.zeros(99))
    recipe = fit_recipe(rows, rows.customers, "lightgbm")

    learned = fit_churn(out_of_time(recipe, rows), lambda day: 0.0)
    said = predict(with_calibrated_churn(recipe, rows.customers, 0.0, *learned), rows.values, rows.anchor)

    assert said["churn_probability"] == pytest.approx(1 - 0.5 / 100)


def _expecting(expected: np.ndarray, **changes: object) -> TrainingData:
    """Customers who differ in the purchases expected of them, and in a recency that says nothing."""
    recency = np.random.default_rng(1).random(expected.size)
    return made_rows(
        np.ones(expected.size),
        names=("days_since_last_purchase", "log_expected_purchases"),
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
    Who was said to leave stays, or nobody is ever told apart wrongly, as few rows may have it: these rows'
    slope is taken for 0 or 3, half of that counts, and the mean chance is still the share that left.
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

    found, surplus = fit_churn(out_of_time(recipe, truth), lambda day: 0.0)
    said = predict(
        with_calibrated_churn(recipe, rows.customers, 0.0, found, surplus), rows.values, rows.anchor
    )

    assert found == (fitted + CHANCE_STRETCH) / 2
    # half a customer is added to those who left, and one to all
    assert said["churn_probability"].mean() == pytest.approx((left.sum() + 0.5) / 401, abs=1e-6)


def test_where_nothing_can_be_checked_the_number_of_trees_stays():
    """Nobody to check on, or nobody of them bought: that says nothing of how many trees are best."""
    rows = made_rows(np.random.default_rng(1).gamma(1.0, 30.0, 300), recency=np.arange(300.0))
    usual = Parameters().default_rounds

    assert choose_rounds(rows, rows.only(np.zeros(300, dtype=bool)), Parameters()) == dict.fromkeys(
        PARTS, usual
    )
    nothing = replace(rows, revenue=np.zeros(300), purchases=np.zeros(300))
    assert choose_rounds(rows, nothing, Parameters())["spend"] == usual
    assert choose_rounds(rows, nothing, Parameters())["amount"] == usual


@pytest.mark.parametrize("buyers", [0, 1, 2, 12])
def test_a_handful_of_buyers_teaches_no_amount(buyers: int):
    """
    LightGBM refuses to draw a share of one row, and fewer than ten cannot be split: the amount is then the
    same for all, and the mean still has the anchors' total.
    """
    rows = made_rows(np.where(np.arange(30) < buyers, 40.0, 0.0), recency=np.arange(30.0))

    rounds = choose_rounds(rows, rows, Parameters())
    recipe = fit_recipe(rows, rows.customers, "lightgbm", rounds)

    predicted = predict(recipe, rows.values, rows.anchor)["clv_predicted"]
    assert np.isfinite(predicted).all()
    assert predicted.sum() == pytest.approx(rows.anchor.sum())


def test_who_is_likelier_to_buy_than_the_anchor_says_is_worth_more():
    """
    Simulated: a flag that the anchor does not know of moves the margin of buying by 1 either way. The line
    that stands for the anchor's own chance meets the shares that bought, in tenths of the anchor, within four
    standard errors of 4,000 customers; and of two customers of one anchor, one with the flag, the term
    differs as their true chances do once their margins are stretched by a quarter around the usual one,
    within 15 % (trees are no exact curve).
    """
    rng = np.random.default_rng(3)
    relative = np.sort(rng.normal(0, 1, 40_000))
    lively = rng.random(relative.size) < 0.5
    bought = rng.random(relative.size) < expit(0.8 * relative - 0.4 + np.where(lively, 1.0, -1.0))
    rows = made_rows(
        bought * np.exp(relative) * 10,
        anchor=np.exp(relative) * 4,
        names=("log_anchor_to_mean", "lively"),
        types=("double", "integer"),
        values=np.column_stack([relative, lively]),
    )

    recipe = fit_recipe(rows, rows.customers, "lightgbm", dict.fromkeys(PARTS, 600))

    line = recipe.outputs[0].terms[1].factors[1]
    chance = 1 / link(line_score(line, rows.values), line.link)
    for tenth in np.array_split(np.arange(relative.size), 10):
        assert chance[tenth].mean() == pytest.approx(bought[tenth].mean(), abs=0.03)
    pair = np.array([[-0.5, 1.0], [-0.5, 0.0]])
    second = replace(recipe, outputs=(Output("clv_predicted", recipe.outputs[0].terms[1:]),))
    two = predict(second, pair, np.full(2, 10.0))["clv_predicted"]
    lively_chance, lost_chance = expit(
        np.array([1.25 * said - 0.25 * logit(bought.mean()) for said in (0.2, -1.8)])
    )
    assert two[0] / two[1] == pytest.approx(lively_chance / lost_chance, rel=0.15)


def test_who_spends_more_once_they_buy_is_worth_the_square_root_of_it_more():
    """
    Simulated: buying is a coin's toss for everybody, and those with a flag that the anchor does not know of
    spend four times as much; lognormal, so that one order says little. Of two customers alike but for the
    flag, the second term differs by the square root of four, within 5 % (150 small steps of trees stop short
    of the whole); rows that spent nothing taught nothing.
    """
    rng = np.random.default_rng(4)
    generous = rng.random(20_000) < 0.5
    amount = np.where(generous, 40.0, 10.0) * rng.lognormal(0, 0.8, generous.size)
    rows = made_rows(
        np.where(rng.random(generous.size) < 0.5, amount, 0.0),
        anchor=np.full(generous.size, 12.0),
        names=("generous",),
        values=generous[:, None].astype(float),
    )

    target = PARTS["amount"].target(rows, ratio(rows), Parameters())
    fitted = fit_recipe(rows, rows.customers, "lightgbm")
    tweedie, hurdle = fitted.outputs[0].terms

    assert np.isnan(target).tolist() == (rows.revenue == 0).tolist()
    recipe = replace(fitted, outputs=(Output("clv_predicted", (hurdle,)),))
    two = predict(recipe, np.array([[1.0], [0.0]]), np.full(2, 12.0))["clv_predicted"]
    assert two[0] / two[1] == pytest.approx(2.0, rel=0.05)
    assert [factor.name for factor in tweedie.factors] == ["spend"]


def test_the_terms_of_a_mean_have_their_shares_of_todays_total():
    """
    A fifth for the trees of the ratio, four fifths for the hurdle; of the ensemble two thirds of that, and a
    third for the line.
    """
    rows = made_rows(np.random.default_rng(3).gamma(0.5, 30.0, 300) * (np.arange(300) % 3 > 0))

    recipes = fit_recipes(rows, rows.customers, MODEL_TYPES)

    for model_type, shares in {
        "lightgbm": [1 / 5, 4 / 5],
        "ridge": [1],
        "ensemble": [2 / 15, 8 / 15, 1 / 3],
    }.items():
        mean, _ = recipes[model_type].outputs
        alone = [replace(recipes[model_type], outputs=(Output("one", (term,)),)) for term in mean.terms]
        totals = [predict(one, rows.values, rows.anchor)["one"].sum() for one in alone]
        assert totals == pytest.approx([share * rows.anchor.sum() for share in shares])


def test_without_the_anchors_feature_or_a_choice_the_usual_chance_is_the_share():
    """Everybody bought, and the rows have no logarithm of the anchor: one chance for all, below 1."""
    rows = made_rows(np.full(200, 5.0), recency=np.arange(200.0))

    line = fit_recipe(rows, rows.customers, "lightgbm").outputs[0].terms[1].factors[1]

    assert not any(line.coefficients)
    assert expit(line.intercept) == pytest.approx(0.99)


def test_out_of_fold_nobody_is_predicted_by_what_was_learned_from_them():
    """
    Ninety customers on two known dates, ten of them and five strangers on the date to predict: each by a fit
    on other people, and with all of the others' rows.
    """
    names = np.array([f"c{number:02}" for number in range(90)])
    known = made_rows(np.ones(180), customer=np.tile(names, 2), recency=np.arange(180.0))
    rows = made_rows(np.ones(15), customer=np.append(names[:10], [f"s{number}" for number in range(5)]))
    learned, predicted = [], []

    def fit(others: TrainingData, today: Customers) -> Recipe:
        learned.append(others.customer)
        predicted.append(today)
        return Recipe(known.names, None, ())

    rehearsal = out_of_fold(rows, fit, known)

    assert rehearsal.rows is rows
    for number, (others, today) in enumerate(zip(learned, predicted, strict=True)):
        mine = rows.customer[rehearsal.part == number]
        assert len(today.anchor) == mine.size
        assert not set(mine) & set(others)
        assert (np.unique(others, return_counts=True)[1] == 2).all()
    assert sum(others.size for others in learned) == 2 * 180
