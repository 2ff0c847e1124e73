"""Files with every kind of dirt become kept rows, quarantined rows or one clear error, and nothing else."""

import gzip
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_feeds import BAD_EVENTS
from hypothesis import HealthCheck, given, settings
from ingestion_helpers import EVENT, NOW, empty_warehouse, everything, feed, stored, write_csv, write_events

from clv_ml.errors import InputError, WarehouseError
from clv_ml.ingest import one_file
from clv_ml.ingest.built_dates import newest_built_date
from clv_ml.ingest.ingestion import ingest, ingest_folder


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("reason", "change"), [("no_customer_id", {"customer_id": ""}), ("invalid_amount", {"amount": '1"0'})]
)
def test_a_bad_row_is_quarantined_with_its_reason_and_text(warehouse, tmp_path, reason, change):
    """Exactly the bad row goes to the quarantine; its good neighbour is kept."""
    path = write_events(tmp_path / "events.csv", {}, change)

    summary = feed(warehouse, path)

    assert (summary.rows_in, summary.rows_kept, summary.rows_quarantined) == (2, 1, 1)
    assert summary.reasons == {reason: 1}
    source, line, stored_reason, text = stored(
        warehouse, "source, line_number, reason, raw_text", "quarantine"
    )[0]
    assert (source, line, stored_reason) == ("events:events.csv", 3, reason)
    fields = warehouse.execute("select json_extract_string(?, '$.event_type')", [text]).fetchall()
    assert fields == [({**EVENT, **change}["event_type"] or None,)]


GOOD_EVENTS = [
    ("occurred_at", datetime(2025, 6, 1, 12), {"occurred_at": "2025-06-01T12:00:00Z"}),
    ("occurred_at", datetime(2025, 6, 1, 12), {"occurred_at": "2025-06-01t12:00:00z"}),
    ("occurred_at", datetime(2025, 6, 1, 17), {"occurred_at": "2025-06-01 12:00:00-05:00"}),
    ("occurred_at", datetime(2025, 6, 1, 6, 30), {"occurred_at": "2025-06-01 12:00:00 +0530"}),
    ("occurred_at", datetime(2025, 5, 31, 23), {"occurred_at": "2025-06-01T01:00+02"}),
    ("occurred_at", datetime(2025, 6, 1, 12), {"occurred_at": "2025-06-01 12:00:00 UTC"}),
    ("occurred_at", datetime(2025, 6, 1), {"occurred_at": "2025-06-01"}),
    ("occurred_at", datetime(2025, 6, 1), {"occurred_at": "20250601"}),
    ("occurred_at", datetime(2025, 6, 1, 12, 30, 5), {"occurred_at": "20250601T123005"}),
    ("occurred_at", datetime(2025, 6, 1, 12, 30), {"occurred_at": "2025/6/1 12:30"}),
    ("occurred_at", datetime(2025, 6, 1, 12, 0, 0, 500000), {"occurred_at": "2025-06-01 12:00:00,5"}),
    ("occurred_at", datetime(2025, 6, 1, 12, 0, 0, 123456), {"occurred_at": "2025-06-01 12:00:00.1234569"}),
    ("occurred_at", datetime(1970, 1, 2), {"occurred_at": "1970-01-02"}),
    ("occurred_at", NOW, {"occurred_at": "2026-01-01 00:00:00"}),
    ("recorded_at", datetime(2025, 6, 1, 12), {}),
    ("recorded_at", datetime(2025, 7, 1), {"recorded_at": "2025-07-01"}),
    ("recorded_at", datetime(2025, 6, 1, 12), {"recorded_at": "2025-05-01"}),
    ("amount", Decimal("0.00"), {"amount": "0"}),
    ("amount", Decimal("12.35"), {"amount": "12.345"}),
    ("amount", Decimal("-12.35"), {"amount": "-12.345", "event_type": "refund"}),
    ("amount", Decimal("1000.00"), {"amount": "1e3"}),
    ("amount", Decimal("999999999999.99"), {"amount": "999999999999.99"}),
    ("quantity", Decimal("1.500"), {"quantity": "1.5"}),
    ("currency", "GBP", {"currency": " gbp "}),
    ("event_type", "purchase", {"event_type": " Purchase "}),
    ("customer_id", "ann", {"customer_id": "\u00a0 ann\t"}),
    ("customer_id", "Zoë", {"customer_id": unicodedata.normalize("NFD", "Zoë")}),
    ("customer_id", "ann", {"customer_id": "\u200ban\u2060n\u200d"}),
    ("customer_id", "山田 太郎", {"customer_id": "\u3000山田\u3000太郎\u3000"}),
    ("quantity", Decimal("999999999.999"), {"quantity": "999999999.999"}),
    ("customer_id", "顧客１", {"customer_id": "顧客１"}),
    ("customer_id", 'a "b", c\nd', {"customer_id": 'a "b", c\nd'}),
    ("customer_id", "'; drop table raw.events; --", {"customer_id": "'; drop table raw.events; --"}),
    ("amount", None, {"event_type": "page_view", "order_id": "", "amount": "", "currency": ""}),
    ("product_id", None, {"product_id": ""}),
]


@pytest.mark.parametrize("time_zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(("column", "value", "change"), GOOD_EVENTS, ids=lambda value: repr(value)[:60])
def test_a_good_row_is_stored_as_its_typed_value(warehouse, tmp_path, column, value, change, time_zone):
    """Text becomes the contract's types, in UTC whatever the session's time zone is."""
    warehouse.execute(f"set TimeZone = '{time_zone}'")
    path = write_events(
        tmp_path / "events.csv", {"product_id": "p", "quantity": "1", "recorded_at": ""} | change
    )

    summary = feed(warehouse, path)

    assert summary.reasons == {}
    assert stored(warehouse, column) == [(value,)]


HEADER = "event_id,customer_id,event_type,occurred_at,session_id\n"
GOOD_LINE = "e1,ann,page_view,2025-06-01,s1\n"


def test_lines_are_numbered_as_in_the_file_however_many_threads_read_it(warehouse, tmp_path):
    """Of 200,000 lines, those without a customer and those with too few fields name their own line."""
    path = tmp_path / "events.csv"
    lines = [f"e{number},ann,page_view,2025-06-01,s1" for number in range(2, 200_002)]
    for number in (7, 60_000, 199_999):
        lines[number - 2] = f"e{number}"
    for number in (6, 8, 60_001, 200_000):
        lines[number - 2] = f"e{number},,page_view,2025-06-01,s1"
    path.write_text(HEADER + "\n".join(lines))

    summary = feed(warehouse, path)

    assert summary.rows_in == 200_000
    assert stored(warehouse, "reason, line_number", "quarantine") == [
        *(("no_customer_id", number) for number in (6, 8, 60_001, 200_000)),
        *(("too_few_fields", number) for number in (7, 60_000, 199_999)),
    ]


def test_lines_behind_a_quote_that_runs_over_lines_keep_their_numbers(warehouse, tmp_path):
    """A quote opened in line 3 and closed in line 5 spoils three lines; lines 7 and 8 are still 7 and 8."""
    path = tmp_path / "events.csv"
    spoiled = 'e2,"ann,page_view,2025-06-01,s1\n,,,,\ne3,"b"ob,page_view,2025-06-01,s1\n'
    path.write_text(
        HEADER + GOOD_LINE + spoiled + GOOD_LINE.replace("e1", "e4") + "e5\n,x,page_view,2025-06-01,s1\n"
    )

    summary = feed(warehouse, path)

    assert (summary.rows_in, summary.rows_kept) == (7, 2)
    assert stored(warehouse, "line_number, reason", "quarantine") == [
        *((number, "bad_quotes") for number in (3, 4, 5)),
        (7, "too_few_fields"),
        (8, "no_event_id"),
    ]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_header_without_rows_changes_nothing_and_warns(warehouse, tmp_path, end):
    """An empty export is not an error, but it does not pass in silence."""
    path = tmp_path / "events.csv"
    path.write_text(HEADER.strip() + end)

    summary = feed(warehouse, path)

    assert (summary.rows_in, summary.rows_kept, summary.rows_quarantined) == (0, 0, 0)
    assert "no rows" in summary.warnings[0]
    assert not any(everything(warehouse))


def test_a_feed_of_which_nothing_is_kept_warns_with_the_commonest_reason(warehouse, tmp_path):
    """The likely cause is a wrong preset or setting, so the summary says what stood against the rows."""
    summary = feed(warehouse, write_events(tmp_path / "events.csv", {"currency": "USD"}))

    assert "no_fx_rate" in summary.warnings[-1]


def test_reordered_columns_and_unknown_ones_read_the_same(warehouse, tmp_path):
    """Columns go by name; extra columns and upper case in the header do not matter."""
    feed(warehouse, write_events(tmp_path / "events.csv", {}))
    names = [*reversed(EVENT), "note"]
    other = empty_warehouse()
    path = write_csv(tmp_path / "other.csv", [n.upper() for n in names], [[*reversed(EVENT.values()), "!"]])

    feed(other, path)

    assert stored(other) == stored(warehouse)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_from_the_header(warehouse, tmp_path, delimiter):
    """Four delimiters; a value that holds one is quoted."""
    row = {**EVENT, "customer_id": "a,b;c\td|e"}

    feed(warehouse, write_csv(tmp_path / "events.csv", list(row), [list(row.values())], delimiter))

    assert stored(warehouse, "customer_id") == [("a,b;c\td|e",)]


@pytest.mark.parametrize(
    "name", ["events.csv", "EVENTS.CSV", 'é vents\' "x" [1] *?.csv', "day=1.csv.gz", "a.b.csv.gz"]
)
def test_any_file_name_is_taken_literally(warehouse, tmp_path, name):
    """
    Quotes, spaces, glob signs, upper case and gzip; the byte order mark is not part of the first column.
    """
    plain = write_events(tmp_path / "plain.csv", {}).read_bytes()
    content = b"\xef\xbb\xbf" + plain
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    feed(warehouse, tmp_path / name)

    assert stored(warehouse, "event_id") == [("e1",)]


def test_parquet_columns_of_any_type_read_as_the_csv_does(warehouse, tmp_path):
    """
    Typed columns give the same rows as text; NaN, infinity and a missing column are quarantined or NULL.
    """
    path = tmp_path / "events.parquet"
    warehouse.execute(
        f"""
        copy (
            select range as event_id, 7 as customer_id, 'purchase' as event_type,
                timestamptz '2025-06-01 12:00:00+02' as occurred_at, 1 as order_id,
                case range when 0 then 9.5e0 when 1 then 'nan'::double else 'inf'::double end as amount,
                'GBP' as currency
            from range(3)
        ) to '{path}' (format parquet)
        """
    )
    warehouse.execute("set TimeZone = 'Asia/Kolkata'")

    summary = feed(warehouse, path)

    assert summary.reasons == {"invalid_amount": 2}
    assert stored(warehouse, "event_id, customer_id, occurred_at, amount, category") == [
        ("0", "7", datetime(2025, 6, 1, 10), Decimal("9.50"), None)
    ]


def test_copies_and_conflicts_within_a_feed(warehouse, tmp_path):
    """The same event again is a duplicate, even if told later; another event under its id is a conflict."""
    path = write_events(
        tmp_path / "events.csv",
        {"event_id": "a", "recorded_at": "2025-06-02"},
        {"event_id": "a", "recorded_at": "2025-06-03", "amount": "10"},
        {"event_id": "a", "amount": "11"},
    )

    summary = feed(warehouse, path)

    assert summary.reasons == {"conflicting_event": 1, "duplicate": 1}
    assert stored(warehouse, "amount, recorded_at") == [(Decimal("10.00"), datetime(2025, 6, 2))]


def test_an_event_never_replaces_what_is_stored(warehouse, tmp_path):
    """
    The table is append-only: another content under a known id is quarantined, the same content is known.
    """
    feed(warehouse, write_events(tmp_path / "first.csv", {}))
    path = write_events(tmp_path / "second.csv", {}, {"event_id": "e1", "amount": "99"}, {"event_id": "e9"})

    summary = feed(warehouse, path)

    assert (summary.rows_kept, summary.rows_new) == (2, 1)
    assert summary.reasons == {"conflicting_event": 1}
    assert stored(warehouse, "event_id, amount") == [("e1", Decimal("10.00")), ("e9", Decimal("10.00"))]


def test_feeding_twice_changes_nothing(warehouse, tmp_path):
    """Every table is the same afterwards, and the second summary counts no new row."""
    events = [change for _, change in BAD_EVENTS] + [change for *_, change in GOOD_EVENTS]
    path = write_events(tmp_path / "events.csv", *events, {}, {"event_id": "e1"}, {"event_id": "e1"})
    path.write_bytes(path.read_bytes() + b"x\r\nx\r\ny,z\r\n")
    first = feed(warehouse, path)
    before = everything(warehouse)

    second = feed(warehouse, path, now=NOW)

    assert everything(warehouse) == before
    assert (second.rows_new, second.rows_newly_quarantined) == (0, 0)
    assert (second.rows_kept, second.reasons) == (first.rows_kept, first.reasons)
    assert first.rows_newly_quarantined == first.rows_quarantined == len(before[-1])


def test_a_rate_that_arrives_later_admits_the_row(warehouse, tmp_path):
    """Foreign money waits for a rate that is valid when it was spent; the quarantine keeps the history."""
    events = write_events(
        tmp_path / "events.csv", {"currency": "EUR"}, {"currency": "EUR", "occurred_at": "2024-01-01"}
    )
    feed(warehouse, events)
    rates = write_csv(
        tmp_path / "fx.csv", ["currency", "valid_from", "rate_to_reporting"], [["eur", "2025-01-01", "0.85"]]
    )

    feed(warehouse, rates, "fx_rates")
    summary = feed(warehouse, events)

    assert summary.reasons == {"no_fx_rate": 1}
    assert (summary.rows_new, summary.rows_newly_quarantined) == (1, 0)
    assert stored(warehouse, "event_id, currency") == [("e1", "EUR")]


def test_what_arrives_after_a_build_was_not_known_to_it(warehouse, tmp_path):
    """Without recorded_at an old event is recorded at the newest built date; with it, its word stands."""
    assert newest_built_date(warehouse) is None
    warehouse.execute("create table customer_features as select date '2025-08-01' as as_of_date")

    summary = feed(
        warehouse,
        write_events(
            tmp_path / "events.csv",
            {"recorded_at": ""},
            {"occurred_at": "2025-09-01", "recorded_at": ""},
            {"recorded_at": "2025-06-05"},
        ),
    )

    assert newest_built_date(warehouse) == date(2025, 8, 1)
    assert [warning[:10] for warning in summary.warnings] == ["1 new row "]
    assert stored(warehouse, "event_id, recorded_at") == [
        ("e1", datetime(2025, 8, 1)),
        ("e2", datetime(2025, 9, 1)),
        ("e3", datetime(2025, 6, 5)),
    ]


def test_a_build_for_a_day_to_come_puts_no_knowledge_off(warehouse, tmp_path):
    """After a build for the year 2999, what arrives now is known from tomorrow, not from then."""
    warehouse.execute("create table customer_features as select date '2999-01-01' as as_of_date")

    feed(
        warehouse,
        write_events(tmp_path / "events.csv", {"recorded_at": ""}),
        now=datetime(2025, 8, 1, 12, tzinfo=UTC),
    )

    assert stored(warehouse, "event_id, recorded_at") == [("e1", datetime(2025, 8, 2))]


def test_the_clock_is_utc(warehouse, tmp_path):
    """An aware clock is converted; what was the future is admitted once it is past."""
    path = write_events(tmp_path / "events.csv", {"occurred_at": "2025-06-01 12:00:00"})
    early = datetime(2025, 6, 1, 12, 30, tzinfo=timezone(timedelta(hours=1)))

    assert feed(warehouse, path, now=early).reasons == {"in_the_future": 1}
    assert feed(warehouse, path, now=early + timedelta(hours=1)).rows_new == 1
    assert feed(warehouse, path, now=datetime.now(UTC)).rows_new == 0


ID_HISTORY = [
    (None, ["a", "b", "2025-01-01"]),
    (None, ["b", "c", "2025-01-02"]),
    ("circular_merge", ["p", "q", "2025-01-01"]),
    ("circular_merge", ["q", "r", "2025-01-01"]),
    ("circular_merge", ["r", "p", "2025-01-02"]),
    (None, ["s", "p", "2025-01-02"]),
    ("duplicate", ["a", "b", "2025-01-01T00:00:00Z"]),
    ("self_merge", ["a", " a ", "2025-01-01"]),
    ("no_customer_id", ["", "b", "2025-01-01"]),
    ("no_customer_id", ["a", "nan", "2025-01-01"]),
    ("invalid_merged_at", ["a", "b", "then"]),
    ("before_1970", ["a", "b", "1900-01-01"]),
    ("in_the_future", ["a", "b", "2026-06-01"]),
    ("nul_byte", ["a\0", "b", "2025-01-01"]),
]
FX_RATES = [
    (None, ["eur", "2025-01-01", "0.85"]),
    (None, ["EUR", "2026-06-01", "0.90"]),
    (None, ["GBP", "2025-01-01", "1"]),
    ("duplicate", ["EUR", "2025-01-01", "0.850"]),
    ("conflicting_rate", ["EUR", "2025-01-01", "0.86"]),
    ("invalid_currency", ["EURO", "2025-01-01", "0.85"]),
    ("invalid_currency", ["", "2025-01-01", "0.85"]),
    ("invalid_valid_from", ["USD", "", "0.85"]),
    ("invalid_rate", ["USD", "2025-01-01", "0"]),
    ("invalid_rate", ["USD", "2025-01-01", "-1"]),
    ("invalid_rate", ["USD", "2025-01-01", "nan"]),
    ("invalid_rate", ["GBP", "2025-02-01", "1.1"]),
    ("nul_byte", ["USD", "2025-01-01", "1\0"]),
]


@pytest.mark.parametrize(
    ("table", "header", "cases"),
    [
        ("id_history", ["old_customer_id", "new_customer_id", "merged_at"], ID_HISTORY),
        ("fx_rates", ["currency", "valid_from", "rate_to_reporting"], FX_RATES),
    ],
)
def test_merges_and_rates_are_judged_row_by_row(warehouse, tmp_path, table, header, cases):
    """Each row is kept or quarantined for the stated reason, and feeding the file again changes nothing."""
    path = write_csv(tmp_path / f"{table}.csv", header, [row for _, row in cases])

    summary = feed(warehouse, path, table)

    bad = [(reason, line) for line, (reason, _) in enumerate(cases, start=2) if reason]
    assert stored(warehouse, "reason, line_number", "quarantine") == sorted(bad)
    assert summary.rows_new == len(cases) - len(bad) == len(stored(warehouse, table=table))
    before = everything(warehouse)
    feed(warehouse, path, table)
    assert everything(warehouse) == before


def test_a_failure_on_the_way_leaves_no_row(warehouse, tmp_path, monkeypatch):
    """
    Rows that were inserted before the failure are gone, temporary tables too, and the connection still works.
    """
    path = write_events(tmp_path / "events.csv", {}, {"customer_id": ""})
    with monkeypatch.context() as patch:
        patch.setattr(one_file, "summary", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            feed(warehouse, path)

    assert not any(everything(warehouse))
    assert warehouse.execute("select count(*) from duckdb_tables() where temporary").fetchall() == [(0,)]
    assert feed(warehouse, path).rows_new == 1


def test_absent_raw_tables_are_named(tmp_path):
    """A database that dbt has not prepared is a WarehouseError with the remedy."""
    path = write_events(tmp_path / "events.csv", {})

    with (
        duckdb.connect() as connection,
        pytest.raises(WarehouseError, match=r"no table raw\.events.*dbt run"),
    ):
        feed(connection, path)


def test_the_raw_schema_may_have_any_name(tmp_path):
    """A schema name is an identifier, never SQL."""
    name = 'my "raw'
    connection = empty_warehouse()
    connection.execute('create schema "my ""raw"')
    for (table,) in connection.execute("select table_name from duckdb_tables()").fetchall():
        connection.execute(f'create table "my ""raw".{table} as from raw.{table}')

    feed(connection, write_events(tmp_path / "events.csv", {}), raw_schema=name)

    assert connection.execute('select count(*) from "my ""raw".events').fetchall() == [(1,)]


def test_a_folder_is_fed_rates_first_and_as_a_whole(warehouse, tmp_path):
    """Rates, then merges, then events by name; other files are left alone; one bad file undoes all."""
    write_csv(
        tmp_path / "fx_rates.csv",
        ["currency", "valid_from", "rate_to_reporting"],
        [["EUR", "2020-01-01", "1.1"]],
    )
    write_csv(
        tmp_path / "id_history.csv",
        ["old_customer_id", "new_customer_id", "merged_at"],
        [["a", "b", "2025-01-01"]],
    )
    part = write_events(tmp_path / "events_2.csv", {"currency": "EUR"})
    (tmp_path / "events_1.csv.gz").write_bytes(gzip.compress(part.read_bytes().replace(b"e1", b"e0")))
    (tmp_path / "notes.txt").write_text("not a feed")

    summaries = ingest_folder(warehouse, tmp_path, "events", reporting_currency="GBP", now=NOW)

    assert [s.path.name for s in summaries] == [
        "fx_rates.csv",
        "id_history.csv",
        "events_1.csv.gz",
        "events_2.csv",
    ]
    assert [s.rows_new for s in summaries] == [1, 1, 1, 1]
    before = everything(warehouse)
    write_events(tmp_path / "events_0.csv", {"event_id": "new"})
    (tmp_path / "events_9.csv").write_text("customer_id\nann\n")
    with pytest.raises(InputError, match=r"events_9\.csv lacks"):
        ingest_folder(warehouse, tmp_path, "events", reporting_currency="GBP", now=NOW)
    assert everything(warehouse) == before


def test_a_folder_without_events_is_refused(warehouse, tmp_path):
    """Neither a missing folder nor one without events is an empty success."""
    with pytest.raises(InputError, match="no file whose name starts with 'events'"):
        ingest_folder(warehouse, tmp_path, "events", reporting_currency="GBP")
    with pytest.raises(InputError, match="no folder"):
        ingest_folder(warehouse, tmp_path / "absent", "events", reporting_currency="GBP")


QUIET = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.long
@QUIET
@given(
    body=st.one_of(st.binary(max_size=60), st.text(st.sampled_from('a,"\n\r 1'), max_size=40).map(str.encode))
)
def test_no_line_of_any_garbage_is_lost(tmp_path: Path, body):
    """
    Arbitrary bytes under a header are an InputError, or as many rows as lines (fewer if quotes join lines).
    """
    with empty_warehouse() as connection:
        path = tmp_path / "events.csv"
        path.write_bytes(HEADER.encode() + body)
        lines = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line]

        try:
            summary = feed(connection, path)
        except InputError:
            return

        assert summary.rows_in == summary.rows_kept + summary.rows_quarantined + summary.rows_skipped
        assert summary.rows_in == len(lines) or (b'"' in body and summary.rows_in <= len(lines))


def test_ingest_takes_a_path_as_text(warehouse, tmp_path):
    """Notebooks pass strings."""
    path = write_events(tmp_path / "events.csv", {})

    assert ingest(warehouse, "events", str(path), reporting_currency="GBP", now=NOW).rows_new == 1


def test_a_link_out_of_the_folder_and_a_loop_of_links_are_refused(warehouse, tmp_path):
    """Nothing of the file that the link leads to is read, and no line of it is shown."""
    outside = write_events(tmp_path / "secret.csv", {})
    for name, target in {"out": outside, "loop": Path("events.csv")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.csv").symlink_to(target)

    with pytest.raises(InputError, match=r"events\.csv is a link that leads out of"):
        ingest_folder(warehouse, tmp_path / "out", "events", reporting_currency="GBP", now=NOW)
    with pytest.raises(InputError, match="is a link that leads back to itself"):
        ingest_folder(warehouse, tmp_path / "loop", "events", reporting_currency="GBP", now=NOW)
    with pytest.raises(InputError, match="is a link that leads back to itself"):
        feed(warehouse, tmp_path / "loop" / "events.csv")


def test_a_merge_that_closes_a_circle_with_known_ones_is_refused(warehouse, tmp_path):
    """What was known stands; a refused newer merge that uncovers another circle takes that with it."""
    header = ["old_customer_id", "new_customer_id", "merged_at"]
    feed(warehouse, write_csv(tmp_path / "one.csv", header, [["a", "b", "2025-01-01"]]), "id_history")
    rows = [["a", "c", "2025-01-02"], ["c", "a", "2025-01-02"], ["b", "a", "2025-01-02"]]

    summary = feed(warehouse, write_csv(tmp_path / "two.csv", header, rows), "id_history")

    assert summary.reasons == {"circular_merge": 3}
    assert stored(warehouse, "old_customer_id, new_customer_id", "id_history") == [("a", "b")]


@pytest.mark.parametrize("beyond", [2**62, -(2**62)])
def test_a_time_out_of_range_is_named_by_column_and_row(warehouse, tmp_path, beyond: int):
    """A Parquet time of milliseconds may lie beyond any calendar: the database says of none which it is."""
    path = tmp_path / "orders.parquet"
    times = pa.array([0, None, 1000, beyond, beyond], pa.timestamp("ms"))
    columns = {name: ["1"] * len(times) for name in ("order_id", "customer_id", "amount", "currency")}
    pq.write_table(pa.table({**columns, "ordered_at": times}), path)

    with pytest.raises(InputError, match=r"orders.parquet .*: column 'ordered_at' of row 4 holds"):
        feed(warehouse, path, "orders")


def test_a_whole_number_of_a_parquet_file_is_written_as_one(warehouse, tmp_path):
    """An id that a data frame holds as 7.0 is the customer 7; a fraction and a huge number stay."""
    path = tmp_path / "events.parquet"
    warehouse.execute(
        f"""
        copy (
            select 'e' || id as event_id, cast(id as double) as customer_id, 'page_view' as event_type,
                date '2025-06-01' as occurred_at
            from (values (7), (7.5), (1e300)) as ids(id)
        ) to '{path}' (format parquet)
        """
    )

    feed(warehouse, path)

    assert stored(warehouse, "customer_id") == [("1e+300",), ("7",), ("7.5",)]
