"""What happens or becomes known at or after a date changes no byte of any feature row up to that date."""

import shutil
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from hand_picked import AS_OF, KNOWN_BEFORE, KNOWN_LATER, LATER, as_seen_on
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from shops import (
    DATED_TABLES,
    FEATURES_ONLY,
    Event,
    add_events,
    all_contents,
    build,
    copied,
    dated_tables,
    day,
    execute,
    purchase,
    query,
    visit,
    with_vars,
)

from clv_ml.ingest.undo import undo
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

UP_TO_AS_OF = f"as_of_date <= date '{AS_OF:%Y-%m-%d}'"
# Few values of each kind, so that orders, products and instants collide: cancellations meet their sales.
CUSTOMERS = ("ann", "bob", "cem", "dör", "eve")
SECONDS = (0, 1, 43_200, 86_399)
LAST = LATER + timedelta(days=40)
PER_DATE = tuple(table for table in DATED_TABLES if table != "customer_anchors")
"""Tables whose rows are made from nothing but what was known on their date."""
History = tuple[list[Event], list[Event]]
"""What was known before AS_OF, and what came to be known from then on."""


@st.composite
def _events(draw: st.DrawFn, first_day: int, last_day: int) -> Event:
    """Any kind of event that occurred on these days, known at once."""
    at = day(draw(st.integers(first_day, last_day))) + timedelta(seconds=draw(st.sampled_from(SECONDS)))
    customer = draw(st.sampled_from(CUSTOMERS))
    kind = draw(
        st.sampled_from(("purchase", "purchase", "refund", "session_start", "page_view", "add_to_cart"))
    )
    number = draw(st.integers(0, 8))
    if kind in ("purchase", "refund"):
        pieces = Decimal(draw(st.sampled_from((1, 2))))
        line = purchase(
            customer,
            at,
            draw(st.sampled_from(("5.00", "10.00", "19.99"))),
            order=f"{customer}-{number}",
            product_id=draw(st.sampled_from((None, "p1", "p2"))),
            category=draw(st.sampled_from((None, "home", "toys"))),
            quantity=pieces,
            session_id=draw(st.sampled_from((None, f"{customer}-s{number}"))),
        )
        return line if kind == "purchase" else _taken_back(line, draw(st.booleans()))
    return visit(customer, at, kind, session=draw(st.sampled_from((None, f"{customer}-s{number}"))))


def _taken_back(sale: Event, under_its_own_number: bool) -> Event:
    """A refund of as much, which names the order or does not."""
    order = f"back-{sale.order_id}" if under_its_own_number else sale.order_id
    return replace(
        sale,
        event_type="refund",
        amount=-sale.amount,
        quantity=-sale.quantity,
        order_id=order,
        session_id=None,
    )


@st.composite
def _late(draw: st.DrawFn) -> Event:
    """
    Something that occurred long ago, before the shop's first known event perhaps, and is recorded from AS_OF
    on.
    """
    event = draw(_events(-70, 136))
    return replace(event, recorded_at=AS_OF + timedelta(seconds=draw(st.integers(0, 40 * 86_400))))


@st.composite
def _cancellations(draw: st.DrawFn, past: list[Event]) -> Event:
    """Takes back a past sale after AS_OF, under its own number or another."""
    sale = draw(st.sampled_from([event for event in past if event.event_type == "purchase"]))
    moment = AS_OF + timedelta(seconds=draw(st.integers(0, 40 * 86_400)))
    back = _taken_back(sale, draw(st.booleans()))
    return replace(back, occurred_at=moment, recorded_at=moment)


@st.composite
def _histories(draw: st.DrawFn) -> History:
    """What was known before AS_OF, and what came to be known from then on."""
    anchor = purchase("ann", 0, order="ann-0", product_id="p1", quantity=Decimal(1))
    past = [anchor, *draw(st.lists(_events(0, 136), min_size=40, max_size=90))]
    later = st.one_of(_events(137, 180), _late(), _cancellations(past))
    return past, draw(st.lists(later, min_size=20, max_size=50))


@pytest.fixture(scope="module")
def workbench(empty_shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """
    One place to build in, over and over: dbt parses the project once for it. And the empty warehouse to start
    from.
    """
    settings = copied(empty_shop, tmp_path_factory.mktemp("leakage"))
    return with_vars(settings, prune_scoring_days=400), empty_shop.warehouse


RANDOMLY = hypothesis_settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _random_shops(count: int) -> list[History]:
    """So many random histories, the same ones each time."""
    drawn: list[History] = []

    @hypothesis_settings(RANDOMLY, max_examples=count)
    @given(history=_histories())
    def draw(history: History) -> None:
        drawn.append(history)

    draw()
    return drawn


def _side_by_side(shops: list[History]) -> History:
    """All of them in one warehouse: customers, orders and sessions are named after their shop."""
    past, later = ([_of_shop(n, e) for n, shop in enumerate(shops) for e in shop[part]] for part in (0, 1))
    return past, later


def _of_shop(number: int, event: Event) -> Event:
    names = {name: getattr(event, name) for name in ("customer_id", "order_id", "session_id")}
    return replace(event, **{name: text and f"{number}: {text}" for name, text in names.items()})


def test_later_knowledge_changes_no_earlier_feature_row(workbench: tuple[Settings, Path]):
    """
    Twenty random shops side by side get later sales, refunds, cancellations, visits and late records of old
    times; computed anew with them, every row of every feature table up to the date is the same byte for byte,
    and no row came or went.
    """
    past, later = _side_by_side(_random_shops(20))

    before, after = _seen_twice(workbench, past, later)

    assert len({event.customer_id for event in past}) > 60
    _assert_same(before, after)


@pytest.mark.long
@hypothesis_settings(RANDOMLY, max_examples=5)
@given(history=_histories())
def test_later_knowledge_of_a_shop_alone_changes_nothing(workbench: tuple[Settings, Path], history: History):
    """
    The same for random shops one by one, where few customers make the shop's level and first days.
    """
    before, after = _seen_twice(workbench, *history)

    _assert_same(before, after)


@pytest.mark.long
def test_later_events_picked_by_hand_change_nothing(workbench: tuple[Settings, Path]):
    """
    The same for the smallest case of each kind.
    """
    before, after = _seen_twice(workbench, KNOWN_BEFORE, KNOWN_LATER)

    _assert_same(before, after)


@pytest.mark.long
def test_a_feed_that_was_taken_back_is_seen_by_earlier_dates_and_by_no_later_one(
    workbench: tuple[Settings, Path],
):
    """
    Of twenty random shops two feeds are taken back, one at AS_OF and one at LATER; their rows share
    customers, orders, returns and sessions with rows that stay. Computed anew from nothing, every feature
    row and label up to the taking back is as it was, and each after it that of a shop that never
    had the feed.
    """
    settings, empty = workbench
    past, later = _side_by_side(_random_shops(20))
    told = _by_feed(as_seen_on(AS_OF, past), as_seen_on(LATER, later), as_seen_on(LAST, []))
    without = [[(feed, event) for feed, event in part if feed not in ("0", "1")] for part in told]
    only_second = [[(feed, event) for feed, event in part if feed != "0"] for part in told]

    seen = [_built_from(settings, empty, told[:1]), *(_goes_on(settings, told, n) for n in (1, 2))]
    twins = [
        _built_from(settings, empty, only_second[:2]),
        _built_from(settings, empty, without),
    ]

    assert sum(feed in ("0", "1") for part in told for feed, _ in part) > 400
    for then, now in ((seen[0], seen[1]), (seen[1], seen[2])):
        assert then and all(now[key] == rows for key, rows in then.items())
    for found, twin, moment in ((seen[1], twins[0], AS_OF), (seen[2], twins[1], LATER)):
        compared = [key for key in twin if key[1] > moment.date()]
        assert len({table for table, _ in compared}) > len(PER_DATE)
        for key in compared:
            other = twin[key] - found[key] if key[0] == "labels" else twin[key] ^ found[key]
            assert not other, (key, sorted(other)[:6])


def _by_feed(*parts: list[Event]) -> list[list[tuple[str, Event]]]:
    """
    Events with ids of their own, by feed. Two of seven are of the feeds 0, which is taken back after the
    first part, and 1, after the second; neither has the shop's first event or the visits that set the dates.
    """
    numbers = count()
    named = [[replace(event, event_id=f"n{next(numbers):06}") for event in part] for part in parts]
    return [
        [(str(n % 7) if part <= n % 7 and 0 < n < len(told) - 1 else "stays", e) for n, e in enumerate(told)]
        for part, told in enumerate(named)
    ]


def _built_from(
    settings: Settings, empty: Path, parts: list[list[tuple[str, Event]]]
) -> dict[tuple[str, date], set[str]]:
    shutil.copy2(empty, settings.warehouse)
    for part in parts:
        _arrives(settings, part)
    return _of_each_date(settings)


def _goes_on(
    settings: Settings, told: list[list[tuple[str, Event]]], part: int
) -> dict[tuple[str, date], set[str]]:
    """The next feed is taken back, more arrives, and all is computed anew."""
    with connect(settings, read_only=False) as connection:
        undo(connection, str(part - 1), reporting_currency="GBP")
    _arrives(settings, told[part])
    execute(settings, *(f"drop table {table}" for table in dated_tables(settings)))
    return _of_each_date(settings)


def _arrives(settings: Settings, told: list[tuple[str, Event]]) -> None:
    add_events(settings, [event for _, event in told])
    feeds = {feed: ", ".join(f"'{e.event_id}'" for f, e in told if f == feed) for feed, _ in told}
    execute(
        settings,
        *(
            f"update raw.events set feed_id = '{feed}' where event_id in ({ids})"
            for feed, ids in feeds.items()
        ),
        *(
            f"insert into raw.feeds select '{feed}', 1, 'events', false, now()::timestamp, 1, null "
            f"where '{feed}' not in (select feed_id from raw.feeds)"
            for feed in feeds
        ),
    )


def _of_each_date(settings: Settings) -> dict[tuple[str, date], set[str]]:
    """Rows by table and date, of labels by the date on which they became known."""
    build(settings, *FEATURES_ONLY)
    found: dict[tuple[str, date], set[str]] = {}
    sources = {table: f"select as_of_date, t::varchar from {table} as t" for table in PER_DATE}
    sources["labels"] = (
        "select label_known_at::date, (customer_id, as_of_date, label_revenue, label_purchases)::varchar "
        "from customer_labels inner join as_of_dates using (as_of_date) where label_revenue <> 0"
    )
    for table, sql in sources.items():
        for day_of, row in query(settings, sql):
            found.setdefault((table, day_of), set()).add(row)
    return found


def _seen_twice(
    workbench: tuple[Settings, Path], past: list[Event], later: list[Event]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """
    Every feature table up to AS_OF, as built then, and as computed from nothing some weeks on, with what came
    since.
    """
    settings, empty = workbench
    shutil.copy2(empty, settings.warehouse)
    add_events(settings, as_seen_on(AS_OF, past))
    build(settings, *FEATURES_ONLY)
    before = _features(settings)
    add_events(settings, as_seen_on(LATER, later))
    execute(settings, *(f"drop table {table}" for table in dated_tables(settings)))
    build(settings, *FEATURES_ONLY)
    return before, _features(settings)


def _features(settings: Settings) -> dict[str, list[str]]:
    """Every table with a row per customer and date, up to AS_OF; labels, which are the future, left out."""
    found = all_contents(settings, UP_TO_AS_OF)
    found.pop("customer_labels", None)
    return found


def _assert_same(before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
    assert set(DATED_TABLES) <= set(before)
    for table, rows in before.items():
        assert rows, f"{table} has no row to compare"
        assert after[table] == rows, f"{table} changed"
