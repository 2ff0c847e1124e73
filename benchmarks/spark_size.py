"""
Refreshes and scores a large made shop, on a small Spark cluster or on DuckDB, and times each step. The
cluster has two one-core workers, DuckDB two threads.

``python benchmarks/spark_size.py MODELS [--events 20000000] [--customers 1000000] [--engine duckdb]``: MODELS
is a model folder whose champion was trained with the project's own settings (``clv demo`` makes one). Events
are spread at random over two years; only the last dates of the grid are built, as in a daily run. Needs the
extra [spark] and Java 17.
"""

import argparse
import itertools
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from spark_cluster import standalone_cluster  # noqa: E402

from clv_ml import pipeline  # noqa: E402
from clv_ml.settings import Settings, load_settings  # noqa: E402
from clv_ml.warehouse.connection import connect  # noqa: E402
from clv_ml.warehouse.dbt_runner import create_tables  # noqa: E402

DAYS = 730
FILES = 16
EVENTS = """
    copy (
        with numbers as (
            select i, hash(i) as h, hash(i + 1000000007) as g, i % 20 as kind from range({first}, {last})
                as t(i)
        )
        select
            'e' || i as event_id,
            'c' || (h % {customers}) as customer_id,
            case when kind < 5 then 'purchase' when kind = 5 then 'refund' when kind < 12 then 'session_start'
                when kind < 18 then 'page_view' else 'add_to_cart' end as event_type,
            timestamp '2023-01-01' + to_seconds(cast(g % ({days} * 86400) as bigint)) as occurred_at,
            occurred_at as recorded_at,
            case when kind >= 6 then 's' || i end as session_id,
            case when kind < 6 then 'o' || i end as order_id,
            case when kind < 6 then 'p' || (g % 5000) end as product_id,
            case when kind < 6 then 'category ' || (g % 12) end as category,
            cast(case when kind < 5 then 1 when kind = 5 then -1 end as decimal(18, 3)) as quantity,
            cast(case when kind < 5 then (h % 20000) / 100 + 1 when kind = 5 then -5 end
                as decimal(18, 2)) as amount,
            case when kind < 6 then 'GBP' end as currency
        from numbers
    ) to '{path}' (format parquet)
"""


def write_shop(folder: Path, events: int, customers: int) -> None:
    """Parquet files in the input contract."""
    (folder / "events").mkdir(parents=True)
    bounds = [events * part // FILES for part in range(FILES + 1)]
    for part, (first, last) in enumerate(itertools.pairwise(bounds)):
        path = folder / "events" / f"{part:02}.parquet"
        duckdb.sql(EVENTS.format(first=first, last=last, customers=customers, days=DAYS, path=path))


def run(settings: Settings, raw: Path | None) -> dict[str, Any]:
    """
    ``clv run`` with its steps on stderr; what it took and the peak memory of this process, Spark's own not in
    it.
    """
    result = pipeline.run(
        settings, data_dir=raw, on_step=lambda step: print(step, file=sys.stderr, flush=True)
    )
    return {
        "seconds": result.seconds,
        "customers": result.scoring.customers,
        "methods": result.scoring.methods,
        "peak_mb_of_this_process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def on_spark(settings: Settings, folder: Path, memory: str) -> dict[str, Any]:
    """On a cluster of its own; the raw tables lie over the files."""
    # the worker offers a little more than its executor takes
    with standalone_cluster(folder / "cluster", memory=f"{int(memory.removesuffix('g')) + 1}g") as master:
        os.environ |= {
            "CLV_SPARK_MASTER": master,
            "CLV_SPARK_FOLDER": str(folder / "tables"),
            "PYSPARK_SUBMIT_ARGS": f"--executor-memory {memory} pyspark-shell",
        }
        return run(settings.model_copy(update={"target": "spark"}), folder / "raw")


def on_duckdb(settings: Settings, folder: Path) -> dict[str, Any]:
    """The files are loaded into the raw table first, unchecked as on Spark, and that is not timed."""
    create_tables(settings)
    with connect(settings, read_only=False) as connection:
        connection.execute(f"insert into raw.events by name from '{folder}/raw/events/*.parquet'")
    return run(settings, None)


def main() -> None:
    """Prints one JSON object: seconds per step, rows scored, and this process's own peak in megabytes."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    arguments.add_argument("models", type=Path, help="model folder with a champion")
    arguments.add_argument("--events", type=int, default=20_000_000, help="events, all kinds together")
    arguments.add_argument("--customers", type=int, default=1_000_000, help="customers")
    arguments.add_argument("--engine", choices=("spark", "duckdb"), default="spark", help="who computes")
    arguments.add_argument("--memory", default="4g", help="of each Spark executor, in whole gigabytes")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="clv-size-") as name:
        folder = Path(name)
        write_shop(folder / "raw", given.events, given.customers)
        places = {"warehouse": folder / "clv.duckdb", "models": given.models.resolve()}
        settings = load_settings({"first_training_day": DAYS - 80}).model_copy(update=places)
        if given.engine == "spark":
            found = on_spark(settings, folder, given.memory)
        else:
            found = on_duckdb(settings, folder)
    print(json.dumps({"engine": given.engine, "events": given.events, **found}))


if __name__ == "__main__":
    main()
