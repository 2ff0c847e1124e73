"""The model types: shares of the mean by hand, and what their terms make of simulated purchases."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_rows
from scipy.special import expit, logit

from clv_ml.learn.boosters import BOOSTERS, Parameters, choose_rounds, ratio
from clv_ml.learn.model_types import fit_recipe, fit_recipes
from clv_ml.model.model_types import MODEL_TYPES
from clv_ml.model.prediction import line_score, link, predict
from clv_ml.model.recipe import Output


def test_model_types_share_their_trees():
    """
    Fitted together, each model type predicts what it does fitted alone, from one set of boosters.
    """
    rows = made_rows(np.random.default_rng(3).gamma(1.0, 30.0, 300))
    together = fit_recipes(rows, rows.customers, MODEL_TYPES)

    for model_type, recipe in together.items():
        alone = fit_recipe(rows, rows.customers, model_type)
        for name, predicted in predict(alone, rows.values, rows.anchor).items():
            assert predict(recipe, rows.values, rows.anchor)[name] == pytest.approx(predicted, rel=1e-12)
    boosters = {id(recipe.boosters["chance"]) for recipe in together.values()}
    assert set(together) == set(MODEL_TYPES)
    assert len(boosters) == 1


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

    recipe = fit_recipe(rows, rows.customers, "lightgbm", dict.fromkeys(BOOSTERS, 600))

    line = recipe.outputs[0].terms[1].factors[1]
    chance = 1 / link(line_score(line, rows.values), line.link)
    for tenth in np.array_split(np.arange(relative.size), 10):
        assert chance[tenth].mean() == pytest.approx(bought[tenth].mean(), abs=0.03)
    pair = np.array([[-0.5, 1.0], [-0.5, 0.0]])
    second = replace(recipe, outputs=(Output("clv_predicted", recipe.outputs[0].terms[1:]),))
    two = predict(second, pair, np.full(2, 10.0))["clv_predicted"]
    lively_chance, lost_chance = expit(
        np.array([1.25 * predicted - 0.25 * logit(bought.mean()) for predicted in (0.2, -1.8)])
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

    target = BOOSTERS["amount"].target(rows, ratio(rows), Parameters())
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


def test_a_line_reads_no_ratio_beyond_the_cap():
    """
    The more a customer spent lately for the anchor, the more is predicted, up to eight anchors, as in the
    ratio that is learned; five hundred anchors, as of who is nearly lost, count as eight. Nor does a feature
    count as more than was ever seen.
    """
    rng = np.random.default_rng(3)
    pace, recency = rng.gamma(1.0, 1.0, 400), rng.uniform(0, 100, 400)
    pace[:5] = 500.0
    rows = made_rows(
        10 * np.minimum(pace, 8.0) * rng.gamma(1.0, 1.0, 400),
        np.full(400, 10.0),
        names=("revenue_90d_to_anchor", "days_since_last_purchase"),
        types=("double", "integer"),
        values=np.column_stack([pace, recency]),
    )

    recipe = fit_recipe(rows, rows.customers, "ridge")

    asked = np.array([[4.0, 50.0], [8.0, 50.0], [500.0, 50.0], [8.0, 100.0], [8.0, 9999.0]])
    usual, eight, many, late, never = predict(recipe, asked, np.full(5, 10.0))["clv_predicted"]
    assert eight > 1.5 * usual
    assert many == eight
    assert never == pytest.approx(late, rel=0.02)  # the latest of the draws is a little below 100


def test_a_line_that_falls_with_the_anchor_stays_above_its_slope():
    """
    Simulated: large anchors promise too much, and the longer a customer is silent the less comes. By hand:
    anchor x (a - b x log anchor) rises where the bracket is at least b. So nobody's multiplier is less than
    b, what it falls by as the logarithm rises by 1, and of the silent the larger anchor is still worth more.
    """
    rng = np.random.default_rng(3)
    relative, silent = rng.normal(0, 1, 2_000), rng.uniform(0, 100, 2_000)
    anchor = 10 * np.exp(relative)
    rows = made_rows(
        anchor * np.maximum(1.2 - 0.3 * relative - 0.012 * silent, 0.0),
        anchor,
        names=("log_anchor_to_mean", "days_since_last_purchase"),
        types=("double", "integer"),
        values=np.column_stack([relative, silent]),
    )

    recipe = fit_recipe(rows, rows.customers, "ridge")

    asked = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 100.0], [0.1, 100.0]])
    lively, more, silent_one, silent_more = predict(recipe, asked, np.full(4, 1.0))["clv_predicted"]
    multiplier = predict(recipe, rows.values, anchor)["clv_predicted"] / anchor
    slope = (lively - more) / 0.1
    assert slope > 0.1
    assert multiplier.min() == pytest.approx(slope)
    assert silent_one == silent_more == pytest.approx(slope)
    assert (multiplier @ anchor) == pytest.approx(anchor.sum())


def test_odds_of_buying_never_count_against_a_customer_in_a_line():
    """Where those of better odds happened to spend less, the line leaves the odds out."""
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 1, 500)
    rows = made_rows(
        np.exp(-odds), np.full(500, 2.0), names=("log_buying_odds",), types=("double",), values=odds[:, None]
    )

    recipe = fit_recipe(rows, rows.customers, "ridge")

    assert predict(recipe, rows.values, rows.anchor)["clv_predicted"] == pytest.approx(rows.anchor)


def test_without_the_anchors_feature_or_a_choice_the_usual_chance_is_the_share():
    """Everybody bought, and the rows have no logarithm of the anchor: one chance for all, below 1."""
    rows = made_rows(np.full(200, 5.0), recency=np.arange(200.0))

    line = fit_recipe(rows, rows.customers, "lightgbm").outputs[0].terms[1].factors[1]

    assert not any(line.coefficients)
    assert expit(line.intercept) == pytest.approx(0.99)
