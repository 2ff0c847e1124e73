"""A feed is taken back: what it brought is unknown from then on, and it may come again."""

import json
from dataclasses import asdict
from datetime import date, datetime

import pytest
from ingestion_helpers import NOW, empty_warehouse, feed, stored, write_csv, write_events

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.undo import undo

BUILT = date(2025, 7, 1)
ORDER = ["order_id", "customer_id", "ordered_at", "amount", "currency"]


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


def take_back(connection, feed_id, **options):
    """Undo in pounds at the test's clock."""
    return undo(connection, feed_id, reporting_currency="GBP", **{"now": NOW, **options})


def built(connection):
    """Makes it look as if features had been built as of BUILT."""
    connection.execute(f"create table customer_features as select date '{BUILT}' as as_of_date")


def test_every_row_knows_the_feed_that_brought_it(warehouse, tmp_path):
    """Kept and refused rows bear the file's name; a row that was known stays its first feed's."""
    first = write_events(tmp_path / "monday.csv", {}, {"customer_id": ""})
    second = write_events(tmp_path / "tuesday.csv", {}, {})

    feed(warehouse, first)
    feed(warehouse, second)
    feed(warehouse, second)

    assert stored(warehouse, "event_id, feed_id") == [("e1", "monday.csv"), ("e2", "tuesday.csv")]
    assert stored(warehouse, "feed_id", "quarantine") == [("monday.csv",)]
    assert stored(warehouse, "feed_id, feed_number, table_name, row_count, undone_at", "feeds") == [
        ("monday.csv", 1, "events", 1, None),
        ("tuesday.csv", 2, "events", 1, None),
    ]


def test_events_are_kept_for_the_dates_that_saw_them(warehouse, tmp_path):
    """
    They leave the events for a table of their own, up to the newest date that features were built for; what
    no date has seen is not kept.
    """
    feed(warehouse, write_events(tmp_path / "right.csv", {}))
    wrong = [{"event_id": "w"}, {"event_id": "x", "occurred_at": str(BUILT)}, {"customer_id": ""}]
    feed(warehouse, write_events(tmp_path / "wrong.csv", *wrong))
    built(warehouse)

    undone = take_back(warehouse, "wrong.csv")

    assert stored(warehouse, "event_id") == [("e1",)]
    assert stored(warehouse, "event_id, undone_at", "undone_events") == [
        ("w", datetime.combine(BUILT, datetime.min.time()))
    ]
    assert stored(warehouse, "reason", "quarantine") == []
    assert (undone.rows, undone.rows_refused, undone.seen_until) == (2, 1, BUILT)


def test_before_the_first_build_it_is_as_if_the_file_had_never_come(warehouse, tmp_path):
    """No date has seen anything of it."""
    feed(warehouse, write_events(tmp_path / "wrong.csv", {}))

    undone = take_back(warehouse, "wrong.csv")

    assert (undone.rows, undone.seen_until) == (1, None)
    assert stored(warehouse) == stored(warehouse, table="undone_events") == []


@pytest.mark.parametrize("table", ["events", "attributes"])
def test_what_comes_again_is_known_from_then_on(warehouse, tmp_path, table):
    """Whatever the feed says of when it was known: past dates know the row that was taken back."""
    if table == "events":
        path = write_events(tmp_path / "told.csv", {"recorded_at": "2025-06-02"})
        known = "recorded_at"
    else:
        path = write_csv(
            tmp_path / "told.csv", ["customer_id", "known_at", "plan"], [["a", "2025-01-01", "x"]]
        )
        known = "known_at"
    feed(warehouse, path, table)
    built(warehouse)
    take_back(warehouse, "told.csv")

    feed(warehouse, path, table)
    again = feed(warehouse, path, table)

    assert again.rows_new == 0
    assert stored(warehouse, known, table) == [(datetime.combine(BUILT, datetime.min.time()),)]


def test_a_file_counts_again_after_it_was_taken_back(warehouse, tmp_path):
    """The same file, corrected under the same ids or not, is new; it is a feed of its own."""
    path = write_events(tmp_path / "events.csv", {"amount": "1000"})
    feed(warehouse, path)
    take_back(warehouse, "events.csv")

    summary = feed(warehouse, write_events(path, {"amount": "10"}))

    assert (summary.rows_new, summary.reasons) == (1, {})
    assert stored(warehouse, "event_id, amount, feed_id") == [("e1", 10, "events.csv#2")]
    assert take_back(warehouse, "events.csv#2").rows == 1
    assert stored(warehouse) == []


@pytest.mark.parametrize(
    ("table", "header", "row"),
    [
        ("fx_rates", ["currency", "valid_from", "rate_to_reporting"], ["USD", "2025-01-01", "0.8"]),
        ("id_history", ["old_customer_id", "new_customer_id", "merged_at"], ["a", "b", "2025-01-01"]),
        ("attributes", ["customer_id", "known_at", "plan"], ["a", "2025-01-01", "basic"]),
    ],
)
def test_rates_merges_and_attributes_are_taken_back(warehouse, tmp_path, table, header, row):
    """As events are; attributes go on being seen by past dates, the others hold for no date any more."""
    feed(warehouse, write_csv(tmp_path / "wrong.csv", header, [row]), table)
    assert len(stored(warehouse, table=table)) == 1
    built(warehouse)

    undone = take_back(warehouse, "wrong.csv")

    assert (undone.table, undone.rows) == (table, 1)
    assert undone.seen_until == (BUILT if table == "attributes" else None)
    assert stored(warehouse, table=table) == []
    assert len(stored(warehouse, table="undone_attributes")) == (table == "attributes")


def test_money_that_loses_its_rate_is_named(warehouse, tmp_path):
    """Taking a rate back leaves money that nobody can convert."""
    rates = write_csv(
        tmp_path / "rates.csv",
        ["currency", "valid_from", "rate_to_reporting"],
        [["USD", "2025-01-01", "0.8"], ["EUR", "2025-01-01", "0.9"]],
    )
    feed(warehouse, rates, "fx_rates")
    feed(warehouse, write_events(tmp_path / "events.csv", {"currency": "USD"}, {"currency": "GBP"}))

    undone = take_back(warehouse, "rates.csv")

    assert undone.warnings == (
        "1 event in USD has no rate now and is left out of every sum. Load the right rates.",
    )


def test_money_that_will_stop_the_next_run_is_named(warehouse, tmp_path):
    """
    Rates of three currencies are taken back. One keeps a rate that leads nowhere: the next run refuses its
    money, also what past dates alone go on to see. One keeps a later rate, and one none: both are left out.
    """
    header = ["currency", "valid_from", "rate_to_reporting", "quote_currency"]
    both = [
        ["USD", "2025-01-01", "0.8", ""],
        ["EUR", "2025-01-01", "0.9", ""],
        ["CHF", "2025-01-01", "0.9", ""],
    ]
    feed(warehouse, write_csv(tmp_path / "rates.csv", header, both), "fx_rates")
    others = [["USD", "2025-01-01", "150", "JPY"], ["EUR", "2025-12-01", "0.9", ""]]
    feed(warehouse, write_csv(tmp_path / "others.csv", header, others), "fx_rates")
    feed(
        warehouse,
        write_events(tmp_path / "events.csv", *[{"currency": each} for each in ("USD", "EUR", "CHF")]),
    )
    feed(warehouse, write_events(tmp_path / "wrong.csv", {"event_id": "w", "currency": "USD"}))
    built(warehouse)
    take_back(warehouse, "wrong.csv")

    undone = take_back(warehouse, "rates.csv")

    assert undone.warnings == (
        "1 event in CHF has no rate now and is left out of every sum. Load the right rates.",
        "1 event in EUR has no rate now and is left out of every sum. Load the right rates.",
        "2 events in USD have no rate now, and what is known of USD is in JPY: the next run stops. Load "
        "rates of USD or JPY with quote_currency GBP before it.",
    )


def test_what_a_feed_admitted_is_refused_again(warehouse, tmp_path):
    """Rows that an earlier feed had refused and this one brought in order wait again."""
    feed(
        warehouse, write_csv(tmp_path / "bad.csv", ORDER, [["o1", "ann", "2025-06-01", "x", "GBP"]]), "orders"
    )
    good = write_csv(tmp_path / "good.csv", ORDER, [["o1", "ann", "2025-06-01", "9", "GBP"]])
    feed(warehouse, good, "orders")
    assert len(stored(warehouse, table="admitted")) == 1

    take_back(warehouse, "good.csv")

    assert stored(warehouse, table="admitted") == []
    assert stored(warehouse, "feed_id", "quarantine") == [("bad.csv",)]


def test_a_feed_that_is_not_there_is_refused_with_those_that_are(warehouse, tmp_path):
    """An unknown name, and one that was taken back, name the feeds that stand; nothing changes."""
    with pytest.raises(InputError, match=r"There is no feed 'x'\. No feed stands"):
        take_back(warehouse, "x")
    feed(warehouse, write_events(tmp_path / "one.csv", {}))
    feed(warehouse, write_events(tmp_path / "two.csv", {"event_id": "t"}))
    take_back(warehouse, "one.csv")

    with pytest.raises(InputError, match=r"no feed 'x'\. .*two\.csv \(1 row of events, 2026-01-01 00:00\)\."):
        take_back(warehouse, "x")
    with pytest.raises(
        InputError, match=r"'one\.csv' was taken back already, on 2026-01-01 00:00 UTC\. .*two"
    ):
        take_back(warehouse, "one.csv")
    assert stored(warehouse, "event_id") == [("t",)]


def test_a_file_that_was_fed_again_is_taken_back_by_its_own_name(warehouse, tmp_path):
    """Its first feed is gone, and one stands: that one is meant."""
    path = write_events(tmp_path / "one.csv", {})
    feed(warehouse, path)
    take_back(warehouse, "one.csv")
    feed(warehouse, path)

    assert take_back(warehouse, "one.csv").feed_id == "one.csv#2"
    assert stored(warehouse) == []


def test_the_older_version_of_a_restated_order_counts_again(warehouse, tmp_path):
    """Taking the newest export back leaves each order as it was before; an older one must wait for it."""
    restated = Choice("orders", options={"orders": "restated"})
    for name, amount in (("a.csv", "100"), ("b.csv", "80"), ("c.csv", "90")):
        path = write_csv(tmp_path / name, ORDER, [["o1", "ann", "2025-06-01", amount, "GBP"]])
        feed(warehouse, path, restated)
    assert stored(warehouse, "sum(amount)") == [(90,)]

    with pytest.raises(InputError, match=r"in this order: c\.csv, b\.csv;"):
        take_back(warehouse, "a.csv")
    with pytest.raises(InputError, match=r"in this order: c\.csv;"):
        take_back(warehouse, "b.csv")
    take_back(warehouse, "c.csv")
    assert stored(warehouse, "sum(amount)") == [(80,)]
    take_back(warehouse, "b.csv")
    assert stored(warehouse, "sum(amount)") == [(100,)]


def test_the_outcome_is_plain_json(warehouse, tmp_path):
    """What --json prints of it can be read back."""
    feed(warehouse, write_events(tmp_path / "wrong.csv", {}))

    undone = take_back(warehouse, "wrong.csv")

    assert json.loads(json.dumps(asdict(undone), default=str))["rows"] == 1
