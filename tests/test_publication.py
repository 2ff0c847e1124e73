"""Readers see one whole version of the marts, whatever happens to the writer."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from importlib.metadata import version as version_of
from pathlib import Path

import duckdb
import pytest
from readers import SAID
from shops import MARTS_FOLDER, settings_for

from clv_ml.errors import PublishError, WarehouseBusyError
from clv_ml.operate import publication
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings, published_folder
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.locking import locked


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A warehouse with one mart, made by hand."""
    project = tmp_path / "project" / MARTS_FOLDER
    project.mkdir(parents=True)
    (project / "customer_clv.sql").write_text("select 1")
    settings = settings_for(tmp_path).model_copy(update={"project": tmp_path / "project"})
    _fill(settings, 1)
    return settings


def _fill(settings: Settings, generation: int) -> None:
    with duckdb.connect(settings.warehouse) as connection:
        connection.execute(f"create schema if not exists {settings.own_schema}")
    with connect(settings, read_only=False) as connection:
        connection.execute(
            f"create or replace table customer_clv as select {generation} as g, i, {SAID} "
            "from range(2000) as t(i)"
        )
        connection.execute("comment on table customer_clv is 'It''s value'")
        connection.execute("comment on column customer_clv.g is 'Generation'")


def _seen(folder: Path) -> tuple[list, list, list, list]:
    """What a reader of one version sees: the record and the table, of the database and of Parquet."""
    version = folder.resolve()
    summary = "select min(g), max(g), count(*) from {}"
    with duckdb.connect(version / "clv.duckdb", read_only=True) as reader:
        return (
            reader.execute("from publication").fetchall(),
            reader.execute(f"from '{version}/publication.parquet'").fetchall(),
            reader.execute(summary.format("customer_clv")).fetchall(),
            reader.execute(summary.format(f"'{version}/customer_clv.parquet'")).fetchall(),
        )


def test_older_readers_open_what_is_published(shop: Settings):
    """
    The file is in the storage format of the oldest DuckDB that the project supports, not of the one that
    wrote it.
    """
    with duckdb.connect(publication.publish(shop).path, read_only=True) as reader:
        tags = "select tags['storage_version'] from duckdb_databases() where not internal"
        assert reader.execute(tags).fetchall() == [(f"{publication.READABLE_BY}+",)]


@pytest.mark.long
@pytest.mark.parametrize("client", ["duckdb==0.10.3", "duckdb==1.1.3", "duckdb==1.4.4", "duckdb"])
def test_the_oldest_client_and_the_newest_read_every_table_and_its_comments(
    shop: Settings, tmp_path: Path, client: str
):
    """BI tools and notebooks carry a DuckDB of their own, often an old one, or one newer than ours."""
    place = ["install", "--quiet", "--no-deps", "--target", str(tmp_path / "client"), client]
    installed = subprocess.run([sys.executable, "-m", "pip", *place], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"{client} cannot be installed here")
    published = publication.publish(shop)
    program = (
        "import sys, duckdb; connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "tables = connection.execute('select table_name from duckdb_tables()').fetchall()\n"
        "names = [name for (name,) in tables]\n"
        "for name in names: connection.execute(f'select * from \"{name}\"').fetchall()\n"
        "said = 'select count(*) from duckdb_columns() where comment is not null'\n"
        "print(duckdb.__version__, len(names), connection.execute(said).fetchall()[0][0])"
    )

    read = subprocess.run(
        [sys.executable, "-c", program, str(published.path)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "client")},
        capture_output=True,
        text=True,
    )

    assert read.returncode == 0, read.stderr
    with duckdb.connect(published.path, read_only=True) as reader:
        (comments,) = reader.execute(
            "select count(*) from duckdb_columns() where comment is not null"
        ).fetchone()
    version, *counts = read.stdout.split()
    assert version == client.removeprefix("duckdb==") or client == "duckdb"
    assert counts == [str(len(published.rows) + 1), str(comments)]


def test_warehouses_in_one_folder_publish_apart(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Two shops side by side, named by the environment as users do: neither takes the other's readers away.
    """
    monkeypatch.setenv("CLV_WAREHOUSE", str(shop.warehouse.with_name("retail.duckdb")))
    other = shop.model_copy(update={"warehouse": shop.warehouse.with_name("retail.duckdb")})
    _fill(other, 2)

    paths = [publication.publish(settings).path for settings in (shop, other)]

    assert [str(Path(path).parent.name) for path in paths] == ["published", "retail-published"]
    assert [_seen(Path(path).parent / publication.CURRENT)[2] for path in paths] == [
        [(1, 1, 2000)],
        [(2, 2, 2000)],
    ]


def test_reader_keeps_the_old_version_and_the_next_reader_gets_the_new(shop: Settings):
    """
    A reader that holds the old file through two publications reads it unchanged; comments come along.
    """
    first = publish(shop)
    with duckdb.connect(first.path.resolve(), read_only=True) as old:
        for generation in (2, 3):
            _fill(shop, generation)
            publish(shop)
        assert old.execute("select distinct g from customer_clv").fetchall() == [(1,)]
        comments = old.execute("select comment from duckdb_tables() where comment is not null").fetchall()

    record, parquet_record, rows, parquet_rows = _seen(first.path.parent / "current")
    assert sorted(comments) == [("It's value",), (publication.RECORD_MEANING,)]
    assert record == parquet_record
    assert rows == parquet_rows == [(3, 3, 2000)]
    assert len([path for path in first.path.parent.iterdir() if path.is_dir() and not path.is_symlink()]) == 2


def test_a_publication_says_what_it_is(shop: Settings):
    """
    One row: horizon, currency, coverage, model and date of the numbers, the run, when, by which version; each
    column explained.
    """
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    published = publish(shop)

    with duckdb.connect(published.path, read_only=True) as reader:
        (row,) = reader.sql("from publication").to_arrow_table().to_pylist()
        explained = reader.execute(
            "select column_name from duckdb_columns() "
            "where table_name = 'publication' and comment is not null"
        ).fetchall()

    assert before <= row.pop("published_at") <= datetime.now(UTC).replace(tzinfo=None)
    assert row == {
        "version": row["version"],
        "run_id": published.run_id,
        "product_version": version_of("clv-ml"),
        "as_of_date": date(2024, 1, 1),
        "horizon_days": 60,
        "reporting_currency": "EUR",
        "annual_discount_rate": 0.0,
        "interval_coverage": shop.vars.interval_coverage,
        "model_version": "v1",
        "customers": 2000,
    }
    assert published.version.startswith(row["version"])
    assert {name for (name,) in explained} == {*row, "published_at"}


def test_an_empty_shop_is_not_published(shop: Settings):
    """
    Where nobody is scored, readers keep what they have.
    """
    publish(shop)
    with connect(shop, read_only=False) as connection:
        connection.execute("delete from customer_clv")

    with pytest.raises(PublishError, match=r"Nobody is scored.*clv run FILE"):
        publish(shop)

    assert _seen(published_folder(shop) / "current")[2] == [(1, 1, 2000)]


def test_failed_check_leaves_the_old_version(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    What cannot be written or found whole is never pointed to, and leaves nothing behind.
    """
    folder = publish(shop).path.parent
    before = sorted(path.name for path in folder.iterdir())
    _fill(shop, 2)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publication, "_finish", full)
    with pytest.raises(PublishError, match="No space left"):
        publish(shop)

    assert sorted(path.name for path in folder.iterdir()) == before
    assert _seen(folder / "current")[2] == [(1, 1, 2000)]


def test_the_published_file_brings_a_macro_against_formulas(shop: Settings):
    """
    An id that a spreadsheet would run gets an apostrophe; any other text stays as it is, and so does a
    missing one.
    """
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
    harmless = ["a=1", "1-2", "", "'=1", None]
    with duckdb.connect(publish(shop).path, read_only=True) as reader:
        (safe,) = zip(
            *reader.execute("select csv_safe(unnest($1))", [[*formulas, *harmless]]).fetchall(), strict=True
        )

    assert list(safe) == [*(f"'{text}" for text in formulas), *harmless]


def test_missing_mart_is_named(shop: Settings):
    """
    A mart that was not built stops the publication.
    """
    (shop.project / MARTS_FOLDER / "segments.sql").write_text("select 1")

    with pytest.raises(PublishError, match="lacks segments"):
        publish(shop)


def test_publication_survives_kills(shop: Settings):
    """
    Thirty publishers killed at random moments: each time the published version is whole, and at the end one
    more works.
    """
    folder = publish(shop).path.parent
    rng = random.Random(5)
    for _ in range(30):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    publish(shop)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)

        assert os.WTERMSIG(status) == signal.SIGKILL
        record, parquet_record, rows, parquet_rows = _seen(folder / "current")
        assert record == parquet_record
        assert rows == parquet_rows == [(1, 1, 2000)]

    publish(shop)
    assert not list(folder.glob(f"{publication.UNFINISHED}*"))


def test_second_run_is_told_who_holds_the_warehouse(shop: Settings):
    """
    The lock names its holder and dies with it, killed or not.
    """
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from shops import settings_for; from clv_ml.warehouse.locking import locked\n"
        "with locked(settings_for(Path(sys.argv[1]))):\n    print('held', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(shop.warehouse.parent), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(WarehouseBusyError, match=str(other.pid)), locked(shop):
            pass
        other.kill()

    with locked(shop):
        pass


def test_a_holder_may_use_what_holds_and_another_thread_may_not(shop: Settings):
    """
    Verbs use verbs: the lock is the holder's until its outermost end, and nobody else's meanwhile.
    """

    def try_it() -> str:
        try:
            with locked(shop):
                return "got it"
        except WarehouseBusyError:
            return "busy"

    with ThreadPoolExecutor(1) as other, locked(shop):
        with locked(shop):
            pass
        assert other.submit(try_it).result() == "busy"

    assert try_it() == "got it"


def test_foreign_client_is_reported_as_busy(shop: Settings):
    """
    A client that has the file open makes the same error, with its process number.
    """
    code = (
        "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(shop.warehouse)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(WarehouseBusyError, match=str(other.pid)):
            publish(shop)
        other.kill()
