"""Comparisons with the best baseline hold what they promise: by hand, by definition and by simulation."""

import numpy as np
import pytest
from made_evaluations import evaluation

from clv_ml.learn.backtest import OWN
from clv_ml.measure.comparison import Comparison, compare, holm, verdict, with_holm


def _compared(metric: str, gain: float, p_holm: float) -> Comparison:
    return Comparison(metric, "model", 1.0, "simple", 1.0 - gain, gain, gain, gain, p_holm, p_holm)


def test_the_verdict_is_one_sentence():
    """
    Better and worse need a corrected p below 5 %; what nobody is worse in is not spoken of.
    """
    names = {"r2": "R²", "gini": "Gini"}
    compared = [_compared("r2", 0.1, 0.01), _compared("gini", 0.2, 0.049), _compared("bias", -0.3, 0.05)]

    assert verdict(compared, names) == (
        "The model is better than every baseline in 2 metrics (R², Gini), "
        "equal within chance in 1 metric (bias)."
    )
    assert verdict([_compared("bias", -0.3, 0.01)], names) == "The model is worse in 1 metric (bias)."


def test_holm_by_hand_and_by_its_definition():
    """
    Four values worked by hand; then, on random ones with ties, the definition: p is the largest over values
    at most as large of the value times the number of values not below it.
    """
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []

    rng = np.random.default_rng(2)
    for count in (1, 2, 7, 35):
        p = np.round(rng.random(count) ** 3, 2)
        # among equal values the first in rank has the most others beside it, and the maximum picks it
        expected = [min(1.0, max(q * (count - (p < q).sum()) for q in p[p <= own])) for own in p]
        assert holm(list(p)) == pytest.approx(expected)


def test_correction_over_more_cells_is_stricter():
    """
    Seven metrics, corrected alone and together with those of four other tables.
    """
    rng = np.random.default_rng(1)
    actual = rng.gamma(1, 10, 300)
    evaluations = [evaluation("2024-01-01", actual, model=actual, typical=actual, btyd=actual[::-1].copy())]
    alone = compare(evaluations, replicates=99, own=OWN)

    together = with_holm([*alone] * 5)

    assert [one.p_holm for one in alone] == pytest.approx(holm([one.p_value for one in alone]))
    assert all(many.p_holm >= one.p_holm for many, one in zip(together, alone, strict=False))
    assert together[0].p_holm == pytest.approx(min(1.0, 35 * alone[0].p_value))


def test_the_smallest_p_value_survives_the_benchmark_s_correction():
    """
    A clear loss is called one even among 40 cells: with too few replicates no cell ever could be.
    """
    rng = np.random.default_rng(1)
    actual = rng.gamma(1, 10, 200)
    evaluations = [
        evaluation("2024-01-01", actual, model=rng.permutation(actual), typical=actual, btyd=actual)
    ]

    (one,) = compare(evaluations, ("r2",), own=OWN)

    assert one.gain < 0 and one.gain_high < 0 and one.is_loss
    assert 40 * one.p_value <= 0.05


def test_the_same_prediction_is_neither_gain_nor_loss():
    """
    Zero, from zero to zero, at p = 1; and it says which of ours is compared, and with whom.
    """
    rng = np.random.default_rng(1)
    actual, guess, worse = rng.gamma(1, 10, 100), rng.gamma(1, 10, 100), np.zeros(100)
    evaluations = [
        evaluation(
            "2024-01-01", actual, model=guess, typical=guess, btyd=guess, simple=worse, lightgbm=actual
        )
    ]

    for one in compare(evaluations, ("r2", "nmae"), replicates=99, own=OWN):
        assert (one.gain, one.gain_low, one.gain_high, one.p_value) == (0.0, 0.0, 0.0, 1.0)
        assert one.baseline == "btyd"
        assert one.estimator == ("typical" if one.metric == "nmae" else "model")
        assert not one.is_loss
    assert {"model", "typical", "anchor", "lightgbm", "ridge", "ensemble"} == set(OWN)


def test_a_baseline_that_some_date_lacks_is_no_rival():
    """
    Though it was perfect where it is.
    """
    actual = np.random.default_rng(1).gamma(1, 10, 50)
    rest = {"model": actual + 1, "typical": actual, "simple": actual + 5}
    evaluations = [
        evaluation("2024-01-01", actual, **rest),
        evaluation("2024-02-01", actual, btyd=actual, **rest),
    ]

    assert [one.baseline for one in compare(evaluations, ("r2",), replicates=9, own=OWN)] == ["simple"]
    assert [one.baseline for one in compare(evaluations[::-1], ("r2",), replicates=9, own=OWN)] == ["simple"]


@pytest.mark.long
def test_the_interval_covers_the_true_difference():
    """
    Customers err alike on all four dates, so only a draw of whole customers is right. Spend is 10 each and
    the errors are exponential per customer, mean 2 (ours) and 3 (theirs): the true gain in nMAE is 0.1. Of
    300 worlds the 95 % interval covers it in 270 to 297 (binomial: beyond that below 0.1 %, three points
    allowed for the percentile method's undercoverage with 60 customers). Drawing rows instead of customers
    would hold it in about two thirds.
    """
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(300):
        actual = np.full(60, 10.0)
        ours, theirs = actual + rng.exponential(2, 60), actual + rng.exponential(3, 60)
        evaluations = [
            evaluation(str(day), actual, model=ours, typical=ours, btyd=theirs) for day in range(4)
        ]
        (one,) = compare(evaluations, ("nmae",), replicates=199, own=OWN)
        covered += one.gain_low <= 0.1 <= one.gain_high

    assert 270 <= covered <= 297


@pytest.mark.long
def test_no_difference_is_called_one_as_often_as_stated():
    """
    Both err alike on average: p is below 10 % in about a tenth of worlds (of 300, 30 expected, at most 51
    allowed: four standard deviations), and not never.
    """
    rng = np.random.default_rng(7)
    called = 0
    for _ in range(300):
        actual = np.full(60, 10.0)
        ours, theirs = actual + rng.exponential(2, 60), actual + rng.exponential(2, 60)
        evaluations = [evaluation("2024-01-01", actual, model=ours, typical=ours, btyd=theirs)]
        (one,) = compare(evaluations, ("nmae",), replicates=199, own=OWN)
        called += one.p_value < 0.10

    assert 12 <= called <= 51
