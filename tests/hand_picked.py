"""Shops of a few customers each, picked by hand: one odd thing a row. Every engine builds them."""

from datetime import datetime, timedelta
from decimal import Decimal

from shops import Event, day, purchase, refund, visit

UNICODE = "Ωμέγα 客户 'o\"brien' 🛒"
NFC, NFD = "Zoë", "Zoe\u0308"

ODD_DAY = 200  # the scoring date of the shop of oddities, as the number of its day
ODDITIES = [
    visit("looker", 150),
    purchase("once", 100, 30),
    purchase("twin", 120.5, 10, order="t1"),
    purchase("twin", 120.5, 20, order="t2"),
    purchase("veteran", -3650, 10),
    purchase("veteran", 190, 10),
    purchase("over-refunded", 110, 10, order="r1"),
    refund("over-refunded", 130, -25, order="r1"),
    refund("refund-only", 140, -40),
    purchase("cancelled", 105, 99, order="k1"),
    refund("cancelled", 106, -99, order="k1"),
    purchase("a cent less", 105.5, 99, order="k2"),
    refund("a cent less", 106.5, "-98.99", order="k2"),
    purchase("a cent more", 105.5, 99, order="k3"),
    refund("a cent more", 106.5, "-99.01", order="k3"),
    purchase("goodwill", 105.5, 99, order="k4"),
    refund("goodwill", 106.5, -59, order="k4"),
    refund("goodwill", 107.5, -50, order="k4"),
    purchase("credit note", 105.5, 60, order="k5"),
    purchase("credit note", 105.5, 39, order="k5"),
    refund("credit note", 106.5, "-98.99", order="c5"),
    purchase("that afternoon", 105.5, 99, order="k6"),
    refund("that afternoon", 105, -99, order="k6"),
    purchase("note of that day", 105.5, 99, order="k7"),
    refund("note of that day", 105, -99, order="c7"),
    purchase("line a cent off", 105.5, 99, order="k8", product_id="p", quantity=Decimal(1)),
    refund("line a cent off", 106.5, "-98.99", order="c8", product_id="p", quantity=Decimal(-1)),
    purchase("came back", 105.5, 99, order="k9"),
    refund("came back", 106.5, "-99.01", order="k9"),
    purchase("came back", 150, 7, order="k10"),
    purchase("old", 90, 5),
    purchase("middle", 95, 6),
    purchase("final", 99, 7),
    purchase("itself", 99, 9),
    purchase(UNICODE, 100, 11),
    purchase(NFC, 100, 12),
    purchase(NFD, 100, 13),
    purchase("regular", 99, 8),
    purchase("regular", 199, 8),
    purchase("abroad", 100, 10),
    purchase("abroad", 101, 99, currency="USD"),
    purchase("on the edge", ODD_DAY - 90, 1),
    purchase("on the edge", day(ODD_DAY - 90) - timedelta(seconds=1), 10),
    purchase("on the edge", day(ODD_DAY) - timedelta(seconds=1), 100),
]
"""One customer of every odd kind; the newest event, of the day before, makes ODD_DAY the scoring date."""
ODD_MERGES = (("old", "middle"), ("middle", "final"), ("itself", "itself"))

AS_OF = day(137)  # off the monthly grid
LATER = AS_OF + timedelta(days=60)
KNOWN_BEFORE = [
    purchase("ann", 10, 10, order="o1"),
    purchase("ann", 40, 20, order="o2", product_id="p", quantity=Decimal(1)),
    visit("ann", 30, session="s1"),
    purchase("bob", 50, 5, order="o3"),
]
"""A shop as it was known just before AS_OF."""
KNOWN_LATER = [
    # a sale at the very instant, and cancellations that name their order or not
    purchase("ann", AS_OF),
    refund("ann", AS_OF, -10, order="o1"),
    refund("ann", AS_OF, -20, product_id="p", quantity=Decimal(-1)),
    # late records: a line of an order known before, a first visit, a cart in a known session, a first page
    # view
    purchase("bob", 20, 7, order="o3", recorded_at=AS_OF),
    visit("bob", 1, recorded_at=AS_OF),
    visit("ann", 30, "add_to_cart", session="s1", recorded_at=AS_OF),
    visit("ann", 30, "page_view", recorded_at=AS_OF),
    # a late sale of a time before the shop's first known event
    purchase("zoe", -200, recorded_at=AS_OF),
]
"""The smallest case of each kind of thing that occurred or became known from AS_OF on."""


def as_seen_on(scoring_date: datetime, events: list[Event]) -> list[Event]:
    """The events, and a visit of the day before: the newest event sets the scoring date."""
    return [*events, visit("ann", scoring_date - timedelta(days=1))]
