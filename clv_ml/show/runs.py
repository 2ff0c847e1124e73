"""What commands print of runs: files seen or ingested, scores, publication, erasure, findings, engines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from clv_ml.operate.scores import hard_to_learn
from clv_ml.serve.narrative import amount_text
from clv_ml.settings import Settings
from clv_ml.show.models import show_fit
from clv_ml.show.terminal import err, out, print_wide, warn, warn_of_shop
from clv_ml.wording import count_of

if TYPE_CHECKING:
    from clv_ml.ingest.inspection import Inspection
    from clv_ml.ingest.summary import IngestSummary
    from clv_ml.ingest.undo import Undone
    from clv_ml.operate.erasure import Erasure
    from clv_ml.operate.findings import Finding
    from clv_ml.operate.scores import ScoringResult, TopCustomer
    from clv_ml.pipeline import RunResult
    from clv_ml.show.report import ReportResult
    from clv_ml.spark.compare import TableComparison


def show_run(settings: Settings, result: RunResult, best: Sequence[TopCustomer]) -> None:
    show_ingested(result.ingested)
    if result.training:
        show_fit(result.training)
    shown = {warning for summary in result.ingested for warning in summary.warnings}
    shown.add(hard_to_learn(result.scoring.caution or ""))  # with the scores
    warn(warning for warning in result.warnings if warning not in shown)
    show_scoring(settings, result.scoring, best)
    out.print(f"Published: {result.publication.path}", soft_wrap=True)
    if result.removed.models:
        out.print(f"Removed old models: {', '.join(result.removed.models)}")
    for table, dates in result.removed.dates.items():
        out.print(f"Removed from {table}: {count_of(len(dates), 'date')} up to {dates[-1]}")
    if best:
        _say_what_next(best)


def show_ingested(summaries: Sequence[IngestSummary]) -> None:
    if not summaries:
        return
    out.print(_table_of_files(summaries))
    _show_reading(summaries)


def _table_of_files(summaries: Sequence[IngestSummary], is_trial: bool = False) -> Table:
    """What became of each file, or what would where nothing is loaded."""
    table = Table("file", "rows", "kept", title="A run would load" if is_trial else "Ingested")
    for column in (*([] if is_trial else ["new"]), "skipped", "guests", "quarantined", "why"):
        table.add_column(column)
    for one in summaries:
        guests = one.guests.rows if one.guests else 0
        new = () if is_trial else (one.rows_new,)
        refused = one.rows_quarantined - guests
        counts = (one.rows_in, one.rows_kept, *new, one.rows_skipped, guests, refused)
        faults = [(each.reason, each.rows) for each in one.refusals if each != one.guests]
        why = ", ".join(f"{reason} {count:,}" for reason, count in (*faults, *(one.skipped or {}).items()))
        table.add_row(one.path.name, *(f"{count:,}" for count in counts), Text(why))
    return table


def _show_reading(summaries: Sequence[IngestSummary]) -> None:
    """How files were read, what was refused, and what is odd about them."""
    for summary in summaries:
        for note in summary.notes:
            out.print(Text(f"{summary.path.name}, {note}."), soft_wrap=True)
        for refusal in summary.refusals:
            money = ", ".join(f"{amount:,} {currency}" for currency, amount in refusal.money.items())
            out.print(
                Text(f"{summary.path.name}: {refusal.sentence}" + f" In all {money}." * bool(money)),
                soft_wrap=True,
            )
    warn(warning for summary in summaries for warning in summary.warnings)


def show_undone(undone: Undone) -> None:
    refused = f", and {count_of(undone.rows_refused, 'refused row')}" if undone.rows_refused else ""
    what = f"{undone.feed_id} was taken back: {count_of(undone.rows, 'row')} of {undone.table}{refused}."
    when = (
        f"Features up to {undone.seen_until} stay as they were; from the next date on it is unknown."
        if undone.seen_until
        else "It is unknown as of every date."
    )
    out.print(
        Text(f"{what} {when} Rows that other files had too went with it: feed those files again."),
        soft_wrap=True,
    )
    warn(undone.warnings)


def show_inspection(result: Inspection, again: str) -> None:
    """What was seen of a file, and the command that loads it."""
    known = (
        f"is known: {result.recognised_as}"
        if result.recognised_as
        else "is no known export; a mapping is proposed"
    )
    out.print(Text(f"{result.path.name} {known}."), soft_wrap=True)
    for field, where in result.fields.items():
        out.print(Text(f"  {field}: {where}"), soft_wrap=True)
    shown = len(result.before.columns)
    columns = f", {shown} of {result.columns} columns" if shown < result.columns else ""
    for title, rows in ((f"As it is{columns}", result.before), ("As it will be read", result.after)):
        table = Table(*rows.columns, title=title)
        for row in rows.rows:
            table.add_row(*map(Text, row))
        print_wide(table)
    out.print(_table_of_files((result.summary,), is_trial=True))
    _show_reading((replace(result.summary, notes=result.notes),))
    if result.mapping_file:
        out.print(Text(f"Mapping written: {result.mapping_file}. Check it."), soft_wrap=True)
    out.print(Text(f"Next: {again}"), soft_wrap=True)


def show_scoring(settings: Settings, result: ScoringResult, best: Sequence[TopCustomer]) -> None:
    methods = ", ".join(f"{method} {count:,}" for method, count in result.methods.items())
    out.print(
        f"{count_of(result.customers, 'customer')} as of {result.as_of_date}; {settings.vars.horizon_days} "
        f"days ahead, {settings.vars.reporting_currency} {result.estimate_total:,.0f} in all ({methods})."
    )
    if best:
        out.print(_table_of_best(best))
    warn_of_shop(result.caution)
    out.print(f"Model version: {result.model_version or 'none'}")
    if settings.target == "duckdb":
        table = f"{settings.own_schema}.customer_clv"
        out.print(f"Warehouse: {settings.warehouse}  (table {table})", soft_wrap=True)


def _table_of_best(best: Sequence[TopCustomer]) -> Table:
    table = Table("customer", "value", "low to high", "why", title="Most valuable customers")
    table.columns[1].justify = table.columns[2].justify = "right"
    for one in best:
        bounds = ""
        if one.clv_low is not None and one.clv_high is not None:
            bounds = f"{amount_text(one.clv_low)} to {amount_text(one.clv_high)}"
        table.add_row(
            Text(one.customer_id), amount_text(float(one.clv_estimate)), bounds, Text(one.narrative)
        )
    return table


def _say_what_next(best: Sequence[TopCustomer]) -> None:
    """Three commands, on a customer of theirs."""
    explain = f"clv explain {shlex.quote(best[0].customer_id)}"
    out.print(Text(f"Next: clv report (a page to look at), {explain} (in words), clv doctor (is all well?)."))


def show_report(result: ReportResult) -> None:
    for notice in result.notices:
        err.print(f"[yellow]Caution:[/yellow] {notice}")
    out.print(f"Report: {result.path} ({result.size / 1e6:.1f} MB)", soft_wrap=True, markup=False)


def show_erasure(result: Erasure) -> None:
    table = Table("file", "rows removed", "texts emptied", "bytes before", "bytes after", title="Erased")
    for file in result.files:
        counts = (sum(file.rows_removed.values()), file.texts_emptied, file.bytes_before, file.bytes_after)
        table.add_row(str(file.path), *(f"{count:,}" for count in counts))
        for column, count in file.mentions.items():
            err.print(
                f"[yellow]Look at[/yellow] {column}: the same text in {count_of(count, 'cell')} of another "
                "meaning?"
            )
    out.print(table)
    out.print(
        f"{result.ids} numbers of one person. Numbers over many customers are made anew by the next clv run."
    )
    if result.report:
        out.print(
            f"Removed: {result.report}. Write it anew with clv report; copies elsewhere are yours to remove."
        )
    if result.models:
        out.print(
            f"Trained on the person among others: {', '.join(result.models)}. "
            "Train anew (clv train) to be rid of it."
        )


def show_findings(found: tuple[Finding, ...]) -> None:
    colours = {"ok": "green", "absent": "blue", "warn": "yellow", "fail": "red"}
    for finding in found:
        out.print(f"[{colours[finding.status]}]{finding.status:<7}[/]{finding.name:<12}", end="")
        out.print(finding.text, markup=False, highlight=False, soft_wrap=True)


def show_comparison(compared: Sequence[TableComparison]) -> None:
    table = Table(
        "table", "rows", "cells", "only DuckDB", "only Spark", "differing", title="DuckDB and Spark"
    )
    for one in compared:
        differing = ", ".join(f"{column} {count:,}" for column, count in one.differing.items()) or "0"
        counts = (one.rows, one.cells, one.only_duckdb, one.only_spark)
        table.add_row(one.table, *(f"{count:,}" for count in counts), differing)
    print_wide(table)
    cells, unequal = sum(o.cells for o in compared), sum(sum(o.differing.values()) for o in compared)
    out.print(f"{unequal:,} of {cells:,} cells differ.")
