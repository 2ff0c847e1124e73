"""
Whether two warehouses hold the same cells: what a change that should change no number is checked with.

    python benchmarks/same_cells.py BEFORE.duckdb AFTER.duckdb

Every table of the second file that the first one has too is compared, column by column, as multisets of rows.
What depends on the text of the SQL or on the clock is left out: hashes, versions, times. Columns and tables
that only one file has are named. Exit code 1 if any cell differs.
"""

import argparse
import sys
from pathlib import Path

import duckdb

TEXT_AND_CLOCK = (
    "hash",
    "version",
    "scored_at",
    "created_at",
    "ingested_at",
    "published_at",
    "quarantined_at",
    "quarantine_id",
    "newest_at",
    "definition",
)
"""Parts of names of columns that follow the code's text or the clock."""
LEFT_OUT = ("feature_definitions", "model_registry", "training_runs")
"""Tables of nothing else."""


def columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    """Compared columns by table, of base tables outside dbt's own schemas."""
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() where database_name = ? "
        "and not internal and table_name in (select table_name from duckdb_tables() "
        "where database_name = ?) order by all",
        [database, database],
    ).fetchall()
    for table, column in rows:
        if table.split(".")[1] not in LEFT_OUT and not any(part in column for part in TEXT_AND_CLOCK):
            found.setdefault(table, []).append(column)
    return found


def differing_rows(
    connection: duckdb.DuckDBPyConnection, table: str, shared: list[str]
) -> tuple[int, int, int]:
    """Rows that only one of the two has, before and after, and how many there are."""
    names = ", ".join(f'"{name}"' for name in shared)
    old, new = f"select {names} from before.{table}", f"select {names} from after.{table}"
    counted = [
        connection.sql(f"select count(*) from ({query})").fetchall()[0][0]
        for query in (f"{old} except all {new}", f"{new} except all {old}", new)
    ]
    return counted[0], counted[1], counted[2]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="The warehouse as it was.")
    parser.add_argument("after", type=Path, help="The warehouse as it is.")
    asked = parser.parse_args()
    connection = duckdb.connect()
    connection.execute(f"attach '{asked.before}' as before (read_only)")
    connection.execute(f"attach '{asked.after}' as after (read_only)")
    before, after = columns(connection, "before"), columns(connection, "after")
    cells = wrong = 0
    for table in sorted(before.keys() | after.keys()):
        if table not in before or table not in after:
            print(f"{table}: only {'before' if table in before else 'after'}")
            continue
        shared = [name for name in before[table] if name in after[table]]
        alone = sorted(set(before[table]) ^ set(after[table]))
        gone, new, rows = differing_rows(connection, table, shared)
        cells += rows * len(shared)
        wrong += gone + new
        if alone:
            print(f"{table}: columns in one file only: {', '.join(alone)}")
        if gone or new:
            print(f"{table}: {gone} rows only before, {new} rows only after, of {rows}")
    connection.close()
    print(f"{cells:,} cells in {len(before.keys() & after.keys())} tables; {wrong:,} differing rows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
