"""The currency of a file that does not say it on every row, and in words what was taken and why."""

import re

import duckdb

from clv_ml.ingest.mapped_values import found_column, raw, told_values
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.minor_units import THREE_DECIMALS
from clv_ml.wording import count_of

SIGNS = {
    "€": ("EUR",),
    "£": ("GBP",),
    "₹": ("INR",),
    "₺": ("TRY",),
    "₩": ("KRW",),
    "₽": ("RUB",),
    "руб": ("RUB",),
    "грн": ("UAH",),
    "лв": ("BGN",),
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
    "원": ("KRW",),
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
    "رس": ("SAR",),
    "دإ": ("AED",),
    "جم": ("EGP",),
    "دك": ("KWD",),
    "رق": ("QAR",),
}
"""Signs beside amounts, without points, and the currencies that they may mean, the likeliest first."""
MOST_SIGNS = 20
"""More signs than a file has."""
CODES = frozenset(
    {code for codes in SIGNS.values() for code in codes}
    | THREE_DECIMALS
    | {
        "AED",
        "BGN",
        "CHF",
        "EGP",
        "GHS",
        "IDR",
        "KES",
        "MAD",
        "MYR",
        "PEN",
        "QAR",
        "SAR",
        "TWD",
        "UYU",
        "ZAR",
    }
)
"""Currencies that the name of a column may end in."""


def only_currency(connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...]) -> str:
    source = mapping.columns.get("currency")
    if source is None:
        return ""
    rows = connection.execute(
        f"select distinct upper({raw(source, columns)}) as code from feed where code is not null limit 2"
    ).fetchall()
    return rows[0][0] if len(rows) == 1 else ""


def currency_of(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    columns: tuple[str, ...],
    reporting_currency: str,
    notes: list[str],
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """
    The currency of rows that do not say theirs: by the name of their column, by the sign beside the amounts,
    or the shop's. And the currency of each sign, where amounts have several and none is said for all.
    """
    source = mapping.columns.get("currency")
    column, named = _column_of_currency(mapping, columns)
    is_told = source and (source.value or any(found_column(name, columns) for name in source.columns))
    if named:
        if source and is_told:
            notes += _conflict(connection, raw(source, columns), column, named)
            return "", ()
        notes.append(f"currency: {named}, by the name of {column!r} (--currency chooses)")
        return named, ()
    if source and source.value:
        return "", ()
    said: list[str] = []
    codes = _codes_of_signs(connection, mapping, columns, reporting_currency, said)
    signs = tuple(codes.items()) if len(codes) > 1 else ()
    if is_told:
        return "", signs
    notes += said
    if len(set(codes.values())) == 1:
        return next(iter(codes.values())), signs
    if not codes:
        notes.append(f"currency: none is given, so amounts are in {reporting_currency} (--currency chooses)")
    return reporting_currency, signs


def _codes_of_signs(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    columns: tuple[str, ...],
    reporting_currency: str,
    notes: list[str],
) -> dict[str, str]:
    """The currency of each sign beside the amounts, the shop's for one that nobody knows; said in words."""
    pieces = mapping.columns["quantity"].columns if "quantity" in mapping.columns else ()
    amounts = told_values(mapping, columns, ("amount",), pieces)
    signs = connection.execute(
        f"select sign_beside(value) as sign from ({amounts}) as told where sign <> '' "
        f"group by sign order by count(*) desc, sign limit {MOST_SIGNS}"
    ).fetchall()
    codes: dict[str, str] = {}
    for (sign,) in signs:
        meant = _meant(sign, reporting_currency)
        codes[sign], others = meant or (reporting_currency, ())
        other = f", such as {others[0]}, for another currency of that sign" if others else ""
        notes.append(
            f"currency: {codes[sign]}, by {sign!r} beside the amounts (--currency chooses{other})"
            if meant
            else f"currency: nobody knows {sign!r} beside amounts, so those are in {codes[sign]} "
            "(--currency chooses)"
        )
    return codes


def _meant(sign: str, reporting_currency: str) -> tuple[str, tuple[str, ...]] | None:
    """The currency of a sign, the shop's own where it has that sign, and the others that have it too."""
    if re.fullmatch("[A-Z]{3}", sign) or sign.upper() in CODES:
        return sign.upper(), ()
    meant = next((codes for name, codes in SIGNS.items() if name.lower() == sign.lower()), ())
    if not meant:
        return None
    code = reporting_currency if reporting_currency in meant else meant[0]
    return code, tuple(each for each in meant if each != code)


def named_currency(column: str) -> str:
    """The currency that a column's name ends in or has in brackets: ``Amount (USD)``, ``betrag_eur``."""
    inside = re.findall(r"[(\[]([^)\]]+)[)\]]", column)
    last = re.split(r"[\s_/()\[\]-]+", column.strip("()[] "))[-1:]
    for word in (part.strip() for part in (*inside, *last)):
        if word.upper() in CODES and (word.isupper() or word.islower()):
            return word.upper()
        if word.lower() in ("euro", "euros"):
            return "EUR"
        if len(SIGNS.get(word, ())) == 1:
            return SIGNS[word][0]
    return ""


def _column_of_currency(mapping: Mapping, columns: tuple[str, ...]) -> tuple[str, str]:
    """The column of amounts whose name says a currency, and which; empty where none or several are said."""
    source = mapping.columns.get("amount")
    found = [found_column(name, columns) or "" for name in (source.columns if source else ())]
    named = {currency: column for column in found if (currency := named_currency(column))}
    if len(named) != 1:
        return "", ""
    ((currency, column),) = named.items()
    return column, currency


def _conflict(connection: duckdb.DuckDBPyConnection, told: str, column: str, named: str) -> list[str]:
    """What to say where a column of amounts is named after another currency than that of its rows."""
    rows, other = connection.execute(
        f"select count(*), min(upper({told})) from feed where upper({told}) <> $named", {"named": named}
    ).fetchall()[0]
    if not rows:
        return []
    return [
        f"currency: {column!r} names {named}, and {count_of(rows, 'row says', 'rows say')} otherwise, such "
        f"as {other!r}; that was taken (--currency {named} for the name of the column)"
    ]
