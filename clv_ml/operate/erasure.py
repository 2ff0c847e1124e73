"""
Erases a person from the warehouse and from what was published of it, and proves it.

Deleted rows stay readable in a database file: DELETE, CHECKPOINT and VACUUM leave their bytes behind. So each
file is rebuilt without the person (``erased_files``). Numbers over many customers (segments, calibration, the
shop's level) are made anew by the next run.
"""

import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import InputError, WarehouseError
from clv_ml.model import registry
from clv_ml.operate.erased_files import FileErasure, count_files_anew, erase_database, erase_file
from clv_ml.operate.erased_rows import catalog_of, in_schema, tables_that_know, was_erased
from clv_ml.operate.publication import remove_unfinished_versions
from clv_ml.settings import Settings, one_off_folder, published_folder, report_path
from clv_ml.warehouse.connection import connect, only_value
from clv_ml.warehouse.dbt_runner import create_tables
from clv_ml.warehouse.safe_files import remove_unfinished, sync


@dataclass(frozen=True)
class Erasure:
    """
    What ``forget`` did; it names no id, so it may be kept. ``models`` are the versions trained on the
    person; ``report`` is the page next to the warehouse that was removed, None where there was none.
    """

    ids: int
    files: tuple[FileErasure, ...]
    models: tuple[str, ...]
    report: Path | None


def erase(settings: Settings, customer_id: str) -> Erasure:
    """`forget`, where the list of the erased may have to be created first."""
    if not settings.warehouse.exists():
        raise WarehouseError(f"There is no warehouse at {settings.warehouse}. Check CLV_WAREHOUSE.")
    create_tables(settings)
    return forget(settings, customer_id)


def forget(settings: Settings, customer_id: str) -> Erasure:
    """
    Erases a person under this id and every id that was merged with it.

    Raises:
        InputError: If no table of the warehouse and no published file has the id, or a table of others has.
        WarehouseError: If the warehouse is absent or in use, or something of the person is left in a new
            file. The old files then stand as they were.
    """
    name = unicodedata.normalize("NFC", customer_id.strip())
    schema = raw_schema_of(settings)
    with connect(settings, read_only=False) as connection:
        ids = person_ids(connection, schema, name)
        known = tables_that_know(connection, ids)
        own = {settings.own_schema, schema, *_built_schemas(connection)}
        if others := [table.name for table in known if table.schema not in own]:
            raise InputError(
                f"{', '.join(others)} of {settings.warehouse} names customer {name!r} and is not this "
                "product's. Nothing was touched. Erase the customer there first, then run clv forget again."
            )
        if not (known or was_erased(connection, schema, ids)):
            raise InputError(
                f"No customer {name!r} in {settings.warehouse}. Check the id as the feed writes it."
            )
        models = models_that_saw(settings, connection, ids)
        _remove_scratch(settings)
        connection.execute("checkpoint")
        # the warehouse last: should one of these fail, it still knows which ids to look for next time
        files = published_files(settings)
        published = [erase_file(path, ids) for path in files]
        for folder in sorted({path.parent for path in files}):
            count_files_anew(folder)
        erased = erase_database(connection, catalog_of(connection), settings.warehouse, ids, schema)
    report = _remove_report(settings)
    return Erasure(len(ids), (erased, *published), models, report)


def _built_schemas(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The schemas that the product has built in, for this shop's settings or for others."""
    listed = "select schema_name from duckdb_tables() where table_name = 'own_relations'"
    return [name for (name,) in connection.execute(listed).fetchall()]


def _remove_scratch(settings: Settings) -> None:
    """What has copies of the tables: a one-off run, and what a killed publication or erasure left."""
    shutil.rmtree(one_off_folder(settings), ignore_errors=True)
    remove_unfinished(settings.warehouse)
    remove_unfinished_versions(settings)


def _remove_report(settings: Settings) -> Path | None:
    """Removes the page, which names customers and sums over all of them."""
    path = report_path(settings)
    remove_unfinished(path)
    if not path.exists():
        return None
    path.unlink()
    sync(path.parent)
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
        f"from {in_schema(raw_schema, 'id_history')} inner join same "
        "on same.id in (old_customer_id, new_customer_id)) select id from same order by id",
        [customer_id],
    ).fetchall()
    return tuple(name for (name,) in found)


def models_that_saw(
    settings: Settings, connection: duckdb.DuckDBPyConnection, ids: Sequence[str]
) -> tuple[str, ...]:
    """Versions with a training date after the person was first known: they were fitted with them."""
    schema = raw_schema_of(settings)
    known = only_value(
        connection,
        f"select min(recorded_at) from (select customer_id, recorded_at from {in_schema(schema, 'events')} "
        f"union all select customer_id, recorded_at from {in_schema(schema, 'undone_events')}) "
        "where list_contains(?, customer_id)",
        [list(ids)],
    )
    if known is None:
        return ()
    return tuple(
        model.version
        for model in registry.list_models(settings.models)
        if model.manifest
        and any(str(known) < day for days in model.manifest.training_dates.values() for day in days)
    )


def raw_schema_of(settings: Settings) -> str:
    """The raw schema without a catalog before it: that is the warehouse's own, and copies have another."""
    return settings.vars.raw_schema.rpartition(".")[2]
