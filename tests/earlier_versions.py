"""
A small shop as an earlier version left it, for test_upgrade.py: its warehouse, exported, and its models.

Run by hand once a release, with the code of that version: ``PYTHONPATH=ROOT python tests/earlier_versions.py
ROOT ZIP``, where ROOT is a checkout of it.
"""

import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

CUSTOMERS, DAYS, FIRST = 25, 240, datetime(2025, 1, 1)
CLI = "from clv_ml.cli import app; app()"


def orders(seed: int = 4) -> Iterator[str]:
    """Lines of an export: each customer has a pace and a usual amount of its own."""
    draw = random.Random(seed)
    number = 0
    yield "order_id,customer_id,ordered_at,amount,currency"
    for customer in range(CUSTOMERS):
        day, pace, usual = draw.uniform(0, 60), draw.uniform(5, 40), draw.uniform(10, 90)
        while day < DAYS:
            at, number = FIRST + timedelta(days=day), number + 1
            yield f"o{number},c{customer},{at:%Y-%m-%d %H:%M:%S},{usual * draw.uniform(0.5, 1.5):.2f},GBP"
            day += draw.expovariate(1 / pace)


def main(root: Path, archive: Path) -> None:
    """Runs that version on the orders and packs what it made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feed, warehouse, models = folder / "orders.csv", folder / "shop.duckdb", folder / "models"
        feed.write_text("\n".join(orders()) + "\n", encoding="utf-8")
        command = ["run", str(feed), "--preset", "orders", "--horizon-days", "60", "--json"]
        places = {"CLV_WAREHOUSE": str(warehouse), "CLV_MODELS": str(models)}
        subprocess.run([sys.executable, "-c", CLI, *command], cwd=root, env=os.environ | places, check=True)
        with duckdb.connect(warehouse) as connection:
            connection.execute(
                f"export database '{folder / 'exported'}' (format parquet, compression uncompressed)"
            )
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as packed:
            for part in (folder / "exported", models):
                for path in sorted(path for path in part.rglob("*") if path.is_file()):
                    packed.write(path, path.relative_to(folder))
    print(archive, archive.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
