"""Commands on files: look at one, or load them."""

from pathlib import Path
from typing import Annotated

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
    steps,
)
from clv_ml.show.terminal import print_result


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
    undo: Annotated[
        str,
        typer.Option("--undo", help="Take back what this feed brought, by its file's name; load nothing."),
    ] = "",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Load a file, or a folder of files, into the raw tables. The same file twice changes nothing."""
    if undo:
        _undo(undo, paths, data_dir, vars_, as_json)
        return
    from clv_ml.engines import DuckDB, ingested_by
    from clv_ml.ingest.options import choice_from
    from clv_ml.show.runs import show_ingested
    from clv_ml.warehouse.locking import locked

    require_one_input(paths, data_dir)
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
        with locked(settings), steps() as on_step:
            on_step("ingest")
            _, summaries = ingested_by(DuckDB(settings), choice, tuple(paths or ()), data_dir)
        print_result(summaries, as_json, lambda: show_ingested(summaries))


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
    paths: Annotated[list[Path], typer.Argument(help="The file to look at, and files that belong to it.")],
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
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Look at a file and load nothing: what it is, a mapping for it, rows before and after, every check."""
    from clv_ml.ingest.of_project import inspect_files
    from clv_ml.ingest.options import choice_from
    from clv_ml.show.runs import show_inspection

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
        result = inspect_files(settings_of(vars_=vars_), choice, tuple(paths), overwrite)
        print_result(result, as_json, lambda: show_inspection(result))
