"""
The model types, each a recipe of the mean: anchor x multiplier. A new one is an entry of ``_means``.

A fifth of ``lightgbm``'s mean is the Tweedie fit of the ratio to the anchor. The rest is a hurdle around the
anchor: how much likelier to buy the customer is than customers of such an anchor are, times how much more
they spend if they do; it ranks those well whom sessions give away as lost. ``ridge`` is the line alone,
``ensemble`` both. None falls with the anchor or the odds of buying, all else equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from clv_ml.learn.boosters import BOOSTERS, Parameters, grow
from clv_ml.learn.churn import CHANCE_STRETCH, churn_output
from clv_ml.learn.ridge import fit_ridge
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.learn.usual_chance import mean_margin, usual_chance
from clv_ml.model.model_types import ModelType
from clv_ml.model.prediction import line_score, link, predict
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees

TWEEDIE_SHARE = 0.2
"""Of the mean of trees; the hurdle has the rest. DECISIONS.md says what other shares cost."""
AMOUNT_POWER = 0.5
"""Of what the trees say of a buyer's amount: one customer's next orders are few and say little."""
LINE_SHARE = 1 / 3
"""Of the ensemble's mean: the boosters, which fit better, have the rest."""

Factors = tuple[Trees | Line, ...]
Mean = tuple[tuple[float, Factors], ...]
"""Shares of the mean and the factors of each, before the anchor."""


def fit_recipe(
    data: TrainingData,
    today: Customers,
    model_type: ModelType,
    rounds: Mapping[str, int] | None = None,
    parameters: Parameters | None = None,
) -> Recipe:
    """The recipe of one model type; ``fit_recipes`` says of what."""
    return fit_recipes(data, today, (model_type,), rounds, parameters)[model_type]


def fit_recipes(
    data: TrainingData,
    today: Customers,
    model_types: Iterable[ModelType],
    rounds: Mapping[str, int] | None = None,
    parameters: Parameters | None = None,
) -> dict[ModelType, Recipe]:
    """
    The recipe of each model type, all from the same boosters, fitted on all rows given.

    Args:
        data: Trainable rows only.

        today: Customers of the date to predict. Each term is weighted so that their total is the anchors',
            the level: what trees make of customers as they age must not move it.

        rounds: Trees per booster, from ``choose_rounds``; ``default_rounds`` each if not given.
    """
    parameters = parameters or Parameters()
    rounds = rounds or dict.fromkeys(BOOSTERS, parameters.default_rounds)
    boosters = {name: grow(spec, data, parameters, rounds[name]) for name, spec in BOOSTERS.items()}
    means = _means(data, _line_mean(*fit_ridge(data, parameters), today))
    unlevelled = Recipe(data.names, data.roles.anchor, (), boosters)

    def recipe(mean: Mean) -> Recipe:
        terms = tuple(_levelled(factors, unlevelled, today, share) for share, factors in mean)
        return replace(unlevelled, outputs=(Output("clv_predicted", terms), churn_output(data.names)))

    return {model_type: recipe(means[model_type]) for model_type in model_types}


def _means(data: TrainingData, line: Mean) -> dict[ModelType, Mean]:
    """The mean of each model type; ``line`` is that of ``ridge``."""
    spend, chance, amount = (Trees(name, BOOSTERS[name].link) for name in ("spend", "chance", "amount"))
    stretched = replace(chance, slope=CHANCE_STRETCH, intercept=(1 - CHANCE_STRETCH) * mean_margin(data))
    hurdle = (stretched, usual_chance(data), replace(amount, slope=AMOUNT_POWER))
    boosted: Mean = ((TWEEDIE_SHARE, (spend,)), (1 - TWEEDIE_SHARE, hurdle))
    return {
        "lightgbm": boosted,
        "ridge": line,
        "ensemble": (
            *(((1 - LINE_SHARE) * share, factors) for share, factors in boosted),
            *((LINE_SHARE * share, factors) for share, factors in line),
        ),
    }


def _line_mean(least: float, line: Line, today: Customers) -> Mean:
    """The anchor times the sum of a number and a line, each with its share of today's total."""
    always = least * today.anchor.sum()
    if not always:
        return ((1.0, (line,)),)
    share = float(always / (always + today.anchor @ link(line_score(line, today.values), line.link)))
    return (share, ()), (1 - share, (line,))


def _levelled(factors: Factors, unlevelled: Recipe, today: Customers, share: float) -> Term:
    """The anchored term, weighted so that it makes up that share of today's anchor total."""
    alone = replace(unlevelled, outputs=(Output("mean", (Term(1.0, factors, anchored=True),)),))
    total = predict(alone, today.values, today.anchor)["mean"].sum()
    return Term(float(share * today.anchor.sum() / total) if total > 0 else 0.0, factors, anchored=True)
