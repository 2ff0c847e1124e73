"""
The two integrals of buy-till-you-die models, each as a weighted mean with positive weights. The papers' 2F1
overflows, or loses its digits in a difference, for frequent buyers; these can do neither.
"""

import numpy as np
from scipy.special import expit

from clv_ml.measure.metrics import Array

NEGLIGIBLE = 40.0
"""As a logarithm: an integrand is cut off at exp(-40) of its peak, far below a double's last digit."""
BETA_NODES = 72
"""So many agree with the papers' closed form to more digits than SQL sees (``tests/test_btyd.py``)."""
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(32)
LEGENDRE_NODES, LEGENDRE_WEIGHTS = _POINTS / 2 + 0.5, _WEIGHTS / 2
"""32 points on (0, 1) and weights that sum to 1; so many agree likewise."""


def beta_nodes(a: Array, m: Array, scale: Array) -> tuple[Array, Array]:
    """
    Values of p ~ beta(a, m) and their weights, shape (n, nodes), for means of functions that vary where p ~
    1/scale.

    Trapezoids in v, where ln(p / (1 - p)) = w(v) runs straight between the scale and 1 and exponentially
    beyond, so that the tails p^a and (1 - p)^m take few nodes however small a and m are (double-exponential
    quadrature, Takahasi and Mori 1974). The range holds all but exp(-40) of the density.
    """
    centre = -np.log(scale)
    turn = 2 - centre
    spread = 1 / a + 1 / m
    reach = np.minimum(np.sqrt(2 * NEGLIGIBLE * spread), np.log1p(100 * spread))
    mode = np.log(a) - np.log(m)
    low = _straightened(mode - NEGLIGIBLE / a - reach - centre, turn, outer=0)
    high = _straightened(mode + NEGLIGIBLE / m + reach - centre, turn, outer=1)
    v = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, BETA_NODES)
    left, right = np.exp(-v), np.exp(v - turn[:, None])
    w = centre[:, None] + v - left + right
    density = a[:, None] * w - (a + m)[:, None] * np.logaddexp(0, w)
    weight = np.exp(density - density.max(axis=1, keepdims=True)) * (1 + left + right)
    return np.maximum(expit(w), 1e-200), weight


def _straightened(w: Array, turn: Array, outer: int) -> Array:
    """The v of a w, to within a hundredth and on the outer side, by bisection (w grows with v)."""
    bounds = [np.full_like(w, -20.0), turn + 20]
    for _ in range(12):
        middle = (bounds[0] + bounds[1]) / 2
        above = middle - np.exp(-middle) + np.exp(middle - turn) > w
        bounds = [np.where(above, bounds[0], middle), np.where(above, middle, bounds[1])]
    return bounds[outer]


def log_left_integral(
    x: Array,
    t_x: Array,
    age: Array,
    r: Array | float,
    alpha: Array | float,
    s: Array | float,
    beta: Array | float,
) -> tuple[Array, Array, Array]:
    """
    ln of the integral of (alpha + y)^-(r + x) (beta + y)^-(s + 1) over y from t_x to age.

    It stands for those who left at y, and replaces A0 of the papers, a difference of two 2F1: A0 s / (r + s +
    x) is s times this. Gauss-Legendre in ln(c + y), c the smaller of alpha and beta, where the integrand is
    log-concave, over the part of the range that is not negligible.

    Args:
        x, t_x, age: Shape (n,). The parameters have that shape too, or are numbers.

    Returns:
        The logarithm, shape (n,); the nodes y and their shares of the integral, shape (n, nodes), for
        derivatives.
    """
    start = np.minimum(alpha, beta) + t_x
    length = np.log1p((age - t_x) / start)
    decay = (r + x) * start / (alpha + t_x) + (s + 1) * start / (beta + t_x) - 1
    length = np.where(decay * length > NEGLIGIBLE, NEGLIGIBLE / np.maximum(decay, 1e-9), length)
    length = np.maximum(length, 1e-300)
    stretched = length[:, None] * LEGENDRE_NODES
    y = t_x[:, None] + start[:, None] * np.expm1(stretched)
    power, other = np.broadcast_to(r + x, x.shape)[:, None], np.broadcast_to(s + 1, x.shape)[:, None]
    log_term = stretched - power * np.log(_column(alpha) + y) - other * np.log(_column(beta) + y)
    peak = log_term.max(axis=1)
    share = np.exp(log_term - peak[:, None]) * LEGENDRE_WEIGHTS
    total = share.sum(axis=1)
    return np.log(total) + peak + np.log(length) + np.log(start), y, share / total[:, None]


def _column(value: Array | float) -> Array | float:
    return value[:, None] if isinstance(value, np.ndarray) else value
