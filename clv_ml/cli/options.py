"""What commands have in common: their options, a run's settings, and how errors and steps are shown."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv_ml.errors import ClvError, SettingsError, WarehouseBusyError
from clv_ml.ingest.presets import preset_names
from clv_ml.model.model_types import ModelType
from clv_ml.show.terminal import err

if TYPE_CHECKING:
    from clv_ml.settings import Settings

EXIT_CODES: dict[type[ClvError], int] = {SettingsError: 2, WarehouseBusyError: 3}
"""Errors that a scheduler tells apart; any other is 1, and 0 is done."""
LEAST_MEMORY = 2_000_000_000
"""Bytes of address space with which a small shop runs; with 1.2 billion the process was killed."""

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
    typer.Option(
        "--data-dir",
        help="Folder with events*, id_history*, fx_rates*, attributes* and acquisition_costs* files.",
    ),
]
InputFiles = Annotated[
    list[Path] | None, typer.Argument(help="Delimited text (also gzipped), workbooks or Parquet files.")
]
PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        help=f"What the feed looks like: {', '.join(preset_names())}. Default: its columns tell.",
    ),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="A mapping file, such as clv inspect writes.")
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map", help='A column for a field of the contract: --map order_id="Order ID". Repeatable.'
    ),
]
Currency = Annotated[str, typer.Option("--currency", help="Currency of all amounts, such as USD.")]
DateFormat = Annotated[
    str, typer.Option("--date-format", help="'day first', 'month first', or as %d.%m.%Y %H:%M.")
]
Decimal = Annotated[str, typer.Option("--decimal", help="The decimal mark: a point or a comma.")]
Zone = Annotated[str, typer.Option("--timezone", help="IANA zone of times without an offset.")]
Encoding = Annotated[
    str, typer.Option("--encoding", help="What the text is written in, such as windows-1252.")
]
Sheet = Annotated[str, typer.Option("--sheet", help="The sheet of a workbook.")]
Orders = Annotated[
    str,
    typer.Option(
        "--orders", help="appended, or restated: an order that comes again replaces its older version."
    ),
]
Target = Annotated[
    Literal["duckdb", "spark"],
    typer.Option(
        "--target", help="Engine that computes: duckdb, or spark (the extra spark, see docs/how-to/spark.md)."
    ),
]
Publishes = Annotated[
    bool,
    typer.Option(
        "--publish",
        help="Replace what readers see even where this run's horizon, currency, rate or date is not the "
        "project's. Default: such a run works on a copy.",
    ),
]
AcceptLoss = Annotated[
    bool,
    typer.Option(
        "--accept-loss", help="Train although more rows or money were refused than quarantine_share allows."
    ),
]
Kind = Annotated[ModelType, typer.Option("--model-type", help="What to fit.")]


def settings_of(
    as_of: str = "",
    horizon_days: int | None = None,
    vars_: str = "",
    target: Literal["duckdb", "spark"] = "duckdb",
) -> "Settings":
    from clv_ml.settings import load_settings, parse_vars

    _require_memory()
    flags = {"as_of_date": as_of or None, "horizon_days": horizon_days}
    settings = load_settings({**parse_vars(vars_), **{k: v for k, v in flags.items() if v is not None}})
    return settings.model_copy(update={"target": target})


def _require_memory() -> None:
    """Below this limit the libraries end without a word while they are imported."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < LEAST_MEMORY:
        raise SettingsError(
            f"This process may use {limit / 1e9:.1f} GB of memory (ulimit -v), and needs "
            f"{LEAST_MEMORY / 1e9:.0f} GB. Raise the limit."
        )


def require_one_input(paths: list[Path] | None, data_dir: Path | None) -> None:
    if paths and data_dir is not None:
        raise typer.BadParameter("Name a file or --data-dir, not both.")


@contextmanager
def reported() -> Iterator[None]:
    """Turns our errors into one line on stderr and an exit code."""
    try:
        yield
    except ClvError as error:
        err.print(f"[red]Error:[/red] {type(error).__name__}: ", end="")
        err.print(str(error), markup=False, highlight=False)
        raise typer.Exit(EXIT_CODES.get(type(error), 1)) from error
    except BrokenPipeError as error:
        # whoever read the output has read enough; what is left to flush goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from error
    except (OSError, MemoryError, _database_error()) as error:
        # a full disk, a closed folder, too little memory
        err.print(f"[red]Error:[/red] {type(error).__name__}: ", end="")
        err.print(f"{error} What was published stands. Mend the cause, then run again.", markup=False)
        raise typer.Exit(1) from error


def _database_error() -> type[Exception]:
    """The base of DuckDB's errors, imported once something has gone wrong."""
    from duckdb import Error

    return Error
