"""`clv inspect`: what an unknown file is, what becomes of its rows, and a mapping that a run finds."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from ingestion_helpers import NOW, empty_warehouse, stored
from markdown_pages import DOCS

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.currencies import named_currency
from clv_ml.ingest.ingestion import ingest
from clv_ml.ingest.inspection import Inspection, inspect, trial_warehouse
from clv_ml.ingest.meanings import meant_kinds
from clv_ml.ingest.scratch import create_reading_macros, name_inputs

GERMAN = (
    "Bestellnummer;Kunde;Datum;Betrag;Bestellstatus\n"
    "B1;K-17;13.06.2025 14:05;1.234,50;bezahlt\nB2;K-17;14.06.2025 09:00;80,00;storniert\n"
    "B3;K-18;15.06.2025 09:00;9,99;Klärung\n"
)


def looked_at(
    folder: Path, text: str | bytes, name: str = "bestellungen.csv", **options: object
) -> Inspection:
    """The file, written into the folder and inspected in pounds with the mappings of that folder."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    choice = Choice(options=options, own_folder=folder / "mappings")
    return inspect((path,), choice, reporting_currency="GBP")


def fed(folder: Path, name: str = "bestellungen.csv"):
    """What ingestion makes of the file with the mapping that was written, and the events that it keeps."""
    choice = Choice(own_folder=folder / "mappings")
    with empty_warehouse() as connection:
        summary = ingest(connection, choice, folder / name, reporting_currency="GBP", now=NOW)
        return summary, stored(connection, "order_id, customer_id, amount")


def test_an_unknown_file_gets_a_mapping_that_reads_it(tmp_path: Path):
    """Columns, decimal comma and day first are found; what was written is all that the next command needs."""
    seen = looked_at(tmp_path, GERMAN.encode("cp1252"))

    assert seen.recognised_as is None
    assert {field: seen.fields[field] for field in ("order_id", "customer_id", "amount")} == {
        "order_id": "'Bestellnummer'",
        "customer_id": "'Kunde'",
        "amount": "'Betrag'",
    }
    assert seen.mapping_file == tmp_path / "mappings" / "bestellungen.yml"
    summary, events = fed(tmp_path)
    assert summary.preset == "bestellungen"
    assert events == [("B1", "K-17", Decimal("1234.50"))]


def test_a_status_that_nobody_knows_is_refused_until_somebody_says(tmp_path: Path):
    """Named in the look, to do in the mapping, counted when fed: one word settles it."""
    seen = looked_at(tmp_path, GERMAN)

    assert any("nobody knows 'Klärung'" in note for note in seen.notes)
    assert (seen.summary.reasons, seen.summary.rows_skipped) == ({"unknown_status": 1}, 1)
    text = seen.mapping_file.read_text(encoding="utf-8")
    assert "To do:" in text and "Klärung" in text
    assert fed(tmp_path)[0].reasons == {"unknown_status": 1}
    mapping = yaml.safe_load(text)
    mapping["status"]["purchase"].append("Klärung")
    seen.mapping_file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    assert fed(tmp_path)[0].reasons == {}


REGISTER = (
    "Belegnummer;Belegart;Kunde;Datum;Betrag\nR1;Rechnung;K-1;13.03.2025;100,00\nR2;Rechnung;K-2;14.03.2025;50,00\n"
    "G1;Gutschrift;K-1;15.03.2025;30,00\nA1;Angebot;K-2;16.03.2025;500,00\n"
)


def test_a_credit_note_gives_money_back_whatever_its_sign(tmp_path: Path):
    """100 and 50 bought, 30 of it credited, an offer of 500 that nobody took: 120 net, and each is said."""
    seen = looked_at(tmp_path, REGISTER)

    assert any("'Gutschrift' gives money back" in note for note in seen.notes)
    summary, events = fed(tmp_path)
    assert (summary.reasons, summary.skipped) == ({}, {"Belegart: Angebot": 1})
    assert [(order, amount) for order, _, amount in events] == [("G1", -30), ("R1", 100), ("R2", 50)]


DOCUMENTS = {
    "Type de document": ("Facture", "Avoir"),
    "Tipo de documento": ("Factura", "Nota de Crédito"),
    "Tipo documento": ("Fattura", "Nota di credito"),
    "Documentsoort": ("Factuur", "Creditnota"),
    "Fatura Türü": ("Satış Faturası", "İade Faturası"),
    "Rodzaj dokumentu": ("Faktura VAT", "Faktura korygująca"),
    "Document Type": ("Invoice", "Credit Note"),
    "Type": ("Sale", "Return"),
}
"""What a type of document is called, an invoice, and a credit note."""


def test_credit_notes_are_known_in_many_languages():
    """Each column is found, its words are told apart, and nothing is left to do."""
    with trial_warehouse() as connection:
        name_inputs(connection, "raw")
        create_reading_macros(connection, "UTC")
        for column, (invoice, credit) in DOCUMENTS.items():
            notes: list[str] = []
            connection.execute(
                f'create or replace temp table feed as select unnest($words) as "{column}"',
                {"words": [invoice, invoice, credit]},
            )

            kind = meant_kinds(connection, (column,), notes)

            meant = {"column": column, "purchase": [invoice], "refund": [credit], "no_purchase": []}
            assert kind == meant
            assert not any("nobody knows" in note for note in notes)


def test_a_type_of_document_that_nobody_knows_is_refused_until_somebody_says(tmp_path: Path):
    """Codes of an accounting system alone: nothing is bought before the mapping says what they are."""
    text = REGISTER.replace("Rechnung", "RV").replace("Gutschrift", "RG").replace("Angebot", "RV")

    seen = looked_at(tmp_path, text)

    assert seen.summary.reasons == {"unknown_kind": 4}
    assert any("nobody knows 'RV'" in note for note in seen.notes)
    mapping = yaml.safe_load(seen.mapping_file.read_text(encoding="utf-8"))
    mapping["kind"] |= {"purchase": ["RV"], "refund": ["RG"]}
    seen.mapping_file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    assert sum(amount for *_, amount in fed(tmp_path)[1]) == 620


def test_a_payment_beside_its_invoice_is_no_second_purchase(tmp_path: Path):
    """100 invoiced and paid is 100; in a list of payments alone, the payment is what was bought."""
    lines = REGISTER.splitlines()
    paid = "Z1;Zahlung;K-1;17.03.2025;100,00"

    looked_at(tmp_path, "\n".join([*lines[:2], paid, ""]))
    beside = fed(tmp_path)[1]
    (tmp_path / "mappings" / "bestellungen.yml").unlink()
    looked_at(tmp_path, "\n".join([lines[0], paid, ""]), "zahlungen.csv")

    assert [row[0] for row in beside] == ["R1"]
    assert [row[0] for row in fed(tmp_path, "zahlungen.csv")[1]] == ["Z1"]


def test_a_column_that_no_mapping_reads_and_that_says_refund_is_named(tmp_path: Path):
    """Read by options alone, the credit note of 30 is a purchase: a warning with the money and the option."""
    (tmp_path / "x.csv").write_text(REGISTER, encoding="utf-8")
    columns = {"order_id": "Belegnummer", "customer_id": "Kunde", "occurred_at": "Datum", "amount": "Betrag"}

    def warnings(**options: object) -> tuple[str, ...]:
        with empty_warehouse() as connection:
            choice = Choice(options={"columns": columns, **options})
            return ingest(connection, choice, tmp_path / "x.csv", reporting_currency="GBP", now=NOW).warnings

    (told,) = warnings()
    assert "2 rows are read as purchases, 530.00 in all" in told and '--map kind="Belegart"' in told
    assert warnings(kind="Belegart") == ()


def test_what_is_said_completes_the_proposal(tmp_path: Path):
    """A register has no amount but debit and credit: the one option that the error asks for is enough."""
    text = (
        "Date,Doc No,Type,Customer,Debit,Credit,Balance\n13/02/2025,INV-1,Invoice,Acme,1000.00,,1000.00\n"
        "15/02/2025,PAY-1,Payment,Acme,,1000.00,0.00\n20/02/2025,CN-1,Credit Note,Acme,,50.00,-50.00\n"
    )
    with pytest.raises(InputError, match='--map amount="COLUMN"'):
        looked_at(tmp_path, text)

    looked_at(tmp_path, text, columns={"amount": ["Debit", "Credit"]})

    assert [(order, amount) for order, _, amount in fed(tmp_path)[1]] == [("CN-1", -50), ("INV-1", 1000)]


def test_terms_with_an_amount_for_each_month_are_no_payments(tmp_path: Path):
    """One payment a row would lose all others: refused, with the page that shows how to expand them."""
    text = "customer,start_date,end_date,monthly_amount\nann,2025-01-01,2025-04-01,10\n"

    with pytest.raises(InputError, match=r"from 'start_date' to 'end_date' with 'monthly_amount'.*SQL"):
        looked_at(tmp_path, text)
    one = looked_at(tmp_path, text.replace("monthly_amount", "amount"))
    assert any("counts as one payment, on its first day" in each for each in one.summary.warnings)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("Returned", "Yes", "1 row is read as a purchase, 9.00 in all, where 'Returned' says 'Yes'"),
        ("storniert", "ja", "1 row is read as a purchase, 9.00 in all, where 'storniert' says 'ja'"),
        ("Qty", "-1", "1 row has a negative number of pieces in 'Qty' and counts as bought, 9.00 in all"),
    ],
)
def test_what_came_back_by_a_flag_or_by_pieces_is_said(tmp_path: Path, header: str, row: str, said: str):
    """The amount has no sign: it is a purchase until somebody says, and the money is named."""
    text = f"Order,Customer ID,Date,Amount,{header}\n1,ann,2025-01-13,5,0\n2,ann,2025-01-14,9,{row}\n"

    seen = looked_at(tmp_path, text)

    assert any(said in warning for warning in seen.summary.warnings), seen.summary.warnings


@pytest.mark.parametrize(
    "text",
    [
        "Order,Customer ID,Date,Amount\n1,ann,2025-01-13,5\n2,ann,2025-01-13,9\n",
        "Invoice,StockCode,Quantity,InvoiceDate,Price,Customer ID,Currency\n1,a,1,2025-01-13,5,ann,EUR\n"
        "2,b,1,2025-01-13,9,ann,EUR\n",
    ],
)
def test_a_file_that_a_known_data_set_resembles_is_its_own_shops(tmp_path: Path, text: str):
    """CDNOW merges a customer's day and counts in dollars, Online Retail in pounds: another shop does not."""
    seen = looked_at(tmp_path, text)

    assert seen.recognised_as is None
    assert seen.fields["order_id"] in ("'Order'", "'Invoice'")
    assert {row[seen.after.columns.index("currency")] for row in seen.after.rows} <= {"GBP", "EUR"}
    assert seen.after.columns.count("currency") == 1 and len(seen.after.rows) == 2


@pytest.mark.parametrize(
    ("amount", "order", "written"),
    [("amount_cents", "7", "19.99"), ("amount", "ch_7", "19.99"), ("amount", "7", "1999.00")],
)
def test_cents_are_told_by_their_name_or_by_whose_ids_stand_beside(tmp_path: Path, amount, order, written):
    """What programs write is a hundred times too much for a reader; where nothing tells, it is said."""
    seen = looked_at(
        tmp_path, f"id,customer id,created,{amount}\n{order},c,2025-01-01,1999\n{order}1,c,2025-01-02,2450\n"
    )

    assert seen.after.rows[0][seen.after.columns.index("amount")] == written
    assert any("amounts=" in note for note in seen.notes)


def test_a_list_of_customers_is_no_list_of_orders(tmp_path: Path):
    """Each once, with the number of their orders and what they spent: nobody knows when."""
    text = "customer_id,last_order_date,orders,total_spent\na1,2025-02-01,5,500\na2,2025-01-01,2,80\n"

    with pytest.raises(InputError, match="a customer with the number of orders in 'orders', no order"):
        looked_at(tmp_path, text)


def test_words_around_a_refund_do_not_hide_it(tmp_path: Path):
    """As payment services write it; without invoices a payment is what was bought, a withdrawal is none."""
    text = (
        "Transaction ID,Type,Name,Date,Gross\nT1,Express Checkout Payment,Ann,13/02/2025,50\n"
        "T2,Payment Refund,Ann,15/02/2025,-20\nT3,General Withdrawal,,16/02/2025,-30\n"
    )

    looked_at(tmp_path, text, columns={"customer_id": "Name"})

    summary, events = fed(tmp_path)
    assert [(order, amount) for order, _, amount in events] == [("T1", 50), ("T2", -20)]
    assert summary.skipped == {"Type: General Withdrawal": 1}


def test_the_example_of_the_manual_expands_terms(tmp_path: Path):
    """Ann pays 10 for three months, Bob 20 from October on; what is fed again next month is known."""
    page = (DOCS / "how-to" / "own-data.md").read_text(encoding="utf-8")
    (tmp_path / "terms.sql").write_text(
        page.split("## Subscriptions")[1].split("```sql\n")[1].split("```")[0]
    )
    (tmp_path / "terms.csv").write_text(
        "customer,start_date,end_date,monthly_amount\nann,2025-01-31,2025-04-30,10\nbob,2025-10-01,,20\n"
    )

    with empty_warehouse() as connection:
        choice = Choice(preset="terms", own_folder=tmp_path)
        first = ingest(connection, choice, tmp_path / "terms.csv", reporting_currency="EUR")
        again = ingest(connection, choice, tmp_path / "terms.csv", reporting_currency="EUR")
        months = stored(connection, "customer_id, cast(occurred_at as date)::varchar, amount")

    assert [month for month in months if month[0] == "ann"] == [
        ("ann", day, 10) for day in ("2025-01-31", "2025-02-28", "2025-03-31")
    ]
    assert [day for who, day, _ in months if who == "bob"][:3] == ["2025-10-01", "2025-11-01", "2025-12-01"]
    assert (first.reasons, again.rows_new) == ({}, 0)


@pytest.mark.parametrize(
    ("name", "currency"),
    [
        ("Amount (USD)", "USD"),
        ("total_eur", "EUR"),
        ("Betrag €", "EUR"),
        ("Total in Euro", "EUR"),
        ("Amount (net)", ""),
        ("Order Total", ""),
        ("Price (incl. VAT)", ""),
        ("Total ($)", ""),
    ],
)
def test_a_name_tells_one_currency_or_none(name: str, currency: str):
    """Codes and signs at its end or in brackets; a sign of many currencies tells none."""
    assert named_currency(name) == currency


@pytest.mark.parametrize(("header", "currency"), [("Amount (USD)", "USD"), ("Order Total", "EUR")])
def test_the_name_of_the_amount_comes_before_a_column_of_the_orders_currency(
    tmp_path: Path, header: str, currency: str
):
    """Whatever the shop counts in; and it is said."""
    seen = looked_at(tmp_path, f"Order,Customer,Date,{header},Currency\n1,ann,2025-01-01,10,EUR\n")

    assert seen.after.rows[0][seen.after.columns.index("currency")] == currency
    assert any(currency in note for note in seen.notes if note.startswith("currency"))


def test_a_currency_that_a_column_says_and_another_name_denies_is_said(tmp_path: Path):
    """The mapping of the user holds; which rows the name of the amount contradicts is told."""
    text = "Order,Customer,Date,Currency,Amount (USD)\n1,ann,2025-01-01,EUR,10\n2,ann,2025-01-02,USD,10\n"

    seen = looked_at(tmp_path, text, columns={"currency": {"first_of": ["Currency"]}})

    assert any("'Amount (USD)' names USD, and 1 row says otherwise, such as 'EUR'" in n for n in seen.notes)


def test_times_are_on_the_clock_that_their_row_names(tmp_path: Path):
    """10:00 in New York in summer is 14:00 UTC, in London 9:00; of a zone that nobody knows it is said."""
    header, *zones = "Order,Customer,Date,Time Zone,Total", "Eastern Time (US & Canada)", "London", "Narnia"
    rows = [f"{n},ann,2025-06-21 10:00,{zone},5" for n, zone in enumerate(zones)]

    seen = looked_at(tmp_path, "\n".join([header, *rows, ""]))

    place = seen.after.columns.index("occurred_at")
    assert [row[place][11:16] for row in seen.after.rows] == ["14:00", "09:00", "10:00"]
    assert any("nobody knows the zone 'Narnia'" in note for note in seen.notes)


def test_a_column_that_holds_the_shop_itself_is_no_customer(tmp_path: Path):
    """`Client` is the same on every row: another column tells who bought, and it is said why."""
    rows = "".join(f"{n},ACME Ltd,b{n % 4},2025-01-{n:02},10\n" for n in range(10, 22))

    seen = looked_at(tmp_path, f"Invoice,Client,Buyer,Date,Amount\n{rows}")

    assert seen.fields["customer_id"] == "'Buyer'"
    assert any("since 'Client' holds 'ACME Ltd' alone" in note for note in seen.notes)


@pytest.mark.parametrize("word", ["İade", "iade edildi", "reso", "Retourniert", "devuelto"])
def test_what_came_back_whole_is_no_purchase(tmp_path: Path, word: str):
    """Where no column says how much was given back, an order that was returned counts for nothing."""
    seen = looked_at(tmp_path, GERMAN.replace("Klärung", word))

    assert seen.summary.reasons == {}
    assert [row[0] for row in fed(tmp_path)[1]] == ["B1"]


def test_what_is_shown_is_before_and_after_in_the_files_words(tmp_path: Path):
    """Five rows at most, the file's columns before, the contract's after; nothing of how they are kept."""
    rows = "".join(f"B{n};K{n};1{n}.06.2025;{n},00;bezahlt\n" for n in range(10, 17))
    seen = looked_at(tmp_path, GERMAN.splitlines()[0] + "\n" + rows.replace(";1", ";").replace(";1", ";"))

    assert len(seen.before.rows) == 5
    assert set(seen.before.columns) == set(GERMAN.splitlines()[0].split(";"))
    assert not {"feed_id", "event_id"} & set(seen.after.columns)


def test_two_readings_of_a_date_are_said_with_the_way_to_the_other(tmp_path: Path):
    """Every day is 12 or less: which number is the month is a choice, and it is named."""
    text = "order number,customer,order date,total\n1,ann,01/02/2024,5\n2,bob,03/04/2024,6\n"

    seen = looked_at(tmp_path, text, "orders_of_spring.csv")
    other = looked_at(tmp_path / "mappings", text, "other.csv", dates="month first")

    assert any("--date-format" in note for note in seen.notes), seen.notes
    assert not any("--date-format chooses" in note for note in other.notes)


def test_a_mapping_of_that_name_is_not_replaced(tmp_path: Path):
    """It may have been corrected by hand."""
    looked_at(tmp_path, GERMAN)
    (tmp_path / "mappings" / "bestellungen.yml").write_text("recognised_by: [nothing of it]\ncolumns: {}\n")

    with pytest.raises(InputError, match=r"bestellungen\.yml is there already\. Give --overwrite"):
        looked_at(tmp_path, GERMAN)


def test_a_known_export_needs_no_mapping(tmp_path: Path):
    """It is named, and nothing is written."""
    seen = looked_at(tmp_path, "order_id,customer_id,ordered_at,amount\n1,ann,2024-01-01,5\n", "orders.csv")

    assert (seen.recognised_as, seen.mapping_file) == ("orders", None)
    assert not (tmp_path / "mappings").exists()


def test_a_file_without_purchases_is_refused_with_its_columns(tmp_path: Path):
    """Nothing is guessed of it."""
    with pytest.raises(InputError, match=r"Its columns are 'colour', 'size'"):
        looked_at(tmp_path, "colour,size\nred,5\n", "stock.csv")


EXPORTS = {
    "an invoice's total beside amounts of its lines": (
        "*ContactName,EmailAddress,InvoiceNumber,InvoiceDate,Total,InventoryItemCode,LineAmount,Type\n"
        "Acme,a@acme.com,INV-1,13/06/2025,120.00,X,60.00,Sales invoice\n"
        "Acme,a@acme.com,INV-1,13/06/2025,120.00,Y,40.00,Sales invoice\n"
        "Acme,a@acme.com,CN-1,14/06/2025,24.00,Y,20.00,Sales credit note\n",
        {"a@acme.com": "96.00"},
    ),
    "an order's total on its first line alone": (
        '"Record","Order Number","Buyer Username","Buyer Email","Item Title","Total Price","Sale Date"\n'
        '"101","11-1","ann_b","a@x.com","Mug","£22.00","13-Jun-25"\n'
        '"101","11-1","ann_b","","Bowl","","13-Jun-25"\n'
        '"102","11-2","bob_c","b@x.com","Mug","£12.00","14-Jun-25"\n',
        {"ann_b": "22.00", "bob_c": "12.00"},
    ),
    "what an item came to, beside its price": (
        "Sale Date,Item Name,Buyer,Quantity,Price,Discount Amount,Item Total,Order ID\n"
        "06/13/25,Mug,ann,2,12.50,5.00,20.00,3000\n06/13/25,Bowl,ann,1,30.00,0,30.00,3000\n",
        {"ann": "50.00"},
    ),
    "payments with what was given back": (
        "Date,Payment method,Amount,Status,ID,Consumer name,Amount refunded\n"
        "2025-06-13 10:00:00,ideal,49.95,paid,tr_1,Ann de Vries,0.00\n"
        "2025-06-14 10:00:00,card,20.00,paid,tr_2,Bob Jansen,5.00\n"
        "2025-06-15 10:00:00,ideal,30.00,charged_back,tr_3,Bob Jansen,30.00\n",
        {"Ann de Vries": "49.95", "Bob Jansen": "15.00"},
    ),
    "a till's receipts in groups": (
        "取引日時,レシート番号,会員番号,商品名,数量,単価,小計,支払金額\n"
        "2025年6月13日 10:15,R001,M01,お茶,2個,500円,1000円,1800円\n,,,ケーキ,1個,800円,800円,\n"
        "2025年6月14日 12:00,R002,M02,お茶,１個,５００円,５００円,５００円\n",
        {"M01": "1800.00", "M02": "500.00"},
    ),
    "an Arabic list": (
        "رقم الطلب,العميل,التاريخ,المبلغ\n١٠٠١,أحمد,٢٠٢٥/٠٦/١٣,١٢٣٤٫٥٠\n١٠٠٢,سارة,٢٠٢٥/٠٦/١٥,٩٩٫٠٠\n",
        {"أحمد": "1234.50", "سارة": "99.00"},
    ),
    "a Polish list": (
        "Nr zamówienia;Data zamówienia;E-mail;Wartość brutto;Status zamówienia\n"
        "Z/1;12 marca 2025 10:00;l@x.pl;1 234,50;Zrealizowane\nZ/2;13 marca 2025;a@x.pl;99,00;Anulowane\n"
        "Z/3;1 kwi 2025 12:30;l@x.pl;50,00;Wysłane\n",
        {"l@x.pl": "1284.50"},
    ),
}
"""What shops export: the text, and what each customer came to, worked by hand."""


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_proposed_for_an_export_counts_its_money_once(tmp_path: Path, name: str):
    """The mapping that was written, as it is, gives each customer what they paid and kept."""
    text, paid = EXPORTS[name]
    looked_at(tmp_path, text)

    choice = Choice(own_folder=tmp_path / "mappings")
    currency = "JPY" if "円" in text else "GBP"
    with empty_warehouse() as connection:
        ingest(connection, choice, tmp_path / "bestellungen.csv", reporting_currency=currency, now=NOW)
        money = connection.execute(
            "select customer_id, sum(amount) from raw.events group by customer_id"
        ).fetchall()

    assert dict(money) == {customer: Decimal(amount) for customer, amount in paid.items()}
