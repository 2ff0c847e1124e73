"""A shop's own export lands on the contract by a mapping: a known one, a file, or options."""

import gzip
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ingestion_helpers import NOW, empty_warehouse, stored, write_csv

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.ingestion import ingest
from clv_ml.ingest.mapping import checked_mapping
from clv_ml.ingest.mapping_file import load_mapping, mapping_text
from clv_ml.ingest.presets import preset_names

MONEY = "order_id, customer_id, event_type, occurred_at, amount, currency"


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


def take(warehouse, path: Path, choice: Choice | str = "", currency: str = "GBP", **options):
    """Ingest by what the columns tell, or by a choice."""
    return ingest(warehouse, choice, path, reporting_currency=currency, now=NOW, **options)


def by_options(**options) -> Choice:
    """Nothing but options."""
    return Choice(options=options)


COLUMNS = {"order_id": "Order ID", "customer_id": "Customer", "occurred_at": "Ordered", "amount": "Sum"}


def test_columns_are_mapped_by_options_whatever_their_case_and_punctuation(warehouse, tmp_path):
    """
    `order id`, `Order-ID` and `ORDER_ID` are one name; without a currency the money is the shop's, and that
    is said.
    """
    path = write_csv(
        tmp_path / "any.csv",
        ["ORDER-ID", "customer", "Ordered", "Sum"],
        [["1", "ann", "2025-06-01", "10.50"]],
    )

    summary = take(warehouse, path, by_options(columns=COLUMNS))

    assert stored(warehouse, MONEY) == [
        ("1", "ann", "purchase", datetime(2025, 6, 1), Decimal("10.50"), "GBP")
    ]
    assert any(note.startswith("currency: none is given") for note in summary.notes)


def test_a_mapping_file_says_the_same_as_options(warehouse, tmp_path):
    """What was written can be read back, and maps alike; a misspelt key is an error with its place."""
    mapping = checked_mapping({"columns": COLUMNS, "skip": {"Kind": ["test"]}, "decimal": ","}, "test")
    path = tmp_path / "shop.yml"
    path.write_text(mapping_text(mapping, "Ours"), encoding="utf-8")

    assert load_mapping(path) == mapping
    path.write_text("colums: {}\n")
    with pytest.raises(InputError, match=r"shop\.yml, colums is not right"):
        load_mapping(path)


def test_a_mapping_that_cannot_be_read_stops_no_other_feed(warehouse, tmp_path):
    """
    It is left alone with a warning; a file that nothing else knows is refused with it, and so is the mapping
    where it is named.
    """
    broken = tmp_path / "mappings" / "broken.yml"
    broken.parent.mkdir()
    broken.write_text("colums: {}\n")
    choice = Choice(own_folder=broken.parent)
    path = write_csv(
        tmp_path / "orders.csv",
        ["order_id", "customer_id", "ordered_at", "amount"],
        [["1", "ann", "2025-06-01", "5"]],
    )
    other = write_csv(tmp_path / "any.csv", ["a", "b"], [["1", "2"]])

    summary = take(warehouse, path, choice)

    assert summary.rows_kept == 1
    assert any("broken.yml, colums is not right" in warning for warning in summary.warnings)
    for refused, said in ((other, choice), (path, Choice(mapping_file=broken))):
        with pytest.raises(InputError, match=r"broken\.yml, colums is not right"):
            take(warehouse, refused, said)


def test_a_file_that_nobody_knows_is_refused_with_what_to_do(warehouse, tmp_path):
    """The columns are named, and clv inspect."""
    path = write_csv(tmp_path / "any.csv", ["a", "b"], [["1", "2"]])

    with pytest.raises(InputError, match=r"no export that is known: it has a, b\. clv inspect \S+any\.csv"):
        take(warehouse, path)


def dialects() -> dict[str, tuple[str, bytes]]:
    """The same three orders as ten shops write them: name of the file and its bytes."""
    point = "Order ID,Customer,Ordered,Sum\n"
    iso = point + "1,Zoë,2025-06-13 14:05:00,1234.50\n2,Zoë,2025-06-14 09:00:00,80.00\n3,Bo,2025-06-15,9.99\n"
    semicolon = (
        "Order ID;Customer;Ordered;Sum\n1;Zoë;13.06.2025 14:05;1.234,50\n2;Zoë;14.06.2025 09:00;80,00\n"
        "3;Bo;15.06.2025;9,99\n"
    )
    american = (
        point + '1,Zoë,6/13/2025 2:05 PM,"£1,234.50"\n2,Zoë,6/14/2025 9:00 AM,£80.00\n3,Bo,6/15/2025,£9.99\n'
    )
    swiss = point + "1,Zoë,13/06/2025 14:05:00,1'234.50\n2,Zoë,14/06/2025 09:00:00,80\n3,Bo,15/06/2025,9.99\n"
    basic = point + "1,Zoë,20250613T140500,1234.5\n2,Zoë,20250614T090000,80\n3,Bo,20250615,9.99\n"
    slashes = (
        point
        + '1,Zoë,"2025/06/13 14:05:00,000",1234.50\n2,Zoë,2025/06/14 09:00,80.00\n3,Bo,2025/06/15,9.99\n'
    )
    reordered = (
        "Sum\tOrdered\tNote\tCustomer\tOrder ID\tNote\n1234.50\t2025-06-13T14:05:00Z\tx\tZoë\t1\ty\n"
        "80.00\t2025-06-14T11:00:00+02:00\t\tZoë\t2\t\n9.99\t2025-06-15\t\tBo\t3\t\n"
    )
    words = (
        point
        + '1,Zoë,"Jun 13, 2025 14:05","1,234.50 GBP"\n2,Zoë,14 June 2025 09:00,80.00\n3,Bo,15-Jun-25,9.99\n'
    )
    titled = "Orders of June\n\nsep;by;hand\n".replace("sep;by;hand\n", "") + semicolon
    return {
        "plain": ("a.csv", iso.encode()),
        "utf-16": ("b.txt", iso.encode("utf-16")),
        "windows-1252, comma": ("c.csv", semicolon.encode("cp1252")),
        "titles above, sep= line": ("d.csv", ("sep=;\n" + titled).encode("utf-8-sig")),
        "american": ("e.csv", american.encode()),
        "swiss, CRLF and LF": ("f.csv", swiss.replace("\n", "\r\n", 2).encode()),
        "iso basic, gzip": ("g.csv.gz", gzip.compress(basic.encode())),
        "slashes, commas in seconds": ("h.csv", slashes.encode()),
        "reordered, tabs, a name twice": ("i.tsv", reordered.encode()),
        "words": ("j.csv", words.encode()),
    }


@pytest.mark.parametrize("name", dialects())
def test_ten_dialects_give_the_same_events(warehouse, tmp_path, name):
    """Encodings, marks, dates and orders of columns change no event; even its id is the same."""
    file, content = dialects()[name]
    (tmp_path / file).write_bytes(content)
    plain = empty_warehouse()
    (tmp_path / "plain.csv").write_bytes(dialects()["plain"][1])
    take(plain, tmp_path / "plain.csv", by_options(columns=COLUMNS))

    summary = take(warehouse, tmp_path / file, by_options(columns=COLUMNS))

    assert summary.reasons == {}
    assert stored(warehouse) == stored(plain)
    assert [row[4] for row in stored(warehouse, MONEY)] == [
        Decimal("1234.50"),
        Decimal("80.00"),
        Decimal("9.99"),
    ]


def test_a_workbook_is_read(warehouse, tmp_path):
    """Titles above the table, cells with dates and numbers; the sheet that holds the table is taken."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Empty"
    sheet = book.create_sheet("Orders")
    for row in (
        ["Orders of June"],
        [],
        list(COLUMNS.values()),
        [1, "Zoë", datetime(2025, 6, 13, 14, 5), 1234.5],
    ):
        sheet.append(row)
    book.save(tmp_path / "orders.xlsx")

    take(warehouse, tmp_path / "orders.xlsx", by_options(columns=COLUMNS))

    assert stored(warehouse, MONEY) == [
        ("1", "Zoë", "purchase", datetime(2025, 6, 13, 14, 5), Decimal("1234.50"), "GBP")
    ]


READINGS = [
    # dates and amounts of a file, what is taken of the first row, what the notes say
    (
        ["01/02/2024", "03/02/2024"],
        ["1", "2"],
        "GBP",
        datetime(2024, 2, 1),
        "1",
        "may be read two ways; the day",
    ),
    (
        ["01/02/2024", "02/01/2024"],
        ["1", "2"],
        "GBP",
        datetime(2024, 1, 2),
        "1",
        "keeps the rows in the order of time",
    ),
    (["01/02/2024"], ["1"], "USD", datetime(2024, 1, 2), "1", "custom where money is in USD"),
    (["01/13/2024", "01/02/2024"], ["1", "2"], "GBP", datetime(2024, 1, 13), "1", "only that fits"),
    (["2024-02-01"], ["15.990"], "CLP", datetime(2024, 2, 1), "15990", "read as thousands"),
    (["2024-02-01"], ["15.990"], "KWD", datetime(2024, 2, 1), "15.99", "read as a fraction"),
    (
        ["2024-02-01"] * 2,
        ["1.500", "1,5"],
        "EUR",
        datetime(2024, 2, 1),
        "1500",
        "a comma is the decimal mark",
    ),
    (
        ["2024-02-01"] * 2,
        ["1.500", "2.5"],
        "EUR",
        datetime(2024, 2, 1),
        "1.50",
        "a point is the decimal mark",
    ),
]


@pytest.mark.parametrize(("dates", "amounts", "currency", "day", "amount", "said"), READINGS)
def test_where_two_readings_are_possible_it_says_which_it_took(
    warehouse, tmp_path, dates, amounts, currency, day, amount, said
):
    """
    By the other rows, by the order of rows, by custom; the note says why, and names the option for the other.
    """
    rows = [[str(n), "ann", *each] for n, each in enumerate(zip(dates, amounts, strict=True), start=1)]
    path = write_csv(tmp_path / "x.csv", list(COLUMNS.values()), rows)

    summary = take(warehouse, path, by_options(columns=COLUMNS), currency=currency)

    first = warehouse.execute("select occurred_at, amount from raw.events where order_id = '1'").fetchall()
    assert first == [(day, Decimal(amount))]
    assert any(said in note for note in summary.notes)


def test_an_option_chooses_the_other_reading(warehouse, tmp_path):
    """--date-format and --decimal are taken as said."""
    path = write_csv(tmp_path / "x.csv", list(COLUMNS.values()), [["1", "ann", "01/02/2024", "15.990"]])

    take(warehouse, path, by_options(columns=COLUMNS, dates="month first", decimal="."))

    assert stored(warehouse, "occurred_at, amount") == [(datetime(2024, 1, 2), Decimal("15.99"))]


def test_times_without_a_zone_are_the_shops(warehouse, tmp_path):
    """An order of this hour in Berlin is not in the future; one with an offset keeps its instant."""
    rows = [["1", "ann", "2026-01-01 00:30", "5"], ["2", "ann", "2025-07-01T12:00:00Z", "5"]]
    path = write_csv(tmp_path / "x.csv", list(COLUMNS.values()), rows)

    take(warehouse, path, by_options(columns=COLUMNS), timezone="Europe/Berlin")

    assert stored(warehouse, "occurred_at") == [
        (datetime(2025, 7, 1, 12),),
        (datetime(2025, 12, 31, 23, 30),),
    ]


def test_a_zone_by_its_letters_is_refused_by_name(warehouse, tmp_path):
    """The database takes BST for Dhaka's clock, and a shop means London's."""
    path = write_csv(tmp_path / "x.csv", list(COLUMNS.values()), [["1", "ann", "2025-07-01 12:00", "5"]])

    with pytest.raises(InputError, match="There is no time zone 'BST'"):
        take(warehouse, path, by_options(columns=COLUMNS, timezone="BST"))


def test_two_identical_lines_are_two_shirts_unless_the_feed_has_line_ids(warehouse, tmp_path):
    """Without a line id both count; with one, the same id twice is one line delivered twice."""
    header, row = [*COLUMNS.values(), "Line"], ["1", "ann", "2025-06-01", "5", "7"]
    path = write_csv(tmp_path / "x.csv", header, [row, row])

    take(warehouse, path, by_options(columns=COLUMNS))
    with_lines = empty_warehouse()
    summary = take(with_lines, path, by_options(columns={**COLUMNS, "line_id": "Line"}))

    assert len(stored(warehouse)) == 2
    assert (len(stored(with_lines)), summary.reasons) == (1, {"duplicate": 1})


def test_a_total_that_repeats_counts_once_whatever_stands_between(warehouse, tmp_path):
    """
    Under `amount_of: order` a purchase that comes again is a further line; a refund is none, nor is a
    purchase whose first line is void, nor one of another sum.
    """
    header = [*COLUMNS.values(), "State"]
    rows = [
        ["1", "ann", "2025-06-01", "30", "pending"],
        ["1", "ann", "2025-06-02", "30", "paid"],
        ["1", "ann", "2025-06-02", "30", "paid"],
        ["1", "ann", "2025-06-03", "-5", "paid"],
        ["1", "ann", "2025-06-04", "-5", "paid"],
        ["1", "ann", "2025-06-05", "7", "paid"],
    ]
    path = write_csv(tmp_path / "x.csv", header, rows)

    summary = take(
        warehouse, path, by_options(columns=COLUMNS, status={"column": "State"}, amount_of="order")
    )

    assert [amount for (amount,) in stored(warehouse, "amount")] == [-5, -5, 7, 30]
    assert summary.skipped == {"State: pending": 1, "further line of an order": 1}


def test_each_row_is_divided_by_the_parts_of_its_own_currency(warehouse, tmp_path):
    """As payment services write: yen have no parts, a dinar has a thousand; what went back is alike."""
    warehouse.execute(
        "insert into raw.fx_rates (currency, valid_from, rate_to_reporting) "
        "select unnest(['JPY', 'KWD']), date '2020-01-01', 1"
    )
    rows = [
        ["1", "ann", "2025-06-01", "5000", "jpy", "200"],
        ["2", "ann", "2025-06-01", "15500", "KWD", ""],
        ["3", "ann", "2025-06-01", "2450", "GBP", ""],
    ]
    path = write_csv(tmp_path / "x.csv", [*COLUMNS.values(), "Money", "Back"], rows)
    columns = {**COLUMNS, "currency": "Money"}

    take(warehouse, path, by_options(columns=columns, amounts="cents", refund={"amount": "Back"}))

    assert stored(warehouse, "order_id, cast(amount as varchar)") == [
        ("1", "-200.00"),
        ("1", "5000.00"),
        ("2", "15.50"),
        ("3", "24.50"),
    ]


def test_a_row_with_a_bad_refund_is_quarantined_as_a_whole(warehouse, tmp_path):
    """Rows in = kept + skipped + quarantined, though a row may be two events or none."""
    header = [*COLUMNS.values(), "Back", "Kind"]
    rows = [
        ["1", "ann", "2025-06-01", "5", "2", "real"],
        ["2", "ann", "2025-06-01", "5", "much", "real"],
        ["3", "ann", "2025-06-01", "5", "0", "Test"],
    ]
    path = write_csv(tmp_path / "x.csv", header, rows)
    choice = by_options(columns=COLUMNS, refund={"amount": "Back"}, skip={"Kind": ["test"]})

    summary = take(warehouse, path, choice)

    counts = (summary.rows_in, summary.rows_kept, summary.rows_skipped, summary.rows_quarantined)
    assert counts == (3, 1, 1, 1)
    assert (summary.reasons, summary.skipped) == ({"invalid_amount": 1}, {"Kind: Test": 1})
    assert stored(warehouse, "order_id, amount") == [("1", Decimal("-2.00")), ("1", Decimal("5.00"))]


def test_every_preset_that_ships_is_named():
    """SQL presets and mappings stand in one list."""
    assert {"events", "orders", "shopify_orders", "stripe_payments", "olist"} <= set(preset_names())
