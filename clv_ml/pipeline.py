"""
The verbs of ``clv`` as functions: each does one step on the warehouse of the settings and returns what it
did.

Those that ``run`` strings together stand in ``clv_ml.spark.pipeline`` too, under the same names; ``verbs``
tells which.
"""

import importlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import ModuleType

import duckdb

from clv_ml.errors import (
    BuildError,
    HistoryError,
    InputError,
    SettingsError,
    TrainingError,
    WarehouseError,
)
from clv_ml.ingest.ingestion import IngestSummary, ingest, ingest_folder
from clv_ml.learn.fitted_parameters import fit_missing_dates
from clv_ml.learn.fitting import ModelType
from clv_ml.learn.training import TrainingResult
from clv_ml.learn.training import train as train
from clv_ml.model import registry
from clv_ml.model.model_in_use import champion_manifest
from clv_ml.model.model_in_use import training_is_due as training_is_due
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.operate.erasure import Erasure, forget
from clv_ml.operate.publication import Publication, require_marts
from clv_ml.operate.publication import publish as publish
from clv_ml.operate.retention import Removed
from clv_ml.operate.retention import feature_dates as feature_dates
from clv_ml.operate.retention import remove_old as remove_old
from clv_ml.operate.value_changes import ValueChanges, model_changes, unscored_versions
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.connection import connect, harden
from clv_ml.warehouse.dbt_runner import run_dbt
from clv_ml.warehouse.locking import locked

SCORING = ("calibration+", "feature_bins+", "customer_predictions+", "customer_drivers+")
"""What asks for the model, as dbt selects it."""
SCORING_SUMMARY = (
    "select clv_method, count(*), sum(clv_estimate), max(as_of_date), max(clv_model_version) "
    "from {table} group by clv_method order by count(*) desc, clv_method"
)
"""Per method: customers, their estimates' sum, the date, the model version."""

Step = Callable[[str], None]
"""Told the name of each step as it begins."""


@dataclass(frozen=True)
class ScoringResult:
    """
    What stands in ``customer_clv`` now.

    ``methods`` counts customers by ``clv_method``; ``estimate_total`` is the sum of ``clv_estimate`` in the
    reporting currency; ``model_version`` is None where no model scored. ``caution`` says why the model in use
    deserves little trust, None where nothing speaks against it.
    """

    as_of_date: date | None
    customers: int
    methods: dict[str, int]
    estimate_total: float
    model_version: str | None
    caution: str | None = None


@dataclass(frozen=True)
class RunResult:
    """
    What ``run`` did: files ingested, the training (None where none was due), the scores, what readers see
    now, the seconds that each step took, what to know of them, and what was removed for its age.
    """

    ingested: tuple[IngestSummary, ...]
    training: TrainingResult | None
    scoring: ScoringResult
    publication: Publication
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    removed: Removed = field(default_factory=Removed)


def no_steps(step: str) -> None:
    """Tells nobody."""


def verbs(settings: Settings) -> ModuleType:
    """The module whose verbs do the work on the target: this one, or Spark's."""
    return sys.modules[__name__] if settings.target == "duckdb" else spark_module("pipeline")


def spark_module(name: str) -> ModuleType:
    """
    A module of ``clv_ml.spark``, imported only where Spark is asked for, since it is an extra.

    Raises:
        SettingsError: If the extra is not installed.
    """
    try:
        return importlib.import_module(f"clv_ml.spark.{name}")
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Spark's Python packages are absent ({error}). Install them: pip install -e '.[spark]'."
        ) from error


def prepare(settings: Settings) -> None:
    """Creates the tables that are not dbt's own, where absent."""
    for macro in ("create_input_tables", "create_model_tables"):
        run_dbt(settings, ["run-operation", macro])


def ingest_files(
    settings: Settings, preset: str, path: Path | None = None, data_dir: Path | None = None
) -> tuple[IngestSummary, ...]:
    """
    Feeds one file, or a folder's ``fx_rates*``, ``id_history*``, ``attributes*`` and ``events*`` files.

    Raises:
        InputError: If neither or both are given, or a file cannot be used. Nothing was written then.
    """
    if (path is None) == (data_dir is None):
        raise InputError(
            "Name one input: a file, or --data-dir with a folder of "
            "events*, id_history*, fx_rates*, attributes*."
        )
    prepare(settings)
    currency, schema = settings.vars.reporting_currency, settings.vars.raw_schema
    with connect(settings, read_only=False) as connection:
        # the link under which a feed is read lies in the temporary folder
        harden(connection, [data_dir or (path or Path()).resolve().parent, Path(tempfile.gettempdir())])
        if data_dir is not None:
            return tuple(
                ingest_folder(connection, data_dir, preset, reporting_currency=currency, raw_schema=schema)
            )
        assert path is not None
        return (ingest(connection, preset, path, reporting_currency=currency, raw_schema=schema),)


def build_features(settings: Settings) -> None:
    """
    Everything up to the training rows; needs no model. The parameters of the probabilistic baselines are
    fitted between two selections of dbt, for the grid dates that have none yet.
    """
    run_dbt(settings, ["run", "--exclude", "fitted_dates+", *SCORING])
    with connect(settings, read_only=False) as connection:
        fit_missing_dates(connection)
    run_dbt(settings, ["run", "--select", "fitted_dates+", "--exclude", *SCORING])


def score(settings: Settings) -> ScoringResult:
    """Scores every customer with the model in use and rebuilds the marts from that."""
    run_dbt(settings, ["run", "--select", "scoring_rows", *SCORING])
    with connect(settings) as connection:
        result = read_scoring(connection)
    return with_caution(settings, result)


def with_caution(settings: Settings, result: ScoringResult) -> ScoringResult:
    """The same with what the model in use says against itself."""
    manifest = champion_manifest(settings) if result.model_version else None
    caution = manifest.parameters.get("caution") if manifest else None
    return replace(result, caution=str(caution) if caution else None)


def read_scoring(connection: duckdb.DuckDBPyConnection) -> ScoringResult:
    """The summary of ``customer_clv`` as it stands."""
    return scoring_result(connection.sql(SCORING_SUMMARY.format(table="customer_clv")).fetchall())


def scoring_result(rows: list[tuple]) -> ScoringResult:
    """The summary from the rows of ``SCORING_SUMMARY``."""
    return ScoringResult(
        as_of_date=max((row[3] for row in rows), default=None),
        customers=sum(row[1] for row in rows),
        methods={row[0]: row[1] for row in rows},
        estimate_total=float(sum(row[2] for row in rows)),
        model_version=max((row[4] for row in rows if row[4]), default=None),
    )


def run(
    settings: Settings,
    preset: str = "events",
    path: Path | None = None,
    data_dir: Path | None = None,
    model_type: ModelType = "lightgbm",
    on_step: Step = no_steps,
) -> RunResult:
    """
    From new files to published scores: ingest, build features, train where no model fits, score, check,
    publish.

    A shop that cannot be learnt from yet is scored by the simple formula, with a warning, not an error.
    Nothing is published that fails a test of the marts.

    Raises:
        WarehouseBusyError: If another run holds the warehouse.

        InputError: If nobody had bought anything by the date. What was published before stays.
    """
    with locked(settings):
        return _run(settings, preset, path, data_dir, model_type, _Clock(on_step))


class _Clock:
    """Passes each step's name on and takes the time of the step before."""

    def __init__(self, on_step: Step) -> None:
        self._on_step, self._step, self._began = on_step, "", 0.0
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        if self._step:
            self.seconds[self._step] = round(now - self._began, 3)
        self._step, self._began = step, now
        if step:
            self._on_step(step)


def _run(
    settings: Settings,
    preset: str,
    path: Path | None,
    data_dir: Path | None,
    model_type: ModelType,
    on_step: _Clock,
) -> RunResult:
    engine = verbs(settings)
    ingested: tuple[IngestSummary, ...] = ()
    if path is not None or data_dir is not None:
        on_step("ingest")
        ingested = engine.ingest_files(settings, preset, path, data_dir)
    on_step("build features")
    dates_before = engine.feature_dates(settings)
    engine.build_features(settings)
    training, warnings = None, [warning for summary in ingested for warning in summary.warnings]
    if settings.vars.use_ml_clv and engine.training_is_due(settings):
        on_step("train")
        try:
            training = engine.train(settings, model_type)
        except (HistoryError, TrainingError) as error:
            warnings.append(f"No model was trained. {error}")
            # an older model that no longer fits must not stop the estimate
            settings = changed(settings, fallback_to_simple=True)
    on_step("score")
    try:
        scoring = engine.score(settings)
    except BuildError:
        if not settings.vars.fallback_to_simple:
            raise
        warnings.append("The model could not score; clv_estimate is the simple formula (fallback_to_simple).")
        scoring = engine.score(changed(settings, use_ml_clv=False))
    require_customers(settings, scoring, ingested)
    if "simple: no model" in scoring.methods:
        warnings.append(
            "clv_estimate is the simple formula, which takes the pace of each customer's time so far for "
            "lasting: the total of a young shop tends to come out far too high."
        )
    on_step("check")
    engine.check_marts(settings)
    on_step("publish")
    publication = engine.publish(settings)
    on_step("remove old")
    removed = engine.remove_old(settings, dates_before)
    on_step("")
    return RunResult(
        ingested, training, scoring, publication, on_step.seconds, tuple(warnings), removed=removed
    )


def require_customers(
    settings: Settings, scoring: ScoringResult, ingested: tuple[IngestSummary, ...] = ()
) -> None:
    """
    Refuses scores of an empty shop.

    Raises:
        InputError: If nobody was scored; says why, with the warnings of what was ingested, and what to do.
    """
    if scoring.customers:
        return
    day = settings.vars.as_of_date
    what = f"Nobody had bought anything before {day}" if day else "No purchase is known"
    remedy = "Choose a later --as-of, or load older orders." if day else "Load orders first."
    warnings = (warning for summary in ingested for warning in summary.warnings)
    raise InputError(
        " ".join([f"{what}, so nobody was scored and nothing was published. {remedy}", *warnings])
    )


def check_marts(settings: Settings) -> None:
    """
    dbt's tests of the marts. Those of severity ``warn`` stop nothing.

    Raises:
        PublishError: If a mart is missing.
        BuildError: If a test of severity ``error`` fails, with its name.
    """
    if settings.target == "duckdb":
        require_marts(settings)
    run_dbt(settings, ["test", "--select", "marts", "--exclude", "test_type:unit"])


def changed(settings: Settings, **values: bool) -> Settings:
    """The same settings with some vars changed, for dbt too."""
    return settings.model_copy(
        update={
            "vars": settings.vars.model_copy(update=values),
            "overrides": {**settings.overrides, **values},
        }
    )


def switch_model(settings: Settings, version: str | None, reason: str) -> registry.Champion:
    """Promotes a version, or rolls back where none is named, and rebuilds the registry tables."""
    prepare(settings)
    # opened first: a warehouse that cannot be written to leaves the model in use as it was
    with connect(settings, read_only=False) as connection:
        pointer = (
            registry.promote(settings.models, version, reason)
            if version
            else registry.rollback(settings.models, reason)
        )
        write_registry_tables(connection, settings)
    return pointer


def compare_models(
    settings: Settings,
    before: str,
    after: str,
    customer_id: str | None = None,
    customers: int = 10,
    on_step: Step = no_steps,
) -> ValueChanges:
    """
    Whose value two versions see differently on today's scoring date, and why. What is missing is scored
    first, into ``challenger_predictions`` and ``challenger_drivers``: nothing that others read changes.

    Raises:
        ModelError: If a version is absent or damaged.
        BuildError: If a version does not fit today's tables, with its name.
        WarehouseBusyError: If a run holds the warehouse.
    """
    for version in (before, after):
        registry.load(settings.models, version)
    with locked(settings):
        for version in unscored_versions(settings, (before, after)):
            on_step(f"score with {version}")
            challenger = {"model_version": version, "is_challenger": True, "fallback_to_simple": False}
            run_dbt(
                settings.model_copy(update={"overrides": {**settings.overrides, **challenger}}),
                ["run", "--select", "calibration", "customer_predictions", "customer_drivers"],
            )
        on_step("compare")
        return model_changes(settings, before, after, customer_id, customers)


def erase(settings: Settings, customer_id: str) -> Erasure:
    """`forget`, where the list of the erased may have to be created first."""
    if not settings.warehouse.exists():
        raise WarehouseError(f"There is no warehouse at {settings.warehouse}. Check CLV_WAREHOUSE.")
    prepare(settings)
    return forget(settings, customer_id)


def demo(settings: Settings, customers: int, seed: int, on_step: Step = no_steps) -> RunResult:
    """
    Simulates a shop beside the warehouse and runs everything on it. The same arguments do the same again.
    """
    on_step("simulate a shop")
    folder = settings.warehouse.parent / "data"
    if folder.exists():
        shutil.rmtree(folder)
    write_simulation(Shop(customers=customers, seed=seed), folder)
    return run(settings, "simulator", data_dir=folder, on_step=on_step)
