"""Ratios of actual to predicted in groups of like customers, and how an uncertain total spreads them."""

from itertools import pairwise

import numpy as np
from scipy.stats import norm

from clv_ml.learn.out_of_sample import HeldOut
from clv_ml.measure.metrics import Array

FEWEST_IN_GROUP = 40
"""Customers: of fewer, a share of 80 % is known to no better than an eighth either way."""
SHOCKS = norm.ppf((np.arange(21) + 0.5) / 21)
"""Of the total, in standard deviations: 21 quantiles stand for the normal distribution."""
LEAST_LEVEL_LOG_SD = 0.05
"""Nobody knows next year's total better than this, whatever a short history says."""
EVERYBODY = (-np.inf, np.inf)
"""Ends of a group that takes everybody."""


def ratios_of(one: HeldOut, expected: Array) -> Array:
    """
    Actual over ``expected``, both in currency, with each date's error of the total taken out; 1 where nothing
    was expected. Shape (n,).
    """
    total = one.rows.total_ratio(one.predicted)
    levelled = expected * np.where(total > 0, total, 1.0)
    return np.divide(one.rows.revenue, levelled, out=np.ones(len(levelled)), where=levelled > 0)


def shocked(ratios: Array, level_log_sd: float) -> Array:
    """The ratios under each shock of the total, whose mean is theirs. Shape (n, 21)."""
    spread = max(level_log_sd, LEAST_LEVEL_LOG_SD)
    return np.multiply.outer(ratios, np.exp(spread * SHOCKS - spread**2 / 2))


def edges_of_groups(values: Array, groups: int) -> list[tuple[float, float]]:
    """Half-open groups of about equal size that tile the line, none empty; equal values stay together."""
    inner = np.unique(np.quantile(values, np.arange(1, groups) / groups, method="higher"))
    inner = inner[(inner > values.min()) & (inner <= values.max())]
    return list(pairwise([-np.inf, *inner.tolist(), np.inf]))
