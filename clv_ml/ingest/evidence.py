"""
How a file writes numbers, told by the values of its mapped columns, and in words what was taken and why.

What a mapping or an option says is taken as said. Where the values allow two readings, the note says how to
choose.
"""

from dataclasses import dataclass, field, replace

import duckdb

from clv_ml.ingest.currencies import currency_of, only_currency
from clv_ml.ingest.dates import months_of, time_formats, zone_note
from clv_ml.ingest.grouped_lines import is_grouped
from clv_ml.ingest.mapped_values import NUMBERS, Style, told_values
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.minor_units import THREE_DECIMALS, WITHOUT_CENTS
from clv_ml.ingest.zones import zones_of

FEWEST = 2
"""Fewer amounts say nothing about all."""


@dataclass
class Taken:
    """What was taken for a file."""

    style: Style
    notes: list[str] = field(default_factory=list)


def style_of(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...], reporting_currency: str
) -> Taken:
    """The style of the file in ``feed``, by the mapping or by its values."""
    notes: list[str] = []
    currency, signs = currency_of(connection, mapping, columns, reporting_currency, notes)
    told = currency or only_currency(connection, mapping, columns)
    months = months_of(connection, mapping, columns, notes)
    style = Style(
        _decimal(connection, mapping, columns, told, notes),
        time_formats(connection, mapping, columns, currency or reporting_currency, months, notes),
        currency,
        months=months,
        is_grouped=is_grouped(connection, mapping, columns, notes),
    )
    if mapping.amounts == "units" and (note := _whole(connection, mapping, columns, told)):
        notes.append(note)
    style = replace(style, zones=zones_of(connection, mapping, columns, notes), signs=signs)
    if not style.zones and (zone := zone_note(connection, mapping, columns)):
        notes.append(zone)
    return Taken(style, notes)


def _whole(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...], currency: str
) -> str:
    """What to say where amounts may be cents: all are whole, none is small, and not all are round."""
    if currency in WITHOUT_CENTS:
        return ""
    rows, whole, example = connection.execute(
        r"select count(*), count(*) filter (regexp_full_match(value, '-?\d{3,}')), "
        "max(value) filter (not ends_with(value, '00')) "
        f"from ({told_values(mapping, columns, ('amount',))}) as told where value is not null"
    ).fetchall()[0]
    if rows < FEWEST or whole < rows or not example:
        return ""
    return (
        f"numbers: all are whole, such as {example!r}, and are read as units (--map amounts=cents for cents)"
    )


def _decimal(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    columns: tuple[str, ...],
    currency: str,
    notes: list[str],
) -> str:
    if mapping.decimal:
        return mapping.decimal
    rows = connection.execute(
        "select mark_told(digits) as mark, count(*), any_value(value), bool_or(contains(value, ',')) "
        "from (select "
        "value, unsigned(body) as digits from (select value, number_body(value) as body from "
        f"({told_values(mapping, columns, NUMBERS)}) as told where value is not null)) group by mark having "
        "mark is not null"
    ).fetchall()
    told = {mark: (count, example, comma) for mark, count, example, comma in rows}
    commas, points = told.get(",", (0,))[0], told.get(".", (0,))[0]
    if commas or points:
        mark = "," if commas > points else "."
        if commas and points:
            other = told["." if mark == "," else ","]
            notes.append(
                f"numbers: the decimal mark is {mark!r}, as most values say; {other[0]} say otherwise, "
                "such as "
                f"{other[1]!r}, and are read alone or refused (--decimal chooses)"
            )
        elif mark == ",":
            notes.append(
                f"numbers: a comma is the decimal mark, as {told[','][1]!r} shows (--decimal chooses)"
            )
        elif "either" in told and not told["either"][2]:
            notes.append(
                f"numbers: a point is the decimal mark, as {told['.'][1]!r} shows, so "
                f"{told['either'][1]!r} is a "
                "fraction (--decimal chooses)"
            )
        return mark
    if "either" not in told:
        return "."
    return _mark_of_three_digits(told["either"], currency, notes)


def _mark_of_three_digits(told: tuple[int, str, bool], currency: str, notes: list[str]) -> str:
    """
    All numbers with a mark have three digits behind it: thousands, unless the currency has a thousand parts.
    """
    _, example, has_comma = told
    mark = "," if has_comma else "."
    if currency in THREE_DECIMALS:
        notes.append(
            f"numbers: {example!r} is read as a fraction, since {currency} has three decimals "
            f"(--decimal {'.' if has_comma else ','} for thousands)"
        )
        return mark
    notes.append(
        f"numbers: {example!r} is read as thousands, since every number with a mark has three digits "
        "behind it "
        f"(--decimal {mark} for fractions)"
    )
    return "." if has_comma else ","
