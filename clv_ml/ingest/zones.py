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
LETTERS = {
    "gmt": "UTC",
    "utc": "UTC",
    "bst": "Europe/London",
    "wet": "Europe/Lisbon",
    "west": "Europe/Lisbon",
    "cet": "Europe/Berlin",
    "cest": "Europe/Berlin",
    "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin",
    "eet": "Europe/Athens",
    "eest": "Europe/Athens",
    "msk": "Europe/Moscow",
    "est": "America/New_York",
    "edt": "America/New_York",
    "cst": "America/Chicago",
    "cdt": "America/Chicago",
    "mst": "America/Phoenix",  # all year as Denver's winter
    "mdt": "America/Denver",
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
    "akst": "America/Anchorage",
    "akdt": "America/Anchorage",
    "hst": "Pacific/Honolulu",
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong",
    "aest": "Australia/Sydney",
    "aedt": "Australia/Sydney",
    "nzst": "Pacific/Auckland",
    "nzdt": "Pacific/Auckland",
}
"""
Zones by their letters, as exports of shops mean them: DuckDB takes BST for Dhaka's. Of IST, which is India's,
Israel's and Ireland's, nobody knows.
"""


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
    """
    The zone of the IANA list that is meant: by its name, by its city, by its letters, or as people call it in
    America.
    """
    plain = re.sub(r"\(.*?\)", "", text).strip()
    key = re.sub(r"( standard| daylight)? time$", "", plain.lower())
    if known := US.get(key) or LETTERS.get(key):
        return known
    found = connection.execute(
        # letters are in LETTERS; Etc/GMT+2, whose sign is turned around, is no city
        "select name from pg_timezone_names() where not regexp_full_match(name, '[A-Z]{3}') and ("
        "lower(name) = $name or lower(split_part(name, '/', -1)) = $city and not starts_with(name, 'Etc/')) "
        "order by lower(name) <> $name, name limit 1",
        {"name": plain.lower(), "city": plain.lower().replace(" ", "_")},
    ).fetchall()
    return found[0][0] if found else ""
