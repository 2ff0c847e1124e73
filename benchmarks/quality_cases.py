"""
The shops of ``make bench-quality``: real ones where they are there, the simulator, and made ones. The real
ones lie in ``../shared/data``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path

import duckdb
from made_shops import CURRENCY, MADE_SHOPS, write_orders
from simulated_truth import true_expected_value

from clv_ml.engines import engine_of
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIMULATED, SIMULATED_HORIZON = Shop(customers=5000), 365
ELEVEN_YEARS = """
copy (
    select row_number() over (order by purchased_on, customer_id, amount) as order_id,
        customer_id, purchased_on as ordered_at, amount, 'USD' as currency
    from read_parquet($source)
) to '{target}' (format parquet)
"""

Truth = Callable[[date], Mapping[str, tuple[float, float | None]]]
"""
By date: each customer's expected value, given who they are, and given only what the shop recorded (None where
nobody worked that out).
"""


@dataclass(frozen=True)
class Case:
    """
    One data set and horizon. ``load`` feeds it, with a folder to write to; ``source`` is its file, None where
    it is made here.
    """

    key: str
    name: str
    horizon_days: int
    origins: int
    currency: str
    load: Callable[[Settings, Path], object]
    source: Path | None = None
    truth: Truth | None = None

    @property
    def title(self) -> str:
        """As headings name it."""
        return f"{self.name}, {self.horizon_days} days"


def all_cases(seed: int) -> Iterator[Case]:
    """Every data set and horizon; made shops are drawn from the seed, each kind from one of its own."""
    for days, origins in ((91, 4), (182, 3)):
        yield _preset_case("online_retail_ii", "Online Retail II", days, origins, "GBP")
    for days, origins in ((91, 3), (182, 3)):
        yield _preset_case("cdnow", "CDNOW", days, origins, "USD")
    yield Case(
        "simulator",
        f"simulator, {SIMULATED.customers:,} customers",
        SIMULATED_HORIZON,
        3,
        "GBP",
        _load_simulation,
        truth=_simulated_truth,
    )
    for days in (91, 182, 365):
        source = DATA / "purchases_11_years.parquet"
        yield Case(
            "eleven_years", "eleven years", days, 4, "USD", partial(_load_eleven_years, source), source
        )
    for number, kind in enumerate(MADE_SHOPS):
        yield _made_case(kind, seed + number)


def _preset_case(preset: str, name: str, horizon_days: int, origins: int, currency: str) -> Case:
    source = DATA / f"{preset}.parquet"

    def load(settings: Settings, _: Path) -> None:
        engine_of(settings).ingest_files(preset, source)

    return Case(preset, name, horizon_days, origins, currency, load, source)


def _load_simulation(settings: Settings, folder: Path) -> None:
    write_simulation(SIMULATED, folder / "shop")
    engine_of(settings).ingest_files("simulator", data_dir=folder / "shop")


@cache
def _simulated_truth(as_of: date) -> dict[str, tuple[float, float | None]]:
    truth = true_expected_value(SIMULATED, as_of, SIMULATED_HORIZON)
    columns = ("customer_id", "expected_value", "posterior_expected_value")
    return {
        name: (value, posterior)
        for name, value, posterior in zip(*(truth[column].to_pylist() for column in columns), strict=True)
    }


def _load_eleven_years(source: Path, settings: Settings, folder: Path) -> None:
    """
    Its own columns, mapped onto the preset's by SQL; several purchases of one day are orders of their own.
    """
    target = folder / "orders.parquet"
    duckdb.execute(ELEVEN_YEARS.format(target=target), {"source": str(source)})
    engine_of(settings).ingest_files("orders", target)


def _made_case(kind: str, seed: int) -> Case:
    shop = MADE_SHOPS[kind](seed)

    def load(settings: Settings, folder: Path) -> None:
        engine_of(settings).ingest_files("orders", write_orders(shop, folder / "orders.parquet"))

    def truth(as_of: date) -> dict[str, tuple[float, float | None]]:
        return {name: (value, None) for name, value in shop.true_values(as_of).items()}

    name = f"{kind}, seed {seed}"
    return Case(kind.replace(" ", "_"), name, shop.horizon_days, 3, CURRENCY, load, truth=truth)
