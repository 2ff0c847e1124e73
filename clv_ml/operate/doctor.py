"""
`clv doctor`: the state of installation, warehouse, model, data and monitoring, as a list of findings. Nothing
absent is an error: the finding says what to run. While a run has locked the warehouse, what is monitored is
read from the published copy.
"""

import platform
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import duckdb

from clv_ml.errors import ClvError, NotBuiltError, WarehouseBusyError, WarehouseError
from clv_ml.model import model_in_use, registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.model_in_use import chosen_version, pinned_version
from clv_ml.operate.findings import MONITORED, Finding, Look
from clv_ml.operate.publication import CURRENT, DATABASE, RECORD
from clv_ml.settings import Settings, published_folder
from clv_ml.warehouse import locking
from clv_ml.warehouse.connection import connect, only_value
from clv_ml.wording import count_of

LIBRARIES = ("clv-ml", "duckdb", "dbt-core", "dbt-duckdb", "lightgbm", "onnxruntime")
PUBLISHED = {"chosen_schema": "main"}
"""What a published copy has in place of the warehouse's schema."""
FEWEST_COPIES, ENOUGH_COPIES = 1.2, 4.0
"""Free disk space in sizes of the warehouse: a publication and an erasure each write a copy."""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Every finding, in a fixed order. Raises nothing that a look at a broken installation could raise."""
    looks: dict[str, Callable[[Settings], Finding]] = {
        "versions": _versions,
        "lock": _lock,
        "warehouse": _warehouse,
        "model": _model,
        **{name: partial(_read, name, look) for name, look in MONITORED.items()},
        "publication": _publication,
        "disk": disk_finding,
    }
    return tuple(_guarded(name, look, settings) for name, look in looks.items())


def _guarded(name: str, look: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return look(settings)
    except (ClvError, duckdb.Error, OSError, ValueError) as error:
        return Finding(name, "fail", _one_line(error))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _versions(settings: Settings) -> Finding:
    found = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    return Finding("versions", "ok", ", ".join(f"{name} {number}" for name, number in found.items()), found)


def _lock(settings: Settings) -> Finding:
    process = locking.locking_process(settings)
    text = f"a run has locked the warehouse: process {process}" if process else "no run is under way"
    details = {"process": process}
    if process or _is_open_elsewhere(settings) or not locking.was_killed(settings):
        return Finding("lock", "ok", text, details)
    left = "the last one was killed before it was done, so tables may be of two dates"
    remedy = "readers have what was published before; start it again (clv run)"
    return Finding("lock", "warn", f"{text}; {left}: {remedy}", details)


def _is_open_elsewhere(settings: Settings) -> bool:
    try:
        with connect(settings):
            return False
    except WarehouseBusyError:
        return True
    except WarehouseError:  # none, or none that opens: the finding on the warehouse says so
        return False


def _warehouse(settings: Settings) -> Finding:
    details = {"path": str(settings.warehouse)}
    try:
        with connect(settings) as connection:
            tables = only_value(connection, "select count(*) from duckdb_tables()")
    except NotBuiltError:
        text = f"none at {settings.warehouse}; run clv ingest, or clv run FILE"
        return Finding("warehouse", "absent", text, details)
    except WarehouseBusyError as error:
        return Finding("warehouse", "warn", f"in use: {_one_line(error)}", details)
    size = settings.warehouse.stat().st_size
    text = f"{settings.warehouse}, {tables} tables, {size / 1e6:,.0f} MB"
    return Finding("warehouse", "ok", text, {**details, "tables": tables, "bytes": size})


def _model(settings: Settings) -> Finding:
    pinned = pinned_version(settings)
    if not settings.vars.use_ml_clv:
        text = f"none scores: use_ml_clv is false; else {chosen_version(settings) or 'none'} would"
        return Finding("model", "ok", text, {"version": None, "is_pinned": pinned is not None})
    model = registry.load(settings.models, pinned)
    if model is None:
        return Finding("model", "absent", f"none in {settings.models}; run clv train, or clv run", {})
    manifest = model.manifest
    details = {
        "version": manifest.version,
        "is_pinned": pinned is not None,
        "created_at": manifest.created_at,
        "manifest_sha256": model.manifest_sha256,
        "caution": manifest.parameters.get("caution"),
    }
    age = (datetime.now(UTC) - datetime.fromisoformat(manifest.created_at)).days
    pin = " (pinned)" if pinned else ""
    text = f"{manifest.version}{pin}, {count_of(age, 'day')} old, every file as it was published"
    warnings = []
    if fault := _unfit(settings):
        remedy = "pin another with model_version" if pinned else "run clv run, or clv train"
        warnings.append(f"{fault}: {remedy}{_or_ask_for(manifest, settings)}")
    if details["caution"]:
        warnings.append(f"caution: {details['caution']}")
    return Finding("model", "warn" if warnings else "ok", "; ".join([text, *warnings]), details)


def _or_ask_for(manifest: Manifest, settings: Settings) -> str:
    """Runs may name a horizon of their own, which the doctor must then be given."""
    made_for = manifest.horizon_days
    return "" if made_for == settings.vars.horizon_days else f"; or clv doctor --horizon-days {made_for}"


def _unfit(settings: Settings) -> str | None:
    try:
        return model_in_use.why_it_cannot_score(settings) or model_in_use.why_training_is_due(settings)
    except (ClvError, duckdb.Error):
        return None  # nothing to compare with; the finding on the warehouse says why


def _read(name: str, look: Look, settings: Settings) -> Finding:
    """What a look at the tables finds; a table that is not there yet is no fault."""
    try:
        with connect(_readable(settings)) as connection:
            return look(settings, connection)
    except WarehouseBusyError:
        return Finding(name, "warn", "cannot be read while another process has the warehouse")
    except WarehouseError:
        return Finding(name, "absent", "not known yet; run clv run")


def _readable(settings: Settings) -> Settings:
    """The same place, or that of the published copy while another process has the warehouse."""
    copy = published_folder(settings) / DATABASE
    try:
        with connect(settings):
            return settings
    except WarehouseBusyError:
        return settings.model_copy(update=PUBLISHED | {"warehouse": copy}) if copy.exists() else settings


def _publication(settings: Settings) -> Finding:
    folder = published_folder(settings)
    if not (folder / CURRENT).is_symlink():
        return Finding("publication", "absent", "nothing is published; run clv publish, or clv run")
    with connect(settings.model_copy(update=PUBLISHED | {"warehouse": folder / DATABASE})) as connection:
        name = only_value(connection, f"select version from {RECORD}")
    made = datetime.strptime(name, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    hours = (datetime.now(UTC) - made).total_seconds() / 3600
    details = {"version": name, "age_hours": round(hours, 2), "path": str(folder / DATABASE)}
    text, days = f"{name}, {hours:,.1f} hours old", settings.vars.freshness_days
    if hours > 24 * days:
        return Finding("publication", "warn", f"{text}, more than {days} days: run clv run", details)
    return Finding("publication", "ok", text, details)


def disk_finding(settings: Settings) -> Finding:
    """Whether there is room for copies of the warehouse: a publication, a one-off run, an erasure."""
    folder = next(path for path in settings.warehouse.absolute().parents if path.exists())
    free = shutil.disk_usage(folder).free
    size = settings.warehouse.stat().st_size if settings.warehouse.exists() else 0
    details = {"free_bytes": free, "warehouse_bytes": size}
    text = f"{free / 1e9:,.1f} GB free at {folder}"
    if free < FEWEST_COPIES * size:
        return Finding(
            "disk", "fail", f"{text}: too little for one copy of the warehouse; make room", details
        )
    return Finding("disk", "warn" if free < ENOUGH_COPIES * size else "ok", text, details)
