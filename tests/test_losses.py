"""Loss is never silent: what is said of refused rows, and when they leave the count."""

from decimal import Decimal
from pathlib import Path

import pytest
from ingestion_helpers import empty_warehouse, feed, stored, write_csv

from clv_ml.ingest.ingestion import IngestSummary
from clv_ml.ingest.losses import Limits

HEADER = ("order_id", "customer_id", "ordered_at", "amount", "currency")


def _orders(path: Path, *changes: dict[str, str]) -> Path:
    """One order of 10 pounds a dict, which says what is other in it."""
    rows = [
        {
            "order_id": f"o{number}",
            "customer_id": f"c{number}",
            "ordered_at": f"2025-06-{number:02} 12:00",
            "amount": "10.00",
            "currency": "GBP",
            **change,
        }
        for number, change in enumerate(changes, start=1)
    ]
    return write_csv(path, HEADER, [[row[name] for name in HEADER] for row in rows])


def _lost(summary: IngestSummary) -> list[str]:
    return [warning for warning in summary.warnings if " lost " in warning]


def test_loss_beyond_the_setting_is_said_with_reason_value_money_and_remedy(tmp_path: Path):
    """
    Of ten orders one of 910 pounds has no time that can be read: 10 % of the rows, 91 % of the money.
    """
    changes = [{}] * 6 + [{"amount": "910", "ordered_at": "soon"}] + [{}] * 3
    path = _orders(tmp_path / "orders.csv", *changes)

    (warning,) = _lost(feed(empty_warehouse(), path, "orders"))

    head, reason = warning.split("\n")
    assert head == (
        "orders.csv lost 10.0% of the rows and 91.0% of the money, more than quarantine_share (5%) allows."
    )
    assert reason.startswith("invalid_occurred_at, 10.0% of the rows and 91.0% of the money: 1 row.")
    assert "line 8" in reason and "soon" in reason and "as 2024-03-05 14:05" in reason


def test_one_row_of_much_money_is_a_loss_and_many_of_little_are_not(tmp_path: Path):
    """
    One row of 21, 30 of 230 pounds: 4.8 % of the rows may be lost, 13 % of the money may not. The other way
    round, with two rows of a penny, it is the rows.
    """
    dear = [{}] * 20 + [{"amount": "30", "ordered_at": "soon"}]
    cheap = [{}] * 20 + [{"amount": "0.01", "ordered_at": "soon"}] * 2
    said = [
        _lost(feed(empty_warehouse(), _orders(tmp_path / "a.csv", *each), "orders", now=None))
        for each in (dear, cheap)
    ]
    few = feed(empty_warehouse(), _orders(tmp_path / "a.csv", *dear[:20], cheap[-1]), "orders", now=None)

    assert said[0][0].startswith("a.csv lost 4.8% of the rows and 13.0% of the money,")
    assert said[1][0].startswith("a.csv lost 9.1% of the rows and 0.0% of the money,")
    assert _lost(few) == []


def test_an_amount_that_cannot_be_read_counts_as_the_mean(tmp_path: Path):
    """
    Two of ten amounts are none, and the eight others are the same: a fifth of the money.
    """
    path = _orders(tmp_path / "a.csv", *[{}] * 8, {"amount": "a lot"}, {"amount": "more"})

    (warning,) = _lost(feed(empty_warehouse(), path, "orders"))

    assert warning.startswith("a.csv lost 20.0% of the rows and 20.0% of the money,")


def test_each_currency_counts_in_its_own_means(tmp_path: Path):
    """
    Nine orders of 10 pounds and one of 10,000 yen without a rate: a tenth of the money, not nearly all.
    """
    path = _orders(tmp_path / "a.csv", *[{}] * 9, {"amount": "10000", "currency": "JPY"})

    (warning,) = _lost(feed(empty_warehouse(), path, "orders"))

    assert warning.startswith("a.csv lost 10.0% of the rows and 10.0% of the money,")


def test_guests_are_no_loss(tmp_path: Path):
    """
    Half of the rows name no customer: that is told apart, and nothing was lost.
    """
    rows = [{}] * 5 + [{"customer_id": ""}] * 5

    summary = feed(empty_warehouse(), _orders(tmp_path / "a.csv", *rows), "orders")

    assert summary.reasons == {"no_customer_id": 5}
    assert _lost(summary) == []


def test_what_guests_got_back_is_taken_off_their_money(tmp_path: Path):
    """100 bought and 30 given back is 70, in the summary and in the record of rows set aside."""
    connection = empty_warehouse()
    rows = [{"customer_id": "", "amount": "100"}, {"customer_id": "", "amount": "-30"}, {}, {}]

    summary = feed(connection, _orders(tmp_path / "a.csv", *rows), "orders")

    assert summary.guests is not None and dict(summary.guests.money) == {"GBP": Decimal("70.00")}
    assert connection.execute("select sum(amount) from raw.refused_money").fetchall() == [(Decimal("70.00"),)]


def _standing(connection) -> list[str]:
    return [
        reason
        for (reason,) in connection.execute(
            "select reason from raw.quarantine where quarantine_id not in "
            "(select quarantine_id from raw.admitted) order by 1"
        ).fetchall()
    ]


def test_a_row_that_a_later_feed_admits_leaves_the_count(tmp_path: Path):
    """
    The time is corrected, the amount is, a rate is loaded, or the file is read by another decimal mark: what
    is kept now is no longer refused. What is still wrong stays, and the history of all of it.
    """
    connection = empty_warehouse()
    bad = [
        {"ordered_at": "soon"},
        {"amount": "ten"},
        {"currency": "EUR"},
        {"order_id": ""},
        {"amount": "eleven"},
    ]
    feed(connection, _orders(tmp_path / "orders.csv", *bad), "orders")
    assert _standing(connection) == [
        "invalid_amount", "invalid_amount", "invalid_occurred_at", "no_fx_rate", "no_order_id",
    ]  # fmt: skip

    rates = write_csv(
        tmp_path / "rates.csv",
        ("currency", "valid_from", "rate_to_reporting"),
        [("EUR", "2025-01-01", "0.8")],
    )
    feed(connection, rates, "fx_rates")
    feed(connection, _orders(tmp_path / "orders.csv", {}, {}, {"currency": "EUR"}, {}, bad[4]), "orders")

    assert _standing(connection) == ["invalid_amount"]
    assert len(stored(connection, table="quarantine")) == 5
    assert len(stored(connection, table="admitted")) == 4


def test_the_same_file_again_admits_nothing(tmp_path: Path):
    """
    Nor does another file: a broken line and a fault stay as they are.
    """
    connection = empty_warehouse()
    path = _orders(tmp_path / "a.csv", {}, {"amount": "ten"}, {})
    with path.open("a") as file:
        file.write("o9,c9\r\n")
    feed(connection, path, "orders")
    standing = _standing(connection)
    feed(connection, path, "orders")
    feed(connection, _orders(tmp_path / "b.csv", {"order_id": "p1"}, {"order_id": "p2"}), "orders")

    assert standing == ["invalid_amount", "too_few_fields"]
    assert _standing(connection) == standing


@pytest.mark.parametrize("share", [0.0, 0.2, 0.25])
def test_the_setting_says_how_much_may_be_lost(tmp_path: Path, share: float):
    """
    A fourth of the rows and of the money: no more than 0.25, and more than 0.2.
    """
    path = _orders(tmp_path / "a.csv", {}, {}, {}, {"amount": "ten"})

    summary = feed(empty_warehouse(), path, "orders", limits=Limits(quarantine_share=share))

    assert len(_lost(summary)) == (share < 0.25)
