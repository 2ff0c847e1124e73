"""What the tests of ingestion share: an empty warehouse, files, and a look at what was stored."""

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
from shops import RAW_TABLES

from clv_ml.ingest.choice import Choice
from clv_ml.ingest.ingestion import IngestSummary, ingest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
NOW = datetime(2026, 1, 1)

EVENT = {
    "event_id": "e1",
    "customer_id": "ann",
    "event_type": "purchase",
    "occurred_at": "2025-06-01 12:00:00",
    "order_id": "o1",
    "amount": "10.00",
    "currency": "GBP",
}


def empty_warehouse(path: Path | str = ":memory:") -> duckdb.DuckDBPyConnection:
    """
    A database, in memory unless a path is given, with the raw tables as the YAML of the sources describes
    them.
    """
    connection = duckdb.connect(path, config={"threads": 2})
    connection.execute("create schema if not exists raw")
    for table, columns in RAW_TABLES.items():
        defined = [
            f"{column['name']} {column['data_type']} {'not null' if column.get('constraints') else ''}"
            for column in columns
        ]
        connection.execute(f"create table if not exists raw.{table} ({', '.join(defined)})")
    return connection


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> Path:
    """Write a well-formed CSV; values are quoted where they must be."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
        writer.writerows([header, *rows])
    return path


def write_events(path: Path, *events: dict[str, str]) -> Path:
    """Write events, each given by how it differs from EVENT. An event_id is numbered unless it is given."""
    rows = [{**EVENT, "event_id": f"e{number}", **event} for number, event in enumerate(events, start=1)]
    header = list(dict.fromkeys(name for row in rows for name in row))
    return write_csv(path, header, [[row.get(name, "") for name in header] for row in rows])


def feed(
    connection: duckdb.DuckDBPyConnection, path: Path, preset: str | Choice = "events", **options: object
) -> IngestSummary:
    """Ingest in pounds at the test's clock."""
    return ingest(connection, preset, path, **{"reporting_currency": "GBP", "now": NOW, **options})


def stored(
    connection: duckdb.DuckDBPyConnection,
    columns: str = "columns(lambda name: name <> 'feed_id')",
    table: str = "events",
) -> list[tuple]:
    """Rows of a raw table in a fixed order; unless columns are named, without the feed that brought them."""
    return connection.execute(f"select {columns} from raw.{table} order by all").fetchall()


def everything(connection: duckdb.DuckDBPyConnection) -> list[list[tuple]]:
    """All rows of all raw tables, in the order in which they are stored."""
    tables = ("events", "id_history", "fx_rates", "attributes", "acquisition_costs", "quarantine")
    return [connection.execute(f"select * from raw.{table}").fetchall() for table in tables]
