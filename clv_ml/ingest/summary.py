"""What became of a file: counts, reasons and what to say of them."""

from collections.abc import Mapping as ByName
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.errors import InputError
from clv_ml.ingest.feeds import Feed
from clv_ml.ingest.file_checks import file_warnings
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.named_file import NamedFile
from clv_ml.ingest.presets import Preset
from clv_ml.ingest.refusals import GUESTS, PAGE, Refusal, refusals
from clv_ml.wording import count_of


@dataclass(frozen=True)
class IngestSummary:
    """
    What became of one file. Counts are rows; ``rows_in == rows_kept + rows_skipped + rows_quarantined``.

    ``preset`` is the one that did the mapping (``events`` where ``simulator`` was asked for). ``rows_new``
    and ``rows_newly_quarantined`` are those that no earlier feed had brought. ``reasons`` counts the
    quarantined rows by reason and ``skipped`` those that are no event by rule, most frequent first;
    ``refusals`` say of each reason what stands in the file. ``notes`` say how the file was read.
    """

    path: Path
    preset: str
    table: str
    rows_in: int
    rows_kept: int
    rows_new: int
    rows_quarantined: int
    rows_newly_quarantined: int
    reasons: ByName[str, int]
    warnings: tuple[str, ...]
    rows_skipped: int = 0
    skipped: ByName[str, int] | None = None
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def guests(self) -> Refusal | None:
        """What was bought without saying by whom, which is no fault of the file."""
        return next((refusal for refusal in self.refusals if refusal.reason == GUESTS), None)

    @property
    def currencies_without_rate(self) -> tuple[str, ...]:
        """Currencies of money that waits for a rate."""
        return tuple(
            currency
            for refusal in self.refusals
            if refusal.reason == "no_fx_rate"
            for currency in refusal.money
        )


@dataclass(frozen=True)
class Counted:
    """What the tables say of one file."""

    rows_in: int
    kept: int
    new: int
    skipped: ByName[str, int]
    reasons: ByName[str, int]


def counted(connection: duckdb.DuckDBPyConnection, path: Path) -> Counted:
    """
    The rows of the feed by what became of them.

    Raises:
        InputError: If one is unaccounted for.
    """
    rows_in, kept, new = connection.execute(
        "select (select count(*) from feed_rows) + (select count(*) from feed_rejects), "
        "(select count(distinct feed_row) from checked where reason is null), "
        "(select count(distinct feed_row) from checked where is_new)"
    ).fetchall()[0]
    skipped = dict(
        connection.execute(
            "select skip, count(*) from (select feed_row, min(skip) as skip from mapped group by feed_row "
            "having count(*) = count(skip)) as rows group by skip order by 2 desc, 1"
        ).fetchall()
    )
    reasons = dict(
        connection.execute(
            "select reason, count(*) from rejected group by reason order by 2 desc, 1"
        ).fetchall()
    )
    left, quarantined = sum(skipped.values()), sum(reasons.values())
    if rows_in != kept + left + quarantined:
        raise InputError(
            f"{path}: {rows_in} rows in, but {kept} kept, {left} skipped and {quarantined} quarantined. "
            "Please report it."
        )
    return Counted(rows_in, kept, new, skipped, reasons)


def summary(
    connection: duckdb.DuckDBPyConnection,
    preset: Preset,
    path: Path,
    feed: Feed,
    newly_quarantined: int,
    notes: tuple[str, ...],
    layout: Mapping | Preset,
) -> IngestSummary:
    """The summary of the feed that stands in the scratch tables; ``layout`` is what it was read by."""
    count = counted(connection, path)
    refused = refusals(connection, layout, feed.columns, preset.table)
    warnings = feed.warnings + _warnings(connection, preset, path, count, refused)
    if preset.table == "events":
        warnings += file_warnings(connection, NamedFile(path.name, feed.columns, layout))
    return IngestSummary(
        path=path,
        preset=preset.name,
        table=preset.table,
        rows_in=count.rows_in,
        rows_kept=count.kept,
        rows_new=count.new,
        rows_quarantined=sum(count.reasons.values()),
        rows_newly_quarantined=newly_quarantined,
        reasons=count.reasons,
        warnings=warnings,
        rows_skipped=sum(count.skipped.values()),
        skipped=count.skipped,
        notes=notes,
        refusals=refused,
    )


def _warnings(
    connection: duckdb.DuckDBPyConnection,
    preset: Preset,
    path: Path,
    count: Counted,
    refused: tuple[Refusal, ...],
) -> tuple[str, ...]:
    warnings: tuple[str, ...] = ()
    if "no_fx_rate" in count.reasons:
        warnings += (_no_rate(connection, path, count.reasons["no_fx_rate"]),)
    if preset.table == "fx_rates":
        warnings += _other_quote(connection, path)
    if count.rows_in and not count.kept and refused:
        other = f" clv inspect {path} looks for another way to read it." if preset.table == "events" else ""
        first = refused[0]
        warnings += (
            f"No row of {path} was kept ({first.reason}). {first.sentence}{other} All reasons: {PAGE}.",
        )
    if late := _late(connection, preset.table):
        warnings += (
            f"{count_of(late, 'new row')} of {path} happened before the newest date that features were built "
            "for. What was known on that date stays as it was, so "
            f"{'it counts' if late == 1 else 'they count'} from the next date on "
            "(recorded_at in docs/reference/feeds.md).",
        )
    return warnings


def _no_rate(connection: duckdb.DuckDBPyConnection, path: Path, rows: int) -> str:
    """Money that waits for a rate, with the currency and day to load one for."""
    ((currency, first_day),) = connection.execute(
        "select currency, cast(min(occurred_at) as date) from checked where reason = 'no_fx_rate' "
        "group by currency order by count(*) desc, currency limit 1"
    ).fetchall()
    quotes = connection.execute(
        "select distinct quote_currency from known_rates where currency = ? and quote_currency is not null "
        "order by quote_currency",
        [currency],
    ).fetchall()
    told = ", ".join(quote for (quote,) in quotes)
    crossed = (
        f" Its rates are quoted in {told}: rates of that in the shop's currency do, too." if told else ""
    )
    lacking = count_of(
        rows,
        f"row of {path} is in a currency without a rate on its day, {currency}",
        f"rows of {path} are in a currency without a rate on their day, most of them in {currency}",
    )
    return (
        f"{lacking}, the first on {first_day}. Load rates (preset fx_rates) and feed the file again, or, if "
        f"the shop counts in it, --vars '{{reporting_currency: {currency}}}'.{crossed}"
    )


def _other_quote(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    """Rates that name no quote and are not read in the shop's currency, since they are known in another."""
    found = connection.execute(
        "select checked.quote_currency, reporting_currency, count(*) "
        "from checked inner join mapped using (feed_row), ingest_settings "
        "where clean_text(mapped.quote_currency) is null and checked.quote_currency <> reporting_currency "
        "group by all"
    ).fetchall()
    return tuple(
        f"{path}: {count_of(rows, 'row')} without a quote_currency taken in {quote}, not in {reporting}, "
        f"since rates of the file are known in {quote}. If they are in {reporting}, say so in a column "
        "quote_currency."
        for quote, reporting, rows in found
    )


def _late(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """New events that are too late for the newest built date, which they happened before."""
    if table != "events":
        return 0
    return connection.execute(
        "select count(*) from checked, ingest_settings "
        "where is_new and occurred_at < built_as_of and recorded_at >= built_as_of"
    ).fetchall()[0][0]
