"""
Which candidate is published: never one that loses to a simpler estimate beyond noise.

Candidates, from the richest: the trees over the anchor (``model``), the anchor alone (``blend``), one
baseline. They are compared on the calibration dates, each at the date's actual total, since the level is
forecast apart: by mean Poisson deviance, with a bootstrap over customers. In a small shop the trees must
prove better.

The fit that predicts the calibration date is a horizon older than what is published, and has hardly seen a
young shop. So trees that lose are asked again, each customer predicted by a fit on the others that knows that
date; only those that lose there too are given up.

One date says little. What later dates refute (another candidate beats it there beyond noise) is not
published; the choice is then made again, among what they do not refute, on all dates together. Where the
choice hardly does better there than the same amount for everybody, the candidate that has lost least is
published.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clv_ml.learn.column_roles import ColumnRoles
from clv_ml.learn.out_of_sample import HeldOut
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.bootstrap import drawn_means, sums_by_customer
from clv_ml.measure.metrics import Array, deviance
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Output, Recipe, Term

CANDIDATE_BASELINES = ("renewal", "btyd", "bgnbd", "paretonbd", "empirical_bayes")
"""Baselines that are never negative, so that a multiplicative interval and drivers are defined."""
REPLICATES, SEED = 500, 5
"""Draws of customers, enough to separate 97.5 % from 96 %, and the seed that they begin with."""
BEYOND_NOISE = 0.975
"""Of the draws a loss must be higher in: the upper end of a 95 % interval."""
LEAST_EXPLAINED = 0.05
"""Of the deviance that the same amount for everybody leaves: what explains less has learned nothing."""
Losses = Mapping[str, Array]
"""What each candidate lost on each row, by name, the richest first. Shape (n,) each."""


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
    The richest candidate that no simpler one beats beyond noise; in a small shop the trees must beat the
    blend.

    Args:
        rows: The calibration date's customers, n of them.

        predicted: The full recipe's prediction, shape (n,), from a fit that ended before.

        since: Rows of this and later dates. A baseline that is NULL on one of them is no candidate; nor is
            any where BTYD is on some only, for then the anchor is of another kind by now.

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


def confirm_candidate(
    choice: Choice, earlier: HeldOut, later: HeldOut, since: TrainingData, is_small_shop: bool = False
) -> Choice:
    """
    The choice, unless later dates refute it or it explains next to nothing of them.

    Args:
        earlier: The rows that the choice was made on, and the full recipe's prediction of them.

        later: Rows of later dates, and the full recipe's prediction from a fit that ended before them.

        since, is_small_shop: As for ``choose_candidate``; since the earlier dates.
    """
    before, after = (_losses(dates.rows, dates.predicted, since) for dates in (earlier, later))
    together = {name: np.append(before[name], loss) for name, loss in after.items()}
    customer = np.append(earlier.rows.customer, later.rows.customer)
    kept = [name for name in after if not _is_beaten(name, after, after, later.rows.customer)]
    chosen, reasons = choice.candidate, []
    if chosen not in kept:
        reasons.append(f"test dates refute {chosen}, which an earlier date had chosen")
        chosen = _richest(together, kept, customer, is_small_shop)
    constant = levelled_deviance(later.rows, np.ones(len(later.rows))).mean()
    least_wrong = min(kept, key=lambda name: together[name].mean())
    if after[chosen].mean() > (1 - LEAST_EXPLAINED) * constant and chosen != least_wrong:
        reasons.append(f"{chosen} hardly does better on test dates than the same amount for everybody")
        chosen = least_wrong
    if chosen == choice.candidate:
        return choice
    return Choice(chosen, _trained(f"{chosen}, since {', and '.join(reasons)}", "all dates", together))


def _choose(rows: TrainingData, predicted: Array, since: TrainingData, is_small_shop: bool) -> Choice:
    losses = _losses(rows, predicted, since)
    chosen = _richest(losses, list(losses), rows.customer, is_small_shop)
    return Choice(chosen, _trained(_why(chosen, is_small_shop), "the calibration date", losses))


def _losses(rows: TrainingData, predicted: Array, since: TrainingData) -> Losses:
    estimates: dict[str, Array] = {"model": predicted, "blend": rows.anchor}
    fits = [np.isfinite(since.baselines[name]) for name in ("renewal", "btyd")]
    for name in CANDIDATE_BASELINES if all(fit.all() or not fit.any() for fit in fits) else ():
        if np.isfinite(since.baselines[name]).all():
            estimates[name] = rows.baselines[name]
    return {name: levelled_deviance(rows, estimate) for name, estimate in estimates.items()}


def _richest(
    losses: Losses, candidates: Collection[str], customer: NDArray[np.str_], is_small_shop: bool
) -> str:
    """The first candidate that no other beats; in a small shop trees that do not beat the blend are none."""
    if is_small_shop and len(candidates) > 1 and not _is_beaten("blend", ["model"], losses, customer):
        candidates = [name for name in candidates if name != "model"]
    # the candidate with the least mean loss is beaten by none, so there is one
    return next(name for name in candidates if not _is_beaten(name, candidates, losses, customer))


def _is_beaten(name: str, others: Iterable[str], losses: Losses, customer: NDArray[np.str_]) -> bool:
    """Whether one of the others loses less than this candidate, beyond noise."""

    def is_worse_than(other: str) -> bool:
        excess = sums_by_customer(losses[name] - losses[other], customer)
        return bool((drawn_means(excess, REPLICATES, SEED) > 0).mean() >= BEYOND_NOISE)

    return any(is_worse_than(other) for other in others if other != name)


def levelled_deviance(rows: TrainingData, estimate: Array) -> Array:
    """Deviance of each row once the estimate is brought to the actual total of each date. Shape (n,)."""
    return deviance(rows.revenue, estimate * rows.total_ratio(estimate))


def reduced_to(candidate: str, recipe: Recipe, roles: ColumnRoles) -> Recipe:
    """The recipe reduced to a candidate. A baseline takes the anchor's place."""
    if candidate == "model":
        return recipe
    mean = Output("clv_predicted", (Term(1.0, (), anchored=True),))
    anchor = recipe.anchor if candidate == "blend" else roles.baselines[candidate]
    return replace(recipe, anchor=anchor, outputs=(mean, *recipe.outputs[1:]))


def candidate_mean(candidate: str, recipe: Recipe, rows: TrainingData) -> Array:
    """What the recipe, reduced to a candidate, expects of the rows. Shape (n,), in the reporting currency."""
    reduced = reduced_to(candidate, recipe, rows.roles)
    return predict(reduced, rows.values, candidate_anchor(candidate, rows))["clv_predicted"]


def candidate_anchor(candidate: str, rows: TrainingData) -> Array:
    """The anchor of a recipe reduced to a candidate. Shape (n,), NaN before a baseline's first fit."""
    return rows.anchor if candidate in ("model", "blend") else rows.baselines[candidate]


def candidate_estimate(candidate: str, rows: TrainingData, predicted: Array) -> Array:
    """The same, where the full recipe's prediction is at hand. Shape (n,)."""
    return predicted if candidate == "model" else candidate_anchor(candidate, rows)


def _why(candidate: str, is_small_shop: bool) -> str:
    why = (
        "in so small a shop trees must prove better beyond chance, and did not"
        if is_small_shop
        else "the trees lost to a simpler estimate"
    )
    chosen = {"model": "the full model", "blend": f"the blend of baselines, since {why}"}
    return chosen.get(candidate, f"the baseline {candidate}, since everything richer lost to it")


def _trained(why: str, dates: str, losses: Losses) -> str:
    figures = ", ".join(f"{name} {loss.mean():.4g}" for name, loss in losses.items())
    return f"trained: {why} (mean deviance on {dates}, the less the better: {figures})"
