"""
How good the predictions are: ``clv backtest`` on each data set that is there, as Markdown tables. ``make
bench-quality``.

Real shops are read from ``../shared/data`` and left out where absent; the simulator and the made shops are
always there, the latter drawn anew at each run, so that nothing can be tuned to one (the seed is printed;
``--seed`` repeats it). Each is tested from dates spread over its history, then from its newest ones;
p-values are corrected over all cells (horizon x metric) of a data set in either. Name data sets to run only
those; ``--origins 99`` takes every date that can be tested.
"""

import argparse
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from quality_cases import DATA, Case, all_cases
from quality_checks import Checks, checks, checks_summary, groups_sheet
from quality_truth import truth_sheet

from clv_ml.engines import engine_of
from clv_ml.learn.backtest import BacktestResult, backtest
from clv_ml.measure.comparison import Comparison, with_holm
from clv_ml.settings import Settings, load_settings
from clv_ml.show.backtest_sheets import (
    COVERAGE_HEADS,
    HEADS,
    Sheet,
    against,
    comparison_sheet,
    markdown,
    sheets,
)

COVERAGE = ("coverage", "coverage_top_fifth", "confidence_error")


@dataclass(frozen=True)
class View:
    """
    What a backtest of a case found, from one choice of dates; ``truth`` is a table where the truth is
    known.
    """

    case: Case
    result: BacktestResult
    checks: Checks
    truth: Sheet | None = None


def main() -> None:
    """Runs every case whose data is there, or those that are named, and prints its tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "names", nargs="*", help="data sets to run, such as cdnow or yearly_plans; all if none is named"
    )
    parser.add_argument("--origins", type=int, help="dates to predict from in each case")
    parser.add_argument("--seed", type=int, help="of the made shops; a new one if not given")
    asked = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    cases = list(all_cases(seed))
    if unknown := set(asked.names) - {case.key for case in cases}:
        parser.error(
            f"no data set {', '.join(sorted(unknown))}; there are "
            f"{', '.join(dict.fromkeys(case.key for case in cases))}"
        )
    chosen = [case for case in cases if not asked.names or case.key in asked.names]
    if asked.origins:
        chosen = [replace(case, origins=asked.origins) for case in chosen]
    ran = [views for case in chosen if (views := _run(case)) is not None]
    print(f"\nMade shops from seed {seed} (`benchmarks/quality.py --seed {seed}` repeats them).")
    for place, heading in enumerate(("Dates spread over history", "The newest dates")):
        print(f"\n## {heading}")
        _print([views[place] for views in ran])


def _run(case: Case) -> tuple[View, View] | None:
    """The case's backtests in a warehouse of its own, spread and newest; None where its data is absent."""
    if case.source is not None and not case.source.exists():
        _say(f"{case.title}: skipped, no file in {DATA.name}")
        return None
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(case, Path(folder))
        _say(f"{case.title}: load and build")
        case.load(settings, Path(folder))
        engine_of(settings).build_features()
        _say(f"{case.title}: backtest of the newest dates")
        newest = backtest(settings, case.origins, newest=True)
        view = View(case, newest, checks(newest))
        _say(f"{case.title}: backtest")
        spread = backtest(settings, case.origins)
        found = checks(spread)
        truth = truth_sheet(settings, case.truth) if case.truth else None
        return View(case, spread, found, truth), view


def _settings(case: Case, place: Path) -> Settings:
    settings = load_settings({"horizon_days": case.horizon_days, "reporting_currency": case.currency})
    return settings.model_copy(update={"warehouse": place / "clv.duckdb", "models": place / "models"})


def _print(views: Sequence[View]) -> None:
    """Summaries of all cases, then each with all its tables."""
    corrected = [(view, _corrected(view, views)) for view in views]
    print(f"\n{markdown(_summary(corrected))}")
    print(f"\n{markdown(checks_summary([(view.case.title, view.checks) for view in views]))}")
    for view, mine in corrected:
        print(f"\n### {view.case.title}\n\nDates {', '.join(view.result.dates)}.")
        compared = comparison_sheet("Against the best baseline; Holm over all horizons of the data set", mine)
        tables = [compared if sheet.title.startswith("Against") else sheet for sheet in sheets(view.result)]
        for sheet in [*tables, groups_sheet(view.checks), *([view.truth] if view.truth else [])]:
            print(f"\n{markdown(sheet)}")


def _corrected(view: View, views: Sequence[View]) -> tuple[Comparison, ...]:
    """
    The view's comparisons, corrected for all of its data set. Over all data sets at once no p-value of 1,999
    draws could be small enough to be a loss.
    """
    alike = [other for other in views if other.case.key == view.case.key]
    corrected = iter(with_holm([one for other in alike for one in other.result.comparisons]))
    of_each = {other.case: tuple(islice(corrected, len(other.result.comparisons))) for other in alike}
    return of_each[view.case]


def _summary(views: Sequence[tuple[View, Sequence[Comparison]]]) -> Sheet:
    """A row per case: ours / the best baseline's, by metric, and what the intervals covered."""
    rows = []
    for view, compared in views:
        covered = view.result.figures(None)["model"]
        rows.append(
            (
                view.case.title,
                *map(against, compared),
                *(f"{covered[name]:.3f}" for name in COVERAGE),
            )
        )
    metrics = [HEADS[one.metric] for one in views[0][1]] if views else []
    heads = ("data set", *metrics, *(COVERAGE_HEADS[name] for name in COVERAGE))
    return Sheet("Ours / best baseline, mean of the dates; intervals pooled", heads, tuple(rows))


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
