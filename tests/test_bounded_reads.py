"""What a file says of itself is found with little memory, however long its lines are."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from clv_ml.ingest.encoding import encoding_of
from clv_ml.ingest.plain_text import LONGEST, Reading, first_lines, plain_text

LINE = 60_000_000
"""Bytes; a hundredth of that is read at a time."""


@pytest.fixture(scope="module")
def one_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file that unpacks to one line."""
    path = tmp_path_factory.mktemp("long") / "orders.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(b"order_id,customer_id\n")
        for _ in range(LINE // 1_000_000):
            packed.write(b"x" * 1_000_000)
        packed.write("é\nlast".encode())
    return path


def peak(act: Callable[[], object]) -> int:
    """The most memory that Python had for it, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_of_any_length_is_read_in_parts(one_line: Path, tmp_path: Path):
    """Encoding, header and line ends of a line of 60 MB are found in a tenth of its size, and rightly."""
    link = tmp_path / "feed.gz"
    link.symlink_to(one_line)

    assert peak(lambda: encoding_of(one_line)) < LINE / 10
    assert peak(lambda: first_lines(one_line, "utf-8")) < LINE / 10
    assert peak(lambda: plain_text(one_line, link, Reading())) < LINE / 10

    assert encoding_of(one_line) == "utf-8"
    lines = first_lines(one_line, "utf-8")
    assert [len(line) for line in lines] == [21, LONGEST, 4] and lines[-1] == "last"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("length", [LONGEST - 3, LONGEST - 2, LONGEST - 1, LONGEST, LONGEST + 1])
def test_a_long_line_is_one_line_wherever_it_is_cut(tmp_path: Path, end: str, length: int):
    """The end of a line may lie on either side of the cut, and between its two characters."""
    path = tmp_path / "feed.csv"
    path.write_bytes(f"{'x' * length}{end}next{end}".encode())

    assert [line.strip() for line in first_lines(path, "utf-8")] == ["x" * min(length, LONGEST), "next"]
