"""
Shops made from a seed whose truth is known: what each customer is worth, given who they are and whether they are still there.

A shop is made of one or more ways to buy: by a *clock* (plans, boxes, appeals, weekly groceries), at *random* (Poisson, until
the customer leaves) and to *replace* what has worn out. Each draws whole lives, and knows in closed form what is expected of a
window. Unlike the demo's shop these have no dirt, no refunds and one currency: they ask whether the estimates suit the trade.

Sources: Fader and Hardie (2007), "How to project customer retention", for renewal by the clock; Schmittlein, Morrison and
Colombo (1987) for random purchases until a hidden departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import gamma

Floats = NDArray[np.float64]
Orders = tuple[NDArray[np.int64], Floats, Floats]
"""Customer numbers, days since the shop opened, and amounts; one of each per order."""
OPENING = datetime(2015, 1, 1)
CURRENCY = "USD"


class Habit(Protocol):
    """One way in which all n customers of a shop buy."""

    def orders(self, generator: np.random.Generator) -> Orders:
        """Every order of these lives, those after the shop's last day too."""
        ...

    def value(self, day: int, horizon: int) -> Floats:
        """What the ``horizon`` days from ``day`` on are expected to bring of who lived like this so far. Shape (n,)."""
        ...


@dataclass(frozen=True)
class Clock:
    """
    Payments that fall due every ``period`` days from ``first`` on (infinite for who has no plan). At each due date after the first
    a customer stays with chance ``stay``, or leaves for good; who stays pays with chance ``pay``, up to ``late`` days after, the
    amount times the factor of ``rhythm`` whose turn it is, ``turn`` being the first's. Arrays have shape (n,), ``stayed`` (n, due
    dates).
    """

    first: Floats
    period: float
    stay: Floats
    pay: Floats
    amount: Floats
    stayed: NDArray[np.bool_]
    turn: NDArray[np.int64]
    rhythm: tuple[float, ...] = (1.0,)
    late: float = 0.0

    def orders(self, generator: np.random.Generator) -> Orders:
        due, factor = self._due(self.stayed.shape[1])
        paid = self.stayed & (generator.random(due.shape) < self.pay[:, None])
        paid[:, 0] = True
        paid &= np.isfinite(due)
        days = due + self.late * generator.random(due.shape)
        return paid.nonzero()[0], days[paid], (self.amount[:, None] * factor)[paid]

    def value(self, day: int, horizon: int) -> Floats:
        due, factor = self._due(self.stayed.shape[1] + int(horizon / self.period) + 2)
        past = due < day
        last = np.maximum(past.sum(axis=1) - 1, 0)
        there = self.stayed[np.arange(last.size), last]
        stays = there[:, None] * self.stay[:, None] ** np.cumsum(~past, axis=1)
        expected = stays * factor * (self._paid_by(day + horizon - due) - self._paid_by(day - due))
        return self.amount * self.pay * expected.sum(axis=1)

    def _due(self, count: int) -> tuple[Floats, Floats]:
        """Days and factors of the first ``count`` due dates."""
        number = np.arange(count)
        due = self.first[:, None] + self.period * number
        return due, np.array(self.rhythm)[(self.turn[:, None] + number) % len(self.rhythm)]

    def _paid_by(self, days_after: Floats) -> Floats:
        """Share of the payments that come fewer days after they fell due."""
        return np.clip(days_after / self.late, 0.0, 1.0) if self.late else (days_after > 0).astype(float)


@dataclass(frozen=True)
class Random:
    """
    A first order on ``first``, then ``rate`` orders a day until the customer leaves on ``left``, which has the chance ``leave`` a
    day; ``again`` is the chance that an order is followed by a second one on the day. Arrays have shape (n,).
    """

    first: Floats
    left: Floats
    rate: Floats
    leave: float
    amount: Floats
    until: int
    noise: float = 0.5
    again: float = 0.0

    def orders(self, generator: np.random.Generator) -> Orders:
        active = np.minimum(self.left, self.until) - self.first
        who = np.repeat(np.arange(active.size), generator.poisson(self.rate * np.maximum(active, 0.0)))
        days = self.first[who] + active[who] * generator.random(who.size)
        who, days = np.append(np.arange(active.size), who), np.append(self.first, days)
        second = generator.random(who.size) < self.again
        who, days = np.append(who, who[second]), np.append(days, days[second] + 1e-3)
        return who, days, self.amount[who] * _noise(generator, self.noise, who.size)

    def value(self, day: int, horizon: int) -> Floats:
        days_there = -np.expm1(-self.leave * horizon) / self.leave
        return (self.left >= day) * self.rate * days_there * (1 + self.again) * self.amount


@dataclass(frozen=True)
class Replace:
    """
    Purchases ``least`` days apart and a gamma-distributed wait of mean ``wait`` and this ``shape``; ``bought`` has shape (n, count).
    """

    bought: Floats
    amount: Floats
    least: float
    wait: float
    shape: float
    noise: float = 0.3

    def orders(self, generator: np.random.Generator) -> Orders:
        who = np.repeat(np.arange(self.amount.size), self.bought.shape[1])
        return who, self.bought.ravel(), self.amount[who] * _noise(generator, self.noise, who.size)

    def value(self, day: int, horizon: int) -> Floats:
        """Of at most one purchase, so for horizons of up to ``least`` days."""
        last = np.max(np.where(self.bought < day, self.bought, -np.inf), axis=1, initial=-np.inf)
        by_now, by_then = (
            gamma.cdf(day + ahead - last - self.least, self.shape, scale=self.wait / self.shape)
            for ahead in (0, horizon)
        )
        return np.where(
            np.isfinite(last), self.amount * (by_then - by_now) / np.maximum(1 - by_now, 1e-12), 0.0
        )


@dataclass(frozen=True)
class MadeShop:
    """Lives drawn from a seed, lived over ``days`` days from ``OPENING`` on."""

    days: int
    habits: tuple[Habit, ...]
    seed: int

    def orders(self) -> pa.Table:
        """A row per order, as the preset ``orders`` reads it, in order of time."""
        generator = np.random.default_rng([self.seed, 1])
        parts = [habit.orders(generator) for habit in self.habits]
        who, days, amount = (np.concatenate(column) for column in zip(*parts, strict=True))
        kept = days < self.days
        order = np.lexsort((who[kept], days[kept]))
        who, days, amount = (column[kept][order] for column in (who, days, amount))
        moments = [OPENING + timedelta(seconds=round(86_400 * day)) for day in days]
        return pa.table(
            {
                "order_id": [f"o{number:07}" for number in range(who.size)],
                "customer_id": [_name(number) for number in who],
                "ordered_at": [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in moments],
                "amount": [f"{one:.2f}" for one in np.maximum(amount, 0.01)],
                "currency": [CURRENCY] * who.size,
            }
        )

    def true_values(self, as_of: date, horizon: int) -> dict[str, float]:
        """Each customer's expected spend in the days from ``as_of`` on, given their life so far; 0 for who has left."""
        day = (as_of - OPENING.date()).days
        value = np.sum([habit.value(day, horizon) for habit in self.habits], axis=0)
        return {_name(number): float(one) for number, one in enumerate(value)}


def write_orders(shop: MadeShop, path: Path) -> Path:
    """Writes the shop's orders as Parquet, for ``clv ingest --preset orders``."""
    pq.write_table(shop.orders(), path)
    return path


def monthly_plans(seed: int) -> MadeShop:
    """20 a month; 6 % leave for good each month."""
    generator, days, n = np.random.default_rng([seed, 0]), 1095, 1500
    clock = _clock(generator, _joined(generator, n, days), 30, days, np.full(n, 0.94), np.full(n, 20.0))
    return MadeShop(days, (clock,), seed)


def yearly_plans(seed: int) -> MadeShop:
    """100 a year; 80 % renew."""
    generator, days, n = np.random.default_rng([seed, 0]), 5 * 365, 3000
    clock = _clock(generator, _joined(generator, n, days), 365, days, np.full(n, 0.8), np.full(n, 100.0))
    return MadeShop(days, (clock,), seed)


def weekly_boxes(seed: int) -> MadeShop:
    """Boxes of three sizes; a tenth of the weeks is skipped, and 0.5 to 6 % leave each week."""
    generator, days, n = np.random.default_rng([seed, 0]), 730, 1000
    amount = generator.choice([15.0, 30.0, 45.0], n)
    stay = 1 - generator.uniform(0.005, 0.06, n)
    clock = _clock(generator, _joined(generator, n, days), 7, days, stay, amount, pay=np.full(n, 0.9))
    return MadeShop(days, (clock,), seed)


def mixed(seed: int) -> MadeShop:
    """One-off orders of everybody, and a monthly plan of 15 that two in five take up after a month."""
    generator, days, n = np.random.default_rng([seed, 0]), 1095, 1500
    first = _joined(generator, n, days)
    plan = np.where(generator.random(n) < 0.4, first + 30, np.inf)
    clock = _clock(generator, plan, 30, days, np.full(n, 0.95), np.full(n, 15.0))
    return MadeShop(days, (_random(generator, first, days, per_year=2.0, leave=1 / 500), clock), seed)


def donations(seed: int) -> MadeShop:
    """Four appeals a year; a donor answers one in five or so, gives three times as much at the year's end, and may lapse."""
    generator, days, n, quarter = np.random.default_rng([seed, 0]), 6 * 365, 2500, 91.25
    turn = generator.integers(0, 24, n)
    pay = np.clip(generator.beta(1.0, 4.0, n), 0.01, 1.0)
    amount = generator.choice([10.0, 25.0, 50.0, 100.0], n, p=[0.3, 0.4, 0.2, 0.1])
    stay = generator.choice([0.85, 0.98], n)
    clock = _clock(
        generator, 45 + quarter * turn, quarter, days, stay, amount, pay, (1.0, 1.0, 1.0, 3.0), 20.0, turn
    )
    return MadeShop(days, (clock,), seed)


def durable(seed: int) -> MadeShop:
    """Some 800 every five years: three for certain, then a wait of two more or less."""
    generator, days, n = np.random.default_rng([seed, 0]), 11 * 365, 1500
    least, wait, shape = 3 * 365.0, 2 * 365.0, 4.0
    first = generator.uniform(0, days, n)
    gaps = least + generator.gamma(shape, wait / shape, (n, 4))
    bought = first[:, None] + np.cumsum(np.column_stack([np.zeros(n), gaps]), axis=1)
    return MadeShop(days, (Replace(bought, generator.lognormal(6.6, 0.4, n), least, wait, shape),), seed)


def marketplace(seed: int) -> MadeShop:
    """97 % buy once."""
    generator, days, n = np.random.default_rng([seed, 0]), 730, 5000
    first = _joined(generator, n, days)
    return MadeShop(days, (_random(generator, first, days, per_year=4.0, leave=1 / 700, buyers=0.03),), seed)


def ten_months(seed: int) -> MadeShop:
    """Ten months, interest that fades within weeks, every fifth order followed by another of the day, and five huge buyers."""
    generator, days, n = np.random.default_rng([seed, 0]), 300, 2500
    first = days * generator.random(n) ** 1.5
    habit = _random(generator, first, days, per_year=9.0, leave=1 / 45, again=0.2)
    habit.amount[:5] *= 100
    return MadeShop(days, (habit,), seed)


def grocer(seed: int) -> MadeShop:
    """A trip a week, give or take three days, and every fourth fills the larder; half of the customers seldom come."""
    generator, days, n = np.random.default_rng([seed, 0]), 730, 900
    first = np.minimum(generator.exponential(90.0, n), days - 1)
    pay = np.where(generator.random(n) < 0.5, generator.beta(2.0, 8.0, n), generator.beta(8.0, 2.0, n))
    amount, stay = generator.lognormal(3.2, 0.6, n), 1 - generator.uniform(0.0, 0.015, n)
    rhythm = (3.0, 1.0, 1.0, 1.0)
    return MadeShop(days, (_clock(generator, first, 7, days, stay, amount, pay, rhythm, late=3.0),), seed)


MADE_SHOPS: dict[str, Callable[[int], MadeShop]] = {
    "monthly plans": monthly_plans,
    "yearly plans": yearly_plans,
    "weekly boxes": weekly_boxes,
    "mixed": mixed,
    "donations": donations,
    "durable": durable,
    "marketplace": marketplace,
    "ten months": ten_months,
    "grocer": grocer,
}


def _name(number: int) -> str:
    return f"c{number:05}"


def _joined(generator: np.random.Generator, n: int, days: int) -> Floats:
    """First days, spread evenly over the shop's time."""
    return generator.uniform(0, days, n)


def _noise(generator: np.random.Generator, sd: float, n: int) -> Floats:
    """Lognormal factors of mean 1."""
    return generator.lognormal(-(sd**2) / 2, sd, n)


def _clock(
    generator: np.random.Generator,
    first: Floats,
    period: float,
    days: int,
    stay: Floats,
    amount: Floats,
    pay: Floats | None = None,
    rhythm: tuple[float, ...] = (1.0,),
    late: float = 0.0,
    turn: NDArray[np.int64] | None = None,
) -> Clock:
    """Draws how long each stays, over all due dates of the shop's time."""
    stayed = generator.random((first.size, int(days / period) + 1)) < stay[:, None]
    stayed[:, 0] = True
    stayed = np.logical_and.accumulate(stayed, axis=1)
    pay = np.ones(first.size) if pay is None else pay
    turn = np.zeros(first.size, dtype=np.int64) if turn is None else turn
    return Clock(first, period, stay, pay, amount, stayed, turn, rhythm, late)


def _random(
    generator: np.random.Generator,
    first: Floats,
    days: int,
    per_year: float,
    leave: float,
    again: float = 0.0,
    buyers: float = 1.0,
) -> Random:
    """Gamma-distributed rates of this mean (0 for all but the share ``buyers``), order values of some 40, and departures."""
    n = first.size
    rate = generator.gamma(0.8, per_year / 365 / 0.8, n) * (generator.random(n) < buyers)
    left = first + generator.exponential(1 / leave, n)
    return Random(first, left, rate, leave, generator.lognormal(3.6, 0.5, n), days, again=again)
