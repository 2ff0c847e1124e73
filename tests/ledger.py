"""
What a shop's tables must hold, worked out in plain Python from the rows that were fed: the oracle of
``shop_life``. It shares no code with the product, and replays lines one after the other where SQL computes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

HOME = "GBP"
CENT = Decimal("0.01")
MONEY = ("purchase", "refund")


@dataclass(frozen=True)
class Row:
    """An event as it was accepted."""

    id: str
    customer: str
    kind: str
    occurred: datetime
    known: datetime
    order: str | None = None
    product: str | None = None
    quantity: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None

    @property
    def content(self) -> tuple:
        """All but when it was learnt."""
        return tuple(value for name, value in vars(self).items() if name not in ("id", "known"))


Fed = tuple[Row, datetime | None, str | None, tuple]
"""A row of a file: when the file says that it was learnt, the fault it was given on purpose, and its text."""


@dataclass
class Outcome:
    """What must become of a file; ``copies`` counts its refused rows by reason and text."""

    rows_in: int = 0
    kept: int = 0
    new: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    copies: Counter[tuple] = field(default_factory=Counter)


@dataclass
class Ledger:
    """Everything that was accepted and nothing else. ``built`` is the newest date that features stand for."""

    rows: dict[str, Row] = field(default_factory=dict)
    merges: list[tuple[str, str, datetime]] = field(default_factory=list)
    rates: dict[tuple[str, datetime], Decimal] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    refused: set[tuple] = field(default_factory=set)
    refused_count: int = 0
    built: date | None = None

    # what becomes of a file

    def known_at(self, occurred: datetime, told: datetime | None) -> datetime:
        """What arrives without a time of knowledge is too late for the dates that were built."""
        built = self.built and datetime.combine(self.built, datetime.min.time())
        return max(occurred, told or built or occurred)

    def feed_events(self, file: str, rows: Iterable[Fed]) -> Outcome:
        """A file of events with numbers of their own."""
        outcome, seen, copies = Outcome(), dict[str, Row](), set[str]()
        for number, (row, told, fault, text) in enumerate(rows, start=1):
            outcome.rows_in += 1
            first = self.rows.get(row.id) or seen.get(row.id)
            is_erased = row.customer in self.erased and fault != "no_customer_id"
            reason = "erased" if is_erased else fault or self._unrated(row)
            is_copy = reason is None and row.id in copies
            copies |= {row.id} if reason is None else set()
            if reason is None and first and first.content != row.content:
                reason = "conflicting_event"
            elif is_copy:
                reason = "duplicate"
            if reason is None:
                outcome.kept += 1
                outcome.new += row.id not in self.rows
                seen[row.id] = replace(row, known=self.known_at(row.occurred, told))
            else:
                self._refuse(outcome, file, number, reason, text)
        self.rows = {**seen, **self.rows}
        return outcome

    def feed_restated(self, file: str, orders: Iterable[tuple[Row, tuple]]) -> Outcome:
        """Orders, one row each: what differs from what is known of one becomes an event of its own."""
        outcome, made, arrived = Outcome(), list[Row](), list[Row]()
        for number, (row, text) in enumerate(orders, start=1):
            outcome.rows_in += 1
            if reason := "erased" if row.customer in self.erased else self._unrated(row):
                self._refuse(outcome, file, number, reason, text)
                continue
            outcome.kept += 1
            arrived.append(row)
        newest = max(row.occurred for row in (*self.rows.values(), *arrived))
        for row in arrived:
            before = [old for old in self.rows.values() if old.order == row.order and old.kind in MONEY]
            if not before:
                outcome.new += 1
                made.append(row)
            elif change := row.amount - sum(old.amount for old in before):
                made.append(self._change(before, change, newest))
        self.rows |= {row.id: row for row in made}
        return outcome

    def _change(self, before: list[Row], change: Decimal, newest: datetime) -> Row:
        ordered = min(row.occurred for row in before)
        built = self.built and datetime.combine(self.built, datetime.min.time())
        occurred = ordered if change > 0 else max(ordered, built or newest)
        return Row(
            id=f"restated {before[0].order} {len(before)} {change}",
            customer=min(row.customer for row in before),
            kind="purchase" if change > 0 else "refund",
            occurred=occurred,
            known=max(occurred, built or occurred),
            order=before[0].order,
            amount=change,
            currency=before[0].currency,
        )

    def feed_merge(self, file: str, old: str, new: str, at: datetime, text: tuple) -> Outcome:
        """One merge, newer than all before: refused where it leads back to where it began."""
        outcome, latest = Outcome(rows_in=1), self._latest()
        reason, after = None, new
        while after in latest and after != old:
            after = latest[after]
        if {old, new} & self.erased:
            reason = "erased"
        elif old == new:
            reason = "self_merge"
        elif after == old:
            reason = "circular_merge"
        if reason:
            self._refuse(outcome, file, 1, reason, text)
        else:
            outcome.kept = outcome.new = 1
            self.merges.append((old, new, at))
        return outcome

    def feed_rate(self, file: str, currency: str, begins: datetime, rate: Decimal, text: tuple) -> Outcome:
        """One rate; the first of a currency and instant stands."""
        outcome, known = Outcome(rows_in=1), self.rates.get((currency, begins))
        if known is not None and known != rate:
            self._refuse(outcome, file, 1, "conflicting_rate", text)
        else:
            outcome.kept, outcome.new = 1, int(known is None)
            self.rates[currency, begins] = rate
        return outcome

    def erase(self, customer: str) -> None:
        """A person with every number that was ever merged with theirs."""
        ids = {customer}
        while more := {name for old, new, _ in self.merges if {old, new} & ids for name in (old, new)} - ids:
            ids |= more
        self.rows = {key: row for key, row in self.rows.items() if row.customer not in ids}
        self.merges = [merge for merge in self.merges if not set(merge[:2]) & ids]
        self.refused = {key for key in self.refused if not ids & set(map(str, key[-2]))}
        self.erased |= ids

    def _unrated(self, row: Row) -> str | None:
        if row.kind not in MONEY or row.currency == HOME:
            return None
        begins = [begin for currency, begin in self.rates if currency == row.currency]
        return None if begins and min(begins) <= row.occurred else "no_fx_rate"

    def _refuse(self, outcome: Outcome, file: str, number: int, reason: str, text: tuple) -> None:
        """The same text refused for the same reason stands in the quarantine once for each time in a file."""
        outcome.reasons[reason] += 1
        kind = file.split("-")[0]
        outcome.copies[reason, text] += 1
        key = (kind, reason, text, outcome.copies[reason, text])
        if reason == "erased":
            key = (kind, reason, (file,), number)
        if key not in self.refused:
            self.refused.add(key)
            self.refused_count += 1

    # who is who, and what money is worth

    def _latest(self) -> dict[str, str]:
        return {old: new for old, new, _ in sorted(self.merges, key=lambda merge: merge[2])}

    def person_of(self, customer: str) -> str:
        """The number that stands for the person today."""
        latest = self._latest()
        while customer in latest:
            customer = latest[customer]
        return customer

    def worth(self, row: Row, at: datetime | None = None) -> Decimal:
        """In the home currency, at the rate of its time, or of another."""
        assert row.amount is not None
        if row.currency == HOME:
            return row.amount
        at = at or row.occurred
        begun = [begin for currency, begin in self.rates if currency == row.currency and begin <= at]
        rate = self.rates[row.currency or "", max(begun)]
        return (row.amount * rate).quantize(CENT, ROUND_HALF_UP)

    def scoring_date(self) -> date:
        """The day after the newest event."""
        return max(row.occurred for row in self.rows.values()).date() + timedelta(days=1)
