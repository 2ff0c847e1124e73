"""
A simulated shop as files, for the demo, the tests and the benchmarks. ``simulated_shop`` draws it,
``simulated_feed`` turns it into rows, `benchmarks/simulated_truth.py` knows its truth.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from clv_ml.simulate.simulated_feed import EVENTS, ID_HISTORY, events_of, fx_rates_of, id_history_of
from clv_ml.simulate.simulated_shop import Shop, draw_chunk
from clv_ml.warehouse.safe_files import put_in_place


def write_simulation(shop: Shop, folder: Path) -> dict[str, Path]:
    """
    Writes events.parquet, id_history.parquet and fx_rates.parquet, and gives their paths by table name.
    Memory is that of one chunk of customers. The files appear once all three are complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = {table: f"{table}.parquet" for table in ("events", "id_history", "fx_rates")}
    with TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
        with (
            pq.ParquetWriter(Path(partial, names["events"]), EVENTS, compression="zstd") as events_file,
            pq.ParquetWriter(
                Path(partial, names["id_history"]), ID_HISTORY, compression="zstd"
            ) as merges_file,
        ):
            for events, merges in tables_of(shop):
                events_file.write_table(events)
                merges_file.write_table(merges)
        pq.write_table(fx_rates_of(shop), Path(partial, names["fx_rates"]), compression="zstd")
        for name in names.values():
            put_in_place(Path(partial, name), folder / name)
    return {table: folder / name for table, name in names.items()}


def tables_of(shop: Shop) -> Iterator[tuple[pa.Table, pa.Table]]:
    """
    Events and merges of each chunk of 1,000 customers; events are sorted by `occurred_at`, the chunk's dirt
    behind them.
    """
    for number in range(shop.chunks):
        chunk = draw_chunk(shop, number)
        yield events_of(shop, chunk), id_history_of(shop, chunk)
