"""
The boosters of the model: what each learns, from which rows, how it is grown, and of how many trees.

``spend`` is a Tweedie fit (Jorgensen 1987) of the ratio of revenue to anchor: it learns from money, which few
customers dominate. ``chance`` (of buying) and ``amount`` (once they buy, of logarithms) learn from everybody
alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from clv_ml.learn.churn import BUYING_ODDS
from clv_ml.learn.out_of_sample import FOLDS, customer_folds
from clv_ml.learn.training_data import TrainingData
from clv_ml.learn.usual_chance import RELATIVE_ANCHOR, usual_chance
from clv_ml.measure.metrics import Array
from clv_ml.model.prediction import line_score, link
from clv_ml.model.recipe import Link

FEWEST_ROWS = 10
"""Fewer cannot be split into two leaves of what ``lightgbm_parameters`` asks of one."""
LEAVES, FEWEST_IN_LEAF, MOST_IN_LEAF = 60, 100, 1000
"""A leaf holds at least one in 60 of the rows, kept between 100 and 1,000: trees of all shops are as fine."""
RISING = frozenset({RELATIVE_ANCHOR, BUYING_ODDS})
"""
What speaks for buying by formula. All else equal, a customer with more of it is never worth less, so no
booster's score falls with it.
"""
SMALL_LEAVES, FEWEST_IN_SMALL_LEAF = 10, 5
"""Of fewer than 1,000 rows it holds one in 10 at least, and 5 in any case."""
EARLY_STOPPING_ROUNDS = 30
"""Trees without a better loss that end the search: at the default rate, about one full step."""


@dataclass(frozen=True)
class Parameters:
    """
    How the model is fitted. Counts unless a unit is named; shares lie between 0 and 1.

    Small trees, grown slowly and on draws of rows and features, won on the shops that they were chosen on
    (DECISIONS.md); ``clv tune`` searches others for a shop of its own.
    """

    default_rounds: int = 150
    """Trees of a booster, before early stopping moves it half way (``choose_rounds``)."""
    max_rounds: int = 300
    """Where early stopping gives up."""
    leaves: int = 6
    """Of a tree."""
    learning_rate: float = 0.03
    """Share of each tree's step that is taken."""
    feature_share: float = 0.6
    """Of the features, drawn for each tree."""
    row_share: float = 0.7
    """Of the rows, drawn for each tree."""
    l2: float = 5.0
    """Penalty of a leaf, in rows."""
    tweedie_power: float = 1.2
    """Variance goes with this power of the mean: between Poisson, 1, and gamma, 2."""
    ratio_cap: float = 8.0
    """Anchors: more than so many times the anchor is a windfall (``capped_ratio``)."""
    ridge_l2: float = 100.0
    """Penalty of the ridge regression, in rows."""
    seed: int = 7
    """Of all draws."""


@dataclass(frozen=True)
class BoosterSpec:
    """
    What one booster learns.

    ``target`` takes training rows, their ratios and the parameters, ``weight`` the rows; both return shape
    (n,). A row whose target is NaN is not learned from.
    """

    name: str
    objective: str
    link: Link
    target: Callable[[TrainingData, Array, Parameters], Array]
    weight: Callable[[TrainingData], Array]


def ratio(data: TrainingData) -> Array:
    """
    Revenue of the horizon, at least 0, over the anchor, each date's total brought to the anchor's; 0 on a
    date on which nobody spent anything. Shape (n,).
    """
    total = data.total_ratio(data.anchor)
    return np.maximum(data.revenue, 0.0) / (data.anchor * np.where(total > 0, total, 1.0))


def capped_ratio(data: TrainingData, ratios: Array, parameters: Parameters) -> Array:
    """
    Ratios of at most ``ratio_cap``, or of that many mean anchors for customers below the mean, of whom
    one ordinary order would else be cut.
    """
    _, date = np.unique(data.as_of, return_inverse=True)
    mean = (np.bincount(date, data.anchor) / np.bincount(date))[date]
    return np.minimum(ratios, parameters.ratio_cap * np.maximum(1.0, mean / data.anchor))


def by_anchor(data: TrainingData) -> Array:
    """A row weighs as much as its anchor, 1 in the mean. Shape (n,)."""
    return data.anchor / data.anchor.mean()


def _alike(data: TrainingData) -> Array:
    return np.ones(len(data))


def _bought(data: TrainingData, _: Array, __: Parameters) -> Array:
    return (data.purchases > 0).astype(float)


def _log_amount(data: TrainingData, ratios: Array, _: Parameters) -> Array:
    """
    Of who spent, the logarithm of that over what is usual: the anchor over the chance of buying that goes
    with it. NaN of the others. Logarithms, because one windfall must not teach.
    """
    usual = usual_chance(data)
    spent = ratios > 0
    logs = np.log(np.where(spent, ratios, 1.0) / link(line_score(usual, data.values), usual.link))
    return np.where(spent, logs, np.nan)


BOOSTERS = {
    spec.name: spec
    for spec in (
        BoosterSpec("spend", "tweedie", "exp", capped_ratio, by_anchor),
        BoosterSpec("chance", "binary", "sigmoid", _bought, _alike),
        BoosterSpec("amount", "regression", "exp", _log_amount, _alike),
    )
}


def grow(spec: BoosterSpec, data: TrainingData, parameters: Parameters, rounds: int) -> lgb.Booster:
    """The booster of so many trees. Where there is nothing to learn it says the same of everybody."""
    learned = dataset(spec, data, parameters)
    if learned is None:
        # the anchor then carries the mean
        learned = lgb.Dataset(data.values, np.ones(len(data)), feature_name=list(data.names))
    return lgb.train(_rules(spec, data.names, learned, parameters), learned, num_boost_round=rounds)


def dataset(
    spec: BoosterSpec, data: TrainingData, parameters: Parameters, reference: lgb.Dataset | None = None
) -> lgb.Dataset | None:
    """What the booster learns from; None where there is nothing, or too little."""
    if not len(data):
        return None
    target = spec.target(data, ratio(data), parameters)
    known = np.isfinite(target)
    if known.sum() < FEWEST_ROWS or (spec.objective == "tweedie" and not target.any()):
        return None
    return lgb.Dataset(
        data.values[known],
        target[known],
        weight=spec.weight(data)[known],
        reference=reference,
        feature_name=list(data.names),
        params={"verbosity": -1},
    )


def _rules(
    spec: BoosterSpec, names: tuple[str, ...], learned: lgb.Dataset, parameters: Parameters
) -> dict[str, Any]:
    """LightGBM's own parameters for a booster whose score never falls with a ``RISING`` feature."""
    rows = np.asarray(learned.get_label(), dtype=float).size
    return lightgbm_parameters(spec.objective, parameters, rows) | {
        "monotone_constraints": [int(name in RISING) for name in names],
        "monotone_constraints_method": "intermediate",
    }


def lightgbm_parameters(objective: str, parameters: Parameters, rows: int) -> dict[str, Any]:
    """LightGBM's own parameters. One thread and fixed seeds, so that a fit can be repeated bit for bit."""
    fewest = min(FEWEST_IN_LEAF, max(FEWEST_IN_SMALL_LEAF, rows / SMALL_LEAVES))
    return {
        "objective": objective,
        "tweedie_variance_power": parameters.tweedie_power,
        "num_leaves": parameters.leaves,
        "learning_rate": parameters.learning_rate,
        "feature_fraction": parameters.feature_share,
        "bagging_fraction": parameters.row_share,
        "bagging_freq": 1,
        "lambda_l2": parameters.l2,
        "min_data_in_leaf": int(np.clip(rows / LEAVES, fewest, MOST_IN_LEAF)),
        "seed": parameters.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def choose_rounds(fit: TrainingData, later: TrainingData, parameters: Parameters) -> dict[str, int]:
    """
    Trees per booster: half way from ``default_rounds`` to where early stopping ends on a later date and
    on customers that the fold did not learn from; half, because one date says little. Rows are trainable
    ones; those of ``later`` are the same where history has one date only.
    """
    if np.unique(fit.customer).size < FOLDS:
        return dict.fromkeys(BOOSTERS, parameters.default_rounds)
    fold_of = customer_folds(np.concatenate([fit.customer, later.customer]))
    fit_fold, later_fold = fold_of[: len(fit)], fold_of[len(fit) :]
    rounds = {}
    for name, spec in BOOSTERS.items():
        best = [
            _best_round(spec, fit.only(fit_fold != fold), later.only(later_fold == fold), parameters)
            for fold in range(FOLDS)
        ]
        rounds[name] = round((parameters.default_rounds + float(np.mean(best))) / 2)
    return rounds


def _best_round(spec: BoosterSpec, fit: TrainingData, held_out: TrainingData, parameters: Parameters) -> int:
    learning = dataset(spec, fit, parameters)
    checking = dataset(spec, held_out, parameters, reference=learning)
    if learning is None:
        return 0
    if checking is None:
        return parameters.default_rounds
    booster = lgb.train(
        _rules(spec, fit.names, learning, parameters),
        learning,
        num_boost_round=parameters.max_rounds,
        valid_sets=[checking],
        callbacks=[lgb.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return booster.best_iteration
