"""
Erases a person from the warehouse and from what was published of it, and proves it.

Deleted rows stay readable in a database file: DELETE, CHECKPOINT and VACUUM leave their bytes behind. So each
file is rebuilt: copied, the rows deleted in the copy, the copy copied once more into a new file, and that
one, when nothing of the person is found in it, put in place of the old one in one step. Tables are found by
their columns, so a new one is not forgotten: rows go where a column is ``customer_id`` or ends in
``_customer_id``, and a ``raw_text`` that names the person is emptied. Numbers over many customers (segments,
calibration, the shop's level) are made anew by the next run.

A salted hash of each id stays behind, in ``erased_customers``, so that ingestion knows the person and stores
nothing.
"""

import os
import secrets
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import InputError, WarehouseError
from clv_ml.ingest.feeds import quoted
from clv_ml.model import registry
from clv_ml.settings import Settings, published_folder, report_path
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import create_tables
from clv_ml.warehouse.safe_files import remove_hidden, remove_unfinished, sync_folder

ERASED_TABLE = "erased_customers"
TELLING_BYTES = 8
"""
Ids of at least so many bytes do not turn up in a file by chance; of shorter ones a byte scan says nothing.
"""


@dataclass(frozen=True)
class FileErasure:
    """
    What was done to one file.

    ``rows_removed`` counts by table (a Parquet file is one table); ``texts_emptied`` are quarantined rows.
    ``bytes_before`` and ``bytes_after`` count the ids in uncompressed copies of the old and the new file: the
    first shows that the scan finds what is there. ``mentions`` counts cells of other columns with the same
    text, by column: where an id is short, these may well be products or orders.
    """

    path: Path
    rows_removed: dict[str, int]
    texts_emptied: int
    bytes_before: int
    bytes_after: int
    mentions: dict[str, int]


@dataclass(frozen=True)
class Erasure:
    """
    What ``forget`` did. It names no id, so that it may be kept. ``models`` are the versions that were trained
    on the person; ``report`` is the page beside the warehouse that was removed, None where there was none:
    ``clv report`` writes it anew.
    """

    ids: int
    files: tuple[FileErasure, ...]
    models: tuple[str, ...]
    report: Path | None


@dataclass(frozen=True)
class _Table:
    """A table's name as SQL, with its columns of customer ids, of raw text, and of any other text."""

    name: str
    id_columns: tuple[str, ...]
    raw_columns: tuple[str, ...]
    text_columns: tuple[str, ...]


def erase(settings: Settings, customer_id: str) -> Erasure:
    """`forget`, where the list of the erased may have to be created first."""
    if not settings.warehouse.exists():
        raise WarehouseError(f"There is no warehouse at {settings.warehouse}. Check CLV_WAREHOUSE.")
    create_tables(settings)
    return forget(settings, customer_id)


def forget(settings: Settings, customer_id: str) -> Erasure:
    """
    Erase a person under this id and every id that was merged with it.

    Raises:
        InputError: If no table of the warehouse and no published file has the id.

        WarehouseError: If the warehouse is absent or in use, or something of the person is left in a new
            file. The old files then stand as they were.
    """
    name = unicodedata.normalize("NFC", customer_id.strip())
    schema = _schema(settings)
    with connect(settings, read_only=False) as connection:
        ids = person_ids(connection, schema, name)
        if not (_is_known(connection, ids) or _was_erased(connection, schema, ids)):
            raise InputError(
                f"No customer {name!r} in {settings.warehouse}. Check the id as the feed writes it."
            )
        models = models_that_saw(settings, connection, ids)
        report = _remove_report(settings)
        _remove_scratch(settings)
        connection.execute("checkpoint")
        # the warehouse last: should one of these fail, it still knows which ids to look for next time
        published = [_erase_file(path, ids) for path in published_files(settings)]
        erased = _erase_database(connection, _catalog(connection), settings.warehouse, ids, schema)
    return Erasure(len(ids), (erased, *published), models, report)


def _remove_scratch(settings: Settings) -> None:
    """What a killed publication or erasure left: hidden folders with copies of the tables."""
    remove_unfinished(settings.warehouse)
    folder = published_folder(settings)
    for inside in (folder, *(path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())):
        remove_hidden(inside)


def _remove_report(settings: Settings) -> Path | None:
    """Removes the page, which names customers and sums over all of them."""
    path = report_path(settings)
    remove_unfinished(path)
    if not path.exists():
        return None
    path.unlink()
    sync_folder(path.parent)
    return path


def published_files(settings: Settings) -> list[Path]:
    """Database and Parquet files of every published version."""
    folder = published_folder(settings)
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in (".duckdb", ".parquet"))
    return [path for path in found if path.is_file() and not path.is_symlink()]


def person_ids(connection: duckdb.DuckDBPyConnection, raw_schema: str, customer_id: str) -> tuple[str, ...]:
    """The id and all that were merged into it or from it, over any number of steps, sorted."""
    found = connection.execute(
        "with recursive same as (select ? as id union select unnest([old_customer_id, new_customer_id]) "
        f"from {_in_schema(raw_schema, 'id_history')} inner join same "
        "on same.id in (old_customer_id, new_customer_id)) select id from same order by id",
        [customer_id],
    ).fetchall()
    return tuple(name for (name,) in found)


def models_that_saw(
    settings: Settings, connection: duckdb.DuckDBPyConnection, ids: Sequence[str]
) -> tuple[str, ...]:
    """
    Versions with a training date after the person was first known. Trees hold no row and no id, but were
    fitted with it.
    """
    ((known,),) = connection.execute(
        f"select min(recorded_at) from {_in_schema(_schema(settings), 'events')} "
        "where list_contains(?, customer_id)",
        [list(ids)],
    ).fetchall()
    if known is None:
        return ()
    return tuple(
        model.version
        for model in registry.list_models(settings.models)
        if model.manifest
        and any(str(known) < day for days in model.manifest.training_dates.values() for day in days)
    )


def _is_known(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> bool:
    patterns = _patterns(connection, ids)
    for table in _tables(connection, _catalog(connection)):
        columns = [_has_id([column]) for column in table.id_columns]
        checks = [(where, {"ids": list(ids)}) for where in columns]
        checks += [(_names_person(column), {"patterns": patterns}) for column in table.raw_columns]
        for where, values in checks:
            if connection.execute(f"select 1 from {table.name} where {where} limit 1", values).fetchall():
                return True
    return False


def _was_erased(connection: duckdb.DuckDBPyConnection, raw_schema: str, ids: Sequence[str]) -> bool:
    table = _in_schema(raw_schema, ERASED_TABLE)
    query = f"select 1 from {table}, unnest(?) as given(id) where customer_hash = sha256(salt || id) limit 1"
    return bool(connection.execute(query, [list(ids)]).fetchall())


def _erase_file(path: Path, ids: Sequence[str]) -> FileErasure:
    if path.suffix == ".parquet":
        return _erase_parquet(path, ids)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{_literal(path)}' as {quoted(path.stem)} (read_only)")
        return _erase_database(connection, path.stem, path, ids)


def _erase_database(
    connection: duckdb.DuckDBPyConnection,
    live: str,
    path: Path,
    ids: Sequence[str],
    raw_schema: str | None = None,
) -> FileErasure:
    """
    Rebuild an attached database without the person; with a raw schema, remember the ids there as salted
    hashes.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        work, clean = Path(folder) / "work.duckdb", Path(folder) / "clean.duckdb"
        before = _bytes_in(connection, live, Path(folder) / "before.duckdb", ids)
        with _copied(connection, live, work) as catalog:
            rows, texts = _delete(connection, catalog, ids)
            if raw_schema:
                _remember(connection, f"{quoted(catalog)}.{_in_schema(raw_schema, ERASED_TABLE)}", ids)
            with _copied(connection, catalog, clean) as rebuilt:
                mentions = _prove(connection, rebuilt, path, ids)
                after = _bytes_in(connection, rebuilt, Path(folder) / "after.duckdb", ids)
        _refuse_leftovers(path, ids, after)
        _put_in_place(clean, path)
    return FileErasure(path, rows, texts, before, after, mentions)


@contextmanager
def _copied(connection: duckdb.DuckDBPyConnection, catalog: str, path: Path) -> Iterator[str]:
    """
    A fresh file with everything of a catalog, attached under the name that is given; detached at the end.
    """
    name = path.stem
    # the same format, which older readers may need; it is told as "v1.5.0+"
    ((version,),) = connection.execute(
        "select regexp_extract(tags['storage_version'], 'v[0-9.]+') from duckdb_databases() "
        "where database_name = ?",
        [catalog],
    ).fetchall()
    option = f" (storage_version '{version}')" if version else ""
    connection.execute(f"attach '{_literal(path)}' as {quoted(name)}{option}")
    try:
        connection.execute(f"copy from database {quoted(catalog)} to {quoted(name)}")
        yield name
    finally:
        connection.execute(f"detach {quoted(name)}")


def _delete(
    connection: duckdb.DuckDBPyConnection, catalog: str, ids: Sequence[str]
) -> tuple[dict[str, int], int]:
    """Rows removed by table, and texts emptied."""
    rows, texts = {}, 0
    for table in _tables(connection, catalog):
        if table.id_columns:
            where = _has_id(table.id_columns)
            removed = connection.execute(
                f"delete from {table.name} where {where}", {"ids": list(ids)}
            ).fetchall()[0][0]
            if removed:
                rows[table.name.split(".", 1)[1].replace('"', "")] = removed
        for column in table.raw_columns:
            # the row's own id is a hash of its text
            texts += connection.execute(
                f"update {table.name} set {column} = '', quarantine_id = md5(cast(uuid() as varchar)) "
                f"where {_names_person(column)}",
                {"patterns": _patterns(connection, ids)},
            ).fetchall()[0][0]
    return rows, texts


def _remember(connection: duckdb.DuckDBPyConnection, table: str, ids: Sequence[str]) -> None:
    salts = connection.execute(f"select min(salt) from {table}").fetchall()
    salt = salts[0][0] or secrets.token_hex(32)
    connection.execute(
        f"insert into {table} select sha256($salt || id), $salt, now()::timestamp "
        "from unnest($ids) as given(id) where sha256($salt || id) not in (select customer_hash "
        f"from {table})",
        {"salt": salt, "ids": list(ids)},
    )


def _prove(
    connection: duckdb.DuckDBPyConnection, catalog: str, path: Path, ids: Sequence[str]
) -> dict[str, int]:
    """
    Every table queried: none holds the person; cells of other columns with the same text are counted by
    column.
    """
    mentions = {}
    for table in _tables(connection, catalog):
        checks = [(column, _has_id([column]), {"ids": list(ids)}) for column in table.id_columns]
        patterns = {"patterns": _patterns(connection, ids)}
        checks += [
            (column, _names_person(column), patterns) for column in table.raw_columns + table.text_columns
        ]
        for column, where, values in checks:
            found = connection.execute(f"select count(*) from {table.name} where {where}", values).fetchall()[
                0
            ][0]
            if found and column not in table.text_columns:
                raise WarehouseError(
                    f"{path} would still hold the customer in {table.name}.{column}. Please report it."
                )
            if found:
                mentions[f"{table.name}.{column}".split(".", 1)[1].replace('"', "")] = found
    return mentions


def _tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> list[_Table]:
    columns = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "inner join duckdb_tables() using (database_name, schema_name, table_name) where database_name = ? "
        "order by all",
        [catalog],
    ).fetchall()
    tables: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for schema, table, column, kind in columns:
        name = ".".join(map(quoted, (catalog, schema, table)))
        ids, raw, texts = tables.setdefault(name, ([], [], []))
        if column == "customer_id" or column.endswith("_customer_id"):
            ids.append(quoted(column))
        elif column == "raw_text":
            raw.append(quoted(column))
        elif any(word in kind for word in ("VARCHAR", "JSON", "STRUCT", "MAP", "BLOB")):
            texts.append(quoted(column))
    return [_Table(name, *map(tuple, parts)) for name, parts in tables.items()]


def _has_id(columns: Sequence[str]) -> str:
    return " or ".join(f"list_contains($ids, cast({column} as varchar))" for column in columns)


def _names_person(column: str) -> str:
    """Whether a text holds one of the ids as a word; text may be in any Unicode form."""
    return (
        "exists (select 1 from unnest($patterns) as given(pattern) "
        f"where regexp_matches(nfc_normalize(cast({column} as varchar)), pattern))"
    )


def _patterns(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[str]:
    """Each id as a word, also as JSON writes it."""
    ((patterns,),) = connection.execute(
        "select list(distinct '(^|[^A-Za-z0-9])' || regexp_escape(form) || '([^A-Za-z0-9]|$)') from ("
        "select unnest([id, substr(json, 2, length(json) - 2)]) as form "
        "from (select id, cast(to_json(id) as varchar) as json from unnest(?) as given(id)))",
        [list(ids)],
    ).fetchall()
    return patterns


def _bytes_in(connection: duckdb.DuckDBPyConnection, catalog: str, path: Path, ids: Sequence[str]) -> int:
    """How often an id stands in an uncompressed copy."""
    connection.execute("set force_compression = 'uncompressed'")
    try:
        with _copied(connection, catalog, path):
            pass
    finally:
        connection.execute("reset force_compression")
    return count_bytes(path, ids)


def count_bytes(path: Path, ids: Sequence[str]) -> int:
    """How often the ids stand in a file, byte by byte."""
    content = path.read_bytes()
    return sum(content.count(name.encode()) for name in ids)


def _refuse_leftovers(path: Path, ids: Sequence[str], after: int) -> None:
    if after and all(len(name.encode()) >= TELLING_BYTES for name in ids):
        raise WarehouseError(
            f"The bytes of the customer's id would still stand {after} times in {path}, in a column that is "
            "no customer's. Remove them there (a note or another id that quotes it), then forget again."
        )


def _erase_parquet(path: Path, ids: Sequence[str]) -> FileErasure:
    with (
        duckdb.connect() as connection,
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder,
    ):
        source = f"read_parquet('{_literal(path)}', hive_partitioning = false)"
        names = [column[0] for column in connection.execute(f"select * from {source} limit 0").description]
        columns = [quoted(name) for name in names if name == "customer_id" or name.endswith("_customer_id")]
        if not columns:
            return FileErasure(path, {}, 0, 0, 0, {})
        kept = f"select * from {source} where not coalesce({_has_id(columns)}, false)"
        values = {"ids": list(ids)}
        clean, plain = Path(folder) / "clean.parquet", Path(folder) / "plain.parquet"
        copy = "copy ({}) to '{}' (format parquet, compression {})"
        connection.execute(copy.format(f"select * from {source}", _literal(plain), "uncompressed"))
        before = count_bytes(plain, ids)
        rows = connection.execute(
            f"select count(*) from {source} where {_has_id(columns)}", values
        ).fetchall()[0][0]
        connection.execute(copy.format(kept, _literal(clean), "zstd"), values)
        connection.execute(
            copy.format(f"select * from read_parquet('{_literal(clean)}')", _literal(plain), "uncompressed")
        )
        after = count_bytes(plain, ids)
        _refuse_leftovers(path, ids, after)
        _put_in_place(clean, path)
    return FileErasure(path, {path.stem: rows} if rows else {}, 0, before, after, {})


def _put_in_place(new: Path, path: Path) -> None:
    """
    Swap the file for the new one with the old one's rights; a reader who holds the old one keeps it until he
    closes it.
    """
    new.chmod(path.stat().st_mode & 0o777)
    handle = os.open(new, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    os.replace(new, path)
    sync_folder(path.parent)


def _catalog(connection: duckdb.DuckDBPyConnection) -> str:
    return connection.execute("select current_database()").fetchall()[0][0]


def _literal(path: Path) -> str:
    return str(path).replace("'", "''")


def _schema(settings: Settings) -> str:
    """
    The schema of the raw tables, without a catalog before it: that is the warehouse's own, and the copies
    have another.
    """
    return settings.vars.raw_schema.rpartition(".")[2]


def _in_schema(schema: str, table: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}"
