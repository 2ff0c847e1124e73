"""`clv quarantine`: what ingestion refused, by reason and row by row; and how much of all that cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from clv_ml.errors import InputError, LossError
from clv_ml.ingest.losses import NO_LOSS
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask
from clv_ml.wording import count_of

LOST = (
    "select subject, measured_value from {table} where check_name = 'loss' and status = 'warn' "
    "order by subject desc"
)
"""Shares of rows and of money that were lost, where that is more than the setting quarantine_share allows."""
SHOWN = 120
"""Characters of a row that an error shows."""


@dataclass(frozen=True)
class RefusedReason:
    """
    Rows refused for one reason that still stand outside, those that a later feed admitted, and the newest.
    """

    reason: str
    row_count: int
    admitted_count: int
    source: str
    line_number: int | None
    raw_text: str


@dataclass(frozen=True)
class RefusedRow:
    """A refused row; ``amount`` is None where it is no money or none could be read."""

    quarantined_at: datetime
    source: str
    line_number: int | None
    reason: str
    amount: Decimal | None
    currency: str | None
    admitted_at: datetime | None
    raw_text: str


def refused_reasons(settings: Settings) -> tuple[RefusedReason, ...]:
    """Why rows were refused, the most frequent reason first."""
    with connect(settings) as connection:
        found = ask(connection, "refused_reasons", raw_schema=settings.vars.raw_schema)
    return tuple(RefusedReason(**row) for row in found)


def refused_rows(settings: Settings, reason: str = "") -> tuple[RefusedRow, ...]:
    """
    The rows refused for a reason, or all of them, the newest first.

    Raises:
        InputError: If no row was refused for that reason.
    """
    with connect(settings) as connection:
        found = ask(
            connection, "refused_rows", {"reason": reason or None}, raw_schema=settings.vars.raw_schema
        )
    if reason and not found:
        known = ", ".join(each.reason for each in refused_reasons(settings)) or "none"
        raise InputError(f"No row was refused for {reason!r}. Reasons in this warehouse: {known}.")
    return tuple(RefusedRow(**row) for row in found)


def refuse_loss(settings: Settings, lost: Mapping[str, float]) -> None:
    """
    Refuses to go on where more was lost than may be; ``lost`` are the shares of rows and of money above that.

    Raises:
        LossError: With the shares, the reason of most of it, its newest row, and the remedy.
    """
    if not lost:
        return
    shares = " and ".join(f"{share:.1%} of the {subject}" for subject, share in lost.items())
    most = next((each for each in refused_reasons(settings) if each.reason not in NO_LOSS), None)
    example = (
        f" Most often because of {most.reason} ({count_of(most.row_count, 'row')}), as in line "
        f"{most.line_number} of {most.source}: {most.raw_text[:SHOWN]}."
        if most
        else ""
    )
    allowed = f"quarantine_share ({settings.vars.quarantine_share:.0%})"
    raise LossError(
        f"{shares} that arrived were refused, more than {allowed} allows, and a model would learn from the "
        f"rest.{example} Look at them (clv quarantine), correct the file and feed it again, or accept the "
        "loss (clv run --accept-loss)."
    )
