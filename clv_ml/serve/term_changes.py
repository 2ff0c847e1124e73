"""
What each fact changes in one term of a recipe, exactly.

A term is weight x anchor x P1 x P2 ... x R1 x R2 ..., where P are exp, sigmoid and 1/sigmoid factors, all
positive, and R are relu, excess and identity factors, which may be zero or negative. Relative to a base row
(mean margins, reference anchor):

- A fact's contributions to the logarithms of all P are added up; exp of the sum is what it multiplies the
  term by. A sigmoid's change in ln(chance) is shared in proportion to margin contributions. With what it
  multiplies parts of the anchor by, that gives the Shapley value of a product, see ``product_changes``.
- R: the change R - R0 is shared in proportion to margin contributions. Where the margin did not change,
  relu's own slope at the base stands in, so that nothing is divided by zero.
- Product of two such quantities Q and R: contributions of Q times (R + R0) / 2 plus those of R times
  (Q + Q0) / 2. This is the Shapley value of two players, and adds up to QR - Q0R0; further ones are joined
  one at a time, in order.

Margin contributions of trees are exact SHAP values, a line's are measured against its medians.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clv_ml.measure.metrics import Array
from clv_ml.model.prediction import factor_of, filled
from clv_ml.model.recipe import Line, Term, Trees
from clv_ml.serve.facts import Facts
from clv_ml.serve.product_changes import Part, product_changes

POSITIVE = ("exp", "sigmoid", "one_over_sigmoid")
"""Links whose factors have a logarithm."""
STEP = 1e-6
"""Of a margin: below it, a slope is taken at the base."""


@dataclass(frozen=True)
class ExplainedRows:
    """
    n rows with all that their terms are explained from. ``features`` has shape (n, F); ``scores`` maps a
    booster to its SHAP values by feature, shape (n, F + 1), the expected score last.
    """

    features: Array
    facts: Facts
    scores: Mapping[str, Array]


@dataclass(frozen=True)
class Change:
    """A quantity now and at the base, shape (n,), and what each fact changed, shape (n, K)."""

    now: Array
    base: Array
    by_fact: Array


def term_change(term: Term, rows: ExplainedRows) -> Change:
    """The term without its weight."""
    margins = [(factor, _margin(factor, rows)) for factor in term.factors]
    logs = [_log_factor(factor, margin) for factor, margin in margins if factor.link in POSITIVE]
    product = _multiplied(logs, rows.facts.anchor if term.anchored else ({},), rows.facts.in_anchor.shape)
    for factor, margin in margins:
        if factor.link not in POSITIVE:
            product = _joined(product, _linked(factor, margin))
    return product


def _margin(factor: Trees | Line, rows: ExplainedRows) -> Change:
    """The factor's margin."""
    if isinstance(factor, Line):
        shares, expected = _line_shares(factor, rows.features)
    else:
        shares, expected = rows.scores[factor.name][:, :-1], rows.scores[factor.name][:, -1]
        if factor.offset is not None:
            offset, offset_expected = _line_shares(factor.offset, rows.features)
            shares, expected = shares + offset, expected + offset_expected
        shares, expected = shares * factor.slope, expected * factor.slope + factor.intercept
    change = rows.facts.of_features(shares)
    return Change(expected + change.sum(axis=1), expected, change)


def _line_shares(line: Line, features: Array) -> tuple[Array, Array]:
    """What each feature adds to a line's score, and the score at its medians. Shapes (n, k) and (n,)."""
    shares = (filled(line, features) - line.medians) * line.coefficients
    shares = shares + np.isnan(features) * line.missing_coefficients
    return shares, np.full(len(features), np.dot(line.medians, line.coefficients) + line.intercept)


def _log_factor(factor: Trees | Line, margin: Change) -> Change:
    """ln(link(margin)) times the power, from margins: for exp the margin itself."""
    power = 1.0 if isinstance(factor, Line) else factor.power
    if factor.link == "exp":
        return Change(margin.now * power, margin.base * power, margin.by_fact * power)
    now, base = -np.logaddexp(0.0, -margin.now), -np.logaddexp(0.0, -margin.base)
    middle = (margin.now + margin.base) / 2
    slope_in_middle = np.exp(-np.logaddexp(0.0, middle))
    slope = _slope(now - base, margin.now - margin.base, slope_in_middle)
    sign = -power if factor.link == "one_over_sigmoid" else power
    return Change(sign * now, sign * base, margin.by_fact * (sign * slope)[:, None])


def _linked(factor: Trees | Line, margin: Change) -> Change:
    """A factor that may be zero or negative, from margins."""
    if factor.link == "identity":
        return margin
    now, base = factor_of(factor, margin.now), factor_of(factor, margin.base)
    limit = (factor_of(factor, margin.base + STEP) - factor_of(factor, margin.base - STEP)) / (2 * STEP)
    run = margin.now - margin.base
    slope = _slope(now - base, run, limit)
    # at a kink the slope of the base is not the change's own: what it leaves goes by size of contribution
    sizes = np.abs(margin.by_fact)
    all_sizes = sizes.sum(axis=1)
    left = (now - base - slope * run) / np.where(all_sizes > 0, all_sizes, 1.0)
    return Change(now, base, margin.by_fact * slope[:, None] + sizes * left[:, None])


def _slope(rise: Array, run: Array, limit: Array) -> Array:
    """rise / run, and its limit where the run is too small to divide by."""
    small = np.abs(run) < STEP
    return np.where(small, limit, rise / np.where(small, 1.0, run))


def _multiplied(logs: list[Change], parts: Sequence[Part], shape: tuple[int, ...]) -> Change:
    """Positive factors, from their logarithms, times the sum of parts; by fact of ``shape`` (n, K)."""
    phi = sum((log.by_fact for log in logs), np.zeros(shape))
    base = np.exp(sum((log.base for log in logs), np.zeros(len(phi))))
    now = base * np.exp(phi.sum(axis=1))
    before, after = (
        sum(np.prod([ends[end] for ends in part.values()], axis=0) for part in parts) for end in range(2)
    )
    return Change(now * after, base * before, product_changes(phi, parts) * base[:, None])


def _joined(left: Change, right: Change) -> Change:
    """The product of two quantities, each change weighted by the other's mean of now and base."""
    by_left = left.by_fact * ((right.now + right.base) / 2)[:, None]
    by_right = right.by_fact * ((left.now + left.base) / 2)[:, None]
    return Change(left.now * right.now, left.base * right.base, by_left + by_right)
