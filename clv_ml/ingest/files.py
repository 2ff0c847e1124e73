"""Which files may be fed: plain ones of a known kind, as sent where a checksum lies next to them."""

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

from clv_ml.errors import InputError
from clv_ml.ingest.plain_text import WORKBOOKS

TEXTS = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXTS, *(f"{text}.gz" for text in TEXTS), ".parquet", *WORKBOOKS)
SIDECAR_SUFFIX = ".sha256"


def check_file(path: Path) -> None:
    """
    Refuses what is no plain file with something in it and a known suffix, or not the one that was sent.

    Raises:
        InputError: With what is wrong, and what to do.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(f"There is no file {path}. Check the path.") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(f"{path} is a link that leads back to itself. Give the file itself.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder. Name a file in it, or feed the folder with --data-dir.")
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path} is of no known kind. Give a file that ends in {', '.join(SUFFIXES)}.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no plain file but a pipe or device. Save what it gives as a file.")
    if status.st_size == 0:
        raise InputError(f"{path} is empty: it has not even a header. Export it again.")
    _check_sidecar(path)


def require_inside(path: Path, folder: Path) -> None:
    """
    Raises:
        InputError: If a link in the folder leads out of it: who may write there need not see other files.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path} is a link that leads out of {folder}. Put the file itself there.")


def _check_sidecar(path: Path) -> None:
    """
    Where ``<file>.sha256`` lies next to the file, in the format of ``sha256sum``, the file must be that one.
    """
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if not sidecar.exists():
        return
    stated = []
    if sidecar.is_file():
        with sidecar.open("rb") as file:
            stated = file.read(4096).decode("ascii", "replace").split()
    if not stated or not re.fullmatch("[0-9a-fA-F]{64}", stated[0]) or stated[1:] not in ([], [path.name]):
        raise InputError(
            f"{sidecar} is no line of sha256sum for {path.name}. Write it anew, or remove it to read "
            f"{path} unchecked."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated[0].lower():
        raise InputError(
            f"{path} is not the file that {sidecar.name} describes: its sha256 is {found}. Deliver both "
            "again."
        )
