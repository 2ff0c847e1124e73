"""Commands that measure: how good predictions are, whether all is well, whether engines agree."""

from typing import Annotated

import typer

from clv_ml.cli.options import AsJson, AsOf, Horizon, Vars, reported, settings_of
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result


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
    from clv_ml.engines import DuckDB
    from clv_ml.learn.backtest import backtest as run_backtest
    from clv_ml.measure.comparison import verdict
    from clv_ml.operate.one_off import kept_aside
    from clv_ml.show.backtest_sheets import HEADS, show_backtest

    with reported(), kept_aside(settings_of(as_of, horizon_days, vars_), publishes=False) as (settings, _):
        with steps(as_json) as on_step:
            on_step("build features")
            DuckDB(settings).build_features()
            on_step("backtest")
            result = run_backtest(settings, origins, newest)
        shown = {
            "verdict": verdict(result.comparisons, HEADS),
            "horizon_days": result.horizon_days,
            "origins": result.dates,
            "candidates": result.candidates,
            "averages": result.averages(),
            "comparisons": result.comparisons,
            "other_horizons": result.other_horizons,
            "metrics": result.metrics.to_pylist(),
        }
        print_result(shown, as_json, lambda: show_backtest(result))


def tune(
    trials: Annotated[int, typer.Option(min=1, help="Sets of parameters to try, the defaults first.")] = 30,
    as_of: AsOf = "",
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Search the fit's parameters before the test date; `clv train` uses them if better beyond noise."""
    from clv_ml.engines import DuckDB
    from clv_ml.learn.tuning import require_optuna
    from clv_ml.learn.tuning import tune as run_tuning
    from clv_ml.show.models import show_tuning
    from clv_ml.warehouse.locking import locked

    with reported():
        require_optuna()
        settings = settings_of(as_of, horizon_days, vars_)
        with locked(settings), steps(as_json) as on_step:
            on_step("build features")
            DuckDB(settings).build_features()
            on_step("tune")
            result = run_tuning(settings, trials)
        print_result(result, as_json, lambda: show_tuning(settings, result))


def doctor(horizon_days: Horizon = None, vars_: Vars = "", as_json: AsJson = False) -> None:
    """Say how everything is: versions, warehouse, model, data, drift, accuracy, ... Exit 1 on a failure."""
    from clv_ml.operate.doctor import examine
    from clv_ml.show.runs import show_findings

    with reported():
        found = examine(settings_of(horizon_days=horizon_days, vars_=vars_))
        is_well = all(finding.status != "fail" for finding in found)
        print_result({"is_well": is_well, "findings": found}, as_json, lambda: show_findings(found))
        if not is_well:
            raise typer.Exit(1)


def compare_engines(
    as_of: AsOf = "", horizon_days: Horizon = None, vars_: Vars = "", as_json: AsJson = False
) -> None:
    """Build on Spark what the DuckDB warehouse holds, from the same events, and compare every cell."""
    from clv_ml.engines import spark_module
    from clv_ml.show.runs import show_comparison

    with reported():
        settings = settings_of(as_of, horizon_days, vars_)
        compare = spark_module("compare")
        with steps(as_json) as on_step:
            compared = compare.compare_engines(settings, on_step)
        print_result(compared, as_json, lambda: show_comparison(compared))
        if not all(table.is_equal for table in compared):
            raise typer.Exit(1)
