"""The record of what was loaded: each file that brought something new, under a name of its own."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from clv_ml.errors import InputError
from clv_ml.ingest.presets import Preset
from clv_ml.wording import count_of

MOST_NAMED = 20
"""Feeds that an error lists."""


@dataclass(frozen=True)
class FedFile:
    """A row of ``feeds``. Times are naive UTC; ``undone_at`` is None where it stands."""

    feed_id: str
    feed_number: int
    table: str
    fed_at: datetime
    rows: int
    undone_at: datetime | None


def name_of_feed(connection: duckdb.DuckDBPyConnection, schema: str, file: str) -> str:
    """The file's name; a number follows it where feeds of that name were there before."""
    taken = {feed.feed_id for feed in fed_files(connection, schema)}
    number, name = 1, file
    while name in taken:
        number += 1
        name = f"{file}#{number}"
    return name


def keep_feed(
    connection: duckdb.DuckDBPyConnection, schema: str, feed_id: str, preset: Preset, at: datetime, rows: int
) -> None:
    connection.execute(
        f"insert into {schema}.feeds by name select $feed as feed_id, "
        f"(select coalesce(max(feed_number), 0) + 1 from {schema}.feeds) as feed_number, "
        "$table as table_name, $restated as is_restated, $at as fed_at, $rows as row_count",
        {"feed": feed_id, "table": preset.table, "restated": preset.is_restated, "at": at, "rows": rows},
    )


def fed_files(connection: duckdb.DuckDBPyConnection, schema: str) -> list[FedFile]:
    """All feeds, the oldest first."""
    found = connection.execute(
        f"select feed_id, feed_number, table_name, fed_at, row_count, undone_at from {schema}.feeds "
        "order by feed_number"
    )
    return [FedFile(*row) for row in found.fetchall()]


def standing_feed(connection: duckdb.DuckDBPyConnection, schema: str, feed_id: str) -> FedFile:
    """
    The feed of this name; of a file that was fed again after it was taken back, the feed that stands.

    Raises:
        InputError: If there is none, or it was taken back, with those that there are.
    """
    feeds = fed_files(connection, schema)
    found = next((feed for feed in feeds if feed.feed_id == feed_id), None)
    again = [feed for feed in feeds if feed.feed_id.startswith(f"{feed_id}#") and feed.undone_at is None]
    if found and found.undone_at is None:
        return found
    if found and len(again) == 1:
        return again[0]
    fault = (
        f"Feed {feed_id!r} was taken back already, on {found.undone_at:%Y-%m-%d %H:%M} UTC."
        if found
        else f"There is no feed {feed_id!r}."
    )
    raise InputError(f"{fault} {_listed([feed for feed in feeds if feed.undone_at is None])}")


def _listed(feeds: list[FedFile]) -> str:
    if not feeds:
        return "No feed stands: none was loaded by this version, or all were taken back."
    newest = feeds[: -MOST_NAMED - 1 : -1]
    names = "; ".join(
        f"{feed.feed_id} ({count_of(feed.rows, 'row')} of {feed.table}, {feed.fed_at:%Y-%m-%d %H:%M})"
        for feed in newest
    )
    older = f"; and {len(feeds) - len(newest):,} older ones" if len(feeds) > len(newest) else ""
    return f"Feeds that can be taken back, the newest first: {names}{older}."
