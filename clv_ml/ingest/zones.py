"""The zones of times that a column of the file names, such as ``Eastern Time (US & Canada)``."""

import re

import duckdb

from clv_ml.ingest.mapped_values import found_column, raw
from clv_ml.ingest.mapping import Mapping

US = {
    "eastern": "America/New_York",
    "central": "America/Chicago",
    "mountain": "America/Denver",
    "arizona": "America/Phoenix",
    "pacific": "America/Los_Angeles",
    "alaska": "America/Anchorage",
    "hawaii": "Pacific/Honolulu",
    "atlantic": "America/Halifax",
    "newfoundland": "America/St_Johns",
}
"""Zones that go by another name than their city."""


def zones_of(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...], notes: list[str]
) -> tuple[tuple[str, str], ...]:
    """
    The IANA name of each text in the mapped column; none where the mapping has one zone for all, or no
    column.
    """
    source = mapping.columns.get("timezone")
    found = [name for name in (source.columns if source else ()) if found_column(name, columns)]
    if not source or not found or mapping.timezone:
        return ()
    column = found[0]
    told = [
        text
        for (text,) in connection.execute(
            f"select distinct {raw(source, columns)} as zone from feed where zone is not null order by 1"
        ).fetchall()
    ]
    known = {text: zone for text in told if (zone := zone_named(connection, text))}
    if known:
        notes.append(f"times: on the clock that {column!r} names: {', '.join(dict.fromkeys(known.values()))}")
    for text in told:
        if text not in known:
            notes.append(
                f"times: nobody knows the zone {text!r} in {column!r}, so its rows are on the feed's clock "
                "(--timezone chooses one for all)"
            )
    return tuple(known.items())


def zone_named(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """The zone of the IANA list that is meant: by its name, by its city, or as people call it in America."""
    plain = re.sub(r"\(.*?\)", "", text).strip()
    key = re.sub(r"( standard| daylight)? time$", "", plain.lower())
    if key in US:
        return US[key]
    found = connection.execute(
        "select name from pg_timezone_names() where lower(name) = $name "
        "or lower(split_part(name, '/', -1)) = $city order by lower(name) <> $name, name limit 1",
        {"name": plain.lower(), "city": plain.lower().replace(" ", "_")},
    ).fetchall()
    return found[0][0] if found else ""
