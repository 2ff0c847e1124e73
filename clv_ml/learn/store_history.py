"""What training knows besides rows: whether history is long enough, and how past windows were forecast."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np

from clv_ml.errors import HistoryError
from clv_ml.measure.metrics import Array
from clv_ml.settings import Settings
from clv_ml.warehouse.queries import query_text
from clv_ml.wording import count_of

ASSUMED_MISSES, ASSUMED_MISS = 3, 0.15
"""Before any is known: three totals missed by 15 %, as those of most shops are."""
WORST_MISS = 1.0
"""As a logarithm: a total missed by more than a factor of e is a break in the history and no measure."""
FEWEST_WINDOWS, ONE_SIDED, NOTABLE_MISS = 3, 0.9, 0.2
"""How many known totals, what share of them missed on one side, and by how much on average, make a habit."""
WIDE_MISS = float(np.log(2.0))
"""As a logarithm: from a factor of two on, whoever plans by the total must know."""
YOUNG_DAYS = 365
"""A younger history has not seen every season."""
LARGE_CUSTOMER = 0.10
"""Of all revenue: whoever is more moves every figure alone."""
SHORTEST_ADVISED_DAYS = 7
"""A horizon of a day or two can be measured in a shop of two months, but nobody wants to know."""
LONGEST_MONTH_DAYS = 31
"""Training dates are the first of each month: a window may have to wait so long for its date."""


@dataclass(frozen=True)
class PastWindow:
    """
    The total of one date's horizon: ``pace`` is ln(actual / probabilistic total), None where it is not
    known yet; ``expected_pace`` is what the level expected.
    """

    as_of: np.datetime64
    known_at: np.datetime64
    expected_pace: float
    pace: float | None


@dataclass(frozen=True)
class StoreHistory:
    """
    What training knows besides the rows. ``definitions`` maps what defines features to its hash,
    ``drivers`` a column to the facts that it is made of, ``windows`` a date to its window.
    """

    as_of_date: date
    age_days: int
    feature_hash: str
    definitions: dict[str, str]
    drivers: dict[str, tuple[str, ...]]
    windows: Mapping[np.datetime64, PastWindow]

    def level_log_sd(self, known_by: np.datetime64) -> float:
        """How far the level was off (sd of its logarithm), where the answer was known by then."""
        squares = [
            min(WORST_MISS**2, (window.pace - window.expected_pace) ** 2)
            for window in self.windows.values()
            if window.pace is not None and window.known_at <= known_by
        ]
        return float(
            np.sqrt((sum(squares) + ASSUMED_MISSES * ASSUMED_MISS**2) / (len(squares) + ASSUMED_MISSES))
        )

    def missed_on_one_side(self) -> list[str]:
        """
        That this shop's known totals were nearly all missed on one side, and by much on average: in words, at
        most one sentence.
        """
        excess = self._excess()
        if excess.size < FEWEST_WINDOWS or abs(excess.mean()) < np.log1p(NOTABLE_MISS):
            return []
        alike = int((np.sign(excess) == np.sign(excess.mean())).sum())
        if alike < ONE_SIDED * excess.size:
            return []
        side, share = "over" if excess.mean() > 0 else "under", abs(float(np.expm1(excess.mean())))
        times = f"{alike} times of {excess.size}"
        return [f"totals of this shop were {side}-forecast {times}, by {share:.0%} on average"]

    def missed_widely(self) -> list[str]:
        """That a usual total of this shop was missed by a factor of two and more; at most one sentence."""
        excess = self._excess()
        usual = float(np.sqrt(np.mean(excess**2))) if excess.size else 0.0
        if excess.size < FEWEST_WINDOWS or usual < WIDE_MISS:
            return []
        return [
            f"{excess.size} past totals were off by a factor of {np.exp(usual):.1f}, as this one may be, to "
            "either side"
        ]

    def _excess(self) -> Array:
        """By how much each known total was forecast too high, as a logarithm."""
        return np.array(
            [one.expected_pace - one.pace for one in self.windows.values() if one.pace is not None]
        )

    def pace(self, day: np.datetime64) -> float:
        """How busy a date's window was, as a logarithm; until that is known, what was expected of it."""
        known = self.windows[day].pace
        return self.expected_pace(day) if known is None else known

    def expected_pace(self, day: np.datetime64) -> float:
        """How busy a date's window was expected to be on the date, as a logarithm."""
        return self.windows[day].expected_pace


def read_store_history(connection: duckdb.DuckDBPyConnection) -> StoreHistory:
    """As of the scoring date."""
    as_of, age, feature_hash = connection.sql(
        "select as_of_date, shop_age_days, feature_hash from as_of_dates where is_scoring_date"
    ).fetchall()[0]
    definitions = connection.sql(
        "select definition, definition_hash from feature_definitions order by 1"
    ).fetchall()
    drivers = connection.sql(
        "select column_name, driver from column_roles where driver is not null order by 1"
    ).fetchall()
    windows = connection.sql(query_text("past_windows")).fetchall()
    known = [
        PastWindow(np.datetime64(day, "D"), np.datetime64(known_at, "D"), *figures)
        for day, known_at, *figures in windows
    ]
    return StoreHistory(
        as_of,
        age,
        feature_hash,
        dict(definitions),
        {column: tuple(facts.split(", ")) for column, facts in drivers},
        {window.as_of: window for window in known},
    )


def require_history(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """
    Refuses a horizon for which no date is both matured and preceded by a matured window.

    Raises:
        HistoryError: With the days needed, the days there are, and the longest horizon that works.
    """
    dates = connection.sql(
        "select as_of_date, is_grid, split, shop_age_days from as_of_dates order by as_of_date"
    ).fetchall()
    if not dates:
        raise HistoryError("The warehouse holds no events. Load some first (clv ingest).")
    if any(split == "test" for _, _, split, _ in dates):
        return
    # first grid date, a window, the next grid date, and a window again
    needed = settings.vars.first_training_day + 2 * (LONGEST_MONTH_DAYS + settings.vars.label_days)
    maturity = settings.vars.label_maturity_days
    longest = longest_horizon([day for day, is_grid, _, _ in dates if is_grid], dates[-1][0], maturity)
    advice = (
        f"The longest horizon that works is {longest} days: set horizon_days to it."
        if longest >= SHORTEST_ADVISED_DAYS
        else "No horizon of a week or more works yet; clv_estimate carries on with the best formula."
    )
    raise HistoryError(
        f"A horizon of {settings.vars.horizon_days} days needs up to {needed} days of history, "
        f"and there are {dates[-1][3]}. {advice}"
    )


def longest_horizon(grid: list[date], as_of: date, maturity: int) -> int:
    """The longest horizon (days) for which a training window ends before a test window that has ended."""
    spans = [
        min((test - first).days, (as_of - test).days)
        for number, first in enumerate(grid)
        for test in grid[number + 1 :]
    ]
    return max(spans, default=0) - maturity


def reasons_for_caution(age_days: int, revenue: Array, few_customers: int) -> list[str]:
    """
    What makes a shop hard to learn from: its age, its largest customer's share of ``revenue`` (shape
    (n,), a number a customer), and too few customers.
    """
    reasons = []
    spent = np.maximum(revenue, 0.0)
    if age_days < YOUNG_DAYS:
        reasons.append(f"{count_of(age_days, 'day')} of history, less than a year")
    if spent.sum() > 0 and spent.max() > LARGE_CUSTOMER * spent.sum():
        reasons.append(f"one customer is {spent.max() / spent.sum():.0%} of the revenue to learn from")
    if revenue.size < few_customers:
        reasons.append(f"{revenue.size} buyers to learn from, fewer than {few_customers}")
    return reasons
