"""Opens the warehouse file. No other module does, apart from dbt's own adapter."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from clv_ml.errors import NotBuiltError, WarehouseBusyError, WarehouseError
from clv_ml.settings import Settings
from clv_ml.warehouse.quoting import quoted_name, quoted_text


@contextmanager
def connect(settings: Settings, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    A connection in UTC, closed at the end. Names without a schema are those of the product's own.

    Raises:
        NotBuiltError: If there is no file, or nothing of the product's in it (``read_only``).
        WarehouseError: If the file is locked by another process, or no DuckDB database.
    """
    if read_only and not settings.warehouse.exists():
        raise NotBuiltError(
            f"There is no warehouse at {settings.warehouse}. Build it first (clv ingest, dbt run)."
        )
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(settings.warehouse, read_only=read_only)
    except duckdb.Error as error:
        raise opening_error(settings, error) from error
    try:
        connection.execute("set TimeZone = 'UTC'")
        if not _use_own_schema(connection, settings) and read_only:
            raise NotBuiltError(
                f"{settings.warehouse} has no schema {settings.own_schema!r} yet. Build it first (clv "
                "ingest, dbt run)."
            )
        yield connection
    finally:
        connection.close()


def _use_own_schema(connection: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Lets names without a schema be those of the product's own. False where that does not stand yet."""
    found = connection.execute(
        "select database_name from duckdb_schemas() where database_name = current_database() and "
        "schema_name = ?",
        [settings.own_schema],
    ).fetchall()
    for (catalog,) in found:
        connection.execute(f"use {quoted_name(catalog)}.{quoted_name(settings.own_schema)}")
    return bool(found)


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing, the temporary tables included."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def require_free(settings: Settings) -> None:
    """
    Opens the warehouse for writing and closes it; an absent one is made.

    Raises:
        WarehouseBusyError: If another process has it open.
        WarehouseError: If it is no DuckDB database.
    """
    with connect(settings, read_only=False):
        pass


def harden(connection: duckdb.DuckDBPyConnection, folders: Sequence[Path] = ()) -> None:
    """
    Leaves the database no way out, for as long as it is open: it reads and writes its own file and nothing
    outside the folders, loads and installs no extension, and takes no change of this. UTC is set first, since
    nothing is after.
    """
    allowed = ", ".join(quoted_text(folder.resolve()) for folder in folders)
    for statement in (
        "set global TimeZone = 'UTC'",
        "set autoinstall_known_extensions = false",
        "set autoload_known_extensions = false",
        "set allow_community_extensions = false",
        f"set allowed_directories = [{allowed}]",
        "set enable_external_access = false",
        "set lock_configuration = true",
    ):
        connection.execute(statement)


def only_value(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> Any:
    """The value of a statement that gives one row of one column."""
    ((value,),) = connection.execute(sql, parameters).fetchall()
    return value


def opening_error(settings: Settings, error: Exception) -> WarehouseError:
    """The error of a database that does not open; DuckDB's own text names the process that has it open."""
    if is_lock_conflict(str(error)):
        return WarehouseBusyError(
            f"{settings.warehouse} is in use by another process. Wait until it is "
            f"done, or read a published copy. ({error})"
        )
    return WarehouseError(f"{settings.warehouse} cannot be opened: {error}")


def is_lock_conflict(message: str) -> bool:
    """Whether a message of DuckDB says that another process has the file open."""
    return "could not set lock" in message.lower() or "conflicting lock" in message.lower()
