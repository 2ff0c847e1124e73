"""What is odd about a file as a whole, though each of its rows is fit: a warning each, with the remedy."""

import duckdb

from clv_ml.ingest import id_checks, row_checks
from clv_ml.ingest.named_file import NamedFile

_PURCHASES = """
create or replace temp view bought as
select
    feed_row, customer_id, order_id, product_id, quantity, amount, occurred_at,
    cast(occurred_at as date) as day
from checked where reason is null and event_type = 'purchase'
"""


def file_warnings(connection: duckdb.DuckDBPyConnection, file: NamedFile) -> tuple[str, ...]:
    """What is odd about the file in the scratch tables."""
    connection.execute(_PURCHASES)
    checks = (*id_checks.CHECKS, *row_checks.CHECKS)
    found = tuple(f"{file.name}: {warning}" for check in checks if (warning := check(connection, file)))
    connection.execute("drop view bought")
    return found
