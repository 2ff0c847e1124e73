"""
Puts loaded tables in the place of those that readers have, inside one transaction.

Grants, owners and views of others go over to the new tables. Nobody waits for long: the old tables are locked
only once all is loaded, and let go again after a moment where a reader is still in a transaction.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clv_ml.errors import PublishError
from clv_ml.operate.postgres_tables import NEW, Table, key_name
from clv_ml.warehouse.postgres import run
from clv_ml.warehouse.quoting import quoted_name

if TYPE_CHECKING:
    import psycopg

OLD = "__old"
PATIENCE_SECONDS = 120
"""How long readers in a transaction are waited for."""
LOCK_MILLISECONDS = 400
"""Of one attempt: below the second after which the server ends one of two that wait for each other."""
STANDS = "Readers still see the old tables."

_GRANTS = """
select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
    privilege_type, is_grantable, column_name
from (
    select relowner, null as column_name, (aclexplode(relacl)).* from pg_class where oid = %(table)s::regclass
    union all
    select relowner, quote_ident(attname), (aclexplode(attacl)).*
    from pg_attribute inner join pg_class on pg_class.oid = attrelid
    where attrelid = %(table)s::regclass and not attisdropped
) as granted
where grantee <> relowner
"""
_VIEWS = """
select distinct views.oid::regclass::text, pg_get_viewdef(views.oid),
    coalesce(array_to_string(views.reloptions, ', '), '')
from pg_depend
inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
inner join pg_class as views on views.oid = pg_rewrite.ev_class and views.relkind = 'v'
where pg_depend.refclassid = 'pg_class'::regclass and pg_depend.refobjid = any(%(tables)s::regclass[])
order by 1
"""
_READERS = """
select distinct pid, usename, coalesce(nullif(application_name, ''), 'unknown program')
from pg_locks inner join pg_stat_activity using (pid)
where relation = any(%(tables)s::regclass[]) and granted and pid <> pg_backend_pid() order by 1
"""


@dataclass(frozen=True)
class View:
    """A view of somebody on published tables."""

    name: str
    query: str
    options: str

    def lead_to_new_tables(self, target: psycopg.Connection) -> None:
        """Reads the tables anew by their names; what others may do with the view, and views on it, stay."""
        import psycopg

        options = f" with ({self.options})" if self.options else ""
        try:
            run(target, f"create or replace view {self.name}{options} as {self.query}")
        except psycopg.errors.QueryCanceled:
            raise
        except (psycopg.errors.ProgrammingError, psycopg.errors.NotSupportedError) as error:
            raise PublishError(
                f"View {self.name} reads published tables and cannot be led to the new ones: "
                f"{error.diag.message_primary}. {STANDS} Drop the view or correct it, or grant its owner's "
                "role to the user that publishes."
            ) from None


def put_in_place(
    target: psycopg.Connection, schema: str, tables: Sequence[Table], present: Collection[str]
) -> None:
    """
    Gives the loaded tables their names. ``present`` are the product's own that stand there; those among them
    that are published no more go.

    Raises:
        PublishError: If readers do not end their transactions, or something stands on the old tables that
            would be lost.
    """
    from psycopg import errors

    old = [_place(schema, name) for name in sorted(present)]
    _refuse_row_security(target, old)
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with target.transaction():
                _swap(target, schema, tables, sorted(present), old)
            return
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
            if time.monotonic() > until:
                raise _still_read(target, old) from None
            time.sleep(random.uniform(0.05, 0.3))
        except errors.DependentObjectsStillExist as error:
            what = (error.diag.message_detail or "").replace(OLD, "")
            raise PublishError(
                f"Something of others depends on a published table: {what}. {STANDS} Drop it; views may stay."
            ) from None


def _swap(
    target: psycopg.Connection, schema: str, tables: Sequence[Table], present: list[str], old: list[str]
) -> None:
    run(target, f"set local statement_timeout = {LOCK_MILLISECONDS}")
    views = []
    if old:
        run(target, f"lock table {', '.join(old)} in access exclusive mode")
        views = [View(*row) for row in run(target, _VIEWS, {"tables": old})]
    for name in present:
        if name in {table.name for table in tables}:
            _grant_the_same(target, _place(schema, name), _place(schema, name + NEW))
        _rename(target, schema, name, name + OLD)
    for table in tables:
        _rename(target, schema, table.name + NEW, table.name)
    for view in views:
        view.lead_to_new_tables(target)
    if present:
        run(target, f"drop table {', '.join(_place(schema, name + OLD) for name in present)}")
    for table in tables:
        if table.key:
            names = " to ".join(quoted_name(key_name(table, end)) for end in (NEW, ""))
            run(target, f"alter table {_place(schema, table.name)} rename constraint {names}")


def _grant_the_same(target: psycopg.Connection, old: str, new: str) -> None:
    """Who may do what with the old table may do it with the new one, and nobody else may."""
    for name in dict.fromkeys(row[0] for row in run(target, _GRANTS, {"table": new})):
        run(target, f"revoke all on {new} from {name}")
    for name, privilege, may_grant, column in run(target, _GRANTS, {"table": old}):
        what = f"{privilege} ({column})" if column else privilege
        run(target, f"grant {what} on {new} to {name}{' with grant option' if may_grant else ''}")
    ((owner, is_same),) = run(
        target,
        "select quote_ident(pg_get_userbyid(relowner)), pg_get_userbyid(relowner) = current_user "
        "from pg_class where oid = %(table)s::regclass",
        {"table": old},
    )
    if not is_same:
        run(target, f"alter table {new} owner to {owner}")


def _refuse_row_security(target: psycopg.Connection, old: list[str]) -> None:
    secured = run(
        target,
        "select oid::regclass::text from pg_class where oid = any(%(tables)s::regclass[]) and relrowsecurity",
        {"tables": old},
    )
    if secured:
        raise PublishError(
            f"{', '.join(name for (name,) in secured)} has row security, which a new table would not have. "
            f"{STANDS} Put the policies on a view over the table, and take them off the table."
        )


def _still_read(target: psycopg.Connection, old: list[str]) -> PublishError:
    readers = run(target, _READERS, {"tables": old})
    named = "; ".join(f"process {pid} of {user} ({program})" for pid, user, program in readers)
    return PublishError(
        f"Readers were still in a transaction after {PATIENCE_SECONDS} seconds: {named or 'unknown'}. "
        f"{STANDS} End those transactions, then publish again."
    )


def _rename(target: psycopg.Connection, schema: str, name: str, new: str) -> None:
    run(target, f"alter table {_place(schema, name)} rename to {quoted_name(new)}")


def _place(schema: str, name: str) -> str:
    return f"{quoted_name(schema)}.{quoted_name(name)}"
