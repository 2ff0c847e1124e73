"""
The input contract: which tables a feed may fill, with which columns. It stands once, in the YAML of dbt's
sources, from which ``dbt run`` creates the tables.
"""

from functools import cache
from typing import Any

import yaml

from clv_ml.folders import MODELS_FOLDER

SOURCES = MODELS_FOLDER / "staging" / "_staging__sources.yml"


def create_statements(schema: str) -> list[str]:
    """DuckDB's statements that create a schema and all tables of the sources in it, empty."""
    statements = [f"create schema {schema}"]
    for table in source_tables():
        columns = ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        statements.append(f"create table {schema}.{table['name']} ({columns})")
    return statements


@cache
def contract() -> dict[str, tuple[str, ...]]:
    """The columns that a feed may fill of every table that it may, by the table's name, in order."""
    return {
        table["name"]: tuple(column["name"] for column in table["columns"] if _is_fed(column, True))
        for table in source_tables()
        if _is_fed(table, False)
    }


def _is_fed(described: dict[str, Any], otherwise: bool) -> bool:
    return bool(described.get("config", {}).get("meta", {}).get("fed", otherwise))


@cache
def source_tables() -> list[dict[str, Any]]:
    """What the YAML says of each table."""
    (source,) = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"]
    return source["tables"]
