"""What happens or becomes known at or after a date changes no byte of any feature row up to that date."""

import shutil
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
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
    visit,
    with_vars,
)

from clv_ml.settings import Settings

UP_TO_AS_OF = f"as_of_date <= date '{AS_OF:%Y-%m-%d}'"
# Few values of each kind, so that orders, products and instants collide: cancellations meet their sales.
CUSTOMERS = ("ann", "bob", "cem", "dör", "eve")
SECONDS = (0, 1, 43_200, 86_399)
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
