"""How far each database was read, so that the next time only newer rows are. Kept with the raw tables."""

import duckdb

from clv_ml.ingest.postgres_export import Source


def read_to(connection: duckdb.DuckDBPyConnection, schema: str, source: Source) -> str | None:
    """Where the last reading ended; None where none was, or the first was taken back."""
    return _newest(
        connection,
        f"select max_by(read_to, read_number) from {schema}.watermarks "
        "where source = ? and watermark_column = ?",
        [source.name, source.watermark],
    )


def newest_feed(connection: duckdb.DuckDBPyConnection, schema: str) -> str | None:
    """The feed that was loaded last."""
    return _newest(connection, f"select max_by(feed_id, feed_number) from {schema}.feeds", [])


def _newest(connection: duckdb.DuckDBPyConnection, query: str, values: list[str]) -> str | None:
    """One text; None where there is none, or where the first feed has yet to make the table."""
    try:
        return connection.execute(query, values).fetchall()[0][0]
    except duckdb.CatalogException:
        return None


def keep_watermark(
    connection: duckdb.DuckDBPyConnection, schema: str, source: Source, reached: str, feed_id: str | None
) -> None:
    """Notes how far a reading came; ``feed_id`` is the feed that it brought, None where nothing was new."""
    connection.execute(
        f"insert into {schema}.watermarks by name select $source as source, $mark as watermark_column, "
        f"(select coalesce(max(read_number), 0) + 1 from {schema}.watermarks) as read_number, "
        "$reached as read_to, $feed as feed_id, cast(now() as timestamp) as read_at",
        {"source": source.name, "mark": source.watermark, "reached": reached, "feed": feed_id},
    )


def forget_readings(connection: duckdb.DuckDBPyConnection, schema: str, feed_id: str) -> None:
    """
    After a feed was taken back: its source is read again from before it. What later readings brought comes
    again, and counts once.
    """
    connection.execute(
        f"delete from {schema}.watermarks as mark using {schema}.watermarks as undone "
        "where undone.feed_id = ? and mark.source = undone.source and mark.read_number >= undone.read_number",
        [feed_id],
    )
