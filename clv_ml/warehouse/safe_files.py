"""
Reads files that may be hostile, and replaces files so that no reader and no crash sees half of one.
"""

import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clv_ml.errors import ModelError, ModelTamperedError

REMEDY = "Restore the folder from a copy or promote another version (clv models promote)."


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file so that a reader sees the old or the new content, and a crash leaves one of them."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        put_in_place(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def put_in_place(new: Path, path: Path, mode: int = 0o644) -> None:
    """Replaces a file by a finished one of the same disk, in one step. Who has the old one open keeps it."""
    new.chmod(mode)
    sync(new)
    os.replace(new, path)
    sync(path.parent)


@contextmanager
def hidden_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new hidden folder to fill and hand to ``publish_folder``; where the block fails, it is gone."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish_folder(hidden: Path, folder: Path) -> None:
    """Gives a finished folder, whose files are on disk, its name, which no other has, in one step."""
    hidden.chmod(0o755)
    os.rename(hidden, folder)
    sync(folder.parent)


def remove_unfinished(path: Path) -> None:
    """Removes the scratch, ``.<name>.*`` beside it, that a killed process left. For the only writer."""
    remove_hidden(path.parent, f".{glob.escape(path.name)}.*")


def remove_hidden(folder: Path, pattern: str = ".*") -> None:
    """The same for all that match a pattern."""
    for left in list(folder.glob(pattern)):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def read_file(path: Path, most_bytes: int) -> bytes:
    """A regular file's bytes; never through a link, never more than allowed."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
                raise ModelTamperedError(f"{path} is no plain file of at most {most_bytes} bytes. {REMEDY}")
            return stream.read(most_bytes + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. {REMEDY}") from error


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of files, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
