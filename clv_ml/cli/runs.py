"""Commands that fill the warehouse: from files to published scores, in one go or step by step."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv_ml.cli.options import (
    AcceptLoss,
    AsJson,
    AsOf,
    Currency,
    DataDir,
    DateFormat,
    Decimal,
    Encoding,
    Horizon,
    InputFiles,
    Kind,
    MappingFile,
    Maps,
    Orders,
    PresetName,
    Publishes,
    Sheet,
    Target,
    Vars,
    Zone,
    reported,
    require_one_input,
    settings_of,
)
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result, say, warn

if TYPE_CHECKING:
    from clv_ml.settings import Settings

DEMO_PROJECT = Path("clv-demo")
"""Where the demo is outside a project."""


def init(
    folder: Annotated[Path, typer.Argument(help="The folder of the project; its name is the project's.")],
    as_json: AsJson = False,
) -> None:
    """Make a project for a shop: settings, profile and a page of commands. The SQL stays in the package."""
    from clv_ml.warehouse.own_project import create_project

    with reported():
        written = create_project(folder)
        text = f"{folder} holds {', '.join(path.name for path in written)}. Next: cd {folder}, clv run FILE."
        print_result({"written": written}, as_json, lambda: say(text))


def demo(
    customers: Annotated[int, typer.Option(min=100, help="Customers of the simulated shop.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed is another shop.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Simulate a shop, build features, train, score, and show the most valuable customers."""
    from clv_ml import pipeline
    from clv_ml.operate.scores import top_customers
    from clv_ml.show.runs import show_run
    from clv_ml.warehouse.locking import locked

    with reported():
        settings = _demo_settings()
        with locked(settings):
            with steps(as_json) as on_step:
                result = pipeline.demo(settings, customers, seed, on_step)
            print_result(result, as_json, lambda: show_run(settings, result, top_customers(settings)))


def _demo_settings() -> "Settings":
    """
    The demo has a folder of its own next to the default warehouse, so it never mixes with real data. Its shop
    sells in pounds, whatever the project's own currency. Outside a project it gets one.
    """
    from clv_ml.settings import PROJECT_FILE, is_in_project
    from clv_ml.warehouse.own_project import create_project

    if not is_in_project():
        if not (DEMO_PROJECT / PROJECT_FILE).exists():
            create_project(DEMO_PROJECT)
        os.chdir(DEMO_PROJECT)
        say(f"The demo is the project {DEMO_PROJECT}. Next: cd {DEMO_PROJECT}, then clv report.")
        return settings_of()
    settings = settings_of()
    if settings.vars.reporting_currency != "GBP":
        settings = settings_of(vars_="{reporting_currency: GBP}")
    folder = settings.warehouse.parent / "demo"
    return settings.model_copy(update={"warehouse": folder / "clv.duckdb", "models": folder / "models"})


def train(
    model_type: Kind = "lightgbm",
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    data_dir: DataDir = None,
    preset: PresetName = "",
    publishes: Publishes = False,
    target: Target = "duckdb",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Build the training rows, fit a model, measure it out of time, publish it as champion."""
    from clv_ml.engines import engine_of, ingested_by
    from clv_ml.model.model_in_use import version_in_use
    from clv_ml.operate.one_off import kept_aside
    from clv_ml.show.models import show_trained
    from clv_ml.show.runs import show_ingested

    def show() -> None:
        show_ingested(ingested)
        show_trained(result, version_in_use(engine.settings))

    with (
        reported(),
        kept_aside(settings_of(as_of, horizon_days, vars_, target), publishes) as (settings, note),
    ):
        engine, ingested = engine_of(settings), ()
        with steps(as_json) as on_step:
            if data_dir is not None:
                on_step("ingest")
                engine, ingested = ingested_by(engine, preset, data_dir=data_dir)
            on_step("build features")
            engine.build_features()
            on_step("train")
            result = engine.train(model_type)
        print_result(result, as_json, show)
        warn(note)


def score(
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    publishes: Publishes = False,
    target: Target = "duckdb",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Refresh the features and score every customer with the model in use."""
    from clv_ml.engines import engine_of
    from clv_ml.operate.one_off import kept_aside
    from clv_ml.operate.scores import require_customers, top_customers
    from clv_ml.show.runs import show_scoring

    with (
        reported(),
        kept_aside(settings_of(as_of, horizon_days, vars_, target), publishes) as (settings, note),
    ):
        engine = engine_of(settings)
        with steps(as_json) as on_step:
            on_step("build features")
            engine.build_features()
            on_step("score")
            result = engine.score()
        require_customers(settings, result)
        print_result(result, as_json, lambda: show_scoring(settings, result, top_customers(settings)))
        warn(note)


def run(
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
    model_type: Kind = "lightgbm",
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    publishes: Publishes = False,
    target: Target = "duckdb",
    accept_loss: AcceptLoss = False,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """From new files to scores in one process: ingest, build, train where due, score, check, publish."""
    from clv_ml import pipeline
    from clv_ml.engines import changed
    from clv_ml.ingest.options import choice_from
    from clv_ml.operate.one_off import kept_aside
    from clv_ml.operate.scores import top_customers
    from clv_ml.show.runs import show_run

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
        wanted = settings_of(as_of, horizon_days, vars_, target)
        with kept_aside(wanted, publishes) as (settings, note):
            with steps(as_json) as on_step:
                files = tuple(paths or ())
                result = pipeline.run(settings, choice, files, data_dir, model_type, on_step, accept_loss)
            result = replace(result, warnings=(*note, *result.warnings))
            settings = changed(settings, reporting_currency=result.reporting_currency)
            print_result(result, as_json, lambda: show_run(settings, result, top_customers(settings)))


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The earliest date.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The latest date.")],
    every_days: Annotated[int, typer.Option(min=1, help="Days from one date to the next.")] = 30,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Score past dates with the model in use, where nobody was scored; hindsight is marked as such."""
    from clv_ml import pipeline

    with reported():
        settings = settings_of(vars_=vars_)
        with steps(as_json) as on_step:
            days = pipeline.backfill(settings, first.date(), last.date(), every_days, on_step)
        text = (
            f"Scored: {', '.join(map(str, days)) or 'nothing was missing'}. Readers see it after clv publish."
        )
        print_result({"scored": days}, as_json, lambda: say(text))
