"""
A run whose horizon, currency, rate or date is not the project's works on a copy: what others read stays.

The copy is ``one-off/`` next to the warehouse (``NAME-one-off/`` where that is not ``clv.duckdb``), with
models and a publication of its own. The next such run replaces it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from clv_ml.errors import NotBuiltError, SettingsError
from clv_ml.operate.preflight import preflight
from clv_ml.operate.scores import UNIT
from clv_ml.settings import Settings, load_settings, one_off_folder
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.locking import locked

KEPT_BY_READERS = (*UNIT, "annual_discount_rate")
"""Settings whose value the rows of ``customer_clv`` carry."""


@contextmanager
def kept_aside(settings: Settings, publishes: bool) -> Iterator[tuple[Settings, tuple[str, ...]]]:
    """
    The settings to work with, under their lock, and what to tell the user: the project's own and nothing, or
    a copy's and what makes this a one-off.

    Args:
        publishes: Whether the user has asked for what readers see to be replaced.

    Raises:
        SettingsError: On Spark, where there is no copy to work on.
        WarehouseBusyError: If another run has locked the warehouse.
        ClvError: As ``preflight`` says.
    """
    with locked(settings):
        preflight(settings)
        others = [] if publishes else differences(settings)
        if not others:
            yield settings, ()
            return
        if settings.target != "duckdb":
            raise SettingsError(
                f"{'; '.join(others)}. On Spark there is no copy to run this on. Add --publish to "
                "replace what readers see, or write the value into dbt_project.yml."
            )
        aside = _copied(settings)
    with locked(aside):
        told = (
            f"{'; '.join(others)}. So this ran on a copy in {aside.warehouse.parent}: nothing that others "
            "read was changed, and no file was kept. Add --publish to replace what they read, or write the "
            "value into dbt_project.yml."
        )
        yield aside, (told,)


def differences(settings: Settings) -> list[str]:
    """
    In what this run would change the meaning of what readers have, each as a sentence: a value that is
    neither the project's nor theirs, or a date before theirs. None where there is nothing yet.
    """
    published = _published(settings)
    if published is None:
        return []
    own = load_settings(project=settings.project).vars
    found = [
        f"{name} is {getattr(settings.vars, name)} here, {getattr(own, name)} in dbt_project.yml"
        for name in KEPT_BY_READERS
        if getattr(settings.vars, name) not in (getattr(own, name), published[name])
    ]
    day = settings.vars.as_of_date
    newest = published["as_of_date"]
    if day and newest and day != own.as_of_date and day < newest:
        found.append(f"as_of_date is {day} here, customers were scored as of {newest} already")
    return found


def _published(settings: Settings) -> dict[str, Any] | None:
    """
    What the rows of ``customer_clv`` say of themselves; None where there are none. On Spark, where nobody
    waits for a query to learn what may be run, and in rows made before 0.2.0, the values are None.
    """
    unknown: dict[str, Any] = dict.fromkeys(("as_of_date", *KEPT_BY_READERS))
    if settings.target != "duckdb":
        return unknown
    try:
        with connect(settings) as connection:
            rows = connection.sql("select * from customer_clv limit 1").to_arrow_table().to_pylist()
    except (NotBuiltError, duckdb.CatalogException):
        return None
    return {**unknown, **rows[0]} if rows else None


def _copied(settings: Settings) -> Settings:
    folder = one_off_folder(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy = settings.model_copy(
        update={"warehouse": folder / settings.warehouse.name, "models": folder / "models"}
    )
    for path in settings.warehouse.parent.glob(f"{settings.warehouse.name}*"):
        if path.name in (settings.warehouse.name, f"{settings.warehouse.name}.wal"):
            shutil.copy2(path, folder / path.name)
    if settings.models.exists():
        shutil.copytree(settings.models, copy.models, symlinks=True)
    return copy
