"""Rebuilds ``model_registry`` and ``training_runs`` from the model folders, which are the truth."""

import duckdb

from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.settings import Settings


def write_registry_tables(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Replaces both tables in one transaction; they must exist (dbt creates them)."""
    listed = registry.list_models(settings.models)
    models = [_model_row(model) for model in listed]
    runs = [row for model in listed if model.manifest for row in _metric_rows(model.manifest)]
    connection.begin()
    for table, rows in (("model_registry", models), ("training_runs", runs)):
        connection.execute(f"delete from {table}")
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"insert into {table} values ({marks})", rows)
    connection.commit()


def _model_row(model: registry.ListedModel) -> tuple:
    manifest = model.manifest
    if manifest is None:
        return (model.version, None, model.is_champion, *[None] * 6, model.reason, model.fault)
    return (
        model.version,
        manifest.model_type,
        model.is_champion,
        manifest.created_at.removesuffix("Z"),
        manifest.horizon_days,
        manifest.reporting_currency,
        manifest.feature_hash,
        len(manifest.features),
        max(manifest.training_dates.get("refit", ()), default=None),
        model.reason,
        model.fault,
    )


def _metric_rows(manifest: Manifest) -> list[tuple]:
    return [
        (manifest.version, manifest.created_at.removesuffix("Z"), estimator, metric, value)
        for estimator, values in manifest.metrics.items()
        for metric, value in (values.items() if isinstance(values, dict) else ())
    ]
