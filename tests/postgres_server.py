"""A Postgres server of the tests' own, in a temporary folder, on a socket; gone when they end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OFTEN = "/usr/lib/postgresql"
"""Where Debian has the server's programs, a folder for each version."""
ACCOUNTS = ("postgres", "nobody")
"""Who runs it where the tests are root, as whom it refuses to."""


def program(name: str) -> str | None:
    """A program of the server, the newest; None where there is none."""
    found = sorted(Path(OFTEN).glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@contextmanager
def server() -> Iterator[str]:
    """Starts one; gives the address of a superuser's database."""
    with tempfile.TemporaryDirectory(prefix="clv-pg-") as folder:
        account = _account()
        os.chmod(folder, 0o755)
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = f"{folder}/data"
        _run(
            account, "initdb", "-D", data, "-A", "trust", "-U", "clv", "--no-sync", "-E", "UTF8", "--locale=C"
        )
        settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
        _run(account, "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", settings, "start")
        try:
            yield f"postgresql://clv@/postgres?host={folder}"
        finally:
            _run(account, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _account() -> pwd.struct_passwd | None:
    if os.geteuid():
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(names[name] for name in ACCOUNTS if name in names)


def _run(account: pwd.struct_passwd | None, name: str, *arguments: str) -> None:
    as_whom = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    # not captured: the server would keep the pipe open
    done = subprocess.run(
        [program(name) or name, *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_whom,
    )
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}")
