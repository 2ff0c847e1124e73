"""
The newest publication in a Postgres database: all tables of the published file, of one version.

One transaction does it, so that what fails or is killed leaves the old tables. Those that the product did not
make, or made for another shop, are never replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from clv_ml.errors import PublishError
from clv_ml.model.shop import shop_of
from clv_ml.operate.postgres_swap import put_in_place
from clv_ml.operate.postgres_tables import Table, create, load, tables_of
from clv_ml.operate.publication import RECORD, Publication
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.model_keys import Key, declared_keys
from clv_ml.warehouse.postgres import connect_postgres, place_of, run
from clv_ml.warehouse.quoting import quoted_name

if TYPE_CHECKING:
    import psycopg

OWN = "own_relations"
_OWN_COLUMNS = "relation_name text primary key, shop_id text, made_at timestamptz not null default now()"
SECONDS_FOR_ANOTHER = 10
"""How long another publication is waited for."""


@dataclass(frozen=True)
class PostgresPublication:
    """The database in words, the schema there, the version of the tables and their rows."""

    database: str
    schema: str
    version: str
    rows: dict[str, int]


def publish_to_postgres(
    settings: Settings, publication: Publication, url: str, schema: str = "clv"
) -> PostgresPublication:
    """
    Copies what was just published, and puts it in the place of the tables of the publication before.

    Raises:
        DatabaseError: If the server cannot be reached, or refuses.
        PublishError: If a table is in the way that is not the product's or another shop's, or readers do not
            let go. The old tables stay.
    """
    with connect(settings) as warehouse:
        shop = shop_of(warehouse)
    keys = {**declared_keys(settings.project), RECORD: Key(("version",))}
    with duckdb.connect(Path(publication.path), read_only=True) as source, connect_postgres(url) as target:
        tables = tables_of(source, keys)
        # every name is given with its schema, and the views that the server writes out have theirs
        run(target, "set local search_path = pg_catalog")
        _require_alone(target, schema)
        _make_schema(target, schema)
        present = _claimed(target, schema, [table.name for table in tables], shop)
        for table in tables:
            create(target, table, schema)
        rows = {table.name: load(source, target, table, schema) for table in tables}
        _claim(target, schema, tables, shop)
        put_in_place(target, schema, tables, present)
    return PostgresPublication(place_of(url), schema, publication.version, rows)


def _require_alone(target: psycopg.Connection, schema: str) -> None:
    from psycopg import errors

    run(target, f"set local lock_timeout = '{SECONDS_FOR_ANOTHER}s'")
    try:
        run(target, "select pg_advisory_xact_lock(hashtextextended(%(name)s, 0))", {"name": f"clv {schema}"})
    except errors.LockNotAvailable:
        raise PublishError(
            f"Another publication to schema {schema} is under way. Wait until it is done, then run again."
        ) from None
    run(target, "set local lock_timeout = 0")


def _make_schema(target: psycopg.Connection, schema: str) -> None:
    # asked first, since making one that is there needs the right to make one
    if not run(target, "select 1 from pg_namespace where nspname = %(name)s", {"name": schema}):
        run(target, f"create schema {quoted_name(schema)}")


def _claimed(
    target: psycopg.Connection, schema: str, names: Sequence[str], shop: str | None
) -> dict[str, str | None]:
    """
    The product's own tables that stand in the schema.

    Raises:
        PublishError: Where others stand under our names, or ours are another shop's.
    """
    standing = dict(
        run(
            target,
            "select relname, relkind::text from pg_class "
            "inner join pg_namespace on pg_namespace.oid = relnamespace where nspname = %(schema)s",
            {"schema": schema},
        )
    )
    owned: dict[str, str | None] = {}
    if OWN in standing:
        owned = _listed(target, schema)
    else:
        run(target, f"create table {quoted_name(schema)}.{OWN} ({_OWN_COLUMNS})")
    others = sorted(
        name for name in names if name in standing and (name not in owned or standing[name] != "r")
    )
    if others:
        raise PublishError(
            f"Schema {schema} holds {', '.join(others)}, which this product did not make and would replace. "
            "Nothing was changed. Name a schema of its own (--schema), or rename what stands there."
        )
    if {owner for owner in owned.values() if owner} - {shop}:
        raise PublishError(
            f"Schema {schema} holds the tables of another shop. Nothing was changed. Give each shop a schema "
            f"of its own (--schema). If this is that shop, built anew: drop {schema}.{OWN} and the tables."
        )
    return {name: owned[name] for name in owned if name in standing}


def _listed(target: psycopg.Connection, schema: str) -> dict[str, str | None]:
    columns = run(
        target,
        "select attname from pg_attribute "
        "where attnum > 0 and attrelid = %(table)s::regclass order by attnum",
        {"table": f"{quoted_name(schema)}.{OWN}"},
    )
    if [name for (name,) in columns] != [part.split()[0] for part in _OWN_COLUMNS.split(", ")]:
        raise PublishError(
            f"Schema {schema} holds a table {OWN} that this product did not make. Nothing was changed. "
            "Name a schema of its own (--schema)."
        )
    return dict(run(target, f"select relation_name, shop_id from {quoted_name(schema)}.{OWN}"))


def _claim(target: psycopg.Connection, schema: str, tables: Sequence[Table], shop: str | None) -> None:
    place = f"{quoted_name(schema)}.{OWN}"
    names = [table.name for table in tables]
    run(target, f"delete from {place} where relation_name <> all(%(names)s)", {"names": names})
    run(
        target,
        f"insert into {place} (relation_name, shop_id) select unnest(%(names)s::text[]), %(shop)s "
        "on conflict (relation_name) do nothing",
        {"names": names, "shop": shop},
    )
    said = "The tables of this schema that clv publish made and replaces, and the shop they belong to."
    run(target, f"comment on table {place} is '{said}'")
