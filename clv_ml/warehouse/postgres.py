"""Opens a Postgres database, and says what went wrong there without its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clv_ml.errors import DatabaseError, MissingExtraError, SettingsError

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql://", "postgres://")
SECONDS_TO_CONNECT = 10
LASTING = {"client_encoding": "UTF8", "application_name": "clv"}
SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""
What holds for each transaction, whatever the user's own settings are. Said after connecting, since poolers
take no options.
"""


@contextmanager
def connect_postgres(url: str) -> Iterator[psycopg.Connection]:
    """
    A connection in one transaction: committed at the end, rolled back on an error. What the address leaves
    out is libpq's: PGPASSWORD, ``~/.pgpass``, a service file.

    Raises:
        MissingExtraError: If the driver is not installed.
        SettingsError: If the address is none.
        DatabaseError: If the server cannot be reached, or refuses what is asked of it.
    """
    psycopg = _driver()
    place = place_of(url)
    given = psycopg.conninfo.conninfo_to_dict(url)
    said = {"connect_timeout": SECONDS_TO_CONNECT, **given, **LASTING}
    try:
        connection = psycopg.connect(**said)
        user = connection.info.user
    except psycopg.Error as error:
        raise DatabaseError(
            f"{place} cannot be reached: {_first_line(error)}. Check the address, the user and the password "
            "(PGPASSWORD, or ~/.pgpass), and that the server takes connections from here."
        ) from None
    try:
        with connection:
            for name, value in SETTINGS.items():
                run(connection, f"set local {name} = '{value}'")
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseError(
            f"{place} refuses: {_first_line(error)}. Nothing was changed. Let the user "
            f"{user} do that, or name another user in the address."
        ) from None
    except psycopg.Error as error:
        raise DatabaseError(
            f"{place} stopped: {_first_line(error)}. Nothing was changed. Mend the cause, then run again."
        ) from None


def place_of(url: str) -> str:
    """
    Which database an address leads to, in words that hold no password.

    Raises:
        SettingsError: If it is no address of Postgres. The address is not repeated.
    """
    psycopg = _driver()
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url) if url.startswith(SCHEMES) else {}
    except psycopg.Error:
        parts = {}
    host, port, name = (str(parts.get(key, "")) for key in ("host", "port", "dbname"))
    # of a password with @ or / in it, not encoded, a part would be taken for one of these, and shown
    if not parts or "@" in host + name or "/" in name:
        raise SettingsError(
            "The address of Postgres must be written as postgresql://USER@HOST:PORT/DATABASE. Leave the "
            "password to PGPASSWORD or ~/.pgpass; in the address, write @ as %40, / as %2F and : as %3A."
        )
    return f"Postgres {name or '(default)'}" + f" on {host}" * bool(host) + f":{port}" * bool(port)


def _first_line(error: Exception) -> str:
    """What the server says, without the statement that it is about."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    text = str(primary or error or type(error).__name__).strip().splitlines()[0]
    return text.rstrip(".")


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError(
            "Postgres needs the library psycopg, which is not installed. Run: pip install 'clv-ml[postgres]'."
        ) from error
    return psycopg


def run(connection: psycopg.Connection, statement: str, values: dict[str, Any] | None = None) -> list[tuple]:
    """One statement, and its rows if it has any."""
    found = connection.execute(statement.encode(), values)
    return found.fetchall() if found.description else []
