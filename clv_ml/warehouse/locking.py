"""
One writer at a time: a lock on a file next to the warehouse. The system releases it when its process dies.

The file is never removed, or two runs could lock two files of one name; ``.pid`` next to it has the process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from clv_ml.errors import WarehouseBusyError, WarehouseError
from clv_ml.settings import Settings
from clv_ml.warehouse.safe_files import remove_unfinished


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """
    Locks the warehouse against every other process and thread, and removes the scratch copies that a killed
    one left; within itself it does nothing, so that verbs may use verbs.

    Raises:
        WarehouseBusyError: If another run has the lock, with that run's process number.
        WarehouseError: If the folder of the warehouse cannot be written.
    """
    lock = _lock(settings)
    if lock.is_locked:
        yield
        return
    try:
        settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        _pid_file(settings).write_text(str(os.getpid()))
        remove_unfinished(settings.warehouse)
    except Timeout as error:
        raise WarehouseBusyError(
            f"Another run (process {_process(settings) or 'unknown'}) has locked {settings.warehouse}. "
            "Start again when it is done."
        ) from error
    except OSError as error:
        lock.release()
        raise WarehouseError(
            f"{lock.lock_file} cannot be written: {error.strerror}. Give write permission to the folder, or "
            "set CLV_WAREHOUSE."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # a reader may have it open, where the system minds
            _pid_file(settings).unlink()
        lock.release()


def locking_process(settings: Settings) -> str | None:
    """The number of the process that has the lock, None where none does. Locks nothing itself."""
    process = _process(settings)
    # asking the lock takes it for a moment; whoever is known to be dead need not be asked about
    if not process.isdecimal() or (Path("/proc").exists() and not Path("/proc", process).exists()):
        return None
    try:
        with FileLock(_lock(settings).lock_file, timeout=0):
            return None
    except Timeout:
        return process


def was_killed(settings: Settings) -> bool:
    """
    Whether the last writer ended before it was done: a run leaves its number, any other, such as dbt, what it
    had not yet written into the file. Ask where nobody has the warehouse.
    """
    unwritten = settings.warehouse.with_name(f"{settings.warehouse.name}.wal")
    return _pid_file(settings).exists() or unwritten.exists()


def _lock(settings: Settings) -> FileLock:
    """The same object for the same file, so that it knows within a thread whether it is locked already."""
    path = settings.warehouse.absolute().with_name(f"{settings.warehouse.name}.lock")
    return FileLock(path, timeout=0, is_singleton=True)


def _pid_file(settings: Settings) -> Path:
    return settings.warehouse.absolute().with_name(f"{settings.warehouse.name}.pid")


def _process(settings: Settings) -> str:
    path = _pid_file(settings)
    return path.read_text().strip() if path.exists() else ""
