"""
Finds what tables have of a person, deletes it, proves that it is gone, and remembers the id as a hash. Tables
are found by their columns, so a new one is not forgotten: rows go by ``customer_id`` or ``..._customer_id``,
and a ``raw_text`` that names the person is emptied. By the salted hash, ingestion stores nothing of them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import WarehouseError
from clv_ml.warehouse.connection import only_value
from clv_ml.warehouse.quoting import quoted_name

ERASED_TABLE = "erased_customers"


@dataclass(frozen=True)
class PersonTable:
    """A table's name as SQL, with its columns of customer ids, of raw text, and of any other text."""

    schema: str
    name: str
    id_columns: tuple[str, ...]
    raw_columns: tuple[str, ...]
    text_columns: tuple[str, ...]


def person_tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[PersonTable]:
    columns = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "inner join duckdb_tables() using (database_name, schema_name, table_name) where database_name = ? "
        "order by all",
        [catalog],
    ).fetchall()
    tables: dict[tuple[str, str], tuple[list[str], list[str], list[str]]] = {}
    for schema, table, column, kind in columns:
        name = ".".join(map(quoted_name, (catalog, schema, table)))
        ids, raw, texts = tables.setdefault((schema, name), ([], [], []))
        if column == "customer_id" or column.endswith("_customer_id"):
            ids.append(quoted_name(column))
        elif column == "raw_text":
            raw.append(quoted_name(column))
        elif any(word in kind for word in ("VARCHAR", "JSON", "STRUCT", "MAP", "BLOB")):
            texts.append(quoted_name(column))
    return [PersonTable(*names, *map(tuple, parts)) for names, parts in tables.items()]


def tables_that_know(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[PersonTable]:
    patterns = _patterns(connection, ids)
    found = []
    for table in person_tables(connection, catalog_of(connection)):
        columns = [has_id([column]) for column in table.id_columns]
        checks = [(where, {"ids": list(ids)}) for where in columns]
        checks += [(_names_person(column), {"patterns": patterns}) for column in table.raw_columns]
        if any(
            connection.execute(f"select 1 from {table.name} where {where} limit 1", values).fetchall()
            for where, values in checks
        ):
            found.append(table)
    return found


def was_erased(connection: duckdb.DuckDBPyConnection, raw_schema: str, ids: Sequence[str]) -> bool:
    table = in_schema(raw_schema, ERASED_TABLE)
    query = f"select 1 from {table}, unnest(?) as given(id) where customer_hash = sha256(salt || id) limit 1"
    return bool(connection.execute(query, [list(ids)]).fetchall())


def delete_person(
    connection: duckdb.DuckDBPyConnection, catalog: str, ids: Sequence[str]
) -> tuple[dict[str, int], int]:
    """Rows removed by table, and texts emptied."""
    rows, texts = {}, 0
    for table in person_tables(connection, catalog):
        if table.id_columns:
            where = has_id(table.id_columns)
            if removed := only_value(
                connection, f"delete from {table.name} where {where}", {"ids": list(ids)}
            ):
                rows[table.name.split(".", 1)[1].replace('"', "")] = removed
        for column in table.raw_columns:
            # the row's own id is a hash of its text
            texts += only_value(
                connection,
                f"update {table.name} set {column} = '', quarantine_id = md5(cast(uuid() as varchar)) "
                f"where {_names_person(column)}",
                {"patterns": _patterns(connection, ids)},
            )
            _drop_notes(connection, table.name)
    return rows, texts


def _drop_notes(connection: duckdb.DuckDBPyConnection, quarantine: str) -> None:
    """What other tables say of quarantined rows under an id that is no more: a hash of the text."""
    catalog, schema, name = (part.strip('"') for part in quarantine.split("."))
    noted = connection.execute(
        "select table_name from duckdb_columns() where database_name = ? and schema_name = ? "
        "and table_name <> ? and column_name = 'quarantine_id'",
        [catalog, schema, name],
    ).fetchall()
    for (table,) in noted:
        connection.execute(
            f"delete from {quoted_name(catalog)}.{quoted_name(schema)}.{quoted_name(table)} "
            f"where quarantine_id not in (select quarantine_id from {quarantine})"
        )


def remember(connection: duckdb.DuckDBPyConnection, table: str, ids: Sequence[str]) -> None:
    salt = only_value(connection, f"select min(salt) from {table}") or secrets.token_hex(32)
    connection.execute(
        f"insert into {table} select sha256($salt || id), $salt, now()::timestamp "
        "from unnest($ids) as given(id) where sha256($salt || id) not in (select customer_hash "
        f"from {table})",
        {"salt": salt, "ids": list(ids)},
    )


def prove_gone(
    connection: duckdb.DuckDBPyConnection, catalog: str, path: Path, ids: Sequence[str]
) -> dict[str, int]:
    """No table may hold the person; cells of other columns with the same text are counted by column."""
    mentions = {}
    for table in person_tables(connection, catalog):
        checks = [(column, has_id([column]), {"ids": list(ids)}) for column in table.id_columns]
        patterns = {"patterns": _patterns(connection, ids)}
        checks += [
            (column, _names_person(column), patterns) for column in table.raw_columns + table.text_columns
        ]
        for column, where, values in checks:
            found = only_value(connection, f"select count(*) from {table.name} where {where}", values)
            if found and column not in table.text_columns:
                raise WarehouseError(
                    f"{path} would still hold the customer in {table.name}.{column}. Please report it."
                )
            if found:
                mentions[f"{table.name}.{column}".split(".", 1)[1].replace('"', "")] = found
    return mentions


def within_other_words(connection: duckdb.DuckDBPyConnection, catalog: str, ids: Sequence[str]) -> bool:
    """
    Whether somebody's text holds one of the ids as a part of a longer word, as customer10 holds customer1:
    then counting bytes says nothing.
    """
    patterns = {"patterns": _patterns(connection, ids)}
    for table in person_tables(connection, catalog):
        for column in (*table.id_columns, *table.raw_columns, *table.text_columns):
            text = f"nfc_normalize(cast({column} as varchar))"
            within = (
                f"exists (select 1 from unnest($ids) as given(id) where contains({text}, id)) "
                f"and not {_names_person(column)}"
            )
            values = {"ids": list(ids), **patterns}
            if connection.execute(f"select 1 from {table.name} where {within} limit 1", values).fetchall():
                return True
    return False


def has_id(columns: Sequence[str]) -> str:
    """Whether one of the columns is the person's; a past history's number (int_histories) is theirs, too."""
    return " or ".join(
        f"list_contains($ids, split_part(cast({column} as varchar), chr(31), 1))" for column in columns
    )


def _names_person(column: str) -> str:
    """Whether a text holds one of the ids as a word; text may be in any Unicode form."""
    return (
        "exists (select 1 from unnest($patterns) as given(pattern) "
        f"where regexp_matches(nfc_normalize(cast({column} as varchar)), pattern))"
    )


def _patterns(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[str]:
    """
    Each id as a word, also as JSON and CSV write it. A number is none where it is part of a date, a time, an
    amount or an address.
    """
    return only_value(
        connection,
        "select list(distinct '(^|' || outside || ')' || regexp_escape(form) || '(' || outside || '|$)') "
        "from (select unnest([id, substr(json, 2, length(json) - 2), replace(id, '\"', '\"\"')]) as form, "
        "if(regexp_full_match(id, '[0-9]+'), '[^A-Za-z0-9/.:-]', '[^A-Za-z0-9]') as outside "
        "from (select id, cast(to_json(id) as varchar) as json from unnest(?) as given(id)))",
        [list(ids)],
    )


def catalog_of(connection: duckdb.DuckDBPyConnection) -> str:
    return only_value(connection, "select current_database()")


def in_schema(schema: str, table: str) -> str:
    return f"{quoted_name(schema)}.{quoted_name(table)}"
