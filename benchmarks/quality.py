"""
How good the predictions are: ``clv backtest`` on each data set that is there, as Markdown tables. ``make bench-quality``.

Online Retail II and CDNOW are read from ``../shared/data`` and left out where absent; the simulator is always there.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clv_ml.backtest import BacktestResult, backtest
from clv_ml.pipeline import build_features, ingest_files
from clv_ml.settings import Settings, load_settings
from clv_ml.simulator import Shop, write_simulation

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SHOWN = ("nmae", "r2", "spearman", "gini", "top_decile_lift", "bias", "decile_mape")
HELD = (
    "coverage",
    "coverage_top_fifth",
    "mean_width_to_mean",
    "confidence_error",
    "churn_brier",
    "churn_calibration_error",
)


@dataclass(frozen=True)
class Case:
    """One data set and horizon."""

    name: str
    preset: str
    horizon_days: int
    origins: int
    currency: str


CASES = (
    Case("Online Retail II", "online_retail_ii", 91, 4, "GBP"),
    Case("Online Retail II", "online_retail_ii", 182, 3, "GBP"),
    Case("CDNOW", "cdnow", 91, 3, "USD"),
    Case("CDNOW", "cdnow", 182, 3, "USD"),
    Case("simulator, 5,000 customers", "simulator", 365, 3, "GBP"),
)


def main() -> None:
    """Runs every case whose data is there, or those whose preset is named, and prints its tables."""
    wanted = set(sys.argv[1:])
    for case in CASES:
        if wanted and case.preset not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            feed = _feed(case, place)
            if feed is None:
                print(f"\n{case.name}, {case.horizon_days} days: skipped, no file in {DATA.name}\n")
                continue
            settings = _settings(case, place)
            feed(settings)
            build_features(settings)
            _print(case, backtest(settings, case.origins))


def _settings(case: Case, place: Path) -> Settings:
    settings = load_settings({"horizon_days": case.horizon_days, "reporting_currency": case.currency})
    return settings.model_copy(update={"warehouse": place / "clv.duckdb", "models": place / "models"})


def _feed(case: Case, place: Path) -> Callable[[Settings], object] | None:
    """What loads the case's data; None where its file is absent."""
    if case.preset == "simulator":
        folder = place / "shop"
        write_simulation(Shop(customers=5000), folder)
        return lambda settings: ingest_files(settings, "simulator", data_dir=folder)
    path = DATA / f"{case.preset}.parquet"
    return (lambda settings: ingest_files(settings, case.preset, path)) if path.exists() else None


def _print(case: Case, result: BacktestResult) -> None:
    print(f"\n**{case.name}, {case.horizon_days} days**, mean of origins {', '.join(result.origins)}\n")
    print("| estimator | " + " | ".join(SHOWN) + " |")
    print("|---|" + "---|" * len(SHOWN))
    averages = result.averages()
    for name, metrics in averages.items():
        print(f"| {name} | " + " | ".join(f"{metrics.get(key, float('nan')):.3f}" for key in SHOWN) + " |")
    print("\n" + ", ".join(f"{key} {averages['model'][key]:.3f}" for key in HELD if key in averages["model"]))
    print("\n| metric | ours | best baseline | theirs | gain, 95 % over customers | p (Holm) | |")
    print("|---|---|---|---|---|---|---|")
    for one in result.comparisons:
        gain = f"{one.gain:+.3f} ({one.gain_low:+.3f} to {one.gain_high:+.3f})"
        verdict = "**loss**" if one.is_loss else ""
        print(
            f"| {one.metric} | {one.ours:.3f} | {one.baseline} | {one.theirs:.3f} | {gain} | {one.p_holm:.3f} | {verdict} |"
        )


if __name__ == "__main__":
    main()
