"""The same models and the same model file on Spark: `make test-spark` (local mode) and `make test-spark-cluster`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from shops import Event, day, event_rows, purchase, refund, visit, with_vars

from clv_ml.errors import InputError, SettingsError
from clv_ml.settings import Settings

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
if not shutil.which("java"):
    pytest.skip("Java 17 is absent", allow_module_level=True)

from clv_ml.dbt_runner import run_dbt
from clv_ml.spark import compare, pipeline, publish, session, tables
from clv_ml.spark.functions import register

FEATURES = ("--select", "+customer_features")
T = day(137)  # off the monthly grid


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process's Spark keeps its tables; one session serves all tests, since a process has but one."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLV_SPARK_FOLDER", str(folder))
        patch.delenv("CLV_SPARK_MASTER", raising=False)
        yield folder


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A Spark schema of the test's own."""
    name = f"clv_{abs(hash(request.node.name)) % 10**8}"
    monkeypatch.setenv("CLV_SPARK_SCHEMA_NAME", name)
    return name


def rows_of(settings: Settings, schema: str, table: str, where: str = "true") -> list[str]:
    """Every row as text, sorted."""
    frame = session.open_session(settings).sql(f"select * from {schema}.{table} where {where}")
    return sorted(str(tuple(row)) for row in frame.collect())


def build(settings: Settings, *arguments: str) -> None:
    """``dbt run`` on Spark, with the functions that the models call."""
    register(session.open_session(settings), settings)
    run_dbt(settings, ["run", *arguments])


def write_events(folder: Path, events: list[Event], first: int = 1) -> None:
    """A Parquet file of events in the input contract, in the folder that a raw table lies over."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    pq.write_table(event_rows(events, first), folder / "events" / f"from-{first}.parquet")


@pytest.mark.spark
def test_spark_gives_the_cells_that_duckdb_gives(trained: Settings, schema: str) -> None:
    """
    Features, labels, training rows, scores and marts are the same, bit for bit; drivers within 1e-9 of the prediction.
    Then the copies for readers: a second publication moves the views, and nothing is scored anew.
    """
    compared = {one.table: one for one in compare.compare_engines(trained)}

    assert [one for one in compared.values() if not one.is_equal] == []
    assert set(compared) == set(compare.KEYS)
    assert compared["customer_features"].rows > 1000
    assert compared["customer_predictions"].rows > 100
    assert compared["customer_drivers"].rows > 1000

    on_spark = trained.model_copy(update={"target": "spark"})
    before = rows_of(on_spark, schema, "customer_predictions")
    first = rows_of(on_spark, f"{schema}_published", "customer_clv")
    pipeline.score(on_spark)

    assert rows_of(on_spark, schema, "customer_predictions") == before  # scored_at included
    assert rows_of(on_spark, f"{schema}_published", "customer_clv") == first


@pytest.mark.spark
def test_what_comes_later_changes_no_earlier_row_on_spark(
    empty_shop: Settings, tmp_path: Path, schema: str
) -> None:
    """Late records, cancellations of old sales and new events leave the rows up to T as they are, computed anew too."""
    early = [
        *(
            purchase(name, start + 7 * number, 10 + number, product_id="p1", quantity=1, category="home")
            for number in range(8)
            for start, name in ((3, "ann"), (10, "bob"), (40, "dör"))
        ),
        *(visit(name, number * 11, session=f"s{number}") for number in range(9) for name in ("ann", "eve")),
        refund("bob", 60, -4),
    ]
    late = [
        purchase("ann", T + timedelta(days=1), 99),
        purchase("new", 20, 50, recorded_at=T),
        refund("ann", T, -10, order="ann@" + day(3).isoformat(), product_id="p1", quantity=-1),
        refund("dör", T + timedelta(seconds=1), -17, product_id="p1", quantity=-1),
        visit("eve", 30, "page_view", recorded_at=T + timedelta(days=2)),
    ]
    settings = with_vars(empty_shop, raw_schema=f"{schema}_raw").model_copy(update={"target": "spark"})
    write_events(tmp_path, early)
    spark = session.open_session(settings)
    tables.name_raw_tables(spark, settings, tmp_path)
    build(settings, *FEATURES)
    up_to_t = f"as_of_date <= date '{T:%Y-%m-%d}'"
    dated = ("customer_rfm", "customer_intervals", "customer_engagement", "customer_features")
    before = {table: rows_of(settings, schema, table, up_to_t) for table in dated}

    write_events(tmp_path, late, first=len(early) + 1)
    spark.catalog.refreshTable(f"{schema}_raw.events")
    build(settings, *FEATURES, "--full-refresh")

    assert all(before.values())
    assert {table: rows_of(settings, schema, table, up_to_t) for table in dated} == before
    after = rows_of(settings, schema, "customer_rfm")
    build(settings, *FEATURES)
    assert rows_of(settings, schema, "customer_rfm") == after


@pytest.mark.spark
def test_published_views_move_and_old_runs_go_two_runs_later(trained: Settings, schema: str) -> None:
    """Readers see one view all along; the copies of the newest three runs stay."""
    spark = session.open_session(trained)
    spark.sql(f"create database {schema}")
    stamps = []
    for number in range(5):
        spark.sql(f"drop table if exists {schema}.mart")
        spark.sql(f"create table {schema}.mart using parquet as select {number} as run")
        stamps.append(publish.publish(spark, schema, ("mart",)))
        assert spark.table(f"{schema}_published.mart").collect()[0]["run"] == number

    held = {row["tableName"] for row in spark.sql(f"show tables in {schema}_published").collect()}
    assert held == {"mart", *(f"mart__run_{stamp}" for stamp in stamps[-3:])}


@pytest.mark.spark
def test_a_sample_takes_whole_customers(trained: Settings) -> None:
    """All rows of a customer are in or out, about the share asked for, whatever the date."""
    spark = session.open_session(trained)
    numbers = "select cast(id % 5000 as string) as customer_id, id div 5000 as date_number from range(15000)"
    condition = tables.in_sample(0.3)
    kept = tables.read(
        spark, f"select customer_id, count(*) as dates from ({numbers}) where {condition} group by 1"
    )

    assert set(kept["dates"].to_pylist()) == {3}
    assert kept.num_rows == pytest.approx(1500, rel=0.1)
    assert tables.in_sample(1.5) == "true"


@pytest.mark.spark
def test_wrong_places_are_refused_by_name(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without events, a feed that needs mapping, and two places at once."""
    on_spark = trained.model_copy(update={"target": "spark"})
    with pytest.raises(InputError, match=r"has no events\.parquet"):
        tables.name_raw_tables(session.open_session(on_spark), on_spark, tmp_path)
    with pytest.raises(InputError, match="clv ingest"):
        pipeline.run(on_spark, "orders", tmp_path / "orders.csv")
    monkeypatch.setenv("SPARK_REMOTE", "sc://nowhere:1")
    monkeypatch.setenv("CLV_SPARK_MASTER", "local[1]")
    with pytest.raises(SettingsError, match="Unset one"):
        session.open_session(on_spark)


@pytest.mark.cluster
def test_two_workers_give_the_same_cells(trained: Settings, tmp_path: Path) -> None:
    """A master and two workers of their own, the kernel and the model shipped to them: no cell differs."""
    from spark_cluster import standalone_cluster

    with standalone_cluster(tmp_path / "cluster") as master:
        environment = os.environ | {
            "CLV_SPARK_MASTER": master,
            "CLV_SPARK_FOLDER": str(tmp_path / "tables"),
            "CLV_WAREHOUSE": str(trained.warehouse),
            "CLV_MODELS": str(trained.models),
        }
        command = [str(Path(sys.executable).with_name("clv")), "compare-engines", "--json"]
        done = subprocess.run(
            [*command, "--vars", json.dumps(trained.overrides)],
            cwd=trained.project,
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    compared: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    assert {one["table"] for one in compared} == set(compare.KEYS)
    assert not [one for one in compared if one["differing"]]
