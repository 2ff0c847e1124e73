"""
What is known of the shop beside its rows: how busy each window was, how far its level missed, and what makes
it hard to learn from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """
    The shop's total of one date's horizon. ``pace`` is ln(actual / probabilistic total), ``expected_pace``
    what the level said of it on the date; ``pace`` is None where the total is not known yet.
    """

    as_of: np.datetime64
    known_at: np.datetime64
    expected_pace: float
    pace: float | None


@dataclass(frozen=True)
class Shop:
    """
    What the trainer knows of the shop besides its rows. ``drivers`` maps a feature to the idea that it is
    reported under.
    """

    as_of_date: date
    age_days: int
    feature_hash: str
    definitions: dict[str, str]
    drivers: dict[str, str]
    windows: Mapping[np.datetime64, Window]

    def level_log_sd(self, known_by: np.datetime64) -> float:
        """
        How far the level was off where the answer was known by then, by a factor of e at most; three misses
        of 15 % are assumed beforehand.
        """
        squares = [
            min(1.0, (window.pace - window.expected_pace) ** 2)
            for window in self.windows.values()
            if window.pace is not None and window.known_at <= known_by
        ]
        return float(np.sqrt((sum(squares) + 3 * 0.15**2) / (len(squares) + 3)))

    def pace(self, day: np.datetime64) -> float:
        """
        How busy a date's window was, as a logarithm; where nobody knows yet, how busy it was expected to be.
        """
        known = self.windows[day].pace
        return self.expected_pace(day) if known is None else known

    def expected_pace(self, day: np.datetime64) -> float:
        """How busy a date's window was expected to be on the date, as a logarithm."""
        return self.windows[day].expected_pace


def read_shop(connection: duckdb.DuckDBPyConnection) -> Shop:
    as_of, age, feature_hash = connection.sql(
        "select as_of_date, shop_age_days, feature_hash from as_of_dates where is_scoring_date"
    ).fetchall()[0]
    definitions = connection.sql(
        "select definition, definition_hash from feature_definitions order by 1"
    ).fetchall()
    drivers = connection.sql("select feature, driver from feature_drivers order by 1").fetchall()
    windows = connection.sql(
        "select levels.as_of_date, cast(dates.label_known_at as date), levels.log_correction, "
        "case when levels.actual_total > 0 and levels.probabilistic_total > 0 "
        "then ln(levels.actual_total / levels.probabilistic_total) end "
        "from shop_levels as levels inner join as_of_dates as dates on dates.as_of_date = levels.as_of_date "
        "order by levels.as_of_date"
    ).fetchall()
    known = [
        Window(np.datetime64(day, "D"), np.datetime64(known_at, "D"), *figures)
        for day, known_at, *figures in windows
    ]
    return Shop(
        as_of, age, feature_hash, dict(definitions), dict(drivers), {window.as_of: window for window in known}
    )


def shop_faults(age_days: int, revenue: Array, few_customers: int) -> list[str]:
    """
    What makes a shop hard to learn from, in words: its age, its largest customer's share of ``revenue`` (one
    number a customer, shape (n,)), and n below ``few_customers``.
    """
    reasons = []
    spent = np.maximum(revenue, 0.0)
    if age_days < 365:
        reasons.append(f"{age_days} days of history, less than a year")
    if spent.sum() > 0 and spent.max() > 0.10 * spent.sum():
        reasons.append(f"one customer is {spent.max() / spent.sum():.0%} of the revenue to learn from")
    if revenue.size < few_customers:
        reasons.append(f"{revenue.size} buyers to learn from, fewer than {few_customers}")
    return reasons
