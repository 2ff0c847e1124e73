"""
What an analyst would write in a notebook with pandas and LightGBM: from the file of Online Retail II to a
scored table. Features of the first of each month see only what was before, labels only what is past, trees
are stopped early on the newest labelled date, and the model is refitted on every labelled date.
"""

from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

WINDOWS = (30, 90, 180, 365)
PARAMETERS = {"objective": "tweedie", "learning_rate": 0.05, "num_leaves": 31, "verbose": -1, "seed": 1}
MOST_ROUNDS, PATIENCE = 1000, 50
DAY = pd.Timedelta(days=1)


def scored(source: Path, target: Path, horizon_days: int, threads: int) -> pd.DataFrame:
    """Every customer's predicted spend in the horizon from the day after the newest line, as a file too."""
    orders, horizon = read_orders(source), horizon_days * DAY
    today = orders["at"].max().normalize() + DAY
    grid = pd.date_range(orders["at"].min() + 30 * DAY, today - horizon, freq="MS")
    rows = pd.concat([_labelled(orders, day, horizon) for day in grid], keys=grid, names=["as_of"])
    features, label = rows.drop(columns="label"), rows["label"].clip(lower=0)
    rounds = _rounds(features, label, grid, horizon, threads)
    model = lgb.train(PARAMETERS | {"num_threads": threads}, lgb.Dataset(features, label), rounds)
    table = features_of(orders, today)
    result = table.assign(clv_predicted=model.predict(table[features.columns], num_threads=threads))
    result.reset_index().to_parquet(target)
    return result


def _rounds(
    features: pd.DataFrame, label: pd.Series, grid: pd.DatetimeIndex, horizon: pd.Timedelta, threads: int
) -> int:
    """How many trees are best on the newest date, fitted on dates whose label was final by then."""
    as_of = features.index.get_level_values("as_of")
    train, newest = as_of + horizon <= grid[-1], as_of == grid[-1]
    learned = lgb.Dataset(features[train], label[train])
    judged = lgb.Dataset(features[newest], label[newest], reference=learned)
    found = lgb.train(
        PARAMETERS | {"num_threads": threads},
        learned,
        MOST_ROUNDS,
        [judged],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )
    return found.best_iteration


def read_orders(source: Path) -> pd.DataFrame:
    """One row an invoice of a known customer; invoices whose number starts with C are negative."""
    lines = pd.read_parquet(source)
    lines.columns = [name.replace(" ", "").lower() for name in lines.columns]
    invoice = "invoiceno" if "invoiceno" in lines else "invoice"
    price = "unitprice" if "unitprice" in lines else "price"
    lines = lines.dropna(subset=["customerid"])
    lines = lines.assign(amount=(lines["quantity"].astype(float) * lines[price].astype(float)).round(2))
    by = lines.groupby(["customerid", invoice], sort=False)
    orders = by.agg(at=("invoicedate", "min"), amount=("amount", "sum"), lines=("stockcode", "size"))
    orders = orders.reset_index().rename(columns={"customerid": "customer_id", invoice: "order_id"})
    is_refund = orders["order_id"].astype(str).str.startswith("C")
    return orders.assign(at=pd.to_datetime(orders["at"]), is_refund=is_refund).sort_values("at")


def _labelled(orders: pd.DataFrame, day: pd.Timestamp, horizon: pd.Timedelta) -> pd.DataFrame:
    """Features on the date and what was spent in the horizon."""
    after = orders[(orders["at"] >= day) & (orders["at"] < day + horizon)]
    table = features_of(orders, day)
    return table.assign(label=after.groupby("customer_id")["amount"].sum().reindex(table.index).fillna(0))


def features_of(orders: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Recency, frequency, money, intervals and windows of every customer known before the date."""
    known = orders[orders["at"] < day]
    bought = known[~known["is_refund"]]
    by = bought.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency": (day - by["at"].max()) / DAY,
            "tenure": (day - by["at"].min()) / DAY,
            "purchases": by.size(),
            "mean_value": by["amount"].mean(),
            "std_value": by["amount"].std(),
            "largest": by["amount"].max(),
            "last_value": by["amount"].last(),
            "mean_lines": by["lines"].mean(),
        }
    )
    table["revenue"] = known.groupby("customer_id")["amount"].sum().reindex(table.index)
    refunds = known[known["is_refund"]].groupby("customer_id")["amount"].sum()
    table["refund_rate"] = -refunds.reindex(table.index).fillna(0) / by["amount"].sum()
    gaps = by["at"].diff() / DAY
    of_gaps = gaps.groupby(bought["customer_id"]).agg(["mean", "std", "min", "max"]).add_prefix("gap_")
    table = table.join(of_gaps)
    table["overdue"] = table["recency"] / table["gap_mean"].replace(0, np.nan)
    for days in WINDOWS:
        sums = known[known["at"] >= day - days * DAY].groupby("customer_id")["amount"].agg(["size", "sum"])
        sums.columns = [f"orders_{days}d", f"revenue_{days}d"]
        table = table.join(sums)
        table[sums.columns] = table[sums.columns].fillna(0)
    table["month_sin"], table["month_cos"] = (wave(2 * np.pi * day.month / 12) for wave in (np.sin, np.cos))
    return table
