"""
Fit and predict on real shops, side by side: everything before one date is known, the next 91 days are
compared. The files lie in ``../shared/data``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from contest_runs import Contender, Mark, Steps, Work
from contest_shop import dbt_writes_to, settings_in
from quality_cases import DATA

from clv_ml.engines import engine_of
from clv_ml.learn.backtest import choose_dates, evaluate_date
from clv_ml.learn.store_history import read_store_history
from clv_ml.learn.training_data import read_training_rows
from clv_ml.measure.metrics import evaluate_predictions
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

HORIZON_DAYS = 91
SHOPS = {"cdnow": "USD", "online_retail_ii": "GBP"}
PENALTIES = (0.0, 0.001, 0.01, 0.1)
"""What lifetimes is given in turn until it converges, as its manual advises."""
SHOWN = ("mae", "r2", "gini")
KNOWN_ORDERS = """
copy (
    select customer_id, ordered_at, sum(order_value) as amount from int_orders_as_of
    where as_of_date = '{day}' group by customer_id, ordered_at
) to '{path}' (format parquet)
"""


def _settings(folder: Path) -> Settings:
    shop = (folder / "shop").read_text(encoding="utf-8")
    return settings_in(folder, {"horizon_days": HORIZON_DAYS, "reporting_currency": SHOPS[shop]})


def prepare(folder: Path, shop: str) -> None:
    """The warehouse with every feature, the orders known on the date, and what the customers spent then."""
    (folder / "shop").write_text(shop, encoding="utf-8")
    dbt_writes_to(folder)
    settings = _settings(folder)
    engine_of(settings).ingest_files(shop, DATA / f"{shop}.parquet")
    engine_of(settings).build_features()
    with connect(settings) as connection:
        data = read_training_rows(connection, settings)
        (day,) = choose_dates(data, settings, 1, newest=True)
        connection.execute(KNOWN_ORDERS.format(day=day, path=folder / "orders.parquet"))
    rows = data.only(data.as_of == day)
    actual = pd.DataFrame({"customer_id": rows.customer, "actual": rows.revenue})
    actual.to_parquet(folder / "actual.parquet")
    (folder / "day.json").write_text(json.dumps(str(day)), encoding="utf-8")


def ours(folder: Path) -> Steps:
    """Reads the training rows and does what ``clv backtest`` does for one date."""
    settings = _settings(folder)
    day = np.datetime64(json.loads((folder / "day.json").read_text(encoding="utf-8")))
    yield {}
    with connect(settings) as connection:
        data, history = read_training_rows(connection, settings), read_store_history(connection)
    found = evaluate_date(data, history, day, settings)
    yield {}
    yield _figures(found.actual, found.predicted["model"])


def _figures(actual: Any, predicted: Any) -> dict[str, float]:
    found = evaluate_predictions(np.asarray(actual, float), np.asarray(predicted, float))
    return {"customers": float(len(actual))} | {name: float(found[name]) for name in SHOWN}


def _known(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.Timestamp]:
    """Orders before the date, who is asked for, and the date."""
    day = pd.Timestamp(json.loads((folder / "day.json").read_text(encoding="utf-8")))
    orders = pd.read_parquet(folder / "orders.parquet")
    orders = orders.assign(amount=orders["amount"].astype(float))
    return orders, pd.read_parquet(folder / "actual.parquet").set_index("customer_id"), day


def with_lifetimes(folder: Path) -> Steps:
    """BG/NBD and gamma-gamma, fitted by maximum likelihood, in weeks."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter
    from lifetimes.utils import ConvergenceError, summary_data_from_transaction_data

    orders, asked, day = _known(folder)
    yield {}
    summary = summary_data_from_transaction_data(
        orders, "customer_id", "ordered_at", "amount", observation_period_end=day, freq="D", freq_multiplier=7
    )
    for penalty in PENALTIES:
        try:
            pace = BetaGeoFitter(penalizer_coef=penalty)
            pace.fit(summary["frequency"], summary["recency"], summary["T"])
            break
        except ConvergenceError:
            continue
    again = summary[(summary["frequency"] > 0) & (summary["monetary_value"] > 0)]
    value = GammaGammaFitter().fit(again["frequency"], again["monetary_value"])
    predicted = pace.conditional_expected_number_of_purchases_up_to_time(
        HORIZON_DAYS / 7, summary["frequency"], summary["recency"], summary["T"]
    ) * value.conditional_expected_average_profit(
        summary["frequency"], summary["monetary_value"].clip(lower=0)
    )
    yield {}
    yield _figures(asked["actual"], predicted.reindex(asked.index).fillna(0))


def with_pymc_marketing(folder: Path) -> Steps:
    """The same two models, at the maximum of the posterior (MAP) under its default priors, in weeks."""
    from pymc_marketing.clv import BetaGeoModel, GammaGammaModel
    from pymc_marketing.clv.utils import rfm_summary

    orders, asked, day = _known(folder)
    yield {}
    summary = rfm_summary(
        orders,
        "customer_id",
        "ordered_at",
        "amount",
        observation_period_end=day,
        time_unit="D",
        time_scaler=7,
    )
    pace = BetaGeoModel(data=summary)
    pace.fit(method="map", progressbar=False)
    purchases = pace.expected_purchases(data=summary, future_t=HORIZON_DAYS / 7)
    positive = summary.assign(monetary_value=summary["monetary_value"].clip(lower=0))
    value = GammaGammaModel(data=positive[(positive["frequency"] > 0) & (positive["monetary_value"] > 0)])
    value.fit(method="map", progressbar=False)
    spend = value.expected_customer_spend(data=positive)
    both = (purchases * spend).mean(("chain", "draw")).to_series()
    yield {}
    yield _figures(asked["actual"], both.reindex(asked.index).fillna(0))


WORK = Work(
    key="forecasts",
    title="Fit and predict two real shops",
    about=(
        f"All before one date is known, the {HORIZON_DAYS} days after it are compared: mean absolute error "
        "(less is better), R² and normalised Gini (more is better), of all who had bought before. Ours "
        "reads the training rows and does what `clv backtest` does for a date: it calibrates, chooses, fits"
        " three kinds of model and the baselines, and evaluates chance of churn, bounds and confidence. Its"
        " features stand in the warehouse before; the others make theirs from the orders in that time."
    ),
    unit="shop",
    sizes=tuple(shop for shop in SHOPS if (DATA / f"{shop}.parquet").exists()),
    prepare=prepare,
    contenders=(
        Contender("ours", ours),
        Contender("lifetimes", with_lifetimes, ("lifetimes",), "mean only"),
        Contender("pymc-marketing, MAP", with_pymc_marketing, ("pymc_marketing",), "mean only"),
    ),
    marks=(Mark("lifetimes", 1), Mark("pymc-marketing, MAP", 1)),
    equal=("customers",),
    shown=SHOWN,
    not_run={"pymc-marketing by sampling, and interval scores": "left out for time"},
)
