"""The search for parameters: reads nothing from the test date on, repeats, and must prove itself."""

import json
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from made_rows import made_rows
from shops import copied, with_vars
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import HistoryError, MissingExtraError, ModelError
from clv_ml.learn import tuning
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.training import train
from clv_ml.learn.training_data import TrainingData, label_ends, read_training_rows
from clv_ml.learn.tuned import TUNING_FILE, TunedParameters, Tuning, read_tuning, write_tuning
from clv_ml.learn.tuning import before_test, rolling_folds
from clv_ml.measure.metrics import deviance
from clv_ml.model.manifest_files import load_manifest
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

FOUND = TunedParameters(leaves=4, feature_share=0.5, row_share=0.8, l2=20.0, tweedie_power=1.3, ratio_cap=6.0)


def needs_optuna() -> None:
    """Skips where the extra is not installed."""
    pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[tune]'")


@pytest.fixture(scope="module")
def rows(simulated: Settings) -> TrainingData:
    """The training rows of the simulated shop."""
    with connect(simulated) as connection:
        return read_training_rows(connection, simulated)


@pytest.fixture
def settings(simulated: Settings, tmp_path: Path) -> Settings:
    """The simulated shop, for the test alone."""
    return copied(simulated, tmp_path / "shop")


def test_the_search_reads_no_row_of_the_test_date_or_later(rows: TrainingData, simulated: Settings):
    """
    Whatever stands in rows from the test date on, and in answers that were not final when it began, the
    search finds the same to the last bit: the rows are replaced by nonsense.
    """
    needs_optuna()
    test_date = rows.dates("test").min()
    hidden = (rows.as_of >= test_date) | (label_ends(rows.as_of, simulated) > test_date)
    assert hidden.any() and not hidden.all()
    nonsense = replace(
        rows,
        values=np.where(hidden[:, None], np.nan, rows.values),
        anchor=np.where(hidden, 1e9, rows.anchor),
        revenue=np.where(hidden, -1e9, rows.revenue),
        purchases=np.where(hidden, 0.0, rows.purchases),
        customer=np.where(hidden, "nobody", rows.customer),
    )

    said, again = (tuning.search(data, simulated, trials=2) for data in (rows, nonsense))

    assert said == again
    assert said.searched_before == str(test_date)
    assert max(said.validation_dates) < str(test_date)


def test_each_fit_knows_only_answers_that_were_final_by_its_date(rows: TrainingData, simulated: Settings):
    """
    Rolling validation: a fold's fit ends before its date, and the date's own answers were final when the test
    date began.
    """
    known = before_test(rows, simulated)
    folds = rolling_folds(known, simulated)

    assert folds
    for fold in folds:
        (day,) = np.unique(fold.rows.as_of)
        assert (label_ends(fold.fit.as_of, simulated) <= day).all()
        assert label_ends(day, simulated) <= rows.dates("test").min()


@pytest.mark.long
def test_a_search_can_be_repeated_and_begins_with_the_defaults(rows: TrainingData, simulated: Settings):
    """
    Seeded and one trial at a time. Trial 0 is the defaults, so no result is worse than they are where the
    search looked, and its loss is the one that the fit's own pieces give.
    """
    needs_optuna()

    first, second = (tuning.search(rows, simulated, trials=3) for _ in range(2))

    assert first == second
    assert dict(first.trials[0].parameters) == {
        name: asdict(Parameters())[name] for name in TunedParameters.model_fields
    }
    assert first.best.loss == min(trial.loss for trial in first.trials) <= first.trials[0].loss
    assert len({trial.loss for trial in first.trials}) == 3
    assert first.gain_low <= first.gain <= first.gain_high
    assert first.is_adopted == (first.gain_low > 0)


def test_the_loss_does_not_know_the_level_and_is_lowest_at_the_truth():
    """
    Twice the estimate is as good; the true means beat estimates that differ from them, on simulated spend.
    """
    generator = np.random.default_rng(3)
    mean = generator.gamma(2.0, 10.0, 20_000)
    actual = generator.poisson(mean).astype(float)
    rows = made_rows(actual)
    truth, doubled, flat, steep = (
        tuning._loss(rows, estimate).mean() for estimate in (mean, 2 * mean, mean**0.8, mean**1.2)
    )

    assert truth == pytest.approx(doubled, rel=1e-12)
    assert truth < flat and truth < steep
    levelled = mean * actual.sum() / mean.sum()
    assert truth == pytest.approx(deviance(actual, levelled).mean() / actual.mean(), rel=1e-12)


def test_only_a_gain_beyond_noise_is_adopted(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Where every customer of the deciding half gains, the file is written; where gains scatter around nothing,
    an earlier file goes.
    """
    needs_optuna()
    monkeypatch.setattr(tuning, "_gains", lambda *_: np.full(100, 0.001))
    better = tuning.tune(settings, trials=2)

    assert better.is_adopted and read_tuning(settings.models) is not None

    monkeypatch.setattr(tuning, "_gains", lambda *_: np.tile([-0.1, 0.1], 50))
    noise = tuning.tune(settings, trials=2)

    assert noise.gain_low < 0 < noise.gain_high
    assert not noise.is_adopted and read_tuning(settings.models) is None


def test_training_uses_and_records_what_was_tuned(settings: Settings):
    """
    Only for the horizon it was searched for, and only where the test date was not part of the search.
    """
    with connect(settings) as connection:
        test_date = str(read_training_rows(connection, settings).dates("test").min())
    tuned = Tuning(horizon_days=60, searched_before=test_date, parameters=FOUND)
    write_tuning(settings.models, tuned)

    result = train(settings)

    recorded = load_manifest(settings.models / result.version)[0].parameters
    assert result.tuned_before == recorded["tuned_before"] == test_date
    assert {name: recorded[name] for name in TunedParameters.model_fields} == FOUND.model_dump()
    assert recorded["learning_rate"] == Parameters().learning_rate
    assert tuned.applies(60, date.fromisoformat(test_date))
    assert not tuned.applies(61, date.fromisoformat(test_date))
    assert not tuned.applies(60, date.fromisoformat(test_date).replace(day=1, month=1))


def test_a_file_that_is_no_tuning_is_refused_with_its_remedy(tmp_path: Path):
    """
    Out of range, unknown or missing: the file is named, and what to do.
    """
    good = Tuning(horizon_days=60, searched_before="2024-08-01", parameters=FOUND).model_dump()
    for change in ({"format": 2}, {"extra": 1}, {"parameters": {**good["parameters"], "leaves": 1}}):
        (tmp_path / TUNING_FILE).write_text(json.dumps({**good, **change}))

        with pytest.raises(
            ModelError, match=r"tuning\.json holds no tuned parameters: .*clv tune.*delete it"
        ):
            read_tuning(tmp_path)


def test_too_little_history_is_said_in_days(rows: TrainingData, simulated: Settings):
    """
    A search needs a horizon to fit, one to validate and one to test.
    """
    oldest = rows.only(rows.as_of == rows.as_of.min())

    with pytest.raises(HistoryError, match=r"three horizons of 60 days in a row .* 180 days"):
        rolling_folds(oldest, with_vars(simulated))


def test_without_optuna_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    """
    Before any work is done, and with exit code 1.
    """
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[tune\]'"):
        tuning.require_optuna()
    said = CliRunner().invoke(app, ["tune"])
    assert said.exit_code == 1 and ".[tune]" in " ".join(said.output.split())
