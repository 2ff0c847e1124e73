"""
Log-likelihoods of the buy-till-you-die models, with their derivatives by each parameter.

Each takes arrays of shape (n,) and the parameters as numbers; gives the logarithm of each row's likelihood,
without constants that no parameter enters, and a list of its derivatives, all of shape (n,).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, psi

from clv_ml.learn.btyd_integrals import log_left_integral

Array = NDArray[np.float64]


def bgnbd_likelihood(
    x: Array, t_x: Array, age: Array, r: float, alpha: float, a: float, b: float
) -> tuple[Array, list[Array]]:
    again = x > 0
    stay, leave = alpha + age, alpha + t_x
    last = np.where(again, b + x - 1, 1)
    log_stayed = -(r + x) * np.log(stay)
    log_left = np.where(again, np.log(a) - np.log(last) - (r + x) * np.log(leave), -np.inf)
    either = np.logaddexp(log_stayed, log_left)
    stayed, left = np.exp(log_stayed - either), np.exp(log_left - either)
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    chance = gammaln(a + b) - gammaln(b) + gammaln(b + x) - gammaln(a + b + x)
    return common + chance + either, [
        psi(r + x) - psi(r) + np.log(alpha) - stayed * np.log(stay) - left * np.log(leave),
        r / alpha - (r + x) * (stayed / stay + left / leave),
        psi(a + b) - psi(a + b + x) + left / a,
        psi(a + b) - psi(b) + psi(b + x) - psi(a + b + x) - left / last,
    ]


def paretonbd_likelihood(
    x: Array, t_x: Array, age: Array, r: float, alpha: float, s: float, beta: float
) -> tuple[Array, list[Array]]:
    log_integral, y, share = log_left_integral(x, t_x, age, r, alpha, s, beta)
    buying, leaving = alpha + age, beta + age
    log_stayed = -(r + x) * np.log(buying) - s * np.log(leaving)
    log_left = np.log(s) + log_integral
    either = np.logaddexp(log_stayed, log_left)
    stayed, left = np.exp(log_stayed - either), np.exp(log_left - either)
    mean = lambda values: (share * values).sum(axis=1)  # noqa: E731
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return common + either, [
        psi(r + x) - psi(r) + np.log(alpha) - stayed * np.log(buying) - left * mean(np.log(alpha + y)),
        r / alpha - (r + x) * (stayed / buying + left * mean(1 / (alpha + y))),
        np.log(beta) - stayed * np.log(leaving) + left * (1 / s - mean(np.log(beta + y))),
        s / beta - stayed * s / leaving - left * (s + 1) * mean(1 / (beta + y)),
    ]


def gammagamma_likelihood(
    x: Array, mean: Array, p: float, q: float, gamma: float
) -> tuple[Array, list[Array]]:
    spent, shape = x * mean, p * x
    scale = np.log(gamma + spent)
    log_likelihood = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma)
    log_likelihood += (shape - 1) * np.log(mean) + shape * np.log(x) - (shape + q) * scale
    both = psi(shape + q)
    return log_likelihood, [
        x * (both - psi(shape) + np.log(spent) - scale),
        both - psi(q) + np.log(gamma) - scale,
        q / gamma - (shape + q) / (gamma + spent),
    ]
