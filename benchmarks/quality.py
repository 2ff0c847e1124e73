"""
How good the predictions are: ``clv backtest`` on each data set that is there, as Markdown tables. ``make bench-quality``.

Online Retail II and CDNOW are read from ``../shared/data`` and left out where absent; the simulator is always there.
Each is tested from origins spread over its history, then from its newest ones; p-values are corrected over all cells (data set x
horizon x metric) of either. Name presets to run only those; ``--origins 99`` takes every date that can be tested.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
from simulated_truth import true_expected_value

from clv_ml.learn.backtest import BacktestResult, backtest
from clv_ml.learn.training import train
from clv_ml.measure.comparison import Comparison, with_holm
from clv_ml.measure.metrics import spearman
from clv_ml.pipeline import build_features, ingest_files, score
from clv_ml.settings import Settings, load_settings
from clv_ml.show.backtest_sheets import HEADS, HELD_HEADS, Sheet, comparison_sheet, markdown, sheets
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.connection import connect

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIMULATED, SIMULATED_HORIZON = Shop(customers=5000), 365
HELD = ("coverage", "coverage_top_fifth", "confidence_error")


@dataclass(frozen=True)
class Case:
    """One data set and horizon."""

    name: str
    preset: str
    horizon_days: int
    origins: int
    currency: str

    @property
    def title(self) -> str:
        """As headings name it."""
        return f"{self.name}, {self.horizon_days} days"


CASES = (
    Case("Online Retail II", "online_retail_ii", 91, 4, "GBP"),
    Case("Online Retail II", "online_retail_ii", 182, 3, "GBP"),
    Case("CDNOW", "cdnow", 91, 3, "USD"),
    Case("CDNOW", "cdnow", 182, 3, "USD"),
    Case("simulator, 5,000 customers", "simulator", SIMULATED_HORIZON, 3, "GBP"),
)


@dataclass(frozen=True)
class Ran:
    """
    A case, what its backtests found from origins spread over history and from the newest ones, and on the simulator how near
    the first came to the truth.
    """

    case: Case
    spread: BacktestResult
    newest: BacktestResult
    truth: Sheet | None


def main() -> None:
    """Runs every case whose data is there, or those whose preset is named, and prints its tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("presets", nargs="*", help="data sets to run; all if none is named")
    parser.add_argument("--origins", type=int, help="dates to predict from in each case")
    asked = parser.parse_args()
    chosen = [case for case in CASES if not asked.presets or case.preset in asked.presets]
    if asked.origins:
        chosen = [replace(case, origins=asked.origins) for case in chosen]
    ran = [done for case in chosen if (done := _run(case)) is not None]
    print("\n## Origins spread over history")
    _print([(done.case, done.spread, done.truth) for done in ran])
    print("\n## The newest origins")
    _print([(done.case, done.newest, None) for done in ran])


def _run(case: Case) -> Ran | None:
    """The case's backtest in a warehouse of its own; None where its data is absent."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        feed = _feed(case, place)
        if feed is None:
            _say(f"{case.title}: skipped, no file in {DATA.name}")
            return None
        settings = _settings(case, place)
        _say(f"{case.title}: load and build")
        feed(settings)
        build_features(settings)
        _say(f"{case.title}: backtest")
        spread = backtest(settings, case.origins)
        truth = _truth(settings) if case.preset == "simulator" else None
        _say(f"{case.title}: backtest of the newest origins")
        return Ran(case, spread, backtest(settings, case.origins, newest=True), truth)


def _settings(case: Case, place: Path) -> Settings:
    settings = load_settings({"horizon_days": case.horizon_days, "reporting_currency": case.currency})
    return settings.model_copy(update={"warehouse": place / "clv.duckdb", "models": place / "models"})


def _feed(case: Case, place: Path) -> Callable[[Settings], object] | None:
    """What loads the case's data; None where its file is absent."""
    if case.preset == "simulator":
        folder = place / "shop"
        write_simulation(SIMULATED, folder)
        return lambda settings: ingest_files(settings, "simulator", data_dir=folder)
    path = DATA / f"{case.preset}.parquet"
    return (lambda settings: ingest_files(settings, case.preset, path)) if path.exists() else None


def _truth(settings: Settings) -> Sheet:
    """
    What each estimator said of the simulated shop against its true expected value, which knows each customer's latent
    rates and whether they are still a customer: at the backtest's origins (means), then what `customer_clv` says of the
    window beyond the shop's whole history.

    Total: sum predicted / sum of the true expectation. Ranking: Spearman with the true expectation, and that over what the
    shop's own model reaches on the same customers and recorded history (the posterior mean under the true parameters,
    row ``true model``). That, and not the Spearman of 1 that only the latent rates reach, is what a forecast can hope for.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for origin, estimator, names, values in _backtested(settings):
        found.setdefault(estimator, []).append(_nearness(names, values, _true_values(origin)))
    train(settings)
    score(settings)
    as_of, names, values = _published(settings)
    found[f"customer_clv as of {as_of}"] = [_nearness(names, values, _true_values(as_of))]
    return Sheet(
        "Against the simulator's true expected value",
        ("estimator", "total / true", "Spearman with truth", "share of the true model's", "nMAE to truth"),
        tuple(
            (estimator, *(f"{figure:.3f}" for figure in np.mean(figures, axis=0)))
            for estimator, figures in found.items()
        ),
    )


def _backtested(settings: Settings) -> list[tuple[date, str, list[str], np.ndarray]]:
    """Origin, estimator, customers and predictions of the backtest, and the true model's beside them."""
    with connect(settings) as connection:
        rows = connection.execute(
            "select origin, estimator, list(customer_id order by customer_id), list(predicted order by customer_id) "
            "from backtest_predictions group by all order by estimator, origin"
        ).fetchall()
    customers = {origin: names for origin, _, names, _ in rows}
    return [(origin, estimator, names, np.array(values)) for origin, estimator, names, values in rows] + [
        (origin, "true model", names, np.array([_true_values(origin)[name][1] for name in names]))
        for origin, names in customers.items()
    ]


def _published(settings: Settings) -> tuple[date, list[str], np.ndarray]:
    """Scoring date, customers and predictions of the champion."""
    with connect(settings) as connection:
        ((as_of, names, values),) = connection.execute(
            "select as_of_date, list(customer_id order by customer_id), list(clv_predicted order by customer_id) "
            "from customer_clv where clv_predicted is not null group by as_of_date"
        ).fetchall()
    return as_of, names, np.array(values)


@cache
def _true_values(as_of: date) -> dict[str, tuple[float, float]]:
    """Each customer's true expected value, and its expectation given the recorded history, in GBP."""
    truth = true_expected_value(SIMULATED, as_of, SIMULATED_HORIZON)
    columns = ("customer_id", "expected_value", "posterior_expected_value")
    return {
        name: (value, posterior)
        for name, value, posterior in zip(*(truth[column].to_pylist() for column in columns), strict=True)
    }


def _nearness(
    names: list[str], values: np.ndarray, truth: dict[str, tuple[float, float]]
) -> tuple[float, ...]:
    """Total over the true one, ranking, ranking over the true model's, and mean absolute error over the mean."""
    expected, posterior = np.array([truth[name] for name in names]).T
    ranking = spearman(expected, values)
    error = np.abs(values - expected).mean() / expected.mean()
    return values.sum() / expected.sum(), ranking, ranking / spearman(expected, posterior), error


def _print(ran: list[tuple[Case, BacktestResult, Sheet | None]]) -> None:
    """A summary of all cases, then each with all its tables."""
    everything = with_holm([one for _, result, _ in ran for one in result.comparisons])
    corrected = []
    for case, result, truth in ran:
        count = len(result.comparisons)
        mine, everything = everything[:count], everything[count:]
        corrected.append((case, result, truth, mine))
    print(f"\n{markdown(_summary([(case, result, mine) for case, result, _, mine in corrected]))}")
    for case, result, truth, mine in corrected:
        print(f"\n### {case.title}\n\nOrigins {', '.join(result.origins)}.")
        compared = comparison_sheet("Against the best baseline; Holm over all cells of these origins", mine)
        tables = [compared if sheet.title.startswith("Against") else sheet for sheet in sheets(result)]
        for sheet in [*tables, *([truth] if truth else [])]:
            print(f"\n{markdown(sheet)}")


def _summary(ran: list[tuple[Case, BacktestResult, Sequence[Comparison]]]) -> Sheet:
    """A row per case: ours / the best baseline's, by metric, and how the intervals held."""
    rows = []
    for case, result, compared in ran:
        held = result.figures(None)["model"]
        rows.append(
            (
                case.title,
                *(f"{one.ours:.3f} / {one.theirs:.3f}{' LOSS' * one.is_loss}" for one in compared),
                *(f"{held[name]:.3f}" for name in HELD),
            )
        )
    heads = [HEADS[one.metric] for one in ran[0][2]] + [HELD_HEADS[name] for name in HELD] if ran else []
    return Sheet("Ours / best baseline, mean of origins; intervals pooled", ("data set", *heads), tuple(rows))


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
