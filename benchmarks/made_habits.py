"""
Ways to buy, drawn as whole lives, whose expected purchases in a window are known in closed form. They buy by
a *clock* (plans, boxes, appeals, weekly groceries), at *random* (Poisson, until the customer leaves), or to
*replace* what has worn out.

Sources: Fader and Hardie (2007), "How to project customer retention", for renewal by the clock; Schmittlein,
Morrison and Colombo (1987) for random purchases until a hidden departure.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

Floats = NDArray[np.float64]
Orders = tuple[NDArray[np.int64], Floats, Floats]
"""Customer numbers, days since the shop opened, and amounts; one of each per order."""


class Habit(Protocol):
    """One way in which all n customers of a shop buy."""

    def orders(self, generator: np.random.Generator) -> Orders:
        """Every order of these lives, those after the shop's last day too."""
        ...

    def value(self, day: int, horizon: int) -> Floats:
        """
        What the ``horizon`` days from ``day`` on are expected to bring of who lived like this so far. Shape
        (n,).
        """
        ...


@dataclass(frozen=True)
class Clock:
    """
    Payments that fall due every ``period`` days from ``first`` on (infinite for who has no plan). At each due
    date after the first a customer stays with chance ``stay``, or leaves for good; who stays pays with chance
    ``pay``, up to ``late`` days after, the amount times the factor of ``rhythm`` whose turn it is, ``turn``
    being the first's. Arrays have shape (n,), ``stayed`` (n, due dates).
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
    A first order on ``first``, then ``rate`` orders a day until the customer leaves on ``left``, which has
    the chance ``leave`` a day; ``again`` is the chance that an order is followed by a second one on the day.
    Arrays have shape (n,).
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
    Purchases ``least`` days apart and a gamma-distributed wait of mean ``wait`` and this ``shape``;
    ``bought`` has shape (n, count).
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


def draw_clock(
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


def draw_random(
    generator: np.random.Generator,
    first: Floats,
    days: int,
    per_year: float,
    leave: float,
    again: float = 0.0,
    buyers: float = 1.0,
) -> Random:
    """
    Gamma-distributed rates of this mean (0 for all but the share ``buyers``), order values of some 40, and
    departures.
    """
    n = first.size
    rate = generator.gamma(0.8, per_year / 365 / 0.8, n) * (generator.random(n) < buyers)
    left = first + generator.exponential(1 / leave, n)
    return Random(first, left, rate, leave, generator.lognormal(3.6, 0.5, n), days, again=again)


def _noise(generator: np.random.Generator, sd: float, n: int) -> Floats:
    """Lognormal factors of mean 1."""
    return generator.lognormal(-(sd**2) / 2, sd, n)
