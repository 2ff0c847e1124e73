"""
Every phase of a run, killed with -9, and whether anything is lost, doubled or half-written after it.

A phase is killed at a random moment of its own duration, or at a random line of the modules in which the
files that readers see are swapped: those steps take microseconds, and a moment would never hit them.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb
from shops import copy_project, settings_for

from clv_ml import pipeline
from clv_ml.engines import engine_of
from clv_ml.learn import training
from clv_ml.model import registry
from clv_ml.operate import publication
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.locking import locked
from clv_ml.warehouse.safe_files import sha256

# each process starts from one that has imported the package and done nothing; that one looks for no module of
# the tests
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["clv_ml.pipeline"])

IN_A_ROW = 4
"""Kills on top of each other before the phase is run to its end."""
SWAPPING_FILES = ("model_files.py", "safe_files.py", "registry.py", "promotions.py", "registry_tables.py")
INGESTING = ("ingestion.py", "summary.py", "feeds.py", "losses.py", "scratch.py")
"""The modules that write while a feed is ingested; a small feed runs through some 540 lines of them."""


@dataclass(frozen=True)
class Phase:
    """
    A step by name, what it runs, its kills, and the modules at whose lines these come, none for random
    moments.
    """

    name: str
    verb: Callable[[Settings, Path], object]
    kills: int
    lines_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """
    Of a few kills of one phase on top of each other: how many, those after which a check failed, whether the
    next run made all good, and what was wrong.
    """

    phase: str
    kills: int
    bad_kills: int
    recovered: bool
    faults: tuple[str, ...]


def _ingest(settings: Settings, feed: Path) -> None:
    engine_of(settings).ingest_files("simulator", data_dir=feed)


def _check_and_publish(settings: Settings, feed: Path) -> None:
    engine_of(settings).check_marts()
    publish(settings)


def _run(settings: Settings, feed: Path) -> None:
    pipeline.run(settings, "simulator", data_dir=feed)


PHASES = (
    Phase("ingest", _ingest, 24),
    Phase("build", lambda settings, feed: engine_of(settings).build_features(), 20),
    Phase("train", lambda settings, feed: training.train(settings), 24),
    Phase("export", lambda settings, feed: training.train(settings), 28, SWAPPING_FILES),
    Phase("score", lambda settings, feed: engine_of(settings).score(), 20),
    Phase("check, publish", _check_and_publish, 12),
    Phase("publish", lambda settings, feed: publish(settings), 80, ("publication.py", "safe_files.py")),
    Phase("run", _run, 12),
)
CHAIN = ("ingest", "build", "train", "score", "check, publish")
"""The phases of a run, in order."""


class Bench:
    """
    A small shop with yesterday's run behind it and today's feed before it, and a copy of it before each phase
    of today's run.

    Each phase was run once undisturbed: what it found and what it left is all that may be seen after a kill.
    """

    def __init__(self, folder: Path, project: Path, shop: Shop) -> None:
        self.folder = folder
        self.project = copy_project(project, folder / "project")
        self.feed, yesterday = folder / "feed", folder / "yesterday"
        write_simulation(shop, self.feed)
        _without_last_days(self.feed, yesterday)
        self.at_work = settings_for(folder / "work", self.project)
        self._do("run", yesterday)
        self.before: dict[str, Settings] = {}
        self.seen: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self.seconds: dict[str, float] = {}
        for name in ("run", *CHAIN):
            if name == "ingest":
                self.restore("run")
            self._undisturbed(name)
        for name, twin in (("export", "train"), ("publish", "check, publish")):
            self.before[name], self.seconds[name] = self.before[twin], self.seconds[twin]
            self.seen[name] = self.seen[twin]
        self.end = self.seen["check, publish"][1]

    def restore(self, name: str) -> None:
        """The state before a phase."""
        shutil.rmtree(self.at_work.warehouse.parent, ignore_errors=True)
        _copied_whole(self.before[name], self.at_work.warehouse.parent)

    def start(self, phase: Phase, line: int = 0, feed: Path | None = None) -> Any:
        """A process that runs the phase; it has begun."""
        begun = processes.Event()
        arguments = (phase.name, self.at_work, feed or self.feed, line, begun, str(self.folder / "log"))
        process = processes.Process(target=_in_child, args=arguments)
        process.start()
        while not begun.wait(1) and process.is_alive():
            pass
        return process

    def _do(self, name: str, feed: Path | None = None) -> float:
        process = self.start(_phase(name), feed=feed)
        began = time.monotonic()
        process.join()
        assert process.exitcode == 0, (self.folder / "log").read_text()[-3000:]
        return time.monotonic() - began

    def _undisturbed(self, name: str) -> None:
        kept = self.folder / "before" / name.replace(", ", "_")
        self.before[name] = _copied_whole(self.at_work, kept)
        before = look(self.at_work)
        self.seconds[name] = self._do(name)
        self.seen[name] = (before, look(self.at_work))


def outcomes(bench: Bench, share: float = 1.0) -> Iterator[Outcome]:
    """
    Kills each phase that share of its times: a few in a row, then runs it to its end, and on to the next
    phase; round after round until every phase had its kills. In the last round of a phase the whole run goes
    on to its end.
    """
    left = {phase.name: max(1, round(phase.kills * share)) for phase in PHASES}
    lines: dict[str, int] = {}
    rng = random.Random(0)
    while any(left.values()):
        for phase in PHASES:
            if not left[phase.name]:
                continue
            if phase.lines_of and phase.name not in lines:
                lines[phase.name] = _count_lines(bench, phase)
            outcome = _outcome(bench, phase, left[phase.name], rng, lines.get(phase.name, 0))
            left[phase.name] -= outcome.kills
            yield outcome


def _outcome(bench: Bench, phase: Phase, left: int, rng: random.Random, lines: int) -> Outcome:
    done = bad = 0
    faults: list[str] = []
    bench.restore(phase.name)
    for _ in range(min(IN_A_ROW, left)):
        if not _killed(bench, phase, rng, lines):
            break
        done += 1
        wrong = after_kill(bench, phase)
        bad += bool(wrong)
        faults += wrong
    failed = _recovered(bench, phase, to_the_end=done == left)
    return Outcome(phase.name, done, bad, not failed, (*faults, *failed))


def _killed(bench: Bench, phase: Phase, rng: random.Random, lines: int) -> bool:
    """Whether the process was killed, and not done before."""
    if lines:
        process = bench.start(phase, line=rng.randint(1, lines))
    else:
        moment = rng.uniform(0, bench.seconds[phase.name])
        process = bench.start(phase)
        process.join(moment)
        process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def after_kill(bench: Bench, phase: Phase) -> list[str]:
    """
    What is wrong right after a kill: nothing, if the lock is free, the warehouse and the published version
    open, and each thing that readers see is, cell by cell, as it was before the phase or as the undisturbed
    phase left it.
    """
    try:
        with locked(bench.at_work):
            found = look(bench.at_work, features=False)
    except Exception:
        return [f"{phase.name}: {traceback.format_exc()}"]
    before, after = bench.seen[phase.name]
    return [
        f"{phase.name}: {name} is neither the old nor the new"
        for name, value in found.items()
        if value not in (before[name], after[name])
    ]


def _recovered(bench: Bench, phase: Phase, to_the_end: bool) -> list[str]:
    """
    What is wrong after the phase was run again, and the phases after it: nothing, if all is as if nobody had
    killed.
    """
    expected, rest = bench.seen[phase.name][1], [phase.name]
    if to_the_end and phase.name != "run":
        place = CHAIN.index({"export": "train", "publish": "check, publish"}.get(phase.name, phase.name))
        expected, rest = bench.end, [phase.name, *CHAIN[place + 1 :]]
    for name in rest:
        process = bench.start(_phase(name))
        process.join()
        if process.exitcode:
            return [f"{phase.name}: {name} failed after a kill: {(bench.folder / 'log').read_text()[-2000:]}"]
    found = look(bench.at_work)
    return [f"{phase.name}: {name} differs after recovery" for name in found if found[name] != expected[name]]


def look(settings: Settings, features: bool = True) -> dict[str, str]:
    """
    What there is to see, each as a digest over all cells: the published version as database and as Parquet,
    the scores and the raw tables in the warehouse, the champion, whether every model version is whole; and
    every feature row.
    """
    found = {"models": _models(settings), "published": "none", "published parquet": "none"}
    current = publication.published_folder(settings) / publication.CURRENT
    if current.exists():
        assert (current.parent / publication.DATABASE).samefile(current / publication.DATABASE)
        found |= _published(current.resolve(), publication.published_tables(settings))
    with connect(settings) as connection:
        tables = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        found["scores"] = _digest(connection, "customer_clv") if "customer_clv" in tables else "none"
        for name, columns in (
            ("events", "*"),
            ("id_history", "*"),
            ("fx_rates", "*"),
            ("quarantine", "source, line_number, reason, raw_text"),
        ):
            found[name] = _digest(connection, f"(select {columns} from raw.{name})")
        doubled = "select count(*) - count(distinct event_id) from raw.events"
        assert connection.execute(doubled).fetchall() == [(0,)], "an event is there twice"
        if features:
            for name in ("customer_features", "customer_anchors"):
                found[name] = _digest(connection, name) if name in tables else "none"
    return found


def _models(settings: Settings) -> str:
    loaded = registry.load(settings.models)
    faults = [model.fault for model in registry.list_models(settings.models) if model.fault]
    assert not faults, faults
    return loaded.manifest.version if loaded else "none"


def _published(version: Path, tables: Sequence[str]) -> dict[str, str]:
    """Every mart of a version, whose record must be one."""
    names = [name for name in tables if name != "model_registry"]
    with duckdb.connect(version / publication.DATABASE, read_only=True) as reader:
        records = {
            reader.execute(f"select version from {source}").fetchall()[0][0]
            for source in (publication.RECORD, f"'{version}/{publication.RECORD}.parquet'")
        }
        assert len(records) == 1, "database and Parquet are of two versions"
        return {
            "published": sha256(" ".join(_digest(reader, f'"{name}"') for name in names).encode()),
            "published parquet": sha256(
                " ".join(_digest(reader, f"'{version}/{name}.parquet'") for name in names).encode()
            ),
        }


def _digest(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    """
    Of all cells in any order of rows, without the clock's own columns (newest_at: when a row was refused).
    """
    columns = [column[0] for column in connection.execute(f"select * from {source} limit 0").description]
    kept = ", ".join(f'"{name}"' for name in columns if name not in ("scored_at", "built_at", "newest_at"))
    row = f"select cast(t as varchar) as line from (select {kept} from {source}) as t"
    ((digest, rows),) = connection.execute(
        f"select md5(coalesce(string_agg(line, chr(10) order by line), '')), count(*) from ({row})"
    ).fetchall()
    return f"{digest} of {rows} rows"


def _phase(name: str) -> Phase:
    return next(phase for phase in PHASES if phase.name == name)


def _in_child(name: str, settings: Settings, feed: Path, line: int, begun: Any, log: str) -> None:
    """
    Runs the phase; its words go to a file. At that line of its modules it ends as if killed from outside.
    """
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ["DBT_WRITE_JSON"] = "false"
    phase = _phase(name)
    lines = Lines(phase.lines_of, line)
    begun.set()
    if phase.lines_of:
        sys.settrace(lines)
    phase.verb(settings, feed)
    print(lines.seen, flush=True)


class Lines:
    """
    A trace function that counts the lines that are run of some modules, and kills its own process at one of
    them.
    """

    def __init__(self, modules: tuple[str, ...], last: int) -> None:
        self.modules, self.last, self.seen = modules, last, 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        path = Path(frame.f_code.co_filename)
        if "clv_ml" not in path.parts or path.name not in self.modules:
            return None
        if event == "line":
            self.seen += 1
            if self.seen == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def _count_lines(bench: Bench, phase: Phase) -> int:
    """Lines of its modules that the phase runs through."""
    bench.restore(phase.name)
    process = bench.start(phase)
    process.join()
    return int((bench.folder / "log").read_text().split()[-1])


def _without_last_days(feed: Path, target: Path, days: int = 14) -> None:
    """The same feed as it was some days before its end."""
    target.mkdir()
    for name in ("id_history", "fx_rates"):
        shutil.copy2(feed / f"{name}.parquet", target)
    source = f"'{feed / 'events.parquet'}'"
    duckdb.sql(
        f"copy (select * from {source} where try_cast(occurred_at as timestamptz) < "
        f"(select max(try_cast(occurred_at as timestamptz)) from {source} "
        f"where try_cast(occurred_at as timestamptz) < timestamptz '2030-01-01') - interval '{days} days') "
        f"to '{target / 'events.parquet'}' (format parquet)"
    )


def _copied_whole(settings: Settings, folder: Path) -> Settings:
    """Warehouse, models and what was published, with its links."""
    source = settings.warehouse.parent
    shutil.copytree(source, folder, symlinks=True)
    return settings.model_copy(update={"warehouse": folder / "clv.duckdb", "models": folder / "models"})
