"""The backtest of the other horizons: what is said of each, by the formulas' shares, and what came."""

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa

from clv_ml.learn.btyd_functions import register_functions
from clv_ml.measure.comparison import COMPARED, Comparison, compare, with_holm
from clv_ml.measure.evaluation import Evaluation
from clv_ml.measure.metrics import Array
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import query_text

OF_THE_MODEL = ("model", "anchor")
"""Estimates that the formulas' share by season is for."""
OWN_SHARES = {"bgnbd": "bgnbd_share", "paretonbd": "paretonbd_share", "btyd": "btyd_share"}
"""Baselines that say themselves how their money spreads; the others are steady, so many days so much."""
COMPARED_HORIZONS = tuple(metric for metric in COMPARED if metric != "nmae")
"""The median has no share: what is likely nothing within 30 days may be much within a year."""
Horizons = dict[int, list[Evaluation]]
"""Evaluations of each horizon, a date each."""


def evaluate_horizons(evaluations: Sequence[Evaluation], settings: Settings) -> Horizons:
    """The same estimates of the same customers for every other horizon that is past on a date."""
    found: Horizons = {}
    with connect(settings) as connection:
        register_functions(connection)
        for evaluation in evaluations:
            outcomes = _outcomes(connection, evaluation, settings)
            for days in np.unique(outcomes["horizon_days"]):
                rows = {name: column[outcomes["horizon_days"] == days] for name, column in outcomes.items()}
                found.setdefault(int(days), []).append(_for_horizon(evaluation, rows))
    return dict(sorted(found.items()))


def compare_horizons(horizons: Horizons, own: Sequence[str]) -> dict[int, tuple[Comparison, ...]]:
    """The mean against the best baseline of each horizon, corrected for all of them together."""
    found = {days: compare(each, COMPARED_HORIZONS, own=own) for days, each in horizons.items()}
    corrected = iter(with_holm([one for each in found.values() for one in each]))
    return {days: tuple(next(corrected) for _ in each) for days, each in found.items()}


def _outcomes(
    connection: duckdb.DuckDBPyConnection, evaluation: Evaluation, settings: Settings
) -> dict[str, Array]:
    """The columns of ``horizon_outcomes``, each of shape (horizons x n,), customers in order."""
    asked = {"as_of_date": evaluation.as_of, "horizon_days": settings.vars.horizon_days}
    table: pa.Table = connection.sql(query_text("horizon_outcomes"), params=asked).to_arrow_table()
    numbers = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names[1:]}
    return {"customer": np.asarray(table["customer_id"].to_pylist(), dtype=str), **numbers}


def _for_horizon(evaluation: Evaluation, rows: dict[str, Array]) -> Evaluation:
    """The evaluation with estimates, chance of churn and answers of another horizon; bounds have none."""
    place = np.searchsorted(rows["customer"], evaluation.customer)
    told = {name: column[place] for name, column in rows.items()}
    staying = np.clip(1 - evaluation.churn, 1e-9, 1 - 1e-9)
    odds = staying / (1 - staying) * np.exp(told["log_odds_beyond"])
    return replace(
        evaluation,
        actual=told["revenue"],
        left=told["purchases"] == 0,
        predicted={
            name: predicted * told[_share_of(name)]
            for name, predicted in evaluation.predicted.items()
            if name != "typical"
        },
        churn=1 / (1 + odds),
    )


def _share_of(estimator: str) -> str:
    return "expected_share" if estimator in OF_THE_MODEL else OWN_SHARES.get(estimator, "days_share")
