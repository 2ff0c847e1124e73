"""
Reads a file, as it is, into the temporary tables ``feed_rows`` and ``feed_rejects``.

``feed_rows`` holds every row with all columns as text and ``feed_row`` (1, 2, ...); ``feed_rejects`` holds
the lines of a CSV that are no row: ``line_number``, ``reason``, ``raw_text``, ``reject_number`` and
``rows_before``. Nothing is guessed: the columns of a CSV are those of its header record, all of them text,
and the number of lines read and rejected is checked against the number of lines in the file.
"""

import csv
import gzip
import hashlib
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

from clv_ml.errors import InputError
from clv_ml.folders import DBT_FOLDER
from clv_ml.warehouse.quoting import quoted_name

DELIMITERS = (",", ";", "\t", "|")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
SIDECAR_SUFFIX = ".sha256"
ROW_NUMBER = "feed_row"

_READ_CSV = """
create or replace temp table feed_rows as
select row_number() over () as feed_row, *
from read_csv(
    $path, columns = $columns, delim = $delimiter, compression = $compression,
    auto_detect = false, header = true, quote = '"', escape = '"', strict_mode = true,
    store_rejects = true, rejects_table = 'feed_reject_errors', rejects_scan = 'feed_reject_scans'
)
"""


@dataclass(frozen=True)
class Feed:
    """
    What was read: the file's columns in order, whether it has a header, and what the reader should know.
    """

    columns: tuple[str, ...]
    header_lines: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Header:
    columns: tuple[str, ...]
    delimiter: str
    lines: int


def read_feed(connection: duckdb.DuckDBPyConnection, path: Path) -> Feed:
    """
    Read a CSV, gzipped CSV or Parquet file into ``feed_rows`` and ``feed_rejects``.

    Raises:
        InputError: If the file is absent, a folder, empty, of another kind, damaged, not UTF-8, not the one
            that its sidecar describes, or if its header names a column twice.
    """
    read = _read_parquet if path.name.lower().endswith(".parquet") else _read_csv
    try:
        _check_file(path)
        _check_sidecar(path)
        with _plain_name(path) as plain:
            return read(connection, path, plain)
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied. Let this user read it.") from error
    except (duckdb.Error, OSError, EOFError, csv.Error, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {_first_line(error)} Export it again.") from error


def _check_file(path: Path) -> None:
    """Refuses what is no plain file with something in it and a known suffix."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(f"There is no file {path}. Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder. Name a file in it, or feed the folder with --data-dir.")
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path} is of no known kind. Give a file that ends in {', '.join(SUFFIXES)}.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no plain file but a pipe or device. Save what it gives as a file.")
    if status.st_size == 0:
        raise InputError(f"{path} is empty: it has not even a header. Export it again.")


def _check_sidecar(path: Path) -> None:
    """
    Where ``<file>.sha256`` lies next to the file, in the format of ``sha256sum``, the file must be that one.
    """
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if not sidecar.exists():
        return
    stated = sidecar.read_bytes()[:4096].decode("ascii", "replace").split() if sidecar.is_file() else []
    if not stated or not re.fullmatch("[0-9a-fA-F]{64}", stated[0]) or stated[1:] not in ([], [path.name]):
        raise InputError(
            f"{sidecar} is no line of sha256sum for {path.name}. Write it "
            f"anew, or remove it to read {path} unchecked."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated[0].lower():
        raise InputError(
            f"{path} is not the file that {sidecar.name} describes: "
            f"its sha256 is {found}. Deliver both again."
        )


@contextmanager
def _plain_name(path: Path) -> Iterator[Path]:
    """A link to the file under a name in which the database sees no glob pattern and no partition."""
    with tempfile.TemporaryDirectory(prefix="clv_feed_") as folder:
        link = Path(folder) / f"feed{''.join(path.suffixes[-1:]).lower()}"
        link.symlink_to(path.resolve())
        yield link


def _read_parquet(connection: duckdb.DuckDBPyConnection, path: Path, plain: Path) -> Feed:
    source = "read_parquet($path, hive_partitioning = false)"
    described = connection.execute(f"select * from {source} limit 0", {"path": str(plain)}).description
    names_in_file = {
        name
        for (name,) in connection.execute(
            "select name from parquet_schema($path)", {"path": str(plain)}
        ).fetchall()
    }
    # of names that differ in case alone, the database renames the second
    columns = _checked_columns(
        path,
        [name if name in names_in_file else name.rsplit("_", 1)[0] for name, *_ in described],
    )
    names = ", ".join(quoted_name(name) for name in columns)
    connection.execute(
        "create or replace temp table feed_rows as select row_number() over () as feed_row, "
        f"cast(columns(*) as varchar) from {source} as feed({names})",
        {"path": str(plain)},
    )
    connection.execute(
        "create or replace temp table feed_rejects (line_number bigint, reason varchar, raw_text varchar, "
        "reject_number bigint, rows_before bigint)"
    )
    return Feed(columns, 0, _warnings(connection, path))


def _read_csv(connection: duckdb.DuckDBPyConnection, path: Path, plain: Path) -> Feed:
    header = _header(path)
    for leftover in ("feed_reject_errors", "feed_reject_scans"):
        connection.execute(f"drop table if exists {leftover}")
    try:
        connection.execute(
            _READ_CSV,
            {
                "path": str(plain),
                "columns": dict.fromkeys(header.columns, "VARCHAR"),
                "delimiter": header.delimiter,
                "compression": "gzip" if plain.suffix == ".gz" else "none",
            },
        )
    except duckdb.InvalidInputException as error:
        if "state machine" not in str(error):
            raise
        raise InputError(
            f"{path} mixes kinds of line ends (LF, CRLF, CR). "
            "Give every line the same one, for example with dos2unix."
        ) from error
    connection.execute(f"create or replace temp table feed_rejects as {sql_text('feed_rejects')}")
    _check_every_line_was_read(connection, path, header)
    return Feed(header.columns, 1, _warnings(connection, path))


def _header(path: Path) -> _Header:
    """The header record, read with the delimiter that gives it the most fields."""
    fields, delimiter, lines = max(
        (_first_record(path, delimiter) for delimiter in DELIMITERS), key=lambda record: len(record[0])
    )
    text = "".join(fields)
    if "\0" in text or any("\udc80" <= character <= "\udcff" for character in text):
        raise InputError(f"The header of {path} is not UTF-8 text. Export the file as UTF-8.")
    if not text.strip():
        raise InputError(
            f"The first line of {path} is empty, where its header should be. Remove empty lines."
        )
    return _Header(_checked_columns(path, fields), delimiter, lines)


def _first_record(path: Path, delimiter: str) -> tuple[list[str], str, int]:
    with _opened(path) as binary:
        # Undecodable bytes further down are for the database to reject line by line.
        lines = (line.decode("utf-8-sig", "surrogateescape") for line in binary)
        reader = csv.reader(lines, delimiter=delimiter)
        fields = next(reader, [])
        return fields, delimiter, reader.line_num


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _checked_columns(path: Path, names: list[str]) -> tuple[str, ...]:
    columns = tuple(name.strip() or f"unnamed_{position}" for position, name in enumerate(names, start=1))
    lowered = [column.lower() for column in columns]
    twice = sorted({column for column in columns if lowered.count(column.lower()) > 1})
    if twice:
        raise InputError(f"{path} names a column twice: {', '.join(twice)}. Rename or remove one of them.")
    if ROW_NUMBER in lowered:
        raise InputError(f"{path} has a column {ROW_NUMBER!r}, a name that ingestion needs. Rename it.")
    return columns


def _check_every_line_was_read(connection: duckdb.DuckDBPyConnection, path: Path, header: _Header) -> None:
    """
    Lines in the file = header + rows + rejects + blank lines; a quote that is never closed can break that.
    """
    in_file, blank = _count_lines(path)
    read = header.lines + _scalar(connection, sql_text("lines_read"))
    if not 0 <= in_file - read <= blank:
        where = _scalar(
            connection, "select coalesce(min(line_number), 0) from feed_rejects where reason = 'bad_quotes'"
        )
        raise InputError(
            f"{path} has {in_file} lines, of which {read} could be read or rejected. "
            f"Most likely a quote is opened and never closed, near line {where}: close it, or double it."
        )


def _count_lines(path: Path) -> tuple[int, int]:
    """(lines, blank lines), whatever the line ends."""
    lines = blank = 0
    last = b"\n"
    after_line_end = False
    with _opened(path) as binary:
        while block := binary.read(1 << 20):
            if block.endswith(b"\r"):
                block += binary.read(1)
            ends = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            lines += ends.count(b"\n")
            blank += len(re.findall(rb"(?<=\n)\n", ends)) + (after_line_end and ends.startswith(b"\n"))
            after_line_end = ends.endswith(b"\n")
            last = ends[-1:]
    return lines + (last != b"\n"), blank


def _warnings(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    rows = _scalar(
        connection, "select (select count(*) from feed_rows) + (select count(*) from feed_rejects)"
    )
    return () if rows else (f"{path} has a header and no rows: nothing was changed.",)


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])


def sql_text(name: str) -> str:
    """The SQL of ``dbt_project/ingestion/<name>.sql``."""
    return (DBT_FOLDER / "ingestion" / f"{name}.sql").read_text(encoding="utf-8")


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text if text.endswith(".") else f"{text}."
