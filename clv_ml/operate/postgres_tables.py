"""The published tables as Postgres has them: types, comments, keys and rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import duckdb
from pyarrow import csv

from clv_ml.warehouse.model_keys import Key
from clv_ml.warehouse.postgres import run
from clv_ml.warehouse.quoting import quoted_name, quoted_text

if TYPE_CHECKING:
    import psycopg

TYPES = {
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric(20)",
    "HUGEINT": "numeric(39)",
    "JSON": "jsonb",
}
"""Types that Postgres calls otherwise; numbers, dates, times and truth values have the same names."""
NESTED = re.compile(r".*\]$|(STRUCT|MAP|UNION)\(")
ROWS_AT_ONCE = 20_000
NEW = "__new"
"""Ends the name of a table that is being loaded, and the name of its key."""


@dataclass(frozen=True)
class Column:
    """A column of the published file: its type is DuckDB's."""

    name: str
    kind: str
    comment: str | None

    @property
    def is_nested(self) -> bool:
        """Whether a value holds others; Postgres has it as JSON."""
        return bool(NESTED.match(self.kind))

    @property
    def postgres_type(self) -> str:
        """The type there."""
        if self.is_nested:
            return "jsonb"
        return TYPES.get(self.kind, self.kind.lower().replace("decimal", "numeric"))

    @property
    def as_text(self) -> str:
        """SQL of the value as Postgres reads it."""
        name = quoted_name(self.name)
        return f"cast({f'to_json({name})' if self.is_nested else name} as varchar) as {name}"


@dataclass(frozen=True)
class Table:
    """A table of the published file; ``key`` is None where no model declares one."""

    name: str
    comment: str | None
    columns: tuple[Column, ...]
    key: Key | None


def tables_of(source: duckdb.DuckDBPyConnection, keys: Mapping[str, Key]) -> tuple[Table, ...]:
    """Every table of the published file, by name."""
    tables = source.execute("select table_name, comment from duckdb_tables() order by 1").fetchall()
    columns = source.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns() where not internal "
        "order by table_name, column_index"
    ).fetchall()
    return tuple(
        Table(name, comment, tuple(Column(*rest) for of, *rest in columns if of == name), keys.get(name))
        for name, comment in tables
    )


def create(target: psycopg.Connection, table: Table, schema: str) -> None:
    """Makes the empty table under its name for loading, with its comments."""
    name = table.name + NEW
    place = f"{quoted_name(schema)}.{quoted_name(name)}"
    parts = [f"{quoted_name(column.name)} {column.postgres_type}" for column in table.columns]
    run(target, f"create table {place} ({', '.join(parts)})")
    if table.comment:
        run(target, f"comment on table {place} is {quoted_text(table.comment)}")
    for column in table.columns:
        if column.comment:
            said = f"{place}.{quoted_name(column.name)} is {quoted_text(column.comment)}"
            run(target, f"comment on column {said}")


def load(source: duckdb.DuckDBPyConnection, target: psycopg.Connection, table: Table, schema: str) -> int:
    """
    Copies the rows and puts the key on them; returns how many there are.

    Rows travel as text: a missing value is empty, an empty text is quoted.
    """
    place = f"{quoted_name(schema)}.{quoted_name(table.name + NEW)}"
    texts = ", ".join(column.as_text for column in table.columns)
    rows = source.sql(f"select {texts} from {quoted_name(table.name)}")
    count, style = 0, csv.WriteOptions(include_header=False, quoting_style="all_valid")
    with target.cursor().copy(f"copy {place} from stdin (format csv)".encode()) as copy:
        for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
            written = BytesIO()
            csv.write_csv(batch, written, style)
            copy.write(written.getbuffer())
            count += batch.num_rows
    if table.key:
        columns = ", ".join(map(quoted_name, table.key.columns))
        kind = "unique" if table.key.has_null else "primary key"
        run(
            target,
            f"alter table {place} add constraint {quoted_name(key_name(table, NEW))} {kind} ({columns})",
        )
    run(target, f"analyze {place}")
    return count


def key_name(table: Table, end: str = "") -> str:
    """What the key of a table is called."""
    return f"{table.name}{end}_key"
