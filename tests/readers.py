"""Processes that read the published marts again and again while new versions come, and what they saw."""

import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from shops import MARTS_FOLDER, settings_for

from clv_ml.operate import publication
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

MARTS = ("customer_clv", "customer_segments")
ROWS = 2000
PAUSE_SECONDS = 0.1
"""Between two reads of a process, so that the publisher gets its turn on a small machine."""
SAID = (
    "date '2024-01-01' as as_of_date, 60 as horizon_days, 'EUR' as reporting_currency, "
    "'v1' as clv_model_version"
)
"""What a publication says of itself, read from the columns of ``customer_clv``."""


@dataclass(frozen=True)
class Seen:
    """
    Reads of whole versions, versions that were parts of two, errors by text, and how many generations were
    met.
    """

    reads: int
    mixed: int
    errors: tuple[str, ...]
    generations: int


def made_by_hand(folder: Path) -> Settings:
    """A project of two marts and a warehouse with their first generation."""
    project = folder / "project"
    (project / MARTS_FOLDER).mkdir(parents=True)
    for name in MARTS:
        (project / MARTS_FOLDER / f"{name}.sql").write_text("select 1")
    settings = settings_for(folder).model_copy(update={"project": project})
    fill(settings, 1)
    return settings


def fill(settings: Settings, generation: int) -> None:
    """Every row of both marts carries the generation, so that parts of two are told."""
    with connect(settings, read_only=False) as connection:
        for name in MARTS:
            connection.execute(
                f"create or replace table {name} as select {generation} as generation, i, {SAID} "
                f"from range({ROWS}) as t(i)"
            )


def read_while_publishing(settings: Settings, publishes: int, readers: int) -> Seen:
    """Publishes so many generations, one after the other, while others read."""
    folder = publish(settings).path.parent
    context = multiprocessing.get_context("spawn")
    over, found = context.Event(), context.Queue()
    processes = [context.Process(target=_read, args=(folder, over, found)) for _ in range(readers)]
    for process in processes:
        process.start()
    for generation in range(2, publishes + 2):
        fill(settings, generation)
        publish(settings)
    over.set()
    seen = [found.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return Seen(
        reads=sum(one.reads for one in seen),
        mixed=sum(one.mixed for one in seen),
        errors=tuple(error for one in seen for error in one.errors),
        generations=max(one.generations for one in seen),
    )


def _read(folder: Path, over: Any, found: Any) -> None:
    reads, mixed, errors, generations = 0, 0, [], set()
    while not over.wait(PAUSE_SECONDS):
        try:
            version = _version(folder)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
            continue
        reads += 1
        mixed += len(version) != 1
        generations |= version
    found.put(Seen(reads, mixed, tuple(errors), len(generations)))


def _version(folder: Path) -> set[tuple]:
    """
    What one read meets: the record and each mart, of the database through its link and of the Parquet files
    beside it.
    """
    with duckdb.connect(folder / publication.DATABASE, read_only=True) as reader:
        ((record,),) = reader.execute(f"from {publication.RECORD}").fetchall()
        in_database = {_generations(reader, name) for name in MARTS}
    files = (folder / publication.CURRENT).resolve()
    with duckdb.connect() as reader:
        ((parquet_record,),) = reader.execute(f"from '{files / publication.RECORD}.parquet'").fetchall()
        in_parquet = {_generations(reader, f"'{files / name}.parquet'") for name in MARTS}
    # a publication may come between the two: then each must be whole
    if record != parquet_record and len(in_database) == len(in_parquet) == 1:
        return in_parquet
    return in_database | in_parquet


def _generations(reader: duckdb.DuckDBPyConnection, source: str) -> tuple:
    query = f"select min(generation), max(generation), count(*) from {source}"
    lowest, highest, rows = reader.execute(query).fetchall()[0]
    return (lowest, rows) if (lowest, rows) == (highest, ROWS) else (lowest, highest, rows, time.time())
