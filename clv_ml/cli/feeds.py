"""Commands on files: look at one, or load them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv_ml.cli.options import (
    AsJson,
    Currency,
    DataDir,
    DateFormat,
    Decimal,
    Encoding,
    InputFiles,
    MappingFile,
    Maps,
    Orders,
    PresetName,
    Sheet,
    Vars,
    Zone,
    reported,
    require_one_input,
    settings_of,
)
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result

if TYPE_CHECKING:
    from clv_ml.ingest.postgres_export import Source


From = Annotated[
    str,
    typer.Option(
        "--from",
        help="Read a database instead of a file: postgresql://USER@HOST/DATABASE. Needs the extra postgres.",
    ),
]
SourceTable = Annotated[str, typer.Option("--table", help="What to read there: orders, or shop.orders.")]
Query = Annotated[str, typer.Option("--query", help="Or a SELECT.")]
Watermark = Annotated[
    str,
    typer.Option(
        "--watermark",
        help="A column that only grows, such as updated_at: from then on read newer rows alone.",
    ),
]


def ingest(
    paths: InputFiles = None,
    preset: PresetName = "",
    data_dir: DataDir = None,
    mapping: MappingFile = None,
    maps: Maps = None,
    currency: Currency = "",
    date_format: DateFormat = "",
    decimal: Decimal = "",
    timezone: Zone = "",
    encoding: Encoding = "",
    sheet: Sheet = "",
    orders: Orders = "",
    from_: From = "",
    table: SourceTable = "",
    query: Query = "",
    watermark: Watermark = "",
    undo: Annotated[
        str,
        typer.Option("--undo", help="Take back what this feed brought, by its file's name; load nothing."),
    ] = "",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Load files, or rows of a database, into the raw tables. The same file twice changes nothing."""
    if undo:
        _undo(undo, paths, data_dir, vars_, as_json)
        return
    from clv_ml.engines import DuckDB, ingested_by, ingested_from
    from clv_ml.ingest.options import choice_from
    from clv_ml.show.runs import show_ingested
    from clv_ml.warehouse.locking import locked

    require_one_input(paths, data_dir)
    source = _source(from_, table, query, watermark, bool(paths or data_dir))
    with reported():
        choice = choice_from(
            preset,
            mapping,
            maps,
            currency=currency,
            dates=date_format,
            decimal=decimal,
            timezone=timezone,
            encoding=encoding,
            sheet=sheet,
            orders=orders,
        )
        settings = settings_of(vars_=vars_)
        with locked(settings), steps(as_json) as on_step:
            on_step("ingest")
            if source:
                summaries = ingested_from(settings, choice, source)
            else:
                _, summaries = ingested_by(DuckDB(settings), choice, tuple(paths or ()), data_dir)
        print_result(summaries, as_json, lambda: show_ingested(summaries))


def _source(from_: str, table: str, query: str, watermark: str, has_files: bool) -> "Source | None":
    """What ``--from`` and the options that belong to it name; None where they are absent."""
    from clv_ml.ingest.postgres_export import Source

    if not from_:
        if table or query or watermark:
            raise typer.BadParameter("--table, --query and --watermark belong to --from postgresql://...")
        return None
    if has_files or bool(table) == bool(query):
        raise typer.BadParameter("--from takes either --table or --query, and no file.")
    return Source(from_, table, query, watermark)


def _undo(feed_id: str, paths: list[Path] | None, data_dir: Path | None, vars_: str, as_json: bool) -> None:
    from clv_ml.ingest.undo import undo_feed
    from clv_ml.show.runs import show_undone
    from clv_ml.warehouse.locking import locked

    if paths or data_dir is not None:
        raise typer.BadParameter("--undo takes a feed back and loads no file. Name one or the other.")
    with reported():
        settings = settings_of(vars_=vars_)
        with locked(settings):
            undone = undo_feed(settings, feed_id)
        print_result(undone, as_json, lambda: show_undone(undone))


def inspect(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="The file to look at, and files that belong to it.")
    ] = None,
    preset: PresetName = "",
    mapping: MappingFile = None,
    maps: Maps = None,
    currency: Currency = "",
    date_format: DateFormat = "",
    decimal: Decimal = "",
    timezone: Zone = "",
    encoding: Encoding = "",
    sheet: Sheet = "",
    orders: Orders = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the mapping that is there.")
    ] = False,
    from_: From = "",
    table: SourceTable = "",
    query: Query = "",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Look at a file and load nothing: what it is, a mapping for it, rows before and after, every check."""
    from clv_ml.ingest.of_project import inspect_files
    from clv_ml.ingest.options import choice_from
    from clv_ml.ingest.postgres_export import exported
    from clv_ml.show.runs import show_inspection

    source = _source(from_, table, query, "", bool(paths))
    if not source and not paths:
        raise typer.BadParameter("Name a file, or --from.")
    with reported():
        choice = choice_from(
            preset,
            mapping,
            maps,
            currency=currency,
            dates=date_format,
            decimal=decimal,
            timezone=timezone,
            encoding=encoding,
            sheet=sheet,
            orders=orders,
        )
        settings = settings_of(vars_=vars_)
        if source:
            with exported(settings, source) as (file, _):
                result = inspect_files(settings, choice, (file,), overwrite)
        else:
            result = inspect_files(settings, choice, tuple(paths or ()), overwrite)
        again = "clv ingest with the same --from" if source else f"clv run {result.path}"
        print_result(result, as_json, lambda: show_inspection(result, again))
