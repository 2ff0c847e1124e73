"""
Who bought what as of a date, and what of it stands.

Returns are replayed line by line, in the order in which they became known, where SQL computes.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from ledger import CENT, MONEY, Ledger, Row


@dataclass(frozen=True)
class Line:
    """
    A line of money of a person, in the home currency and its own, and the order it belongs to. A refund that
    names its sale bears when that was.
    """

    row: Row
    person: str
    amount: Decimal
    order: str | None
    known: datetime
    named: bool = False
    sold: datetime | None = None

    @property
    def is_refund(self) -> bool:
        return self.row.kind == "refund"

    @property
    def source(self) -> Decimal:
        assert self.row.amount is not None
        return self.row.amount

    @property
    def settles(self) -> datetime:
        """A refund at midnight may be of any time of its day."""
        is_day = self.is_refund and self.known.time() == datetime.min.time()
        return self.known + timedelta(seconds=86399) if is_day else self.known


@dataclass(frozen=True)
class Unit:
    """What can be taken back, or takes back, as one: a line, or the first day of an order or credit note."""

    key: tuple
    id: str
    is_refund: bool
    occurred: datetime
    known: datetime
    settles: datetime


@dataclass
class Person:
    """What a date sees of somebody: orders that stand (when, how much) and refunds (when, how much)."""

    first_seen: datetime
    orders: list[tuple[datetime, Decimal]] = field(default_factory=list)
    refunds: list[tuple[datetime, Decimal]] = field(default_factory=list)

    def figures(self, day: date) -> tuple:
        """Purchases and money in all and in the 90 days before the date, first and last purchase."""
        begin = datetime.combine(day, datetime.min.time()) - timedelta(days=90)
        recent = [
            [entry for entry in entries if entry[0] >= begin] for entries in (self.orders, self.refunds)
        ]
        times = [ordered for ordered, _ in self.orders]
        return (
            len(self.orders),
            sum((value for _, value in self.orders + self.refunds), Decimal(0)),
            len(recent[0]),
            sum((value for _, value in recent[0] + recent[1]), Decimal(0)),
            min(times, default=None),
            max(times, default=None),
        )


def people(ledger: Ledger, day: date) -> dict[str, Person]:
    """Everybody of whom anything was known before the date."""
    midnight = datetime.combine(day, datetime.min.time())
    known = [row for row in ledger.rows.values() if row.known < midnight]
    people: dict[str, Person] = {}
    for row in known:
        name = ledger.person_of(row.customer)
        person = people.setdefault(name, Person(row.occurred))
        person.first_seen = min(person.first_seen, row.occurred)
    lines = [
        Line(row, ledger.person_of(row.customer), ledger.worth(row), row.order, row.known)
        for row in known
        if row.kind in MONEY
    ]
    for name in people:
        _stand(people[name], [line for line in lines if line.person == name], ledger)
    return people


def _stand(person: Person, lines: list[Line], ledger: Ledger) -> None:
    """
    The orders and refunds of a person that stand, of all lines that were known. A refund of a sale is worth
    what it was on the day of that.
    """
    lines = _with_notes(_with_names(lines))
    pairs = _pairs(
        Unit(
            (line.row.product, abs(line.row.quantity or 0), line.row.currency, abs(line.source)),
            line.row.id,
            line.is_refund,
            line.row.occurred,
            line.known,
            line.settles,
        )
        for line in lines
        if line.row.product and not line.named
    )
    by_id = {line.row.id: line for line in lines}
    voided, orders = set[str](), defaultdict[str | None, list[Line]](list)
    for line in lines:
        if not line.is_refund or line.named:
            orders[line.order].append(line)
    ends: dict[str | None, datetime] = {}
    for order, own in orders.items():
        taken = [(pair[2], by_id[pair[0]].source) for pair in pairs if by_id[pair[0]].order == order]
        end = _end_of_order(own, taken)
        if end:
            ends[order] = end[0]
            voided |= {line.row.id for line in own if line.known <= end[0]}
            if end[1]:
                closing = max(
                    (line for line in own if line.named and line.known <= end[0]),
                    key=lambda line: (line.known, line.row.occurred, line.row.id),
                )
                rest = (end[1] * closing.amount / closing.source).quantize(CENT, ROUND_HALF_UP)
                person.refunds.append((closing.row.occurred, rest))
    for sale, refund, at in pairs:
        if ends.get(by_id[sale].order, at) >= at:
            voided |= {sale, refund}
    person.refunds += [
        (line.row.occurred, ledger.worth(line.row, line.sold))
        for line in lines
        if line.is_refund and line.row.id not in voided
    ]
    for own in orders.values():
        sales = [line for line in own if not line.is_refund]
        standing = [line for line in sales if line.row.id not in voided]
        if standing:
            ordered = min(line.row.occurred for line in sales)
            person.orders.append((ordered, sum((line.amount for line in standing), Decimal(0))))


def _with_names(lines: list[Line]) -> list[Line]:
    """A refund that bears the number of an order that was known by then names it."""
    named = []
    for line in lines:
        sales = [
            sale
            for sale in lines
            if not sale.is_refund and sale.order == line.order and sale.settles <= line.settles
        ]
        if line.is_refund and line.order and sales:
            known = max(line.known, *(sale.known for sale in sales))
            sold = min(sale.row.occurred for sale in sales)
            line = replace(line, named=True, known=known, sold=sold)
        named.append(line)
    return named


def _with_notes(lines: list[Line]) -> list[Line]:
    """A credit note that names no order and no product takes back the latest open order of its total."""
    groups: dict[tuple[str, bool], list[Line]] = defaultdict(list)
    for line in lines:
        is_note = line.is_refund and not line.named and line.row.product is None
        if is_note or not line.is_refund:
            groups[line.order or line.row.id, line.is_refund].append(line)
    units = []
    for (number, is_refund), own in groups.items():
        first = min(line.known.date() for line in own)
        own = [line for line in own if line.known.date() == first]
        total, currencies = sum(line.source for line in own), {line.row.currency for line in own}
        if len(currencies) == 1 and total:
            occurred, known = min(line.row.occurred for line in own), max(line.known for line in own)
            settles = replace(own[0], known=known).settles
            units.append(Unit((*currencies, abs(total)), number, is_refund, occurred, known, settles))
    occurred = {unit.id: unit.occurred for unit in units if not unit.is_refund}
    order_of = {note: (order, at) for order, note, at in _pairs(units)}
    noted = []
    for line in lines:
        note = order_of.get(line.order or line.row.id)
        if note and line.is_refund and not line.named and line.row.product is None:
            known = max(line.known, note[1])
            line = replace(line, order=note[0], named=True, known=known, sold=occurred[note[0]])
        noted.append(line)
    return noted


def _pairs(units: Iterable[Unit]) -> list[tuple[str, str, datetime]]:
    """Sale, refund and when the pair is known: each refund takes back the latest sale that is still open."""
    open_sales: dict[tuple, list[Unit]] = defaultdict(list)
    pairs = []
    for unit in sorted(units, key=lambda unit: (unit.settles, unit.is_refund, unit.occurred, unit.id)):
        if not unit.is_refund:
            open_sales[unit.key].append(unit)
        elif open_sales[unit.key]:
            sale = open_sales[unit.key].pop()
            pairs.append((sale.id, unit.id, max(sale.known, unit.known)))
    return pairs


def _end_of_order(
    lines: list[Line], taken: list[tuple[datetime, Decimal]]
) -> tuple[datetime, Decimal] | None:
    """When an order came to nothing by refunds that name it, and what was given back beyond it."""
    balance = sold = Decimal(0)
    is_named = False
    for moment in sorted({line.known for line in lines} | {at for at, _ in taken}):
        now = [line for line in lines if line.known == moment]
        gone = [amount for at, amount in taken if at == moment]
        balance += sum(line.source for line in now) - sum(gone)
        sold += sum(line.source for line in now if not line.is_refund) - sum(gone)
        is_named = is_named or any(line.named for line in now)
        is_return = bool(gone) or any(line.named for line in now)
        if is_return and is_named and (balance == 0 or (sold > CENT and balance <= CENT)):
            return moment, balance
    return None
