"""The chance that goes with an anchor: it rises with the anchor, and no faster."""

import numpy as np
import pytest
from made_rows import made_rows
from scipy.special import expit

from clv_ml.learn.usual_chance import usual_chance
from clv_ml.model.prediction import line_score, link


@pytest.mark.parametrize(("sign", "slope"), [(1, 1.0), (-1, 0.0)])
def test_the_usual_chance_rises_with_the_anchor_and_no_faster(sign: int, slope: float):
    """
    Who buys is told by the anchor without a fault, or the wrong way round: a free slope would be without
    bound. It stays within 0 and 1, and as many are said to buy as did.
    """
    relative = np.random.default_rng(5).normal(0, 1, 400)
    bought = sign * relative > 0.5
    rows = made_rows(bought * 10.0, np.exp(relative), names=("log_anchor_to_mean",), values=relative[:, None])

    line = usual_chance(rows)

    assert line.coefficients == (slope,)
    assert (1 / link(line_score(line, rows.values), line.link)).mean() == pytest.approx(bought.mean())


def test_an_ordinary_slope_is_left_as_it_is():
    """Of 20,000 simulated customers whose margin rises by .8 with the logarithm: four standard errors."""
    rng = np.random.default_rng(6)
    relative = rng.normal(0, 1, 20_000)
    bought = rng.random(relative.size) < expit(0.8 * relative - 0.4)
    rows = made_rows(bought * 1.0, np.exp(relative), names=("log_anchor_to_mean",), values=relative[:, None])

    line = usual_chance(rows)

    assert line.coefficients[0] == pytest.approx(0.8, abs=0.07)
    assert line.intercept == pytest.approx(-0.4, abs=0.07)


@pytest.mark.parametrize("slope", [0.5, 3.0, 40.0])
def test_of_two_customers_whom_trees_say_the_same_of_the_larger_anchor_is_worth_more(slope: float):
    """
    No inversion: what the hurdle multiplies, anchor over usual chance, never falls as the anchor rises,
    however sharply buyers are told apart.
    """
    rng = np.random.default_rng(7)
    relative = np.sort(rng.normal(-1, 2, 2_000))
    bought = rng.random(relative.size) < expit(slope * (relative + 0.5))
    rows = made_rows(bought * 1.0, np.exp(relative), names=("log_anchor_to_mean",), values=relative[:, None])

    line = usual_chance(rows)

    worth = np.exp(relative) * link(line_score(line, rows.values), line.link)
    assert (np.diff(worth) >= 0).all()
