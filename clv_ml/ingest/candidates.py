"""Which columns of an unknown file may hold a field: by names, the surest first, and by values."""

import re
from collections.abc import Iterator
from itertools import chain

import duckdb

from clv_ml.ingest.dates import FORMATS, UNREAD
from clv_ml.ingest.mapping import synonyms
from clv_ml.ingest.month_names import with_months, words_of_months
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.quoting import quoted_name, quoted_text

SHARE = 0.8
"""Of a column's values that must read as a time or a number for it to be one."""
STATES = 20
"""More values than a status or a kind has."""
LOOKED_AT = 5000
"""Rows whose values are looked at."""
CENTS = ("cents", "minorunit", "inminor", "amountminor", "centavos", "centimes", "kuruş", "grosze")
"""Words in the name of an amount that is not in whole units."""
FEW, ONE_SHARE = 4, 0.9
"""A column of more rows holds one value where so large a share of them does."""
SHORTEST = 4
"""Letters that a name must have to be looked for inside longer ones; other scripts need fewer."""

Connection = duckdb.DuckDBPyConnection


def candidates(connection: Connection, field: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Columns for the field whose values are of its kind, the surest first."""
    seen = set()
    for column in chain(named(field, columns), _told(connection, field, columns)):
        if column not in seen and _fits(connection, field, column):
            yield column
        seen.add(column)


def alternatives(
    connection: Connection, field: str, columns: tuple[str, ...], used: dict[str, str]
) -> list[str]:
    """Other columns that might be meant as well."""
    return [name for name in candidates(connection, field, columns) if name not in used.values()]


def named(field: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Columns of a known name; then those whose name holds one, and no word that tells against it."""
    keys = {column_key(column): column for column in reversed(columns)}
    known = synonyms().get(field, ())
    yield from (keys[key] for key in known if key in keys)
    against = synonyms().get(f"no_{field}", ())
    for key in known:
        if len(key) < SHORTEST and key.isascii():
            continue
        for column in columns:
            core = column_key(re.sub(r"\(.*?\)", "", column)) or column_key(column)
            if key in core and not any(word in core for word in against):
                yield column


def _told(connection: Connection, field: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Where no name tells: the only column of times, or addresses."""
    if field not in ("occurred_at", "customer_id"):
        return
    kind = "mail" if field == "customer_id" else "moment"
    against = synonyms().get(f"no_{field}", ())
    found = [
        column
        for column in columns
        if not any(word in column_key(column) for word in against) and _fits(connection, kind, column)
    ]
    if len(found) == 1:
        yield found[0]


def _fits(connection: Connection, field: str, column: str) -> bool:
    """Whether most values are of the field's kind, and there are any."""
    if field in ("status", "kind"):
        count = connection.execute(f"select count(distinct {quoted_name(column)}) from feed").fetchall()[0][0]
        return 0 < count <= STATES
    if field == "occurred_at" and share_of(connection, column, _test("day count")) >= SHARE:
        return True
    return _share_of_kind(connection, field, column) >= SHARE


def _share_of_kind(connection: Connection, field: str, column: str) -> float:
    """The share of the column's values that are of the field's kind."""
    test = _test("occurred_at" if field == "moment" else field)
    if field not in ("occurred_at", "moment"):
        return share_of(connection, column, test)
    values = f"select feed_row, plain_digits({quoted_name(column)}) as value from feed"
    months = words_of_months(connection, values, "", UNREAD, [])
    return share_of(connection, column, test, with_months("plain_digits({0})", months))


def _test(field: str) -> str:
    """SQL that is true of a value of the field's kind; ``{0}`` is the column."""
    formats = ", ".join(map(quoted_text, FORMATS))
    number = " or ".join(
        f"try_cast(shop_number({{0}}, number_body({{0}}), '{mark}') as double) is not null"
        for mark in (".", ",")
    )
    tests = {
        "occurred_at": "utc_instant(epoch_time(shop_time({0}, tidy_time({0}), "
        f"[{formats}]))) is not null",
        "day count": "is_serial_time({0})",
        "clock": r"regexp_full_match(trim({0}), '\d?\d:\d\d(:\d\d)?([.,]\d+)?( ?[AaPp][.]?[Mm][.]?)?')",
        "mail": "regexp_full_match(trim({0}), '[^@ ]+@[^@ ]+')",
    }
    numbers = dict.fromkeys(("amount", "unit_price", "quantity", "refund"), number)
    return (tests | numbers).get(field, "true")


def share_of(connection: Connection, column: str, test: str, text: str = "plain_digits({0})") -> float:
    """The share of the column's values of which, read as ``text``, the test is true; 0 where it is empty."""
    name = quoted_name(column)
    return connection.execute(
        f"select count(*) filter ({test.format('value')}) / greatest(1, count(*)) from (select "
        f"{text.format(name)} as value from feed where clean_text({name}) is not null limit {LOOKED_AT})"
    ).fetchall()[0][0]


def has_clock(connection: Connection, column: str) -> bool:
    """Whether the column's times have hours, or are numbers since 1970."""
    return share_of(connection, column, r"regexp_matches({0}, '\d:\d|T\d{{4}}|^\d{{10,}}$')") > 1 - SHARE


def in_cents(connection: Connection, amount: str, order_id: str) -> str:
    """Why the amounts are hundredths, as programs of payment services write; empty if nothing says so."""
    key = column_key(amount)
    if share_of(connection, amount, r"regexp_full_match(trim({0}), '-?\d+')") < 1:
        return ""
    if any(word in key for word in CENTS):
        return "by its name"
    of_stripe = order_id and share_of(connection, order_id, "regexp_matches({0}, '^(ch|pi|py|in|txn)_')") == 1
    return "since they are whole and the ids are those of Stripe's programs" if of_stripe else ""


def only_value(connection: Connection, column: str) -> str:
    """The value that a column of several rows holds on nearly all of them; empty where there is none."""
    rows, value, most = connection.execute(
        "select sum(rows), max_by(value, rows), max(rows) from (select clean_id("
        f"{quoted_name(column)}) as value, count(*) as rows from feed where value is not null group by value)"
    ).fetchall()[0]
    return value if rows and rows > FEW and most >= ONE_SHARE * rows else ""


def filled(connection: Connection, column: str) -> tuple[int, int]:
    """Rows of the file, and those in which the column names somebody."""
    known = f"known_id({quoted_name(column)}, ['0', 'guest'])"
    return connection.execute(f"select count(*), count({known}) from feed").fetchall()[0]
