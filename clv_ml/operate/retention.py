"""What `clv run` removes after it published: old model versions, and predictions of old scoring dates."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import duckdb

from clv_ml.errors import WarehouseError
from clv_ml.model import registry
from clv_ml.model.model_in_use import pinned_version
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.operate.value_changes import CHALLENGER
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect, only_value


@dataclass(frozen=True)
class Removed:
    """
    Model versions and the dates of each table that were removed. ``features`` stands for all tables of
    features, whose dates go when they are built.
    """

    models: tuple[str, ...] = ()
    dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)


def feature_dates(settings: Settings) -> frozenset[date]:
    """The dates that features stand for now; none where nothing was built."""
    try:
        with connect(settings) as connection:
            return frozenset(
                day for (day,) in connection.execute("select as_of_date from as_of_dates").fetchall()
            )
    except (WarehouseError, duckdb.CatalogException):
        return frozenset()


def remove_old(settings: Settings, dates_before: Collection[date] = ()) -> Removed:
    """
    Applies ``models_kept``, ``prediction_days_kept`` and ``driver_days_kept``, and drops what `clv models
    diff` scored. Feature dates that stood before the run and do not now are reported with it.

    Predictions stay until their window is past and final, whatever the setting says, or nobody would learn
    whether they came true.
    """
    pinned = pinned_version(settings)
    models = registry.remove_old(settings.models, settings.vars.models_kept, [pinned] if pinned else [])
    predictions = max(settings.vars.prediction_days_kept, settings.vars.label_days)
    days_kept = {
        "customer_predictions": predictions,
        "scored_baselines": predictions,
        "group_history": predictions,
        "customer_drivers": settings.vars.driver_days_kept,
    }
    gone = sorted(set(dates_before) - feature_dates(settings))
    dates = {"features": tuple(gone)} if gone else {}
    with connect(settings, read_only=False) as connection:
        for table in ("calibration", "predictions", "drivers"):
            connection.execute(f"drop table if exists {CHALLENGER}_{table}")
        today = only_value(connection, "select max(as_of_date) from as_of_dates where is_scoring_date")
        for table, days in days_kept.items() if today else ():
            old = f"from {table} where as_of_date < ?"
            first = [today - timedelta(days=days)]
            found = connection.execute(f"select distinct as_of_date {old} order by 1", first).fetchall()
            if found:
                connection.execute(f"delete {old}", first)
                dates[table] = tuple(day for (day,) in found)
        if models:
            write_registry_tables(connection, settings)
    return Removed(models, dates)
