"""
Which form of the recipe may be published: never one that loses to a simpler estimate beyond noise.

Forms, from the richest: the trees over the anchor, the anchor alone (a blend of baselines at the shop's
level), one baseline. In a small shop the trees must prove better, since SQL guards the order of customers in
the others. They are compared on the calibration dates, by mean Poisson deviance, with a bootstrap over
customers. Each is first brought to each date's actual total: the level is forecast apart from the form, and
few dates say little of it.

The fit that predicts the calibration date is older than what is published, by a horizon: of a young shop it
has hardly seen anything. Trees that lose are therefore asked again, each customer predicted by a fit on the
others that knows that date; only those that lose there too are given up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clv_ml.learn.training_data import ANCHOR, BASELINES, TrainingData
from clv_ml.measure.metrics import Array, deviance
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Output, Recipe, Term

CANDIDATE_BASELINES = ("btyd", "bgnbd", "paretonbd", "empirical_bayes")
"""Baselines that are never negative, so that a multiplicative interval and drivers are defined."""
REPLICATES = 500
SEED = 5


@dataclass(frozen=True)
class Choice:
    """The form to publish: ``model``, ``blend`` or a baseline's name, and why, in words."""

    form: str
    reason: str


def choose_form(
    rows: TrainingData,
    predicted: Array,
    since: TrainingData,
    is_small_shop: bool = False,
    again: Callable[[], Array] | None = None,
) -> Choice:
    """
    The richest form that no simpler one beats beyond noise. In a small shop trees are none of them unless
    they beat the blend.

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
    if choice.form == "model" or is_small_shop or again is None:
        return choice
    second = _choose(rows, again(), since, is_small_shop)
    if second.form != "model":
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

    def is_worse(form: str, other: str) -> bool:
        return _is_worse(losses[form] - losses[other], rows.customer)

    candidates = list(losses)
    if is_small_shop and not is_worse("blend", "model"):
        candidates.remove("model")
    # the form with the least mean loss is worse than none, so there is one
    form = next(
        form for form in candidates if not any(is_worse(form, name) for name in candidates if name != form)
    )
    return Choice(form, _reason(form, losses, is_small_shop))


def levelled_deviance(rows: TrainingData, estimate: Array) -> Array:
    """Deviance of each row once the estimate is brought to the actual total of each date. Shape (n,)."""
    return deviance(rows.revenue, estimate * rows.level(estimate))


def in_form(recipe: Recipe, form: str) -> Recipe:
    """The recipe reduced to a form. A baseline takes the anchor's place."""
    if form == "model":
        return recipe
    mean = Output("clv_predicted", (Term(1.0, (), anchored=True),))
    anchor = recipe.anchor if form == "blend" else BASELINES[form]
    return replace(recipe, anchor=anchor, outputs=(mean, *recipe.outputs[1:]))


def mean_in_form(recipe: Recipe, form: str, rows: TrainingData) -> Array:
    """What the recipe, reduced to a form, expects of the rows. Shape (n,), in the reporting currency."""
    shaped = in_form(recipe, form)
    anchor = rows.anchor if shaped.anchor == ANCHOR else rows.baselines[form]
    return predict(shaped, rows.values, anchor)["clv_predicted"]


def _is_worse(excess: Array, customer: NDArray[np.str_]) -> bool:
    """
    Whether the loss is higher, ``excess`` above 0 in sum, in at least 97.5 % of draws of customers, each with
    all their rows.
    """
    _, whose = np.unique(customer, return_inverse=True)
    difference = np.bincount(whose, excess)
    draws = np.random.default_rng(SEED).multinomial(
        difference.size, np.full(difference.size, 1 / difference.size), size=REPLICATES
    )
    return bool(((draws @ difference) > 0).mean() >= 0.975)


def _reason(form: str, losses: Mapping[str, Array], is_small_shop: bool) -> str:
    figures = ", ".join(f"{name} {loss.mean():.4g}" for name, loss in losses.items())
    why = (
        "in so small a shop trees must prove better, and did not"
        if is_small_shop
        else "the trees lost to a simpler estimate"
    )
    chosen = {"model": "the full model", "blend": f"the blend of baselines, since {why}"}
    named = chosen.get(form, f"the baseline {form}, since everything richer lost to it")
    return f"trained: {named} (mean deviance on the calibration date: {figures})"
