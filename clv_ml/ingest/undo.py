"""
Takes back what one file brought. Events and attributes go on being seen as of the dates that features were
built for, and are unknown from the next one on; rates and merges hold for all dates, and so does their end.
"""

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from clv_ml.errors import InputError
from clv_ml.ingest.built_dates import as_utc, known_from, newest_built_date
from clv_ml.ingest.feed_records import FedFile, standing_feed
from clv_ml.ingest.feeds import sql_text
from clv_ml.ingest.scratch import drop_scratch, name_inputs, schema_sql
from clv_ml.ingest.watermarks import forget_readings
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect, only_value, transaction
from clv_ml.warehouse.dbt_runner import create_tables
from clv_ml.wording import count_of

SEEN_BEFORE = {"events": "greatest(occurred_at, recorded_at)", "attributes": "known_at"}
"""Tables whose rows past dates go on to see, with when a row became known."""


@dataclass(frozen=True)
class Undone:
    """
    A feed that was taken back: its rows, and those refused of it. ``seen_until`` is the newest date that
    goes on to see them; None where no date has, or where they end for all dates.
    """

    feed_id: str
    table: str
    rows: int
    rows_refused: int
    seen_until: date | None
    warnings: tuple[str, ...] = ()


def undo_feed(settings: Settings, feed_id: str) -> Undone:
    """
    Takes a feed back in the warehouse of these settings.

    Raises:
        InputError: If there is no such feed, it was taken back before, or a later one builds on it.
    """
    create_tables(settings)
    with connect(settings, read_only=False) as connection:
        return undo(
            connection,
            feed_id,
            reporting_currency=settings.vars.reporting_currency,
            raw_schema=settings.vars.raw_schema,
        )


def undo(
    connection: duckdb.DuckDBPyConnection,
    feed_id: str,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    now: datetime | None = None,
) -> Undone:
    """The same on an open connection, outside a transaction; ``now`` is naive UTC or bears its zone."""
    schema, clock = schema_sql(raw_schema), as_utc(now)
    with transaction(connection):
        name_inputs(connection, raw_schema)
        feed = standing_feed(connection, schema, feed_id)
        feed_id = feed.feed_id
        if feed.table == "events":
            _require_newest_version(connection, schema, feed)
        seen_until = known_from(newest_built_date(connection), clock) if feed.table in SEEN_BEFORE else None
        if seen_until:
            connection.execute(
                f"insert into {schema}.undone_{feed.table} by name select *, $until as undone_at "
                f"from {schema}.{feed.table} where feed_id = $feed and {SEEN_BEFORE[feed.table]} < $until",
                {"until": seen_until, "feed": feed_id},
            )
        rows, refused = _remove(connection, schema, feed)
        connection.execute(f"update {schema}.feeds set undone_at = ? where feed_id = ?", [clock, feed_id])
        forget_readings(connection, schema, feed_id)
        warnings = _money_without_rate(connection, feed, reporting_currency)
        drop_scratch(connection)
    return Undone(feed_id, feed.table, rows, refused, seen_until, warnings)


def _require_newest_version(connection: duckdb.DuckDBPyConnection, schema: str, feed: FedFile) -> None:
    """A restated order is kept as the difference from the version before, which must not go first."""
    later = connection.execute(
        f"select later.feed_id from {schema}.feeds as later where later.is_restated "
        "and later.undone_at is null and later.feed_number > $number and exists "
        f"(select 1 from {schema}.events as newer inner join {schema}.events as older using (order_id) "
        "where newer.feed_id = later.feed_id and older.feed_id = $feed and newer.amount is not null "
        "and older.amount is not null) order by later.feed_number desc",
        {"number": feed.feed_number, "feed": feed.feed_id},
    ).fetchall()
    if later:
        names = ", ".join(name for (name,) in later)
        raise InputError(
            f"Orders of feed {feed.feed_id!r} were restated by later ones. Nothing was changed. Take those "
            f"back first, in this order: {names}; then feed what is right in them again."
        )


def _remove(connection: duckdb.DuckDBPyConnection, schema: str, feed: FedFile) -> tuple[int, int]:
    """Rows removed of the feed's table and of the quarantine. What the feed had admitted is refused again."""
    rows, refused, _ = (
        only_value(connection, f"delete from {schema}.{table} where feed_id = ?", [feed.feed_id])
        for table in (feed.table, "quarantine", "admitted")
    )
    connection.execute(
        f"delete from {schema}.refused_money where quarantine_id not in "
        f"(select quarantine_id from {schema}.quarantine)"
    )
    return rows, refused


def _money_without_rate(
    connection: duckdb.DuckDBPyConnection, feed: FedFile, reporting_currency: str
) -> tuple[str, ...]:
    if feed.table != "fx_rates":
        return ()
    waiting = connection.execute(sql_text("unrated_money"), {"reporting": reporting_currency}).fetchall()
    return tuple(
        _without_rate(currency, count, quote, reporting_currency) for currency, count, quote in waiting
    )


def _without_rate(currency: str, count: int, quote: str | None, reporting_currency: str) -> str:
    """What becomes of money that lost its rate; ``quote``: what its rates are in where they lead nowhere."""
    lost = f"{count_of(count, 'event')} in {currency} {'has' if count == 1 else 'have'} no rate now"
    if quote:
        return (
            f"{lost}, and what is known of {currency} is in {quote}: the next run stops. Load rates of "
            f"{currency} or {quote} with quote_currency {reporting_currency} before it."
        )
    return f"{lost} and {'is' if count == 1 else 'are'} left out of every sum. Load the right rates."
