"""
Which candidate is published: never one that loses to a simpler estimate beyond noise.

Candidates, from the richest: the trees over the anchor (``model``), the anchor alone (``blend``, a blend of
baselines at the level), one baseline. In a small shop the trees must prove better, since SQL guards the order
of customers in the others. They are compared on the calibration dates, by mean Poisson deviance, with a
bootstrap over customers. Each is first brought to each date's actual total: the level is forecast apart, and
few dates say little of it.

The fit that predicts the calibration date is older than what is published, by a horizon: of a young shop it
has hardly seen anything. Trees that lose are therefore asked again, each customer predicted by a fit on the
others that knows that date; only those that lose there too are given up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from clv_ml.learn.training_data import BASELINES, TrainingData
from clv_ml.measure.bootstrap import drawn_means, sums_by_customer
from clv_ml.measure.metrics import Array, deviance
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Output, Recipe, Term

CANDIDATE_BASELINES = ("btyd", "bgnbd", "paretonbd", "empirical_bayes")
"""Baselines that are never negative, so that a multiplicative interval and drivers are defined."""
REPLICATES, SEED = 500, 5
"""Draws of customers, enough to separate 97.5 % from 96 %, and the seed that they begin with."""
BEYOND_NOISE = 0.975
"""Of the draws a loss must be higher in: the upper end of a 95 % interval."""


@dataclass(frozen=True)
class Choice:
    """The candidate to publish: ``model``, ``blend`` or a baseline's name, and why, in words."""

    candidate: str
    reason: str


def choose_candidate(
    rows: TrainingData,
    predicted: Array,
    since: TrainingData,
    is_small_shop: bool = False,
    again: Callable[[], Array] | None = None,
) -> Choice:
    """
    The richest candidate that no simpler one beats beyond noise. In a small shop the trees are no candidate
    unless they beat the blend.

    Args:
        rows: The calibration date's customers, n of them.

        predicted: The full recipe's prediction, shape (n,), from a fit that ended before.

        since: Rows of this and later dates. A baseline that was NULL on one of them (a fit that did not
            converge) may be so again, and is no candidate; nor is any where BTYD was on some of them only,
            for then the anchor is of another kind by now, and what it lost says nothing.

        is_small_shop: Whether too few customers buy there for trees to be trusted until they prove better.

        again: The full recipe's prediction once more, shape (n,), each customer by a fit on the others that
            knows this date; asked for where the trees lose in a shop that is not small.
    """
    choice = _choose(rows, predicted, since, is_small_shop)
    if choice.candidate == "model" or is_small_shop or again is None:
        return choice
    second = _choose(rows, again(), since, is_small_shop)
    if second.candidate != "model":
        return choice
    return Choice(
        "model",
        f"{second.reason}, each customer by a fit on the others; an older fit lost: "
        f"{choice.reason.removeprefix('trained: ')}",
    )


def _choose(rows: TrainingData, predicted: Array, since: TrainingData, is_small_shop: bool) -> Choice:
    estimates: dict[str, Array] = {"model": predicted, "blend": rows.anchor}
    is_fitted = np.isfinite(since.baselines["btyd"])
    for name in CANDIDATE_BASELINES if is_fitted.all() or not is_fitted.any() else ():
        if np.isfinite(since.baselines[name]).all():
            estimates[name] = rows.baselines[name]
    losses = {name: levelled_deviance(rows, estimate) for name, estimate in estimates.items()}

    def is_worse(name: str, other: str) -> bool:
        excess = sums_by_customer(losses[name] - losses[other], rows.customer)
        return bool((drawn_means(excess, REPLICATES, SEED) > 0).mean() >= BEYOND_NOISE)

    candidates = list(losses)
    if is_small_shop and not is_worse("blend", "model"):
        candidates.remove("model")
    # the candidate with the least mean loss is worse than none, so there is one
    chosen = next(
        name for name in candidates if not any(is_worse(name, other) for other in candidates if other != name)
    )
    return Choice(chosen, _reason(chosen, losses, is_small_shop))


def levelled_deviance(rows: TrainingData, estimate: Array) -> Array:
    """Deviance of each row once the estimate is brought to the actual total of each date. Shape (n,)."""
    return deviance(rows.revenue, estimate * rows.total_ratio(estimate))


def reduced_to(candidate: str, recipe: Recipe) -> Recipe:
    """The recipe reduced to a candidate. A baseline takes the anchor's place."""
    if candidate == "model":
        return recipe
    mean = Output("clv_predicted", (Term(1.0, (), anchored=True),))
    anchor = recipe.anchor if candidate == "blend" else BASELINES[candidate]
    return replace(recipe, anchor=anchor, outputs=(mean, *recipe.outputs[1:]))


def candidate_mean(candidate: str, recipe: Recipe, rows: TrainingData) -> Array:
    """What the recipe, reduced to a candidate, expects of the rows. Shape (n,), in the reporting currency."""
    reduced = reduced_to(candidate, recipe)
    return predict(reduced, rows.values, candidate_anchor(candidate, rows))["clv_predicted"]


def candidate_anchor(candidate: str, rows: TrainingData) -> Array:
    """
    The anchor of a recipe that is reduced to a candidate. Shape (n,), NaN before a baseline's first fit.
    """
    return rows.anchor if candidate in ("model", "blend") else rows.baselines[candidate]


def _reason(candidate: str, losses: Mapping[str, Array], is_small_shop: bool) -> str:
    figures = ", ".join(f"{name} {loss.mean():.4g}" for name, loss in losses.items())
    why = (
        "in so small a shop trees must prove better, and did not"
        if is_small_shop
        else "the trees lost to a simpler estimate"
    )
    chosen = {"model": "the full model", "blend": f"the blend of baselines, since {why}"}
    named = chosen.get(candidate, f"the baseline {candidate}, since everything richer lost to it")
    return f"trained: {named} (mean deviance on the calibration date: {figures})"
