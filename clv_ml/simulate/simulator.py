"""
A simulated shop for the demo, the tests and the benchmarks; `benchmarks/simulated_truth.py` knows its truth.

:class:`Shop` holds every parameter (`simulated_shop.py` draws it, `simulated_feed.py` turns it into rows);
:func:`simulate` gives tables and :func:`write_simulation` files of any size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from clv_ml.simulate.simulated_feed import EVENTS, ID_HISTORY, events_of, fx_rates_of, id_history_of
from clv_ml.simulate.simulated_shop import Shop, draw_chunk
from clv_ml.warehouse.safe_files import put_in_place


@dataclass(frozen=True)
class Simulation:
    """The three input tables of a simulated shop; every column is a string, as in a feed."""

    events: pa.Table
    id_history: pa.Table
    fx_rates: pa.Table


def simulate(shop: Shop) -> Simulation:
    """
    The shop's tables in memory, about 0.3 GB a million events; :func:`write_simulation` has no such limit.

    Events are sorted by `occurred_at` within each chunk of 1,000 customers, the chunk's dirt behind them.
    """
    chunks = list(_tables(shop))
    return Simulation(
        events=pa.concat_tables([events for events, _ in chunks]),
        id_history=pa.concat_tables([merges for _, merges in chunks]),
        fx_rates=fx_rates_of(shop),
    )


def write_simulation(shop: Shop, folder: Path) -> dict[str, Path]:
    """
    Write events.parquet, id_history.parquet and fx_rates.parquet, the rows of :func:`simulate`.

    Memory is that of one chunk of customers. The files appear once all three are complete.

    Returns:
        The paths by table name: events, id_history, fx_rates.
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
            for events, merges in _tables(shop):
                events_file.write_table(events)
                merges_file.write_table(merges)
        pq.write_table(fx_rates_of(shop), Path(partial, names["fx_rates"]), compression="zstd")

        for name in names.values():
            put_in_place(Path(partial, name), folder / name)
    return {table: folder / name for table, name in names.items()}


def _tables(shop: Shop) -> Iterator[tuple[pa.Table, pa.Table]]:
    for number in range(shop.chunks):
        chunk = draw_chunk(shop, number)
        yield events_of(shop, chunk), id_history_of(shop, chunk)
