"""
What a text file is written in. UTF-8 is proved; every other answer is evidence, and the reader says which it
took.
"""

import codecs
import gzip
import re
from pathlib import Path
from typing import BinaryIO

import chardet

from clv_ml.errors import InputError

UTF_8 = "utf-8"
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, UTF_8),
)
CANDIDATES = (
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "gb18030",
    "big5",
    "cp932",
    "cp949",
    "euc-jp",
)
"""What spreadsheets and shops write where it is not UTF-8."""
WESTERN = frozenset("äöüßéèêëàâáíìîïóòôõñçúùûøåæœÄÖÜÉÈÊËÀÂÁÍÌÎÏÓÒÔÕÑÇÚÙÛØÅÆŒ€£§°«»–—‘’“”…®™©²½¿¡ªº´·")
FEW = 40
"""Bytes beyond ASCII up to which frequencies tell little, and Western letters throughout are Western text."""

_UTF_8_LETTERS = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_SAMPLE = 200_000


def opened(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file's bytes, unpacked where its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def encoding_of(path: Path) -> str:
    """
    The encoding in Python's words.

    A file is UTF-8 if it decodes as such, or if most bytes beyond ASCII form UTF-8 letters: then a few lines
    are damaged, and the reader rejects those alone. Otherwise byte order marks, NUL bytes and letter
    frequencies tell.
    """
    with opened(path) as binary:
        start = binary.read(4096)
    for mark, name in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return name
    if half := _utf_16_half(start):
        return half
    sample = _beyond_ascii(path)
    if not sample or _is_mostly_utf_8(sample):
        return UTF_8
    return _most_likely(sample)


def checked_encoding(name: str) -> str:
    """
    The encoding that a user named.

    Raises:
        InputError: If Python knows none of that name.
    """
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise InputError(
            f"There is no encoding {name!r}. Write utf-8, utf-16, windows-1252, gb18030 or another that "
            "Python knows."
        ) from error


def _utf_16_half(start: bytes) -> str:
    """UTF-16 without a mark: in text of mostly Latin letters every second byte is NUL."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    if odd > len(start) / 5 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(start) / 5 and not odd else ""


def _beyond_ascii(path: Path) -> bytes:
    """The first lines that are not ASCII, or nothing where the whole file is UTF-8."""
    decoder, lines, size, valid = codecs.getincrementaldecoder(UTF_8)(), [], 0, True
    with opened(path) as binary:
        # a line may be of any length, and a packed one of gigabytes
        while line := binary.readline(_SAMPLE):
            try:
                decoder.decode(line)
            except UnicodeDecodeError:
                valid = False
                decoder.reset()
            if size < _SAMPLE and not line.isascii():
                lines.append(line)
                size += len(line)
    is_whole = valid and not decoder.getstate()[0]
    return b"" if is_whole else b"".join(lines)


def _is_mostly_utf_8(sample: bytes) -> bool:
    letters = sum(len(found) for found in _UTF_8_LETTERS.findall(sample))
    return letters > len(_HIGH.findall(sample)) / 2


def _most_likely(sample: bytes) -> str:
    found = chardet.detect(sample, include_encodings=CANDIDATES)["encoding"] or "windows-1252"
    is_short = len(_HIGH.findall(sample)) < FEW
    if is_short and found.lower() in ("windows-1250", "windows-1254"):
        letters = {letter for letter in sample.decode("cp1252", "replace") if not letter.isascii()}
        return "windows-1252" if letters <= WESTERN else found.lower()
    return found.lower()
