"""Each known feed lands in the contract's columns, the real files with their known figures."""

import re
from datetime import datetime
from decimal import Decimal
from hashlib import md5

import pytest
from ingestion_helpers import (
    ROOT,
    SHARED_DATA,
    empty_warehouse,
    everything,
    feed,
    stored,
    write_csv,
    write_events,
)

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.presets import load_preset, preset_names, sql_preset_names
from clv_ml.warehouse.input_contract import contract

RETAIL_HEADER = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
SOURCES = sorted((ROOT / "dbt_project" / "ingestion").glob("*.sql"))


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


def real(path):
    """The path of a real file, or a skip that says which is absent."""
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    return path


@pytest.mark.parametrize("name", sql_preset_names())
def test_every_preset_declares_itself(name):
    """The shipped presets parse, and passing an empty feed through each one binds."""
    preset = load_preset(name)

    assert preset.table in contract()
    assert preset.required
    assert (preset.event_id_rule is None) == (preset.table != "events")


@pytest.mark.parametrize("name", sql_preset_names())
def test_every_required_column_is_missed_by_name(warehouse, tmp_path, name):
    """A feed without one required column names the column, the file, what it has, and what to do."""
    required = [" or ".join(names) for names in load_preset(name).required]
    first_names = [names[0] for names in load_preset(name).required]
    for position, column in enumerate(required):
        header = [*first_names[:position], *first_names[position + 1 :], "other"]
        path = write_csv(tmp_path / "feed.csv", header, [])

        with pytest.raises(InputError) as error:
            feed(warehouse, path, name)

        message = str(error.value)
        assert f"{path} lacks {column}, which preset" in message
        assert f"It has: {', '.join(header)}. Rename" in message


@pytest.mark.parametrize("name", sql_preset_names())
def test_the_required_columns_alone_suffice(warehouse, tmp_path, name):
    """A feed with no optional column, and under any of the alternative names, is read."""
    for choice in (0, -1):
        path = write_csv(tmp_path / "feed.csv", [names[choice] for names in load_preset(name).required], [])

        assert feed(warehouse, path, name).rows_in == 0


def test_an_unknown_preset_names_the_known_ones(warehouse, tmp_path):
    """A name is looked up in the list of presets, never used as a path."""
    path = write_events(tmp_path / "events.csv", {})

    for name in ("shopify", "../presets/events", " "):
        with pytest.raises(
            InputError, match="Presets are: acquisition_costs, amazon_orders, attributes, big"
        ):
            feed(warehouse, path, name)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("-- table: customers\nselect 1", "must declare '-- table:'"),
        ("-- table: events\nselect 1", "must declare '-- event_id:'"),
        ("-- table: fx_rates\n-- event_id: given\nselect 1", "must declare '-- event_id:'"),
    ],
)
def test_a_preset_that_does_not_declare_itself_is_refused(tmp_path, sql, message):
    """A team's own preset fails with the line that it lacks."""
    (tmp_path / "own.sql").write_text(sql)

    with pytest.raises(InputError, match=message):
        load_preset("own", tmp_path)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("select feed_row, nonsense as customer_id from feed", "cannot map"),
        ("select feed_row, 'x' as nonsense from feed", "cannot map"),
        ("select * from feed where customer_id <> 'ann'", "loses or repeats rows"),
        ("select * from feed union all select * from feed", "loses or repeats rows"),
        ("select feed_row + 1 as feed_row, customer_id from feed", "loses or repeats rows"),
    ],
)
def test_a_preset_that_does_not_keep_the_rows_is_refused(warehouse, tmp_path, select, message):
    """A mapping is row by row: a filter in a preset would lose rows in silence."""
    (tmp_path / "own.sql").write_text(
        f"-- table: events\n-- event_id: content\n-- requires: customer_id\n{select}"
    )
    path = write_csv(tmp_path / "feed.csv", ["customer_id"], [["ann"], ["bob"]])

    with pytest.raises(InputError, match=message):
        feed(warehouse, path, Choice(preset="own", own_folder=tmp_path))

    assert not any(everything(warehouse))


def test_the_simulator_is_read_as_events(warehouse, tmp_path):
    """Same columns, same preset, same ids: feeding a file under either name is feeding it twice."""
    path = write_events(tmp_path / "events.csv", {})

    feed(warehouse, path, "simulator")

    assert feed(warehouse, path, "events").rows_new == 0


def test_orders(warehouse, tmp_path):
    """
    A negative amount refunds the order it names; an identical line is another shirt; without a currency it is
    the shop's.
    """
    header = ["order_id", "customer_id", "ordered_at", "amount", "currency"]
    rows = [
        ["o1", "ann", "2025-01-01", "10.50", "gbp"],
        ["o1", "ann", "2025-01-01T00:00:00Z", "10.5", "GBP"],
        ["o1", "ann", "2025-01-05", "-10.50", "GBP"],
        ["o2", "bob", "2025-01-02", "abc", "GBP"],
        ["o3", "bob", "2025-01-03", "0", "GBP"],
    ]

    summary = feed(warehouse, write_csv(tmp_path / "orders.csv", header, rows), "orders")

    assert summary.reasons == {"invalid_amount": 1}
    assert stored(warehouse, "order_id, event_type, amount") == [
        ("o1", "purchase", Decimal("10.50")),
        ("o1", "purchase", Decimal("10.50")),
        ("o1", "refund", Decimal("-10.50")),
        ("o3", "purchase", Decimal("0.00")),
    ]


def test_orders_have_the_ids_that_they_always_had(warehouse, tmp_path):
    """
    A file that an older version fed changes nothing: an event's id is the hash of the preset and of its
    content, letters of e-mail addresses as they are.
    """
    values = ["Ann@x.example", "purchase", "2025-01-01 12:00:00", "", "o1", "", "", "2.000", "10.50", "GBP"]
    content = md5(chr(31).join(values).encode()).hexdigest()
    event_id = md5(f"orders{chr(31)}{content}".encode()).hexdigest()
    warehouse.execute(
        "insert into raw.events values (?, 'Ann@x.example', 'purchase', timestamp '2025-01-01 12:00:00', "
        "timestamp '2025-01-01 12:00:00', null, 'o1', null, null, 2, 10.50, 'GBP', null)",
        [event_id],
    )
    header = ["order_id", "customer_id", "ordered_at", "amount", "currency", "quantity"]
    rows = [["o1", "Ann@x.example", "2025-01-01 12:00", "10.50", "GBP", "2"]]

    summary = feed(warehouse, write_csv(tmp_path / "orders.csv", header, rows), "orders")

    assert (summary.rows_kept, summary.rows_new) == (1, 0)
    assert stored(warehouse, "event_id") == [(event_id,)]


def test_online_retail_ii(warehouse, tmp_path):
    """
    Lines keep their own money, identical lines are two, C invoices are refunds, fees are money, ids are
    whole.
    """
    rows = [
        ["489434", "85048", "x", "12", "2009-12-01 07:45:00", "6.95", "13085.0", "UK"],
        ["489434", "85048", "x", "12", "2009-12-01 07:45:00", "6.95", "13085.0", "UK"],
        ["489435", "POST", "x", "1", "2009-12-01 07:46:00", "18", "13085", "France"],
        ["489436", "M", "x", "3", "2009-12-01 07:47:00", "0.005", "10", "UK"],
        ["489437", "gift", "x", "1", "2009-12-01 07:48:00", "0.0", "10", "UK"],
        ["C489449", "85048 ", "x", "-12", "2009-12-01 10:33:00", "6.95", "13085.0", "UK"],
        ["A506401", "B", "Adjust bad debt", "1", "2010-04-29 13:36:00", "-53594.36", "", "UK"],
        ["489464", "21733", "mixed", "-96", "2009-12-01 10:52:00", "0.0", "", "UK"],
        ["489465", "21733", "x", "two", "2009-12-01 10:52:00", "1", "10", "UK"],
        ["489466", "21733", "x", "2", "2009-12-01 10:52:00", "nan", "10", "UK"],
    ]

    summary = feed(warehouse, write_csv(tmp_path / "retail.csv", RETAIL_HEADER, rows), "online_retail_ii")

    assert summary.reasons == {"no_customer_id": 2, "invalid_amount": 1, "invalid_quantity": 1}
    columns = "order_id, customer_id, event_type, product_id, quantity, amount"
    line = ("489434", "13085", "purchase", "85048", Decimal("12.000"), Decimal("83.40"))
    assert stored(warehouse, columns) == [
        line,
        line,
        ("489435", "13085", "purchase", "POST", Decimal("1.000"), Decimal("18.00")),
        ("489436", "10", "purchase", "M", Decimal("3.000"), Decimal("0.02")),
        ("489437", "10", "purchase", "gift", Decimal("1.000"), Decimal("0.00")),
        ("C489449", "13085", "refund", "85048", Decimal("-12.000"), Decimal("-83.40")),
    ]
    assert stored(warehouse, "min(occurred_at), min(currency), max(category)") == [
        (datetime(2009, 12, 1, 7, 45), "GBP", None)
    ]


def test_cdnow(warehouse, tmp_path):
    """
    A customer's day is an order, identical rows are two purchases, zero dollars are kept; the sample is
    known.
    """
    rows = [["1", "1997-01-01", "1", "11.77"]] * 2 + [["1", "1997-01-02", "2", "0.0"]]
    full = write_csv(tmp_path / "full.csv", ["customer_id", "date", "number_of_cds", "dollar_value"], rows)
    sample = write_csv(tmp_path / "sample.csv", ["master_id", "date", "n_cds", "amount"], rows[1:])

    feed(warehouse, full, "cdnow", reporting_currency="USD")
    again = feed(warehouse, sample, "cdnow", reporting_currency="USD")

    assert stored(warehouse, "order_id, quantity, amount, currency") == [
        ("1-1997-01-01", Decimal("1.000"), Decimal("11.77"), "USD"),
        ("1-1997-01-01", Decimal("1.000"), Decimal("11.77"), "USD"),
        ("1-1997-01-02", Decimal("2.000"), Decimal("0.00"), "USD"),
    ]
    assert (again.rows_kept, again.rows_new) == (2, 0)


@pytest.mark.long
def test_the_real_online_retail_ii(warehouse):
    """The 235,287 lines without a customer are quarantined, all others kept, and the money is exact."""
    path = real(SHARED_DATA / "online_retail_ii.parquet")

    summary = feed(warehouse, path, "online_retail_ii")

    assert (summary.rows_in, summary.rows_kept) == (1_044_847, 809_560)
    assert summary.reasons == {"no_customer_id": 235_287}
    figures = "count(*) filter (event_type = 'refund'), count(distinct order_id), count(distinct event_id)"
    assert stored(warehouse, figures) == [(18_446, 44_876, 809_560)]
    in_file = warehouse.execute(
        "select sum(cast(round(Quantity * cast(UnitPrice as decimal(18, 6)), 2) as decimal(18, 2))), "
        "count(distinct CustomerID) from read_parquet(?) where CustomerID is not null",
        [str(path)],
    ).fetchall()
    assert stored(warehouse, "sum(amount), count(distinct customer_id)") == in_file


@pytest.mark.parametrize(
    ("path", "rows", "orders", "free", "total"),
    [
        pytest.param(SHARED_DATA / "cdnow.parquet", 69_659, 67_591, 80, Decimal("2500315.63"), id="cdnow"),
        pytest.param(
            SHARED_DATA / "cdnow_sample.parquet", 6_919, 6_696, 8, Decimal("244091.94"), id="cdnow_sample"
        ),
    ],
)
def test_the_real_cdnow(warehouse, path, rows, orders, free, total):
    """Every purchase is kept, free ones included."""
    summary = feed(warehouse, real(path), "cdnow", reporting_currency="USD")

    assert (summary.rows_in, summary.rows_kept, summary.reasons) == (rows, rows, {})
    figures = "count(distinct order_id), count(*) filter (amount = 0), sum(amount)"
    assert stored(warehouse, figures) == [(orders, free, total)]


def test_the_manual_explains_every_reason():
    """A reason that the SQL or the reader gives stands in docs/reference/feeds.md, and no other does."""
    sql = "".join(path.read_text() for path in SOURCES)
    given = set(re.findall(r"(?:then|else) '([a-z_0-9]+)'", sql)) - {"purchase", "refund", "either"}
    given |= {"unknown_status", "unknown_kind", "circular_merge"}  # of a mapping, and of all merges together
    manual = (ROOT / "docs" / "reference" / "feeds.md").read_text(encoding="utf-8")
    reasons = manual.split("## Reasons")[1]

    assert set(re.findall(r"^\| `([a-z_0-9]+)` \|", reasons, flags=re.MULTILINE)) == given
    for name in preset_names():
        assert f"`{name}`" in manual
