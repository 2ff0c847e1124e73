"""
Which model is in use: what people look at speaks of the model that scored, be it pinned, switched off or
challenged.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from shops import BY_MODEL, by_formula, copied, execute, frame, one, query, with_unchecked_vars, with_vars
from small_models import anchors, description, recipe, rows
from typer.testing import CliRunner, Result

from clv_ml.cli import app
from clv_ml.engines import engine_of
from clv_ml.errors import BuildError, ModelError
from clv_ml.learn.training import train
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.manifest_files import load_manifest
from clv_ml.model.model_files import write_model
from clv_ml.model.model_in_use import why_training_is_due
from clv_ml.model.scoring_plan import column_type, scoring_plan
from clv_ml.operate.customers import explain_customer
from clv_ml.operate.doctor import Finding, examine
from clv_ml.operate.report_facts import read_facts
from clv_ml.operate.scores import scoring_result
from clv_ml.operate.value_changes import compare_models, value_changes
from clv_ml.settings import Settings
from clv_ml.show.report import notices
from clv_ml.warehouse.dbt_runner import run_dbt

DAYS_BEFORE = 70
"""How long ago the shop was scored before: a horizon of 60 days is past since."""


@dataclass(frozen=True)
class TwoVersions:
    """A scored shop whose champion is ``second``, with ``first`` beside it."""

    settings: Settings
    first: str
    second: str

    @property
    def today(self) -> date:
        """The scoring date."""
        return one(self.settings, "select as_of_date from as_of_dates where is_scoring_date")

    def manifest(self, version: str) -> Manifest:
        """What a version says of itself."""
        return load_manifest(self.settings.models / version)[0]


@pytest.fixture(scope="module")
def pinned(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> TwoVersions:
    """
    The trained shop, whose first model is pinned while another is champion; the first one scored 70 days ago
    as well. Nobody changes it.
    """
    settings = copied(trained, tmp_path_factory.mktemp("pinned"))
    first = one(settings, "select max(clv_model_version) from customer_clv")
    second = train(settings, "ridge").version
    execute(
        settings,
        *(
            f"insert into {table} select * replace (as_of_date - {DAYS_BEFORE} as as_of_date) from {table}"
            for table in ("customer_predictions", "customer_drivers")
        ),
    )
    settings = with_vars(settings, model_version=first)
    engine_of(settings).score()
    return TwoVersions(settings, first, second)


@pytest.fixture(scope="module")
def switched_off(pinned: TwoVersions, tmp_path_factory: pytest.TempPathFactory) -> TwoVersions:
    """The same shop, scored with ``use_ml_clv`` false; both versions are there."""
    settings = copied(pinned.settings, tmp_path_factory.mktemp("off"))
    settings = with_vars(settings, use_ml_clv=False, model_version="champion")
    engine_of(settings).score()
    return replace(pinned, settings=settings)


@pytest.fixture
def clv(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on the places of a shop, with its vars as the project's file would have them."""

    def run(settings: Settings, *arguments: str) -> Result:
        monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
        monkeypatch.setenv("CLV_MODELS", str(settings.models))
        monkeypatch.setattr("clv_ml.cli.models.settings_of", lambda *_, **__: settings)
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return run


def finding(settings: Settings, name: str) -> Finding:
    """What ``clv doctor`` finds under a name."""
    return next(found for found in examine(settings) if found.name == name)


def test_the_report_describes_the_pinned_model(pinned: TwoVersions):
    """
    Model card, figures on the test dates, tenths and dates are those of the version whose scores stand in
    customer_clv, not the champion's.
    """
    facts = read_facts(pinned.settings)

    manifest = pinned.manifest(pinned.first)
    assert facts.model["version"] == pinned.first
    assert facts.model["model_type"] == "lightgbm"
    figures = {row["estimator"]: row for row in facts.rows("metrics")}
    assert figures["model"]["r2"] == manifest.metrics["model"]["r2"]
    assert figures["model"]["r2"] != pinned.manifest(pinned.second).metrics["model"]["r2"]
    tenths = {name: of for name, of in manifest.metrics.items() if name.startswith("decile_")}
    assert [row["predicted_mean"] for row in facts.rows("deciles")] == [
        tenths[row["decile"]]["predicted_mean"] for row in facts.rows("deciles")
    ]
    assert len(facts.rows("deciles")) == len(tenths) == 10
    assert facts.dates == manifest.training_dates


def test_the_caution_is_that_of_the_model_that_scored(pinned: TwoVersions, tmp_path: Path):
    """
    Of two versions in a folder, one cautious, the summary of a scoring repeats what the scoring one says.
    """
    models = tmp_path / "models"
    for version, parameters in (("v1", {"caution": "few customers"}), ("v2", {})):
        write_model(models, recipe(), description(version, parameters=parameters), rows(), anchors())
    registry.promote(models, "v2", "for a test")
    settings = pinned.settings.model_copy(update={"models": models})
    scored = {
        version: scoring_result(settings, [("model", 1, 1.0, pinned.today, version, None, 0, 60, "GBP")])
        for version in ("v1", "v2", None)
    }

    assert {version: result.caution for version, result in scored.items()} == {
        "v1": "few customers",
        "v2": None,
        None: None,
    }


def test_the_doctor_examines_the_pinned_model(pinned: TwoVersions):
    """
    Model, scores and drift are those of the pinned version, and nothing is wrong with them.
    """
    found = {one.name: one for one in examine(pinned.settings)}

    assert found["model"].details["version"] == pinned.first
    assert found["model"].details["is_pinned"] and "(pinned)" in found["model"].text
    assert found["scores"].details["model_version"] == pinned.first
    assert found["scores"].status == "ok"
    features = len(pinned.manifest(pinned.first).features)
    assert found["drift"].details["compared"] > features
    assert found["accuracy"].details["model"]["as_of_date"] == pinned.today - timedelta(days=DAYS_BEFORE)


def test_the_doctor_says_that_a_pinned_model_does_not_fit(pinned: TwoVersions):
    """
    Scoring would refuse it, by the same words; training anew would not help, since it stays pinned.
    """
    asked = with_vars(pinned.settings, horizon_days=61)

    found = finding(asked, "model")

    assert found.status == "warn"
    assert "predicts 60 days, but horizon_days is 61" in found.text
    assert "model_version" in found.text and "clv train" not in found.text


def test_the_doctor_says_that_another_model_scored_than_the_one_in_use(pinned: TwoVersions):
    """
    Without the pin, the champion is in use, and customer_clv still holds what the other version said.
    """
    found = finding(with_vars(pinned.settings, model_version="champion"), "scores")

    assert found.status == "warn"
    assert pinned.first in found.text and pinned.second in found.text and "clv score" in found.text


def test_a_customer_is_explained_by_the_pinned_model(pinned: TwoVersions):
    """
    Version, value and drivers are that model's; drivers add up to the value.
    """
    customer, predicted = query(
        pinned.settings,
        "select customer_id, clv_predicted from customer_predictions where as_of_date = "
        f"date '{pinned.today}' order by clv_predicted desc limit 1",
    )[0]

    found = explain_customer(pinned.settings, customer)

    assert found.clv_model_version == pinned.first
    assert found.base is not None
    # contributions are doubles, rounded nowhere
    total = found.base + sum(driver.contribution for driver in found.drivers)
    assert total == pytest.approx(predicted, rel=1e-9)


def test_dates_are_compared_by_what_the_pinned_model_said(pinned: TwoVersions):
    """
    ``clv diff`` names the versions that scored the two dates.
    """
    changes = value_changes(pinned.settings, pinned.today - timedelta(days=DAYS_BEFORE), pinned.today)

    assert (changes.model_before, changes.model_after) == (pinned.first, pinned.first)
    assert not changes.is_other_model


@pytest.mark.parametrize(
    "sql",
    [
        "select distinct model_version from feature_drift",
        "select distinct model_version from prediction_drift where kind = 'output'",
        "select distinct model_version from clv_accuracy where estimator in ('model', 'typical')",
        "select distinct model_version from calibration",
        "select distinct clv_model_version from customer_clv where clv_method like 'model%'",
    ],
)
def test_marts_are_of_the_pinned_model(pinned: TwoVersions, sql: str):
    """
    Drift, accuracy, bins and values carry the version that scored.
    """
    assert query(pinned.settings, sql) == [(pinned.first,)]


def test_segments_add_up_what_the_pinned_model_said(pinned: TwoVersions):
    """
    The total of all customers is the sum of the predictions of the version that scored, with an interval
    from its bins.
    """
    total, low, high = query(
        pinned.settings,
        "select predicted_total, predicted_total_low, predicted_total_high from segment_value "
        "where segmentation = 'all'",
    )[0]

    said = frame(
        pinned.settings,
        "select clv_predicted from customer_predictions "
        f"where model_version = '{pinned.first}' and as_of_date = date '{pinned.today}'",
    ).clv_predicted
    # summed in whole cents
    assert total == pytest.approx(said.sum(), abs=0.01 * len(said))
    assert low < total < high


def test_versions_are_listed_with_the_one_in_use(pinned: TwoVersions, clv: Callable[..., Result]):
    """
    The champion is one version and the one in use another; ``show`` says so too.
    """
    listed = {
        row["version"]: (row["is_champion"], row["is_in_use"])
        for row in json.loads(clv(pinned.settings, "models", "list", "--json").stdout)
    }
    shown = {
        version: clv(pinned.settings, "models", "show", version).stdout.splitlines()[0]
        for version in (pinned.first, pinned.second)
    }

    assert listed == {pinned.first: (False, True), pinned.second: (True, False)}
    assert "in use, pinned" in shown[pinned.first] and "champion" not in shown[pinned.first]
    assert "champion" in shown[pinned.second] and "in use" not in shown[pinned.second]
    assert "pinned" in clv(pinned.settings, "models", "list").stdout


def test_promoting_beside_a_pin_says_what_stays_in_use(
    pinned: TwoVersions, tmp_path: Path, clv: Callable[..., Result]
):
    """
    The champion changes, and the scores will not: the pin is named. Going back to the pinned version needs no
    word.
    """
    settings = copied(pinned.settings, tmp_path)

    said = " ".join(clv(settings, "models", "promote", pinned.second).stdout.split())
    back = " ".join(clv(settings, "models", "rollback").stdout.split())

    assert f"model_version pins {pinned.first}, which stays in use" in said
    assert back == f"Champion is now {pinned.first}."


def test_without_a_model_in_use_the_report_describes_none(switched_off: TwoVersions):
    """
    ``use_ml_clv`` is false: values are the simple formula, so no champion's figures stand beside them.
    """
    facts = read_facts(switched_off.settings)

    assert facts.model == {}
    assert facts.rows("metrics") == facts.rows("deciles") == facts.rows("importance") == []
    assert facts.dates == {}
    assert "No model predicts here" in notices(facts)[0]
    assert {row["clv_method"] for row in facts.rows("methods")} <= {
        by_formula(switched_off.settings, "model switched off"),
        "no_purchase",
        "returned",
    }


def test_without_a_model_in_use_nothing_is_due_or_compared(switched_off: TwoVersions):
    """
    The doctor says that the model is switched off, and does not ask to train; drift has nothing to compare.
    """
    found = {one.name: one for one in examine(with_vars(switched_off.settings, horizon_days=61))}

    assert found["model"].status == "ok"
    assert "use_ml_clv is false" in found["model"].text and switched_off.second in found["model"].text
    assert found["model"].details["version"] is None
    assert found["scores"].details["model_version"] is None
    assert query(switched_off.settings, "select count(*) from feature_drift") == [(0,)]
    assert why_training_is_due(with_vars(switched_off.settings, horizon_days=61)) is None


def test_without_a_model_in_use_no_version_is_listed_as_such(
    switched_off: TwoVersions, clv: Callable[..., Result]
):
    """
    The champion stays the champion.
    """
    listed = json.loads(clv(switched_off.settings, "models", "list", "--json").stdout)

    assert [(row["version"], row["is_in_use"]) for row in listed if row["is_champion"]] == [
        (switched_off.second, False)
    ]
    assert not any(row["is_in_use"] for row in listed)


@pytest.mark.long
def test_versions_are_compared_while_the_model_is_switched_off(switched_off: TwoVersions, tmp_path: Path):
    """
    Both are scored beside customer_clv, which stays the simple formula.
    """
    settings = copied(switched_off.settings, tmp_path)
    before = query(settings, "select * from customer_clv order by customer_id")

    changes = compare_models(settings, switched_off.first, switched_off.second)

    assert (changes.model_before, changes.model_after) == (switched_off.first, switched_off.second)
    assert query(settings, "select * from customer_clv order by customer_id") == before


def test_a_challenger_never_reaches_what_others_read(pinned: TwoVersions):
    """
    ``is_challenger`` with everything selected would build the marts from the challenger: it is refused.
    """
    beside = with_unchecked_vars(pinned.settings, model_version=pinned.second, is_challenger=True)

    with pytest.raises(BuildError, match=r"is_challenger .*customer_clv would be .*--select tag:challenger"):
        run_dbt(beside, ["run", "--select", "customer_clv"])
    assert query(pinned.settings, "select max(clv_model_version) from customer_clv") == [(pinned.first,)]


def asked(manifest: Manifest, **changes: Any) -> str:
    """What SQL tells of today, as if nothing had changed since the model was made, but for these changes."""
    settings = {
        "use_ml_clv": True,
        "horizon_days": manifest.horizon_days,
        "reporting_currency": manifest.reporting_currency,
        "annual_discount_rate": manifest.annual_discount_rate,
        "interval_coverage": manifest.calibration["coverage"],
        "confidence_floor": manifest.calibration["confidence_floor"],
    }
    types = {"integer": "INTEGER", "decimal": "DECIMAL(18,2)", "double": "DOUBLE"}
    columns = {feature.name: types[feature.type] for feature in manifest.features}
    definitions = dict(manifest.feature_definitions)
    parts = {"settings": settings, "columns": columns, "definitions": definitions}
    return json.dumps({part: {**of, **changes.get(part, {})} for part, of in parts.items()})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": {"horizon_days": 61}}, "predicts 60 days, but horizon_days is 61. Retrain it"),
        ({"settings": {"reporting_currency": "USD"}}, "predicts GBP, but reporting_currency is USD. Retrain"),
        (
            {"settings": {"annual_discount_rate": 0.1}},
            "discounts 0.0 a year, but annual_discount_",
        ),
        (
            {"settings": {"interval_coverage": 0.9}},
            "a share of 0.8, but interval_coverage is 0.9. Retrain it",
        ),
        ({"settings": {"confidence_floor": 5}}, "a floor of 1.0, but confidence_floor is 5. Retrain it"),
        ({"columns": {"refund_rate": "VARCHAR"}}, "refund_rate is varchar, not double. Retrain it"),
        ({"definitions": {"customer_rfm": "other"}}, "changed since: customer_rfm. Retrain it"),
    ],
)
def test_scoring_and_training_ask_for_the_same(pinned: TwoVersions, changes: dict[str, Any], said: str):
    """
    Whatever a model must fit is one list: SQL refuses by it, in words that name what changed.
    """
    manifest = pinned.manifest(pinned.first)

    plan = json.loads(scoring_plan(lambda: manifest, asked(manifest, **changes)))

    assert plan["method"] == "model refused" and plan["model"] is None
    assert said in plan["refusal"] and pinned.first in plan["refusal"]


def test_a_model_that_fits_scores(pinned: TwoVersions):
    """
    Also beside columns and definitions that it does not know, and settings that are no business of a model.
    """
    manifest = pinned.manifest(pinned.first)
    more = {"columns": {"other": "INTERVAL"}, "definitions": {"other": "x"}, "settings": {"drivers_kept": 4}}

    plan = json.loads(scoring_plan(lambda: manifest, asked(manifest, **more)))

    assert plan["method"] in BY_MODEL and plan["refusal"] is None
    assert plan["model"]["version"] == pinned.first


def test_a_model_that_is_missing_or_damaged_or_switched_off_does_not_score(pinned: TwoVersions):
    """
    Each is a way of scoring by the simple formula; one that is switched off is not even looked at.
    """
    manifest = pinned.manifest(pinned.first)

    def damaged() -> Manifest:
        raise ModelError("model.onnx is not the one that was published")

    off = asked(manifest, settings={"use_ml_clv": False})
    assert json.loads(scoring_plan(damaged, off))["method"] == "model switched off"
    assert json.loads(scoring_plan(None, asked(manifest)))["method"] == "no model"
    refused = json.loads(scoring_plan(damaged, asked(manifest)))
    assert refused["method"] == "model refused"
    assert refused["refusal"] == "model.onnx is not the one that was published"


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("INTEGER", "integer"),
        ("bigint", "integer"),
        ("UTINYINT", "integer"),
        ("HUGEINT", "integer"),
        ("DECIMAL(18,2)", "decimal"),
        ("decimal(7,6)", "decimal"),
        ("DOUBLE", "double"),
        ("float", "double"),
        ("BOOLEAN", "boolean"),
        ("INTERVAL", "interval"),
        ("VARCHAR", "varchar"),
        ("string", "string"),
    ],
)
def test_both_engines_types_have_the_manifests_names(dtype: str, expected: str):
    """
    A column has one type, whatever an engine calls it.
    """
    assert column_type(dtype) == expected
