"""The questions that commands and fits ask of a warehouse: SQL files of ``dbt_project/queries``."""

from collections.abc import Mapping
from typing import Any

import duckdb

from clv_ml.errors import WarehouseError
from clv_ml.folders import DBT_FOLDER


def query_text(name: str) -> str:
    """``dbt_project/queries/<name>.sql``."""
    return (DBT_FOLDER / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def ask(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    raw_schema: str = "raw",
) -> list[dict[str, Any]]:
    """
    The rows of ``dbt_project/queries/<name>.sql`` as dicts by column; ``parameters`` stand in it as
    ``$name``, the setting ``raw_schema`` as ``raw_schema``.

    Raises:
        WarehouseError: If a table that it reads is not there yet.
    """
    sql = query_text(name).replace("raw_schema.", f"{raw_schema}.")
    try:
        return connection.sql(sql, params=dict(parameters or {})).to_arrow_table().to_pylist()
    except duckdb.CatalogException as error:
        missing = str(error).partition("\n")[0]
        raise WarehouseError(
            f"The warehouse lacks a table that this needs. Build it first (clv run, or dbt run). ({missing})"
        ) from error
