"""
The published copy of the marts: a new folder each time and a link swapped, so that readers never wait.

The folder has one folder a version, each with ``clv.duckdb`` and a Parquet file per table, and the link
``current``, swapped in one step; ``clv.duckdb`` leads through it. A version never changes; the one before
stays until the next publication, and a reader that has an older file open keeps it.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from uuid import uuid4

import duckdb

from clv_ml.errors import PublishError
from clv_ml.operate.published_functions import FUNCTIONS
from clv_ml.operate.scores import ScoringResult, summary_of
from clv_ml.settings import Settings, models_of, published_folder
from clv_ml.warehouse.connection import connect, only_value
from clv_ml.warehouse.quoting import quoted_name, quoted_text
from clv_ml.warehouse.safe_files import hidden_folder, publish_folder, remove_hidden, sync

DATABASE, CURRENT, RECORD = "clv.duckdb", "current", "publication"
UNFINISHED = ".unfinished."
READABLE_BY = "v1.0.0"
"""The oldest DuckDB that must open what is published; readers update later than the writer."""
NOBODY = (
    "Nobody is scored in customer_clv, so nothing was published. Load orders and score them (clv run FILE)."
)


RECORD_MEANING = "One row: which version of all tables this is, for which date, horizon and currency."
RECORD_COLUMNS = {
    "version": "The publication's name; the same in every table and file of it.",
    "run_id": "The run that published it, as clv run --json names it.",
    "published_at": "When, UTC.",
    "product_version": "The version of clv-ml that published it.",
    "as_of_date": "The date that customers were scored on.",
    "horizon_days": "Days ahead, from as_of_date, that values are for.",
    "reporting_currency": "ISO 4217 code of all money.",
    "annual_discount_rate": "What a year's wait costs; values are what money is worth on as_of_date.",
    "interval_coverage": "Share of customers whose spend should lie between clv_low and clv_high.",
    "model_version": "The model that scored; NULL where none did.",
    "customers": "Rows of customer_clv.",
}
"""What the table ``publication`` says, with what each column means."""


@dataclass(frozen=True)
class Publication:
    """
    A version that readers see, where it is (a database file; on Spark a schema), the run that made it, and
    the rows of each table.
    """

    version: str
    path: Path | str
    rows: dict[str, int]
    run_id: str


def published_tables(settings: Settings) -> list[str]:
    """The marts, by name: every model of that folder."""
    return sorted(path.stem for path in (models_of(settings.project) / "marts").glob("*.sql"))


def publish(settings: Settings) -> Publication:
    """
    Copies the marts to a fresh version, checks it as a reader would, and makes it the current one.

    Raises:
        WarehouseError: If the warehouse is absent or locked.
        PublishError: If a mart is missing, nobody was scored, or the copy cannot be written or differs. The
            old version stays.
    """
    run_id = uuid4().hex
    folder = published_folder(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished_versions(settings)
        version = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        with hidden_folder(folder, UNFINISHED) as hidden:
            rows = _write(settings, hidden, version, run_id)
            _check(hidden, version, rows)
            _finish(hidden)
            # a clock that was moved back may repeat a name: the random end keeps versions apart
            version_folder = folder / f"{version}-{hidden.name.removeprefix(UNFINISHED)}"
            publish_folder(hidden, version_folder)
        previous = _current(folder)
        _point(folder / CURRENT, version_folder.name)
        _point(folder / DATABASE, f"{CURRENT}/{DATABASE}")
        _remove_old(folder, {version_folder.name, previous})
    except (OSError, duckdb.Error) as error:
        raise PublishError(
            f"{folder} cannot take a new version: {error}. Readers still see the old one. "
            "Make room or give write permission, then run clv publish."
        ) from error
    return Publication(version_folder.name, folder / DATABASE, rows, run_id)


def remove_unfinished_versions(settings: Settings) -> None:
    """What a killed publication or erasure left: hidden folders with copies of the tables."""
    folder = published_folder(settings)
    for inside in (folder, *(path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())):
        remove_hidden(inside)


def published_scoring(settings: Settings) -> ScoringResult | None:
    """What readers have; None where nothing is published."""
    path = published_folder(settings) / DATABASE
    if not path.exists():
        return None
    with duckdb.connect(path, read_only=True) as reader:
        return summary_of(settings, reader)


def require_marts(settings: Settings) -> None:
    """
    Refuses a warehouse without what is published.

    Raises:
        WarehouseError: If there is no warehouse, or another process has it.
        PublishError: Naming each table that is missing.
    """
    with connect(settings) as warehouse:
        names = warehouse.execute(
            "select table_name from information_schema.tables where table_schema = current_schema()"
        ).fetchall()
    if missing := [name for name in published_tables(settings) if (name,) not in names]:
        raise PublishError(
            f"{settings.warehouse} lacks {', '.join(missing)}. Build the marts (clv run, dbt run)."
        )


def record_query(settings: Settings, version: str, run_id: str, table: str) -> str:
    """The one row of the table ``publication``, as a query of both engines."""
    return (
        f"select {quoted_text(version)} as version, {quoted_text(run_id)} as run_id, "
        f"cast('{datetime.now(UTC):%Y-%m-%d %H:%M:%S}' as timestamp) as published_at, "
        f"{quoted_text(version_of('clv-ml'))} as product_version, max(as_of_date) as as_of_date, "
        "max(horizon_days) as horizon_days, max(reporting_currency) as reporting_currency, "
        f"cast({settings.vars.annual_discount_rate} as double) as annual_discount_rate, "
        f"cast({settings.vars.interval_coverage} as double) as interval_coverage, "
        f"max(clv_model_version) as model_version, count(*) as customers from {table}"
    )


def _write(settings: Settings, folder: Path, version: str, run_id: str) -> dict[str, int]:
    """The tables with their comments, as a database and as Parquet; both say in one row what they are."""
    require_marts(settings)
    tables = published_tables(settings)
    with connect(settings) as warehouse:
        comments = _comments(warehouse, tables)
    rows = {}
    with duckdb.connect(folder / DATABASE, config={"storage_compatibility_version": READABLE_BY}) as copy:
        copy.execute("set TimeZone = 'UTC'")
        copy.execute(f"attach {quoted_text(settings.warehouse)} as source (read_only)")
        for name in tables:
            place = f"source.{quoted_name(settings.own_schema)}.{quoted_name(name)}"
            copy.execute(f"create table {quoted_name(name)} as from {place}")
            rows[name] = only_value(copy, f"select count(*) from {quoted_name(name)}")
        if not rows["customer_clv"]:
            raise PublishError(NOBODY)
        copy.execute(f"create table {RECORD} as {record_query(settings, version, run_id, 'customer_clv')}")
        for statement in (*comments, *_record_comments(), *FUNCTIONS):
            copy.execute(statement)
        copy.execute("detach source")
        for name in (RECORD, *tables):
            copy.execute(
                f"copy {quoted_name(name)} to {quoted_text(folder / f'{name}.parquet')} (format parquet)"
            )
        copy.execute("checkpoint")
    return rows


def _comments(warehouse: duckdb.DuckDBPyConnection, tables: list[str]) -> list[str]:
    """The statements that give the copy the comments of the warehouse."""
    found = warehouse.execute(
        "select 'table' as kind, comment, [table_name] as names from duckdb_tables() "
        "where schema_name = current_schema() union all "
        "select 'column', comment, [table_name, column_name] from duckdb_columns() "
        "where schema_name = current_schema()"
    ).fetchall()
    return [
        f"comment on {kind} {'.'.join(map(quoted_name, names))} is {quoted_text(text)}"
        for kind, text, names in found
        if text and names[0] in tables
    ]


def _record_comments() -> list[str]:
    return [
        f"comment on table {RECORD} is {quoted_text(RECORD_MEANING)}",
        *(
            f"comment on column {RECORD}.{name} is {quoted_text(text)}"
            for name, text in RECORD_COLUMNS.items()
        ),
    ]


def _check(folder: Path, version: str, rows: dict[str, int]) -> None:
    """Reads the copy anew, database and Parquet, and compares it with what was meant."""
    with duckdb.connect(folder / DATABASE, read_only=True) as copy:
        for name, expected in {RECORD: 1, **rows}.items():
            found, parquet = (
                only_value(copy, f"select count(*) from {source}")
                for source in (quoted_name(name), quoted_text(folder / f"{name}.parquet"))
            )
            if (found, parquet) != (expected, expected):
                raise PublishError(
                    f"The copy {version} of {name} has {found} rows, its Parquet file {parquet}, not "
                    f"{expected}. Readers still see the old version. Check the disk, then run clv publish."
                )


def _finish(folder: Path) -> None:
    """Its files are on disk, and nobody writes to them again."""
    for path in folder.iterdir():
        sync(path)
        path.chmod(0o444)
    sync(folder)


def _point(link: Path, target: str) -> None:
    """Makes a link lead elsewhere in one step."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    temporary = link.with_name(f"{UNFINISHED}{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
    sync(link.parent)


def _current(folder: Path) -> str | None:
    link = folder / CURRENT
    return os.readlink(link) if link.is_symlink() else None


def _remove_old(folder: Path, kept: set[str | None]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
