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


STYLES = {
    "point": (lambda value: f"{value:,.2f}", ","),
    "comma": (lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")), ";"),
    "apostrophe": (lambda value: f"{value:,.2f}".replace(",", "'"), ";"),
    "plain": (lambda value: str(value), ","),
}
CLOCKS = ("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y/%m/%d %H:%M:%S", "%d %b %Y %H:%M")


@pytest.mark.long
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    amounts=st.lists(st.decimals("0.01", "99999.99", places=2), min_size=3, max_size=5),
    style=st.sampled_from(sorted(STYLES)),
    clock=st.sampled_from(CLOCKS),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    end=st.sampled_from(("\n", "\r\n")),
    order=st.permutations(range(4)),
    title=st.booleans(),
)
def test_traits_in_any_combination_give_the_same_events(amounts, style, clock, encoding, end, order, title):
    """Marks, dates, encodings, line ends, titles and orders of columns do not touch what is stored."""
    write, delimiter = STYLES[style]
    # a mark behind the last three digits of every number would be read as thousands
    amounts = [*amounts, Decimal("1234.50")]
    times = [datetime(2025, 5, 14 + number, 13, 30) for number in range(len(amounts))]
    table = [["Order-ID", "customer id", "ORDERED AT", "Amount"]] + [
        [str(n), f"Zoë {n}", at.strftime(clock), write(value)]
        for n, (at, value) in enumerate(zip(times, amounts, strict=True))
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([["Orders of May"]] * title + [[row[place] for place in order] for row in table])

    with tempfile.TemporaryDirectory() as folder, empty_warehouse() as warehouse:
        path = Path(folder) / "orders.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        (summary,) = ingest_together(warehouse, "", (path,), reporting_currency="GBP", now=NOW)
        events = stored(warehouse, "occurred_at, amount")

    assert summary.reasons == {}
    assert events == list(zip(times, amounts, strict=True))


def test_the_page_has_a_line_for_each_trait():
    """What the tests hold and what readers are told is one list, in one order."""
    page = (DOCS / "reference" / "file-traits.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", page, flags=re.MULTILINE)[2:] == [
        t.name for t in TRAITS
    ]
