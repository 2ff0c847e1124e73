"""Past dates to score on purpose: every so many days, where nothing was predicted yet."""

from datetime import date, timedelta

from clv_ml.errors import SettingsError
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


def missing_dates(settings: Settings, first: date, last: date, every_days: int) -> tuple[date, ...]:
    """
    The dates from ``first`` to ``last`` on which nobody was scored.

    Raises:
        SettingsError: If they lie before the first purchase, after the scoring date, in no order, or where
            predictions are not kept.
    """
    with connect(settings) as connection:
        today, opened = connection.execute("select as_of_date, opened_on from int_today").fetchall()[0]
        scored = {
            day for (day,) in connection.execute("select as_of_date from customer_predictions").fetchall()
        }
    kept = max(settings.vars.prediction_days_kept, settings.vars.label_days)
    oldest = max(opened + timedelta(days=1), today - timedelta(days=kept))
    if not oldest <= first <= last < today:
        raise SettingsError(
            f"--from {first} --to {last} must lie one after the other between {oldest} and {today}: before, "
            f"nobody had bought or predictions are not kept (prediction_days_kept); after, the future begins."
        )
    days = (first + timedelta(days=n) for n in range(0, (last - first).days + 1, every_days))
    return tuple(day for day in days if day not in scored)
