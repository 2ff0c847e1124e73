"""Scoring by ``dbt run``: everybody has an estimate, numbers are the booster's, no unfit model scores."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from shops import (
    BY_MODEL,
    add_events,
    add_feature,
    build,
    by_formula,
    copied,
    copy_project,
    day,
    execute,
    frame,
    one,
    purchase,
    query,
    with_project,
    with_vars,
)

from clv_ml import Predictor
from clv_ml.engines import SCORING, engine_of
from clv_ml.errors import BuildError, SettingsError
from clv_ml.learn import calibration
from clv_ml.learn.candidates import Choice
from clv_ml.learn.training import train
from clv_ml.model import registry
from clv_ml.model.model_files import load_model
from clv_ml.model.prediction import predict
from clv_ml.operate.promotion import switch_model
from clv_ml.pipeline import run
from clv_ml.serve import strongest_drivers
from clv_ml.serve.columns import feature_matrix
from clv_ml.serve.narrative import OTHERS
from clv_ml.serve.strongest_drivers import explain_batches
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import run_dbt

OUTPUTS = ["clv_predicted", "clv_typical", "churn_probability"]
INTERVAL = ["clv_low", "clv_high", "clv_prediction_confidence"]

CAUTIOUS = "model, with caution"  # the tests' shops are too small to be trusted, and say so


def _rebuild(settings: Settings) -> None:
    """The table of the feature that these tests change, and those that gather all of them."""
    build(settings, "--select", "customer_categories", "customer_features", "training_rows")


def _rescore(settings: Settings) -> None:
    run_dbt(settings, ["run", "--select", "scoring_rows", *SCORING])


def _methods(settings: Settings) -> dict[str, int]:
    return dict(query(settings, "select clv_method, count(*) from customer_clv group by all"))


def _clv(settings: Settings) -> list[tuple]:
    return query(settings, "select * from customer_clv order by customer_id")


def _every_customer_has_an_estimate(settings: Settings) -> bool:
    return one(
        settings,
        "select count(*) = (select count(distinct customer_id) from int_spine as s "
        "inner join as_of_dates as d on d.as_of_date = s.as_of_date and d.is_scoring_date) "
        "and count(*) = count(clv_estimate) and count(*) = count(distinct customer_id) from customer_clv",
    )


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(bytes(content))


def _version(settings: Settings) -> str:
    pointer = registry.champion(settings.models)
    assert pointer is not None
    return pointer.version


def test_every_customer_has_a_row_and_an_estimate(trained: Settings):
    """
    Buyers are scored by the model; who never bought has 0 by method no_purchase; nobody is missing or NULL.
    """
    assert _every_customer_has_an_estimate(trained)
    assert set(_methods(trained)) - BY_MODEL - {"returned"} == {"no_purchase"}
    wrong = (
        "select count(*) from customer_clv where (clv_method like 'model%') <> (total_purchases > 0) "
        "or (clv_method like 'model%' and clv_estimate <> round(clv_predicted, 2)) "
        "or (clv_method = 'no_purchase' and clv_estimate <> 0)"
    )
    assert one(trained, wrong) == 0


def test_each_row_says_which_model_and_when(trained: Settings):
    """
    Version, date, feature hash and time of scoring stand beside each prediction; the interval is ordered.
    """
    rows = query(
        trained,
        "select distinct clv_model_version, as_of_date, feature_hash, scored_at is not null, "
        "clv_low <= clv_high from customer_clv where clv_method like 'model%'",
    )
    manifest = load_model(trained.models / _version(trained)).manifest
    as_of = one(trained, "select as_of_date from as_of_dates where is_scoring_date")

    assert rows == [(manifest.version, as_of, manifest.feature_hash, True, True)]


def test_sql_gives_the_predictors_numbers_bit_for_bit(trained: Settings):
    """
    A batch and every tenth customer alone, through Python, equal what the database holds exactly.
    """
    predictor = Predictor.load(trained.models)
    rows = frame(trained, "select * from scoring_rows order by customer_id")
    names = [*OUTPUTS, *INTERVAL]
    stored = frame(trained, f"select {', '.join(names)} from customer_predictions order by customer_id")

    batch = predictor.predict_batch(rows)

    assert len(batch) > 100
    np.testing.assert_array_equal(batch[names], stored)
    for number in range(0, len(rows), 10):
        alone = predictor.predict(rows.iloc[number].to_dict())
        assert [alone[name] for name in names] == stored.iloc[number].tolist()


def test_sql_gives_lightgbms_numbers(trained: Settings):
    """
    The boosters' own `predict`, through the formula in numpy, agrees with the database to 1e-9 of the value
    (of 0.01 below that): the graph adds up in another order.
    """
    model = load_model(trained.models / _version(trained))
    rows = frame(trained, "select * from scoring_rows order by customer_id")
    stored = frame(trained, f"select {', '.join(OUTPUTS)} from customer_predictions order by customer_id")
    features = np.column_stack([rows[name].astype(float) for name in model.manifest.feature_names])

    expected = predict(model.recipe, features, rows[model.manifest.anchor].astype(float).to_numpy())

    for name in OUTPUTS:
        difference = np.abs(expected[name] - stored[name]) / np.maximum(np.abs(expected[name]), 0.01)
        assert difference.max() <= 1e-9, name


def test_drivers_add_up_to_the_prediction(trained: Settings):
    """
    The base and all contributions of a customer, and the base, three drivers and the rest in customer_clv.
    """
    narrow = query(
        trained,
        "select max(abs(p.clv_predicted - d.total) / greatest(1, abs(p.clv_predicted))) "
        "from customer_predictions as p inner join (select customer_id, "
        "sum(contribution) + max(driver_base) as total from customer_drivers group by customer_id) as d "
        "on d.customer_id = p.customer_id",
    )
    wide = one(
        trained,
        "select max(abs(clv_predicted - driver_base - driver_1_contribution - driver_2_contribution "
        "- driver_3_contribution - driver_rest)) from customer_clv where clv_method like 'model%'",
    )

    assert narrow[0][0] < 1e-9
    assert wide < 1e-6
    assert (
        one(
            trained,
            "select count(*) from customer_clv where clv_method like 'model%' and driver_3_name is null",
        )
        == 0
    )


def test_drivers_are_ranked_by_size_and_written_out(trained: Settings):
    """
    Rank 1 is the largest in absolute terms; clv_top_features names the three with their signed amounts.
    """
    ordered = (
        "select count(*) from customer_clv where abs(driver_1_contribution) < abs(driver_2_contribution) "
        "or abs(driver_2_contribution) < abs(driver_3_contribution)"
    )
    texts = query(
        trained,
        "select clv_top_features, driver_1_name, driver_1_contribution from customer_clv "
        "where clv_method like 'model%'",
    )

    assert one(trained, ordered) == 0
    for text, name, contribution in texts:
        first, *others = text.split("; ")
        assert len(others) == 2
        assert first.startswith(f"{name} (")
        assert float(first.split("(")[1].rstrip(")")) == pytest.approx(contribution, abs=0.0051)


def test_drivers_in_sql_are_those_of_the_predictor(trained: Settings):
    """
    `Predictor.explain` of a customer: the ten strongest contributions are stored, and one row carries all
    others.
    """
    predictor = Predictor.load(trained.models)
    rows = frame(trained, "select * from scoring_rows order by customer_id limit 3")

    for row in rows.to_dict("records"):
        explanation = predictor.explain(row)
        stored = dict(
            query(
                trained,
                "select coalesce(driver_column, driver_name), contribution from customer_drivers "
                f"where customer_id = '{row['customer_id']}'",
            )
        )
        rest = stored.pop(OTHERS)
        others = [value for name, value in explanation.contributions.items() if name not in stored]
        assert len(stored) == 10
        assert stored == pytest.approx(
            {name: explanation.contributions[name] for name in stored}, rel=1e-12, abs=1e-12
        )
        assert rest == pytest.approx(sum(others), rel=1e-9, abs=1e-9)
        assert max(map(abs, others)) <= min(map(abs, stored.values()))


def test_drivers_do_not_depend_on_batch_or_threads(trained: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    All customers in one list on one thread, or in lists of seven and blocks of three on two: the same bits.
    """
    model = registry.load(trained.models)
    assert model is not None
    monkeypatch.setattr(strongest_drivers, "BLOCK_ROWS", 3)
    rows = frame(trained, "select * from scoring_rows order by customer_id limit 40")
    structs = rows[["customer_id", *model.manifest.explained_columns]].to_dict("records")
    kind = pa.list_(
        pa.struct(
            [("customer_id", pa.string()), *((c, pa.float64()) for c in model.manifest.explained_columns)]
        )
    )
    structs = [{k: v if k == "customer_id" else float(v) for k, v in row.items()} for row in structs]
    sevens = [structs[start : start + 7] for start in range(0, len(structs), 7)]

    split = explain_batches(model, pa.array(sevens, kind), kept=4, threads=2)
    monkeypatch.setattr(strongest_drivers, "BLOCK_ROWS", 1000)
    whole = explain_batches(model, pa.array([structs], kind), kept=4, threads=1)

    assert split.flatten().equals(whole.flatten())
    assert len(whole.flatten()) == 40 * 5


ENGINE = (
    "anchor",
    "persisten",
    "probabilis",
    "level",
    "floor",
    "btyd",
    "nbd",
    "bayes",
    "baseline",
    "odds",
    "_",
)
"""What belongs to the model, not to the customer, and no column's name either."""


def test_drivers_are_facts_about_the_customer(trained: Settings):
    """
    No part of the model and no column name is in any driver or sentence; SQL names have a column of their
    own, and it is one of the features.
    """
    said = query(
        trained,
        "select distinct driver_name from customer_drivers union all "
        "select distinct unnest([driver_1_name, driver_2_name, driver_3_name]) from customer_clv union all "
        "select clv_top_features from customer_clv union all select narrative from customer_narratives",
    )
    used = "select distinct driver_column from customer_drivers where driver_column is not null"
    known = query(trained, "select column_name from (describe customer_features)")

    texts = [text for (text,) in said if text]
    assert len(texts) > 400
    assert [text for text in texts if any(word in text.lower() for word in ENGINE)] == []
    assert set(query(trained, used)) <= set(known)
    names = "select count(distinct driver_name) = count(distinct driver_column) from customer_drivers"
    assert one(trained, f"{names} where driver_column is not null")


def test_a_published_baseline_has_three_drivers(trained_copy: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Where BTYD is published, what its formula is made of are the drivers, as facts; with the base they make up
    the prediction.
    """
    monkeypatch.setattr(calibration, "choose_candidate", lambda *_: Choice("btyd", "for this test"))
    train(trained_copy)
    _rescore(trained_copy)

    rows = query(
        trained_copy,
        "select clv_predicted, driver_base + driver_1_contribution + driver_2_contribution + "
        "driver_3_contribution, driver_rest, driver_base, "
        "list_sort([driver_1_name, driver_2_name, driver_3_name]) from customer_clv where clv_predicted > 0",
    )

    assert len(rows) > 100
    assert len({round(base, 6) for *_, base, _ in rows}) == 1
    for predicted, added, rest, _, names in rows:
        assert names == ["how often they buy", "how recently they bought", "spend per order"]
        assert (added, rest) == pytest.approx((predicted, 0.0), abs=1e-9)


@pytest.mark.long
def test_a_new_day_is_scored_beside_the_old(trained_copy: Settings):
    """
    New events and another ``clv run``: the later scoring date gets predictions of its own, those of the day
    before stay untouched. The model in use goes on scoring: training is due only where there is none.
    """
    first = one(trained_copy, "select max(as_of_date) from customer_predictions")
    kept = f"select * from customer_predictions where as_of_date = '{first}' order by customer_id"
    before = query(trained_copy, kept)
    moment = day(0).replace(year=first.year, month=first.month, day=first.day, hour=9)
    add_events(trained_copy, [purchase("newcomer", moment, 25, event_id="new")])

    result = run(trained_copy)

    assert query(trained_copy, kept) == before
    assert one(trained_copy, "select count(distinct as_of_date) from customer_predictions") == 2
    assert one(trained_copy, "select clv_method from customer_clv where customer_id = 'newcomer'") in BY_MODEL
    assert result.training is None
    assert result.scoring.methods[CAUTIOUS] > 100
    assert engine_of(trained_copy).training_is_due() is False
    shutil.rmtree(trained_copy.models)
    assert engine_of(trained_copy).training_is_due() is True


def test_without_a_model_the_best_baseline_stands_in(simulated_copy: Settings):
    """
    Before any training everything builds: clv_estimate is the baseline that missed least on the dates whose
    horizon is past, by a deviance that is computed anew here from the baselines and the labels; bounds and
    churn were measured there, so they hold about as much of those dates as they say.
    """
    build(simulated_copy)

    ranked = query(simulated_copy, "select estimator, relative_deviance from baseline_ranking order by place")
    past = frame(
        simulated_copy,
        "select baselines.* replace (greatest(persistence_value, 0) as persistence_value), label_revenue "
        "from customer_baselines as baselines inner join customer_labels using (customer_id, as_of_date)",
    )
    columns = {name: f"{name}_value" for name, _ in ranked}
    root = np.sqrt(np.maximum(past.label_revenue.astype(float), 0))
    deviance = {}
    for name, column in columns.items():
        value = past[column].astype(float)
        mixed = np.maximum(0.01, 0.98 * value + 0.02 * value.groupby(past.as_of_date).transform("mean"))
        missed = ((root - np.sqrt(mixed)) ** 2 / np.sqrt(mixed)).groupby(past.as_of_date)
        deviance[name] = missed.sum()[missed.count() == missed.size()]
    for name, relative in ranked:
        same_dates = deviance["simple"][deviance[name].index]
        assert relative == pytest.approx(deviance[name].sum() / same_dates.sum(), rel=1e-4)  # of millionths
    assert ranked[0][1] == min(relative for _, relative in ranked) < 1
    assert _every_customer_has_an_estimate(simulated_copy)
    methods = set(_methods(simulated_copy)) - {"returned"}
    assert methods == {by_formula(simulated_copy, "no model"), "no_purchase"}
    other = (
        "select count(*) from customer_clv inner join customer_baselines using (customer_id, as_of_date) "
        f"where clv_estimate <> greatest({columns[ranked[0][0]]}, 0) or clv_low > clv_high "
        "or clv_low is null or churn_probability is null"
    )
    assert one(simulated_copy, other) == 0
    assert one(simulated_copy, "select count(clv_predicted) + count(driver_1_name) from customer_clv") == 0


@pytest.mark.long
def test_the_model_can_be_switched_off_and_on(trained_copy: Settings):
    """
    use_ml_clv false gives the simple estimate and says why; true again gives the same rows as before.
    """
    before = _clv(trained_copy)

    _rescore(with_vars(trained_copy, use_ml_clv=False))
    off = _methods(trained_copy)
    without = one(trained_copy, "select count(clv_predicted) from customer_clv")
    _rescore(trained_copy)

    assert set(off) - {"returned"} == {by_formula(trained_copy, "model switched off"), "no_purchase"}
    assert without == 0
    assert _clv(trained_copy) == before


@pytest.mark.parametrize(
    "file",
    [
        "model.onnx",
        pytest.param("chance.txt", marks=pytest.mark.long),
        pytest.param("manifest.json", marks=pytest.mark.long),
    ],
)
def test_a_damaged_model_is_refused_or_replaced_by_the_simple_formula(trained_copy: Settings, file: str):
    """
    One flipped bit: the run fails by name and the last scores stand; with fallback_to_simple every row says
    that the model was refused, and the summary counts them.
    """
    before = _clv(trained_copy)
    _flip_a_byte(trained_copy.models / _version(trained_copy) / file)

    with pytest.raises(BuildError, match=file):
        _rescore(trained_copy)
    untouched = _clv(trained_copy)
    result = engine_of(with_vars(trained_copy, fallback_to_simple=True)).score()

    assert untouched == before
    assert set(_methods(trained_copy)) - {"returned"} == {
        by_formula(trained_copy, "model refused"),
        "no_purchase",
    }
    assert result.methods == _methods(trained_copy)
    assert result.model_version is None
    assert _every_customer_has_an_estimate(trained_copy)


def test_a_damaged_model_does_not_stop_the_features(trained_copy: Settings):
    """
    Features refresh whatever became of the model.
    """
    _flip_a_byte(trained_copy.models / _version(trained_copy) / "model.onnx")

    execute(trained_copy, "delete from customer_features")

    _rebuild(trained_copy)

    assert one(trained_copy, "select count(*) > 0 from customer_features")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("horizon_days", 61, r"predicts 60 days, but horizon_days is 61\. Retrain it \(clv train\)"),
        (
            "reporting_currency",
            "USD",
            r"predicts GBP, but reporting_currency is USD\. Retrain it \(clv train\)",
        ),
    ],
)
def test_a_model_for_another_question_is_refused(
    trained_copy: Settings, setting: str, value: object, message: str
):
    """
    Another horizon or currency is not scored over in silence.
    """
    with pytest.raises(BuildError, match=message):
        _rescore(with_vars(trained_copy, **{setting: value}))


@pytest.fixture(scope="module")
def with_new_feature(
    simulated: Settings, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Path]:
    """A project with one SQL column more, and a shop trained under it."""
    folder = tmp_path_factory.mktemp("feature")
    extended = copy_project(project, folder / "project")
    add_feature(extended, "spread.category_diversity_count * 2", "int")
    settings = with_project(copied(simulated, folder / "shop"), extended)
    engine_of(settings).build_features()
    train(settings)
    engine_of(settings).score()
    return settings, extended


def test_a_feature_is_one_column_and_its_description(with_new_feature: tuple[Settings, Path]):
    """
    Nothing else is edited: the stored dates rebuild under plain dbt, the next model has the column, and it
    scores.
    """
    settings, _ = with_new_feature

    assert "doubled_category_count" in Predictor.load(settings.models).columns
    assert one(
        settings,
        "select count(distinct as_of_date) > 3 from customer_features where doubled_category_count > 0",
    )
    assert BY_MODEL & set(_methods(settings))


@pytest.mark.long
def test_a_missing_feature_is_refused_by_name(
    with_new_feature: tuple[Settings, Path], project: Path, bench: Path
):
    """
    A column that the model needs and the tables lack is named; with fallback_to_simple the simple formula
    stands in.
    """
    settings = with_project(copied(with_new_feature[0], bench), project)
    _rebuild(settings)

    with pytest.raises(BuildError, match="doubled_category_count is missing"):
        _rescore(settings)
    _rescore(with_vars(settings, fallback_to_simple=True))

    assert set(_methods(settings)) - {"returned"} == {by_formula(settings, "model refused"), "no_purchase"}


@pytest.mark.parametrize(
    ("expression", "data_type", "message"),
    [
        ("spread.category_diversity_count * 2", "double", "doubled_category_count is double, not integer"),
        pytest.param(
            "spread.category_diversity_count * 3",
            "int",
            "other feature definitions; changed since: customer_categories",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_changed_feature_is_refused_by_name(
    with_new_feature: tuple[Settings, Path],
    own_project: Path,
    bench: Path,
    expression: str,
    data_type: str,
    message: str,
):
    """
    Another type, or the same type with another meaning, is not scored.
    """
    add_feature(own_project, expression, data_type)
    settings = with_project(copied(with_new_feature[0], bench), own_project)
    _rebuild(settings)

    with pytest.raises(BuildError, match=message):
        _rescore(settings)


@pytest.fixture(scope="module")
def two_models(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str, str]:
    """The shop with a lightgbm model and, as champion, a ridge; scored by the latter."""
    settings = copied(trained, tmp_path_factory.mktemp("two"))
    first = _version(settings)
    second = train(settings, "ridge").version
    _rescore(settings)
    return settings, first, second


@pytest.mark.long
def test_a_version_can_be_pinned(two_models: tuple[Settings, str, str], trained: Settings, bench: Path):
    """
    model_version scores with that version, champion or not, and gives the numbers it gave as champion.
    """
    settings, first, second = copied(two_models[0], bench), *two_models[1:]
    by_champion = query(
        settings, "select distinct clv_model_version from customer_clv where clv_method like 'model%'"
    )

    _rescore(with_vars(settings, model_version=first))

    numbers = (
        "select customer_id, clv_predicted, clv_model_version, clv_top_features from customer_clv order by 1"
    )
    assert by_champion == [(second,)]
    assert query(settings, numbers) == query(trained, numbers)


def test_a_pinned_version_that_is_not_there_is_refused(two_models: tuple[Settings, str, str]):
    """
    By name, and so is a name that reaches out of the folder.
    """
    settings = two_models[0]

    with pytest.raises(BuildError, match="ridge-19700101-00000000"):
        _rescore(with_vars(settings, model_version="ridge-19700101-00000000"))
    with pytest.raises((BuildError, SettingsError)):
        _rescore(with_vars(settings, model_version="../../etc"))


@pytest.mark.long
def test_rollback_returns_to_the_former_numbers(
    two_models: tuple[Settings, str, str], trained: Settings, bench: Path
):
    """
    After a rollback the next run scores by the champion before, and the registry says so.
    """
    settings, first = copied(two_models[0], bench), two_models[1]

    switch_model(settings, None, "worse than before")
    _rescore(settings)

    numbers = "select customer_id, clv_predicted, clv_model_version from customer_clv order by 1"
    assert query(settings, numbers) == query(trained, numbers)
    assert query(settings, "select version from model_registry where is_champion") == [(first,)]


def test_columns_the_model_does_not_use_are_ignored(trained: Settings):
    """
    The scoring table has more columns than the model: keys, excluded features and text.
    """
    predictor = Predictor.load(trained.models)
    rows = frame(trained, "select * from scoring_rows order by customer_id limit 50")
    narrow = rows[list(predictor.columns)]

    np.testing.assert_array_equal(predictor.predict_batch(rows), predictor.predict_batch(narrow))
    assert len(narrow.columns) < len(rows.columns)


def test_a_null_is_a_missing_value_and_not_a_zero(trained: Settings):
    """
    One-time buyers have NULL intervals and are scored all the same; the matrix holds NaN for them.
    """
    predictor = Predictor.load(trained.models)
    with_gap = frame(
        trained, "select * from scoring_rows where interval_mean_days is null order by customer_id limit 5"
    )

    found = predictor.predict_batch(with_gap)

    assert len(found) == 5
    assert found.notna().all().all()
    assert np.isnan(feature_matrix(pa.Table.from_pandas(with_gap), ("interval_mean_days",), "x")).all()
