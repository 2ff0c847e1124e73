"""
No inversion: with all else equal, a customer with more of what speaks for buying is never worth less. On
models fitted to several made shops, whose rows are computed here without a warehouse.
"""

from functools import cache

import numpy as np
import pytest
from made_rows import made_rows
from made_shops import MADE_SHOPS
from numpy.typing import NDArray

from clv_ml.learn.model_types import fit_recipes
from clv_ml.learn.training_data import TrainingData
from clv_ml.model.model_types import MODEL_TYPES
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Recipe

KINDS = ("monthly plans", "yearly plans", "marketplace", "ten months")
NAMES = ("log_anchor_to_mean", "log_buying_odds", "days_since_last_purchase", "revenue_90d_to_anchor")
SEED = 4
TYPES = ("double", "double", "integer", "double")


def rows_of(kind: str, day: int) -> tuple[TrainingData, NDArray[np.bool_]]:
    """
    A date's customers of a made shop, and who of them is still worth something. The anchor is their mean
    order times the purchases of a Poisson customer who may have left: fewer the longer they have been silent
    for their own pace.
    """
    shop = MADE_SHOPS[kind](SEED)
    who, days, amount = shop.habits[0].orders(np.random.default_rng(SEED))
    before, ahead = days < day, (days >= day) & (days < day + shop.horizon_days)
    seen = np.unique(who[before])

    def summed(where: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(who[where], values[where], minlength=who.max() + 1)[seen]

    orders, spent = summed(before, np.ones_like(amount)), summed(before, amount)
    first, last = np.full(who.max() + 1, np.inf), np.full(who.max() + 1, -np.inf)
    np.minimum.at(first, who[before], days[before])
    np.maximum.at(last, who[before], days[before])
    age, silent = day - first[seen], day - last[seen]
    pace = (orders + 0.5) / (age + 30)
    expected = pace * shop.horizon_days * np.exp(-0.5 * silent * pace)
    anchor = np.maximum(expected * spent / orders, 0.01)
    recent = summed(before & (days >= day - 90), amount)
    values = np.column_stack([np.log(anchor / anchor.mean()), np.log(expected), silent, recent / anchor])
    rows = made_rows(summed(ahead, amount), anchor, names=NAMES, types=TYPES, values=values)
    return rows, shop.habits[0].value(day, shop.horizon_days)[seen] > 0


@cache
def fitted(kind: str) -> tuple[dict[str, Recipe], TrainingData, NDArray[np.bool_]]:
    """
    The recipes of all model types from one date, and the rows of the date after its window with who is still
    there.
    """
    shop = MADE_SHOPS[kind](SEED)
    later = shop.days - shop.horizon_days
    known, _ = rows_of(kind, max(60, later - shop.horizon_days))
    rows, there = rows_of(kind, later)
    return fit_recipes(known, rows.customers, MODEL_TYPES), rows, there


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("anchors", "odds"), [(2, 2), (2, 1), (1, 2)])
def test_twice_the_estimate_is_never_worth_less(kind: str, anchors: int, odds: int):
    """
    A customer of twice the anchor, twice the purchases expected, or both, all else equal, is worth at least
    as much, and no likelier to leave; within a millionth, since sums of doubles differ in their last bits.
    """
    recipes, rows, _ = fitted(kind)
    more = rows.values + np.log([anchors, odds, 1, 1])

    for recipe in recipes.values():
        before, after = (
            predict(recipe, values, anchor)
            for values, anchor in ((rows.values, rows.anchor), (more, anchors * rows.anchor))
        )
        assert (after["clv_predicted"] >= (1 - 1e-6) * before["clv_predicted"]).all()
        assert (after["churn_probability"] <= before["churn_probability"] + 1e-6).all()


@pytest.mark.parametrize("kind", ["monthly plans", "ten months"])
def test_who_has_left_is_worth_less_than_who_has_not(kind: str):
    """
    By the shop's own truth, where what happened so far tells them apart: at most half of what the others are
    worth, in the mean.
    """
    recipes, rows, there = fitted(kind)

    for recipe in recipes.values():
        predicted = predict(recipe, rows.values, rows.anchor)["clv_predicted"]
        assert predicted[~there].mean() < 0.5 * predicted[there].mean()
