"""
The same input once more, in other circumstances: what differs from the first time, which must be nothing.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shops import (
    FEATURES_ONLY,
    all_contents,
    build,
    contents,
    copied,
    copy_project,
    edit,
    execute,
    one,
    with_project,
)

from clv_ml.engines import engine_of
from clv_ml.errors import BuildError
from clv_ml.learn.training import train
from clv_ml.settings import Settings
from clv_ml.warehouse.safe_files import sha256

SCORES = (
    "(select customer_id, clv_predicted, clv_typical, clv_low, clv_high, churn_probability, "
    "clv_top_features, driver_base, driver_rest, clv_estimate from customer_clv)"
)
SCORED = ("customer_predictions", "customer_drivers")
ORDERS = {"as fed": "event_id", "shuffled": "random()", "by hash": "md5(event_id)"}


@dataclass(frozen=True)
class Made:
    """What came out: features by table, the bytes of the model's graph and boosters by file, the scores."""

    features: dict[str, list[str]]
    model: dict[str, str]
    scores: list[str]


def made(settings: Settings) -> Made:
    """What stands in the warehouse and the model folder now."""
    tables = all_contents(settings)
    files = sorted(path for path in settings.models.rglob("*") if path.suffix in (".onnx", ".txt"))
    return Made(
        features={name: rows for name, rows in tables.items() if name not in SCORED},
        model={str(path.relative_to(settings.models)): sha256(path.read_bytes()) for path in files},
        scores=contents(settings, SCORES),
    )


def differing(
    trained: Settings, folder: Path, threads: tuple[int, ...] = (1, 2, 8)
) -> Iterator[tuple[str, list[str]]]:
    """
    Each circumstance and the parts that differ: threads and orders of rows, again, after a failure, bit by
    bit.
    """
    first = made(trained)
    for count in threads:
        for name, order in ORDERS.items():
            yield f"{count} threads, {name}", _anew(trained, folder, first, count, order)
    yield "run again", _again(trained, folder, first)
    yield "retried after a failure", _retried(trained, folder, first)
    yield "day by day", _day_by_day(trained, folder)


def _parts(first: Made, second: Made) -> list[str]:
    return [name for name in ("features", "model", "scores") if getattr(first, name) != getattr(second, name)]


def _fresh(trained: Settings, folder: Path, threads: int = 2) -> Settings:
    """A copy of the shop, under a copy of the project in which the database has so many threads."""
    shutil.rmtree(folder, ignore_errors=True)
    project = copy_project(trained.project, folder / "project")
    edit(project, "profiles.yml", "TimeZone: UTC", f"TimeZone: UTC\n        threads: {threads}")
    return with_project(copied(trained, folder / "shop"), project)


def _anew(trained: Settings, folder: Path, first: Made, threads: int, order: str) -> list[str]:
    """Everything from the raw tables, their rows in another order; the model is fitted and written anew."""
    settings = _fresh(trained, folder, threads)
    execute(
        settings,
        *(
            f"create or replace table raw.{name} as from raw.{name} "
            f"order by {order if name == 'events' else 'all desc'}"
            for name in ("events", "id_history", "fx_rates")
        ),
        *(f"drop table {name}" for name in SCORED),
    )
    shutil.rmtree(settings.models)
    build(settings, "--full-refresh", "--exclude", "customer_predictions+", "customer_drivers+")
    train(settings)
    engine_of(settings).score()
    return _parts(first, made(settings))


def _again(trained: Settings, folder: Path, first: Made) -> list[str]:
    settings = _fresh(trained, folder)
    for _ in range(2):
        engine_of(settings).build_features()
        train(settings)
        engine_of(settings).score()
    return _parts(first, made(settings))


def _retried(trained: Settings, folder: Path, first: Made) -> list[str]:
    """A model whose SQL fails halfway; then the same, mended."""
    settings = _fresh(trained, folder)
    broken = copy_project(settings.project, folder / "broken")
    edit(broken, "models_sql/features/customer_features.sql", "select", "select error('broken') as broken,")
    try:
        build(
            with_project(settings, broken),
            "--full-refresh",
            "--exclude",
            "customer_predictions+",
            "customer_drivers+",
        )
        return ["it did not fail"]
    except BuildError:
        engine_of(settings).build_features()
        train(settings)
        engine_of(settings).score()
        return _parts(first, made(settings))


def _day_by_day(trained: Settings, folder: Path) -> list[str]:
    """Events arrive over four builds; the history must equal what a full refresh makes of them at the end."""
    settings = _fresh(trained, folder)
    execute(settings, "create table arriving as from raw.events", "delete from raw.events")
    newest = one(settings, "select max(recorded_at) from arriving")
    for days in (45, 20, 3, 0):
        until = newest - timedelta(days=days)
        execute(
            settings,
            f"insert into raw.events from arriving where recorded_at <= timestamp '{until}' "
            "and event_id not in (select event_id from raw.events)",
        )
        build(settings, *FEATURES_ONLY)
    kept = "as_of_date in (select as_of_date from as_of_dates where is_grid or is_scoring_date)"
    execute(settings, "drop table arriving")
    day_by_day = all_contents(settings, kept)
    build(settings, "--full-refresh", *FEATURES_ONLY)
    refreshed = all_contents(settings, kept)
    built = [name for name in day_by_day if name.startswith("customer_") and name not in SCORED]
    return [name for name in built if day_by_day[name] != refreshed[name]]
