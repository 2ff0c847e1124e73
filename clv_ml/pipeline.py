"""From files to published scores: the steps of a run, strung together once, on the engine of the settings."""

import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from clv_ml.engines import Engine, Files, changed, engine_of, ingested_by
from clv_ml.errors import (
    BuildError,
    ClvError,
    HistoryError,
    PublishError,
    TrainingError,
)
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.summary import IngestSummary
from clv_ml.learn.training import TrainingResult
from clv_ml.model.model_types import ModelType
from clv_ml.operate import refused
from clv_ml.operate.publication import Publication
from clv_ml.operate.retention import Removed
from clv_ml.operate.scored_dates import missing_dates
from clv_ml.operate.scores import ScoringResult, changes_since, hard_to_learn, require_customers, too_young
from clv_ml.operate.steps import Clock, Step, no_steps
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.locking import locked


@dataclass(frozen=True)
class RunResult:
    """
    What ``run`` did. ``training`` is None where none was due; ``seconds`` has what each step took;
    ``reporting_currency`` is what the shop counts in, which a first feed may have named.
    """

    ingested: tuple[IngestSummary, ...]
    training: TrainingResult | None
    scoring: ScoringResult
    publication: Publication
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    removed: Removed = field(default_factory=Removed)
    reporting_currency: str = ""


def run(
    settings: Settings,
    choice: str | Choice = "",
    path: Files = None,
    data_dir: Path | None = None,
    model_type: ModelType = "lightgbm",
    on_step: Step = no_steps,
    accept_loss: bool = False,
) -> RunResult:
    """
    From new files to published scores. A shop that cannot be learnt from yet is scored by the best
    baseline, with a warning, not an error. Nothing is published that fails a test of the marts.
    ``accept_loss``: train on what is left, however much was refused.

    Raises:
        WarehouseBusyError: If another run has locked the warehouse.
        LossError: If more was refused than ``quarantine_share`` allows, and a model would be trained.
        InputError: If nobody had bought anything by the date. What was published before stays.
    """
    engine, clock, ingested = engine_of(settings), Clock(on_step), ()
    with locked(settings):
        if path or data_dir is not None:
            clock("ingest")
            engine, ingested = ingested_by(engine, choice, path, data_dir)
            settings = engine.settings
        of_feeds = [warning for summary in ingested for warning in summary.warnings]
        warnings = list(of_feeds)
        clock("build features")
        dates_before = engine.feature_dates()
        engine.build_features()
        engine, trained = _train_where_due(engine, model_type, accept_loss, warnings, clock)
        clock("score")
        scoring = _score(engine, warnings)
        require_customers(settings, scoring, of_feeds)
        warnings.extend(changes_since(engine.published_scoring(), scoring))
        clock("check")
        warnings += engine.check_marts()
        clock("publish")
        published = engine.publish()
        clock("remove old")
        removed = engine.remove_old(dates_before)
        clock("")
    currency = settings.vars.reporting_currency
    return RunResult(ingested, trained, scoring, published, clock.seconds, tuple(warnings), removed, currency)


def _train_where_due(
    engine: Engine, model_type: ModelType, accept_loss: bool, warnings: list[str], on_step: Step
) -> tuple[Engine, TrainingResult | None]:
    """Trains where no model fits; where nothing can be learnt yet, the engine falls back to the formula."""
    if not engine.training_is_due():
        return engine, None
    if not accept_loss:
        refused.refuse_loss(engine.settings, engine.lost())
    on_step("train")
    try:
        return engine, engine.train(model_type)
    except (HistoryError, TrainingError) as error:
        _refuse_to_replace_a_model(engine, error)
        warnings.append(f"No model was trained. {error}")
        # an older model that no longer fits must not stop the estimate
        return engine_of(changed(engine.settings, fallback_to_simple=True)), None


def _refuse_to_replace_a_model(engine: Engine, error: ClvError) -> None:
    """
    Raises:
        PublishError: Where readers have a model's scores, and nobody allowed a formula to replace them.
    """
    if engine.settings.vars.fallback_to_simple or not engine.settings.vars.use_ml_clv:
        return
    published = engine.published_scoring()
    if published and published.model_version:
        raise PublishError(
            f"No model was trained, and readers have the scores of model '{published.model_version}'. They "
            f"keep them. {error} To replace them by a formula, set fallback_to_simple."
        )


def _score(engine: Engine, warnings: list[str]) -> ScoringResult:
    """Scores; where the model cannot and ``fallback_to_simple`` allows it, by the best baseline."""
    try:
        scoring = engine.score()
    except BuildError:
        if not engine.settings.vars.fallback_to_simple:
            raise
        warnings.append("The model could not score; clv_estimate is a formula (fallback_to_simple).")
        scoring = engine_of(changed(engine.settings, use_ml_clv=False)).score()
    formulas = sorted(
        method.removesuffix(": no model") for method in scoring.methods if method.endswith(": no model")
    )
    if formulas:
        warnings.append(
            f"clv_estimate is a formula ({', '.join(formulas)}), the best of those that need no model. Its "
            "total may be far off: baseline_ranking, in the warehouse, says on how many past dates it was "
            "measured."
        )
    if young := too_young(scoring, engine.settings.vars.horizon_days):
        warnings.append(young)
    if scoring.caution:
        warnings.append(hard_to_learn(scoring.caution))
    return scoring


def backfill(
    settings: Settings, first: date, last: date, every_days: int, on_step: Step = no_steps
) -> tuple[date, ...]:
    """
    Scores past dates with the model in use, then today again, so that tables of record begin earlier. Dates
    that were scored in their time keep what was said then.

    Returns:
        The dates that were scored.

    Raises:
        SettingsError: If the dates do not come one after the other, or are older than predictions are kept.
    """
    engine = engine_of(settings)
    with locked(settings):
        on_step("build features")
        engine.build_features()
        missing = missing_dates(settings, first, last, every_days)
        for day in missing:
            on_step(f"score {day}")
            past = engine_of(changed(settings, as_of_date=day))
            past.build_features()
            past.score()
        on_step("score today")
        engine.build_features()
        engine.score()
    return missing


def demo(settings: Settings, customers: int, seed: int, on_step: Step = no_steps) -> RunResult:
    """Simulates a shop next to the warehouse and runs everything on it; equal arguments, equal shop."""
    on_step("simulate a shop")
    folder = settings.warehouse.parent / "data"
    if folder.exists():
        shutil.rmtree(folder)
    write_simulation(Shop(customers=customers, seed=seed), folder)
    return run(settings, "simulator", data_dir=folder, on_step=on_step)
