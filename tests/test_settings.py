"""Settings stand once, in dbt_project.yml; whatever lies over them is checked by name, type and range."""

import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from payloads import PLAIN_NAMES, crafted_vars
from shops import ROOT, copied, edit, with_unchecked_vars, with_vars

from clv_ml.errors import BuildError, SettingsError
from clv_ml.model.manifest import VERSION_PATTERN
from clv_ml.serve.dbt_plugin import Plugin
from clv_ml.settings import (
    Settings,
    find_project,
    load_settings,
    parse_vars,
    setting_macros,
    setting_rules,
    vars_as_json,
)
from clv_ml.warehouse.dbt_runner import run_dbt


def test_defaults_are_those_of_the_project_file():
    """
    Nothing is repeated in Python: every setting it reads has the default of its rule.
    """
    rules = setting_rules(ROOT)

    found = load_settings(project=ROOT).vars.model_dump()

    assert found.pop("as_of_date") is None
    for name, value in found.items():
        default = rules[name]["default"]
        assert value == (tuple(default) if isinstance(default, list) else default), name


def test_a_setting_that_a_feature_reads_is_part_of_its_definition():
    """
    Whatever `models_sql/features` asks for is marked as changing features, so that changing it rebuilds every
    date.
    """
    hashed = {name for name, rule in setting_rules(ROOT).items() if rule.get("changes_features")}

    read = {
        name
        for path in (ROOT / "models_sql/features").glob("*.sql")
        for name in re.findall(r'setting\("([a-z_]+)"\)', path.read_text(encoding="utf-8"))
    }

    assert "small_shop_customers" in read
    assert read <= hashed


def test_a_version_that_can_be_pinned_is_one_that_can_be_published():
    """
    The setting `model_version` takes what a manifest takes as its version, and nothing else.
    """
    assert f"^{setting_rules(ROOT)['model_version']['allowed']['pattern']}$" == VERSION_PATTERN


def boundary_values(allowed: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Values of a rule that are just allowed, and values that are just not."""
    step = 1 if allowed["type"] == "integer" else 0.000001
    if allowed["type"] in ("integer", "number"):
        open_ends = "above" in allowed
        lower, upper = (
            allowed[end] for end in (("above", "below") if open_ends else ("at_least", "at_most"))
        )
        inside, outside = [lower + step, upper - step], [lower - step, upper + step]
        good, bad = ([*inside], [lower, upper, *outside]) if open_ends else ([lower, upper, *inside], outside)
        too_fine = good[0] + (0.5 if step == 1 else 0.0000000001)
        return good, [*bad, too_fine, str(good[0]), None, True, [], math.nan, math.inf, -math.inf]
    good, bad = BOUNDARIES[allowed["type"]]
    if allowed["type"] == "text":
        good = tuple(text for text in ("GBP", "channel") if re.fullmatch(allowed["pattern"], text))
    if re.fullmatch(allowed.get("pattern", "."), "") or allowed.get("or_empty"):
        good, bad = (*good, ""), tuple(value for value in bad if value != "")
    if "choices" in allowed:
        good = [*good, allowed["choices"], allowed["choices"][:1]]
        bad = [*bad, [allowed["choices"][0], "others"], [allowed["choices"]]]
    return list(good), list(bad)


TOMORROW = datetime.now(UTC).date() + timedelta(days=1)
BOUNDARIES: dict[str, tuple[tuple, tuple]] = {
    "boolean": ((True, False), ("true", 0, 1, None, [])),
    "date": (
        ("", "2024-02-29", date(2024, 2, 29), "1999-12-31", str(TOMORROW)),
        (
            "2023-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-1-1",
            str(TOMORROW + timedelta(days=1)),
            None,
            20240101,
        ),
    ),
    "text": (("GBP",), ("", "a b", "a'b", "GBP\n", "x" * 200, None, 1, True, ["GBP"])),
    "timezone": (
        ("UTC", "Europe/London", "Asia/Kolkata", "America/Argentina/Buenos_Aires"),
        ("Europe/Lodon", "europe/london", "+01:00", "UTC ", "", None, 1, ["UTC"]),
    ),
    "list": (([],), ("rfm", None, [1], [None], ["a b"], {"rfm": 1})),
    "days": (
        ([], [30], [3650, 1]),
        (30, "30", [0], [3651], [30, 30], [1.5], ["30"], [True], [None], {30: 1}),
    ),
    "attributes": (
        ({}, {"plan": "number"}, {"a" * 30: ["x" * 60]}),
        (None, [], "plan", {"a" * 31: "number"}, {"plan": []}, {"plan": ["x" * 61]}, {"plan": ["a!", "a?"]}),
    ),
}
"""By type of setting: values that are allowed, and values that are not."""


@pytest.mark.long
def test_dbt_and_clv_allow_the_same_values(empty_shop: Settings):
    """
    Every setting at its bounds and one step beyond: what dbt's own rendering of the rules refuses is what
    ``clv`` refuses, in the same words.
    """
    cases = [
        (name, value, is_good)
        for name, rule in setting_rules(ROOT).items()
        for is_good, values in zip((True, False), boundary_values(rule["allowed"]), strict=True)
        for value in values
    ]

    by_dbt = faults_by_dbt(empty_shop, [case[:2] for case in cases])

    assert len(cases) > 400
    assert {name for name, _, _ in cases} == set(setting_rules(ROOT))
    for (name, value, is_good), fault in zip(cases, by_dbt, strict=True):
        assert (fault == "") == is_good, (name, value, fault)
        assert refusal(name, value) == fault, (name, value)


def faults_by_dbt(settings: Settings, cases: list[tuple[str, Any]]) -> list[str]:
    """
    What the macro ``setting_fault`` says of each value under dbt, in one invocation; empty where it is
    allowed.
    """
    values = yaml.safe_dump([list(case) for case in cases])
    asked = (
        "{%- set answers = [] -%}"
        f"{{%- for name, value in fromyaml({json.dumps(values)}) -%}}"
        "{%- do answers.append(setting_fault(name, value, setting_rules()[name].allowed, run_started_at)) -%}"
        "{%- endfor -%}{{ tojson(answers) }}"
    )
    folders = ["--project-dir", str(settings.project), "--profiles-dir", str(settings.project)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
        found = dbtRunner().invoke(
            [
                "--quiet",
                "--no-populate-cache",
                "compile",
                *folders,
                "--vars",
                vars_as_json(settings),
                "--inline",
                asked,
            ]
        )
    DuckDBConnectionManager.close_all_connections()
    assert found.success, found.exception
    return json.loads(found.result.results[0].node.compiled_code)  # pyrefly: ignore[missing-attribute]


def refusal(name: str, value: Any) -> str:
    """What ``clv`` says of a value, without the place it was given in; empty where it takes it."""
    try:
        load_settings({name: value}, ROOT)
    except SettingsError as error:
        return str(error).removesuffix(" It was given by an option or in --vars.")
    return ""


def test_an_override_reaches_python_and_dbt(project: Path):
    """
    One value for both: typed for Python, as JSON for dbt's ``--vars``.
    """
    settings = load_settings({"horizon_days": 90, "as_of_date": "2024-05-01"}, project)

    assert (settings.vars.horizon_days, settings.vars.as_of_date) == (90, date(2024, 5, 1))
    assert yaml.safe_load(vars_as_json(settings)) == {"horizon_days": 90, "as_of_date": "2024-05-01"}


def test_an_unknown_setting_is_refused_with_the_known_ones(project: Path):
    """
    A misspelt name does not pass silently.
    """
    with pytest.raises(
        SettingsError, match=r"Unknown setting 'horizon_day'\. Did you mean horizon_days\? Known ones are"
    ):
        load_settings({"horizon_day": 90}, project)


def test_an_unknown_setting_of_the_project_is_refused_by_clv_and_dbt(own_project: Path, empty_shop: Settings):
    """
    A name misspelt in dbt_project.yml would leave the default in force without a word.
    """
    edit(own_project, "dbt_project.yml", "\nvars:\n", "\nvars:\n  reporting_curency: EUR\n")

    with pytest.raises(SettingsError, match=r"Did you mean reporting_currency\?.*dbt_project\.yml"):
        load_settings(project=own_project)
    with pytest.raises(BuildError, match=r"Unknown setting 'horizon_day' in --vars\. Known"):
        run_dbt(with_unchecked_vars(empty_shop, horizon_day=90), ["run", "--select", "int_today"])


DRAWN = {
    "reporting_currency": ["USD", "JPY"],
    "store_timezone": ["Asia/Tokyo", "America/New_York"],
    "feed_timezone": ["", "Europe/London"],
    "as_of_date": ["", "2024-06-01", "1999-12-31"],
    "excluded_features": [[], ["total_revenue"]],
    "horizons": [[], [7, 400], [365]],
    "channel_attribute": [""],
    "customer_attributes": [{}, {"channel": ["organic", "paid"], "household_size": "number"}],
}
"""Legal values of settings that have no bounds to draw between."""
LEFT_ALONE = {
    "raw_schema": "names other tables",
    "model_version": "names a file",
    "is_challenger": "renames what is built",
}


def drawn(name: str, allowed: dict[str, Any], random: Random) -> Any:
    """A legal value of a setting: near its lower bound, near its upper one, or between."""
    if name in DRAWN:
        return random.choice(DRAWN[name])
    if allowed["type"] == "boolean":
        return random.random() < 0.5
    if "choices" in allowed:
        return random.sample(allowed["choices"], random.randint(0, len(allowed["choices"])))
    lower, upper = (
        allowed[end] for end in (("above", "below") if "above" in allowed else ("at_least", "at_most"))
    )
    value = lower + (upper - lower) * random.choice((0.001, random.random() ** 4, 0.999))
    return round(value) if allowed["type"] == "integer" else round(value, 6)


@pytest.mark.long
@pytest.mark.parametrize("seed", [20])
def test_unit_tests_pass_under_every_legal_setting(trained: Settings, seed: int, tmp_path: Path):
    """
    A shop's settings are not what the shipped unit tests are about: each says which ones it needs, and the
    others are the defaults there. All settings are drawn at once.
    """
    random, rules = Random(seed), setting_rules(ROOT)
    values = {name: drawn(name, rules[name]["allowed"], random) for name in rules if name not in LEFT_ALONE}
    shop = with_vars(copied(trained, tmp_path / "shop"), **values)

    run_dbt(shop, ["test", "--select", "test_type:unit"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon_days", 0),
        ("horizon_days", "many"),
        ("horizon_days", -365),
        ("label_maturity_days", -1),
        ("reporting_currency", "pounds"),
        ("as_of_date", "tomorrow"),
        ("as_of_date", "2024-02-30"),
        ("as_of_date", "2999-01-01"),
        ("interval_coverage", 1.5),
        ("raw_schema", "raw; drop schema raw"),
        ("fallback_to_simple", "perhaps"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(project: Path, name: str, value: object):
    """
    Before anything is run, with the setting's name in the message.
    """
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value}, project)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("drivers_kept", 1),
        ("store_timezone", "UTC'; drop table raw.events; --"),
        ("feature_groups", "rfm"),
        ("seasonality_period_days", "365 + 1"),
        ("long_cycle_cv", "1.0) or (true"),
    ],
)
def test_dbt_refuses_a_crafted_value(empty_shop: Settings, project: Path, name: str, value: object):
    """
    Plain dbt is not asked by Python: it checks every setting before it builds anything, so that no text of
    one reaches a statement. The message says where the value was given.
    """
    crafted = with_unchecked_vars(empty_shop, **{name: value})

    with pytest.raises(
        BuildError, match=rf"Setting '{name}' is .*\. It must be .*\. It was given in --vars\."
    ):
        run_dbt(crafted, ["run", "--select", "int_today"])


def test_every_payload_is_refused():
    """
    Each setting with each payload: refused by name, unless the payload is a plain name, as a version may
    have. What passes has no sign that SQL, Jinja or a path gives a meaning to.
    """
    rules, ask, now = setting_rules(ROOT), setting_macros().setting_fault, datetime.now(UTC)
    outcomes = {
        (name, repr(payload)): ask(name, payload, rules[name]["allowed"], now)
        for name, payload in crafted_vars()
    }

    passed = {key for key, value in outcomes.items() if not value}
    assert passed == {("model_version", repr(text)) for text in PLAIN_NAMES}
    assert all(f"Setting '{name}' " in value for (name, _), value in outcomes.items() if value)
    assert all(len(value) < 400 for value in outcomes.values())


def test_what_is_wrong_is_said_in_plain_words(own_project: Path):
    """
    The setting, the value, what is allowed and where it was given; a fault of the file names the file.
    """
    with pytest.raises(SettingsError) as refused:
        load_settings({"drivers_kept": 1}, own_project)
    assert str(refused.value) == (
        "Setting 'drivers_kept' is 1. It must be a whole number from 3 to 1000. "
        "It was given by an option or in --vars."
    )

    edit(own_project, "dbt_project.yml", "\nvars:\n", "\nvars:\n  reporting_currency: pounds\n")
    with pytest.raises(SettingsError) as refused:
        load_settings({"drivers_kept": 3}, own_project)
    assert str(refused.value) == (
        "Setting 'reporting_currency' is 'pounds'. It must be three capital letters, such as GBP. "
        f"It was given in {own_project / 'dbt_project.yml'}."
    )


def test_the_rules_themselves_cannot_be_given(empty_shop: Settings):
    """
    Who may pass ``--vars`` cannot loosen what a setting may be.
    """
    rules = {"Prediction": {"drivers_kept": {"default": 1, "allowed": {"type": "integer", "at_least": 0}}}}

    with pytest.raises(SettingsError, match="Unknown setting 'setting_rules'"):
        load_settings({"setting_rules": rules}, ROOT)
    with pytest.raises(BuildError, match="setting_rules is no setting"):
        run_dbt(with_unchecked_vars(empty_shop, setting_rules=rules), ["run", "--select", "int_today"])


READ_WITHOUT_THE_MACRO = {
    "dbt_project/macros/settings.sql": ["name, rule.default", '"setting_rules"'],
    # macros are not known there; the plugin checks both, see clv_ml/serve/dbt_plugin.py
    "models_sql/staging/_staging__sources.yml": ["'raw_schema', var('setting_rules'"],
    "profiles.yml": ["'model_version', ''", "'raw_schema', ''"] * 2,
}


def test_no_setting_is_read_past_the_typed_macro():
    """
    A ``var(`` anywhere else in the project would let the text of ``--vars`` into SQL.
    """
    files = [ROOT / "profiles.yml", ROOT / "dbt_project.yml"]
    for folder in ("dbt_project", "models_sql"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".sql", ".yml", ".md")]
    found = {}
    for path in sorted(files):
        calls = re.findall(r"(?<![a-z_])var\((.*?)\)", path.read_text(encoding="utf-8"))
        if calls:
            found[str(path.relative_to(ROOT))] = calls

    assert found == READ_WITHOUT_THE_MACRO


@pytest.mark.parametrize("name", ["raw_schema", "model_version"])
@pytest.mark.parametrize("value", ['raw"; create table pwned as select 1; --', "../elsewhere", "a b"])
def test_what_is_read_outside_the_macro_is_refused_by_the_plugin(
    project: Path, monkeypatch, name: str, value: str
):
    """
    Before a connection is used, under every dbt command that has one.
    """
    monkeypatch.chdir(project)

    with pytest.raises(SettingsError, match=name):
        Plugin.create("clv_ml.serve.dbt_plugin", config={name: value})


@pytest.mark.parametrize("text", ["{horizon_days: 90", "90", "[a, b]", "just words"])
def test_vars_that_are_no_mapping_are_refused(text: str):
    """
    The message shows how to write them.
    """
    with pytest.raises(SettingsError, match=r"Write it as dbt does"):
        parse_vars(text)


def test_vars_may_be_yaml_or_json():
    """
    As dbt takes them; a YAML date becomes text again, nothing at all is no setting.
    """
    assert parse_vars("{as_of_date: 2024-05-01, horizon_days: 90}") == {
        "as_of_date": "2024-05-01",
        "horizon_days": 90,
    }
    assert parse_vars('{"use_ml_clv": false}') == {"use_ml_clv": False}
    assert parse_vars("") == {}


def test_places_come_from_the_environment(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """
    CLV_WAREHOUSE and CLV_MODELS name the file and the folder; a relative one lies in the project.
    """
    monkeypatch.setenv("CLV_WAREHOUSE", str(tmp_path / "other.duckdb"))
    monkeypatch.setenv("CLV_MODELS", "shelf")

    settings = load_settings(project=project)

    assert settings.warehouse == tmp_path / "other.duckdb"
    assert settings.models == project / "shelf"


def test_the_project_is_found_from_a_folder_inside_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    """
    From anywhere below, as dbt and git do.
    """
    monkeypatch.chdir(project / "models_sql" / "features")

    assert find_project() == project


def test_the_project_file_is_the_truth_for_a_run(own_project: Path):
    """
    A line under vars in dbt_project.yml is all it takes.
    """
    edit(own_project, "dbt_project.yml", "\nvars:\n", "\nvars:\n  horizon_days: 45\n")

    assert load_settings(project=own_project).vars.horizon_days == 45
