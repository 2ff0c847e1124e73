"""
Reads a file, as it is, into the temporary tables ``feed_rows`` and ``feed_rejects``.

``feed_rows`` holds every row with all columns as text and ``feed_row`` (1, 2, ...); ``feed_rejects`` holds
the lines of a CSV that are no row: ``line_number``, ``reason``, ``raw_text``, ``reject_number`` and
``rows_before``. Nothing is guessed: the columns of a CSV are those of its header record, all of them text,
and the number of lines read and rejected is checked against the number of lines in the file.
"""

import csv
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import InputError
from clv_ml.folders import DBT_FOLDER
from clv_ml.ingest.encoding import opened
from clv_ml.ingest.files import check_file
from clv_ml.ingest.parquet_times import unreadable_time
from clv_ml.ingest.plain_text import PlainText, Reading, plain_text, surplus_names
from clv_ml.warehouse.quoting import quoted_name

ROW_NUMBER = "feed_row"
_SURROGATE = re.compile("[\ud800-\udfff]")

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
    What was read: the file's columns in order under names of their own, the names that it gives twice, the
    lines up to the end of its header, what the user must know, and how the file was read.
    """

    columns: tuple[str, ...]
    repeated: tuple[str, ...]
    header_lines: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_feed(connection: duckdb.DuckDBPyConnection, path: Path, reading: Reading | None = None) -> Feed:
    """
    Read a delimited text (gzipped or not), a workbook or a Parquet file into ``feed_rows`` and
    ``feed_rejects``.

    Raises:
        InputError: If the file is absent, a folder, empty, of another kind, damaged, no text, or not the one
            that its sidecar describes.
    """
    is_parquet = path.name.lower().endswith(".parquet")
    try:
        check_file(path)
        with _plain_name(path) as plain:
            if is_parquet:
                return _read_parquet(connection, path, plain)
            return _read_text(connection, path, plain, reading or Reading())
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied. Let this user read it.") from error
    except (duckdb.Error, OSError, EOFError, csv.Error, zlib.error, UnicodeError) as error:
        raise InputError(f"{path} cannot be read: {_first_line(error)} Export it again.") from error


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
    columns, repeated = _column_names(
        path,
        tuple(name if name in names_in_file else name.rsplit("_", 1)[0] for name, *_ in described),
    )
    names = ", ".join(quoted_name(name) for name in columns)
    texts = ", ".join(
        _parquet_text(name, str(kind)) for name, (_, kind, *_) in zip(columns, described, strict=True)
    )
    try:
        connection.execute(
            "create or replace temp table feed_rows as "
            f"select row_number() over () as feed_row, {texts} from {source} as feed({names})",
            {"path": str(plain)},
        )
    except duckdb.ConversionException as error:
        if fault := unreadable_time(plain):
            raise InputError(
                f"{path} cannot be read: {fault}. Correct or empty it, and export the file again."
            ) from error
        raise
    connection.execute(
        "create or replace temp table feed_rejects (line_number bigint, reason varchar, raw_text varchar, "
        "reject_number bigint, rows_before bigint)"
    )
    return Feed(columns, repeated, 0, _warnings(connection, path))


def _parquet_text(name: str, kind: str) -> str:
    """A column as text; a whole number that a data frame holds as 7.0 is 7, as it is in any other file."""
    quoted = quoted_name(name)
    text = f"cast({quoted} as varchar)"
    if kind in ("DOUBLE", "FLOAT"):
        is_whole = f"{quoted} = trunc({quoted}) and abs({quoted}) < 1e15"
        # not a number and the infinities have no whole number, and every row is cast
        text = f"case when {is_whole} then cast(try_cast({quoted} as bigint) as varchar) else {text} end"
    return f"{text} as {quoted}"


def _read_text(connection: duckdb.DuckDBPyConnection, path: Path, link: Path, reading: Reading) -> Feed:
    text = plain_text(path, link, reading)
    if any("\0" in field or _SURROGATE.search(field) for field in text.fields):
        raise InputError(
            f"The header of {path} is not UTF-8 text, nor text in another known encoding. "
            "Export the file as UTF-8, or name its encoding with --encoding."
        )
    if not any(field.strip() for field in text.fields):
        raise InputError(
            f"The first line of {path} is empty, where its header should be. Remove empty lines."
        )
    columns, repeated = _column_names(path, text.fields)
    _load(connection, text, columns)
    connection.execute(f"create or replace temp table feed_rejects as {sql_text('feed_rejects')}")
    _check_every_line_was_read(connection, path, text)
    connection.execute("update feed_rejects set line_number = line_number + ?", [text.above])
    return Feed(columns, repeated, 1 + text.above, _warnings(connection, path), text.notes)


def _load(connection: duckdb.DuckDBPyConnection, text: PlainText, columns: tuple[str, ...]) -> None:
    for leftover in ("feed_reject_errors", "feed_reject_scans"):
        connection.execute(f"drop table if exists {leftover}")
    connection.execute(
        _READ_CSV,
        {
            "path": str(text.path),
            "columns": dict.fromkeys(columns, "VARCHAR"),
            "delimiter": text.delimiter,
            "compression": "gzip" if text.path.suffix == ".gz" else "none",
        },
    )


def _column_names(path: Path, fields: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of their own for all columns, and those that the file gives twice."""
    columns = tuple(surplus_names(fields))
    lowered = [field.strip().lower() for field in fields]
    repeated = tuple(
        sorted({f.strip() for f in fields if f.strip() and lowered.count(f.strip().lower()) > 1})
    )
    if ROW_NUMBER in lowered:
        raise InputError(f"{path} has a column {ROW_NUMBER!r}, a name that ingestion needs. Rename it.")
    return columns, repeated


def _check_every_line_was_read(connection: duckdb.DuckDBPyConnection, path: Path, text: PlainText) -> None:
    """
    Lines in the file = header + rows + rejects + blank lines; a quote that is never closed can break that.
    """
    in_file, blank = _count_lines(text.path)
    read = text.lines + _scalar(connection, sql_text("lines_read"))
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
    with opened(path) as binary:
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
