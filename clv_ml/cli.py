"""
The command ``clv``: parse, call, print. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 warehouse busy.

A command imports what it needs, so that ``clv --help`` and small commands answer at once.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv_ml.errors import ClvError, SettingsError, WarehouseBusyError
from clv_ml.ingest.presets import preset_names
from clv_ml.learn.model_types import ModelType
from clv_ml.show.terminal import err, out, print_result, say

if TYPE_CHECKING:
    from clv_ml.settings import Settings

app = typer.Typer(
    help="Customer lifetime value in the warehouse: what dbt has no verb for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Model versions: list, show, diff, promote, rollback.", no_args_is_help=True)
app.add_typer(models_app, name="models")
EXIT_CODES: dict[type[ClvError], int] = {SettingsError: 2, WarehouseBusyError: 3}
"""Errors that a scheduler tells apart; any other is 1, and 0 is done."""

AsOf = Annotated[
    str,
    typer.Option(
        "--as-of", help="Date to look back from, YYYY-MM-DD. Default: the day after the newest event."
    ),
]
Horizon = Annotated[
    int | None,
    typer.Option(
        "--horizon-days",
        help="Days ahead that value is predicted for. Default: horizon_days of dbt_project.yml.",
    ),
]
Vars = Annotated[
    str,
    typer.Option("--vars", help="Settings for this run as YAML, as for dbt: '{reporting_currency: USD}'."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with events*, id_history*, fx_rates* and attributes* files."),
]
InputFile = Annotated[Path | None, typer.Argument(help="A .csv, .csv.gz or .parquet file.")]
PresetName = Annotated[
    str, typer.Option("--preset", help=f"What the feed looks like: {', '.join(preset_names())}.")
]
Target = Annotated[
    Literal["duckdb", "spark"],
    typer.Option(
        "--target", help="Engine that computes: duckdb, or spark (the extra spark, see docs/how-to/spark.md)."
    ),
]
Kind = Annotated[ModelType, typer.Option("--model-type", help="What to fit.")]


@app.command()
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

    with _reported():
        settings = _demo_settings()
        with locked(settings):
            with _steps() as on_step:
                result = pipeline.demo(settings, customers, seed, on_step)
            print_result(result, as_json, lambda: show_run(settings, result, top_customers(settings)))


@app.command()
def ingest(
    path: InputFile = None,
    preset: PresetName = "events",
    data_dir: DataDir = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Load a file, or a folder of files, into the raw tables. The same file twice changes nothing."""
    from clv_ml.pipeline import DuckDB
    from clv_ml.show.runs import show_ingested
    from clv_ml.warehouse.locking import locked

    _require_one_input(path, data_dir)
    with _reported():
        settings = _settings(vars_=vars_)
        with locked(settings), _steps() as on_step:
            on_step("ingest")
            summaries = DuckDB(settings).ingest_files(preset, path, data_dir)
        print_result(summaries, as_json, lambda: show_ingested(summaries))


@app.command()
def train(
    model_type: Kind = "lightgbm",
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    data_dir: DataDir = None,
    preset: PresetName = "events",
    target: Target = "duckdb",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Build the training rows, fit a model, measure it on held-out time, publish it as champion."""
    from clv_ml.pipeline import engine_of
    from clv_ml.show.models import show_trained
    from clv_ml.show.runs import show_ingested
    from clv_ml.warehouse.locking import locked

    def show() -> None:
        show_ingested(ingested)
        show_trained(result)

    with _reported():
        settings = _settings(as_of, horizon_days, vars_, target)
        engine, ingested = engine_of(settings), ()
        with locked(settings), _steps() as on_step:
            if data_dir is not None:
                on_step("ingest")
                ingested = engine.ingest_files(preset, data_dir=data_dir)
            on_step("build features")
            engine.build_features()
            on_step("train")
            result = engine.train(model_type)
        print_result(result, as_json, show)


@app.command()
def score(
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    target: Target = "duckdb",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Refresh the features and score every customer with the model in use."""
    from clv_ml.operate.scores import require_customers, top_customers
    from clv_ml.pipeline import engine_of
    from clv_ml.show.runs import show_scoring
    from clv_ml.warehouse.locking import locked

    with _reported():
        settings = _settings(as_of, horizon_days, vars_, target)
        engine = engine_of(settings)
        with locked(settings):
            with _steps() as on_step:
                on_step("build features")
                engine.build_features()
                on_step("score")
                result = engine.score()
            require_customers(settings, result)
            print_result(result, as_json, lambda: show_scoring(settings, result, top_customers(settings)))


@app.command()
def run(
    path: InputFile = None,
    preset: PresetName = "events",
    data_dir: DataDir = None,
    model_type: Kind = "lightgbm",
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    target: Target = "duckdb",
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """
    From new files to scored customers in one process: ingest, build, train where due, score, check, publish.
    """
    from clv_ml import pipeline
    from clv_ml.operate.scores import top_customers
    from clv_ml.show.runs import show_run
    from clv_ml.warehouse.locking import locked

    _require_one_input(path, data_dir)
    with _reported():
        settings = _settings(as_of, horizon_days, vars_, target)
        with locked(settings):
            with _steps() as on_step:
                result = pipeline.run(settings, preset, path, data_dir, model_type, on_step)
            print_result(result, as_json, lambda: show_run(settings, result, top_customers(settings)))


@app.command()
def publish(target: Target = "duckdb", as_json: AsJson = False) -> None:
    """
    Give readers a fresh copy of the marts: clv.duckdb in the folder published beside the warehouse, and
    Parquet files.
    """
    from clv_ml.pipeline import engine_of
    from clv_ml.warehouse.locking import locked

    with _reported():
        settings = _settings(target=target)
        engine = engine_of(settings)
        with locked(settings), _steps() as on_step:
            on_step("check")
            engine.check_marts()
            on_step("publish")
            result = engine.publish()
        print_result(result, as_json, lambda: say(f"Published: {result.path}"))


@app.command()
def backtest(
    origins: Annotated[
        int, typer.Option(min=1, help="Dates to predict from, spread evenly up to the newest.")
    ] = 4,
    newest: Annotated[
        bool,
        typer.Option(
            "--newest", help="Take the newest dates, a month apart, instead of dates spread over history."
        ),
    ] = False,
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Predict from past dates, strictly out of time, and compare the model with every baseline."""
    from clv_ml.learn.backtest import backtest as run_backtest
    from clv_ml.pipeline import DuckDB
    from clv_ml.show.backtest_sheets import show_backtest
    from clv_ml.warehouse.locking import locked

    with _reported():
        settings = _settings(as_of, horizon_days, vars_)
        with locked(settings), _steps() as on_step:
            on_step("build features")
            DuckDB(settings).build_features()
            on_step("backtest")
            result = run_backtest(settings, origins, newest)
        shown = {
            "horizon_days": result.horizon_days,
            "origins": result.origins,
            "forms": result.forms,
            "averages": result.averages(),
            "comparisons": result.comparisons,
            "metrics": result.metrics.to_pylist(),
        }
        print_result(shown, as_json, lambda: show_backtest(result))


@app.command()
def tune(
    trials: Annotated[int, typer.Option(min=1, help="Sets of parameters to try, the defaults first.")] = 30,
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """
    Search the fit's parameters on dates before the test date; `clv train` uses them if they are better beyond
    noise.
    """
    from clv_ml.learn.tuning import require_optuna
    from clv_ml.learn.tuning import tune as run_tuning
    from clv_ml.pipeline import DuckDB
    from clv_ml.show.models import show_tuning
    from clv_ml.warehouse.locking import locked

    with _reported():
        require_optuna()
        settings = _settings(as_of, horizon_days, vars_)
        with locked(settings), _steps() as on_step:
            on_step("build features")
            DuckDB(settings).build_features()
            on_step("tune")
            result = run_tuning(settings, trials)
        print_result(result, as_json, lambda: show_tuning(settings, result))


@app.command()
def diff(
    from_date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The earlier scoring date.")],
    to_date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The later scoring date.")],
    customer: Annotated[str | None, typer.Option(help="Show this customer alone.")] = None,
    customers: Annotated[int, typer.Option(min=0, help="Show so many that changed most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Why customers' values changed between two scoring dates, driver by driver."""
    from clv_ml.operate.value_changes import value_changes
    from clv_ml.show.customers import show_changes

    with _reported():
        result = value_changes(_settings(), from_date.date(), to_date.date(), customer, customers)
        print_result(result, as_json, lambda: show_changes(result))


@app.command()
def explain(
    customer: Annotated[str, typer.Argument(help="The customer's number, today's or one merged into it.")],
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the drivers as a waterfall: a .png, .svg or .pdf file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say in business language what a customer is expected to be worth, how sure that is, and why."""
    from clv_ml.operate.customers import explain_customer
    from clv_ml.show.customers import show_explanation

    with _reported():
        found = explain_customer(_settings(), customer)
        if plot is not None:
            from clv_ml.show.customer_plot import plot_customer

            plot_customer(found, plot)
        print_result(found, as_json, lambda: show_explanation(found))


@app.command()
def report(
    path: Annotated[
        Path | None, typer.Option("--out", help="The file to write. Default: beside the warehouse.")
    ] = None,
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on who is worth what, how sure that is, and why; it needs no network to be read."""
    from clv_ml.operate.report_facts import read_facts
    from clv_ml.settings import report_path
    from clv_ml.show.report import write_report
    from clv_ml.show.runs import show_report

    with _reported():
        settings = _settings(horizon_days=horizon_days, vars_=vars_)
        with _steps() as on_step:
            on_step("report")
            result = write_report(read_facts(settings), path or report_path(settings))
        print_result(result, as_json, lambda: show_report(result))


@app.command()
def forget(
    customer: Annotated[
        str, typer.Argument(help="Number of the customer, as the feed writes it; merged ones go too.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Erase a person from the warehouse and everything published, rewrite the files, and prove it."""
    from clv_ml.operate.erasure import erase
    from clv_ml.show.runs import show_erasure
    from clv_ml.warehouse.locking import locked

    with _reported():
        settings = _settings(vars_=vars_)
        question = f"Erase this customer from {settings.warehouse} and what was published of it, for good?"
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        with locked(settings), _steps() as on_step:
            on_step("erase")
            result = erase(settings, customer)
        print_result(result, as_json, lambda: show_erasure(result))


@app.command()
def doctor(horizon_days: Horizon = None, vars_: Vars = "", as_json: AsJson = False) -> None:
    """
    Say how everything is: versions, lock, warehouse, model, data, drift, accuracy, publication, disk. Exit 1
    on a failure.
    """
    from clv_ml.operate.doctor import examine
    from clv_ml.show.runs import show_findings

    with _reported():
        found = examine(_settings(horizon_days=horizon_days, vars_=vars_))
        is_well = all(finding.status != "fail" for finding in found)
        print_result({"is_well": is_well, "findings": found}, as_json, lambda: show_findings(found))
        if not is_well:
            raise typer.Exit(1)


@app.command("compare-engines")
def compare_engines(
    as_of: AsOf = "", horizon_days: Horizon = None, vars_: Vars = "", as_json: AsJson = False
) -> None:
    """Build on Spark what the DuckDB warehouse holds, from the same events, and compare every cell."""
    from clv_ml.pipeline import spark_module
    from clv_ml.show.runs import show_comparison

    with _reported():
        settings = _settings(as_of, horizon_days, vars_)
        compare = spark_module("compare")
        with _steps() as on_step:
            compared = compare.compare_engines(settings, on_step)
        print_result(compared, as_json, lambda: show_comparison(compared))
        if not all(table.is_equal for table in compared):
            raise typer.Exit(1)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every version, oldest first, with its figures on the test dates."""
    from clv_ml.model import registry
    from clv_ml.show.models import model_entry, show_models

    with _reported():
        listed = registry.list_models(_settings().models)
        print_result([model_entry(model) for model in listed], as_json, lambda: show_models(listed))


@models_app.command("show")
def show_model(
    version: Annotated[str, typer.Argument(help="The version to look at.")], as_json: AsJson = False
) -> None:
    """
    What a version was trained on, how it did against the baselines, what it reads, and whether its files are
    whole.
    """
    from clv_ml.model import registry
    from clv_ml.show import models

    with _reported():
        model = registry.show(_settings().models, version)
        shown = {
            "version": model.version,
            "is_champion": model.is_champion,
            "reason": model.reason,
            "fault": model.fault,
        }
        manifest = model.manifest.model_dump(mode="json") if model.manifest else {}
        print_result(manifest | shown, as_json, lambda: models.show_model(model))


@models_app.command("diff")
def diff_models(
    before: Annotated[
        str, typer.Argument(help="The version that counts as before, for example the champion.")
    ],
    after: Annotated[str, typer.Argument(help="The version to compare with it, for example a challenger.")],
    customer: Annotated[str | None, typer.Option(help="Show this customer alone.")] = None,
    customers: Annotated[int, typer.Option(min=0, help="Show so many that differ most.")] = 10,
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """
    Whose value two versions see differently on today's scoring date, and why. What is missing is scored
    beside.
    """
    from clv_ml.operate.value_changes import compare_models
    from clv_ml.show.customers import show_changes

    with _reported():
        settings = _settings(horizon_days=horizon_days, vars_=vars_)
        with _steps() as on_step:
            result = compare_models(settings, before, after, customer, customers, on_step)
        print_result(result, as_json, lambda: show_changes(result))


@models_app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The version to score with from now on.")],
    reason: Annotated[str, typer.Option(help="Kept with the pointer.")] = "promoted by hand",
    as_json: AsJson = False,
) -> None:
    """Make a version the champion."""
    _switch(version, reason, as_json)


@models_app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Kept with the pointer.")] = "rollback", as_json: AsJson = False
) -> None:
    """Return to the champion before this one."""
    _switch(None, reason, as_json)


def _switch(version: str | None, reason: str, as_json: bool) -> None:
    from clv_ml.operate.promotion import switch_model
    from clv_ml.warehouse.locking import locked

    with _reported():
        settings = _settings()
        with locked(settings):
            pointer = switch_model(settings, version, reason)
        print_result(pointer.model_dump(), as_json, lambda: out.print(f"Champion is now {pointer.version}."))


def _settings(
    as_of: str = "",
    horizon_days: int | None = None,
    vars_: str = "",
    target: Literal["duckdb", "spark"] = "duckdb",
) -> "Settings":
    from clv_ml.settings import load_settings, parse_vars

    flags = {"as_of_date": as_of or None, "horizon_days": horizon_days}
    settings = load_settings({**parse_vars(vars_), **{k: v for k, v in flags.items() if v is not None}})
    return settings.model_copy(update={"target": target})


def _require_one_input(path: Path | None, data_dir: Path | None) -> None:
    if path is not None and data_dir is not None:
        raise typer.BadParameter("Name a file or --data-dir, not both.")


def _demo_settings() -> "Settings":
    """
    The demo has a folder of its own beside the default warehouse, so that it never mixes with real data.
    """
    settings = _settings()
    folder = settings.warehouse.parent / "demo"
    return settings.model_copy(update={"warehouse": folder / "clv.duckdb", "models": folder / "models"})


@contextmanager
def _reported() -> Iterator[None]:
    """Turns our errors into one line on stderr and an exit code."""
    try:
        yield
    except ClvError as error:
        err.print(f"[red]Error:[/red] {type(error).__name__}: ", end="")
        err.print(str(error), markup=False, highlight=False)
        raise typer.Exit(EXIT_CODES.get(type(error), 1)) from error
    except (OSError, MemoryError, _database_error()) as error:
        # a full disk, a closed folder, too little memory
        err.print(f"[red]Error:[/red] {type(error).__name__}: ", end="")
        err.print(f"{error} What was published stands. Mend the cause, then run again.", markup=False)
        raise typer.Exit(1) from error


def _database_error() -> type[Exception]:
    """The base of DuckDB's errors, imported once something has gone wrong."""
    from duckdb import Error

    return Error


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """A line that names the step under way, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("start", total=None)
        yield lambda step: progress.update(task, description=step)
