"""How near estimates come to the truth, in shops whose truth is known: a table of ``make bench-quality``."""

from collections.abc import Mapping
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray
from quality_cases import Truth

from clv_ml.engines import engine_of
from clv_ml.learn.training import train
from clv_ml.measure.metrics import spearman
from clv_ml.settings import Settings
from clv_ml.show.backtest_sheets import Sheet
from clv_ml.warehouse.connection import connect

Values = NDArray[np.float64]
HEAD = (
    "estimator",
    "total / true",
    "Spearman with truth",
    "share of the true model's",
    "nMAE to truth",
    "active: mean / true",
    "gone: mean / active's true mean",
)


def truth_sheet(settings: Settings, truth: Truth) -> Sheet:
    """
    What each estimator said against each customer's true expected value, which knows their latent rates and
    whether they are still a customer: on the backtest's dates (means), then what `customer_clv` says of the
    window beyond the shop's history.

    Total: sum predicted / sum of the true expectation. Ranking: Spearman with the true expectation, and that
    over what the shop's own model reaches on the same customers and recorded history, where somebody worked
    that out (the posterior mean under the true parameters, row ``true model``). That, and not the Spearman of
    1 that only the latent rates reach, is what a forecast can hope for. Gone are those whose truth is 0; what
    is expected of them is a share of what the others are worth.
    """
    known = cache(truth)
    found: dict[str, list[Values]] = {}
    for origin, estimator, names, values in _backtested(settings, known):
        found.setdefault(estimator, []).append(_nearness(names, values, known(origin)))
    train(settings)
    engine_of(settings).score()
    as_of, names, values = _published(settings)
    found[f"customer_clv as of {as_of}"] = [_nearness(names, values, known(as_of))]
    rows = tuple(
        (estimator, *("" if np.isnan(figure) else f"{figure:.3f}" for figure in np.mean(figures, axis=0)))
        for estimator, figures in found.items()
    )
    return Sheet("Against the true expected value", HEAD, rows)


def _backtested(settings: Settings, truth: Truth) -> list[tuple[date, str, list[str], Values]]:
    """
    Origin, estimator, customers and predictions of the backtest, and the true model's beside them where it is
    known.
    """
    with connect(settings) as connection:
        rows = connection.execute(
            "select origin, estimator, list(customer_id order by customer_id), list(predicted "
            "order by customer_id) from backtest_predictions group by all order by estimator, origin"
        ).fetchall()
    customers = {origin: names for origin, _, names, _ in rows}
    posterior = [
        (origin, "true model", names, np.array([truth(origin)[name][1] for name in names], dtype=float))
        for origin, names in customers.items()
    ]
    return [(origin, estimator, names, np.array(values)) for origin, estimator, names, values in rows] + [
        row for row in posterior if np.isfinite(row[3]).all()
    ]


def _published(settings: Settings) -> tuple[date, list[str], Values]:
    """Scoring date, customers and predictions of the champion."""
    with connect(settings) as connection:
        ((as_of, names, values),) = connection.execute(
            "select as_of_date, list(customer_id order by customer_id), list(clv_predicted "
            "order by customer_id) from customer_clv where clv_predicted is not null group by as_of_date"
        ).fetchall()
    return as_of, names, np.array(values)


def _nearness(names: list[str], values: Values, truth: Mapping[str, tuple[float, float | None]]) -> Values:
    """The figures of ``HEAD``; NaN where one is not defined."""
    expected, posterior = np.array([truth[name] for name in names], dtype=float).T
    ranking, gone = spearman(expected, values), expected <= 0
    active = expected[~gone].mean() if not gone.all() else np.nan
    return np.array(
        [
            values.sum() / expected.sum(),
            ranking,
            ranking / spearman(expected, posterior) if np.isfinite(posterior).all() else np.nan,
            np.abs(values - expected).mean() / expected.mean(),
            values[~gone].mean() / active if not gone.all() else np.nan,
            values[gone].mean() / active if gone.any() else np.nan,
        ]
    )
