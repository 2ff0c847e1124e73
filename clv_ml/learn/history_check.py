"""Whether there is enough history for the horizon: a window to learn from, and one after it to test on."""

from datetime import date

import duckdb

from clv_ml.errors import HistoryError
from clv_ml.settings import Settings

SHORTEST_ADVISED_DAYS = 7
"""A horizon of a day or two can be measured in a shop of two months, but nobody wants to know."""
LONGEST_MONTH_DAYS = 31
"""Training dates are the first of each month: a window may have to wait so long for its date."""


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
        else "No horizon of a week or more works yet; clv_estimate carries on with the simple formula."
    )
    raise HistoryError(
        f"A horizon of {settings.vars.horizon_days} days needs up to {needed} days of history, "
        f"and there are {dates[-1][3]}. {advice}"
    )


def longest_horizon(grid: list[date], as_of: date, maturity: int) -> int:
    """
    The longest horizon for which a training window ends before a test window that has ended too, in days.
    """
    spans = [
        min((test - first).days, (as_of - test).days)
        for number, first in enumerate(grid)
        for test in grid[number + 1 :]
    ]
    return max(spans, default=0) - maturity
