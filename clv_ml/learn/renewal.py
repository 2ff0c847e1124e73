"""
Customers who buy by a clock, such as subscribers: when the next purchase is due, and whether it comes.

Days between purchases are lognormal around the customer's usual gap. At each due date the customer renews or
leaves for good. The chance to leave differs from customer to customer by a beta distribution, so whoever
renewed often is likelier to do so again. Who is silent beyond the due date has left the likelier the longer.

Source: Fader and Hardie (2007), "How to project customer retention", the shifted-beta-geometric model, with
due dates that vary.
"""

import numpy as np
from scipy.special import expit, log_ndtr, ndtr

from clv_ml.learn.btyd import formula
from clv_ml.measure.metrics import Array

TODAY = 0.5
"""Days of silence of whoever bought on the last day."""
BEYOND = 4
"""Due dates counted beyond those that fit into the horizon, since gaps vary."""


def log_still_due(silent: Array, log_gap: Array, log_gap_sd: Array) -> Array:
    """Logarithm of the chance that a gap is longer than the silence so far."""
    return log_ndtr((log_gap - np.log(np.maximum(silent, TODAY))) / log_gap_sd)


def _renews(x: Array, silent: Array, log_gap: Array, log_gap_sd: Array, a: Array, b: Array) -> Array:
    """Chance that the customer has not left at the due date that comes, or came, after the last purchase."""
    return expit(np.log((b + x) / a) + log_still_due(silent, log_gap, log_gap_sd))


def _within(silent: Array, horizon: Array, log_gap: Array, log_gap_sd: Array) -> Array:
    """Chance that the next purchase of whoever renews falls into the horizon."""
    since = np.maximum(silent, TODAY)
    by_now, by_then = (log_still_due(days, log_gap, log_gap_sd) for days in (since, since + horizon))
    return -np.expm1(by_then - by_now)


@formula
def renewal_chance(
    x: Array, silent: Array, horizon: Array, log_gap: Array, log_gap_sd: Array, a: Array, b: Array
) -> Array:
    """
    Chance of a purchase in the next ``horizon`` days.

    Args:
        x: Shape (n,), like all arguments (or a number for all rows). Purchases after the first.
        silent: Days since the last purchase.
        log_gap, log_gap_sd: Mean and standard deviation of the logarithm of the days to the next purchase.
        a, b: Of the beta distribution of the chance to leave at a due date.

    Returns:
        Shape (n,), between 0 and 1. NaN where an argument is.

    Raises:
        ValueError: If a number is infinite or outside its range, with the first such row.
    """
    return _renews(x, silent, log_gap, log_gap_sd, a, b) * _within(silent, horizon, log_gap, log_gap_sd)


@formula
def renewal_expected_purchases(
    x: Array, silent: Array, horizon: Array, log_gap: Array, log_gap_sd: Array, a: Array, b: Array
) -> Array:
    """
    Purchases expected in the next ``horizon`` days; arguments and errors as for ``renewal_chance``. Later due
    dates are taken for normal, as sums of several gaps are.
    """
    since = np.maximum(silent, TODAY)
    gap = np.exp(log_gap + log_gap_sd**2 / 2)
    gap_sd = gap * np.sqrt(np.expm1(log_gap_sd**2))
    # the mean of a lognormal gap that is known to be longer than the silence, less the silence
    beyond = log_ndtr(log_gap_sd + (log_gap - np.log(since)) / log_gap_sd)
    wait = gap * np.exp(np.minimum(beyond - log_still_due(since, log_gap, log_gap_sd), 700.0)) - since
    expected, stays = _within(silent, horizon, log_gap, log_gap_sd), np.ones_like(gap)
    last = np.floor(horizon / gap) + BEYOND
    for number in range(1, int(last.max(initial=0))):
        stays = stays * (b + x + number) / (a + b + x + number)
        due = ndtr((horizon - wait - number * gap) / (gap_sd * np.sqrt(number + 1)))
        # so that nothing depends on the other rows
        expected += np.where(number < last, stays * due, 0.0)
    return _renews(x, silent, log_gap, log_gap_sd, a, b) * expected
