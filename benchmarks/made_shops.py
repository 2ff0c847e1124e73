"""
Shops made from a seed whose truth is known: what each customer is worth, and whether they are still there.

Unlike the demo's shop these have no dirt, no refunds and one currency: they ask whether the estimates suit
the trade.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from made_habits import Floats, Habit, Replace, draw_clock, draw_random

OPENING = datetime(2015, 1, 1)
CURRENCY = "USD"


@dataclass(frozen=True)
class MadeShop:
    """
    Lives drawn from a seed, lived over ``days`` days from ``OPENING`` on; ``horizon_days`` suits the trade.
    """

    days: int
    horizon_days: int
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

    def true_values(self, as_of: date) -> dict[str, float]:
        """
        Each customer's expected spend in the horizon from ``as_of`` on, given their life so far; 0 for who
        has left.
        """
        day = (as_of - OPENING.date()).days
        value = np.sum([habit.value(day, self.horizon_days) for habit in self.habits], axis=0)
        return {_name(number): float(one) for number, one in enumerate(value)}


def write_orders(shop: MadeShop, path: Path) -> Path:
    """Writes the shop's orders as Parquet, for ``clv ingest --preset orders``."""
    pq.write_table(shop.orders(), path)
    return path


def monthly_plans(seed: int) -> MadeShop:
    """20 a month; 6 % leave for good each month."""
    generator, days, n = np.random.default_rng([seed, 0]), 1095, 1500
    clock = draw_clock(generator, _joined(generator, n, days), 30, days, np.full(n, 0.94), np.full(n, 20.0))
    return MadeShop(days, 182, (clock,), seed)


def yearly_plans(seed: int) -> MadeShop:
    """100 a year; 80 % renew."""
    generator, days, n = np.random.default_rng([seed, 0]), 5 * 365, 3000
    clock = draw_clock(generator, _joined(generator, n, days), 365, days, np.full(n, 0.8), np.full(n, 100.0))
    return MadeShop(days, 365, (clock,), seed)


def weekly_boxes(seed: int) -> MadeShop:
    """Boxes of three sizes; a tenth of the weeks is skipped, and 0.5 to 6 % leave each week."""
    generator, days, n = np.random.default_rng([seed, 0]), 730, 1000
    amount = generator.choice([15.0, 30.0, 45.0], n)
    stay = 1 - generator.uniform(0.005, 0.06, n)
    clock = draw_clock(generator, _joined(generator, n, days), 7, days, stay, amount, pay=np.full(n, 0.9))
    return MadeShop(days, 91, (clock,), seed)


def mixed(seed: int) -> MadeShop:
    """One-off orders of everybody, and a monthly plan of 15 that two in five take up after a month."""
    generator, days, n = np.random.default_rng([seed, 0]), 1095, 1500
    first = _joined(generator, n, days)
    plan = np.where(generator.random(n) < 0.4, first + 30, np.inf)
    clock = draw_clock(generator, plan, 30, days, np.full(n, 0.95), np.full(n, 15.0))
    return MadeShop(
        days, 182, (draw_random(generator, first, days, per_year=2.0, leave=1 / 500), clock), seed
    )


def donations(seed: int) -> MadeShop:
    """
    Four appeals a year; a donor answers one in five or so, gives three times as much at the year's end, and
    may lapse.
    """
    generator, days, n, quarter = np.random.default_rng([seed, 0]), 6 * 365, 2500, 91.25
    turn = generator.integers(0, 24, n)
    pay = np.clip(generator.beta(1.0, 4.0, n), 0.01, 1.0)
    amount = generator.choice([10.0, 25.0, 50.0, 100.0], n, p=[0.3, 0.4, 0.2, 0.1])
    stay = generator.choice([0.85, 0.98], n)
    clock = draw_clock(
        generator, 45 + quarter * turn, quarter, days, stay, amount, pay, (1.0, 1.0, 1.0, 3.0), 20.0, turn
    )
    return MadeShop(days, 365, (clock,), seed)


def durable(seed: int) -> MadeShop:
    """Some 800 every five years: three for certain, then a wait of two more or less."""
    generator, days, n = np.random.default_rng([seed, 0]), 11 * 365, 1500
    least, wait, shape = 3 * 365.0, 2 * 365.0, 4.0
    first = generator.uniform(0, days, n)
    gaps = least + generator.gamma(shape, wait / shape, (n, 4))
    bought = first[:, None] + np.cumsum(np.column_stack([np.zeros(n), gaps]), axis=1)
    return MadeShop(days, 365, (Replace(bought, generator.lognormal(6.6, 0.4, n), least, wait, shape),), seed)


def marketplace(seed: int) -> MadeShop:
    """97 % buy once."""
    generator, days, n = np.random.default_rng([seed, 0]), 730, 5000
    first = _joined(generator, n, days)
    return MadeShop(
        days, 182, (draw_random(generator, first, days, per_year=4.0, leave=1 / 700, buyers=0.03),), seed
    )


def ten_months(seed: int) -> MadeShop:
    """
    Ten months, interest that fades within weeks, every fifth order followed by another of the day, and five
    huge buyers.
    """
    generator, days, n = np.random.default_rng([seed, 0]), 300, 2500
    first = days * generator.random(n) ** 1.5
    habit = draw_random(generator, first, days, per_year=9.0, leave=1 / 45, again=0.2)
    habit.amount[:5] *= 100
    return MadeShop(days, 60, (habit,), seed)


def grocer(seed: int) -> MadeShop:
    """
    A trip a week, give or take three days, and every fourth fills the larder; half of the customers seldom
    come.
    """
    generator, days, n = np.random.default_rng([seed, 0]), 730, 900
    first = np.minimum(generator.exponential(90.0, n), days - 1)
    pay = np.where(generator.random(n) < 0.5, generator.beta(2.0, 8.0, n), generator.beta(8.0, 2.0, n))
    amount, stay = generator.lognormal(3.2, 0.6, n), 1 - generator.uniform(0.0, 0.015, n)
    rhythm = (3.0, 1.0, 1.0, 1.0)
    return MadeShop(
        days, 91, (draw_clock(generator, first, 7, days, stay, amount, pay, rhythm, late=3.0),), seed
    )


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
