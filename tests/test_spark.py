"""
The same models and the same model file on Spark. `make test-spark` (short, local mode), `make
test-spark-full` (local mode) and `make test-spark-cluster` (a standalone master with two workers, and Spark
Connect).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hand_picked import (
    AS_OF,
    KNOWN_BEFORE,
    KNOWN_LATER,
    LATER,
    ODD_MERGES,
    ODDITIES,
    as_seen_on,
)
from shops import (
    DATED_TABLES,
    FEATURES_ONLY,
    MARTS_FOLDER,
    ROOT,
    Event,
    add_events,
    add_merges,
    copied,
    event_rows,
    purchase,
    refund,
    visit,
    with_vars,
)

from clv_ml import pipeline
from clv_ml.engines import engine_of
from clv_ml.errors import InputError, PublishError, SettingsError
from clv_ml.model.model_in_use import read_today
from clv_ml.operate import publication
from clv_ml.operate.scores import read_scoring
from clv_ml.settings import Settings

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
if not shutil.which("java"):
    pytest.skip("Java 17 is absent", allow_module_level=True)

from clv_ml.spark import compare, publish, session, tables
from clv_ml.spark.functions import register
from clv_ml.warehouse.dbt_runner import run_dbt


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    Where this process's Spark keeps its tables; one session serves all tests, since a process has but one.
    """
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLV_SPARK_FOLDER", str(folder))
        # a short run does not earn back the optimising compiler
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m")
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


def published(settings: Settings, schema: str, table: str) -> list[str]:
    """What readers see."""
    return rows_of(settings, f"{schema}_published", table)


def build(settings: Settings, *arguments: str) -> None:
    """``dbt run`` on Spark, with the functions that the models call."""
    register(session.open_session(settings), settings)
    run_dbt(settings, ["run", *arguments])


def write_events(folder: Path, events: list[Event], first: int = 1) -> None:
    """A Parquet file of events in the input contract, in the folder that a raw table lies over."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    pq.write_table(event_rows(events, first), folder / "events" / f"from-{first}.parquet")


@pytest.mark.spark
def test_a_run_on_spark_publishes_the_cells_that_duckdb_has(
    trained: Settings, schema: str, tmp_path: Path
) -> None:
    """
    From a folder of events to published marts with the model that DuckDB trained: every model of the project
    is the same, bit for bit, drivers within 1e-9 of the prediction. Scoring once more changes nothing,
    `scored_at` included.
    """
    on_spark = trained.model_copy(update={"target": "spark"})
    compare.export_raw(trained, tmp_path)

    result = pipeline.run(on_spark, data_dir=tmp_path)

    keys = compare.keys_of(trained.project)
    compared = {
        one.table: one
        for one in compare.compare_tables(trained, session.open_session(on_spark), schema, keys)
    }
    assert [one for one in compared.values() if not one.is_equal] == []
    assert set(compared) == {path.stem for path in (ROOT / "models_sql").rglob("*.sql")}
    assert compared["customer_features"].rows > 1000
    assert compared["customer_predictions"].rows > 100
    assert compared["customer_drivers"].rows > 1000
    assert result.scoring == read_scoring(trained)
    assert result.training is None  # the model fits: the definitions have one hash on both engines
    assert set(result.seconds) == {"ingest", "build features", "score", "check", "publish", "remove old"}
    assert result.publication.path == f"{schema}_published"
    assert result.publication.rows == {
        mart: compared[mart].rows for mart in publication.published_tables(trained)
    }
    (record,) = published(on_spark, schema, publication.RECORD)
    assert record.startswith(f"('{result.publication.version}', '{result.publication.run_id}', ")

    before = rows_of(on_spark, schema, "customer_predictions"), published(on_spark, schema, "customer_clv")
    engine_of(on_spark).score()
    engine_of(on_spark).publish()
    after = rows_of(on_spark, schema, "customer_predictions"), published(on_spark, schema, "customer_clv")
    assert after == before
    run_dbt(on_spark, ["test", "--select", "customer_rfm,test_type:unit"])  # all others: make test-spark-full


@pytest.mark.spark
def test_a_changed_model_is_named_and_a_missing_one_is_none(
    trained: Settings, tmp_path: Path, schema: str
) -> None:
    """
    What `clv_plan` tells the SQL: the manifest, the fault of a model whose file was changed, or that there is
    none.
    """
    spark = session.open_session(trained)

    def described(settings: Settings) -> Any:
        register(spark, settings)
        told = json.dumps(asdict(read_today(trained)), default=str)
        return json.loads(spark.sql(f"select clv_plan('{told}')").collect()[0][0])

    changed = copied(trained, tmp_path / "changed")
    model = next(changed.models.rglob("*.onnx"))
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1])

    assert set(described(trained)["model"]) >= {"version", "features", "outputs"}
    assert model.name in described(changed)["refusal"] and described(changed)["model"] is None
    none = described(trained.model_copy(update={"models": tmp_path / "none"}))
    assert none == {"method": "no model", "model": None, "refusal": None}


@pytest.mark.spark
def test_published_views_move_and_old_runs_go_two_runs_later(
    trained: Settings, tmp_path: Path, schema: str
) -> None:
    """Readers see one view all along, with its comments; the copies of the newest three runs stay."""
    marts = tmp_path / MARTS_FOLDER
    marts.mkdir(parents=True)
    (marts / "customer_clv.sql").write_text("select 1")
    settings = trained.model_copy(update={"project": tmp_path})
    spark = session.open_session(settings)
    spark.sql(f"create database {schema}")
    stamps = []
    for number in range(5):
        spark.sql(f"drop table if exists {schema}.customer_clv")
        spark.sql(
            f"create table {schema}.customer_clv (run int comment 'Which', as_of_date date, "
            "horizon_days int, reporting_currency string, clv_model_version string) using parquet"
        )
        spark.sql(f"insert into {schema}.customer_clv values ({number}, date '2024-01-01', 60, 'GBP', 'v1')")
        stamps.append(publish.publish(settings).version)
        (row,) = published(settings, schema, "customer_clv")
        (record,) = published(settings, schema, publication.RECORD)
        assert row.startswith(f"({number}, ")
        assert record.startswith(f"('{stamps[-1]}', ") and "'v1', 1)" in record

    tables_there = spark.sql(f"show tables in {schema}_published").collect()
    held = {row["tableName"] for row in tables_there if not row["isTemporary"]}
    names = ("customer_clv", publication.RECORD)
    assert held == {*names, *(f"{name}__run_{stamp}" for name in names for stamp in stamps[-3:])}
    assert spark.sql(f"describe {schema}_published.customer_clv").collect()[0]["comment"] == "Which"
    (marts / "other.sql").write_text("select 1")
    with pytest.raises(PublishError, match="other cannot be read"):
        publish.publish(settings)
    assert published(settings, schema, "customer_clv") == [row]


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


@pytest.mark.spark
def test_a_folder_without_rates_has_none(empty_shop: Settings, tmp_path: Path, schema: str) -> None:
    """Rates of a folder laid before are gone: they are another shop's. What lies in its files stays."""
    settings = with_vars(empty_shop, raw_schema=f"{schema}_raw").model_copy(update={"target": "spark"})
    spark = session.open_session(settings)
    rates = tmp_path / "with" / "fx_rates.parquet"
    for folder in ("with", "without"):
        write_events(tmp_path / folder, [purchase("ann", 3, 10)])
    pq.write_table(pa.table({"currency": ["USD"]}), rates)

    counted = []
    for folder in ("with", "without", "with"):
        tables.name_raw_tables(spark, settings, tmp_path / folder)
        counted.append(spark.table(f"{schema}_raw.fx_rates").count())

    assert counted == [1, 0, 1]


@pytest.mark.spark_full
def test_a_shop_trains_on_spark_and_passes_every_test(
    simulated: Settings, schema: str, tmp_path: Path
) -> None:
    """
    Without a model one is trained there, on a copy, and it is the one that DuckDB trains from the same rows.
    All data tests and unit tests of the project then hold.
    """
    on_spark = copied(simulated, tmp_path / "spark").model_copy(update={"target": "spark"})
    on_duckdb = copied(simulated, tmp_path / "duckdb")
    (tmp_path / "raw").mkdir()
    compare.export_raw(simulated, tmp_path / "raw")

    result = pipeline.run(on_spark, data_dir=tmp_path / "raw")

    assert result.training is not None
    assert result.training.version == engine_of(on_duckdb).train().version
    assert result.scoring.model_version == result.training.version
    registry = rows_of(on_spark, schema, "model_registry", "is_champion")
    assert len(registry) == 1 and result.training.version in registry[0]
    run_dbt(on_spark, ["test"])


@pytest.mark.spark_full
@pytest.mark.parametrize(
    ("name", "events", "customers"),
    [
        ("one", [purchase("ann", 3, 10)], 1),
        ("refunds", [refund("ann", 3, -10), refund("bob", 3, -5)], 2),
        ("visits", [visit("ann", 3), visit("bob", 4)], 2),
    ],
)
def test_a_shop_with_hardly_anything_is_scored(
    empty_shop: Settings, tmp_path: Path, schema: str, name: str, events: list[Event], customers: int
) -> None:
    """A single purchase, refunds alone, visits alone: a number for everybody, and a warning."""
    settings = with_vars(copied(empty_shop, tmp_path / "shop"), raw_schema=f"raw_{name}")
    write_events(tmp_path, events)

    result = pipeline.run(settings.model_copy(update={"target": "spark"}), data_dir=tmp_path)

    assert result.scoring.customers == customers
    assert result.scoring.model_version is None
    assert any("No model was trained" in warning for warning in result.warnings)
    assert result.publication.rows["customer_clv"] == customers


@pytest.mark.spark_full
def test_a_shop_without_events_is_refused(empty_shop: Settings, tmp_path: Path, schema: str) -> None:
    """As on DuckDB: an empty shop is not published."""
    settings = with_vars(copied(empty_shop, tmp_path / "shop"), raw_schema="raw_nobody")
    write_events(tmp_path, [])

    with pytest.raises(InputError, match="nobody was scored"):
        pipeline.run(settings.model_copy(update={"target": "spark"}), data_dir=tmp_path)


@pytest.mark.spark_full
def test_later_knowledge_changes_no_earlier_row_on_spark(
    empty_shop: Settings, tmp_path: Path, schema: str
) -> None:
    """
    Sales, cancellations, visits and late records from a date on leave the rows up to it as they are, computed
    anew from nothing. A run that finds nothing new changes no row at all, and the incremental rows are those
    of a full refresh.
    """
    dates_stay = with_vars(empty_shop, raw_schema=f"{schema}_raw", prune_scoring_days=400)
    settings = dates_stay.model_copy(update={"target": "spark"})
    spark = session.open_session(settings)
    known = as_seen_on(AS_OF, KNOWN_BEFORE)
    write_events(tmp_path, known)
    tables.name_raw_tables(spark, settings, tmp_path)

    def dated(where: str = "true") -> dict[str, list[str]]:
        return {table: rows_of(settings, schema, table, where) for table in DATED_TABLES}

    up_to_then = f"as_of_date <= date '{AS_OF:%Y-%m-%d}'"
    build(settings, *FEATURES_ONLY)
    before = dated(up_to_then)
    write_events(tmp_path, as_seen_on(LATER, KNOWN_LATER), first=len(known) + 1)
    spark.catalog.refreshTable(f"{schema}_raw.events")
    build(settings, *FEATURES_ONLY)
    step_by_step = dated()
    build(settings, *FEATURES_ONLY)
    again = dated()
    build(settings, *FEATURES_ONLY, "--exclude", "as_of_dates", "--full-refresh")

    assert all(before.values())
    assert dated(up_to_then) == before
    assert again == step_by_step
    assert dated() == step_by_step


@pytest.mark.spark_full
def test_the_shop_of_oddities_is_the_same_on_spark(empty_shop: Settings, tmp_path: Path, schema: str) -> None:
    """
    Every outcome at the edges that is worked by hand on DuckDB (tests/test_edge_cases.py) is there too: no
    cell differs.
    """
    odd = copied(empty_shop, tmp_path / "odd")
    add_events(odd, ODDITIES)
    add_merges(odd, *ODD_MERGES)
    engine_of(odd).build_features()
    engine_of(odd).score()

    compared = {one.table: one for one in compare.compare_engines(odd)}

    assert [one for one in compared.values() if not one.is_equal] == []
    assert compared["customer_clv"].rows == len({event.customer_id for event in ODDITIES} - {"old", "middle"})


@pytest.mark.cluster
@pytest.mark.parametrize("place", ["standalone", "connect"])
def test_another_place_gives_the_same_cells(trained: Settings, tmp_path: Path, place: str) -> None:
    """
    A master with two workers, and a Spark Connect server, each of its own process and named by one setting;
    the kernel and the model are shipped to them. No cell differs.
    """
    from spark_cluster import connect_server, standalone_cluster

    starts = {
        "standalone": ("CLV_SPARK_MASTER", standalone_cluster),
        "connect": ("SPARK_REMOTE", connect_server),
    }
    name, start = starts[place]
    with start(tmp_path / "cluster") as address:
        environment = os.environ | {
            name: address,
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
    assert {one["table"] for one in compared} == set(compare.keys_of(trained.project))
    assert not [one for one in compared if one["differing"]]
