"""Closed forms of the papers that SQL writes out: a second way to its answer."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def gammagamma_expected_value(
    x: ArrayLike, mean_value: ArrayLike, p: ArrayLike, q: ArrayLike, gamma: ArrayLike
) -> NDArray[np.float64]:
    """
    The customer's expected value of an order under Gamma-Gamma: own mean and shop's mean, weighed by p x and
    q - 1. The mean value is ignored for x = 0; a negative one (more refunds than sales) counts as 0.

    Raises:
        ValueError: If q is not above 1: then no shop's mean exists.

    Source: Fader and Hardie (2013), "The Gamma-Gamma model of monetary value".
    """
    orders, mean = np.asarray(x, dtype=float), np.asarray(mean_value, dtype=float)
    p, q, gamma = (np.asarray(value, dtype=float) for value in (p, q, gamma))
    if (q <= 1).any():
        raise ValueError("q - 1 must be finite and positive")
    spent = np.where(orders > 0, orders * np.maximum(mean, 0), 0)
    return p * (gamma + spent) / (p * orders + q - 1)
