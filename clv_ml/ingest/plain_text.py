"""
Any delimited text or workbook as what the database reads: UTF-8, one header line first, the same line end
throughout.

A file that is so already is read where it lies, under another name; of any other a copy is made in a
temporary folder.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from clv_ml.errors import InputError
from clv_ml.ingest.encoding import UTF_8, checked_encoding, encoding_of, opened
from clv_ml.ingest.header import LINES_LOOKED_AT, find_header, header_row
from clv_ml.wording import count_of

WORKBOOKS = (".xlsx", ".xls", ".xlsb", ".xlsm", ".ods")
LONGEST = 100_000
"""Characters of a line that are looked at in search of the header."""


@dataclass(frozen=True)
class Reading:
    """What a user or a mapping says of a file; empty: the file tells."""

    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""


@dataclass(frozen=True)
class PlainText:
    """
    A file that the database can read; ``above`` counts the lines left out above the header of ``lines``
    lines.
    """

    path: Path
    fields: tuple[str, ...]
    delimiter: str
    lines: int
    above: int
    notes: tuple[str, ...]


def plain_text(path: Path, link: Path, reading: Reading) -> PlainText:
    """
    The file as plain text. ``link`` leads to it under a plain name in a folder that takes the copy.

    Raises:
        InputError: If the encoding is not known.
    """
    if path.name.lower().endswith(WORKBOOKS):
        return _workbook(path, link, reading)
    encoding = checked_encoding(reading.encoding) if reading.encoding else encoding_of(path)
    header = find_header(first_lines(path, encoding), reading.delimiter)
    notes = []
    if encoding != UTF_8 and not reading.encoding:
        notes.append(f"read as {encoding}, by its bytes; --encoding NAME chooses another")
    if header.above:
        notes.append(f"{count_of(header.above, 'line')} above the header left out")
    text = PlainText(link, header.fields, header.delimiter, header.lines, header.above, tuple(notes))
    is_plain = encoding == UTF_8 and not header.above and not mixes_line_ends(path)
    return text if is_plain else _copied(path, text, encoding)


def first_lines(path: Path, encoding: str) -> list[str]:
    """The first lines, whatever their ends; what cannot be decoded stays, as surrogates."""
    with opened(path) as binary:
        text = io.TextIOWrapper(binary, _without_mark(encoding), errors="surrogateescape", newline="")
        return list(islice(_beginnings(text), LINES_LOOKED_AT))


def _beginnings(text: TextIO) -> Iterator[str]:
    """Each line, no more than ``LONGEST`` characters of it in memory."""
    rest = ""
    while line := text.readline(LONGEST):
        # the second half of an end that the last reading cut
        if not (line == "\n" and rest.endswith("\r")):
            yield line
        rest = line
        while rest and not rest.endswith(("\n", "\r")):
            rest = text.readline(LONGEST)


def mixes_line_ends(path: Path) -> bool:
    """Whether lines end in more than one way (LF, CRLF, CR), be it inside quotes: the database takes one."""
    pairs = feeds = returns = 0
    with opened(path) as binary:
        while block := binary.read(1 << 20):
            if block.endswith(b"\r"):
                block += binary.read(1)
            pairs += block.count(b"\r\n")
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
    return (pairs > 0) + (feeds > pairs) + (returns > pairs) > 1


def _copied(path: Path, text: PlainText, encoding: str) -> PlainText:
    """
    The same in UTF-8 with the header first and LF line ends. Undecodable bytes stay, for the reader to
    reject.
    """
    target = text.path.with_name("copy.csv")
    with (
        opened(path) as binary,
        target.open("w", encoding=UTF_8, errors="surrogateescape", newline="") as out,
    ):
        # a surrogate that was in the text already is no byte to put back
        source = io.TextIOWrapper(binary, _without_mark(encoding), errors="surrogateescape", newline=None)
        for _ in islice(_beginnings(source), text.above):
            pass
        while block := source.read(1 << 20):
            out.write(block)
    return PlainText(target, text.fields, text.delimiter, text.lines, text.above, text.notes)


def _without_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding == UTF_8 else encoding


def _workbook(path: Path, link: Path, reading: Reading) -> PlainText:
    """A sheet of a workbook as a CSV file; cells become ISO dates and plain numbers."""
    name, rows, notes = _sheet(path, reading.sheet)
    above = header_row(rows[:LINES_LOOKED_AT])
    if above:
        notes.append(f"{count_of(above, 'row')} above the header of sheet {name!r} left out")
    header = list(rows[above]) if rows else []
    while header and not header[-1]:
        header.pop()
    target = link.with_name("copy.csv")
    with target.open("w", encoding=UTF_8, newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row[: len(header)] for row in rows[above + 1 :] if any(row))
    lines = sum(field.count("\n") for field in header) + 1
    return PlainText(target, tuple(header), ",", lines, above, tuple(notes))


def _sheet(path: Path, wanted: str) -> tuple[str, list[list[str]], list[str]]:
    """
    Name and cells of the wanted sheet, or of the first that holds a table, and what to say of the others.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            names = [wanted] if wanted else book.sheet_names
            if wanted and wanted not in book.sheet_names:
                raise InputError(f"{path} has no sheet {wanted!r}. It has: {', '.join(book.sheet_names)}.")
            sheets = {
                name: [_cells(row) for row in book.get_sheet_by_name(name).to_python()] for name in names
            }
    except CalamineError as error:
        raise InputError(
            f"{path} cannot be read as a workbook: {error}. Save it again, or as CSV."
        ) from error
    filled = [name for name, rows in sheets.items() if any(map(any, rows))]
    if not filled:
        raise InputError(f"{path} holds no cell with a value. Export it again.")
    others = filled[1:]
    notes = (
        [f"sheet {filled[0]!r} was read, and not {', '.join(others)}; --sheet NAME chooses"] if others else []
    )
    return filled[0], sheets[filled[0]], notes


def _cells(row: list[Any]) -> list[str]:
    return [_cell(value) for value in row]


def _cell(value: Any) -> str:
    """A cell's text: whole numbers without a point, times in ISO 8601, a midnight as its date."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ") if value.time() != time() else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return (
        str(value).strip()
        if isinstance(value, str)
        else repr(value)
        if isinstance(value, float)
        else str(value)
    )


def surplus_names(fields: tuple[str, ...]) -> Iterator[str]:
    """The fields under names of their own: a repeated one gets a number."""
    seen: set[str] = set()
    for position, field in enumerate(fields, start=1):
        name = field.strip() or f"unnamed_{position}"
        unique, number = name, 2
        while unique.lower() in seen:
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique.lower())
        yield unique
