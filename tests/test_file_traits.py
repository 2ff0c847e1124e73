"""Each trait of real files is read as it is meant: every row counted, every amount as worked by hand."""

import csv
import io
import re
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from file_traits import TRAITS, Trait
from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion_helpers import NOW, empty_warehouse, stored
from markdown_pages import DOCS

from clv_ml.ingest.ingestion import ingest_together
from clv_ml.ingest.options import choice_from


@pytest.mark.parametrize("trait", TRAITS, ids=lambda trait: trait.name)
def test_a_trait_is_read_as_it_is_meant(tmp_path, trait: Trait):
    """
    Events, refused and skipped rows are those worked by hand, no row is lost, and what was taken is said.
    """
    path = tmp_path / trait.file
    path.write_bytes(trait.content)

    with empty_warehouse() as warehouse:
        (summary,) = ingest_together(
            warehouse,
            choice_from(maps=trait.maps),
            (path,),
            reporting_currency=trait.currency,
            timezone=trait.timezone,
            now=NOW,
        )
        events = stored(warehouse, "customer_id, order_id, event_type, occurred_at, amount, currency")

    assert events == sorted((*event[:4], Decimal(event[4]), event[5]) for event in trait.events)
    assert (summary.reasons, summary.rows_skipped) == (trait.reasons, trait.skipped)
    assert summary.rows_in == summary.rows_kept + summary.rows_skipped + summary.rows_quarantined
    words = [*summary.notes, *summary.warnings, *(refusal.sentence for refusal in summary.refusals)]
    assert any(trait.said in said for said in words) or not trait.said, words


ARABIC = str.maketrans("0123456789,.", "٠١٢٣٤٥٦٧٨٩٬٫")
GERMAN_MARKS = str.maketrans(",.", ".,")
STYLES = {
    "point": (lambda value: f"{value:,.2f}", ","),
    "comma": (lambda value: f"{value:,.2f}".translate(GERMAN_MARKS), ";"),
    "apostrophe": (lambda value: f"{value:,.2f}".replace(",", "'"), ";"),
    "thin spaces": (lambda value: f"{value:,.2f}".replace(",", "\u202f"), "\t"),
    "Arabic": (lambda value: f"{value:,.2f}".translate(ARABIC), "|"),
    "sign": (lambda value: f"£{value:,.2f}", ","),
    "plain": (lambda value: str(value), ","),
}
GERMAN = ("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.")
POLISH = ("sty", "lutego", "marca", "kwietnia", "maja", "cze", "lipca", "sierpnia")
EPOCH = datetime(1970, 1, 1)
CLOCKS = {
    **{
        form: lambda at, form=form: at.strftime(form)
        for form in (
            "%Y-%m-%d %H:%M",
            "%d.%m.%Y %H:%M",
            "%m/%d/%Y %I:%M %p",
            "%Y/%m/%d %H:%M:%S",
            "%d %b %Y %H:%M",
            "%Y%m%dT%H%M%S",
            "%Y-%m-%dT%H:%M:%S+00:00",
        )
    },
    "German": lambda at: f"{at.day}. {GERMAN[at.month - 1]} {at:%Y %H:%M}",
    "Polish": lambda at: f"{at.day} {POLISH[at.month - 1]} {at:%Y, %H:%M}",
    "Arabic": lambda at: f"{at:%Y-%m-%d %H:%M}".translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    "serial": lambda at: str((at - datetime(1899, 12, 30)).total_seconds() / 86400),
    "milliseconds": lambda at: str(int((at - EPOCH).total_seconds()) * 1000),
}
HEAD = ("Order-ID", "customer id", "ORDERED AT", "Amount", "Product", "State", "Belegart")
PAID = ("mug", "paid", "Rechnung")
EXTRAS = {
    "grand total": (("Grand total", "", "", "9", "", "", ""), "skipped"),
    "total of a group": (("", "ann Total", "", "9", "", "", ""), "skipped"),
    "empty": (("",) * 7, "skipped"),
    "void": (("90", "ann", "2025-05-14 13:30", "9", "mug", "void", "Rechnung"), "skipped"),
    "offer": (("91", "ann", "2025-05-14 13:30", "9", "mug", "paid", "Angebot"), "skipped"),
    "guest": (("92", "guest", "2025-05-14 13:30", "9", *PAID), "no_customer_id"),
    "nobody's": (("", "", "", "9", "", "", ""), "invalid_occurred_at"),
    "odd status": (("93", "ann", "2025-05-14 13:30", "9", "mug", "odd", "Rechnung"), "unknown_status"),
    "odd type": (("94", "ann", "2025-05-14 13:30", "9", "mug", "paid", "RV"), "unknown_kind"),
}
"""Rows that are no purchase, and what becomes of each."""


@pytest.mark.long
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    amounts=st.lists(st.decimals("0.01", "99999.99", places=2), min_size=3, max_size=5),
    style=st.sampled_from(sorted(STYLES)),
    clock=st.sampled_from(sorted(CLOCKS)),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    end=st.sampled_from(("\n", "\r\n")),
    order=st.permutations(range(len(HEAD))),
    title=st.booleans(),
    extras=st.sets(st.sampled_from(sorted(EXTRAS))),
    given_back=st.booleans(),
    grouped=st.booleans(),
)
def test_traits_in_any_combination_give_the_same_events(
    amounts, style, clock, encoding, end, order, title, extras, given_back, grouped
):
    """
    Marks, digits, dates, encodings, line ends, titles, orders of columns, groups, credit notes and rows that
    are no purchase do not touch what is stored of the others, and each row is accounted for.
    """
    write, delimiter = STYLES[style]
    # a mark behind the last three digits of every number would be read as thousands
    amounts = [*amounts, Decimal("1234.50")]
    times = [datetime(2025, 3 + number, 14 + number, 13, 30) for number in range(len(amounts))]
    table = [HEAD]
    for number, (at, value) in enumerate(zip(times, amounts, strict=True), start=1):
        table.append((str(number), f"Zoë {number}", CLOCKS[clock](at), write(value), *PAID))
        table += [("", "", "", write(Decimal("2.25")), "bowl", "", "")] * grouped
    table += [
        ("1", "Zoë 1", CLOCKS[clock](times[0]), write(Decimal("1.25")), "mug", "paid", "Gutschrift")
    ] * given_back
    table += [
        (*row[:2], row[2] and CLOCKS[clock](datetime(2025, 5, 14, 13, 30)), *row[3:])
        for row, _ in map(EXTRAS.get, sorted(extras))
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([["Orders of May"]] * title + [[row[place] for place in order] for row in table])

    with tempfile.TemporaryDirectory() as folder, empty_warehouse() as warehouse:
        path = Path(folder) / "orders.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        (summary,) = ingest_together(
            warehouse,
            choice_from(maps=("status=State", "kind=Belegart")),
            (path,),
            reporting_currency="GBP",
            now=NOW,
        )
        events = stored(warehouse, "occurred_at, amount")

    outcomes = [EXTRAS[extra][1] for extra in extras]
    further = [(at, Decimal("2.25")) for at in times] * grouped + [(times[0], Decimal("-1.25"))] * given_back
    assert events == sorted([*zip(times, amounts, strict=True), *further])
    assert summary.reasons == {each: 1 for each in outcomes if each != "skipped"}
    assert summary.rows_skipped == outcomes.count("skipped")


def test_the_page_has_a_line_for_each_trait():
    """What the tests hold and what readers are told is one list, in one order."""
    page = (DOCS / "reference" / "file-traits.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", page, flags=re.MULTILINE)[2:] == [
        t.name for t in TRAITS
    ]
