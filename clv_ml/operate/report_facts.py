"""
What the report is made of, read from the warehouse and the model that scored.

Every figure is a query of ``dbt_project/queries``. Where its tables are not there yet it gives no rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from clv_ml.errors import WarehouseError
from clv_ml.learn.store_history import reasons_for_caution
from clv_ml.model.interval_bins import IntervalBins
from clv_ml.model.model_in_use import manifest_of
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask

QUERIES = (
    "shop",
    "methods",
    "recent_revenue",
    "months",
    "horizons",
    "actions",
    "channels",
    "tenths",
    "growth",
    "backtest",
    "importance",
    "beeswarm",
    "segments",
    "customers",
    "rows",
)
QUERIES_OF_MODEL = ("model", "deciles", "metrics")
"""Of the version that scored."""

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Facts:
    """
    What the page is made of: rows by query, and what stands in no table. ``caution`` says why the shop is
    hard to learn from; ``dates`` maps a split (train, calibrate, test, refit) to its as-of
    dates.
    """

    found: Mapping[str, Rows]
    currency: str
    horizon_days: int
    annual_discount_rate: float
    coverage: float
    dates: Mapping[str, Sequence[str]]
    caution: str | None

    def rows(self, name: str) -> Rows:
        """What a query found; nothing where its tables are not there."""
        return self.found[name]

    @property
    def shop(self) -> dict[str, Any]:
        """The shop's only row; empty before there are events."""
        return self.rows("shop")[0] if self.rows("shop") else {}

    @property
    def model(self) -> dict[str, Any]:
        """The model's only row; empty without one."""
        return self.rows("model")[0] if self.rows("model") else {}


def read_facts(settings: Settings) -> Facts:
    """Asks every question of the page."""
    with connect(settings) as connection:
        found = {name: _asked(connection, name, settings) for name in QUERIES}
        version = found["shop"][0]["model_version"] if found["shop"] else None
        of_version = {"version": version}
        found |= {name: _asked(connection, name, settings, of_version) for name in QUERIES_OF_MODEL}
    manifest = manifest_of(settings, version)
    model = found["model"][0] if found["model"] else {}
    caution = manifest.parameters.get("caution") if manifest else _faults(found, settings)
    return Facts(
        found=found,
        currency=model.get("reporting_currency") or settings.vars.reporting_currency,
        horizon_days=model.get("horizon_days") or settings.vars.horizon_days,
        annual_discount_rate=manifest.annual_discount_rate
        if manifest
        else settings.vars.annual_discount_rate,
        coverage=IntervalBins.from_json(manifest.calibration).coverage
        if manifest
        else settings.vars.interval_coverage,
        dates=manifest.training_dates if manifest else {},
        caution=str(caution) if caution else None,
    )


def _asked(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    settings: Settings,
    parameters: Mapping[str, Any] | None = None,
) -> Rows:
    try:
        return ask(connection, f"report_{name}", parameters, settings.vars.raw_schema)
    except WarehouseError:
        return []  # not built yet: the section says so


def _faults(found: Mapping[str, Rows], settings: Settings) -> str:
    """What makes a shop without a model hard to learn from."""
    if not found["shop"]:
        return ""
    revenue = np.array([float(row["revenue"]) for row in found["recent_revenue"]])
    return "; ".join(
        reasons_for_caution(found["shop"][0]["shop_age_days"], revenue, settings.vars.small_shop_customers)
    )
