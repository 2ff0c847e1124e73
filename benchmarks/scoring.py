"""
How fast the database scores, against LightGBM's own ``predict`` on the same rows (``make bench``).

Three figures: rows a second of ``clv_score`` over a table, rows a second of the boosters alone, and the
latency of one customer through SQL, warm. Features are random, with gaps; the model is trained on the
simulated shop by ``clv``'s own code.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import lightgbm as lgb
import numpy as np
from rich.console import Console
from rich.table import Table

from clv_ml.engines import engine_of
from clv_ml.learn.training import train
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.registry import load
from clv_ml.serve.dbt_plugin import register
from clv_ml.settings import Settings, load_settings
from clv_ml.simulate.simulator import Shop, write_simulation

CALLS = 1_000
WARM_UP = 50


@dataclass(frozen=True)
class Figures:
    """Rows a second, and milliseconds."""

    threads: int
    sql_rows_per_second: float
    lightgbm_rows_per_second: float
    one_customer_ms: float

    @property
    def ratio(self) -> float:
        """SQL over LightGBM; the promise is 0.8."""
        return self.sql_rows_per_second / self.lightgbm_rows_per_second


def main() -> None:
    """Train once, then measure with each number of threads."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="customers to score")
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads, one run each")
    arguments.add_argument("--repeats", type=int, default=3, help="the best of so many runs counts")
    asked = arguments.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        settings = trained_shop(Path(folder))
        model = load(settings.models)
        assert model is not None
        found = [measure(settings, model, asked.rows, threads, asked.repeats) for threads in asked.threads]
    show(model, asked.rows, found)


def trained_shop(folder: Path) -> Settings:
    """A small simulated shop with a champion."""
    os.environ.setdefault("DBT_TARGET_PATH", str(folder / "target"))
    os.environ.setdefault("DBT_LOG_PATH", str(folder / "logs"))
    settings = load_settings({"horizon_days": 90}).model_copy(
        update={"warehouse": folder / "clv.duckdb", "models": folder / "models"}
    )
    write_simulation(Shop(customers=1500, start=date(2024, 1, 1), end=date(2025, 1, 1)), folder / "data")
    engine_of(settings).ingest_files("simulator", data_dir=folder / "data")
    engine_of(settings).build_features()
    train(settings)
    return settings


def measure(settings: Settings, model: LoadedModel, rows: int, threads: int, repeats: int) -> Figures:
    """All three figures, in one process, one after the other."""
    with duckdb.connect(config={"threads": threads}) as connection:
        register(connection, settings)
        fill(connection, model, rows)
        struct = call(model)
        together = f"select sum(s.clv_predicted) from (select {struct} as s from customers)"
        one = f"select {struct} as s from customers where customer_id = ?"
        sql = best_of(repeats, lambda: connection.execute(together).fetchall())
        features = matrix(connection, model)
        boosters = model.recipe.boosters.values()
        alone = best_of(repeats, lambda: [predict(booster, features, threads) for booster in boosters])
        connection.execute("create table few as from customers limit 1000")
        latency = latency_of_one(connection, one.replace("from customers", "from few"))
    return Figures(threads, rows / sql, rows / alone, latency)


def fill(connection: duckdb.DuckDBPyConnection, model: LoadedModel, rows: int) -> None:
    """
    A table of random customers. A value of each feature is drawn from around its splits, one in ten is
    missing.
    """
    connection.execute("select setseed(0.5)")
    columns = ", ".join(
        f"case when random() > 0.1 then 200 * random() - 5 end as {name}"
        for name in model.manifest.feature_names
    )
    anchor = f", exp(3 + random()) as {model.manifest.anchor}" if model.manifest.anchor else ""
    connection.execute(
        f"create table customers as select range as customer_id, {columns}{anchor} from range({rows})"
    )


def call(model: LoadedModel) -> str:
    """The scoring call as dbt renders it."""
    names = dict.fromkeys((*model.manifest.feature_names, *filter(None, [model.manifest.anchor])))
    return f"clv_score(struct_pack({', '.join(f'{name} := {name}' for name in names)}))"


def matrix(connection: duckdb.DuckDBPyConnection, model: LoadedModel) -> np.ndarray:
    """The same rows as LightGBM wants them, shape (n, features); making it is not measured."""
    columns = connection.execute(
        f"select {', '.join(model.manifest.feature_names)} from customers"
    ).fetchnumpy()
    return np.column_stack([np.ma.filled(columns[name], np.nan) for name in model.manifest.feature_names])


def predict(booster: lgb.Booster, features: np.ndarray, threads: int) -> np.ndarray:
    """LightGBM's own scores."""
    return np.asarray(booster.predict(features, raw_score=True, num_threads=threads))


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest run; the first, which loads the model, is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])


def latency_of_one(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    """Median milliseconds of a warm call for one customer, each time another."""
    milliseconds = []
    for number in range(WARM_UP + CALLS):
        begun = time.perf_counter()
        connection.execute(query, [number % 1000]).fetchall()
        milliseconds.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(milliseconds[WARM_UP:])


def show(model: LoadedModel, rows: int, found: list[Figures]) -> None:
    """A table on the terminal."""
    trees = sum(booster.num_trees() for booster in model.recipe.boosters.values())
    table = Table(
        "threads",
        "clv_score rows/s",
        "LightGBM rows/s",
        "ratio (promise 0.8)",
        "one customer, ms (promise < 5)",
        title=f"{rows:,} customers, {len(model.manifest.features)} features, {trees} trees",
    )
    for figures in found:
        table.add_row(
            str(figures.threads),
            f"{figures.sql_rows_per_second:,.0f}",
            f"{figures.lightgbm_rows_per_second:,.0f}",
            f"{figures.ratio:.2f}",
            f"{figures.one_customer_ms:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
