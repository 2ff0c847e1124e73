"""Recency, frequency, money and intervals of every customer on one date, side by side."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from contest_runs import Contender, Mark, Steps, Work, threads
from contest_shop import AS_OF, built_for_one_date, write_orders

MODELS = ("customer_rfm", "customer_intervals")
WINDOWS = (30, 90, 180, 365)
FADES = (15, 45, 120, 360)
MONTH = 30.436875
COMPARED = (
    "days_since_last_purchase", "days_since_first_purchase", "purchase_frequency_per_month",
    "total_purchases", "total_revenue", "avg_order_value",
    *(f"{what}_{days}d" for days in WINDOWS for what in ("purchase_count", "revenue", "avg_order_value")),
    "purchase_count_horizon_last_year", "revenue_horizon_last_year",
    *(f"decayed_revenue_{days}d" for days in FADES),
    "last_order_value", "min_order_value", "max_order_value", "std_order_value", "purchase_days",
    "std_day_value", "typical_gap_days", "gap_log_std",
    "interval_mean_days", "interval_std_days", "interval_min_days", "interval_max_days", "interval_cv",
    "regularity_index", "overdue_ratio",
)  # fmt: skip
"""What all who compute the same columns are checked on, as means over customers."""
LIFETIMES = ("frequency", "recency", "T", "monetary_value")
HAND_WRITTEN = (Path(__file__).parent / "contest_features.sql").read_text(encoding="utf-8")


def prepare(folder: Path, orders: int) -> None:
    """Also a warehouse in which the dates, orders and customers of dbt stand."""
    prepare_for_others(folder, orders)
    built_for_one_date(folder, folder / "orders.parquet", MODELS)


def prepare_for_others(folder: Path, orders: int) -> None:
    """The orders as a file and as a table."""
    write_orders(folder / "orders.parquet", orders)
    with duckdb.connect(folder / "hand.duckdb") as connection:
        connection.execute(f"create table orders as from '{folder}/orders.parquet'")


def ours(folder: Path) -> Steps:
    """The SQL of the two dbt models, into tables."""
    (compiled,) = (folder / "target").glob("compiled/*/models_sql/features")
    queries = {model: (compiled / f"{model}.sql").read_text(encoding="utf-8") for model in MODELS}
    with duckdb.connect(folder / "clv.duckdb", config={"threads": threads()}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield {}
        for model, query in queries.items():
            connection.execute(f"create or replace table made_{model} as {query}")
        yield {}
        connection.execute(
            "create view made as from made_customer_rfm join made_customer_intervals using (customer_id)"
        )
        found = _figures(connection, "made")
        connection.execute("drop view made")
        yield found


def hand_written(folder: Path) -> Steps:
    """One query of DuckDB."""
    with duckdb.connect(folder / "hand.duckdb", config={"threads": threads()}) as connection:
        yield {}
        connection.execute(f"create or replace table made as {HAND_WRITTEN.format(as_of=AS_OF)}")
        yield {}
        yield _figures(connection, "made")


def _figures(connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, float]:
    means = ", ".join(f"avg({name})" for name in COMPARED)
    rows, *values = connection.execute(f"select count(*), {means} from {table}").fetchall()[0]
    return {"rows": rows} | dict(zip(COMPARED, map(float, values), strict=True))


def with_pandas(folder: Path) -> Steps:
    """A frame of pandas."""
    orders = _orders(folder)
    yield {}
    table = _pandas_features(orders)
    yield {}
    yield {"rows": len(table)} | {name: float(table[name].mean()) for name in COMPARED}


def _orders(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "orders.parquet").assign(amount=lambda it: it["amount"].astype(float))


def _pandas_features(orders: pd.DataFrame) -> pd.DataFrame:
    as_of = pd.Timestamp(AS_OF)
    orders = orders[orders["ordered_at"] < as_of].sort_values(["customer_id", "ordered_at", "order_id"])
    by = orders.groupby("customer_id", sort=False)
    table = by.agg(
        first_at=("ordered_at", "min"), last_at=("ordered_at", "max"), total_purchases=("amount", "size"),
        total_revenue=("amount", "sum"), last_order_value=("amount", "last"),
        min_order_value=("amount", "min"), max_order_value=("amount", "max"),
        std_order_value=("amount", "std"),
    )  # fmt: skip
    day = pd.Timedelta(days=1)
    table["days_since_last_purchase"] = (as_of - table["last_at"]) // day
    table["days_since_first_purchase"] = (as_of - table["first_at"]) // day
    months = np.maximum(1, table["days_since_first_purchase"] / MONTH)
    table["purchase_frequency_per_month"] = table["total_purchases"] / months
    table["avg_order_value"] = table["total_revenue"] / table["total_purchases"]
    for days in WINDOWS:
        recent = orders[orders["ordered_at"] >= as_of - timedelta(days=days)]
        _add_window(table, recent, f"{days}d")
        table[f"avg_order_value_{days}d"] = table[f"revenue_{days}d"] / table[f"purchase_count_{days}d"]
    last_year = orders[orders["ordered_at"] >= as_of - timedelta(days=365)]
    _add_window(table, last_year, "horizon_last_year")
    age = (as_of - orders["ordered_at"]) // day
    for days in FADES:
        faded = orders["amount"] * np.exp(-age / days).round(6)
        table[f"decayed_revenue_{days}d"] = faded.groupby(orders["customer_id"], sort=False).sum().round(2)
    return table.join(_pandas_days(orders)).join(_pandas_intervals(orders, table["last_at"]))


def _add_window(table: pd.DataFrame, orders: pd.DataFrame, name: str) -> None:
    sums = orders.groupby("customer_id", sort=False)["amount"].agg(["size", "sum"]).reindex(table.index)
    table[f"purchase_count_{name}"], table[f"revenue_{name}"] = sums["size"].fillna(0), sums["sum"].fillna(0)


def _pandas_days(orders: pd.DataFrame) -> pd.DataFrame:
    days = orders.groupby(["customer_id", orders["ordered_at"].dt.floor("D")], sort=True)["amount"].sum()
    days = days.reset_index()
    gap = days.groupby("customer_id", sort=False)["ordered_at"].diff() / pd.Timedelta(days=1)
    by = days.assign(log_gap=np.log(gap)).groupby("customer_id", sort=False)
    found = by.agg(
        purchase_days=("amount", "size"), std_day_value=("amount", "std"),
        typical_gap_days=("log_gap", "mean"), gap_log_std=("log_gap", "std"),
    )  # fmt: skip
    return found.assign(typical_gap_days=np.exp(found["typical_gap_days"]))


def _pandas_intervals(orders: pd.DataFrame, last_at: pd.Series) -> pd.DataFrame:
    instants = orders.drop_duplicates(["customer_id", "ordered_at"])
    gaps = instants.groupby("customer_id", sort=False)["ordered_at"].diff() / pd.Timedelta(days=1)
    found = gaps.groupby(instants["customer_id"], sort=False).agg(["mean", "std", "min", "max"])
    found.columns = [f"interval_{name}_days" for name in found.columns]
    found["interval_cv"] = found["interval_std_days"] / found["interval_mean_days"]
    found["regularity_index"] = 1 / (1 + found["interval_cv"])
    since = (pd.Timestamp(AS_OF) - last_at) / pd.Timedelta(days=1)
    return found.assign(overdue_ratio=since / found["interval_mean_days"])


def with_polars(folder: Path) -> Steps:
    """A lazy frame of polars."""
    import polars as pl

    orders = pl.read_parquet(folder / "orders.parquet").with_columns(pl.col("amount").cast(pl.Float64))
    yield {}
    table = _polars_features(pl, orders.lazy()).collect()
    yield {}
    yield {"rows": len(table)} | {name: float(table[name].mean()) for name in COMPARED}


def _polars_features(pl: Any, orders: Any) -> Any:
    as_of, at, amount = pl.lit(AS_OF).cast(pl.Datetime("us")), pl.col("ordered_at"), pl.col("amount")
    orders = orders.filter(at < as_of)
    age = (as_of - at).dt.total_days()
    by_window = [
        one
        for days in WINDOWS
        for recent in [at >= as_of - timedelta(days=days)]
        for one in (
            recent.sum().alias(f"purchase_count_{days}d"),
            amount.filter(recent).sum().alias(f"revenue_{days}d"),
            amount.filter(recent).mean().alias(f"avg_order_value_{days}d"),
        )
    ]
    last_year = at >= as_of - timedelta(days=365)
    totals = orders.group_by("customer_id").agg(
        at.min().alias("first_at"), at.max().alias("last_at"), pl.len().alias("total_purchases"),
        amount.sum().alias("total_revenue"), amount.mean().alias("avg_order_value"),
        amount.min().alias("min_order_value"), amount.max().alias("max_order_value"),
        amount.sort_by("ordered_at", "order_id").last().alias("last_order_value"),
        amount.std().alias("std_order_value"), *by_window,
        last_year.sum().alias("purchase_count_horizon_last_year"),
        amount.filter(last_year).sum().alias("revenue_horizon_last_year"),
        *((amount * (-age / days).exp().round(6)).sum().round(2).alias(f"decayed_revenue_{days}d")
          for days in FADES),
    )  # fmt: skip
    days = orders.group_by("customer_id", at.dt.date().alias("day")).agg(amount.sum())
    log_gap = pl.col("day").sort().diff().dt.total_days().log()
    of_days = days.group_by("customer_id").agg(
        pl.len().alias("purchase_days"), amount.std().alias("std_day_value"),
        log_gap.mean().exp().alias("typical_gap_days"), log_gap.std().alias("gap_log_std"),
    )  # fmt: skip
    gap = at.unique().sort().diff().dt.total_microseconds() / 86_400e6
    of_gaps = orders.group_by("customer_id").agg(
        getattr(gap, name)().alias(f"interval_{name}_days") for name in ("mean", "std", "min", "max")
    )
    since_first, since_last = ((as_of - pl.col(name)).dt.total_days() for name in ("first_at", "last_at"))
    cv = pl.col("interval_std_days") / pl.col("interval_mean_days")
    since = (as_of - pl.col("last_at")).dt.total_microseconds() / 86_400e6
    return totals.join(of_days, on="customer_id").join(of_gaps, on="customer_id").with_columns(
        since_last.alias("days_since_last_purchase"), since_first.alias("days_since_first_purchase"),
        (pl.col("total_purchases") / (since_first / MONTH).clip(1)).alias("purchase_frequency_per_month"),
        cv.alias("interval_cv"), (1 / (1 + cv)).alias("regularity_index"),
        (since / pl.col("interval_mean_days")).alias("overdue_ratio"),
    )  # fmt: skip


def with_lifetimes(folder: Path) -> Steps:
    """The summary that its models are fitted on."""
    from lifetimes.utils import summary_data_from_transaction_data

    orders = _orders(folder)
    yield {}
    table = summary_data_from_transaction_data(
        orders, "customer_id", "ordered_at", "amount", observation_period_end=AS_OF
    )
    yield {}
    yield {"rows": len(table)} | {name: float(table[name].mean()) for name in LIFETIMES}


def with_pymc_marketing(folder: Path) -> Steps:
    """The same summary by its successor."""
    from pymc_marketing.clv.utils import rfm_summary

    orders = _orders(folder)
    yield {}
    table = rfm_summary(orders, "customer_id", "ordered_at", "amount", observation_period_end=AS_OF)
    yield {}
    yield {"rows": len(table)} | {name: float(table[name].mean()) for name in LIFETIMES}


FOUR = "4 columns"
WORK = Work(
    key="features",
    title="Features for one date",
    about=(
        f"Recency, frequency, money and intervals of every customer: {len(COMPARED)} columns that are "
        "checked to be the same for all who compute them. Ours is the SQL of `customer_rfm` and "
        "`customer_intervals` as dbt compiles it, without dbt's own start, from the orders that stand in "
        "the warehouse, into tables; it also computes 6 columns of refunds and items. The others have the "
        "same orders in memory, DuckDB in a table."
    ),
    unit="orders",
    sizes=(100_000, 1_000_000, 10_000_000),
    prepare=prepare,
    contenders=(
        Contender("ours", ours),
        Contender("DuckDB, one hand-written query", hand_written),
        Contender("polars", with_polars, ("polars",)),
        Contender("pandas", with_pandas),
        Contender("lifetimes", with_lifetimes, ("lifetimes",), FOUR),
        Contender("pymc-marketing", with_pymc_marketing, ("pymc_marketing",), FOUR),
    ),
    notes=(
        "the query written by hand takes less of the processor than ours. Not profiled; likely because ours "
        "reads the orders four times (totals, days, windows, gaps) and sums decimals and whole numbers, so "
        "that sums are exact, where the query reads them twice and sums doubles.",
    ),
    marks=(Mark("lifetimes", 8), Mark("pandas", 8), Mark("polars", 1)),
    equal=("rows", *COMPARED),
)
