"""Why customers' values changed between two scoring dates. The answers are SQL, in ``dbt_project/diff/``."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from clv_ml.errors import InputError, WarehouseError
from clv_ml.settings import Settings
from clv_ml.warehouse import connect

Row = dict[str, Any]


@dataclass(frozen=True)
class ValueChanges:
    """
    What moved between two scoring dates, in the reporting currency.

    ``drivers`` has a row per driver over all customers, and their changes add up to ``total_after - total_before``;
    ``customers`` has those whose value changed most, each with its own ``drivers``. ``is_other_model`` tells that the
    models of the two dates differ, so that part of any change is the model's.
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
    drivers: tuple[Row, ...]
    customers: tuple[Row, ...]


def value_changes(
    settings: Settings, from_date: date, to_date: date, customer_id: str | None = None, customers: int = 10
) -> ValueChanges:
    """
    Compares what was predicted on two dates.

    Args:
        settings: Names the warehouse; nothing in it is changed.

        from_date: The earlier scoring date.

        to_date: The later scoring date.

        customer_id: Show this customer instead of those who changed most.

        customers: How many of those.

    Raises:
        InputError: If a date was not scored (the message lists those that were), the dates are not in order, or the
            customer was scored on neither.

        WarehouseError: If there is no warehouse, or nothing was scored in it.
    """
    with connect(settings) as connection:
        _check_dates(connection, from_date, to_date)
        dates = {"from_date": from_date, "to_date": to_date}
        totals = _rows(connection, _sql(settings, "totals"), dates)[0]
        changes = _sql(settings, "driver_changes")
        for name, day in dates.items():
            # a statement that creates a table takes no parameters; these are dates, not text from outside
            changes = changes.replace(f"${name}", f"date '{day.isoformat()}'")
        connection.execute(f"create temp table driver_changes as {changes}")
        chosen = {**dates, "customer_id": customer_id, "customers": customers}
        shown = _rows(connection, _sql(settings, "customer_changes"), chosen)
        if customer_id is not None and not shown:
            raise InputError(
                f"Customer {customer_id!r} was scored neither on {from_date} nor on {to_date}. "
                "Look the number up in customer_predictions."
            )
        return ValueChanges(
            **dates,
            **totals,
            is_other_model=totals["model_before"] != totals["model_after"],
            drivers=tuple(_rows(connection, _sql(settings, "total_changes"))),
            customers=tuple({**row, "drivers": _drivers(connection, row["customer_id"])} for row in shown),
        )


def _sql(settings: Settings, name: str) -> str:
    return (settings.project / "dbt_project" / "diff" / f"{name}.sql").read_text(encoding="utf-8")


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Row | None = None) -> list[Row]:
    cursor = connection.execute(sql, parameters or {})
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _drivers(connection: duckdb.DuckDBPyConnection, customer_id: str) -> list[Row]:
    sql = (
        "select driver_name, change, value_before, value_after from driver_changes "
        "where customer_id = $customer_id and change <> 0 order by abs(change) desc, driver_name"
    )
    return _rows(connection, sql, {"customer_id": customer_id})


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
