"""
How a file writes numbers, told by the values of its mapped columns, and in words what was taken and why.

What a mapping or an option says is taken as said. Where the values allow two readings, the note says how to
choose.
"""

import re
from dataclasses import dataclass, field

import duckdb

from clv_ml.ingest.dates import time_formats, zone_note
from clv_ml.ingest.mapped_values import NUMBERS, Style, found_column, raw, told_values
from clv_ml.ingest.mapping import Mapping

THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""Currencies of which a unit has a thousand parts (ISO 4217)."""
SIGNS = {
    "€": ("EUR",),
    "£": ("GBP",),
    "₹": ("INR",),
    "₺": ("TRY",),
    "₩": ("KRW",),
    "₽": ("RUB",),
    "₴": ("UAH",),
    "₪": ("ILS",),
    "₫": ("VND",),
    "₦": ("NGN",),
    "₱": ("PHP",),
    "฿": ("THB",),
    "zł": ("PLN",),
    "Kč": ("CZK",),
    "Ft": ("HUF",),
    "lei": ("RON",),
    "TL": ("TRY",),
    "Rs": ("INR", "PKR", "LKR"),
    "R$": ("BRL",),
    "¥": ("JPY", "CNY"),
    "￥": ("CNY", "JPY"),
    "元": ("CNY",),
    "円": ("JPY",),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "CLP", "COP", "ARS"),
    "US$": ("USD",),
    "CA$": ("CAD",),
    "C$": ("CAD",),
    "A$": ("AUD",),
    "NZ$": ("NZD",),
    "MX$": ("MXN",),
    "HK$": ("HKD",),
    "Fr": ("CHF",),
}
"""Signs beside amounts, and the currencies that they may mean, the likeliest first."""


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
    currency = _currency(connection, mapping, columns, reporting_currency, notes)
    style = Style(
        _decimal(
            connection, mapping, columns, currency or _only_currency(connection, mapping, columns), notes
        ),
        time_formats(connection, mapping, columns, currency or reporting_currency, notes),
        currency,
    )
    if zone := zone_note(connection, mapping, columns):
        notes.append(zone)
    return Taken(style, notes)


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


def _only_currency(connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...]) -> str:
    source = mapping.columns.get("currency")
    if source is None:
        return ""
    rows = connection.execute(
        f"select distinct upper({raw(source, columns)}) as code from feed where code is not null limit 2"
    ).fetchall()
    return rows[0][0] if len(rows) == 1 else ""


def _currency(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    columns: tuple[str, ...],
    reporting_currency: str,
    notes: list[str],
) -> str:
    """The currency of rows that do not say theirs: by the sign beside the amounts, or the shop's."""
    source = mapping.columns.get("currency")
    if source and (source.value or any(found_column(name, columns) for name in source.columns)):
        return ""
    amounts = told_values(mapping, columns, ("amount",))
    rows = connection.execute(
        r"select distinct trim(regexp_replace(value, '[\s\d.,''’()+\x{a0}\x{202f}\x{2212}-]', '', 'g'), '.') "
        f"as sign from ({amounts}) as told where value is not null and sign <> '' limit 3"
    ).fetchall()
    if len(rows) == 1 and (meant := _meant(rows[0][0], reporting_currency)):
        code, others = meant
        other = f", such as {others[0]}, for another currency of that sign" if others else ""
        notes.append(f"currency: {code}, by {rows[0][0]!r} beside the amounts (--currency chooses{other})")
        return code
    notes.append(f"currency: none is given, so amounts are in {reporting_currency} (--currency chooses)")
    return reporting_currency


def _meant(sign: str, reporting_currency: str) -> tuple[str, tuple[str, ...]] | None:
    """The currency of a sign, the shop's own where it has that sign, and the others that have it too."""
    if re.fullmatch("[A-Z]{3}", sign):
        return sign, ()
    meant = next((codes for name, codes in SIGNS.items() if name.lower() == sign.lower()), ())
    if not meant:
        return None
    code = reporting_currency if reporting_currency in meant else meant[0]
    return code, tuple(each for each in meant if each != code)
