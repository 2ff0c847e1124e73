"""
What the model is compared with: the closed forms of SQL, and the usual first attempts with LightGBM.

A new closed form is a column of ``customer_baselines``, described with ``role: baseline``. A new first
attempt is an entry of ``baseline_predictions``.
"""

from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from clv_ml.learn.boosters import FEWEST_ROWS, Parameters, lightgbm_parameters
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array

Estimate = Callable[[TrainingData], Array]


def baseline_predictions(known: TrainingData, rows: TrainingData) -> dict[str, Array]:
    """
    Each baseline's prediction of the rows by its name, fitted on trainable rows where it is fitted; NaN where
    a closed form of SQL has no value.
    """
    return {
        "plain_lightgbm": fit_plain_lightgbm(known, Parameters())(rows),
        "lognormal_hurdle": fit_lognormal_hurdle(known, Parameters())(rows),
        **rows.baselines,
    }


def fit_plain_lightgbm(data: TrainingData, parameters: Parameters) -> Estimate:
    """LightGBM without an anchor: Tweedie on revenue itself, the usual first attempt."""
    spent = np.maximum(data.revenue, 0.0)
    if not spent.any():
        return lambda rows: np.zeros(len(rows))
    booster = lgb.train(
        lightgbm_parameters("tweedie", parameters, len(data)),
        lgb.Dataset(data.values, spent, params={"verbosity": -1}),
        num_boost_round=parameters.default_rounds,
    )
    return lambda rows: np.exp(np.asarray(booster.predict(rows.values, raw_score=True, num_threads=1)))


def fit_lognormal_hurdle(data: TrainingData, parameters: Parameters) -> Estimate:
    """
    Zero-inflated lognormal without an anchor: chance of spending x exp(mean + variance / 2) of ln(revenue)
    among spenders.

    With fewer than ``FEWEST_ROWS`` spenders, the mean for everybody.

    Source: Wang, Liu and Miao (2019), arXiv:1912.07753, with trees in place of their network.
    """
    spent = data.revenue > 0
    if spent.sum() < FEWEST_ROWS:
        mean = float(np.maximum(data.revenue, 0.0).mean())
        return lambda rows: np.full(len(rows), mean)

    def grown(objective: str, target: Array, rows: NDArray[np.bool_]) -> lgb.Booster:
        rules = lightgbm_parameters(objective, parameters, int(rows.sum()))
        learned = lgb.Dataset(data.values[rows], target[rows], params={"verbosity": -1})
        return lgb.train(rules, learned, num_boost_round=parameters.default_rounds)

    logs = np.log(np.where(spent, data.revenue, 1.0))
    chance = grown("binary", spent.astype(float), np.ones_like(spent))
    amount = grown("regression", logs, spent)
    variance = float(np.var(logs[spent] - np.asarray(amount.predict(data.values[spent], num_threads=1))))
    return lambda rows: (
        np.asarray(chance.predict(rows.values, num_threads=1))
        * np.exp(np.asarray(amount.predict(rows.values, num_threads=1)) + variance / 2)
    )
