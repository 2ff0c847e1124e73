"""
What a life of a shop (``shop_life``) is made of: rows that are drawn, its first shop, processes that die.
"""

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import hypothesis.strategies as st
import kills
from dbt.adapters.sql import SQLConnectionManager
from ingestion_helpers import write_csv
from ledger import HOME, Fed, Ledger, Row
from shops import OPENING, settings_for

from clv_ml.engines import engine_of
from clv_ml.model import registry
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import create_tables

HORIZON = 30
FIRST_DAYS = 200
"""Of history that each life begins with."""
EVENT_COLUMNS = (
    "event_id",
    "customer_id",
    "event_type",
    "occurred_at",
    "recorded_at",
    "order_id",
    "product_id",
    "quantity",
    "amount",
    "currency",
)
ORDER_COLUMNS = ("order_id", "customer_id", "ordered_at", "amount", "currency")
CUSTOMERS = tuple(f"c{number:02}" for number in range(30))
FIGURES = (
    "total_purchases, total_revenue, purchase_count_90d, revenue_90d, first_purchase_at, last_purchase_at"
)
FAULTS: dict[str, tuple[str, str]] = {
    "no_customer_id": ("customer_id", ""),
    "unknown_event_type": ("event_type", "gift"),
    "invalid_occurred_at": ("occurred_at", "31/31/2024"),
    "before_1970": ("occurred_at", "1970-01-01 00:00:00"),
    "in_the_future": ("occurred_at", "2999-01-01 00:00:00"),
    "no_order_id": ("order_id", ""),
    "invalid_quantity": ("quantity", "two"),
    "invalid_amount": ("amount", "ten"),
    "wrong_sign": ("amount", "-3.00"),
    "invalid_currency": ("currency", "pounds"),
}
OTHER_SETTINGS = (
    {"annual_discount_rate": 0.1},
    {"regular_cv": 0.3},
    {"seasonality_period_days": 91},
    {"feature_groups": ["rfm", "intervals", "temporal"]},
    {"first_training_day": 60},
)

A_ROW = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            ("purchase", "purchase", "purchase", "refund", "refund", "visit", "again", "conflict", "dirt")
        ),
        "who": st.integers(0, len(CUSTOMERS) - 1),
        "pick": st.integers(0, 999),
        "days_ago": st.sampled_from((0, 0, 0, 1, 7, 40, 300)),
        "hour": st.sampled_from((9, 13, 20)),
        "is_told": st.booleans(),
        "amount": st.sampled_from((5, 10, 12.5, 40)),
        "product": st.sampled_from((None, None, "p1", "p2")),
        "currency": st.sampled_from(("GBP", "GBP", "GBP", "EUR", "JPY")),
        "part": st.sampled_from(("all", "all", "half", "over")),
        "is_named": st.booleans(),
    }
)

A_RESTATEMENT = st.tuples(st.integers(0, 999), st.sampled_from((5, 10, 30)))


def drawn_event(ledger: Ledger, day: int, number: Callable[[str], str], drawn: dict[str, Any]) -> Fed:
    """A row as drawn, beside what is known already, with its fault and its text."""
    now = OPENING + timedelta(days=day)
    told = now + timedelta(hours=23, minutes=50) if drawn["is_told"] else None
    at = now + timedelta(days=-drawn["days_ago"], hours=drawn["hour"], minutes=7)
    row = Row(number("e"), CUSTOMERS[drawn["who"]], "purchase", at, at)
    if drawn["kind"] == "visit":
        row = replace(row, kind="page_view")
    elif drawn["kind"] in ("again", "conflict"):
        given = [known for known in ledger.rows.values() if not known.id.startswith(("order", "restated"))]
        row, told = given[drawn["pick"] % len(given)], None
        if drawn["kind"] == "conflict":
            row = replace(row, customer=row.customer + "x")
    elif drawn["kind"] == "refund":
        row = _refund(ledger, row, number, drawn)
    else:
        row = _purchase(ledger, row, number, drawn)
    texts = cells(row, told)
    fault = None
    if drawn["kind"] == "dirt":
        fault = sorted(FAULTS)[drawn["pick"] % len(FAULTS)]
        column, value = FAULTS[fault]
        texts[column] = value
    return row, told, fault, tuple(texts.values())


def _sales(ledger: Ledger, product: str | None) -> list[Row]:
    sales = [row for row in ledger.rows.values() if row.kind == "purchase"]
    return [row for row in sales if row.product == product] or sales


def _refund(ledger: Ledger, row: Row, number: Callable[[str], str], drawn: dict[str, Any]) -> Row:
    """Of a sale that is known: all of it, a half or more, under its number or another."""
    sales = _sales(ledger, drawn["product"])
    sale = sales[drawn["pick"] % len(sales)]
    assert sale.amount is not None
    back = {"all": sale.amount, "half": sale.amount / 2, "over": sale.amount + 5}[drawn["part"]]
    return replace(
        row,
        kind="refund",
        customer=sale.customer,
        order=sale.order if drawn["is_named"] else number("b"),
        product=sale.product,
        quantity=sale.quantity and -sale.quantity,
        amount=-back.quantize(Decimal("0.01")),
        currency=sale.currency,
    )


def _purchase(ledger: Ledger, row: Row, number: Callable[[str], str], drawn: dict[str, Any]) -> Row:
    """A line of a new order, or one more of an order that is known."""
    pick, currency, order = drawn["pick"], drawn["currency"], number("o")
    own = [sale for sale in _sales(ledger, drawn["product"]) if sale.customer == row.customer]
    if own and pick % 4 == 0:
        order, currency = own[pick % len(own)].order, own[pick % len(own)].currency
    return replace(
        row,
        order=order,
        product=drawn["product"],
        quantity=Decimal(1 + pick % 2),
        amount=Decimal(str(drawn["amount"])),
        currency=currency,
    )


def cells(row: Row, told: datetime | None) -> dict[str, str]:
    values = (
        row.id,
        row.customer,
        row.kind,
        row.occurred,
        told,
        row.order,
        row.product,
        row.quantity,
        row.amount,
        row.currency,
    )
    texts = ["" if value is None else str(value) for value in values]
    return dict(zip(EVENT_COLUMNS, texts, strict=True))


def raw_of(ledger: Ledger) -> tuple:
    """The raw tables as the ledger has them."""
    events = [
        (
            row.customer,
            row.kind,
            row.occurred,
            row.known,
            row.order,
            row.product,
            row.quantity and row.quantity.quantize(Decimal("0.001")),
            row.amount and row.amount.quantize(Decimal("0.01")),
            row.currency,
        )
        for row in ledger.rows.values()
    ]
    rates = [
        (currency, begins, rate.quantize(Decimal("0.00000001")), HOME)
        for (currency, begins), rate in ledger.rates.items()
    ]
    return (
        sorted(map(str, events)),
        sorted(map(str, ledger.merges)),
        sorted(map(str, rates)),
        ledger.refused_count,
    )


def difference(found: Any, must: Any) -> str:
    if isinstance(found, dict):
        names = sorted(name for name in {**found, **must} if found.get(name) != must.get(name))
        return "; ".join(f"{name} is {found.get(name)}, not {must.get(name)}" for name in names[:5])
    if isinstance(found, list):
        more, less = Counter(found) - Counter(must), Counter(must) - Counter(found)
        return f"there is {list(more)[:5]} instead of {list(less)[:5]}"
    return f"{found} instead of {must}"


def published_rows(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("select cast(t as varchar) from customer_clv as t order by 1").fetchall()
    return [row for (row,) in rows]


def hold_open(settings: Settings, opened_it: int, told: int) -> None:
    with duckdb.connect(settings.warehouse, read_only=True) as connection:
        connection.execute("select count(*) from raw.events").fetchall()
        os.write(opened_it, b".")
        os.read(told, 1)


def die_at(statement: int) -> None:
    """This process dies where dbt sends its database that many statements."""
    sent, real = Counter[str](), SQLConnectionManager.add_query

    def add_query(*arguments: Any, **options: Any) -> Any:
        sent["statements"] += 1
        if sent["statements"] >= statement:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    SQLConnectionManager.add_query = add_query


def forked(work: Callable[[], object]) -> int:
    """A process like this one, with the project parsed already, that does this and ends."""
    child = os.fork()
    if child:
        return child
    signal.alarm(300)  # what hangs is killed
    try:
        with open(os.devnull, "w", encoding="ascii") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def how_it_ended(child: int) -> int:
    """How it ended: 0, 1 after an error, or the negative number of a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_a_fresh_process(work: Callable[..., object], *arguments: Any) -> None:
    """For what reads models: LightGBM's threads do not survive a fork."""
    process = kills.processes.Process(target=work, args=arguments)
    process.start()
    process.join(300)
    assert process.exitcode is not None, f"{work.__name__} hangs"


def promote_until(models: Path, version: str, line: int) -> None:
    """Promotes a version, and dies at that line."""
    sys.settrace(kills.Lines(kills.SWAPPING_FILES, line))
    registry.promote(models, version, "by hand")


def publish_until(shop: Settings, line: int) -> None:
    """Publishes, and dies at that line."""
    sys.settrace(kills.Lines(("publication.py", "safe_files.py"), line))
    publish(shop)


@dataclass(frozen=True)
class First:
    """The shop that every life begins with, its ledger and its champions, oldest first."""

    shop: Settings
    ledger: Ledger
    champions: tuple[str, ...]

    def opened(self, folder: Path) -> tuple[Settings, Ledger, list[str]]:
        """Copies of all three; the shop's files are in ``folder``."""
        shutil.copytree(self.shop.warehouse.parent, folder, symlinks=True)
        shop = settings_for(folder, self.shop.project, horizon_days=HORIZON)
        return shop, deepcopy(self.ledger), list(self.champions)


def make_first(folder: Path, project: Path) -> First:
    """A shop of some months, with a champion, the one before it, and a publication."""
    shop = settings_for(folder, project, horizon_days=HORIZON)
    folder.mkdir(parents=True, exist_ok=True)
    create_tables(shop)
    ledger, rng, champions = Ledger(), random.Random(0), list[str]()
    rates = ("EUR", str(OPENING - timedelta(days=400)), "0.85")
    path = write_csv(folder / "fx_rates.csv", ("currency", "valid_from", "rate_to_reporting"), [rates])
    engine_of(shop).ingest_files("fx_rates", path)
    ledger.feed_rate(path.name, "EUR", OPENING - timedelta(days=400), Decimal("0.85"), rates)
    rows = [row for number, customer in enumerate(CUSTOMERS[:24]) for row in _regular(number, customer, rng)]
    for until in (FIRST_DAYS - 40, FIRST_DAYS):
        now = OPENING + timedelta(days=until)
        arrived = [row for row in rows if row.occurred < now and row.id not in ledger.rows]
        fed = [(row, None, None, tuple(cells(row, None).values())) for row in arrived]
        path = write_csv(folder / f"events-{until}.csv", EVENT_COLUMNS, [text for *_, text in fed])
        engine_of(shop).ingest_files("events", path)
        ledger.feed_events(path.name, fed)
        engine_of(shop).build_features()
        champions.append(engine_of(shop).train().version)
        ledger.built = ledger.scoring_date()
    engine_of(shop).score()
    publish(shop)
    return First(shop, ledger, tuple(champions))


def _regular(number: int, customer: str, rng: random.Random) -> list[Row]:
    """A customer's purchases, some returned, at a rhythm and value of their own."""
    rows, day = list[Row](), rng.randint(0, 40)
    while day < FIRST_DAYS:
        at = OPENING + timedelta(days=day, hours=rng.randint(8, 20), minutes=7)
        name = f"{customer}e{len(rows)}"
        row = Row(name, customer, "purchase", at, at, f"o{name}", rng.choice((None, "p1", "p2")))
        amount = Decimal(rng.choice((5, 10, 20)) + number % 4)
        rows.append(replace(row, quantity=Decimal(1), amount=amount, currency=rng.choice(("GBP", "EUR"))))
        day += rng.randint(8, 20 + number)
    return rows
