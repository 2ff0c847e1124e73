"""
Malformed feeds, one a line, and what becomes of each: a clear error, or the quarantine.

`judge` feeds one of them into a warehouse that holds yesterday's rows and says what went wrong, if anything.
"""

import csv
import gzip
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from ingestion_helpers import EVENT, everything, feed

from clv_ml.errors import InputError

Setup = Callable[[Path], None]
"""Makes the file (or what stands in its place) at a path."""

YESTERDAY = (
    "insert into raw.events values ('y1', 'yves', 'purchase', timestamp '2025-01-01', "
    "timestamp '2025-01-01', null, 'o', null, null, null, 5, 'GBP', null)",
    "insert into raw.id_history values ('yv', 'yves', timestamp '2025-01-01', null)",
    "insert into raw.fx_rates (currency, valid_from, rate_to_reporting) "
    "values ('CHF', timestamp '2025-01-01', 0.9)",
    "insert into raw.quarantine values ('q1', timestamp '2025-01-01', 'events:y.csv', 2, 'duplicate', "
    "'{}', null)",
)
TABLES = ("events", "id_history", "fx_rates", "attributes", "acquisition_costs", "quarantine")


@dataclass(frozen=True)
class BadFeed:
    """
    A file and what must become of it.

    Either ``refused`` (a pattern of the error's message) or ``reasons`` (rows by reason) is given; with
    ``reasons``, ``kept`` rows of the file are good.
    """

    name: str
    content: bytes | Setup
    refused: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)
    kept: int = 1
    preset: str = "events"
    file: str = "feed.csv"


def set_back(connection: duckdb.DuckDBPyConnection) -> None:
    """The warehouse as it was yesterday."""
    for table in TABLES:
        connection.execute(f"delete from raw.{table}")
    for statement in YESTERDAY:
        connection.execute(statement)


def judge(connection: duckdb.DuckDBPyConnection, bad: BadFeed) -> str:
    """Feeds it; what is wrong with the outcome, or nothing."""
    set_back(connection)
    before = everything(connection)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / bad.file
        if callable(bad.content):
            bad.content(path)
        else:
            path.write_bytes(bad.content)
        try:
            with closed_to_us(path.parent) if bad.content is _closed else nullcontext():
                summary = feed(connection, path, bad.preset)
        except InputError as error:
            return _judge_error(connection, before, bad, path, str(error))
    if bad.refused:
        return f"was taken: {summary}"
    return _judge_rows(connection, before, bad, summary)


@contextmanager
def closed_to_us(folder: Path) -> Iterator[None]:
    """As somebody without rights, where the tests run as root; the folder itself stays open to them."""
    if os.geteuid():
        yield
        return
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _judge_error(
    connection: duckdb.DuckDBPyConnection, before: list, bad: BadFeed, path: Path, message: str
) -> str:
    if not bad.refused:
        return f"was refused: {message}"
    if not re.search(bad.refused, message):
        return f"does not say {bad.refused!r}: {message}"
    if str(path) not in message:
        return f"does not name the file: {message}"
    if not message.rstrip().endswith(".") or len(re.findall(r"[.:)?] [A-Z(]", message)) < 1:
        return f"names no remedy: {message}"
    if everything(connection) != before:
        return "was refused and yet changed a table"
    if connection.execute("select count(*) from duckdb_tables() where temporary").fetchall() != [(0,)]:
        return "left temporary tables behind"
    return ""


def _judge_rows(connection: duckdb.DuckDBPyConnection, before: list, bad: BadFeed, summary: Any) -> str:
    if dict(summary.reasons) != dict(bad.reasons) or summary.rows_kept != bad.kept:
        return f"kept {summary.rows_kept} and quarantined {dict(summary.reasons)}"
    if summary.rows_in != summary.rows_kept + summary.rows_quarantined:
        return f"lost rows: {summary}"
    after = everything(connection)
    if any(new[: len(old)] != old for old, new in zip(before, after, strict=True)):
        return "changed rows of yesterday"
    added = [len(new) - len(old) for old, new in zip(before, after, strict=True)]
    if sum(added[:-1]) != summary.rows_new or added[-1] != summary.rows_newly_quarantined:
        return f"stored {added} rows, but says {summary}"
    told = connection.execute(
        "select count(*) from raw.quarantine where quarantine_id <> 'q1' "
        "and (line_number is null or raw_text = '' or source not like '%:' || ?)",
        [bad.file],
    ).fetchall()
    return "" if told == [(0,)] else f"{told} quarantined rows lack their file, line or text"


def csv_bytes(rows: list[list[str]], encoding: str = "utf-8") -> bytes:
    """Rows as a well-formed CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(encoding)


def table(good: Mapping[str, str], *changes: Mapping[str, str]) -> bytes:
    """A CSV with a good row and one for each change of it."""
    rows = [{**good}, *({**good, **change} for change in changes)]
    header = list(dict.fromkeys(name for row in rows for name in row))
    return csv_bytes([header, *([row.get(name, "") for name in header] for row in rows)])


# --- one bad row beside a good one --------------------------------------------------------------------------

BAD_EVENTS = [
    ("no_customer_id", {"customer_id": ""}),
    ("no_customer_id", {"customer_id": "  "}),
    ("no_customer_id", {"customer_id": "nan"}),
    ("no_customer_id", {"customer_id": "NULL"}),
    ("no_customer_id", {"customer_id": "\ufeff\u00a0"}),
    ("no_event_id", {"event_id": ""}),
    ("unknown_event_type", {"event_type": "login"}),
    ("unknown_event_type", {"event_type": ""}),
    ("unknown_event_type", {"event_type": "purchase; refund"}),
    ("invalid_occurred_at", {"occurred_at": ""}),
    ("invalid_occurred_at", {"occurred_at": "yesterday"}),
    ("invalid_occurred_at", {"occurred_at": "now"}),
    ("invalid_occurred_at", {"occurred_at": "40544.5"}),
    ("invalid_occurred_at", {"occurred_at": "1293840000"}),
    ("invalid_occurred_at", {"occurred_at": "01/02/2025"}),
    ("invalid_occurred_at", {"occurred_at": "1.2.2025"}),
    ("invalid_occurred_at", {"occurred_at": "202506"}),
    ("invalid_occurred_at", {"occurred_at": "20251301"}),
    ("invalid_occurred_at", {"occurred_at": "2025-02-30"}),
    ("invalid_occurred_at", {"occurred_at": "2025-13-01"}),
    ("invalid_occurred_at", {"occurred_at": "0000-00-00 00:00:00"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 25:00:00"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 12:60:00"}),
    ("invalid_occurred_at", {"occurred_at": "99999-01-01"}),
    ("invalid_occurred_at", {"occurred_at": "infinity"}),
    ("invalid_occurred_at", {"occurred_at": "epoch"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 (BC)"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 12:00:00 Europe/London"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 12:00:00+25:00"}),
    ("invalid_occurred_at", {"occurred_at": "2025-06-01 12:00:00 BST"}),
    ("before_1970", {"occurred_at": "1969-12-31 23:59:59"}),
    ("before_1970", {"occurred_at": "1900-01-01"}),
    ("before_1970", {"occurred_at": "1970-01-01"}),
    ("before_1970", {"occurred_at": "1970-01-01T05:00:00-07:00"}),
    ("before_1970", {"occurred_at": "0001-01-01"}),
    ("in_the_future", {"occurred_at": "2026-01-01 00:00:01"}),
    ("in_the_future", {"occurred_at": "9999-12-31"}),
    ("in_the_future", {"occurred_at": "2026-01-01 00:00:00-00:01"}),
    ("in_the_future", {"recorded_at": "2026-01-02"}),
    ("invalid_recorded_at", {"recorded_at": "soon"}),
    ("no_order_id", {"order_id": " "}),
    ("no_order_id", {"order_id": "None"}),
    ("invalid_quantity", {"quantity": "abc"}),
    ("invalid_quantity", {"quantity": "NaN"}),
    ("invalid_quantity", {"quantity": "1e30"}),
    ("invalid_quantity", {"quantity": "99999999999999"}),
    ("invalid_amount", {"amount": ""}),
    ("invalid_amount", {"amount": "NaN"}),
    ("invalid_amount", {"amount": "inf"}),
    ("invalid_amount", {"amount": "-Infinity"}),
    ("invalid_amount", {"amount": "ten"}),
    ("invalid_amount", {"amount": "true"}),
    ("invalid_amount", {"amount": "0x10"}),
    ("invalid_amount", {"amount": "1,000.00"}),
    ("invalid_amount", {"amount": "10,50"}),
    ("invalid_amount", {"amount": "1 000"}),
    ("invalid_amount", {"amount": "1_000"}),
    ("invalid_amount", {"amount": "(5.00)"}),
    ("invalid_amount", {"amount": "5-"}),
    ("invalid_amount", {"amount": "--5"}),
    ("invalid_amount", {"amount": "5%"}),
    ("invalid_amount", {"amount": "£5"}),
    ("invalid_amount", {"amount": "٥"}),
    ("invalid_amount", {"amount": "=5+5"}),
    ("invalid_amount", {"amount": "123456789012345678"}),
    ("invalid_amount", {"amount": "1000000000000"}),
    ("invalid_amount", {"amount": "999999999999.995"}),
    ("invalid_amount", {"amount": "9" * 400}),
    ("invalid_amount", {"amount": "1e400"}),
    ("invalid_amount", {"event_type": "add_to_cart", "amount": "abc"}),
    ("wrong_sign", {"amount": "-5"}),
    ("wrong_sign", {"event_type": "refund", "amount": "5"}),
    ("invalid_currency", {"currency": ""}),
    ("invalid_currency", {"currency": "POUND"}),
    ("invalid_currency", {"currency": "£"}),
    ("invalid_currency", {"currency": "ГБП"}),
    ("no_fx_rate", {"currency": "EUR"}),
    ("no_fx_rate", {"currency": "CHF", "occurred_at": "2024-12-31"}),
    ("nul_byte", {"customer_id": "an\0n"}),
    ("nul_byte", {"amount": "1\0"}),
    ("nul_byte", {"category": "\0"}),
    ("conflicting_event", {"event_id": "y1"}),
]
ORDER = {
    "order_id": "o1",
    "customer_id": "ann",
    "ordered_at": "2025-06-01",
    "amount": "10",
    "currency": "GBP",
}
BAD_ORDERS = [
    ("no_customer_id", {"customer_id": "n/a"}),
    ("no_order_id", {"order_id": ""}),
    ("no_order_id", {"order_id": "(not set)"}),
    ("invalid_occurred_at", {"ordered_at": "June"}),
    ("invalid_occurred_at", {"ordered_at": "2025/06/31"}),
    ("before_1970", {"ordered_at": "1899-12-30"}),
    ("in_the_future", {"ordered_at": "2027-01-01"}),
    ("invalid_amount", {"amount": "free"}),
    ("invalid_amount", {"amount": "1e17"}),
    ("invalid_amount", {"amount": "-1e17"}),
    ("invalid_currency", {"currency": "gb"}),
    ("no_fx_rate", {"currency": "usd"}),
    ("invalid_quantity", {"quantity": "one"}),
    ("invalid_recorded_at", {"recorded_at": "31-13-2025"}),
    ("nul_byte", {"order_id": "o\0"}),
]
LINE = {
    "Invoice": "489434",
    "StockCode": "85048",
    "Quantity": "2",
    "InvoiceDate": "2009-12-01 07:45:00",
    "Price": "6.95",
    "Customer ID": "13085.0",
}
BAD_LINES_OF_INVOICES = [
    ("no_customer_id", {"Customer ID": ""}),
    ("no_customer_id", {"Customer ID": "NaN"}),
    ("no_order_id", {"Invoice": ""}),
    ("invalid_occurred_at", {"InvoiceDate": "01/12/2009 07:45"}),
    ("invalid_occurred_at", {"InvoiceDate": "40148.32"}),
    ("invalid_quantity", {"Quantity": "two"}),
    ("invalid_quantity", {"Quantity": "1e16"}),
    ("invalid_amount", {"Price": ""}),
    ("invalid_amount", {"Price": "nan"}),
    ("invalid_amount", {"Price": "6,95"}),
    ("invalid_quantity", {"Price": "1e12", "Quantity": "1e10"}),
    ("wrong_sign", {"Price": "-11062.06"}),
    ("wrong_sign", {"Invoice": "C489435"}),
    ("nul_byte", {"StockCode": "85\x0048"}),
]
PURCHASE = {"customer_id": "1", "date": "1997-01-01", "number_of_cds": "1", "dollar_value": "11.77"}
BAD_PURCHASES = [
    ("no_customer_id", {"customer_id": ""}),
    ("invalid_occurred_at", {"date": "19970132"}),
    ("invalid_occurred_at", {"date": "1997-02-29"}),
    ("invalid_quantity", {"number_of_cds": "x"}),
    ("invalid_amount", {"dollar_value": "$11.77"}),
    ("invalid_amount", {"dollar_value": "Infinity"}),
    ("wrong_sign", {"dollar_value": "-1"}),
]
MERGE = {"old_customer_id": "a", "new_customer_id": "b", "merged_at": "2025-01-01"}
BAD_MERGES = [
    ("duplicate", {}),
    ("self_merge", {"old_customer_id": "b"}),
    ("self_merge", {"old_customer_id": "Zoe\u0308", "new_customer_id": "Zoë"}),
    ("no_customer_id", {"old_customer_id": ""}),
    ("no_customer_id", {"new_customer_id": "null"}),
    ("invalid_merged_at", {"merged_at": ""}),
    ("invalid_merged_at", {"merged_at": "45000"}),
    ("before_1970", {"merged_at": "1900-01-01"}),
    ("in_the_future", {"merged_at": "2030-01-01"}),
    ("nul_byte", {"new_customer_id": "b\0"}),
]
RATE = {"currency": "EUR", "valid_from": "2025-01-01", "rate_to_reporting": "0.85"}
BAD_RATES = [
    ("duplicate", {"rate_to_reporting": "0.850"}),
    ("conflicting_rate", {"rate_to_reporting": "0.86"}),
    ("conflicting_rate", {"currency": "CHF"}),
    ("invalid_currency", {"currency": "EURO"}),
    ("invalid_currency", {"currency": ""}),
    ("invalid_valid_from", {"valid_from": ""}),
    ("invalid_valid_from", {"valid_from": "Q1"}),
    ("invalid_rate", {"currency": "USD", "rate_to_reporting": "0"}),
    ("invalid_rate", {"currency": "USD", "rate_to_reporting": "-1"}),
    ("invalid_rate", {"currency": "USD", "rate_to_reporting": "1e-12"}),
    ("invalid_rate", {"currency": "USD", "rate_to_reporting": "1e11"}),
    ("invalid_rate", {"currency": "USD", "rate_to_reporting": "inf"}),
    ("invalid_rate", {"currency": "GBP", "rate_to_reporting": "1.1"}),
    ("invalid_rate", {"quote_currency": "eur", "rate_to_reporting": "1.1"}),
    ("invalid_currency", {"quote_currency": "EURO"}),
    ("nul_byte", {"rate_to_reporting": "1\0"}),
]
ATTRIBUTE = {"customer_id": "ann", "known_at": "2025-01-01", "city": "Ghent"}
BAD_ATTRIBUTES = [
    ("duplicate", {}),
    ("conflicting_attributes", {"city": "Bruges"}),
    ("no_customer_id", {"customer_id": "null"}),
    ("invalid_known_at", {"known_at": ""}),
    ("invalid_known_at", {"known_at": "1735689600"}),
    ("before_1970", {"known_at": "1900-01-01"}),
    ("in_the_future", {"known_at": "2030-01-01"}),
    ("nul_byte", {"city": "Gh\0nt"}),
]
COST = {"channel": "ads", "period_start": "2025-01-01", "period_end": "2025-01-31", "spend": "10.5"}
BAD_COSTS = [
    ("duplicate", {"spend": "10.50", "currency": "gbp"}),
    ("duplicate", {"period_end": "2025/1/31"}),
    ("conflicting_spend", {"spend": "11"}),
    ("no_channel", {"channel": " "}),
    ("invalid_period", {"period_start": ""}),
    ("invalid_period", {"period_start": "Q1"}),
    ("invalid_period", {"period_end": "2025-02-29"}),
    ("invalid_period", {"period_end": "2024-12-31"}),
    ("invalid_period", {"period_end": "9999-12-31"}),
    ("invalid_period", {"period_start": "0001-01-01"}),
    ("invalid_spend", {"period_end": "2025-02-28", "spend": "-1"}),
    ("invalid_spend", {"period_end": "2025-02-28", "spend": "1,000"}),
    ("invalid_spend", {"period_end": "2025-02-28", "spend": "inf"}),
    ("invalid_currency", {"currency": "pounds"}),
    ("nul_byte", {"channel": "a\0ds"}),
]
ROWS = (
    ("events", EVENT, BAD_EVENTS),
    ("simulator", EVENT, BAD_EVENTS[:3]),
    ("orders", ORDER, BAD_ORDERS),
    ("online_retail_ii", LINE, BAD_LINES_OF_INVOICES),
    ("cdnow", PURCHASE, BAD_PURCHASES),
    ("id_history", MERGE, BAD_MERGES),
    ("fx_rates", RATE, BAD_RATES),
    ("attributes", ATTRIBUTE, BAD_ATTRIBUTES),
    ("acquisition_costs", COST, BAD_COSTS),
)


def _row_cases() -> list[BadFeed]:
    found = []
    for preset, good, faults in ROWS:
        for reason, change in faults:
            new = {"event_id": "e2"} if preset in ("events", "simulator") else {}
            name = (
                f"{preset}: {reason}: {', '.join(f'{k}={v[:30]!r}' for k, v in change.items()) or 'a copy'}"
            )
            # CDNOW's are dollars, for which the shop in pounds has no rate
            others, kept = ({"no_fx_rate": 1}, 0) if preset == "cdnow" else ({}, 1)
            content = table(good, {**new, **change})
            found.append(BadFeed(name, content, reasons={reason: 1, **others}, kept=kept, preset=preset))
    return found


# --- lines that are no rows ---------------------------------------------------------------------------------

HEADER = b"event_id,customer_id,event_type,occurred_at,session_id\n"
GOOD_LINE = b"e1,ann,page_view,2025-06-01,s1\n"
FILE = HEADER + GOOD_LINE
# letters of UTF-8 in a line tell that its other bytes are damage and not another encoding
UTF_8_NAMES = "e2,Zoë José Ærø ".encode()
BAD_LINES = [
    ("too_few_fields", b"e2,ann,page_view\n", 1),
    ("too_few_fields", b"e2\n", 1),
    ("too_few_fields", b"# comment\n", 1),
    ("too_few_fields", b"e2;ann;page_view;2025-06-01;s1\n", 1),
    ("too_many_fields", b"e2,ann,page_view,2025-06-01,s1,x,y\n", 1),
    ("no_event_id", b",,,,\n", 1),
    ("unknown_event_type", HEADER, 1),
    ("bad_quotes", b'e2,"an"n,page_view,2025-06-01,s1\n', 1),
    ("bad_quotes", b'e2,"ann"",page_view,2025-06-01,s1\n', 1),
    ("bad_quotes", b'e2,"ann,page_view,2025-06-01,s1\ne3,bob,page_view,2025-06-01,s1\n', 2),
    ("not_utf8", b"e2,\xc3\xa9\xc3\xa9\xe9mile,page_view,2025-06-01,s\xff\n", 1),
    ("not_utf8", UTF_8_NAMES + "J\u00fcrgen,page_view,2025-06-01,s1\n".encode("latin-1"), 1),
    ("not_utf8", UTF_8_NAMES + "\u201cann\u201d,page_view,2025-06-01,s1\n".encode("cp1252"), 1),
    ("not_utf8", UTF_8_NAMES + "\u9867\u5ba2,page_view,2025-06-01,s1\n".encode("shift-jis"), 1),
    ("not_utf8", b"e2,\xed\xa0\x80,page_view,2025-06-01,s1\n", 1),
    ("not_utf8", UTF_8_NAMES + b"\xc0\xaf,page_view,2025-06-01,s1\n", 1),
    ("line_too_long", b"e2," + b"x" * 2_100_000 + b",page_view,2025-06-01,s1\n", 1),
]


def _line_cases() -> list[BadFeed]:
    found = []
    for number, (reason, line, count) in enumerate(BAD_LINES):
        for name, end in (("LF", b"\n"), ("CRLF", b"\r\n")):
            content = (FILE + line).replace(b"\n", end)
            found.append(
                BadFeed(f"line {number}: {reason}, {count} lines, {name}", content, reasons={reason: count})
            )
    return found


# --- files that are not what they claim to be ---------------------------------------------------------------

LONG_FILE = HEADER + b"".join(b"e%d,ann,page_view,2025-06-01,s1\n" % number for number in range(2000))
ZIPPED = gzip.compress(LONG_FILE, mtime=0)


def _flipped(content: bytes, position: int) -> bytes:
    damaged = bytearray(content)
    damaged[position] ^= 0x10
    return bytes(damaged)


def _zip_archive() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("events.csv", FILE)
    return archive.getvalue()


def _text_cases() -> list[BadFeed]:
    text = FILE.decode()
    unreadable = [
        ("empty", b"", "is empty"),
        ("a byte order mark alone", b"\xef\xbb\xbf", "first line"),
        ("one line end", b"\n", "first line"),
        ("spaces", b"   \n", "first line"),
        ("delimiters for a header", b",,,,\n" + GOOD_LINE, "first line|lacks"),
        ("no header", GOOD_LINE, "lacks event_id.*It has: e1"),
        ("UTF-16 cut in a letter", text.encode("utf-16")[:-1], "cannot be read"),
        ("UTF-32 without a mark", text.encode("utf-32-le"), "not UTF-8"),
        ("EBCDIC", text.encode("cp500"), "not UTF-8|lacks"),
        ("latin-1 in the header", b"event_id,prix_\xe9t\xe9\n", "lacks customer_id.*prix_été"),
        ("NUL in the header", b"event_id,customer\0id\n", "not UTF-8"),
        ("nothing but NUL", b"\0" * 100, "not UTF-8"),
        ("a column twice", b"event_id,customer_id,customer_id\n", "names a column twice: customer_id"),
        (
            "a column twice, other case",
            b"event_id,customer_id,Customer_ID\n",
            "names a column twice: Customer_ID",
        ),
        ("a column twice, spaces", b"event_id,customer_id, customer_id \n", "names a column twice"),
        ("the name that ingestion needs", b"event_id,customer_id,feed_row\n", "a name that ingestion needs"),
        (
            "a required column missing",
            HEADER.replace(b"occurred_at", b"at") + GOOD_LINE,
            "lacks occurred_at.*It has: event_id, customer_id",
        ),
        ("a misspelt column", HEADER.replace(b"customer_id", b"custmer_id") + GOOD_LINE, "lacks customer_id"),
        ("another delimiter than known", FILE.replace(b",", b"^"), "lacks event_id"),
        ("single quotes", b"'event_id','customer_id'\n'e1','ann'\n", "lacks event_type"),
        ("a quote in the header never closed", b'"event_id,customer_id\n' + GOOD_LINE, "lacks event_id"),
        (
            "a quote that swallows the file",
            FILE + b'e2,"ann,page_view,2025-06-01,s1\n' + GOOD_LINE * 70_000,
            "never closed, near line 3",
        ),
        ("a web page", b"<!DOCTYPE html>\n<html><body>Please log in</body></html>\n", "lacks event_id"),
        ("JSON", b'[{"event_id": 1, "customer_id": 2}]', "lacks event_id"),
        ("SQL", b"insert into events values (1, 2, 3);\n", "lacks event_id"),
        ("a workbook", _zip_archive(), "not UTF-8|lacks|cannot be read"),
        ("gzip without its suffix", ZIPPED, "not UTF-8|lacks|cannot be read"),
        ("Parquet without its suffix", _parquet(), "not UTF-8|lacks|cannot be read"),
    ]
    gzips = [
        ("plain text", FILE, "cannot be read"),
        ("cut at the start", ZIPPED[:5], "cannot be read"),
        ("cut in the middle", ZIPPED[: len(ZIPPED) // 2], "cannot be read"),
        ("cut before its checksum", ZIPPED[:-8], "cannot be read"),
        ("cut in its checksum", ZIPPED[:-2], "cannot be read"),
        ("a flipped bit in the magic", _flipped(ZIPPED, 1), "cannot be read"),
        ("a flipped bit in the method", _flipped(ZIPPED, 2), "cannot be read"),
        ("a flipped bit in the data", _flipped(ZIPPED, len(ZIPPED) // 2), "cannot be read"),
        ("a flipped bit in the checksum", _flipped(ZIPPED, len(ZIPPED) - 6), "cannot be read"),
        ("a flipped bit in the length", _flipped(ZIPPED, len(ZIPPED) - 2), "cannot be read"),
        ("garbage behind it", ZIPPED + b"garbage", "cannot be read"),
        ("nothing inside", gzip.compress(b""), "first line"),
        ("zipped twice", gzip.compress(ZIPPED), "not UTF-8|lacks|first line"),
        ("a zip archive", _zip_archive(), "cannot be read"),
        ("one byte", b"\x1f", "cannot be read"),
    ]
    return [
        *(BadFeed(f"text: {name}", content, refused=fault) for name, content, fault in unreadable),
        *(
            BadFeed(f"gzip: {name}", content, refused=fault, file="feed.csv.gz")
            for name, content, fault in gzips
        ),
    ]


def _parquet(changes: Mapping[str, pa.Array] | None = None, drop: str = "", **options: Any) -> bytes:
    """A Parquet file of one good event and as many others as ``changes`` has, less one."""
    rows = max((len(array) for array in (changes or {}).values()), default=1)
    columns = {name: pa.array([value] * rows) for name, value in EVENT.items()}
    columns["event_id"] = pa.array([f"e{number}" for number in range(1, rows + 1)])
    columns |= changes or {}
    columns.pop(drop, None)
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def _parquet_cases() -> list[BadFeed]:
    whole = _parquet()
    footer = len(whole) - 8
    unreadable = [
        ("CSV inside", FILE, "cannot be read"),
        ("only the magic", b"PAR1", "cannot be read"),
        ("magic at both ends", b"PAR1 no parquet PAR1", "cannot be read"),
        ("encrypted magic", b"PARE" + whole[4:-4] + b"PARE", "cannot be read"),
        *(
            (f"cut at {share} %", whole[: len(whole) * share // 100], "cannot be read")
            for share in (5, 25, 50, 75, 99)
        ),
        ("cut by a byte", whole[:-1], "cannot be read"),
        ("the start missing", whole[100:], "cannot be read"),
        ("a flipped bit in the magic", _flipped(whole, len(whole) - 1), "cannot be read"),
        ("a footer longer than the file", whole[:footer] + b"\xff\xff\xff\x7fPAR1", "cannot be read"),
        ("a footer of no length", whole[:footer] + b"\0\0\0\0PAR1", "cannot be read"),
        ("a footer of zeros", whole[: footer - 1500] + b"\0" * 1500 + whole[footer:], "cannot be read"),
        ("a required column missing", _parquet(drop="customer_id"), "lacks customer_id"),
        ("a column twice", _parquet({"Customer_ID": pa.array(["x"])}), "names a column twice"),
        (
            "the name that ingestion needs",
            _parquet({"feed_row": pa.array([1])}),
            "a name that ingestion needs",
        ),
        ("no column", _empty_parquet(), "cannot be read|lacks"),
    ]
    wrong_types = [
        ("boolean amounts", {"amount": pa.array([True])}, "invalid_amount", 0),
        ("NaN", {"amount": pa.array([1.0, float("nan")])}, "invalid_amount", 1),
        ("infinity", {"amount": pa.array([1.0, float("inf")])}, "invalid_amount", 1),
        ("minus infinity", {"amount": pa.array([1.0, float("-inf")])}, "invalid_amount", 1),
        ("a huge double", {"amount": pa.array([1.0, 1e300])}, "invalid_amount", 1),
        ("a huge decimal", {"amount": pa.array([Decimal(1), Decimal(10) ** 30])}, "invalid_amount", 1),
        ("a huge integer", {"amount": pa.array([1, 2**63 - 1])}, "invalid_amount", 1),
        ("no amount", {"amount": pa.array([1.0, None])}, "invalid_amount", 1),
        ("a list for an amount", {"amount": pa.array([[1.0]])}, "invalid_amount", 0),
        ("a struct for an amount", {"amount": pa.array([{"value": 1.0}])}, "invalid_amount", 0),
        ("seconds since 1970", {"occurred_at": pa.array([1_700_000_000])}, "invalid_occurred_at", 0),
        ("days since 1900", {"occurred_at": pa.array([45_000.5])}, "invalid_occurred_at", 0),
        ("no time", {"occurred_at": pa.array([None], pa.timestamp("us"))}, "invalid_occurred_at", 0),
        (
            "the latest nanosecond",
            {"occurred_at": pa.array([2**63 - 2], pa.timestamp("ns"))},
            "in_the_future",
            0,
        ),
        ("the year 1", {"occurred_at": pa.array([datetime(1, 1, 1)])}, "before_1970", 0),
        ("a clock's time", {"occurred_at": pa.array([3600], pa.time32("s"))}, "invalid_occurred_at", 0),
        ("no customers", {"customer_id": pa.array([None], pa.string())}, "no_customer_id", 0),
        ("NaN customers", {"customer_id": pa.array([float("nan")])}, "no_customer_id", 0),
        ("a column of nothing", {"customer_id": pa.nulls(1)}, "no_customer_id", 0),
        ("boolean currencies", {"currency": pa.array([True])}, "invalid_currency", 0),
    ]
    return [
        *(
            BadFeed(f"parquet: {name}", content, refused=fault, file="feed.parquet")
            for name, content, fault in unreadable
        ),
        *(
            BadFeed(f"parquet: {name}", _parquet(columns), "", {reason: 1}, kept, file="feed.parquet")
            for name, columns, reason, kept in wrong_types
        ),
    ]


def _empty_parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({}), file)
    return file.getvalue()


# --- what stands where a file should ------------------------------------------------------------------------


def _closed(path: Path) -> None:
    path.write_bytes(FILE)
    path.chmod(0)


def _broken_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _link_to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def _sidecar(text: str | bytes) -> Setup:
    def make(path: Path) -> None:
        path.write_bytes(FILE)
        path.with_name(f"{path.name}.sha256").write_bytes(text if isinstance(text, bytes) else text.encode())

    return make


def _sidecar_folder(path: Path) -> None:
    path.write_bytes(FILE)
    path.with_name(f"{path.name}.sha256").mkdir()


def _damaged_behind_a_sidecar(position: int) -> Setup:
    def make(path: Path) -> None:
        whole = _parquet()
        path.write_bytes(_flipped(whole, position))
        path.with_name(f"{path.name}.sha256").write_text(f"{sha256(whole).hexdigest()}  {path.name}\n")

    return make


def _nothing(path: Path) -> None:
    pass


def _place_cases() -> list[BadFeed]:
    places: list[tuple[str, Setup, str, str]] = [
        ("nothing", _nothing, "There is no file", "feed.csv"),
        ("nothing, and a glob pattern", _nothing, "There is no file", "*.csv"),
        ("a name with a NUL", _nothing, "There is no file|cannot be read", "fe\0ed.csv"),
        ("a name too long", _nothing, "There is no file|cannot be read", "x" * 300 + ".csv"),
        ("a folder", Path.mkdir, "is a folder", "feed.csv"),
        ("a link to a folder", _link_to_a_folder, "is a folder", "feed.csv"),
        ("a broken link", _broken_link, "There is no file", "feed.csv"),
        ("a link to itself", _link_to_itself, "leads back to itself", "feed.csv"),
        ("a pipe", os.mkfifo, "no plain file", "feed.csv"),
        ("a link to a device", _link_to_a_device, "no plain file", "feed.csv"),
        ("a file that may not be read", _closed, "permission denied", "feed.csv"),
        *(
            (f"the suffix {name!r}", lambda path: path.write_bytes(FILE) and None, "of no known kind", name)
            for name in (
                "feed.json",
                "feed.xml",
                "feed.doc",
                "feed",
                "feed.csv.zip",
                "feed.csv.bz2",
                "feed.gz",
                ".csv~",
            )
        ),
        (
            "text named as a workbook",
            lambda path: path.write_bytes(FILE) and None,
            "as a workbook",
            "feed.xlsx",
        ),
        ("a sidecar of another file", _sidecar(f"{'0' * 64}  feed.csv\n"), "sha256", "feed.csv"),
        ("a sidecar cut short", _sidecar(sha256(FILE).hexdigest()[:-1]), "sha256", "feed.csv"),
        ("an empty sidecar", _sidecar(""), "sha256", "feed.csv"),
        ("a sidecar that is binary", _sidecar(b"\xff\xfe\0"), "sha256", "feed.csv"),
        ("a sidecar of md5", _sidecar(f"{'0' * 32}  feed.csv\n"), "sha256", "feed.csv"),
        ("a sidecar that is a folder", _sidecar_folder, "sha256", "feed.csv"),
        *(
            (f"a flipped bit at {at}, sidecar", _damaged_behind_a_sidecar(at), "sha256", "feed.parquet")
            for at in (40, 200, 400, 800)
        ),
    ]
    return [BadFeed(f"place: {name}", setup, refused=fault, file=file) for name, setup, fault, file in places]


BAD_FEEDS = [*_row_cases(), *_line_cases(), *_text_cases(), *_parquet_cases(), *_place_cases()]


def damaged_files() -> list[tuple[str, bytes]]:
    """A whole file of each kind, by name, to be damaged."""
    many = table(EVENT, *({"event_id": f"e{number}", "amount": str(number)} for number in range(2, 60)))
    return [
        ("whole.parquet", _parquet()),
        ("whole.csv.gz", gzip.compress(many, mtime=0)),
        ("whole.csv", many),
    ]
