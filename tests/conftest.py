"""What the end-to-end tests share: one copy of the project, and shops that are built once."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager import EventManager
from filelock import FileLock
from postgres_server import server
from shops import ROOT as PROJECT_ROOT
from shops import Event, add_events, copied, copy_project, edit, settings_for

from clv_ml.engines import engine_of
from clv_ml.learn.training import train
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.dbt_runner import create_tables

SIMULATED = Shop(customers=250, seed=3, start=date(2024, 1, 1), end=date(2024, 10, 16))

OpenShop = Callable[..., Settings]
BuildOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session", autouse=True)
def own_environment() -> Iterator[None]:
    """Leaves the environment, which running dbt changes, as it was."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH", "CLV_SCHEMA"):
            patch.delenv(name, raising=False)
        patch.setenv("CLV_WAREHOUSE", "warehouse/clv.duckdb")
        patch.setenv("CLV_MODELS", "models")
        # a fifth of dbt's time is spent on events that nobody here reads
        patch.setenv("DBT_LOG_LEVEL_FILE", "none")
        patch.setattr(EventManager, "fire_event", _unless_for_debugging(EventManager.fire_event))
        # dbt parses all files anew for another path of the warehouse, which the parse does not hold
        patch.setattr(DuckDBCredentials, "_connection_keys", lambda self: ("database", "schema"))
        yield


def _unless_for_debugging(fire: Callable[..., None]) -> Callable[..., None]:
    def fired(
        manager: EventManager, event: BaseEvent, level: EventLevel | None = None, *rest: Any, **more: Any
    ) -> None:
        if (level or event.level_tag()) != EventLevel.DEBUG:
            fire(manager, event, level, *rest, **more)

    return fired


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The project's dbt files, copied once: nothing that happens to the originals disturbs a run. A shop is
    small below a hundred customers there, so that shops which are quickly built have trees.
    """
    copy = copy_project(PROJECT_ROOT, tmp_path_factory.mktemp("copy") / "project")
    edit(copy, "dbt_project.yml", "\nvars:\n", "\nvars:\n  small_shop_customers: 100\n")
    return copy


@pytest.fixture
def own_project(project: Path, tmp_path: Path) -> Path:
    """A copy of the project that the test may edit."""
    return copy_project(project, tmp_path / "project")


@pytest.fixture(scope="session")
def empty_shop(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Settings:
    """A warehouse with the raw tables and nothing in them. Copy it, do not change it."""
    settings = settings_for(tmp_path_factory.mktemp("empty"), project)
    create_tables(settings)
    return settings


@pytest.fixture(scope="session")
def bench_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder in which tests, one after the other, have their shop: hundreds would fill the disk."""
    return tmp_path_factory.mktemp("bench") / "shop"


@pytest.fixture
def bench(bench_folder: Path) -> Path:
    """That folder, cleared."""
    if bench_folder.exists():
        shutil.rmtree(bench_folder)
    return bench_folder


@pytest.fixture
def open_shop(empty_shop: Settings, tmp_path: Path, bench: Path) -> OpenShop:
    """
    Makes a warehouse with these events; keywords are dbt vars, ``name`` tells several shops of a test apart.
    """

    def make(events: Iterable[Event] = (), name: str = "shop", **values: Any) -> Settings:
        folder = bench if name == "shop" else tmp_path / name
        copied(empty_shop, folder)
        settings = settings_for(folder, empty_shop.project, **values)
        events = list(events)
        if events:
            add_events(settings, events)
        return settings

    return make


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> BuildOnce:
    """
    Makes a folder by its name and a builder that fills it: the first process that asks builds it, all others
    take a copy.
    """
    own = tmp_path_factory.getbasetemp()
    everybodys = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, build: Callable[[Path], object]) -> Path:
        first, copy = everybodys / "built_once" / name, own / name
        first.parent.mkdir(exist_ok=True)
        with FileLock(f"{first}.lock"):
            if not first.exists():
                build(copy)
                shutil.copytree(copy, first)
                return copy
        shutil.copytree(first, copy)
        return copy

    return made


@pytest.fixture(scope="session")
def simulated_files(built_once: BuildOnce) -> Path:
    """The feed of a small simulated shop with refunds, currencies, merges, late records and dirt."""
    return built_once("feed", lambda folder: write_simulation(SIMULATED, folder))


@pytest.fixture(scope="session")
def simulated(empty_shop: Settings, built_once: BuildOnce, simulated_files: Path) -> Settings:
    """The simulated shop, ingested and with its features built; no model. Copy it, do not change it."""

    def build(folder: Path) -> None:
        engine = engine_of(copied(empty_shop, folder))
        engine.ingest_files("simulator", data_dir=simulated_files)
        engine.build_features()

    return settings_for(built_once("simulated", build), empty_shop.project)


@pytest.fixture(scope="session")
def trained(simulated: Settings, built_once: BuildOnce) -> Settings:
    """The simulated shop with a champion, scored. Copy it, do not change it."""

    def build(folder: Path) -> None:
        settings = copied(simulated, folder)
        train(settings)
        engine_of(settings).score()

    return settings_for(built_once("trained", build), simulated.project)


@pytest.fixture
def simulated_copy(simulated: Settings, bench: Path) -> Settings:
    """The simulated shop, for the test alone."""
    return copied(simulated, bench)


@pytest.fixture
def trained_copy(trained: Settings, bench: Path) -> Settings:
    """The trained shop, for the test alone."""
    return copied(trained, bench)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres server, started for these tests."""
    with server() as address:
        yield address


@pytest.fixture
def database(postgres: str) -> str:
    """The address of a database of the test's own, empty."""
    import psycopg  # the environment of Spark has none

    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[tuple]]:
    """Records the arguments and the result of every call of a function of a module."""

    def watch(module: Any, name: str) -> list[tuple]:
        calls: list[tuple] = []
        original = getattr(module, name)

        def recorded(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            calls.append((arguments, result))
            return result

        monkeypatch.setattr(module, name, recorded)
        return calls

    return watch
