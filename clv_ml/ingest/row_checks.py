"""Rows that may count twice, or count as what they are not: a warning each, with the money and the remedy."""

from collections.abc import Callable

import duckdb

from clv_ml.ingest.candidates import named
from clv_ml.ingest.mapped_values import among, found_column
from clv_ml.ingest.mapping import Mapping, synonyms
from clv_ml.ingest.mapping_sql import described, used_columns
from clv_ml.ingest.named_file import NamedFile
from clv_ml.ingest.no_orders import EXPANSION, term
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.quoting import quoted_name
from clv_ml.wording import count_of

OTHERWISE = {"kind": ("kind_refund", "kind_no_purchase"), "status": ("no_purchase", "given_back")}
"""By what a column tells, the words of it that are no purchase."""
SEVERAL_LINES = 0.05
"""A file has one line an order where no larger share of its orders has lines that differ."""


def _twice(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """One line an order, and some of them stand there twice."""
    if not isinstance(file.layout, Mapping) or not _has_orders_alone(file.layout, file.columns):
        return ""
    all_orders, differing, orders, money, example = connection.execute(
        "select count(distinct order_id), count(distinct order_id) filter (kinds > 1), "
        "count(*) filter (lines > 1), sum(amount * (lines - 1)), "
        "min(order_id) filter (lines > 1) from (select order_id, amount, count(*) as lines, "
        "count(*) over (partition by order_id) as kinds from bought "
        "group by order_id, customer_id, occurred_at, amount) as told"
    ).fetchall()[0]
    if not orders or differing > SEVERAL_LINES * all_orders:
        return ""
    return (
        f"{count_of(orders, 'order stands', 'orders stand')} on several lines with the same customer, time "
        f"and amount, such as {example!r}, and no column tells products apart: {money:,} counts again. If a "
        "line is an order, add --map amount_of=order, and it counts once. If the file is loaded already, "
        f"take it back first: clv ingest --undo {file.name}."
    )


_AGAIN = """
with
    lines as (
        select
            feed_row, order_id, amount,
            concat_ws(chr(31), customer_id, occurred_at, product_id, quantity, amount) as content,
            lag(order_id) over (order by feed_row) is distinct from order_id as is_start
        from bought
    ),
    in_runs as (
        select *, count(*) filter (is_start) over (partition by order_id order by feed_row) as run from lines
    ),
    contents as (
        select order_id, amount, count(*) as copies, count(distinct run) as runs from in_runs
        group by order_id, amount, content
    ),
    orders as (
        select order_id, sum(amount * (copies - copies / greatest(runs, 2))) as money from contents
        group by order_id
        having min(copies) = max(copies) and min(copies) > 1 and (min(runs) > 1 or count(*) > 1)
    )
select count(*), cast(sum(money) as decimal(18, 2)), min(order_id) from orders
"""
"""
Orders of which every line stands twice: after other orders' lines, or more lines than one. Two pieces of one
product are two lines side by side.
"""


def _again(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Whole orders that the file holds twice, as one made of two exports does."""
    mapping = file.layout
    if not isinstance(mapping, Mapping) or mapping.amount_of == "order" or "line_id" in mapping.columns:
        return ""
    if _has_orders_alone(mapping, file.columns):
        return ""
    orders, money, example = connection.execute(_AGAIN).fetchall()[0]
    if not orders:
        return ""
    return (
        f"{count_of(orders, 'order stands', 'orders stand')} in it twice, line for line, such as "
        f"{example!r}: {money:,} counts again. If two exports were put together, feed them one "
        "by one: the same line of two files counts once. If the file is loaded already, "
        f"take it back first: clv ingest --undo {file.name}."
    )


def _line_of_an_order(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """What is mapped as a line's own id stands on lines that say different things."""
    if not isinstance(file.layout, Mapping) or "line_id" not in file.layout.columns:
        return ""
    ((rows,),) = connection.execute(
        "select count(*) from checked where reason = 'conflicting_event'"
    ).fetchall()
    if not rows:
        return ""
    named_so = file.named("line_id")
    return (
        f"{count_of(rows, 'line has', 'lines have')} the {named_so} of another line, with something else in "
        f"it, so {named_so} is no line's own id. If it numbers orders, map it as that: --map order_id="
        f"{named_so.replace(chr(39), chr(34))}, without line_id."
    )


def _on_several_days(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """A total that counts once a day stands on several: the order again, or another of its number."""
    if not isinstance(file.layout, Mapping) or file.layout.amount_of == "line":
        return ""
    orders, money, example = connection.execute(
        "select count(*), sum(amount * (days - 1)), min(order_id) from (select order_id, amount, "
        "count(distinct day) as days from bought group by order_id, customer_id, amount) as told "
        "where days > 1"
    ).fetchall()[0]
    if not orders:
        return ""
    return (
        f"{count_of(orders, 'order stands', 'orders stand')} on several days with the same customer and "
        f"amount, such as {example!r}: {money:,} counts again. If each was paid once, leave the later rows "
        "out of the file; if numbers restart, all is well."
    )


def _has_orders_alone(mapping: Mapping, columns: tuple[str, ...]) -> bool:
    """Whether nothing tells lines of an order apart, and each order has a number of its own."""
    if "order_id" not in mapping.columns or mapping.amount_of == "order":
        return False
    read = described(mapping, columns)
    if {"event_id", "line_id", "product_id", "category", "quantity"} & set(read):
        return False
    others = tuple(column for column in columns if column not in used_columns(mapping, columns))
    exact = (*synonyms()["quantity"], *synonyms()["unit_price"])
    of_products = [name for field in ("product_id", "line_id", "category") for name in named(field, others)]
    return not of_products and not any(column_key(column) in exact for column in others)


def _says_otherwise(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """A column that nothing reads says of purchases that they are refunds, or none."""
    if not isinstance(file.layout, Mapping):
        return ""
    read = used_columns(file.layout, file.columns)
    for column in (column for column in file.columns if column not in read):
        for field, meanings in OTHERWISE.items():
            if column_key(column) in synonyms()[field] and (told := _told(connection, column, meanings)):
                return (
                    f'{told}, which nothing reads. Add --map {field}="{column}", or let clv inspect propose '
                    "a mapping. If the file is loaded already, take it back first: clv ingest --undo "
                    f"{file.name}."
                )
    return ""


def _told(connection: duckdb.DuckDBPyConnection, column: str, meanings: tuple[str, ...]) -> str:
    """What was bought by the rows of which the column says one of these; empty where there are none."""
    words = tuple(word for meaning in meanings for word in synonyms()[meaning])
    told = f"select bought.amount, feed_rows.{quoted_name(column)} as value"
    rows, money, example = connection.execute(
        f"select count(*), sum(amount), min(value) from ({told} from bought inner join feed_rows "
        f"using (feed_row)) as told where amount > 0 and {among('value', words)}"
    ).fetchall()[0]
    if not rows:
        return ""
    read = count_of(rows, "row is read as a purchase", "rows are read as purchases")
    return f"{read}, {money:,} in all, where {column!r} says {example!r}"


def _flagged(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """A column that nothing reads says yes of purchases: returned, cancelled, a test."""
    if not isinstance(file.layout, Mapping):
        return ""
    read = used_columns(file.layout, file.columns)
    for column in (column for column in file.columns if column not in read):
        if column_key(column) in synonyms()["flag"] and (told := _told(connection, column, ("said_yes",))):
            return (
                f"{told}, which nothing reads. If they are no purchases, add skip: {{{column}: [...]}} to "
                "the mapping that clv inspect writes. If the file is loaded already, take it back first: "
                f"clv ingest --undo {file.name}."
            )
    return ""


def _negative_pieces(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Pieces that came back at a price without a sign."""
    rows, money = connection.execute(
        "select count(*), sum(amount) from bought where quantity < 0 and amount > 0"
    ).fetchall()[0]
    if not rows:
        return ""
    return (
        f"{count_of(rows, 'row has', 'rows have')} a negative number of pieces in {file.named('quantity')} "
        f"and counts as bought, {money:,} in all, since the amount has no sign. If they came back, give the "
        "amount one: multiply the pieces by the price of each (--map amount=PIECES*PRICE), or map a column "
        "that says so (--map kind=COLUMN)."
    )


def _pays_for_a_term(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Rows that run from a day to another, dated by their first."""
    source = file.layout.sources().get("occurred_at") if isinstance(file.layout, Mapping) else None
    starts, ends = term(file.columns)
    if not source or not ends or starts not in (found_column(name, file.columns) for name in source.columns):
        return ""
    return (
        f"each row runs from {starts!r} to {ends!r} and counts as one payment, on its first day. If it is a "
        f"subscription that pays again, expand it by a preset in SQL: {EXPANSION}."
    )


_OTHERS = """
with
    refunds as (
        select feed_row, order_id, customer_id, amount from checked
        where reason is null and event_type = 'refund'
    ),
    buyers as (
        select order_id, customer_id from known_events where event_type = 'purchase'
        union
        select order_id, customer_id from bought
    ),
    compared as (
        select
            feed_row, order_id, refunds.customer_id as given_to, amount, min(buyers.customer_id) as bought_by,
            bool_or(buyers.customer_id = refunds.customer_id) as is_own
        from refunds inner join buyers using (order_id)
        group by all
    )
select count(*), sum(-amount), arg_min(order_id, feed_row), arg_min(bought_by, feed_row),
    arg_min(given_to, feed_row)
from compared where not is_own
"""


def _refunds_of_others(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> str:
    """Money given back to another customer than the one who bought."""
    rows, money, order, bought_by, given_to = connection.execute(_OTHERS).fetchall()[0]
    if not rows:
        return ""
    return (
        f"{count_of(rows, 'refund names', 'refunds name')} another customer than the one who bought, "
        f"{money:,} in all, such as that of order {order!r}: bought by {bought_by!r}, given back to "
        f"{given_to!r}. If {file.named('customer_id')} says who paid, that is the shop itself on a refund: "
        "take another column for those, by a preset in SQL (docs/how-to/own-data.md)."
    )


CHECKS: tuple[Callable[[duckdb.DuckDBPyConnection, NamedFile], str], ...] = (
    _twice,
    _again,
    _line_of_an_order,
    _on_several_days,
    _says_otherwise,
    _flagged,
    _negative_pieces,
    _pays_for_a_term,
    _refunds_of_others,
)
