"""Reports in groups: lines below an order's first leave out its number, customer and time."""

import duckdb

from clv_ml.ingest.mapped_values import NUMBERS, raw, row_label, text_of
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.presets import same_column
from clv_ml.warehouse.quoting import quoted_name
from clv_ml.wording import count_of

OWN = (*NUMBERS, "refund time", "product_id", "category", "line_id", "event_id", "session_id")
"""What a line says for itself alone."""
HEAD = ("order_id", "customer_id", "occurred_at")
"""What a line leaves out that belongs to the order above it."""


def is_grouped(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...], notes: list[str]
) -> bool:
    """Whether some lines belong to the order above them, or leave out what another line of theirs says."""
    sources = mapping.sources()
    if "customer_id" not in sources or "occurred_at" not in sources:
        return False
    nameless = " and ".join(
        f"{raw(sources[name], columns)} is null" for name in ("customer_id", "occurred_at")
    )
    if not connection.execute(f"select 1 from feed where {nameless} limit 1").fetchall():
        return False
    told = ", ".join(f"{raw(sources[name], columns)} as {name}" for name in HEAD if name in sources)
    order = "order_id" if "order_id" in sources else "null"
    rows, first = connection.execute(
        f"select count(*), min(feed_row) from (select feed_row, {told}, {row_label(mapping, columns)} as "
        f"row_label, {names_something(mapping, columns)} as names_something from feed) as lines "
        "where row_label is null and customer_id is null and occurred_at is null "
        f"and ({order} is not null or names_something)"
    ).fetchall()[0]
    if not rows:
        return False
    lines = count_of(
        rows,
        "line names neither customer nor time and belongs",
        "lines name neither customer nor time and belong",
    )
    notes.append(f"groups: {lines} to the order above, such as row {first} under the header")
    return True


def names_something(mapping: Mapping, columns: tuple[str, ...]) -> str:
    """SQL: whether a cell beside numbers holds a word, as that of a product does; a total alone has none."""
    numbers = {
        same_column(name, columns)
        for purpose, source in mapping.sources().items()
        if purpose in NUMBERS
        for name in source.columns
    }
    words = [
        rf"coalesce(regexp_matches({quoted_name(column)}, '\pL'), false)"
        for column in columns
        if column not in numbers
    ]
    return f"({' or '.join(words) or 'false'})"


def filled_down(mapping: Mapping) -> str:
    """
    SQL over ``texts``: what lines of a group leave out is that of its first line. A line that names an order
    takes what the first line of that order says; one that names none, what the line above says.
    """
    sources = mapping.sources()
    shared = [quoted_name(text_of(purpose)) for purpose in sources if purpose not in OWN]
    customer, time = quoted_name(text_of("customer_id")), quoted_name(text_of("occurred_at"))
    order = quoted_name(text_of("order_id")) if "order_id" in sources else "cast(null as varchar)"
    head = f"case when not is_further and row_label is null then [{', '.join(shared)}] end ignore nulls"
    filled = ", ".join(
        f"case when is_further then coalesce({name}, first_line[{place}]) else {name} end as {name}"
        for place, name in enumerate(shared, start=1)
    )
    return f"""
    lines_of_groups as (
        select
            *, row_label is null and {customer} is null and {time} is null
            and ({order} is not null or names_something) as is_further
        from all_texts
    ),
    with_heads as (
        select
            *,
            case when {order} is null then last_value({head}) over (order by feed_row)
            else first_value({head}) over (
                partition by {order} order by feed_row
                rows between unbounded preceding and unbounded following
            ) end as first_line
        from lines_of_groups
    ),
    texts as materialized (select * replace ({filled}) from with_heads),
"""
