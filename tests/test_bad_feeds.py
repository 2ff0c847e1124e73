"""Every malformed feed ends in a clear error or in the quarantine; no row gets lost."""

from hashlib import sha256
from pathlib import Path

import hypothesis.strategies as st
import pytest
from bad_feeds import BAD_FEEDS, FILE, ROWS, BadFeed, csv_bytes, damaged_files, judge, set_back
from hypothesis import given, settings
from ingestion_helpers import empty_warehouse, feed, stored, write_events

from clv_ml.errors import InputError
from clv_ml.ingest.ingestion import ingest_folder


@pytest.fixture(scope="module")
def warehouse():
    """One for all: a feed must find yesterday's rows and leave nothing that the next one stumbles over."""
    connection = empty_warehouse()
    yield connection
    connection.close()


@pytest.mark.parametrize("bad", BAD_FEEDS, ids=[bad.name[:80] for bad in BAD_FEEDS])
def test_a_malformed_feed_is_refused_or_quarantined(warehouse, bad: BadFeed):
    """
    An error names the file, the fault and the remedy and changes nothing; else each bad row is quarantined
    with its reason, file, line and text beside the rows that are good. Yesterday's rows stand in both cases.
    """
    assert judge(warehouse, bad) == ""


def test_the_table_of_malformed_feeds_is_long_and_its_judge_strict(warehouse):
    """At least 200, each another; a good file, a wrong reason and a wrong message do not pass."""
    assert len({bad.name for bad in BAD_FEEDS}) == len(BAD_FEEDS) >= 200
    assert judge(warehouse, BadFeed("good", FILE, refused="cannot be read")).startswith("was taken")
    assert judge(warehouse, BadFeed("good", FILE, reasons={"duplicate": 1})).startswith("kept 1 and")
    assert judge(warehouse, BadFeed("bad", b"", refused="never closed")).startswith("does not say")
    assert judge(warehouse, BadFeed("bad", b"")).startswith("was refused")


def test_a_file_that_matches_its_sidecar_is_read(warehouse, tmp_path: Path):
    """In the format of sha256sum, with or without the name; in a folder it is not taken for a feed."""
    path = write_events(tmp_path / "events.csv", {})
    digest = sha256(path.read_bytes()).hexdigest()
    for line in (f"{digest}  events.csv\n", digest.upper()):
        set_back(warehouse)
        (tmp_path / "events.csv.sha256").write_text(line)

        assert feed(warehouse, path).rows_new == 1
        summaries = ingest_folder(warehouse, tmp_path, "events", reporting_currency="GBP")
        assert [summary.path.name for summary in summaries] == ["events.csv"]


ODD_IDS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1:A9)",
    "=cmd|' /C calc'!A0",
    "'; drop table raw.events; --",
    '" or ""="',
    "{{ var('x') }}",
    "${HOME}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "x" * 100_000,
    "שלום",
    "🛒🛒",
    "a\u200db",
    "0012",
    "1e5",
]


def test_odd_ids_are_stored_as_they_are(warehouse, tmp_path: Path):
    """Formulas, SQL, markup, templates, very long text: an id is text and never anything else."""
    set_back(warehouse)
    path = write_events(tmp_path / "feed.csv", *({"customer_id": odd} for odd in ODD_IDS))

    summary = feed(warehouse, path)

    assert (summary.rows_kept, summary.reasons) == (len(ODD_IDS), {})
    assert {name for (name,) in stored(warehouse, "customer_id")} == {"yves", *ODD_IDS}


DIRT = st.one_of(
    st.sampled_from(
        [
            "",
            "ann",
            "purchase",
            "refund",
            "2025-06-01",
            "1.50",
            "-2",
            "GBP",
            "EUR",
            "nan",
            "o1",
            "\0",
            '"',
            "1e99",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
QUIET = settings(deadline=None, max_examples=30)


def accounted_for(summary) -> int:
    """
    Rows of a file of which its summary says where they went.
    """
    return summary.rows_kept + summary.rows_quarantined + summary.rows_skipped


@pytest.mark.long
@QUIET
@given(data=st.data())
def test_every_row_of_any_well_formed_csv_is_kept_or_quarantined(tmp_path_factory, data):
    """
    For each preset: rows in = rows written = kept + quarantined + skipped, and a second time nothing is new.
    """
    preset, good, _ = data.draw(st.sampled_from(ROWS))
    rows = data.draw(
        st.lists(st.one_of(st.just(tuple(good.values())), st.tuples(*[DIRT] * len(good))), max_size=12)
    )
    path = tmp_path_factory.getbasetemp() / "feed.csv"
    path.write_bytes(csv_bytes([list(good), *map(list, rows)]))
    with empty_warehouse() as connection:
        first, second = feed(connection, path, preset), feed(connection, path, preset)

        for summary in (first, second):
            assert summary.rows_in == len(rows) == accounted_for(summary)
        assert len(stored(connection, table=first.table)) == first.rows_new == first.rows_kept
        assert len(stored(connection, table="quarantine")) == first.rows_quarantined
        assert (second.rows_new, second.rows_newly_quarantined) == (0, 0)


@QUIET
@given(data=st.data())
def test_a_damaged_file_is_refused_or_every_row_accounted_for(tmp_path_factory, data):
    """
    Bytes changed, cut or repeated anywhere in a Parquet, gzip or CSV file: never another exception, never a
    row that is neither kept nor quarantined. (That a changed row may read as another good row is what the
    sidecar is for.)
    """
    name, whole = data.draw(st.sampled_from(damaged_files()))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:])
    with empty_warehouse() as connection:
        try:
            summary = feed(connection, path)
        except InputError:
            return
        assert summary.rows_in == accounted_for(summary)
        assert len(stored(connection)) == summary.rows_kept
        assert len(stored(connection, table="quarantine")) == summary.rows_quarantined


def test_a_header_of_megabytes_is_not_read_out(warehouse, tmp_path: Path):
    """The message is one that a person reads, whatever the file gives for names, and however many."""
    path = tmp_path / "long.csv"
    path.write_text(
        f"{'x' * 5_000},{','.join(f'c{number}' for number in range(1000))}\n1\n", encoding="utf-8"
    )

    with pytest.raises(InputError) as error:
        feed(warehouse, path)

    assert f"It has: {'x' * 60}…, c0, c1, " in str(error.value)
    assert "and 961 more. Rename" in str(error.value) and len(str(error.value)) < 1000
