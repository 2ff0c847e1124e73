"""One shop, written in ten dialects, is one shop: its table of values is the same in every cell."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import duckdb
import pytest
from dialects import COLUMNS, DIALECTS, Order
from same_cells import columns, differing_rows
from shops import copied, day, with_vars

from clv_ml import pipeline
from clv_ml.ingest.choice import Choice


def orders() -> list[Order]:
    """A year and a half of 150 customers, each at a pace of their own, some with names that are no ASCII."""
    draw = Random(11)
    found = []
    for number in range(150):
        name = f"{'Zoë' if number % 3 else 'Bo'}-{number}"
        at, pace, size = draw.uniform(0, 200), draw.uniform(10, 90), draw.uniform(5, 900)
        while at < 540:
            moment = day(0) + timedelta(seconds=int(at * 86_400))
            amount = Decimal(int(size * draw.uniform(50, 150))).scaleb(-2)
            found.append(Order(f"{number}-{len(found)}", name, moment, amount))
            at += draw.expovariate(1 / pace)
    return sorted(found, key=lambda order: order.occurred_at)


@pytest.mark.long
def test_ten_dialects_give_ten_equal_tables(empty_shop, tmp_path):
    """Trained and scored from each file, `customer_clv` differs in no cell but hashes, versions and times."""
    files = {}
    for name, dialect in DIALECTS.items():
        shop = with_vars(copied(empty_shop, tmp_path / dialect.file), horizon_days=60)
        (tmp_path / f"of-{dialect.file}").mkdir()
        path = tmp_path / f"of-{dialect.file}" / dialect.file
        path.write_bytes(dialect.written(orders()))
        result = pipeline.run(shop, Choice(options={"columns": COLUMNS}), path)
        assert (result.ingested[0].reasons, result.training is not None) == ({}, True), name
        files[name] = shop.warehouse

    with duckdb.connect() as connection:
        connection.execute(f"attach '{files.pop('plain')}' as before (read_only)")
        for name, file in files.items():
            connection.execute(f"attach or replace '{file}' as after (read_only)")
            (table,) = (each for each in columns(connection, "after") if each.endswith(".customer_clv"))
            gone, new, rows = differing_rows(connection, table, columns(connection, "after")[table])
            assert (gone, new, rows) == (0, 0, 150), name
