"""
Finds the customers who buy by a clock, their usual gap, and how often they renew.

Days between purchases (their logarithms) are a mixture of two kinds of customers, found by expectation
maximisation. *Regular* ones have gaps that vary little around their own. All *others* buy at random: their
gaps are exponential, whose logarithm has the variance pi² / 6. Both kinds differ from customer to customer.
Where the gaps of regular customers vary as much as is allowed, the shop has none.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, gammaln, logit, psi

from clv_ml.learn.btyd_fitting import FEWEST_CUSTOMERS, FittedModel, grouped
from clv_ml.learn.likelihood_search import fault_of, search
from clv_ml.learn.renewal import log_still_due
from clv_ml.measure.metrics import Array

RANDOM_VARIANCE = np.pi**2 / 6
"""Of the logarithm of an exponential gap."""
LARGEST_VARIANCE = float(np.log(1 + 0.5**2))
"""Of the logarithm of a regular customer's gap: gaps whose deviation is half of their mean."""
LEAST_VARIANCE = 1e-4
"""Likewise, and between customers: a hundredth of the gap, since purchases are known by the day."""
FEWEST_GAPS = 30
"""Of regular customers, to know how evenly they buy: three who paid monthly for a year, or ten with three."""
ROUNDS, STEADY = 200, 1e-8
"""Of expectation maximisation: at most so many, or until a customer's likelihood gains no more than this."""
RENEWAL_STARTS = ((3.0, 1.0), (30.0, 1.0), (0.5, 0.5))
"""(b, a): most renew, nearly all, and half of them."""


@dataclass(frozen=True)
class Gaps:
    """n customers: gaps between purchase days, the mean of their logarithms and its sum of squares."""

    count: Array
    mean: Array
    squares: Array


@dataclass(frozen=True)
class Kind:
    """How logarithms of gaps of a kind of customer vary: mean, and variance between and within customers."""

    mean: float
    between: float
    within: float

    def log_likelihood(self, gaps: Gaps) -> Array:
        """Of each customer's gaps, without the constant that all kinds share. Shape (n,)."""
        spread = self.within + gaps.count * self.between
        return -0.5 * (
            (gaps.count - 1) * np.log(self.within)
            + gaps.squares / self.within
            + np.log(spread)
            + gaps.count * (gaps.mean - self.mean) ** 2 / spread
        )

    def own_gap(self, gaps: Gaps) -> tuple[Array, Array]:
        """Mean and variance of what each customer's own mean is, given their gaps. Shape (n,)."""
        variance = 1 / (1 / self.between + gaps.count / self.within)
        return variance * (self.mean / self.between + gaps.count * gaps.mean / self.within), variance

    def refitted(self, gaps: Gaps, weight: Array) -> "Kind":
        """One step towards the kind that the weighted customers are likeliest to be of."""
        total = max(float(weight.sum()), LEAST_VARIANCE)
        own, variance = self.own_gap(gaps)
        mean = float(weight @ own) / total
        between = float(weight @ (variance + (own - mean) ** 2)) / total
        off = gaps.squares + gaps.count * ((gaps.mean - own) ** 2 + variance)
        within = float(weight @ off) / max(float(weight @ gaps.count), LEAST_VARIANCE)
        return Kind(
            mean, max(LEAST_VARIANCE, between), float(np.clip(within, LEAST_VARIANCE, LARGEST_VARIANCE))
        )


@dataclass(frozen=True)
class Mixture:
    """The share of regular customers, and both kinds."""

    share: float
    regular: Kind
    others: Kind

    def log_odds(self, gaps: Gaps) -> Array:
        """Of being regular. Shape (n,)."""
        return logit(self.share) + self.regular.log_likelihood(gaps) - self.others.log_likelihood(gaps)


def fit_renewal(
    gaps: ArrayLike,
    log_gap: ArrayLike,
    log_gap_sd: ArrayLike,
    silent: ArrayLike,
    weights: ArrayLike | None = None,
) -> FittedModel:
    """
    Fits the mixture, then a and b of the beta distribution of the chance to leave.

    Args:
        gaps: Shape (n,), like all arguments. Purchase days less one.

        log_gap: Mean of the logarithms of the gaps, in days; anything where there is none.

        log_gap_sd: Their sample standard deviation; anything with fewer than two.

        silent: Days since the last purchase.

        weights: Customers with these numbers; 1 each if not given.

    Returns:
        The fit. Not converged where the shop has no regular customers, or theirs are fewer than 30 gaps.
    """
    (count, mean, spread, days), customers, n = grouped(weights, gaps, log_gap, log_gap_sd, silent)
    known = Gaps(count, np.where(count > 0, mean, 0.0), np.where(count > 1, (count - 1) * spread**2, 0.0))
    again = count > 0
    if customers[again].sum() < FEWEST_CUSTOMERS:
        return FittedModel("renewal", {}, np.nan, False, "nobody has come back often enough", n)
    mixture = _mixture(Gaps(count[again], known.mean[again], known.squares[again]), customers[again])
    chance = expit(mixture.log_odds(known))
    own, variance = mixture.regular.own_gap(known)
    still_due = np.exp(log_still_due(days, own, np.sqrt(variance + mixture.regular.within)))
    values, cost, gradient = search(
        RENEWAL_STARTS, renewal_likelihood, (count, still_due), customers * chance
    )
    fault = fault_of(cost, gradient, values, ("b", "a"))
    if mixture.regular.within >= LARGEST_VARIANCE or (customers * chance * count)[again].sum() < FEWEST_GAPS:
        fault = "no customers with a regular gap"
    parameters = {
        "share": mixture.share,
        "log_gap": mixture.regular.mean,
        "between": mixture.regular.between,
        "within": mixture.regular.within,
        "other_log_gap": mixture.others.mean,
        "other_between": mixture.others.between,
        "a": float(values[1]),
        "b": float(values[0]),
    }
    return FittedModel("renewal", parameters, -cost * n, not fault, fault or "converged", n)


def _mixture(gaps: Gaps, customers: Array) -> Mixture:
    """The likeliest mixture of customers with at least one gap each."""
    order = np.argsort(gaps.mean)
    middle = gaps.mean[order][np.searchsorted(np.cumsum(customers[order]), customers.sum() / 2)]
    usual = float(np.average(gaps.mean, weights=customers * gaps.count))
    found = Mixture(0.5, Kind(float(middle), 0.25, LARGEST_VARIANCE / 4), Kind(usual, 1.0, RANDOM_VARIANCE))
    before = -np.inf
    for _ in range(ROUNDS):
        odds = found.log_odds(gaps)
        likelihood = np.logaddexp(0, odds) + found.others.log_likelihood(gaps) + np.log1p(-found.share)
        reached = float(np.average(likelihood, weights=customers))
        if reached - before < STEADY:
            break
        before, regular = reached, customers * expit(odds)
        found = Mixture(
            float(np.clip(regular.sum() / customers.sum(), LEAST_VARIANCE, 1 - LEAST_VARIANCE)),
            found.regular.refitted(gaps, regular),
            replace(found.others.refitted(gaps, customers - regular), within=RANDOM_VARIANCE),
        )
    return found


def renewal_likelihood(renewals: Array, still_due: Array, b: float, a: float) -> tuple[Array, list[Array]]:
    """``still_due`` is the chance that a gap is longer than the silence so far."""
    come, total = b + renewals, a + b + renewals
    either = a + come * still_due
    common = psi(a + b) - psi(total) - 1 / total
    log_likelihood = gammaln(come) - gammaln(total) - gammaln(b) + gammaln(a + b)
    return log_likelihood + np.log(either) - np.log(total), [
        common + psi(come) - psi(b) + still_due / either,
        common + 1 / either,
    ]
