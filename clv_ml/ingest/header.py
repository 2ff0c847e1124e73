"""Which line of a delimited text names the columns, and what stands between them."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")
LINES_LOOKED_AT = 60
"""Titles stand in a file's first lines; a header further down is none."""

_SEP_LINE = re.compile(r"^sep=(.)\s*$", flags=re.IGNORECASE)
_VALUE = re.compile(r"[-+(]?[^\w\s]{0,3}\s?\d[\d.,:/' -]*\)?%?")


@dataclass(frozen=True)
class Header:
    """
    The fields as written, the delimiter, the lines above the record and the lines that the record runs over.
    """

    fields: tuple[str, ...]
    delimiter: str
    above: int
    lines: int


def find_header(lines: Sequence[str], delimiter: str = "") -> Header:
    """
    The header among a file's first lines, whichever delimiter gives it the most fields unless one is given.

    It is the first record, unless that is narrower than what follows: then the first one below it that is as
    wide as most records and holds names alone, no number and no gap. What stands above are titles.
    """
    skipped = 0
    if lines and (told := _SEP_LINE.match(lines[0])):
        delimiter, skipped, lines = delimiter or told.group(1), 1, lines[1:]
    found = [_header_with(lines, mark) for mark in ([delimiter] if delimiter else DELIMITERS)]
    best = max(found, key=lambda header: len(header.fields))
    return Header(best.fields, best.delimiter, best.above + skipped, best.lines)


def header_row(rows: Sequence[Sequence[str]]) -> int:
    """The number of the row that holds the names, by the same rule."""
    filled = [index for index, row in enumerate(rows) if any(field.strip() for field in row)]
    if not filled:
        return 0
    widths = Counter(_width(rows[index]) for index in filled)
    usual = max(widths, key=lambda width: (widths[width], width))
    first = filled[0]
    if _width(rows[first]) >= usual:
        return first
    names = (index for index in filled if _width(rows[index]) >= usual and _holds_names(rows[index]))
    return next(names, first)


def _header_with(lines: Sequence[str], delimiter: str) -> Header:
    records, ends = _records(lines, delimiter)
    if not records:
        return Header((), delimiter, 0, 0)
    index = header_row(records)
    above = ends[index - 1] if index else 0
    return Header(tuple(records[index]), delimiter, above, ends[index] - above)


def _records(lines: Iterable[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Records, blank ones included, and the lines read up to the end of each."""
    reader = csv.reader(lines, delimiter=delimiter)
    records, ends = [], []
    for record in reader:
        records.append(record)
        ends.append(reader.line_num)
    return records, ends


def _width(fields: Sequence[str]) -> int:
    """Fields up to the last that is filled: titles in a spreadsheet are as wide as its table otherwise."""
    return max((index for index, field in enumerate(fields, start=1) if field.strip()), default=0)


def _holds_names(fields: Sequence[str]) -> bool:
    filled = [field.strip() for field in fields[: _width(fields)]]
    return len(filled) > 1 and all(field and not _VALUE.fullmatch(field) for field in filled)
