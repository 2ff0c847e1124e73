"""A mapping proposed for a file that nobody knows: by the names of its columns and by what stands in them."""

from typing import Any

import duckdb

from clv_ml.ingest.candidates import alternatives, candidates, filled, has_clock, in_cents, only_value
from clv_ml.ingest.currencies import named_currency
from clv_ml.ingest.mapped_values import found_column
from clv_ml.ingest.mapping import Mapping, checked_mapping, synonyms
from clv_ml.ingest.meanings import meant_kinds, meant_states, values_of
from clv_ml.ingest.no_orders import of_customers, of_subscriptions
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.quoting import quoted_name

FIELDS = (
    "occurred_at",
    "customer_id",
    "order_id",
    "line_id",
    "currency",
    "quantity",
    "refund",
    "status",
    "timezone",
)
"""Looked for in this order, before amounts and products."""
MUST = {"customer_id": "who bought", "occurred_at": "when", "amount": "for how much"}
NAMES = ("customername", "name", "fullname", "billtoname", "kunde", "customer", "client", "cliente", "buyer")
"""Keys of columns in which names of people stand, which several may share."""

Connection = duckdb.DuckDBPyConnection


def proposed(
    connection: Connection, columns: tuple[str, ...], said: Mapping
) -> tuple[Mapping | None, list[str]]:
    """
    A mapping for the file in ``feed`` around the fields that are said already, None where nothing says who
    bought, when or for how much; and what to look at.
    """
    notes: list[str] = []
    used = {
        field: next((column for name in source.columns if (column := found_column(name, columns))), "")
        for field, source in said.columns.items()
    }
    for field in FIELDS:
        _take(connection, field, columns, used, notes)
    if "amount" not in said.columns:
        _take_amount(connection, columns, used)
    for field in ("product_id", "category"):
        _take(connection, field, columns, used)
    used = {field: column for field, column in used.items() if column}
    lacking = [field for field in MUST if field not in used]
    if lacking:
        told = " and ".join(f"{MUST[field]} ({field})" for field in lacking)
        options = " ".join(f'--map {field}="COLUMN"' for field in lacking)
        return None, [f"no column looks as if it tells {told}: say it with {options}"]
    no_orders = of_customers(connection, columns, used["customer_id"]) or of_subscriptions(
        columns, used["amount"]
    )
    if no_orders and not said.columns:
        return None, [no_orders]
    return _as_mapping(connection, columns, used, notes)


def _take(
    connection: Connection,
    field: str,
    columns: tuple[str, ...],
    used: dict[str, str],
    notes: list[str] | None = None,
) -> None:
    """The first candidate that is free; for the customer one that does not hold one value throughout."""
    if field in used:
        return
    free = (column for column in candidates(connection, field, columns) if column not in used.values())
    first = next(free, None)
    if first is None:
        return
    used[field] = first
    if field != "customer_id" or not (only := only_value(connection, first)):
        return
    other = next((column for column in free if not only_value(connection, column)), None)
    if other and notes is not None:
        used[field] = other
        notes.append(
            f"customer_id: {other!r} was taken, since {first!r} holds {only!r} alone, most likely the shop "
            f'itself; --map customer_id="{first}" for that'
        )


def _take_amount(connection: Connection, columns: tuple[str, ...], used: dict[str, str]) -> None:
    """A total, or a price for each piece times pieces where there is no total."""
    _take(connection, "amount", columns, used)
    found = used.get("amount")
    is_total = found is not None and column_key(found) not in synonyms()["unit_price"]
    if is_total or "quantity" not in used:
        return
    used.pop("amount", None)
    _take(connection, "unit_price", columns, used)
    if "unit_price" in used:
        used["amount"] = used["unit_price"]


def _as_mapping(
    connection: Connection, columns: tuple[str, ...], used: dict[str, str], notes: list[str]
) -> tuple[Mapping, list[str]]:
    fields = ("order_id", "line_id", "product_id", "category", "quantity", "amount", "currency", "timezone")
    sources: dict[str, Any] = {
        "customer_id": _customer(connection, columns, used, notes),
        "occurred_at": _moment(connection, columns, used),
        **{field: used[field] for field in fields if field in used},
    }
    if "unit_price" in used:
        sources["amount"] = {"product": [used["quantity"], used["unit_price"]]}
    elif others := alternatives(connection, "amount", columns, used):
        notes.append(f'amount: {used["amount"]!r} was taken; --map amount="{others[0]}" for another')
    sources |= _currency(connection, used, notes)
    written: dict[str, object] = {"recognised_by": _telling(sources), "columns": sources}
    if why := in_cents(connection, used["amount"], used.get("order_id", "")):
        written["amounts"] = "cents"
        notes.append(f"amount: {used['amount']!r} is in cents, {why} (--map amounts=units for whole units)")
    if "order_id" not in used:
        notes.append("no column looks like an order's number: what a customer buys on one day is one order")
    if "refund" in used:
        written["refund"] = {"amount": used["refund"]}
    if "status" in used:
        written["status"] = meant_states(connection, used["status"], "refund" in used, notes)
    if "order_id" in used and "line_id" not in used and _is_total(connection, used, columns):
        written["amount_of"] = "order"
        notes.append(
            f"{used['amount']!r} never differs on the lines of an order: it is the order's total and counts "
            "once (--map amount_of=line for each line)"
        )
    unused = tuple(column for column in columns if column not in used.values())
    if kind := meant_kinds(connection, unused, notes):
        written["kind"] = kind
    return checked_mapping(written, "the proposal"), notes


def _currency(connection: Connection, used: dict[str, str], notes: list[str]) -> dict[str, Any]:
    """The currency that the amount's name says, where a column says another: that of the order, not of it."""
    named = named_currency(used["amount"])
    if not named or "currency" not in used:
        return {}
    others = [code for code in values_of(connection, used["currency"]) if code.upper() != named]
    if not others:
        return {}
    notes.append(
        f"currency: {named}, by the name of {used['amount']!r}, though {used['currency']!r} says "
        f'{others[0]!r}; --map currency="{used["currency"]}" for that'
    )
    return {"currency": {"value": named}}


def _telling(sources: dict[str, Any]) -> list[str]:
    """The columns by which the file will be known again."""
    found: list[str] = []
    for source in sources.values():
        if isinstance(source, dict) and "value" in source:
            continue
        parts = next(iter(source.values())) if isinstance(source, dict) else source
        found += [parts] if isinstance(parts, str) else list(parts)
    return list(dict.fromkeys(found))


def _customer(
    connection: Connection, columns: tuple[str, ...], used: dict[str, str], notes: list[str]
) -> object:
    """The column of ids, or that of addresses where more of the buyers have one."""
    column = used["customer_id"]
    mails = [name for name in candidates(connection, "mail", columns) if name not in used.values()]
    rows, known = filled(connection, column)
    if mails and filled(connection, mails[0])[1] > known:
        notes.append(
            f"customer_id: {mails[0]!r} was taken, since {column!r} is empty or 0 on {rows - known:,} of "
            f'{rows:,} rows; --map customer_id="{column}" for that alone'
        )
        return mails[0]
    if column_key(column) in NAMES and "@" not in column:
        notes.append(f"customer_id: {column!r} may hold names; two people of one name would be one customer")
    return column


def _moment(connection: Connection, columns: tuple[str, ...], used: dict[str, str]) -> object:
    """The column of times; that of days and that of clocks together where they stand apart."""
    column = used["occurred_at"]
    if has_clock(connection, column):
        return column
    clock = next((name for name in candidates(connection, "clock", columns) if name != column), None)
    return {"together": [column, clock]} if clock else column


def _is_total(connection: Connection, used: dict[str, str], columns: tuple[str, ...]) -> bool:
    """
    Whether the amount never differs within an order of several lines, and is the order's: three orders say
    so, or lines of one that leave it out, or another column that holds each line's own.
    """
    if "unit_price" in used:
        return False
    of_lines = synonyms()["line_amount"]
    has_both = column_key(used["amount"]) not in of_lines and any(
        column_key(column) in of_lines for column in columns
    )
    order, amount = quoted_name(used["order_id"]), quoted_name(used["amount"])
    lines = f"select {order} as order_id, {amount} as amount from feed"
    orders, differing, left_out = connection.execute(
        "select count(*), count(*) filter (amounts > 1), count(*) filter (told = 1) from (select "
        f"count(distinct amount) as amounts, count(amount) as told from ({lines}) as lines "
        "where order_id is not null group by order_id having count(*) > 1) as orders"
    ).fetchall()[0]
    return not differing and (orders >= 3 or left_out > 0 or (orders > 0 and has_both))
