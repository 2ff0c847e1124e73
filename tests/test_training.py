"""Training: same rows, same model; nothing measured was seen before; what is written down is true."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from shops import HORIZON, build, copied, edit, execute, frame, one, query, with_project, with_vars
from sklearn import metrics as reference

from clv_ml import evaluate, temporal_split
from clv_ml.engines import engine_of
from clv_ml.errors import BuildError, ClvError, TrainingError
from clv_ml.learn import boosters, calibration, training
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.out_of_sample import FOLDS
from clv_ml.learn.store_history import PastWindow, StoreHistory
from clv_ml.learn.training import TrainingResult, train
from clv_ml.learn.training_data import TrainingData, read_training_rows
from clv_ml.measure import evaluation
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.manifest_files import load_manifest
from clv_ml.model.model_files import load_model
from clv_ml.model.model_types import MODEL_TYPES
from clv_ml.operate.promotion import switch_model
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

METRICS = ("r2", "mae", "rmse")


@pytest.fixture(scope="module")
def by_type(
    simulated: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, dict[str, TrainingResult]]:
    """The simulated shop with a model of each type."""
    settings = copied(simulated, tmp_path_factory.mktemp("types"))
    return settings, {kind: train(settings, kind) for kind in MODEL_TYPES}


def _manifest(settings: Settings, version: str) -> Manifest:
    return load_manifest(settings.models / version)[0]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_training_twice_gives_the_same_model(
    by_type: tuple[Settings, dict[str, TrainingResult]], simulated_copy: Settings
):
    """
    Elsewhere: the same version and, creation time aside, the same bytes. Here: nothing new is published.
    """
    elsewhere, other = by_type[0], by_type[1]["lightgbm"]

    first, again = train(simulated_copy), train(simulated_copy)

    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert first.version == again.version == other.version
    assert len(list(simulated_copy.models.glob("*/manifest.json"))) == 1
    here, there = (_files(s.models / first.version) for s in (simulated_copy, elsewhere))
    manifests = [json.loads(files.pop("manifest.json")) for files in (here, there)]
    assert here == there
    for manifest in manifests:
        manifest.pop("created_at")
    assert manifests[0] == manifests[1]


def test_the_measured_model_saw_nothing_after_the_test_began(
    simulated_copy: Settings, spy: Callable[[Any, str], list[tuple]]
):
    """
    Every row that the measured fit and the choice of rounds were given has a window that ended by the first
    test date; the champion is fitted on every labelled date afterwards.
    """
    fits, finals = spy(calibration, "fit_recipe"), spy(training, "fit_recipe")
    choices = spy(calibration, "choose_rounds")
    evaluations = spy(training, "evaluate_fit")

    result = train(simulated_copy)

    horizon = np.timedelta64(HORIZON, "D")
    test_begins = np.datetime64(min(result.training_dates["test"]))
    *measured, final = [arguments[0] for arguments, _ in fits + finals]
    seen = measured + [
        part for arguments, _ in choices for part in arguments if isinstance(part, TrainingData)
    ]
    assert fits
    assert choices
    for data in seen:
        assert data.as_of.max() + horizon <= test_begins
    assert final.as_of.max() >= test_begins
    assert len(final) == result.rows_fitted
    ((arguments, _),) = evaluations
    assert arguments[2].split[0] == "test"


@pytest.mark.long
def test_a_history_of_one_date_is_calibrated_on_customers_who_were_not_learned_from(
    simulated_copy: Settings, spy: Callable[[Any, str], list[tuple]]
):
    """
    With a horizon of 110 days one date alone ends before the test. Each of its customers is held once, and
    predicted by a fit that saw none of those predicted with it; the refit for the test date saw all.
    """
    settings = with_vars(simulated_copy, horizon_days=110)
    engine_of(settings).build_features()
    fits, finals = spy(calibration, "fit_recipe"), spy(training, "fit_recipe")
    measured = spy(training, "measure_intervals")

    result = train(settings)

    assert [len(result.training_dates[part]) for part in ("train", "calibrate", "test")] == [1, 0, 1]
    folds = [(rows, today) for (rows, today, *_), _ in fits]
    assert len(folds) == FOLDS
    everyone = measured[0][0][0][0].rows
    held_out = 0
    for learned, today in folds:
        unseen = everyone.only(~np.isin(everyone.customer, learned.customer))
        np.testing.assert_array_equal(unseen.values, today.values)
        held_out += len(unseen)
    assert held_out == len(everyone)
    assert len(finals[0][0][0]) == len(everyone)


def test_dates_in_the_manifest_never_overlap(by_type: tuple[Settings, dict[str, TrainingResult]]):
    """
    train and calibrate windows end by the first test date; the parts share no date; the refit has them all.
    """
    settings, results = by_type

    dates = _manifest(settings, results["lightgbm"].version).training_dates

    days = {part: [date.fromisoformat(text) for text in texts] for part, texts in dates.items()}
    fitted = days["train"] + days["calibrate"]
    assert max(fitted) + timedelta(days=HORIZON) <= min(days["test"])
    assert max(days["train"]) < min(days["calibrate"])
    assert set(days["refit"]) >= {*fitted, *days["test"]}


def test_metrics_in_the_manifest_are_those_of_the_test_rows(
    simulated_copy: Settings, spy: Callable[[Any, str], list[tuple]]
):
    """
    scikit-learn on what was predicted and what SQL says happened gives the manifest's figures, baselines
    included.
    """
    calls = spy(evaluation, "evaluate_predictions")

    result = train(simulated_copy)

    test = frame(
        simulated_copy,
        "select label_revenue::double as actual, simple_clv_estimate::double as simple, "
        "persistence_value::double as persistence from training_rows where split = 'test' "
        "order by as_of_date, customer_id",
    )
    stored = _manifest(simulated_copy, result.version).metrics
    predictions = {name: test[name].to_numpy() for name in ("simple", "persistence")}
    ((actual, predictions["model"]),) = [
        arguments for arguments, found in calls if dict(found) == dict(result.metrics["model"])
    ]
    np.testing.assert_array_equal(actual, test.actual)
    for name, predicted in predictions.items():
        assert _by_scikit_learn(test.actual.to_numpy(), predicted) == pytest.approx(
            {metric: stored[name][metric] for metric in METRICS}, rel=1e-9
        ), name


def _by_scikit_learn(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {
        "r2": reference.r2_score(actual, predicted),
        "mae": reference.mean_absolute_error(actual, predicted),
        "rmse": reference.root_mean_squared_error(actual, predicted),
    }


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_model_type_trains_and_agrees_with_its_export(
    by_type: tuple[Settings, dict[str, TrainingResult]], kind: str
):
    """
    lightgbm, ridge and ensemble are published, load again with all checks, and agree with the graph to 1e-9.
    """
    settings, results = by_type

    manifest = _manifest(settings, results[kind].version)
    loaded = load_model(settings.models / results[kind].version)

    assert manifest.model_type == kind
    assert manifest.parity.worst_relative_difference <= 1e-9
    assert manifest.parity.rows > results[kind].rows_fitted
    assert loaded.manifest == manifest
    assert (manifest.horizon_days, manifest.reporting_currency) == (HORIZON, "GBP")
    assert np.isfinite(results[kind].metrics["model"]["r2"])


def test_model_types_give_different_models(by_type: tuple[Settings, dict[str, TrainingResult]]):
    """
    Three types, three versions; the last trained is the champion.
    """
    settings, results = by_type

    pointer = registry.champion(settings.models)

    assert len({result.version for result in results.values()}) == 3
    assert pointer is not None
    assert pointer.version == results["ensemble"].version


def test_importance_is_shares_of_features_the_model_has(by_type: tuple[Settings, dict[str, TrainingResult]]):
    """
    Positive, largest first, one in all; dates, phases and what was excluded are not among the features.
    """
    settings, results = by_type
    importance = results["lightgbm"].importance
    features = set(_manifest(settings, results["lightgbm"].version).feature_names)

    assert sum(importance.values()) == pytest.approx(1.0)
    assert list(importance.values()) == sorted(importance.values(), reverse=True)
    assert set(importance) <= features
    excluded = {
        *(
            name
            for (name,) in query(settings, "select column_name from column_roles where role <> 'feature'")
        ),
        "label_revenue",
        "label_purchases",
        "first_purchase_at",
        "split",
    }
    assert not features & excluded


def test_a_shop_leaves_out_features_of_its_own_choice(simulated: Settings):
    """
    ``excluded_features`` takes away what it names, nothing else. A column for analysts is no feature anyway.
    """
    with connect(simulated) as connection:
        usual = read_training_rows(connection, simulated).names
        fewer = read_training_rows(
            connection, with_vars(simulated, excluded_features=["overdue_ratio", "total_revenue"])
        ).names

    assert "overdue_ratio" in usual and "total_revenue" not in usual
    assert fewer == tuple(name for name in usual if name != "overdue_ratio")


@pytest.mark.long
def test_a_column_without_a_role_is_refused(open_shop: Callable[..., Settings], own_project: Path):
    """The error names the column and what may stand there: a feature that nobody placed would be missed."""
    edit(
        own_project,
        "models_sql/features/_features__models.yml",
        "{role: feature, group: category",
        "{group: category",
    )

    with pytest.raises(
        BuildError, match=r"'top_category_concentration' of training_rows has the role .*: feature, analyst"
    ):
        run_dbt(with_project(open_shop(), own_project), ["run", "--select", "column_roles"])


def test_the_registry_tables_say_what_the_folders_hold(by_type: tuple[Settings, dict[str, TrainingResult]]):
    """
    A row per version with its type and hash, one champion; a row per metric, equal to the result's.
    """
    settings, results = by_type

    models = query(
        settings, "select version, model_type, is_champion, feature_count, fault from model_registry"
    )
    runs = query(
        settings,
        "select metric, metric_value from training_runs where estimator = 'model' and version = "
        f"'{results['ridge'].version}'",
    )

    assert {(version, kind) for version, kind, *_ in models} == {(r.version, k) for k, r in results.items()}
    assert [version for version, _, is_champion, *_ in models if is_champion] == [results["ensemble"].version]
    assert all(count > 20 and fault is None for *_, count, fault in models)
    assert dict(runs) == pytest.approx(dict(results["ridge"].metrics["model"]), nan_ok=True)


def test_the_registry_tables_are_rebuilt_from_the_folders(
    by_type: tuple[Settings, dict[str, TrainingResult]], tmp_path: Path
):
    """
    The folders are the truth: tables that lost their rows have them again after a promotion.
    """
    settings, results = by_type[0], by_type[1]
    settings = copied(settings, tmp_path / "shop")
    before = query(
        settings, "select * exclude (promotion_reason, is_champion) from model_registry order by version"
    )
    execute(settings, "delete from model_registry", "delete from training_runs")

    switch_model(settings, results["ridge"].version, "a test")

    after = query(
        settings, "select * exclude (promotion_reason, is_champion) from model_registry order by version"
    )
    assert after == before
    assert one(settings, "select promotion_reason from model_registry where is_champion") == "a test"
    assert one(settings, "select count(distinct version) from training_runs") == 3


def test_folds_never_share_a_customer(simulated: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Whatever a fold of early stopping is checked on belongs to customers that it did not learn from, on a
    later date.
    """
    pairs: list[tuple[lightgbm.Dataset, lightgbm.Dataset]] = []
    customers: dict[int, TrainingData] = {}
    make, fit = boosters.dataset, boosters.lgb.train

    def dataset(part: Any, data: TrainingData, *rest: Any, **options: Any) -> lightgbm.Dataset:
        made = make(part, data, *rest, **options)
        customers[id(made)] = data
        return made

    def fitted(parameters: Any, learning: lightgbm.Dataset, *rest: Any, **options: Any) -> Any:
        pairs.extend((learning, check) for check in options.get("valid_sets") or ())
        return fit(parameters, learning, *rest, **options)

    monkeypatch.setattr(boosters, "dataset", dataset)
    monkeypatch.setattr(boosters.lgb, "train", fitted)
    with connect(simulated) as connection:
        parts = temporal_split(read_training_rows(connection, simulated))

    boosters.choose_rounds(parts["train"], parts["calibrate"], Parameters())

    assert len(pairs) >= FOLDS
    for learning, check in pairs:
        learnt, held_out = customers[id(learning)], customers[id(check)]
        assert not set(learnt.customer) & set(held_out.customer)
        assert learnt.as_of.max() < held_out.as_of.min()


def test_temporal_split_keeps_customers_on_both_sides_and_dates_on_one(simulated: Settings):
    """
    The public split is by date only: every row once, no date in two parts, customers in several.
    """
    with connect(simulated) as connection:
        data = read_training_rows(connection, simulated)

    parts = temporal_split(data)

    assert sum(len(part) for part in parts.values()) == len(data)
    dates = [day for part in parts.values() for day in np.unique(part.as_of)]
    assert len(dates) == len(set(dates))
    assert set(parts["train"].customer) & set(parts["test"].customer)


def test_evaluate_is_the_metrics_of_training(simulated: Settings):
    """
    The public `evaluate` on a split gives the figures that training prints for a baseline.
    """
    with connect(simulated) as connection:
        test = temporal_split(read_training_rows(connection, simulated))["test"]

    found = evaluate(test.revenue, test.baselines["simple"])

    assert found["mae"] == pytest.approx(np.abs(test.revenue - test.baselines["simple"]).mean())


def test_too_few_rows_are_refused_with_a_remedy(simulated_copy: Settings):
    """
    Nineteen rows are no ground to learn from; the message names them and what to do. Nothing is published.
    """
    execute(
        simulated_copy,
        "delete from customer_labels where customer_id > (select min(customer_id) from customer_rfm)",
    )

    with pytest.raises(TrainingError, match=r"Only \d+ training rows.*are needed. Load more customers"):
        train(simulated_copy)

    assert not list(simulated_copy.models.glob("*/manifest.json"))


def test_without_features_training_says_how_to_build_them(empty_shop: Settings):
    """
    No training_rows: the message names the command.
    """
    with pytest.raises(ClvError, match=r"lacks training_rows or column_roles"):
        train(empty_shop)


def test_only_trainable_rows_are_fitted(simulated_copy: Settings, spy: Callable[[Any, str], list[tuple]]):
    """
    min_purchases_for_training narrows what is fitted, not what is measured.
    """
    narrow = with_vars(simulated_copy, min_purchases_for_training=2)
    build(narrow, "--select", "training_rows")
    fits, finals = spy(calibration, "fit_recipe"), spy(training, "fit_recipe")
    measured = spy(evaluation, "evaluate_predictions")

    result = train(narrow)

    repeat = one(narrow, "select count(*) from training_rows where total_purchases >= 2")
    everyone = one(narrow, "select count(*) from training_rows where split = 'test'")
    assert result.rows_fitted == repeat
    assert fits
    assert all(arguments[0].trainable.all() for arguments, _ in fits + finals)
    assert measured[0][0][0].size == everyone
    assert asdict(result)["version"] == result.version


def test_the_manifest_names_the_dates_that_were_fitted(simulated_copy: Settings):
    """
    With forty days of history asked of a training row, the first date teaches nothing, and is not said to.
    """
    narrow = with_vars(simulated_copy, min_history_days=40)
    build(narrow, "--select", "training_rows")

    result = train(narrow)

    taught = query(
        narrow, "select distinct as_of_date::text from training_rows where is_trainable order by 1"
    )
    assert list(result.training_dates["refit"]) == [day for (day,) in taught]
    assert len(taught) < one(narrow, "select count(distinct as_of_date) from training_rows")


def test_the_levels_sd_counts_known_misses_by_a_factor_of_e_at_most():
    """
    Misses of ln 0.5, 2.8 (counted as 1) and one known too late, beside three of 0.15 that are assumed: by
    hand.
    """
    day = np.datetime64("2024-01-01")
    misses = [(0, 10, -np.log(2), 0.0), (30, 40, 2.8, 0.0), (60, 99, 0.5, 0.1), (90, 120, None, 0.2)]
    windows = {
        day + begun: PastWindow(day + begun, day + known, expected, pace)
        for begun, known, pace, expected in misses
    }
    history = StoreHistory(date(2024, 4, 1), 400, "hash", {}, {}, windows)

    wanted = np.sqrt((np.log(2) ** 2 + 1 + 3 * 0.15**2) / 5)
    assert history.level_log_sd(day + 60) == pytest.approx(wanted)
    # the last window is not over: its pace is the one expected
    assert [history.pace(day + begun) for begun in (60, 90)] == [0.5, 0.2]
    assert [history.expected_pace(day + begun) for begun in (60, 90)] == [0.1, 0.2]
