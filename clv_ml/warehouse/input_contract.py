"""
The input contract: which tables a feed may fill, with which columns. It stands once, in the YAML of dbt's
sources, from which ``dbt run`` creates the tables.
"""

from functools import cache
from typing import Any

import duckdb
import yaml

from clv_ml.folders import MODELS_FOLDER

SOURCES = MODELS_FOLDER / "staging" / "_staging__sources.yml"


def create_statements(schema: str) -> list[str]:
    """DuckDB's statements that create a schema and all tables of the sources in it, empty."""
    statements = [f"create schema {schema}"]
    for table in _tables():
        columns = ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        statements.append(f"create table {schema}.{table['name']} ({columns})")
    return statements


def add_columns(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Adds the columns, empty, that tables of an earlier version lack. ``schema`` is quoted."""
    for table in _tables():
        name = f"{schema}.{table['name']}"
        try:
            described = connection.execute(f"select * from {name} limit 0").description
        except duckdb.CatalogException:
            continue  # whoever needs the table says so
        present = {column.lower() for column, *_ in described}
        for column in table["columns"]:
            if column["name"] not in present:
                connection.execute(f"alter table {name} add column {column['name']} {column['data_type']}")


@cache
def contract() -> dict[str, tuple[str, ...]]:
    """The columns that a feed may fill of every table that it may, by the table's name, in order."""
    return {
        table["name"]: tuple(column["name"] for column in table["columns"] if _is_fed(column, True))
        for table in _tables()
        if _is_fed(table, False)
    }


def _is_fed(described: dict[str, Any], otherwise: bool) -> bool:
    return bool(described.get("config", {}).get("meta", {}).get("fed", otherwise))


@cache
def _tables() -> list[dict[str, Any]]:
    (source,) = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"]
    return source["tables"]
