"""What is refused is said in the file's own columns and values; guests apart; odd ids are noticed."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ingestion_helpers import NOW, empty_warehouse, stored, write_csv

from clv_ml.errors import OtherCurrencyError
from clv_ml.ingest.ingestion import ingest_together
from clv_ml.ingest.options import choice_from

HEADER = ["Bestellung", "Kunde", "Datum", "Summe"]
COLUMNS = {"order_id": "Bestellung", "customer_id": "Kunde", "occurred_at": "Datum", "amount": "Summe"}


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


def fed(warehouse, path: Path, *maps: str, **more):
    """One file, by the mapping of these columns and what else is said with --map."""
    lines = [f"{field}={column}" for field, column in COLUMNS.items()]
    choice = choice_from(maps=[*lines, *maps])
    return ingest_together(warehouse, choice, (path,), reporting_currency="GBP", now=NOW, **more)[0]


FAULTS = [
    (["1", "ann", "13.7.22 x", "5"], "'Datum' in line 3 is '13.7.22 x'. Write it as 2024-03-05 14:05"),
    (["1", "ann", "", "5"], "'Datum' in line 3 is empty."),
    (["1", "ann", "2025-06-01", "five"], "'Summe' in line 3 is 'five'. Write it as 1234.50"),
    (["", "ann", "2025-06-01", "5"], "'Bestellung' in line 3 is empty."),
    (["1", "", "2025-06-01", "5"], "'Kunde' in line 3 is empty. They are guests"),
    (["1", "ann", "2031-06-01", "5"], "'Datum' in line 3 is '2031-06-01'. If the clock"),
]


@pytest.mark.parametrize(("row", "said"), FAULTS)
def test_a_reason_names_the_column_the_line_the_value_and_the_remedy(warehouse, tmp_path, row, said):
    """As the file writes them: a shop owner knows no `occurred_at`."""
    path = write_csv(tmp_path / "x.csv", HEADER, [["0", "bob", "2025-06-01", "5"], row])

    summary = fed(warehouse, path)

    (refusal,) = summary.refusals
    assert said in refusal.sentence
    assert (refusal.rows, refusal.first_line) == (1, 3)
    assert "occurred_at" not in refusal.sentence


def test_a_line_that_is_no_row_is_shown_as_it_is(warehouse, tmp_path):
    """There is no column to name then."""
    (tmp_path / "x.csv").write_text("Bestellung,Kunde,Datum,Summe\n1,ann,2025-06-01,5\n2,bob,5\n")

    (refusal,) = fed(warehouse, tmp_path / "x.csv").refusals

    assert "have fewer fields than the header: 1. Line 3 is '2,bob,5'." in refusal.sentence


def test_guests_are_counted_with_their_money_apart_from_errors(warehouse, tmp_path):
    """No id, or a word that shops write for none; the money by currency, less what they got back."""
    rows = [
        ["1", "ann", "2025-06-01", "5"],
        ["2", "", "2025-06-01", "7.50"],
        ["3", "Guest", "2025-06-02", "2.50"],
        ["4", "00000000-0000-0000-0000-000000000000", "2025-06-03", "-1"],
        ["5", "bob", "2025-06-03", "x"],
    ]
    path = write_csv(tmp_path / "x.csv", HEADER, rows)

    summary = fed(warehouse, path)

    assert summary.guests is not None
    assert (summary.guests.rows, summary.guests.money) == (3, {"GBP": Decimal("9.00")})
    assert summary.rows_in == summary.rows_kept + summary.rows_quarantined == 5


def test_a_second_column_is_asked_where_the_first_says_guest(warehouse, tmp_path):
    """A shop that writes 0 for guests and has their address too knows who they are."""
    rows = [["1", "0", "2025-06-01", "5", "Ann@x.example"], ["2", "17", "2025-06-01", "5", "bob@x.example"]]
    path = write_csv(tmp_path / "x.csv", [*HEADER, "E-Mail"], rows)

    summary = fed(warehouse, path, "customer_id=E-Mail", "guests=0")

    assert summary.reasons == {}
    assert stored(warehouse, "customer_id") == [("17",), ("ann@x.example",)]


def days(count: int, start: date = date(2025, 1, 1)) -> list[str]:
    return [(start + timedelta(days=number)).isoformat() for number in range(count)]


# fmt: off
ODD_IDS = [
    # rows; what is said; what does away with it
    ("an id per order", [[f"o{n}", f"k{n}", day, "5"] for n, day in enumerate(days(12))],
     "nobody buys twice: 12 orders have 12 customers in 'Kunde'", ""),
    ("a subscription's number",
     [["s1", "ann", day, "9"] for day in ("2025-01-01", "2025-02-01", "2025-03-01")],
     "'s1': 3 days from 2025-01-01 to 2025-03-01", ""),
    ("receipts that restart", [["1", "ann", "2025-01-01", "5"], ["1", "bob", "2025-01-02", "6"]],
     "1 order number belongs to several customers, such as '1'", ""),
    ("a total on each line",
     [[o, f"k{o}", "2025-01-01", a, p] for o, a in (("1", "30"), ("2", "45"), ("3", "9")) for p in "XY"],
     "30.00 on each of 2 lines. If that is the order's total, 84.00 is counted too much", "amount_of=order"),
    ("an order that stands there twice",
     [["1", "ann", "2025-01-01", "30"], ["2", "bob", "2025-01-02", "12"], ["1", "ann", "2025-01-01", "30"]],
     "1 order stands on several lines with the same customer, time and amount, such as '1', and no column "
     "tells products apart: 30.00 counts again", "amount_of=order"),
    ("a refund to the payer's payer",
     [["1", "ann", "2025-01-01", "30"], ["1", "shop", "2025-01-02", "-10"], ["2", "bob", "2025-01-02", "7"],
      ["2", "bob", "2025-01-03", "-7"]],
     "1 refund names another customer than the one who bought, 10.00 in all, such as that of order '1': "
     "bought by 'ann', given back to 'shop'", ""),
    ("zero for guests",
     [*([str(n), "0", f"2025-01-0{n}", "5"] for n in (1, 2, 3)), ["4", "ann", "2025-01-03", "5"]],
     "customer '0' in 'Kunde' has 3 of 4 orders (75%), 15.00 in all", "guests=0"),
    ("zero for guests, beside a better customer",
     [*([str(n), "0", f"2025-01-0{n}", "5"] for n in (1, 2, 3)),
      *([f"a{n}", "ann", f"2025-01-0{n}", "5"] for n in range(1, 6))],
     "customer '0' in 'Kunde' has 3 of 8 orders (38%), 15.00 in all", "guests=0"),
    ("a customer that is no person", [[f"g{n}", "TILL", day, "5"] for n, day in enumerate(days(40))]
     + [[f"p{n}", f"k{n % 8}", day, "5"] for n, day in enumerate(days(16))],
     "customer 'TILL' in 'Kunde' has 40 of 56 orders (71%)", "guests=TILL"),
    ("leading zeros", [["1", "00815", "2025-01-01", "5"], ["2", "815", "2025-01-02", "5"]],
     "such as '00815' and '815'", "plain_ids=yes"),
    ("case and spaces", [["1", "Ann B", "2025-01-01", "5"], ["2", "ann  b", "2025-01-02", "5"]],
     "such as 'Ann B' and 'ann  b'", "plain_ids=yes"),
    ("a trailing .0", [["1", "815.0", "2025-01-01", "5"], ["2", "815", "2025-01-02", "5"]],
     "such as '815' and '815.0'", "plain_ids=yes"),
    ("rounded by a spreadsheet", [["1", "8.80180E+12", "2025-01-01", "5"]],
     "'Kunde' holds numbers that a spreadsheet has rounded, such as '8.80180E+12' (1 row)", ""),
]
# fmt: on


@pytest.mark.parametrize(
    ("rows", "said", "remedy"), [case[1:] for case in ODD_IDS], ids=[c[0] for c in ODD_IDS]
)
def test_ids_that_mean_something_else_are_noticed(warehouse, tmp_path, rows, said, remedy):
    """With the evidence, in the file's columns; the remedy that is named does away with the warning."""
    header = [*HEADER, "Artikel"][: len(rows[0])]
    path = write_csv(tmp_path / "x.csv", header, rows)
    more = ["product_id=Artikel"] if "Artikel" in header else []

    warnings = fed(warehouse, path, *more).warnings

    assert any(said in warning for warning in warnings), warnings
    if remedy:
        assert any(remedy.replace("=TILL", '="TILL"').replace("=0", '="0"') in each for each in warnings)
        with empty_warehouse() as mended:
            assert not any(said in each for each in fed(mended, path, *more, remedy).warnings)


def test_nothing_is_said_of_ids_that_are_in_order(warehouse, tmp_path):
    """Customers who come back, orders of several lines, a good customer among others."""
    rows = [[f"o{n}", f"k{n % 7}", day, str(5 + n)] for n, day in enumerate(days(40))]
    rows += [["o1", "k1", "2025-01-02", "3"], ["o2", "k2", "2025-01-03", "5"]]

    assert fed(warehouse, write_csv(tmp_path / "x.csv", HEADER, rows)).warnings == ()


def test_two_lines_of_one_price_are_no_total(warehouse, tmp_path):
    """One order where the amounts differ shows that they are the lines' own."""
    rows = [["1", "a", "2025-01-01", "5"], ["1", "a", "2025-01-01", "5"], ["2", "b", "2025-01-01", "7"]]
    rows += [["2", "b", "2025-01-01", "7"], ["3", "b", "2025-01-02", "7"], ["3", "b", "2025-01-02", "8"]]

    assert fed(warehouse, write_csv(tmp_path / "x.csv", HEADER, rows)).warnings == ()


def test_the_first_feed_tells_the_currency_where_nobody_has_named_it(warehouse, tmp_path):
    """One other currency, and no money before: nothing is written, and the error bears the currency."""
    path = write_csv(tmp_path / "x.csv", HEADER, [["1", "ann", "2025-01-01", "5 €"]])

    with pytest.raises(OtherCurrencyError) as error:
        fed(warehouse, path, is_currency_open=True)

    assert error.value.currency == "EUR"
    assert stored(warehouse, "*", "quarantine") == stored(warehouse) == []


def test_a_currency_is_not_taken_from_a_later_feed(warehouse, tmp_path):
    """Money in the shop's own currency was there before, so other money waits for a rate."""
    fed(warehouse, write_csv(tmp_path / "a.csv", HEADER, [["9", "bob", "2025-01-01", "5"]]))
    path = write_csv(tmp_path / "b.csv", HEADER, [["1", "ann", "2025-01-01", "5 €"]])

    assert fed(warehouse, path, is_currency_open=True).reasons == {"no_fx_rate": 1}


def test_a_currency_is_not_taken_from_a_mixed_feed(warehouse, tmp_path):
    """Nobody can tell which of two currencies the shop counts in."""
    rows = [["1", "ann", "2025-01-01", "5", "EUR"], ["2", "ann", "2025-01-02", "5", "USD"]]
    path = write_csv(tmp_path / "x.csv", [*HEADER, "Geld"], rows)

    assert fed(warehouse, path, "currency=Geld", is_currency_open=True).reasons == {"no_fx_rate": 2}
