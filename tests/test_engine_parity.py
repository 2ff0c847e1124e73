"""
Every cell of two whole shops is the same on DuckDB and Spark (``make test-spark-parity``, hours). The shops
are the demo of 10,000 customers and Online Retail II, on Spark in local mode and on a master with two
workers. The small shop of ``make test-spark`` is compared in the same way.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from shops import ROOT

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
if not shutil.which("java"):
    pytest.skip("Java 17 is absent", allow_module_level=True)

from spark_cluster import standalone_cluster

from clv_ml.spark import compare

ORDERS = ROOT.parent / "shared" / "data" / "online_retail_ii.parquet"
RETAIL_DATE = ("--as-of", "2011-06-09", "--horizon-days", "183")
SHOPS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "demo": (["demo", "--customers", "10000"], ()),
    "online_retail_ii": (
        ["run", str(ORDERS), "--preset", "online_retail_ii", *RETAIL_DATE],
        RETAIL_DATE,
    ),
}


def clv(folder: Path, *arguments: str, **environment: str) -> Any:
    """What the command prints as JSON; its warehouse is in the folder (the demo's in one below)."""
    places = {"CLV_WAREHOUSE": str(folder / "clv.duckdb"), "CLV_MODELS": str(folder / "models")}
    command = [str(Path(sys.executable).with_name("clv")), *arguments, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | places | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=SHOPS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The shop's name, and the folder where DuckDB has run it from events to marts."""
    if request.param == "online_retail_ii" and not ORDERS.exists():
        pytest.skip("needs online_retail_ii.parquet in ../shared/data")
    folder = tmp_path_factory.mktemp(request.param)
    clv(folder, *SHOPS[request.param][0])
    return request.param, folder / "demo" if request.param == "demo" else folder


@contextmanager
def _local(folder: Path) -> Iterator[str]:
    yield "local[2]"


@pytest.mark.parity
@pytest.mark.parametrize("place", [standalone_cluster, _local], ids=["cluster", "local"])
def test_a_whole_shop_has_the_same_cells(shop: tuple[str, Path], tmp_path: Path, place: Any) -> None:
    """No feature, label, score or mart cell differs; drivers within 1e-9 x max(1, |prediction|)."""
    name, folder = shop
    with place(tmp_path / "cluster") as master:
        compared = clv(
            folder,
            "compare-engines",
            *SHOPS[name][1],
            CLV_SPARK_MASTER=master,
            CLV_SPARK_FOLDER=str(tmp_path / "tables"),
        )
    print(
        f"{name}: {sum(one['rows'] * one['columns'] for one in compared):,} cells in {len(compared)} models"
    )
    assert {one["table"] for one in compared} == set(compare.keys_of(ROOT))
    assert not [one for one in compared if one["differing"] or one["only_duckdb"] or one["only_spark"]]
