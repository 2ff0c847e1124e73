"""
What happens when something breaks half way: readers see the old or the new, whole; the next run works.

The long version, with hundreds of kills, is `make soak`.
"""

import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import kills
import pytest
from bad_feeds import closed_to_us
from filelock import FileLock
from ingestion_helpers import empty_warehouse, everything, feed, write_events
from readers import fill, made_by_hand
from shops import execute, settings_for
from small_models import published as write_small_model
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.engines import engine_of
from clv_ml.errors import PublishError, WarehouseError
from clv_ml.model import model_files, registry
from clv_ml.operate import publication
from clv_ml.operate.publication import publish
from clv_ml.serve import dbt_plugin
from clv_ml.settings import Settings
from clv_ml.warehouse.locking import locked

WRITERS = (
    ("demo",),
    ("ingest", "feed.csv"),
    ("train",),
    ("score",),
    ("run",),
    ("publish",),
    ("backtest",),
    ("tune",),
    ("forget", "somebody", "--yes"),
    ("models", "promote", "v1"),
    ("models", "rollback"),
)


def _in_a_process_of_its_own(function: Callable[..., object], *arguments: Any) -> int:
    """How a process ended that did this: 0, 1 after an exception, or the negative number of a signal."""
    process = kills.processes.Process(target=_quietly, args=(function, *arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _quietly(function: Callable[..., object], *arguments: Any) -> None:
    for handle in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), handle)
    function(*arguments)


def _score_with_a_broken_function(settings: Settings) -> None:
    dbt_plugin.score = lambda *_: 1 / 0
    engine_of(settings).score()


def _score_killed_in_the_function(settings: Settings) -> None:
    dbt_plugin.score = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    engine_of(settings).score()


def _score_on_a_full_disk(settings: Settings) -> None:
    """No file may grow beyond 100 kB: the database, its log and dbt's own files all fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    engine_of(settings).score()


def _score_with_little_memory(settings: Settings) -> None:
    real = dbt_plugin.register
    dbt_plugin.register = lambda connection, known: (
        connection.execute("set memory_limit = '4MB'"),
        real(connection, known),
    )
    engine_of(settings).score()


@pytest.mark.long
def test_scoring_that_breaks_changes_nothing_that_anybody_reads(trained_copy: Settings):
    """
    An exception inside the SQL function, a kill inside it, a full disk, too little memory: each time the run
    fails, and the published tables, the scores, the events and the model are, cell by cell, as they were.
    Then one run makes all good.
    """
    publish(trained_copy)
    execute(trained_copy, "delete from customer_predictions")  # a date that was scored is not scored again
    before = kills.look(trained_copy)

    for fault in (
        _score_with_a_broken_function,
        _score_killed_in_the_function,
        _score_on_a_full_disk,
        _score_with_little_memory,
    ):
        assert _in_a_process_of_its_own(fault, trained_copy) != 0, fault.__name__
        assert kills.look(trained_copy) == before, fault.__name__

    engine_of(trained_copy).score()
    publish(trained_copy)
    assert kills.look(trained_copy) == before


def _ingest_killed(database: Path, path: Path, line: int) -> None:
    sys.settrace(kills.Lines(kills.INGESTING, line))
    with empty_warehouse(database) as connection:
        feed(connection, path)


@pytest.mark.long
def test_a_killed_ingestion_stored_all_or_nothing(tmp_path: Path):
    """
    Killed at lines spread over the modules: no row or every row, and feeding again gives every row once.
    """
    path = write_events(
        tmp_path / "feed.csv", *({"customer_id": f"c{n}"} for n in range(50)), {"amount": "?"}
    )
    with empty_warehouse(tmp_path / "whole.duckdb") as connection:
        feed(connection, path)
        nothing, whole = [[] for _ in everything(connection)], everything(connection)
    database = tmp_path / "clv.duckdb"
    for line in range(1, 500, 99):
        database.unlink(missing_ok=True)
        assert _in_a_process_of_its_own(_ingest_killed, database, path, line) == -signal.SIGKILL

        with empty_warehouse(database) as connection:
            assert everything(connection) in (nothing, whole)
            feed(connection, path)
            assert everything(connection) == whole


def _export_killed(models: Path, line: int) -> None:
    sys.settrace(kills.Lines(("model_files.py", "safe_files.py", "registry.py", "promotions.py"), line))
    write_small_model(models)
    registry.promote(models, "v1", "test")


@pytest.mark.long
def test_a_killed_export_leaves_nothing_to_mend(tmp_path: Path):
    """
    Killed at lines spread over writing and promoting a model: the version is absent, or whole and loads; the
    champion is none or it; and writing what is not there, as the next training does, gives a champion.
    """
    rng = random.Random(1)
    for number in range(8):
        models = tmp_path / str(number)
        models.mkdir()
        status = _in_a_process_of_its_own(_export_killed, models, rng.randint(20, 400))
        assert status in (0, -signal.SIGKILL)

        assert [model.fault for model in registry.list_models(models)] in ([], [None])
        if not (models / "v1").exists():
            assert registry.champion(models) is None
            write_small_model(models)
        registry.promote(models, "v1", "test")
        assert registry.load(models) is not None


def test_a_publication_that_breaks_leaves_the_old_version(tmp_path: Path):
    """
    A disk that takes no more, then a folder that may not be written: the error says so, and readers keep what
    they had.
    """
    settings = made_by_hand(tmp_path)
    folder = publish(settings).path.parent
    fill(settings, 2)

    assert _in_a_process_of_its_own(_publish_on_a_full_disk, settings) == 1

    assert _generation(folder) == 1
    publish(settings)
    assert _generation(folder) == 2


def _publish_on_a_full_disk(settings: Settings) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
    publish(settings)


def test_a_folder_that_may_not_be_written_is_named():
    """
    Neither the lock nor a version can be made; nothing changes, and with the rights back the next one
    succeeds.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = made_by_hand(folder)
        published = publish(settings).path.parent
        fill(settings, 2)
        for path in (folder, published):
            path.chmod(0o555)
        try:
            with closed_to_us(folder):
                with (
                    pytest.raises(WarehouseError, match="cannot be written: Permission denied"),
                    locked(settings),
                ):
                    pass
                with pytest.raises(PublishError, match="write permission"):
                    publish(settings)
        finally:
            for path in (folder, published):
                path.chmod(0o755)
        assert _generation(published) == 1
        with locked(settings):
            publish(settings)
        assert _generation(published) == 2


def test_a_clock_that_was_moved_back_stops_no_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A version named before the one in force takes its place all the same; a name that was there before is no
    obstacle.
    """
    settings = made_by_hand(tmp_path)
    folder = publish(settings).path.parent

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(publication, "datetime", Stopped)
    for generation in (2, 3):
        fill(settings, generation)
        publish(settings)
        assert _generation(folder) == generation


def test_a_model_of_an_older_clock_can_become_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The pointer goes by what was promoted last, not by the time that a manifest tells.
    """
    write_small_model(tmp_path, "v1")
    registry.promote(tmp_path, "v1", "test")

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(model_files, "datetime", Stopped)
    write_small_model(tmp_path, "v2")
    registry.promote(tmp_path, "v2", "test")

    loaded = registry.load(tmp_path)
    assert loaded is not None and loaded.manifest.version == "v2"
    assert registry.rollback(tmp_path).version == "v1"


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_every_command_that_writes_waits_for_nobody(
    command: tuple[str, ...], tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    While another one has locked the warehouse: exit code 3, its process number, and no file is made.
    """
    monkeypatch.chdir(project)
    settings = settings_for(tmp_path, project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(settings.models))
    lock = settings.warehouse.with_name("clv.duckdb.lock")
    if command == ("demo",):
        lock = lock.parent / "demo" / lock.name
        lock.parent.mkdir()
    with FileLock(lock):
        lock.with_name("clv.duckdb.pid").write_text("4711")
        before = sorted(tmp_path.rglob("*"))

        result = CliRunner().invoke(app, list(command))

        assert result.exit_code == 3, result.output
        assert "4711" in result.stderr
        assert sorted(tmp_path.rglob("*")) == before


def _generation(folder: Path) -> int:
    """What a reader sees, the same in every row."""
    with duckdb.connect(folder / publication.DATABASE, read_only=True) as reader:
        ((generation,),) = reader.execute("select distinct generation from customer_clv").fetchall()
        return generation
