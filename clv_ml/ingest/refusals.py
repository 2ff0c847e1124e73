"""What was refused of a file, in its own columns and values; and what to do, in words, for each reason."""

import json
from collections.abc import Mapping as ByName
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from clv_ml.ingest.mapped_values import found_column
from clv_ml.ingest.mapping import Mapping, synonyms
from clv_ml.ingest.presets import Preset, column_key

GUESTS = "no_customer_id"
"""The reason of rows that are no fault of the file: somebody bought without saying who."""
PAGE = "docs/reference/feeds.md#reasons-the-row-is-quarantined"
SHOWN = 60
"""Characters of a value that are shown."""
FIELDS_SHOWN = 3
"""Values of a row that are shown where no column is to blame."""

_TIME = "Write it as 2024-03-05 14:05, or say how it is written, such as --date-format '%d.%m.%y %H:%M'."
_SPLIT = "Most often a value holds a delimiter or a line end and is not in quotes. Export the file again."
_AGAIN = "Correct the row and feed the file again: what is known already is not counted twice."

REASONS: dict[str, tuple[str, str, str]] = {
    "no_customer_id": (
        "customer_id",
        "name no customer",
        "They are guests: their money is in no customer's value. If another column tells who bought, "
        'add --map customer_id="COLUMN".',
    ),
    "no_event_id": ("event_id", "have no id of their own", _AGAIN),
    "unknown_status": (
        "status",
        "have a status that may or may not be a purchase",
        "clv inspect writes a mapping for the file: add the status to purchase or to no_purchase there.",
    ),
    "unknown_kind": (
        "kind",
        "are of a type that may be a purchase, a refund or neither",
        "clv inspect writes a mapping for the file: add the type to purchase, refund or no_purchase there.",
    ),
    "unknown_event_type": (
        "event_type",
        "are of a type that is not known",
        "Known are purchase, refund, page_view, add_to_cart and session_start; a mapping translates others.",
    ),
    "invalid_occurred_at": ("occurred_at", "have no time that can be read", _TIME),
    "invalid_recorded_at": ("recorded_at", "have no time that can be read", _TIME),
    "before_1970": ("occurred_at", "lie on 1970-01-01 or before, so their time is a placeholder", _AGAIN),
    "in_the_future": (
        "occurred_at",
        "lie in the future",
        "If the clock of the file is another one, name it: --timezone Europe/Berlin. If day and month are "
        "mixed up: --date-format 'month first'.",
    ),
    "no_order_id": ("order_id", "have no order number", _AGAIN),
    "circular_merge": (
        "new_customer_id",
        "lead back to the number that they replace",
        "Nobody can tell which number is the person's. Leave out the wrong merge, and feed the file again.",
    ),
    "invalid_quantity": ("quantity", "have a quantity that is no number of pieces", _AGAIN),
    "invalid_amount": (
        "amount",
        "have an amount that is no number",
        "Write it as 1234.50; if a comma is the decimal mark, add --decimal ','.",
    ),
    "wrong_sign": ("amount", "have an amount of the wrong sign", "A refund is negative, a purchase is not."),
    "invalid_currency": (
        "currency",
        "have no currency of three letters",
        "Write it as EUR, or name the one of the whole file: --currency EUR.",
    ),
    "no_fx_rate": (
        "currency",
        "are in a currency without a rate",
        "Load rates (preset fx_rates) and feed the file again.",
    ),
    "conflicting_event": (
        "event_id",
        "have the id of an earlier event and say something else",
        "The first version stays. If orders of the file change, feed it with --orders restated.",
    ),
    "no_channel": ("channel", "name no channel", _AGAIN),
    "invalid_period": (
        "period_start",
        "have no first and last day that can be read, in this order and at most ten years apart",
        "Write both as 2024-03-31; the last day belongs to the period.",
    ),
    "invalid_spend": (
        "spend",
        "have no money spent, which is a number of 0 or more",
        "Write it as 1234.50. A channel that cost nothing has 0.",
    ),
    "conflicting_spend": (
        "spend",
        "tell another sum for a channel and period that are known",
        "The first stays. Take the wrong feed back (clv ingest --undo), and feed the right one.",
    ),
    "invalid_attribute": ("", "have a word where an attribute is a number", _AGAIN),
    "duplicate": ("", "are copies of an earlier row", "Each counts once; nothing is to be done."),
    "erased": ("", "are of people who were erased", "Nothing of them is kept."),
    "nul_byte": ("", "hold a NUL byte", "Export the file again as UTF-8."),
    "too_few_fields": ("", "have fewer fields than the header", _SPLIT),
    "too_many_fields": ("", "have more fields than the header", _SPLIT),
    "bad_quotes": ("", "have a quote that is not closed or not doubled", _SPLIT),
    "not_utf8": ("", "hold bytes that are no text", "Name the encoding, such as --encoding windows-1252."),
    "line_too_long": ("", "are longer than 2 MB", "A quote is opened and never closed. Close it."),
}
"""By reason: the field that it is about, what is the matter with the rows, and the remedy."""


@dataclass(frozen=True)
class Refusal:
    """
    The rows refused for one reason: where the first stands and what it holds, in words, the money of all by
    currency (without sign), and the remedy.
    """

    reason: str
    rows: int
    first_line: int
    sample: str
    money: ByName[str, Decimal]
    remedy: str

    @property
    def sentence(self) -> str:
        """All of it in words."""
        what = REASONS[self.reason][1] if self.reason in REASONS else self.reason
        return f"Rows that {what}: {self.rows:,}. {self.sample}. {self.remedy}"


def refusals(
    connection: duckdb.DuckDBPyConnection, layout: Mapping | Preset, columns: tuple[str, ...], table: str
) -> tuple[Refusal, ...]:
    """What stands in ``rejected`` and ``checked``, the most frequent reason first."""
    money = _money(connection) if table == "events" else {}
    found = connection.execute(
        "select reason, count(*), min(line_number), min_by(raw_text, line_number) from rejected "
        "group by reason order by 2 desc, 1"
    ).fetchall()
    return tuple(
        Refusal(
            reason,
            rows,
            line,
            _sample(text or "", line, _columns_of(reason, layout, columns)),
            money.get(reason, {}),
            REASONS.get(reason, ("", "", f"See {PAGE}."))[2],
        )
        for reason, rows, line, text in found
    )


def _money(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Decimal]]:
    rows = connection.execute(
        f"select reason, currency, sum(case when reason = '{GUESTS}' then amount else abs(amount) end) "
        "from checked where reason is not null and reason <> 'duplicate' and amount is not null "
        "and currency is not null group by all order by all"
    ).fetchall()
    found: dict[str, dict[str, Decimal]] = {}
    for reason, currency, amount in rows:
        found.setdefault(reason, {})[currency] = amount
    return found


def _columns_of(reason: str, layout: Mapping | Preset, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The file's columns that the reason is about, none where that is not known."""
    field = REASONS.get(reason, ("",))[0]
    if not field:
        return ()
    source = layout.sources().get(field) if isinstance(layout, Mapping) else None
    if source:
        found = (found_column(name, columns) for name in source.columns)
        return tuple(name for name in found if name)
    keys = (column_key(field), *synonyms().get(field, ()))
    return next(((column,) for key in keys for column in columns if column_key(column) == key), ())


def _sample(text: str, line: int, columns: tuple[str, ...]) -> str:
    """``'Datum' in line 7 is '13.7.22'``; where no column is known, how the line begins."""
    row = _as_row(text)
    if row is None:
        return f"Line {line} is {_shown(text)}" if text else f"The first is line {line}"
    if not columns:
        first = [f"{name!r} {_shown(value)}" for name, value in row.items() if value][:FIELDS_SHOWN]
        return f"The first is line {line}, with {', '.join(first)}"
    filled = [name for name in columns if row.get(name)] or list(columns)
    names = " and ".join(repr(name) for name in filled)
    values = " and ".join(dict.fromkeys(_shown(row.get(name) or "") for name in filled))
    return f"{names} in line {line} {'is' if len(filled) == 1 else 'are'} {values}"


def _as_row(text: str) -> dict[str, str] | None:
    """A quarantined row's columns, None where the text is a line that is no row."""
    try:
        row = json.loads(text)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _shown(value: str) -> str:
    """The value in quotes, cut where it is long."""
    if not value.strip():
        return "empty"
    return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")
