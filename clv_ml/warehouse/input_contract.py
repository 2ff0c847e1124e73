"""
The input contract: which tables a feed may fill, with which columns. It stands once, in the YAML of dbt's
sources, from which ``dbt run`` creates the tables.
"""

from functools import cache

import yaml

from clv_ml.folders import MODELS_FOLDER

SOURCES = MODELS_FOLDER / "staging" / "_staging__sources.yml"


def create_statements(schema: str) -> list[str]:
    """DuckDB's statements that create a schema and all tables of the sources in it, empty."""
    (source,) = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"]
    statements = [f"create schema {schema}"]
    for table in source["tables"]:
        columns = ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        statements.append(f"create table {schema}.{table['name']} ({columns})")
    return statements


@cache
def contract() -> dict[str, tuple[str, ...]]:
    """The columns of every table that a feed may fill, by the table's name, in order."""
    (source,) = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"]
    return {
        table["name"]: tuple(column["name"] for column in table["columns"])
        for table in source["tables"]
        if table.get("config", {}).get("meta", {}).get("fed")
    }
