"""How a file writes times, told by the values of its mapped columns, and in words what was taken and why."""

import re

import duckdb

from clv_ml.ingest.mapped_values import EPOCH, SERIAL, TIMES, told_values
from clv_ml.ingest.mapping import ORDER_OF_DAY, Mapping
from clv_ml.ingest.month_names import with_months, words_of_months
from clv_ml.warehouse.quoting import quoted_text

CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
DAY_FIRST = ("%d-%m-%y", "%d-%m-%Y")
MONTH_FIRST = ("%m-%d-%y", "%m-%d-%Y")
UNAMBIGUOUS = (
    "%Y-%m-%d",
    "%d-%b-%y",
    "%d-%b-%Y",
    "%d %b %y",
    "%d %b %Y",
    "%b %d %Y",
    "%d %B %Y",
    "%B %d %Y",
    "%a %b %d %Y",
    "%A %B %d %Y",
)
SAMPLE = 2000
FORMATS = tuple(
    f"{day} {clock}".strip() for day in (*DAY_FIRST, *MONTH_FIRST, *UNAMBIGUOUS) for clock in CLOCKS
)
UNREAD = f"""
utc_instant(value) is null
and try_strptime(tidy_time(value), [{", ".join(map(quoted_text, FORMATS))}]) is null
"""
"""SQL that is true of a text that is no time in English."""

_DATE_COUNTS = """
select
    count(*) filter (first > 12 and second <= 12), count(*) filter (second > 12 and first <= 12), count(*),
    any_value(value), bool_and(dotted),
    count(*) filter (make_key(year, second, first) < lag_day),
    count(*) filter (make_key(year, first, second) < lag_month)
from (
    select
        *, lag(make_key(year, second, first)) over (order by feed_row) as lag_day,
        lag(make_key(year, first, second)) over (order by feed_row) as lag_month
    from (
        select
            feed_row, value, day_or_month(value, 1) as first, day_or_month(value, 2) as second,
            day_or_month(value, 3) as year, regexp_matches(value, '^\\d+[.]') as dotted
        from ({values}) as told
    ) as parts
    where first is not null
) as ordered
"""


def time_formats(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    columns: tuple[str, ...],
    currency: str,
    months: tuple[tuple[str, str], ...],
    notes: list[str],
) -> tuple[str, ...]:
    """strptime's formats that the times fit, the most frequent first; none where all are ISO 8601 already."""
    values = f"select feed_row, {with_months('value', months)} as value from ({_told(mapping, columns)})"
    if "%" in mapping.dates:
        tidy = re.sub(r"^(%\w)[./](%\w)[./]", r"\1-\2-", mapping.dates)
        return (re.sub("[, ]+", " ", tidy),)
    others, epochs, serials = connection.execute(
        "select count(*), count(*) filter (regexp_full_match(value, '\\d{10}|\\d{13}|\\d{16}')), "
        "count(*) filter (is_serial_time(value)) "
        f"from ({values}) as told where value is not null and utc_instant(value) is null"
    ).fetchall()[0]
    if not others:
        return ()
    if epochs * 2 > others:
        notes.append(
            "times: numbers of ten and more digits are seconds, milliseconds or microseconds since 1970"
        )
        return EPOCH
    if serials * 2 > others:
        notes.append("times: numbers of five digits are days as spreadsheets count them, 1 being 1900-01-01")
        return SERIAL
    days = _day_order(connection, mapping, values, currency, notes)
    wanted = [f"{day} {clock}".strip() for day in (*days, *UNAMBIGUOUS) for clock in CLOCKS]
    counts = connection.execute(
        "select "
        + ", ".join(f"count(try_strptime(tidy, {quoted_text(wish)}))" for wish in wanted)
        + f" from (select tidy_time(value) as tidy from ({values}) as told where value is not null "
        f"and utc_instant(value) is null limit {SAMPLE}) as sample"
    ).fetchall()[0]
    seen = sorted(
        (wish for wish, count in zip(wanted, counts, strict=True) if count),
        key=lambda w: -counts[wanted.index(w)],
    )
    return tuple(dict.fromkeys([*seen, *(wish for wish in wanted if wish not in seen)]))


def months_of(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...], notes: list[str]
) -> tuple[tuple[str, str], ...]:
    """The words for months in the times of the file, where not all of them can be read without."""
    return words_of_months(connection, _told(mapping, columns), mapping.dates, UNREAD, notes)


def _told(mapping: Mapping, columns: tuple[str, ...]) -> str:
    return told_values(mapping, columns, TIMES)


def zone_note(connection: duckdb.DuckDBPyConnection, mapping: Mapping, columns: tuple[str, ...]) -> str:
    """Whose clock times are on that have none of their own; empty where there are none such."""
    zone, clocks = connection.execute(
        "select feed_zone(), count(*) filter (regexp_matches(value, '\\d:\\d\\d') and offset_of(value) = '') "
        f"from (select value from ({told_values(mapping, columns, TIMES)}) as told limit {SAMPLE}) as sample"
    ).fetchall()[0]
    return f"times: without an offset, they are on the clock of {zone} (--timezone chooses)" if clocks else ""


def _day_order(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, values: str, currency: str, notes: list[str]
) -> tuple[str, ...]:
    """
    Which number of 5/3/2024 is the day: the mapping, the numbers, their order in the file, or custom says.
    """
    if mapping.dates in ORDER_OF_DAY:
        return DAY_FIRST if mapping.dates == "day first" else MONTH_FIRST
    connection.execute("create or replace temp macro make_key(y, m, d) as y * 10000 + m * 100 + d")
    counts = connection.execute(_DATE_COUNTS.replace("{values}", values)).fetchall()[0]
    days, months, total, example, dotted, falls_day, falls_month = counts
    if not total:
        return (*DAY_FIRST, *MONTH_FIRST)
    if days or months:
        is_day = days > months
        if days and months:
            notes.append(
                f"dates: the {'day' if is_day else 'month'} stands first, as most say; the others are "
                "refused "
                "(--date-format chooses)"
            )
        else:
            notes.append(
                f"dates: the {'day' if is_day else 'month'} stands first, since only that fits all {total}"
            )
        return DAY_FIRST if is_day else MONTH_FIRST
    is_day, why = _custom(dotted, falls_day, falls_month, currency)
    notes.append(
        f"dates: {example!r} may be read two ways; the {'day' if is_day else 'month'} was taken first, {why} "
        f"(--date-format '{'month' if is_day else 'day'} first' for the other)"
    )
    return DAY_FIRST if is_day else MONTH_FIRST


def _custom(dotted: bool, falls_day: int, falls_month: int, currency: str) -> tuple[bool, str]:
    if falls_day != falls_month:
        return falls_day < falls_month, "which keeps the rows in the order of time"
    if dotted:
        return True, "as is the custom where dates have points"
    if currency == "USD":
        return False, "as is the custom where money is in USD"
    return True, f"as is the custom where money is in {currency}"
