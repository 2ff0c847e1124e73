"""Files rebuilt without a person: a new version takes the old one's place once it is proved clean."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import WarehouseError
from clv_ml.operate.erased_rows import (
    ERASED_TABLE,
    catalog_of,
    delete_person,
    has_id,
    in_schema,
    prove_gone,
    remember,
    within_other_words,
)
from clv_ml.operate.publication import RECORD
from clv_ml.warehouse.connection import only_value
from clv_ml.warehouse.quoting import quoted_name, quoted_text
from clv_ml.warehouse.safe_files import put_in_place

TELLING_BYTES = 8
"""Ids of so many bytes do not turn up in a file by chance; of shorter ones a byte scan says nothing."""


@dataclass(frozen=True)
class FileErasure:
    """
    What was done to one file: rows removed by table (a Parquet file is one table) and quarantined texts
    emptied.

    ``bytes_before`` and ``bytes_after`` count the ids in uncompressed copies of both files: the first
    shows that the scan finds what is there. ``mentions`` counts cells of other columns with the same
    text, by column: where an id is short, these may well be products or orders.
    """

    path: Path
    rows_removed: dict[str, int]
    texts_emptied: int
    bytes_before: int
    bytes_after: int
    mentions: dict[str, int]


def erase_file(path: Path, ids: Sequence[str]) -> FileErasure:
    if path.suffix == ".parquet":
        return _erase_parquet(path, ids)
    with duckdb.connect() as connection:
        connection.execute(f"attach {quoted_text(path)} as {quoted_name(path.stem)} (read_only)")
        return erase_database(connection, path.stem, path, ids)


def erase_database(
    connection: duckdb.DuckDBPyConnection,
    live: str,
    path: Path,
    ids: Sequence[str],
    raw_schema: str | None = None,
) -> FileErasure:
    """Rebuilds an attached database without the person; a raw schema keeps the ids as salted hashes."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        work, clean = Path(folder) / "work.duckdb", Path(folder) / "clean.duckdb"
        before = _bytes_in(connection, live, Path(folder) / "before.duckdb", ids)
        with _copied(connection, live, work) as catalog:
            rows, texts = delete_person(connection, catalog, ids)
            _count_anew(connection, catalog)
            if raw_schema:
                remember(connection, f"{quoted_name(catalog)}.{in_schema(raw_schema, ERASED_TABLE)}", ids)
            with _copied(connection, catalog, clean) as rebuilt:
                after = _bytes_in(connection, rebuilt, Path(folder) / "after.duckdb", ids)
                mentions = _proved_clean(connection, rebuilt, path, ids, after)
        put_in_place(clean, path, mode=path.stat().st_mode & 0o777)
    return FileErasure(path, rows, texts, before, after, mentions)


def _count_anew(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """The record of a publication says how many customers it has."""
    records = connection.execute(
        "select schema_name from duckdb_columns() where database_name = ? and table_name = ? "
        "and column_name = 'customers'",
        [catalog, RECORD],
    ).fetchall()
    for (schema,) in records:
        place = f"{quoted_name(catalog)}.{quoted_name(schema)}"
        connection.execute(
            f"update {place}.{RECORD} set customers = (select count(*) from {place}.customer_clv)"
        )


def count_files_anew(folder: Path) -> None:
    """The same of a published folder's Parquet files."""
    record, customers = folder / f"{RECORD}.parquet", folder / "customer_clv.parquet"
    if not (record.exists() and customers.exists()):
        return
    with (
        duckdb.connect() as connection,
        tempfile.TemporaryDirectory(dir=folder, prefix=f".{record.name}.") as scratch,
    ):
        new = Path(scratch) / record.name
        connection.execute(
            f"copy (select * replace ((select count(*) from {quoted_text(customers)}) as customers) "
            f"from {quoted_text(record)}) to {quoted_text(new)} (format parquet, compression zstd)"
        )
        put_in_place(new, record, mode=record.stat().st_mode & 0o777)


@contextmanager
def _copied(connection: duckdb.DuckDBPyConnection, catalog: str, path: Path) -> Iterator[str]:
    """A fresh file with everything of a catalog, attached under the name given; detached at the end."""
    name = path.stem
    # the same format, which older readers may need; DuckDB names it "v1.5.0+"
    version = only_value(
        connection,
        "select regexp_extract(tags['storage_version'], 'v[0-9.]+') from duckdb_databases() "
        "where database_name = ?",
        [catalog],
    )
    option = f" (storage_version '{version}')" if version else ""
    connection.execute(f"attach {quoted_text(path)} as {quoted_name(name)}{option}")
    try:
        connection.execute(f"copy from database {quoted_name(catalog)} to {quoted_name(name)}")
        yield name
    finally:
        connection.execute(f"detach {quoted_name(name)}")


def _erase_parquet(path: Path, ids: Sequence[str]) -> FileErasure:
    with (
        duckdb.connect() as connection,
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder,
    ):
        source = f"read_parquet({quoted_text(path)}, hive_partitioning = false)"
        names = [column[0] for column in connection.execute(f"select * from {source} limit 0").description]
        columns = [
            quoted_name(name) for name in names if name == "customer_id" or name.endswith("_customer_id")
        ]
        if not columns:
            return FileErasure(path, {}, 0, 0, 0, {})
        kept = f"select * from {source} where not coalesce({has_id(columns)}, false)"
        values = {"ids": list(ids)}
        clean, plain = Path(folder) / "clean.parquet", Path(folder) / "plain.parquet"
        copy = "copy ({}) to {} (format parquet, compression {})"

        def plain_bytes(rows: str) -> int:
            connection.execute(copy.format(f"select * from {rows}", quoted_text(plain), "uncompressed"))
            return count_bytes(plain, ids)

        before = plain_bytes(source)
        rows = only_value(connection, f"select count(*) from {source} where {has_id(columns)}", values)
        connection.execute(copy.format(kept, quoted_text(clean), "zstd"), values)
        after = plain_bytes(f"read_parquet({quoted_text(clean)})")
        connection.execute(
            f"create table {quoted_name(path.stem)} as from read_parquet({quoted_text(clean)})"
        )
        mentions = _proved_clean(connection, catalog_of(connection), path, ids, after)
        put_in_place(clean, path, mode=path.stat().st_mode & 0o777)
    return FileErasure(path, {path.stem: rows} if rows else {}, 0, before, after, mentions)


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


def _proved_clean(
    connection: duckdb.DuckDBPyConnection, catalog: str, path: Path, ids: Sequence[str], after: int
) -> dict[str, int]:
    """Proves by cells and by bytes (``after``) that nobody is left, and returns what only looks alike."""
    mentions = prove_gone(connection, catalog, path, ids)
    is_telling = after and all(len(name.encode()) >= TELLING_BYTES for name in ids)
    if is_telling and (mentions or not within_other_words(connection, catalog, ids)):
        raise WarehouseError(
            f"The bytes of the customer's id would still stand {after} times in {path}, in a column that is "
            "no customer's. Remove them there (a note or another id that quotes it), then forget again."
        )
    return mentions
