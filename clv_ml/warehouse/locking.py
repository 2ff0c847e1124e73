"""
One writer at a time: a lock on a file beside the warehouse, which the system lets go when its holder dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from clv_ml.errors import WarehouseBusyError, WarehouseError
from clv_ml.settings import Settings

_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """
    Holds the warehouse against every other process and thread; within itself it does nothing, so that verbs
    may use verbs.

    Raises:
        WarehouseBusyError: If another run holds it, with that run's process number.
        WarehouseError: If the folder of the warehouse cannot be written.
    """
    path = _lock_file(settings)
    if path in _held.get():
        yield
        return
    with open(_opened(path), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = lock.read().strip() or "unknown"
            raise WarehouseBusyError(
                f"Another run (process {holder}) holds {settings.warehouse}. Start again when it is done."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        token = _held.set(_held.get() | {path})
        try:
            yield
        finally:
            _held.reset(token)


def _lock_file(settings: Settings) -> Path:
    return settings.warehouse.absolute().with_name(f"{settings.warehouse.name}.lock")


def _opened(path: Path) -> int:
    """
    A handle of the lock's file, which stays when the lock goes: removing it would let two runs lock two files
    of one name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WarehouseError(
            f"{path} cannot be written: {error.strerror}. Give write "
            "permission to the folder, or set CLV_WAREHOUSE."
        ) from error


def holder(settings: Settings) -> str | None:
    """The process number of the run that holds the warehouse, None where none does. Holds nothing itself."""
    path = _lock_file(settings)
    if not path.exists():
        return None
    with open(path) as lock:
        process = lock.read().strip()
        # asking the lock takes it for a moment; whoever is known to be dead need not be asked about
        if not process.isdecimal() or (Path("/proc").exists() and not Path("/proc", process).exists()):
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return process
    return None
