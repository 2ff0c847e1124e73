"""
The simulated shop as a feed: raw events, id history and rates, as text, dirt included.

Every column is a string, as a file from elsewhere would hold it, so that broken values can exist. Dirt is
added to the clean rows and replaces none: once it is quarantined, the shop is whole again.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv_ml.simulate.simulated_shop import (
    BROWSING_STREAM,
    CHUNK_CUSTOMERS,
    CURRENCIES,
    DAY_SECONDS,
    DIRT_STREAM,
    PRODUCTS_PER_CATEGORY,
    RATE_DECIMALS,
    Chunk,
    Flags,
    Floats,
    Ints,
    Shop,
    draw_products,
    epoch,
    poisson_times,
    rates_of,
    recorded_at,
    seconds,
    stream,
)
from clv_ml.warehouse.input_contract import contract

EVENT_TYPES = ("session_start", "page_view", "add_to_cart", "purchase", "refund")
SESSION_START, PAGE_VIEW, ADD_TO_CART, PURCHASE, REFUND = range(5)

EVENTS, ID_HISTORY, FX_RATES = (
    pa.schema([(name, pa.string()) for name in contract()[table]])
    for table in ("events", "id_history", "fx_rates")
)

# What each kind of dirt puts where, in a copy of a purchase row under an event_id of its own.
DIRT: dict[str, tuple[str, str | None]] = {
    "missing customer": ("customer_id", None),
    "unparsable time": ("occurred_at", "2023-13-45 99:00:00"),
    "NaN amount": ("amount", "NaN"),
    "infinite amount": ("amount", "inf"),
    "text amount": ("amount", "twelve"),
    "unknown currency": ("currency", "XXQ"),
    "unknown event type": ("event_type", "teleport"),
    "future date": ("occurred_at", "2096-02-29 12:00:00"),
    "missing event id": ("event_id", None),
}

# Room for the rows, orders and sessions of one chunk in one number.
_CHUNK_IDS = 100_000_000
_ROW = np.dtype(
    [
        ("kind", np.int8),
        ("owner", np.int64),
        ("at", np.int64),
        ("recorded", np.int64),
        ("session", np.int64),
        ("order", np.int64),
        ("product", np.int64),
        ("quantity", np.int64),
        ("cents", np.int64),
    ]
)


@dataclass(frozen=True)
class Visits:
    """Sessions of a chunk, a row each: first one an order, in the order of the orders, then the idle ones."""

    owner: Ints  # customer, position in the chunk
    start: Ints  # seconds since 1970
    duration: Ints  # seconds
    recorded: Ints  # seconds since 1970, of the session's start
    idle: Flags


def draw_visits(shop: Shop, chunk: Chunk, rng: np.random.Generator) -> Visits:
    """Sessions of a chunk; who never buys still has the session in which they joined."""
    latents, orders = chunk.latents, chunk.orders
    lookers = np.flatnonzero(latents.rate == 0)
    idle_owner, idle_days = poisson_times(shop, latents, latents.idle_rate, rng)
    owner = np.concatenate([orders.owner, lookers, idle_owner])
    duration = rng.integers(120, 1500, owner.size)
    idle_start = seconds(shop, np.concatenate([latents.joined[lookers], idle_days]))
    buying_start = np.maximum(orders.at - duration[: orders.at.size], epoch(shop.start))
    start = np.concatenate([buying_start, idle_start])
    return Visits(
        owner, start, duration, recorded_at(shop, start, rng), np.arange(owner.size) >= orders.at.size
    )


def events_of(shop: Shop, chunk: Chunk) -> pa.Table:
    """Event rows of a chunk, schema EVENTS: clean ones by time, then the dirt."""
    rows = _money_rows(chunk)
    if shop.browsing:
        rng = stream(shop, chunk.number, BROWSING_STREAM)
        visits = draw_visits(shop, chunk, rng)
        rows["session"] = np.where(rows["kind"] == PURCHASE, rows["order"], -1)
        rows = np.concatenate([_browsing_rows(shop, chunk, visits, rng), rows])
    # What is recorded after the end has not reached the feed yet.
    rows = rows[np.maximum(rows["at"], rows["recorded"]) < epoch(shop.end)]
    rows = rows[np.lexsort((rows["kind"], rows["at"]))]
    clean = _text_table(shop, chunk, rows)
    return pa.concat_tables([clean, *_dirt(shop, chunk, clean)])


def id_history_of(shop: Shop, chunk: Chunk) -> pa.Table:
    """Merges of a chunk's customers, schema ID_HISTORY."""
    merges = chunk.latents.merges
    owner, stage = np.nonzero(np.isfinite(merges))
    names = customer_names(chunk)
    columns = {
        "old_customer_id": names.take(pa.array(owner * 3 + stage)),
        "new_customer_id": names.take(pa.array(owner * 3 + stage + 1)),
        "merged_at": _time_text(seconds(shop, merges[owner, stage])),
    }
    return pa.Table.from_pydict(columns, schema=ID_HISTORY)


def fx_rates_of(shop: Shop) -> pa.Table:
    """Rates of each foreign currency to GBP from the first of each month on, schema FX_RATES."""
    rates = rates_of(shop)[:, 1:]
    months = np.datetime64(shop.start, "M") + np.arange(len(rates))
    valid_from = months.astype("datetime64[s]").astype(np.int64)
    columns = {
        "currency": pa.array(np.tile(CURRENCIES[1:], len(rates))),
        "valid_from": _time_text(np.repeat(valid_from, rates.shape[1])),
        "rate_to_reporting": pa.array([f"{rate:.{RATE_DECIMALS}f}" for rate in rates.ravel()]),
        "quote_currency": pa.array([CURRENCIES[0]] * rates.size),
    }
    return pa.Table.from_pydict(columns, schema=FX_RATES)


def _rows(size: int, **columns: Ints | int) -> np.ndarray:
    rows = np.zeros(size, _ROW)
    rows["session"] = rows["order"] = rows["product"] = -1
    for name, values in columns.items():
        rows[name] = values
    return rows


def _money_rows(chunk: Chunk) -> np.ndarray:
    """Purchases, a row a line; cancellations, a row a line; partial refunds, a row an order."""
    orders = chunk.orders
    order = orders.line_order
    bought = _rows(
        order.size,
        kind=PURCHASE,
        owner=orders.owner[order],
        at=orders.at[order],
        recorded=orders.recorded[order],
        order=order,
        product=orders.line_product,
        quantity=orders.line_quantity,
        cents=orders.line_cents,
    )
    cancelled = bought[orders.cancelled[order]]
    cancelled["cents"] *= -1
    returned = bought[orders.first_line[orders.refunded]]
    part = orders.refund_part[returned["order"]] * returned["cents"]
    returned["cents"] = -np.ceil(part).astype(np.int64)
    returned["quantity"] = 1
    refunds = np.concatenate([cancelled, returned])
    refunds["kind"] = REFUND
    refunds["at"] = orders.refund_at[refunds["order"]]
    refunds["recorded"] = orders.refund_recorded[refunds["order"]]
    return np.concatenate([bought, refunds])


def _browsing_rows(shop: Shop, chunk: Chunk, visits: Visits, rng: np.random.Generator) -> np.ndarray:
    """Session starts, page views and carts; the lines of an order were in its session's cart."""
    orders = chunk.orders
    every = np.arange(visits.owner.size)
    filled = visits.idle & (rng.random(every.size) < shop.abandoned_share)
    viewing = np.repeat(every, 1 + rng.poisson(shop.extra_pages, every.size))
    abandoning = np.repeat(every, filled * (1 + rng.poisson(0.5, every.size)))
    favourite = chunk.latents.favourite[visits.owner]
    viewed = draw_products(shop, favourite[viewing], rng)
    abandoned = draw_products(shop, favourite[abandoning], rng)
    return np.concatenate(
        [
            _visit_rows(visits, every, np.zeros(every.size), kind=SESSION_START),
            _visit_rows(visits, viewing, rng.random(viewing.size), kind=PAGE_VIEW, product=viewed),
            _visit_rows(
                visits,
                np.concatenate([orders.line_order, abandoning]),
                rng.uniform(0.5, 1, orders.line_order.size + abandoning.size),
                kind=ADD_TO_CART,
                product=np.concatenate([orders.line_product, abandoned]),
                quantity=np.concatenate([orders.line_quantity, np.ones(abandoned.size, np.int64)]),
            ),
        ]
    )


def _visit_rows(visits: Visits, session: Ints, progress: Floats, **columns: Ints | int) -> np.ndarray:
    """Rows within sessions, each at a share `progress` of its session's duration."""
    passed = (visits.duration[session] * progress).astype(np.int64)
    return _rows(
        session.size,
        owner=visits.owner[session],
        at=visits.start[session] + passed,
        recorded=visits.recorded[session] + passed,
        session=session,
        **columns,
    )


def _text_table(shop: Shop, chunk: Chunk, rows: np.ndarray) -> pa.Table:
    offset = chunk.number * _CHUNK_IDS
    money = rows["cents"] != 0
    category = np.where(rows["product"] < 0, -1, rows["product"] // PRODUCTS_PER_CATEGORY)
    currency = np.where(money, chunk.latents.currency[rows["owner"]], -1)
    categories = pa.array([f"category {number + 1:02d}" for number in range(shop.categories)])
    products = pa.array([f"p{number:05d}" for number in range(shop.categories * PRODUCTS_PER_CATEGORY)])
    columns = {
        "event_id": _numbered("e", offset + np.arange(rows.size)),
        "customer_id": _customer_text(shop, chunk, rows),
        "event_type": pa.array(EVENT_TYPES).take(pa.array(rows["kind"])),
        "occurred_at": _time_text(rows["at"]),
        "recorded_at": _time_text(rows["recorded"]),
        "session_id": _numbered("s", np.where(rows["session"] < 0, -1, offset + rows["session"])),
        "order_id": _numbered("o", np.where(rows["order"] < 0, -1, offset + rows["order"])),
        "product_id": _named(products, rows["product"]),
        "category": _named(categories, category),
        "quantity": pa.array(rows["quantity"], mask=rows["quantity"] == 0).cast(pa.string()),
        "amount": _money_text(rows["cents"]),
        "currency": _named(pa.array(CURRENCIES), currency),
    }
    return pa.Table.from_pydict(columns, schema=EVENTS)


def _customer_text(shop: Shop, chunk: Chunk, rows: np.ndarray) -> pa.Array:
    """The id that each row's customer had at that instant: the number of merges behind them picks it."""
    merged = np.floor(chunk.latents.merges * DAY_SECONDS) + epoch(shop.start)
    stage = (rows["at"][:, np.newaxis] >= merged[rows["owner"]]).sum(axis=1)
    return customer_names(chunk).take(pa.array(rows["owner"] * 3 + stage))


def customer_names(chunk: Chunk) -> pa.Array:
    """Three names a customer of the chunk: before the first of two merges, before the last merge, final."""
    first = chunk.number * CHUNK_CUSTOMERS + 1
    numbers = range(first, first + chunk.latents.joined.size)
    return pa.array(
        [name for number in numbers for name in (f"g{number}-1", f"g{number}-2", f"c{number:07d}")]
    )


def _named(names: pa.Array, codes: Ints) -> pa.Array:
    return names.take(pa.array(codes, mask=codes < 0))


def _numbered(prefix: str, numbers: Ints) -> pa.Array:
    text = pa.array(numbers, mask=numbers < 0).cast(pa.string())
    # pyrefly: ignore[missing-attribute]
    return pc.binary_join_element_wise(prefix, text, "")


def _time_text(at: Ints) -> pa.Array:
    return pa.array(at.astype(np.int64)).cast(pa.timestamp("s")).cast(pa.string())


def _money_text(cents: Ints) -> pa.Array:
    size = np.abs(cents)
    whole = pa.array(size // 100, mask=cents == 0).cast(pa.string())
    # pyrefly: ignore[missing-attribute]
    fraction = pc.utf8_lpad(pa.array(size % 100).cast(pa.string()), 2, "0")
    sign = pa.array(["", "-"]).take(pa.array((cents < 0).astype(np.int8)))
    # pyrefly: ignore[missing-attribute]
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, whole, ""), fraction, ".")


def _dirt(shop: Shop, chunk: Chunk, clean: pa.Table) -> list[pa.Table]:
    """Exact duplicates of purchase rows, and copies broken in one column; kinds take turns."""
    # pyrefly: ignore[missing-attribute]
    purchases = np.flatnonzero(pc.equal(clean["event_type"], "purchase").to_numpy())
    if purchases.size == 0:
        return []
    rng = stream(shop, chunk.number, DIRT_STREAM)
    # Rounding up or down at random keeps the share right however small the chunk.
    count = int(shop.dirt_share * clean.num_rows + rng.random())
    picked = rng.choice(purchases, count)
    # A random first kind, else shops of one dirty row a chunk would never see the later kinds.
    turn = (np.arange(count) + rng.integers(len(DIRT) + 1)) % (len(DIRT) + 1)
    tables = [clean.take(pa.array(picked[turn == len(DIRT)]))]
    for number, (column, value) in enumerate(DIRT.values()):
        which = np.flatnonzero(turn == number)
        tables.append(_broken(clean.take(pa.array(picked[which])), which, column, value))
    return tables


def _broken(copies: pa.Table, numbers: Ints, column: str, value: str | None) -> pa.Table:
    # pyrefly: ignore[missing-attribute]
    ids = pc.binary_join_element_wise(copies["event_id"], _numbered("x", numbers), "-")
    copies = copies.set_column(EVENTS.get_field_index("event_id"), EVENTS.field("event_id"), ids)
    broken = pa.array([value] * copies.num_rows, pa.string())
    return copies.set_column(EVENTS.get_field_index(column), EVENTS.field(column), broken)
