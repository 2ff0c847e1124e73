"""
Rows of a Postgres table or query as a Parquet file, which is then fed like any other. Every value travels as
the text that Postgres writes, times with their offset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from clv_ml.errors import InputError, OtherCurrencyError
from clv_ml.ingest.summary import IngestSummary
from clv_ml.settings import Settings
from clv_ml.warehouse.postgres import connect_postgres, place_of, run
from clv_ml.warehouse.quoting import quoted_name, quoted_text
from clv_ml.wording import names_of

if TYPE_CHECKING:
    import psycopg

TIMES = {1114: "timestamp", 1184: "timestamptz"}
"""Types of Postgres, by number, of which the last hour is read again."""
AGAIN = "interval '1 hour'"
"""A transaction stamps its rows when it begins and shows them when it ends: these come late."""


@dataclass(frozen=True)
class Source:
    """
    What to read: a table or a query, of the database at ``url``. Rows from what ``watermark``, a column of
    it, had reached before; all of them where it is empty.
    """

    url: str
    table: str = ""
    query: str = ""
    watermark: str = ""

    @property
    def label(self) -> str:
        """A short name: that of the table, without its schema."""
        if self.table:
            return re.sub(r"\W", "_", self.table.rpartition(".")[2])
        return f"query_{hashlib.sha256(self.query.encode()).hexdigest()[:8]}"

    @property
    def name(self) -> str:
        """The database and what is read of it; without a password."""
        return f"{place_of(self.url)}, {f'table {self.table}' if self.table else self.label}"

    @property
    def sql(self) -> str:
        """What is read, as a query."""
        if self.table:
            return f"select * from {'.'.join(map(quoted_name, self.table.split('.')))}"
        return self.query.strip().rstrip(";")


@contextmanager
def exported(
    settings: Settings, source: Source, since: str | None = None
) -> Iterator[tuple[Path, str | None]]:
    """
    The file of ``export``, for as long as the block runs; it lies next to the warehouse, where the next run
    removes what a killed one left. Errors of the block speak of the source, not of the file.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.warehouse.parent, prefix=f".{settings.warehouse.name}.") as folder:
        file, reached = export(source, since, Path(folder))
        try:
            yield file, reached
        except InputError as error:
            if isinstance(error, OtherCurrencyError):
                raise
            said = str(error).replace(f"clv inspect {file}", "clv inspect with the same --from and --table")
            raise type(error)(said.replace(str(file), source.name)) from error


def speaking_of(source: Source, summary: IngestSummary) -> IngestSummary:
    """The summary of the file in words of its source."""
    warnings = tuple(text.replace(str(summary.path), source.name) for text in summary.warnings)
    return replace(summary, path=Path(source.label), warnings=warnings)


def export(source: Source, since: str | None, folder: Path) -> tuple[Path, str | None]:
    """
    Writes the rows from ``since`` on, those at it and those without a watermark too.

    Returns:
        The file, and how far the watermark has come.

    Raises:
        DatabaseError: If the server cannot be reached, or refuses.
        InputError: If the table, the query or the column of the watermark is not there.
    """
    from psycopg import errors

    file, text = folder / f"{source.label}.parquet", folder / "rows.csv"
    with connect_postgres(source.url) as connection:
        # rows and watermark are of one moment, and a query can change nothing
        run(connection, "set transaction isolation level repeatable read, read only")
        try:
            columns = _columns(connection, source)
            rows = _rows(source, columns, since)
            _copy(connection, f"select * from {rows}", text)
            reached = _reached(connection, source, rows) if source.watermark else None
        except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
            raise InputError(
                f"{source.name}: {error.diag.message_primary}. Name the table with its schema, such as "
                "--table shop.orders."
            ) from None
        except (errors.SyntaxError, errors.UndefinedColumn, errors.ReadOnlySqlTransaction) as error:
            raise InputError(
                f"{source.name}: {error.diag.message_primary}. Write the query as one SELECT."
            ) from None
    _as_parquet(text, tuple(columns), file)
    text.unlink()
    return file, reached or since


def _columns(connection: psycopg.Connection, source: Source) -> dict[str, int]:
    """The columns by name, with the number of their type."""
    found = connection.execute(f"select * from (\n{source.sql}\n) as feed limit 0".encode()).description or []
    names = [column.name for column in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{source.name} gives {', '.join(twice)} twice. Name each column of the query once.")
    if source.watermark and source.watermark not in names:
        raise InputError(f"{source.name} has no column {source.watermark!r}. It has: {names_of(names)}.")
    return {column.name: column.type_code for column in found}


def _rows(source: Source, columns: dict[str, int], since: str | None) -> str:
    """The rows that are due, as a relation."""
    feed = f"(\n{source.sql}\n) as feed"
    if not source.watermark or since is None:
        return feed
    mark, start = quoted_name(source.watermark), quoted_text(since)
    if kind := TIMES.get(columns[source.watermark]):
        start = f"cast({start} as {kind}) - {AGAIN}"
    return f"{feed} where {mark} >= {start} or {mark} is null"


def _reached(connection: psycopg.Connection, source: Source, rows: str) -> str | None:
    ((reached,),) = run(connection, f"select cast(max({quoted_name(source.watermark)}) as text) from {rows}")
    return reached


def _copy(connection: psycopg.Connection, query: str, file: Path) -> None:
    statement = f"copy ({query}) to stdout (format csv)".encode()
    with connection.cursor().copy(statement) as copy, file.open("wb") as out:
        for block in copy:
            out.write(block)


def _as_parquet(text: Path, columns: tuple[str, ...], file: Path) -> None:
    """The texts as they are, with nothing guessed."""
    with duckdb.connect() as connection:
        connection.execute(
            "copy (from read_csv($text, columns = $columns, header = false, auto_detect = false, "
            "delim = ',', quote = '\"', escape = '\"', max_line_size = 100000000)) to "
            f"{quoted_text(file)} (format parquet)",
            {"text": str(text), "columns": dict.fromkeys(columns, "VARCHAR")},
        )
