"""Whole jobs, side by side: from a file to a scored table, and the day after."""

import shutil
from pathlib import Path

import duckdb
import pandas as pd
from contest_notebook import scored
from contest_runs import Contender, Mark, Steps, Work, threads
from contest_scoring import settings_of, with_champion
from contest_shop import dbt_writes_to, settings_in, write_orders
from quality_cases import DATA

from clv_ml import pipeline
from clv_ml.settings import Settings

SHOP, HORIZON_DAYS = "online_retail_ii", 91
NEW_SHARE = 0.01
SPLIT = "copy (from '{all}' {which}) to '{path}' (format parquet)"


def with_clv_run(folder: Path) -> Steps:
    """``clv run`` on an empty folder: from the file to published marts."""
    _dbt_in(folder / "run")
    settings = settings_in(folder / "run", {"horizon_days": HORIZON_DAYS})
    yield {}
    found = pipeline.run(settings, SHOP, DATA / f"{SHOP}.parquet")
    yield {}
    shutil.rmtree(folder / "run")
    yield {"customers": float(found.scoring.customers)}


def _dbt_in(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    dbt_writes_to(folder)


def with_notebook(folder: Path) -> Steps:
    """The notebook of ``contest_notebook``: mean only, no drivers, no bounds, no checks."""
    yield {}
    table: pd.DataFrame = scored(DATA / f"{SHOP}.parquet", folder / "scored.parquet", HORIZON_DAYS, threads())
    yield {}
    yield {"customers": float(len(table))}


WHOLE_JOB = Work(
    key="whole_job",
    title="Whole job",
    about=(
        f"Online Retail II, from its file of 1.04 million lines to a scored table, horizon {HORIZON_DAYS} "
        "days. Ours is `clv run` in an empty folder with dbt's start and parsing: checks of every line, "
        "features, training, a test out of time, calibrated bounds and chances, drivers, narratives, tests,"
        " published marts. The notebook (`benchmarks/contest_notebook.py`) reads, sums invoices, makes 25 "
        "features of each month's first day, stops its trees early out of time, refits and predicts the "
        "mean."
    ),
    unit="lines",
    sizes=("1.04 million",) if (DATA / f"{SHOP}.parquet").exists() else (),
    prepare=lambda folder, _: None,
    contenders=(
        Contender("ours", with_clv_run),
        Contender("pandas + LightGBM notebook", with_notebook, computes="mean only"),
    ),
    marks=(Mark("pandas + LightGBM notebook", 1),),
    shown=("customers",),
)


def prepare_refresh(folder: Path, orders: int) -> None:
    """A champion, all orders but the newest as a scored warehouse, and the newest as a file."""
    settings = with_champion(folder)
    dbt_writes_to(folder)
    every = write_orders(folder / "all.parquet", orders)
    new = max(1, int(orders * NEW_SHARE))
    duckdb.execute(SPLIT.format(all=every, which=f"limit {orders - new}", path=folder / "old.parquet"))
    duckdb.execute(SPLIT.format(all=every, which=f"offset {orders - new}", path=folder / "new.parquet"))
    pipeline.run(settings, "orders", folder / "old.parquet")
    settings.warehouse.rename(folder / "before.duckdb")


def refresh(folder: Path) -> Steps:
    """``clv run`` with the new file on the warehouse of the day before."""
    shutil.copyfile(folder / "before.duckdb", settings_of(folder).warehouse)
    yield from _run(folder, "new.parquet")


def full_build(folder: Path) -> Steps:
    """``clv run`` with all orders on an empty warehouse."""
    yield from _run(folder, "all.parquet")


def _run(folder: Path, file: str) -> Steps:
    _dbt_in(folder / "dbt")
    settings: Settings = settings_of(folder)
    yield {}
    found = pipeline.run(settings, "orders", folder / file)
    yield {}
    settings.warehouse.unlink()
    yield {"customers": float(found.scoring.customers)}


REFRESH = Work(
    key="refresh",
    title="Daily refresh",
    about=(
        "`clv run` after the newest 1 % of all orders came in, against `clv run` of all orders on an empty "
        "warehouse, two years, ten orders a customer. Both score with a model that was trained before, and "
        "both count dbt's start and parsing, the checks of the feed and of the marts, and publishing."
    ),
    unit="orders",
    sizes=(10_000, 100_000, 1_000_000),
    prepare=prepare_refresh,
    contenders=(Contender("ours", refresh), Contender("own full build", full_build)),
    marks=(Mark("own full build", 1 / 0.15),),
    equal=("customers",),
)
