"""One run at a time: a lock on a file beside the warehouse, which the system lets go when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clv_ml.errors import WarehouseBusyError
from clv_ml.settings import Settings


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """
    Holds the warehouse against other runs. Not for nesting.

    Raises:
        WarehouseBusyError: If another run holds it, with that run's process number.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    path = settings.warehouse.with_name(f"{settings.warehouse.name}.lock")
    # the file stays when the lock goes: removing it would let two runs lock two files of one name
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+") as lock:
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
        yield


def holder(settings: Settings) -> str | None:
    """The process number of the run that holds the warehouse, None where none does. Holds nothing itself."""
    path = settings.warehouse.with_name(f"{settings.warehouse.name}.lock")
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
