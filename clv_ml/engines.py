"""What computes: each step of a run, on the engine that the settings name."""

import importlib
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from clv_ml.errors import (
    InputError,
    OtherCurrencyError,
    SettingsError,
)
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.ingestion import ingest_folder, ingest_together
from clv_ml.ingest.of_project import choice_of, keep_currency, rules_of
from clv_ml.ingest.postgres_export import Source, exported, speaking_of
from clv_ml.ingest.scratch import schema_sql
from clv_ml.ingest.summary import IngestSummary
from clv_ml.ingest.watermarks import keep_watermark, newest_feed, read_to
from clv_ml.learn import training
from clv_ml.learn.fitted_parameters import fit_missing_dates
from clv_ml.learn.training import TrainingResult
from clv_ml.model.model_in_use import why_training_is_due
from clv_ml.model.model_types import ModelType
from clv_ml.operate import publication, refused, retention
from clv_ml.operate.findings import with_what_moved
from clv_ml.operate.publication import Publication
from clv_ml.operate.retention import Removed
from clv_ml.operate.scores import ScoringResult, read_scoring
from clv_ml.settings import PACKAGE_NAME, Settings
from clv_ml.warehouse.connection import connect, harden
from clv_ml.warehouse.dbt_runner import create_tables, run_dbt

SCORING = ("calibration+", "amount_quantiles+", "feature_bins+", "customer_predictions+", "customer_drivers+")
"""What asks for the model, as dbt selects it."""
PACKAGE = f"package:{PACKAGE_NAME}"
"""The product's own models, in whatever project."""
LEFT_OUT = (
    "all_money_is_converted",
    "attributes_are_read",
    "merges_lead_to_a_customer",
    "pieces_can_be_counted",
)
"""Tests that warn of rows which no mart holds."""
Files = Path | tuple[Path, ...] | None
"""One file, several, or none."""


class Engine(Protocol):
    """What computes. Each method is one step of a run, on the tables that the settings name."""

    @property
    def settings(self) -> Settings: ...

    def ingest_files(
        self, choice: str | Choice, path: Files = None, data_dir: Path | None = None
    ) -> tuple[IngestSummary, ...]:
        """
        Feeds files, or a folder's files; an InputError, if one cannot be used, comes before anything is
        written.
        """

    def build_features(self) -> None:
        """
        Everything up to the training rows, with the fits of the probabilistic baselines; needs no
        model.
        """

    def lost(self) -> dict[str, float]:
        """Shares of rows and of money that were refused, where that is more than ``quarantine_share``."""

    def training_is_due(self) -> bool:
        """Whether no model is in use that fits today's settings and features."""

    def train(self, model_type: ModelType = "lightgbm") -> TrainingResult:
        """Fits a model on the training rows and publishes it; errors as ``training.train``."""

    def score(self) -> ScoringResult:
        """Scores every customer with the model in use and rebuilds the marts from that."""

    def check_marts(self) -> tuple[str, ...]:
        """
        dbt's tests of the marts. Those of severity ``warn`` stop nothing; what they say is returned.

        Raises:
            PublishError: If a mart is missing.
            BuildError: If a test of severity ``error`` fails, with its name.
        """

    def publish(self) -> Publication:
        """Gives readers a fresh copy of the marts."""

    def published_scoring(self) -> ScoringResult | None:
        """The scores that readers have; None where nothing is published."""

    def feature_dates(self) -> frozenset[date]:
        """The dates that features stand for now."""

    def remove_old(self, dates_before: Collection[date] = ()) -> Removed:
        """Removes what is older than the settings keep; ``dates_before`` had features before the run."""


@dataclass(frozen=True)
class DuckDB:
    """The embedded engine: the warehouse is a file, which dbt and this process open in turn."""

    settings: Settings

    def ingest_files(
        self, choice: str | Choice, path: Files = None, data_dir: Path | None = None
    ) -> tuple[IngestSummary, ...]:
        paths = (path,) if isinstance(path, Path) else tuple(path or ())
        if bool(paths) == (data_dir is not None):
            raise InputError(
                "Name one input: files, or --data-dir with a folder of "
                "events*, id_history*, fx_rates*, attributes*, acquisition_costs*."
            )
        create_tables(self.settings)
        choice = choice_of(self.settings, choice)
        rules = rules_of(self.settings)
        folders = (
            [data_dir] if data_dir is not None else [Path(os.path.realpath(each)).parent for each in paths]
        )
        with connect(self.settings, read_only=False) as connection:
            # the link under which a feed is read lies in the temporary folder
            harden(connection, [*folders, Path(tempfile.gettempdir())])
            if data_dir is not None:
                return tuple(ingest_folder(connection, data_dir, choice, **rules))
            return tuple(ingest_together(connection, choice, paths, **rules))

    def build_features(self) -> None:
        run_dbt(self.settings, ["run", "--select", PACKAGE, "--exclude", "fitted_dates+", *SCORING])
        with connect(self.settings, read_only=False) as connection:
            fit_missing_dates(connection)
        run_dbt(self.settings, ["run", "--select", f"fitted_dates+,{PACKAGE}", "--exclude", *SCORING])

    def lost(self) -> dict[str, float]:
        with connect(self.settings) as connection:
            return dict(connection.execute(refused.LOST.format(table="data_quality")).fetchall())

    def training_is_due(self) -> bool:
        return why_training_is_due(self.settings) is not None

    def train(self, model_type: ModelType = "lightgbm") -> TrainingResult:
        return training.train(self.settings, model_type)

    def score(self) -> ScoringResult:
        run_dbt(self.settings, ["run", "--select", "scoring_rows", *SCORING])
        return read_scoring(self.settings)

    def check_marts(self) -> tuple[str, ...]:
        publication.require_marts(self.settings)
        return with_what_moved(self.settings, run_tests_of_marts(self.settings))

    def publish(self) -> Publication:
        return publication.publish(self.settings)

    def published_scoring(self) -> ScoringResult | None:
        return publication.published_scoring(self.settings)

    def feature_dates(self) -> frozenset[date]:
        return retention.feature_dates(self.settings)

    def remove_old(self, dates_before: Collection[date] = ()) -> Removed:
        return retention.remove_old(self.settings, dates_before)


def ingested_by(
    engine: Engine, choice: str | Choice, path: Files = None, data_dir: Path | None = None
) -> tuple[Engine, tuple[IngestSummary, ...]]:
    """
    Feeds files; returns the engine to go on with. The first feed of all tells the currency of a shop that has
    named none: it is written into the project's file and holds from then on.
    """
    try:
        return engine, engine.ingest_files(choice, path, data_dir)
    except OtherCurrencyError as error:
        note = keep_currency(engine.settings.project, error.currency)
        engine = engine_of(changed(engine.settings, reporting_currency=error.currency))
        first, *others = engine.ingest_files(choice, path, data_dir)
        return engine, (replace(first, notes=(note, *first.notes)), *others)


def ingested_from(settings: Settings, choice: str | Choice, source: Source) -> tuple[IngestSummary, ...]:
    """
    Feeds what a database has, from where the last reading ended if the source names a watermark. A kill after
    the feed and before its watermark is noted makes the next reading begin earlier, and counts nothing twice.
    """
    schema = schema_sql(settings.vars.raw_schema)
    with connect(settings, read_only=False) as connection:
        since, before = read_to(connection, schema, source), newest_feed(connection, schema)
    with exported(settings, source, since) as (file, reached):
        _, summaries = ingested_by(DuckDB(settings), choice, file)
        summaries = tuple(speaking_of(source, summary) for summary in summaries)
    if source.watermark and reached is not None:
        with connect(settings, read_only=False) as connection:
            newest = newest_feed(connection, schema)
            keep_watermark(connection, schema, source, reached, newest if newest != before else None)
    return summaries


def engine_of(settings: Settings) -> Engine:
    """The engine that the target of the settings names."""
    return DuckDB(settings) if settings.target == "duckdb" else spark_module("engine").Spark(settings)


def spark_module(name: str) -> ModuleType:
    """A module of ``clv_ml.spark``, an extra: a SettingsError says how to install it."""
    try:
        return importlib.import_module(f"clv_ml.spark.{name}")
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Spark's Python packages are absent ({error}). Install them: pip install -e '.[spark]'."
        ) from error


def run_tests_of_marts(settings: Settings) -> tuple[str, ...]:
    """dbt's data tests of the marts, and of what never reached them; returns what they warn of."""
    marts = f"{PACKAGE_NAME}.marts"
    return run_dbt(settings, ["test", "--select", marts, *LEFT_OUT, "--exclude", "test_type:unit"])


def changed(settings: Settings, **values: Any) -> Settings:
    """The same settings with some vars changed, for dbt too."""
    return settings.model_copy(
        update={
            "vars": settings.vars.model_copy(update=values),
            "overrides": {**settings.overrides, **values},
        }
    )
