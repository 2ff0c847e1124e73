"""Which dates features were built for already: what arrives now was not known then."""

from datetime import UTC, date, datetime, timedelta

import duckdb


def newest_built_date(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The newest ``as_of_date`` that features were built for, or None."""
    exists = connection.execute(
        "select count(*) from information_schema.tables "
        "where table_catalog = current_database() and table_schema = current_schema() "
        "and table_name = 'customer_features'"
    ).fetchall()[0][0]
    if not exists:
        return None
    newest = connection.execute("select max(as_of_date) from customer_features")
    return newest.fetchall()[0][0]


def known_from(built: date | None, clock: datetime) -> date | None:
    """
    The built date that what arrives now is too late for. A date beyond tomorrow was asked for by hand and
    holds no knowledge of the days until then; what is learnt now is not put off to it.
    """
    return built and min(built, clock.date() + timedelta(days=1))


def as_utc(moment: datetime | None) -> datetime:
    """A clock as naive UTC, by default this instant. A naive moment is UTC already."""
    aware = moment or datetime.now(UTC)
    return aware.astimezone(UTC).replace(tzinfo=None) if aware.tzinfo else aware
