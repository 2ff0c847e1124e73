"""Orders of a made shop, ten to a customer over two years, and what turns them into a warehouse of ours."""

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from clv_ml.settings import Settings, load_settings

ORDERS_EACH = 10
AS_OF = date(2025, 1, 1)
DAYS = 731
"""From 2023-01-01 to the day before ``AS_OF``."""
ORDERS = """
copy (
    select 'o' || i as order_id, 'c' || (hash(i) % {customers}) as customer_id,
        timestamp '2023-01-01'
            + to_seconds(cast(hash(i + 1000000007) % ({days} * 86400) as bigint)) as ordered_at,
        cast(1 + hash(i + 7) % 20000 / 100 as decimal(18, 2)) as amount
    from range({orders}) as t(i)
    order by ordered_at, order_id
) to '{path}' (format parquet)
"""
AS_EVENTS = """
insert into raw.events by name
select order_id as event_id, customer_id, 'purchase' as event_type, ordered_at as occurred_at,
    ordered_at as recorded_at, order_id, cast(1 as decimal(18, 3)) as quantity, amount, 'GBP' as currency
from read_parquet('{path}')
"""


def write_orders(path: Path, orders: int) -> Path:
    """A Parquet file of order_id, customer_id, ordered_at, amount; the same for the same number."""
    customers = max(1, orders // ORDERS_EACH)
    duckdb.execute(ORDERS.format(orders=orders, customers=customers, days=DAYS, path=path))
    return path


def built_for_one_date(folder: Path, orders: Path, models: Sequence[str]) -> None:
    """
    A warehouse whose only date is ``AS_OF``, with the models and all that they read; orders go straight into
    the raw table, as made ones need no check.
    """
    from clv_ml.warehouse.connection import connect
    from clv_ml.warehouse.dbt_runner import create_tables, run_dbt

    dbt_writes_to(folder)
    settings = settings_in(folder, {"as_of_date": str(AS_OF), "first_training_day": 36500})
    create_tables(settings)
    with connect(settings, read_only=False) as connection:
        connection.execute(AS_EVENTS.format(path=orders))
    run_dbt(settings, ["run", "--select", *(f"+{model}" for model in models)])


def dbt_writes_to(folder: Path) -> None:
    """Compiled SQL and logs, for this process."""
    os.environ |= {"DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs")}


def settings_in(folder: Path, overrides: dict[str, Any]) -> Settings:
    """Settings of a warehouse and of models in the folder."""
    places = {"warehouse": folder / "clv.duckdb", "models": folder / "models"}
    return load_settings(overrides).model_copy(update=places)
