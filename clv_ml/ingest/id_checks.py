"""
Ids that mean something else than a customer or an order: a warning each, with the evidence and the remedy.

The checks read what was bought under the ids: ``bought``, the purchases of the file that were kept, and
``known_events``, those before it.
"""

from collections.abc import Callable

import duckdb

from clv_ml.ingest.mapped_values import GUESTS
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.named_file import NamedFile
from clv_ml.wording import count_of

FEWEST_ORDERS = 10
"""Below so many orders it says little that nobody came back."""
GUEST_LIKE = (
    *GUESTS,
    "0",
    "-1",
    "00000000",
    "unknown",
    "none",
    "walk-in",
    "walk-in customer",
    "cash",
    "misc",
)
"""Ids, in small letters, that tills and shops write for anybody."""
NO_PERSON_SHARE, NO_PERSON_ORDERS, NO_PERSON_TIMES = 0.1, 20, 5
"""
A customer has no person behind with this share of all orders, so many of them, so many times the next one's.
"""


def _rounded(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    for field in ("customer_id", "order_id"):
        rows, example = connection.execute(
            f"select count(*), min({field}) from bought "
            rf"where regexp_full_match({field}, '\d([.,]\d+)?[eE][+]\d+')"
        ).fetchall()[0]
        if rows:
            return (
                f"{file.named(field)} holds numbers that a spreadsheet has rounded, such as {example!r} "
                f"({count_of(rows, 'row')}): different ones have become one. Export the file again and feed "
                "it as it is, or make the column text before it is saved."
            )
    return ""


def _one_order_each(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    customers, orders = connection.execute(
        "select count(distinct customer_id), count(distinct order_id) from bought"
    ).fetchall()[0]
    if orders < FEWEST_ORDERS or customers < orders:
        return ""
    again = connection.execute(
        "select customer_id from (select customer_id, order_id from known_events "
        "where event_type = 'purchase' union all select customer_id, order_id from bought) as bought_ever "
        "group by customer_id having count(distinct order_id) > 1 limit 1"
    ).fetchall()
    if again:
        return ""
    return (
        f"nobody buys twice: {orders:,} orders have {customers:,} customers in {file.named('customer_id')}. "
        "If that numbers orders or visits rather than people, "
        + file.remedy(
            f'customer_id="COLUMN" with the one that tells who bought{file.other_people()}',
            "map the column that tells who bought",
        )
        + "."
    )


def _order_of_many(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Receipts that restart: one number, several customers."""
    rows = connection.execute(
        "select count(*), min_by(order_id, order_id), sum(orders.customers) from (select order_id, "
        "count(distinct customer_id) as customers from bought group by order_id) as orders "
        "where orders.customers > 1"
    ).fetchall()
    numbers, example, customers = rows[0]
    if not numbers:
        return ""
    return (
        f"{count_of(numbers, 'order number belongs', 'order numbers belong')} to several customers, such as "
        f"{example!r} ({customers:,} customers in all): {file.named('order_id')} may restart every day or in "
        f"every shop. Tell orders apart by more columns: {_joined(file)}."
    )


def _order_of_many_days(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """A subscription's number, or receipts that restart: one number, several days."""
    numbers, example, days, first, last = connection.execute(
        "select count(*), min_by(order_id, -days), max(days), min_by(first_day, -days), min_by(last_day, "
        "-days) from (select order_id, count(distinct day) as days, min(day) as first_day, "
        "max(day) as last_day from bought group by order_id "
        "having count(distinct customer_id) = 1) as orders where days > 2 and last_day - first_day > 7"
    ).fetchall()[0]
    if not numbers:
        return ""
    runs = count_of(numbers, "order number runs", "order numbers run")
    return (
        f"{runs} over many days, such as {example!r}: {days} days from {first} to {last}. Each counts as one "
        f"purchase, on its first day. If {file.named('order_id')} numbers a subscription or restarts, tell "
        f"its orders apart by more columns: {_joined(file)}."
    )


def _joined(file: NamedFile) -> str:
    order, day = file.named("order_id"), file.named("occurred_at")
    return f"order_id: {{together: [{day}, {order}]}} in a mapping".replace("'", '"')


def _repeated_total(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Several lines an order, and the same amount on each of them."""
    if isinstance(file.layout, Mapping) and (
        file.layout.amount_of == "order" or "line_id" in file.layout.columns
    ):
        return ""
    orders, equal, totals, counted, example, amount, lines = connection.execute(
        "select count(*), count(*) filter (amounts = 1 and told > 1), "
        "count(distinct amount) filter (amounts = 1), sum(amount * (lines - 1)), min(order_id), "
        "min_by(amount, order_id), min_by(lines, order_id) from (select order_id, count(*) as lines, "
        "count(distinct amount) as amounts, min(amount) as amount, count(distinct concat_ws('|', product_id, "
        "cast(quantity as varchar))) as told from bought group by order_id having count(*) > 1) as orders"
    ).fetchall()[0]
    if orders < 2 or totals < 2 or equal < orders:
        return ""
    return (
        f"every line of an order has the same amount in {file.named('amount')}, in all {orders:,} orders of "
        f"several lines, such as {example!r}: {amount} on each of {lines} lines. If that is the order's "
        f"total, {counted:,} is counted too much: "
        f"{file.remedy('amount_of=order', 'give the total to one line alone')}."
    )


def _nobody(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """One id with more orders than a person has."""
    people = connection.execute(
        "select customer_id, count(distinct order_id) as orders, sum(amount) from bought "
        "group by customer_id order by lower(customer_id) in (select unnest($words)) and orders >= 3 desc, "
        "orders desc, customer_id limit 2",
        {"words": GUEST_LIKE},
    ).fetchall()
    if not people:
        return ""
    customer, orders, money = people[0]
    total, customers = connection.execute(
        "select count(distinct order_id), count(distinct customer_id) from bought"
    ).fetchall()[0]
    following = people[1][1] if len(people) > 1 else 0
    is_word = customer.lower() in GUEST_LIKE and orders >= 3
    is_no_person = (
        (customers > NO_PERSON_TIMES or customers == 1)
        and orders >= NO_PERSON_ORDERS
        and orders >= NO_PERSON_SHARE * total
        and orders >= NO_PERSON_TIMES * following
    )
    if not (is_word or is_no_person):
        return ""
    return (
        f"customer {customer!r} in {file.named('customer_id')} has {orders:,} of {count_of(total, 'order')} "
        f"({orders / total:.0%}), {money:,} in all, as no person has. If guests buy under it, "
        + file.remedy(f'guests="{customer}"', "leave the id empty for them")
        + "."
    )


def _alike(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Ids that differ only in what spreadsheets and people change."""
    people, pairs = connection.execute(
        "with ids as (select distinct customer_id from bought union select distinct customer_id "
        "from known_events), keyed as (select customer_id, plain_id(customer_id) as plain from ids), "
        "alike as (select plain, list(customer_id order by customer_id) as ids from keyed group by plain "
        "having count(*) > 1) select count(*), list(ids[1:3] order by plain)[1:2] from alike "
        "where list_has_any(ids, (select list(distinct customer_id) from bought))"
    ).fetchall()[0]
    if not people:
        return ""
    shown = "; ".join(" and ".join(map(repr, pair)) for pair in pairs)
    return (
        f"{count_of(people, 'customer has', 'customers have')} ids that differ only in case, spaces, leading "
        f"zeros or a trailing .0, such as {shown}: they count as different people. If they are not, "
        + file.remedy("plain_ids=yes", "feed the pairs as merges (preset id_history)")
        + "."
    )


CHECKS: tuple[Callable[[duckdb.DuckDBPyConnection, NamedFile], str], ...] = (
    _rounded,
    _one_order_each,
    _order_of_many,
    _order_of_many_days,
    _repeated_total,
    _nobody,
    _alike,
)
