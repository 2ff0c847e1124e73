"""
The dbt-duckdb plugin: gives the connection the model in use as SQL functions.

``clv_foreign_model(shop)`` says why the model in use is not that shop's, or is NULL; ``clv_plan(today)`` says
as JSON how to score; ``clv_score(struct)`` gives the outputs, ``clv_explain(list of
structs, kept)`` every customer's strongest drivers. The struct has the model's columns by name; in
``clv_explain`` ``customer_id`` before them and the anchor's components after them.
"""

from functools import cache, partial
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin

from clv_ml.errors import ClvError
from clv_ml.learn.btyd_functions import register_functions
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.model_in_use import chosen_version, pinned_version
from clv_ml.model.scoring_plan import scoring_plan
from clv_ml.model.shop import foreign_model
from clv_ml.serve.scoring import score
from clv_ml.serve.strongest_drivers import DRIVER_FIELDS, explain_batches
from clv_ml.settings import Settings, load_settings
from clv_ml.warehouse.connection import harden


class Plugin(BasePlugin):
    """
    Found by dbt-duckdb under this name. Its configuration passes on the vars that are read outside the macro
    ``setting`` (``model_version`` here, ``raw_schema`` in the sources), which are checked before anything
    runs. It may name ``only_folders``: then the database is hardened and reads and writes nothing outside its
    own file and those.
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
    Registers the functions. The manifest is read now, since it gives the struct's fields; the model itself is
    loaded, with all checks, when it is first asked for. A fault is reported by ``clv_plan``, so that features
    still refresh.
    """

    @cache
    def model() -> LoadedModel:
        loaded = registry.load(settings.models, pinned_version(settings))
        assert loaded is not None  # asked for only where a version was found
        return loaded

    register_functions(connection)
    manifest = None
    try:
        version = chosen_version(settings)
        manifest = registry.manifest(settings.models, version) if version else None
        load = (lambda: model().manifest) if version else None
    except ClvError:
        load = lambda: model().manifest  # noqa: E731  # says what is wrong when asked
    for name, function in (
        ("clv_plan", partial(scoring_plan, load)),
        ("clv_foreign_model", partial(foreign_model, manifest, settings.models)),
    ):
        connection.create_function(  # pyrefly: ignore[no-matching-overload]
            name,
            function,
            [duckdb.sqltype("VARCHAR")],
            duckdb.sqltype("VARCHAR"),
            null_handling="special",
            side_effects=True,
        )
    if manifest:
        _register_model(connection, manifest, model)


def _register_model(connection: duckdb.DuckDBPyConnection, manifest: Manifest, model: Any) -> None:
    names = manifest.feature_names
    columns = dict.fromkeys((*names, *((manifest.anchor,) if manifest.anchor else ())), "DOUBLE")
    explained = dict.fromkeys(manifest.explained_columns, "DOUBLE")
    outputs = dict.fromkeys(manifest.score_fields, "DOUBLE")

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


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
