"""
The dbt-duckdb plugin: gives the connection the model in use as SQL functions.

``clv_model()`` returns what the SQL needs to know of it as JSON (NULL without one), ``clv_score(struct)`` its outputs,
``clv_explain(list of structs)`` every driver of every customer. The struct's fields are the model's own columns, by
name; in ``clv_explain`` with ``customer_id`` before them.
"""

import json
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin

from clv_ml import registry
from clv_ml.btyd import register_functions
from clv_ml.columns import feature_matrix
from clv_ml.errors import ClvError
from clv_ml.explanation import contributions
from clv_ml.manifest import Manifest
from clv_ml.model_files import LoadedModel, load_manifest
from clv_ml.scoring import score
from clv_ml.settings import Settings, load_settings

DRIVER_FIELDS = {
    "customer_id": "VARCHAR",
    "driver_rank": "INTEGER",
    "driver_name": "VARCHAR",
    "driver_value": "DOUBLE",
    "contribution": "DOUBLE",
    "driver_base": "DOUBLE",
}


class Plugin(BasePlugin):
    """Found by dbt-duckdb under this name. Its configuration may pin ``model_version``."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        version = plugin_config.get("model_version")
        self._settings = load_settings({"model_version": version} if version else {})

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        register(conn, self._settings)


def register(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """
    Registers the functions. The manifest is read now, since it gives the struct's fields; the model itself is loaded,
    with all checks, when it is first asked for. A fault is reported by ``clv_model()``, so that features still refresh.
    """

    @cache
    def model() -> LoadedModel:
        loaded = registry.load(settings.models, pinned_version(settings))
        assert loaded is not None  # the functions exist only where a manifest was found
        return loaded

    register_functions(connection)
    manifest = None
    try:
        manifest = _manifest(settings)
        described = (lambda: describe(model)) if manifest else (lambda: None)
    except ClvError as error:
        fault = json.dumps({"error": str(error)})
        described = lambda: fault  # noqa: E731
    connection.create_function(  # pyrefly: ignore[no-matching-overload]
        "clv_model", described, [], duckdb.sqltype("VARCHAR"), null_handling="special", side_effects=True
    )
    if manifest:
        _register_model(connection, manifest, model)


def pinned_version(settings: Settings) -> str | None:
    """The version that the var ``model_version`` names, or None for the champion."""
    return None if settings.vars.model_version == "champion" else settings.vars.model_version


def _manifest(settings: Settings) -> Manifest | None:
    """What the model in use says of itself; None where there is none."""
    version = pinned_version(settings)
    if version is None:
        pointer = registry.champion(settings.models)
        if pointer is None:
            return None
        return load_manifest(settings.models / pointer.version, pointer.manifest_sha256)[0]
    return load_manifest(settings.models / version)[0]


def describe(model: Any) -> str:
    """The parts of the manifest that the SQL renders its call from; a fault instead, where the model cannot be used."""
    try:
        manifest: Manifest = model().manifest
    except ClvError as error:
        return json.dumps({"error": str(error)})
    wanted = {
        "version",
        "horizon_days",
        "reporting_currency",
        "feature_hash",
        "feature_definitions",
        "anchor",
        "calibration",
    }
    described = manifest.model_dump(mode="json", include=wanted)
    described["features"] = [{"name": f.name, "type": f.type} for f in manifest.features]
    described["caution"] = manifest.parameters.get("caution")
    described["outputs"] = [output.name for output in manifest.outputs]
    return json.dumps(described)


def _register_model(connection: duckdb.DuckDBPyConnection, manifest: Manifest, model: Any) -> None:
    names = manifest.feature_names
    columns = dict.fromkeys((*names, *((manifest.anchor,) if manifest.anchor else ())), "DOUBLE")
    outputs = {output.name: "DOUBLE" for output in manifest.outputs}

    def clv_score(rows: pa.Array | pa.ChunkedArray) -> pa.Array:
        return score(model(), _whole(rows))

    def clv_explain(batches: pa.Array | pa.ChunkedArray) -> pa.Array:
        return explain_batches(model(), _whole(batches))

    # pyrefly: ignore[no-matching-overload]
    connection.create_function(
        "clv_score",
        clv_score,
        [duckdb.struct_type(columns)],
        duckdb.struct_type(outputs),
        type="arrow",
        null_handling="special",
    )
    # pyrefly: ignore[no-matching-overload]
    connection.create_function(
        "clv_explain",
        clv_explain,
        [duckdb.list_type(duckdb.struct_type({"customer_id": "VARCHAR", **columns}))],
        duckdb.list_type(duckdb.struct_type(DRIVER_FIELDS)),
        type="arrow",
        null_handling="special",
    )


def explain_batches(model: LoadedModel, batches: pa.ListArray) -> pa.Array:
    """
    Every driver of every customer in each list, strongest first.

    Args:
        batches: Lists of structs with ``customer_id`` and the model's columns.

    Returns:
        A list per list, with one struct (see ``DRIVER_FIELDS``) per customer and driver.
    """
    rows = batches.flatten()
    drivers = _drivers(model, rows)
    per_customer = len(drivers) // max(len(rows), 1)
    offsets = np.concatenate([[0], np.cumsum([len(batch) * per_customer for batch in batches])])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), drivers)


def _drivers(model: LoadedModel, rows: pa.StructArray) -> pa.StructArray:
    manifest = model.manifest
    features = feature_matrix(rows, manifest.feature_names, manifest.version)
    anchor = feature_matrix(rows, (manifest.anchor,), manifest.version)[:, 0] if manifest.anchor else None
    found = contributions(model, features, anchor, groups={"anchor": manifest.anchor or "anchor"})
    order = np.argsort(-np.abs(found.values), axis=1, kind="stable")
    count = order.shape[1]
    names = np.array(found.drivers, dtype=object)[order].ravel()
    values = np.take_along_axis(found.inputs, order, axis=1).ravel()
    customers = np.repeat(np.asarray(rows.field("customer_id").to_pylist(), dtype=object), count)
    arrays = [
        pa.array(customers, pa.string()),
        pa.array(np.tile(np.arange(1, count + 1, dtype=np.int32), len(rows))),
        pa.array(names, pa.string()),
        pa.array(values, mask=np.isnan(values)),
        pa.array(np.take_along_axis(found.values, order, axis=1).ravel()),
        pa.array(np.repeat(found.base, count)),
    ]
    return pa.StructArray.from_arrays(arrays, names=list(DRIVER_FIELDS))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
