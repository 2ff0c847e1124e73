"""
Files into the raw tables, and what is not fit into raw.quarantine.

A file, several or a folder are fed in one transaction: an error leaves no row. A file fed twice changes
nothing. What becomes of one file: ``one_file``.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from clv_ml.errors import InputError, OtherCurrencyError
from clv_ml.ingest.built_dates import as_utc
from clv_ml.ingest.choice import Choice, as_choice
from clv_ml.ingest.files import SIDECAR_SUFFIX, require_inside
from clv_ml.ingest.lookups import grouped
from clv_ml.ingest.losses import USUAL, Limits
from clv_ml.ingest.one_file import Rules, ingest_file
from clv_ml.ingest.scratch import schema_sql
from clv_ml.ingest.summary import IngestSummary
from clv_ml.warehouse.connection import transaction

SIDE_TABLES = ("fx_rates", "id_history", "attributes", "acquisition_costs")


def ingest(
    connection: duckdb.DuckDBPyConnection,
    choice: str | Choice,
    path: Path,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    beside: tuple[Path, ...] = (),
) -> IngestSummary:
    """
    Feed one file, in one transaction.

    Args:
        connection: Open, outside a transaction, to a database that has the raw tables (``dbt run`` makes
            them).

        choice: What the file is read by: the name of a preset, or more; an empty name: its columns tell.

        path: A delimited text, workbook or Parquet file.

        reporting_currency: Three letters. Money in another currency needs a rate in ``fx_rates``.

        raw_schema: Where the raw tables are: a schema, or ``catalog.schema``.

        limits: What the project says of attributes, and of how much may be refused.

        timezone: IANA name of the zone of times that bear none.

        now: The ingestion clock; later events are quarantined. Naive means UTC. Default: this instant.

        beside: Files in which the mapping looks up what the file lacks.

    Raises:
        InputError: If the preset or the file cannot be used as such. Nothing was written.

        WarehouseError: If the raw tables are absent.
    """
    rules = Rules(reporting_currency, raw_schema, timezone, as_utc(now), limits=limits)
    with transaction(connection):
        return ingest_file(connection, as_choice(choice), Path(path), rules, beside)


def ingest_together(
    connection: duckdb.DuckDBPyConnection,
    choice: str | Choice,
    paths: tuple[Path, ...],
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    is_currency_open: bool = False,
) -> list[IngestSummary]:
    """
    Feed several files in one transaction; one that looks things up in others is fed with them as one.

    Arguments and errors are those of ``ingest``. ``is_currency_open``: nobody has named the shop's currency;
    an OtherCurrencyError says that the first money of all is in another one.
    """
    choice = as_choice(choice)
    rules = Rules(reporting_currency, raw_schema, timezone, as_utc(now), is_currency_open, limits)
    return _feed_all(connection, rules, [(choice, *group) for group in grouped(paths, choice)])


def ingest_folder(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    choice: str | Choice,
    *,
    reporting_currency: str,
    raw_schema: str = "raw",
    limits: Limits = USUAL,
    timezone: str = "UTC",
    now: datetime | None = None,
    is_currency_open: bool = False,
) -> list[IngestSummary]:
    """
    Feed a folder's ``fx_rates*``, ``id_history*``, ``attributes*``, ``acquisition_costs*``, then ``events*``
    files, in one transaction.

    Rates come first, so that money in their currencies is admitted. Within a kind, files go by name; the
    preset is that of the events. Other files are left alone. Arguments and errors are those of ``ingest``.
    """
    kinds = (*((table, Choice(table)) for table in SIDE_TABLES), ("events", as_choice(choice)))
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Check the path.")
    files = [
        (kind, file, ())
        for prefix, kind in kinds
        for file in sorted(folder.glob(f"{prefix}*"))
        if file.suffix != SIDECAR_SUFFIX
    ]
    if not any(file.name.startswith("events") for _, file, _ in files):
        raise InputError(
            f"{folder} has no file whose name starts with 'events'. Rename the feed, or name it alone."
        )
    for _, file, _ in files:
        require_inside(file, folder)
    rules = Rules(reporting_currency, raw_schema, timezone, as_utc(now), is_currency_open, limits)
    return _feed_all(connection, rules, files)


def _feed_all(
    connection: duckdb.DuckDBPyConnection,
    rules: Rules,
    files: Sequence[tuple[Choice, Path, tuple[Path, ...]]],
) -> list[IngestSummary]:
    """Feeds files, each with what it is read by and the files beside it, in one transaction."""
    with transaction(connection):
        fed = [ingest_file(connection, choice, path, rules, beside) for choice, path, beside in files]
        _require_own_currency(connection, rules, fed)
    return fed


def _require_own_currency(
    connection: duckdb.DuckDBPyConnection, rules: Rules, fed: list[IngestSummary]
) -> None:
    """
    Refuses the first money of all where it is in one other currency than the shop's, which nobody has named.
    """
    others = sorted({currency for summary in fed for currency in summary.currencies_without_rate})
    if not rules.is_currency_open or len(others) != 1:
        return
    has_money = connection.execute(
        f"select 1 from {schema_sql(rules.raw_schema)}.events where amount is not null limit 1"
    ).fetchall()
    if not has_money:
        raise OtherCurrencyError(
            others[0],
            f"All money of {fed[-1].path} is in {others[0]}, and the shop counts in "
            f"{rules.reporting_currency}. Name its currency: --vars '{{reporting_currency: {others[0]}}}'.",
        )
