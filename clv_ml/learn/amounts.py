"""
How buyers' amounts spread around what was expected of them, on a later window than the fit's.

Buyers are grouped by what they were expected to spend given that they buy; in each group the ratios of
actual to expected, without the date's own error of the total, are spread by what the next total may err.
"""

from collections.abc import Sequence

import numpy as np

from clv_ml.learn.out_of_sample import Foretold
from clv_ml.learn.spread import EVERYBODY, FEWEST_IN_GROUP, edges_of_groups, ratios_of, shocked
from clv_ml.measure.metrics import Array
from clv_ml.model.amounts import SHARES, AmountGroup, expected_amount

GROUPS = 5
"""Fifths of buyers, as far as they suffice."""
LEVEL_SHARE = 1 / 3
"""
Of the spread between buyers: an uncertain total moves their amounts by no more. Where all pay the same (a
plan), it is their number that is uncertain, which the chance of churn tells.
"""
TENTH_TO_TENTH = 2.563
"""Standard deviations between the 10 % and the 90 % quantile of a normal distribution."""
SMALLEST_RATIO = 1e-3
"""Ratios below have no logarithm of interest."""


def measure_amounts(held_out: Sequence[Foretold], level_log_sd: float) -> tuple[AmountGroup, ...]:
    """
    Groups that tile all expected amounts, from predictions of the past, all their buyers pooled.

    Where nobody bought there is one, in which everybody spends what is expected.
    """
    each = [expected_amount(one.predicted, one.leaving) for one in held_out]
    expected = np.concatenate(each)
    ratios = np.concatenate([ratios_of(one, amount) for one, amount in zip(held_out, each, strict=True)])
    bought = np.concatenate([one.rows.purchases > 0 for one in held_out]) & (expected > 0)
    if not bought.any():
        return (AmountGroup(*EVERYBODY, 0, (1.0,) * SHARES.size),)
    expected, ratios = expected[bought], ratios[bought]
    groups = int(np.clip(expected.size // FEWEST_IN_GROUP, 1, GROUPS))
    return tuple(
        _group(low, below, ratios[(expected >= low) & (expected < below)], level_log_sd)
        for low, below in edges_of_groups(expected, groups)
    )


def _group(low: float, below: float, ratios: Array, level_log_sd: float) -> AmountGroup:
    spread = shocked(ratios, min(level_log_sd, LEVEL_SHARE * _log_sd(ratios)))
    return AmountGroup(low, below, ratios.size, tuple(np.quantile(spread, SHARES).tolist()))


def _log_sd(ratios: Array) -> float:
    """Spread of the ratios' logarithms, told by their outer tenths, which no outlier moves."""
    low, high = np.quantile(np.log(np.maximum(ratios, SMALLEST_RATIO)), [0.1, 0.9])
    return float(high - low) / TENTH_TO_TENTH
