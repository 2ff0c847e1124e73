"""Files of customers for the tools that write to them: which columns each takes, and what it asks of them."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from clv_ml.errors import InputError
from clv_ml.operate.published_functions import FORMULA
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask
from clv_ml.warehouse.safe_files import replace_file


@dataclass(frozen=True)
class AudienceFormat:
    """
    What a tool takes: its headers and the columns of ``audience`` under them, the column without which a row
    is of no use, and from how many rows on the tool can use a file (its public documentation says so).
    """

    columns: Mapping[str, str]
    needed: str
    fewest: int = 1
    is_for_people: bool = False


FORMATS: dict[str, AudienceFormat] = {
    # every column, for a spreadsheet
    "csv": AudienceFormat({}, "customer_id", is_for_people=True),
    # a customer list with values, for lookalike audiences; lists below 100 people are of no use
    "meta": AudienceFormat({"email": "email_sha256", "value": "clv_estimate"}, "email", 100),
    # Customer Match: hashed addresses in lower case without spaces; UTF-8
    "google": AudienceFormat({"Email": "email_sha256"}, "email", 100),
    # profiles: the first column is the address, each other a property of that name; it hashes nothing
    "klaviyo": AudienceFormat(
        {
            "Email": "email",
            "Expected value": "clv_estimate",
            "Expected value currency": "reporting_currency",
            "Expected value days": "horizon_days",
            "Chance of an order": "order_probability",
            "Next order expected on": "next_order_expected_on",
            "Value tier": "value_tier",
        },
        "email",
    ),
    # user data: user properties by the user's id, which must not be an address
    "ga4": AudienceFormat(
        {
            "user_id": "customer_id",
            "expected_value": "clv_estimate",
            "order_probability": "order_probability",
            "value_tier": "value_tier",
        },
        "customer_id",
    ),
}


@dataclass(frozen=True)
class AudienceResult:
    """The file, its rows, how many customers the tool has no use for, and what to know of it."""

    path: Path
    rows: int
    left_out: int
    needs_address: bool
    warnings: tuple[str, ...]


def write_audience(settings: Settings, form: str, list_name: str, email: str, path: Path) -> AudienceResult:
    """
    Writes the file, whole or not at all.

    Args:
        form: One of ``FORMATS``.

        list_name: A list of ``customer_actions``, without its control group; everybody if empty.

        email: The attribute that holds e-mail addresses.

    Raises:
        InputError: If the list is empty or unknown, nobody can be told to the tool, or the folder is absent.
    """
    if form not in FORMATS:
        raise InputError(f"There is no format {form!r}. Choose one of {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Create it first.")
    with connect(settings) as connection:
        found = ask(connection, "audience", {"list": list_name, "email": email})
    if not found:
        raise InputError(
            f"Nobody is on the list {list_name!r} today, or there is no such list. "
            "select list_name, count(*) from customer_actions group by 1 tells which there are."
            if list_name
            else "Nobody is scored yet. Load orders and score them first (clv run FILE)."
        )
    chosen = FORMATS[form]
    kept = [row for row in found if _is_of_use(chosen, row)]
    if not kept and chosen.needed == "email":
        raise InputError(
            f"No customer has an e-mail address in the attribute {email!r}. Feed the attribute (preset "
            "attributes), or name another one: --email NAME."
        )
    if not kept:
        raise InputError(
            "Every customer's number is an e-mail address, which this tool forbids. Feed numbers that name "
            "nobody."
        )
    replace_file(path, _as_csv(chosen, kept).encode())
    return AudienceResult(
        path, len(kept), len(found) - len(kept), chosen.needed == "email", tuple(_warnings(chosen, kept))
    )


def _is_of_use(chosen: AudienceFormat, row: dict[str, Any]) -> bool:
    is_told = chosen.needed == "email" or chosen.is_for_people
    return row[chosen.needed] is not None and (is_told or "@" not in row["customer_id"])


def _warnings(chosen: AudienceFormat, kept: list[dict[str, Any]]) -> list[str]:
    if len(kept) >= chosen.fewest:
        return []
    return [f"The tool makes nothing of fewer than {chosen.fewest} customers, and these are {len(kept)}."]


def _as_csv(chosen: AudienceFormat, rows: list[dict[str, Any]]) -> str:
    """
    The rows under the tool's headers. Where people open the file, no text is a formula; a tool that reads an
    apostrophe literally gets texts as they are.
    """
    columns = chosen.columns or {name: name for name in rows[0]}
    write: Callable[[Any], str] = _for_people if chosen.is_for_people else _plain
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([write(row[column]) for column in columns.values()] for row in rows)
    return lines.getvalue()


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _for_people(value: Any) -> str:
    text = _plain(value)
    is_number = isinstance(value, int | float | Decimal)
    return f"'{text}" if re.match(FORMULA, text) and not is_number else text
