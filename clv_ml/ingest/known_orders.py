"""Orders that earlier files brought and this one brings again: restated, or named in a warning."""

from pathlib import Path

import duckdb

from clv_ml.ingest.feeds import sql_text
from clv_ml.wording import count_of


def restate(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """
    Orders that were known take their newest money: what differs becomes an event of its own, the rest is
    known.
    """
    connection.execute(f"create or replace temp table restated as {sql_text('restated')}")
    connection.execute(
        "update checked set is_new = false where event_type in ('purchase', 'refund') and order_id in "
        "(select order_id from known_events where event_type in ('purchase', 'refund'))"
    )
    orders, money = connection.execute("select count(*), coalesce(sum(amount), 0) from restated").fetchall()[
        0
    ]
    if not orders:
        return ()
    return (
        f"{count_of(orders, 'order was', 'orders were')} known and came with other money: {money:+,} in all, "
        "from the day it was learnt",
    )


def known_orders_with_more(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    """
    A warning where orders are appended and a known one comes with further purchases: most likely a newer
    export.
    """
    orders, money, example = connection.execute(
        "select count(distinct order_id), sum(amount), min(order_id) from checked where is_new "
        "and event_type = 'purchase' and order_id in "
        "(select order_id from known_events where event_type = 'purchase')"
    ).fetchall()[0]
    if not orders:
        return ()
    return (
        f"{count_of(orders, 'order')} of {path} known before, such as {example!r}, "
        f"{'comes' if orders == 1 else 'come'} with other purchases, {money:,} in all, which count beside "
        "those before. If the file is a newer export of the same "
        "orders, feed it with --orders restated.",
    )
