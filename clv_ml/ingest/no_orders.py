"""Files whose rows are no orders, told by the names of their columns: refused, with what to do instead."""

import duckdb

from clv_ml.ingest.mapping import synonyms
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.quoting import quoted_name

EXPANSION = "docs/how-to/own-data.md#subscriptions"


def of_customers(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...], customer: str) -> str:
    """What to say of a list of customers, each once, with how often they have bought; else empty."""
    keys = {column_key(column): column for column in columns}
    orders = next((column for key, column in keys.items() if key in synonyms()["orders_made"]), "")
    if not orders or not any(word in key for key in keys for word in synonyms()["of_customers"]):
        return ""
    number = f"try_cast({quoted_name(orders)} as integer)"
    rows, customers, numbers = connection.execute(
        f"select count(*), count(distinct {quoted_name(customer)}), count({number}) from feed"
    ).fetchall()[0]
    if customers < rows or numbers < rows:
        return ""
    return (
        f"each row is a customer with the number of orders in {orders!r}, no order: when each was made, and "
        "for how much, is not in the file. Export the orders instead"
    )


def of_subscriptions(columns: tuple[str, ...], amount: str) -> str:
    """What to say of a list of terms with an amount for each month: its rows are no payments; else empty."""
    starts, ends = term(columns)
    if not ends or not any(word in column_key(amount) for word in synonyms()["per_period"]):
        return ""
    return (
        f"each row is a subscription from {starts!r} to {ends!r} with {amount!r} for each period, no "
        f"payment, and nobody can tell which were made. Expand it by a preset in SQL: {EXPANSION}. If each "
        "row was paid once all the same, "
        f'map it by hand: --map customer_id=... --map occurred_at="{starts}" '
        f'--map amount="{amount}"'
    )


def term(columns: tuple[str, ...]) -> tuple[str, str]:
    """The columns of a term's first and last day; empty where there are not both."""
    keys = {column_key(column): column for column in reversed(columns)}
    found = [next((keys[key] for key in synonyms()[end] if key in keys), "") for end in ("starts", "ends")]
    return (found[0], found[1]) if all(found) else ("", "")
