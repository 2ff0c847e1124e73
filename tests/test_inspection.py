"""`clv inspect`: what an unknown file is, what becomes of its rows, and a mapping that a run finds."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from ingestion_helpers import NOW, empty_warehouse, stored

from clv_ml.errors import InputError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.ingestion import ingest
from clv_ml.ingest.inspection import Inspection, inspect

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
