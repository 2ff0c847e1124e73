"""
The dbt-duckdb plugin: gives the connection the model in use as SQL functions.

``clv_model()`` returns what the SQL needs to know of it as JSON (NULL without one), ``clv_score(struct)`` its outputs,
``clv_explain(list of structs, kept)`` the strongest drivers of every customer. The struct's fields are the model's own
columns, by name; in ``clv_explain`` with ``customer_id`` before them and the anchor's parts after them.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from numpy.typing import NDArray

from clv_ml import registry
from clv_ml.btyd import register_functions
from clv_ml.errors import ClvError
from clv_ml.explanation import explain
from clv_ml.manifest import Manifest, check_version
from clv_ml.model_files import LoadedModel, load_manifest
from clv_ml.scoring import score
from clv_ml.settings import Settings, load_settings
from clv_ml.tree_shap import BLOCK_ROWS
from clv_ml.warehouse import harden

DRIVER_FIELDS = {
    "customer_id": "VARCHAR",
    "driver_rank": "INTEGER",
    "driver_name": "VARCHAR",
    "driver_value": "DOUBLE",
    "contribution": "DOUBLE",
    "driver_base": "DOUBLE",
}
REST_DRIVER = "all other drivers"


class Plugin(BasePlugin):
    """
    Found by dbt-duckdb under this name. Its configuration passes on the vars that are read outside the macro ``setting``
    (``model_version`` here, ``raw_schema`` in the sources), which are checked before anything runs. It may name ``only_folders``: then the
    database is hardened and reads and writes nothing outside its own file and those.
    """

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        given = {name: plugin_config.get(name) for name in ("model_version", "raw_schema")}
        self._settings = load_settings({name: value for name, value in given.items() if value})
        self._only_folders: list[str] | None = plugin_config.get("only_folders")

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        register(conn, self._settings)
        if self._only_folders is not None:
            harden(conn, [self._settings.project / folder for folder in self._only_folders])


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
        return load_manifest(settings.models / check_version(pointer.version), pointer.manifest_sha256)[0]
    return load_manifest(settings.models / check_version(version))[0]


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
    described["explained_columns"] = manifest.explained_columns
    described["caution"] = manifest.parameters.get("caution")
    described["training_dates"] = manifest.training_dates.get("refit", ())
    described["outputs"] = [output.name for output in manifest.outputs]
    return json.dumps(described)


def _register_model(connection: duckdb.DuckDBPyConnection, manifest: Manifest, model: Any) -> None:
    names = manifest.feature_names
    columns = dict.fromkeys((*names, *((manifest.anchor,) if manifest.anchor else ())), "DOUBLE")
    explained = dict.fromkeys(manifest.explained_columns, "DOUBLE")
    outputs = {output.name: "DOUBLE" for output in manifest.outputs}

    def clv_score(rows: pa.Array | pa.ChunkedArray) -> pa.Array:
        return score(model(), _whole(rows))

    def clv_explain(batches: pa.Array | pa.ChunkedArray, kept: pa.Array | pa.ChunkedArray) -> pa.Array:
        return explain_batches(model(), _whole(batches), _whole(kept)[0].as_py())

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
        [
            duckdb.list_type(duckdb.struct_type({"customer_id": "VARCHAR", **explained})),
            duckdb.sqltype("INTEGER"),
        ],
        duckdb.list_type(duckdb.struct_type(DRIVER_FIELDS)),
        type="arrow",
        null_handling="special",
    )


def explain_batches(
    model: LoadedModel, batches: pa.ListArray, kept: int, threads: int | None = None
) -> pa.Array:
    """
    The strongest drivers of every customer in each list, strongest first, and what all others add together.

    Args:
        batches: Lists of structs with ``customer_id`` and the model's columns.

        kept: Drivers that keep a row of their own. Further ones share the row ``all other drivers``, so that base and
            contributions always add up to the prediction.

        threads: Blocks of customers explained at once, all cores unless said otherwise. The result is the same.

    Returns:
        A list per list, with one struct (see ``DRIVER_FIELDS``) per customer and driver.
    """
    rows = batches.flatten()
    blocks = [rows.slice(start, BLOCK_ROWS) for start in range(0, len(rows), BLOCK_ROWS)] or [rows]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        strongest = list(pool.map(lambda block: _strongest(model, block, kept), blocks))
    names = strongest[0].names
    # joined as numbers: as text, millions of rows would stand in memory twice
    places, values, inputs, base = (
        np.concatenate([getattr(block, field) for block in strongest])
        for field in ("places", "values", "inputs", "base")
    )
    del strongest
    drivers = _structs(rows.field("customer_id"), names, places, values, inputs, base)
    lengths = batches.value_lengths().fill_null(0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths.astype(np.int64) * places.shape[1])])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), drivers)


@dataclass(frozen=True)
class _Strongest:
    """
    The k drivers of each customer that keep a row: ``places`` in ``names``, ``values`` in currency and ``inputs``, all of
    shape (n, k); ``base`` has shape (n,).
    """

    names: tuple[str, ...]
    places: NDArray[np.int32]
    values: NDArray[np.float64]
    inputs: NDArray[np.float64]
    base: NDArray[np.float64]


def _strongest(model: LoadedModel, rows: pa.StructArray, kept: int) -> _Strongest:
    found = explain(model, rows)
    places = np.argsort(-np.abs(found.values), axis=1, kind="stable")[:, :kept]
    values, inputs = (np.take_along_axis(table, places, axis=1) for table in (found.values, found.inputs))
    if kept < len(found.drivers):
        rest = found.values.sum(axis=1) - values.sum(axis=1)
        places = np.column_stack([places, np.full(len(rows), len(found.drivers))])
        values = np.column_stack([values, rest])
        inputs = np.column_stack([inputs, np.full(len(rows), np.nan)])
    return _Strongest((*found.drivers, REST_DRIVER), places.astype(np.int32), values, inputs, found.base)


def _structs(
    customers: pa.Array,
    names: tuple[str, ...],
    places: NDArray[np.int32],
    values: NDArray[np.float64],
    inputs: NDArray[np.float64],
    base: NDArray[np.float64],
) -> pa.StructArray:
    """One struct per customer and driver, in order."""
    rows, count = places.shape
    arrays = [
        customers.take(pa.array(np.repeat(np.arange(rows), count))),
        pa.array(np.tile(np.arange(1, count + 1, dtype=np.int32), rows)),
        pa.array(names, pa.string()).take(pa.array(places.ravel())),
        pa.array(inputs.ravel(), mask=np.isnan(inputs.ravel())),
        pa.array(values.ravel()),
        pa.array(np.repeat(base, count)),
    ]
    return pa.StructArray.from_arrays(arrays, names=list(DRIVER_FIELDS))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
