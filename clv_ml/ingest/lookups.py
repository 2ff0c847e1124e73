"""
Files that belong together: what a main file lacks is looked up in those beside it, and stands in
``feed_rows`` too.
"""

from dataclasses import replace
from pathlib import Path

import duckdb

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice, recognised
from clv_ml.ingest.feeds import Feed, read_feed
from clv_ml.ingest.mapped_values import found_column
from clv_ml.ingest.mapping import Lookup, Mapping
from clv_ml.ingest.plain_text import Reading
from clv_ml.warehouse.quoting import quoted_name
from clv_ml.wording import names_of

Group = tuple[Path, tuple[Path, ...]]


def grouped(paths: tuple[Path, ...], choice: Choice) -> list[Group]:
    """Each file that is fed, with the files beside it that its mapping looks things up in."""
    if len(paths) < 2:
        return [(path, ()) for path in paths]
    columns = {path: columns_of(path, choice.reading) for path in paths}
    for path in paths:
        found = recognised(columns[path], choice.own_folder)
        lookups = found[1].lookups if found and isinstance(found[1], Mapping) else ()
        beside = tuple(
            other for other in paths for lookup in lookups if other != path and _is(lookup, columns[other])
        )
        if beside:
            rest = [other for other in paths if other not in (path, *beside)]
            return [(path, beside), *((other, ()) for other in rest)]
    return [(path, ()) for path in paths]


def columns_of(path: Path, reading: Reading) -> tuple[str, ...]:
    """The columns of a file."""
    with duckdb.connect() as connection:
        return read_feed(connection, path, reading).columns


def with_lookups(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, feed: Feed, path: Path, beside: tuple[Path, ...]
) -> Feed:
    """
    ``feed_rows`` with what the lookups take from the files beside it.

    Raises:
        InputError: If one of the files is not among them.
    """
    for name in ("feed_rows", "feed_rejects"):
        connection.execute(f"create or replace temp table main_{name} as from {name}")
    taken, notes = list(feed.columns), list(feed.notes)
    for lookup in mapping.lookups:
        other, columns = _file_of(connection, lookup, path, beside)
        added = _values(lookup, columns)
        key = quoted_name(_column(lookup.key, columns))
        values = ", ".join(f"{sql} as {quoted_name(name)}" for name, sql in added.items())
        connection.execute(
            f"create or replace temp table looked_up as select clean_id({key}) as looked_up_key, {values} "
            "from feed_rows group by all"
        )
        own = quoted_name(_column(lookup.key, tuple(taken)))
        alone = connection.execute(
            "select count(*) from looked_up where looked_up_key not in "
            f"(select clean_id({own}) from main_feed_rows where clean_id({own}) is not null)"
        ).fetchall()[0][0]
        if alone:
            notes.append(f"{alone:,} of {lookup.key} in {other.name} stand in no row of {path.name}")
        names = ", ".join(quoted_name(name) for name in added)
        connection.execute(
            f"create or replace temp table main_feed_rows as select main_feed_rows.*, {names} from "
            "main_feed_rows "
            f"left join looked_up on clean_id({own}) = looked_up_key"
        )
        taken += added
    for name in ("feed_rows", "feed_rejects"):
        connection.execute(f"create or replace temp table {name} as from main_{name}")
        connection.execute(f"drop table main_{name}")
    connection.execute("drop table if exists looked_up")
    return replace(feed, columns=tuple(taken), notes=tuple(notes))


def _file_of(
    connection: duckdb.DuckDBPyConnection, lookup: Lookup, path: Path, beside: tuple[Path, ...]
) -> tuple[Path, tuple[str, ...]]:
    for other in beside:
        columns = read_feed(connection, other).columns
        if _is(lookup, columns):
            return other, columns
    raise InputError(
        f"{path} belongs together with a file that has {', '.join(lookup.recognised_by)}. Name both in "
        "one command."
    )


def _values(lookup: Lookup, columns: tuple[str, ...]) -> dict[str, str]:
    """One value a key: the first in order of text, or the sum."""
    first = {name: f"min(clean_text({quoted_name(_column(name, columns))}))" for name in lookup.take}
    money = "cast(sum(try_cast(clean_text({0}) as decimal(18, 2))) as varchar)"
    return first | {name: money.format(quoted_name(_column(name, columns))) for name in lookup.sum}


def _is(lookup: Lookup, columns: tuple[str, ...]) -> bool:
    return all(found_column(name, columns) for name in lookup.recognised_by)


def _column(name: str, columns: tuple[str, ...]) -> str:
    column = found_column(name, columns)
    if column is None:
        raise InputError(
            f"No file has the column {name!r}, which the lookup names. It has: {names_of(columns)}."
        )
    return column
