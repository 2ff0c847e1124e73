"""Raw tables of an earlier version get the columns that they lack."""

import duckdb

from clv_ml.warehouse.input_contract import source_tables


def add_columns(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Adds the columns, empty, that tables of an earlier version lack. ``schema`` is quoted."""
    for table in source_tables():
        name = f"{schema}.{table['name']}"
        try:
            described = connection.execute(f"select * from {name} limit 0").description
        except duckdb.CatalogException:
            continue  # whoever needs the table says so
        present = {column.lower() for column, *_ in described}
        for column in table["columns"]:
            if column["name"] not in present:
                connection.execute(f"alter table {name} add column {column['name']} {column['data_type']}")
