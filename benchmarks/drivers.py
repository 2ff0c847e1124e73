"""
How long scores and drivers of everybody take in SQL (``make bench-drivers``), and how much memory. Other
engines stand beside ours in ``make bench``.

Customers and champion are synthetic: 200 trees of 31 leaves, depth at most 6. The machine may be shared, so
the processor's seconds stand beside the clock's.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import lightgbm as lgb
import numpy as np
from rich.console import Console
from rich.table import Table

from clv_ml.model import registry
from clv_ml.model.manifest import AnchorComponentSpec, AnchorOpening, ModelDescription
from clv_ml.model.model_files import write_model
from clv_ml.model.recipe import Output, Recipe, Term, Trees
from clv_ml.serve.dbt_plugin import register
from clv_ml.settings import load_settings

FEATURES = tuple(f"feature_{number}" for number in range(40))


def _part(name: str, driver: str = "") -> AnchorComponentSpec:
    return AnchorComponentSpec(name=name, reference=9.0, driver=driver)


PARTS = (
    "anchor_level",
    "anchor_persistence",
    "anchor_probabilistic",
    "expected_pace",
    "expected_order_value",
)
FACTS = ("revenue_365d", "total_purchases", "avg_order_value", "days_since_last_purchase")
OPENING = AnchorOpening(
    level=_part("anchor_level"),
    addends=(_part("anchor_persistence", "revenue_365d"),),
    product=_part("anchor_probabilistic"),
    factors=(_part("expected_pace", "total_purchases"), _part("expected_order_value", "avg_order_value")),
    rest="days_since_last_purchase",
)
BATCH_ROWS = 100_000


def main() -> None:
    """Scores, then explains, and prints a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="customers")
    asked = arguments.parse_args()

    table = Table("what", "rows", "clock, s", "rows/s", "processor, s")
    in_sql(champion(), asked.rows, table)
    # the kernel counts kibibytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console = Console()
    console.print(table)
    console.print(f"peak memory of scoring and explaining {peak:.2f} GiB (promise 3 GB = 2.79 GiB)")


def matrix(rows: int, seed: int) -> np.ndarray:
    """Random features, one in ten missing; shape (rows, features)."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, len(FEATURES)))
    table[rng.random(table.shape) < 0.1] = np.nan
    return table


def champion() -> lgb.Booster:
    """200 trees of 31 leaves, depth at most 6."""
    table = matrix(20_000, seed=0)
    rng = np.random.default_rng(0)
    filled = np.nan_to_num(table, nan=0.5)
    score = filled[:, :20] @ rng.normal(0, 0.2, 20) + 0.3 * filled[:, 3] * filled[:, 4]
    target = np.exp(score + rng.normal(0, 0.5, len(table)))
    settings = {
        "objective": "tweedie",
        "num_leaves": 31,
        "max_depth": 6,
        "learning_rate": 0.05,
        "feature_fraction": 0.7,
        "verbose": -1,
        "seed": 1,
    }
    return lgb.train(settings, lgb.Dataset(table, target), 200)


def in_sql(booster: lgb.Booster, rows: int, table: Table) -> None:
    """Scores and ten drivers of every customer into tables on disk, by the calls that dbt renders."""
    mean = Output("clv_predicted", (Term(1.0, (Trees("mean", "exp"),), anchored=True),))
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings().model_copy(update={"models": Path(folder) / "models"})
        description = ModelDescription(
            version="bench",
            model_type="lightgbm",
            feature_hash="none",
            horizon_days=365,
            reporting_currency="GBP",
            anchor_reference=20.0,
            anchor_opening=OPENING,
        )
        sample = matrix(500, seed=2)
        recipe = Recipe(FEATURES, "anchor_value", (mean,), {"mean": booster})
        write_model(settings.models, recipe, description, sample, np.ones(500))
        registry.promote(settings.models, "bench", "benchmark")
        with duckdb.connect(f"{folder}/bench.duckdb") as connection:
            register(connection, settings)
            fill(connection, rows)
            score, _ = timed(
                table, "clv_score in SQL", rows, lambda: connection.execute(scoring()).fetchall()
            )
            drive, _ = timed(
                table, "clv_explain in SQL", rows, lambda: connection.execute(explaining()).fetchall()
            )
            together = rows / score + rows / drive
            table.add_row("both in SQL (promise 75 s, aim 60 s)", f"{rows:,}", f"{together:.1f}", "", "")
            check(connection, rows)


def fill(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """The customers, as ``scoring_rows`` has them."""
    normal = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
    features = ", ".join(f"case when random() > 0.1 then {normal} end as {name}" for name in FEATURES)
    connection.execute("select setseed(0.5)")
    connection.execute(
        f"create table customers as select 'customer-' || range as customer_id, {features}, "
        f"exp(3 + random()) as anchor_value, 20.0e0 as anchor_level from range({rows})"
    )
    columns = {"anchor_persistence": "0.4e0 * anchor_value", "anchor_probabilistic": "0.5e0 * anchor_value"}
    columns |= dict.fromkeys(("expected_pace", "expected_order_value"), "exp(2 + random())")
    columns |= dict.fromkeys(FACTS, "exp(3 + random())")
    made = ", ".join(f"{value} as {name}" for name, value in columns.items())
    connection.execute(f"create or replace table customers as select *, {made} from customers")


def struct(columns: tuple[str, ...]) -> str:
    """The argument of both functions."""
    return f"struct_pack({', '.join(f'{name} := {name}' for name in columns)})"


def scoring() -> str:
    """As customer_predictions does it."""
    return (
        f"create table predictions as select customer_id, clv_score({struct((*FEATURES, 'anchor_value'))}) "
        "as s from customers"
    )


def explaining() -> str:
    """As customer_drivers does it."""
    columns = struct(("customer_id", *FEATURES, "anchor_value", *PARTS, *FACTS))
    return f"""
        create table drivers as
        with numbered as (
            select *, row_number() over (order by customer_id) // {BATCH_ROWS} as batch from customers
        ), batches as (select batch, list({columns}) as customers from numbered group by batch),
        explained as (select unnest(clv_explain(customers, 10)) as driver from batches)
        select driver.* from explained
    """


def check(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Speed alone proves nothing: every customer has eleven rows, and they add up to the prediction."""
    found = connection.execute(
        "select count(*), max(abs(total - s.clv_predicted) / s.clv_predicted) from predictions "
        "join (select customer_id, max(driver_base) + sum(contribution) as total, count(*) as rows "
        "from drivers group by all) using (customer_id) where rows = 11"
    ).fetchall()[0]
    assert found[0] == rows and found[1] < 1e-9, found


def timed(table: Table, what: str, rows: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Rows a second by the clock, and what the work returned; a line in the table."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    seconds, used = time.perf_counter() - clock, time.process_time() - processor
    table.add_row(what, f"{rows:,}", f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{used:.1f}")
    return rows / seconds, result


if __name__ == "__main__":
    main()
