"""
Why customers' values differ between two scoring dates, or between two models on one date.

The answers are SQL, the queries ``diff_*.sql``, over two sides: what was predicted before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from clv_ml.errors import InputError, WarehouseError
from clv_ml.model import registry
from clv_ml.model.manifest import check_version
from clv_ml.operate.scores import unlike
from clv_ml.operate.steps import Step, no_steps
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt
from clv_ml.warehouse.locking import locked
from clv_ml.warehouse.queries import ask, query_text

Row = dict[str, Any]
IN_USE, CHALLENGER = "customer", "challenger"
"""Before `_predictions` and `_drivers`: what the model in use predicts, and what a challenger predicts."""


@dataclass(frozen=True)
class ValueChanges:
    """
    What moved from one side to the other; the dates of two models are one date. ``unlike`` says where the
    sides look differently far ahead, or are in different currencies; empty where they compare.

    ``drivers`` has a row per driver over all customers, which add up to the change of the total;
    ``customers`` has those whose value changed most, each with its own ``drivers``. Where
    ``is_other_model``, part of any change is the model's.
    """

    from_date: date
    to_date: date
    model_before: str
    model_after: str
    is_other_model: bool
    customers_before: int
    customers_after: int
    customers_on_both: int
    total_before: Decimal
    total_after: Decimal
    horizon_before: int | None
    horizon_after: int | None
    currency_before: str | None
    currency_after: str | None
    unlike: str
    drivers: tuple[Row, ...]
    customers: tuple[Row, ...]


def value_changes(
    settings: Settings, from_date: date, to_date: date, customer_id: str | None = None, customers: int = 10
) -> ValueChanges:
    """
    Compares what was predicted on two dates.

    Args:
        customer_id: Show this customer instead of those who changed most.
        customers: How many of those.

    Raises:
        InputError: If a date was not scored (the message lists those that were), the dates are not in order,
            or the customer was scored on neither.

        WarehouseError: If there is no warehouse, or nothing was scored in it.
    """
    with connect(settings) as connection:
        _check_dates(connection, from_date, to_date)
        return _changes(connection, (Side(from_date), Side(to_date)), customer_id, customers)


def compare_models(
    settings: Settings,
    before: str,
    after: str,
    customer_id: str | None = None,
    customers: int = 10,
    on_step: Step = no_steps,
) -> ValueChanges:
    """
    Whose value two versions see differently on today's scoring date, and why. What is missing is scored
    first, into tables of challengers: nothing that others read changes.

    Raises:
        ModelError: If a version is absent or damaged.
        BuildError: If a version does not fit today's tables, with its name.
        WarehouseBusyError: If a run has locked the warehouse.
    """
    for version in (before, after):
        registry.load(settings.models, version)
    with locked(settings):
        for version in unscored_versions(settings, (before, after)):
            on_step(f"score with {version}")
            challenger = {"model_version": version, "is_challenger": True}
            whatever_is_in_use = {"use_ml_clv": True, "fallback_to_simple": False}
            overrides = {**settings.overrides, **challenger, **whatever_is_in_use}
            run_dbt(
                settings.model_copy(update={"overrides": overrides}), ["run", "--select", "tag:challenger"]
            )
        on_step("compare")
        with connect(settings) as connection:
            day, where = _scored_today(connection)
            sides = Side(day, before, where[before]), Side(day, after, where[after])
            return _changes(connection, sides, customer_id, customers)


def unscored_versions(settings: Settings, versions: Sequence[str]) -> tuple[str, ...]:
    """Those of the versions that have not scored today's scoring date from today's features."""
    with connect(settings) as connection:
        _, where = _scored_today(connection)
    return tuple(version for version in dict.fromkeys(versions) if version not in where)


@dataclass(frozen=True)
class Side:
    """A scoring date, by the model in use, or by a version from the tables with this prefix."""

    as_of_date: date
    version: str | None = None
    prefix: str = IN_USE

    def rows_of(self, table: str) -> str:
        # a statement that creates a view takes no parameters; these are dates and checked names, not text
        # from outside
        of_version = f" and model_version = '{check_version(self.version)}'" if self.version else ""
        return f"select * from {self.prefix}_{table} where as_of_date = date '{self.as_of_date}'{of_version}"


def _scored_today(connection: duckdb.DuckDBPyConnection) -> tuple[date, dict[str, str]]:
    """The scoring date, and by version the prefix of the tables that have its predictions of that date."""
    try:
        today = "select as_of_date, build_hash from scoring_rows group by all"
        ((day, build_hash),) = connection.execute(today).fetchall()
    except (duckdb.CatalogException, ValueError) as error:
        raise WarehouseError("Nothing was scored here yet. Score first (clv run).") from error
    found = connection.execute("select table_name from duckdb_tables()").fetchall()
    where = {}
    for prefix in (CHALLENGER, IN_USE):
        if (f"{prefix}_drivers",) in found:
            sql = (
                f"select distinct model_version from {prefix}_drivers where as_of_date = ? and build_hash = ?"
            )
            where |= {version: prefix for (version,) in connection.execute(sql, [day, build_hash]).fetchall()}
    return day, where


def _changes(
    connection: duckdb.DuckDBPyConnection,
    sides: tuple[Side, Side],
    customer_id: str | None,
    customers: int,
) -> ValueChanges:
    for name, side in zip(("before", "after"), sides, strict=True):
        connection.execute(f"create temp view side_{name} as {side.rows_of('predictions')}")
        connection.execute(f"create temp view drivers_{name} as {side.rows_of('drivers')}")
    totals = ask(connection, "diff_totals")[0]
    connection.execute(f"create temp table driver_changes as {query_text('diff_driver_changes')}")
    chosen = {"customer_id": customer_id, "customers": customers}
    shown = ask(connection, "diff_customer_changes", chosen)
    if customer_id is not None and not shown:
        raise InputError(
            f"Customer {customer_id!r} was scored neither on {sides[0].as_of_date} nor on "
            f"{sides[1].as_of_date}. Look the number up in customer_predictions."
        )
    return ValueChanges(
        from_date=sides[0].as_of_date,
        to_date=sides[1].as_of_date,
        **totals,
        unlike=unlike(
            (totals["horizon_before"], totals["currency_before"]),
            (totals["horizon_after"], totals["currency_after"]),
        ),
        is_other_model=totals["model_before"] != totals["model_after"],
        drivers=tuple(ask(connection, "diff_total_changes")),
        customers=tuple(
            {**row, "drivers": ask(connection, "diff_drivers", {"customer_id": row["customer_id"]})}
            for row in shown
        ),
    )


def _check_dates(connection: duckdb.DuckDBPyConnection, from_date: date, to_date: date) -> None:
    try:
        found = connection.execute(
            "select distinct as_of_date from customer_predictions order by 1"
        ).fetchall()
    except duckdb.CatalogException as error:
        raise WarehouseError("Nothing was scored here yet. Score first (clv run).") from error
    scored = [day for (day,) in found]
    if not scored:
        raise WarehouseError("No model has scored here yet. Train and score first (clv run).")
    missing = [str(day) for day in (from_date, to_date) if day not in scored]
    if missing:
        raise InputError(
            f"Nothing was scored as of {' and '.join(missing)}. There are {', '.join(map(str, scored))}; "
            "another date is scored by clv score --as-of."
        )
    if from_date >= to_date:
        raise InputError(f"{from_date} is not before {to_date}. Name the earlier scoring date first.")
