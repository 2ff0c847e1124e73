"""Settings stand once, in dbt_project.yml; whatever lies over them is checked by name, type and range."""

import json
import re
from datetime import date
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml
from payloads import crafted_vars
from shops import ROOT, edit

from clv_ml.errors import BuildError, SettingsError
from clv_ml.serve.dbt_plugin import Plugin
from clv_ml.settings import Settings, find_project, load_settings, parse_vars, vars_as_json
from clv_ml.warehouse.dbt_runner import run_dbt


def test_defaults_are_those_of_the_project_file():
    """
    Nothing is repeated in Python: every var it reads has the file's value.
    """
    declared = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]

    found = load_settings(project=ROOT).vars.model_dump()

    assert found.pop("as_of_date") is None
    for name, value in found.items():
        assert value == (tuple(declared[name]) if isinstance(declared[name], list) else declared[name]), name


def test_a_setting_that_a_feature_reads_is_part_of_its_definition():
    """
    Whatever `models_sql/features` asks for is in the text that the hash covers, so that changing it rebuilds
    every date.
    """
    macros = (ROOT / "dbt_project/macros/settings.sql").read_text(encoding="utf-8")
    hashed = set(re.findall(r'"([a-z_]+)"', macros.split("macro feature_settings")[1].split("]")[0]))

    read = {
        name
        for path in (ROOT / "models_sql/features").glob("*.sql")
        for name in re.findall(r'setting\("([a-z_]+)"\)', path.read_text(encoding="utf-8"))
    }

    assert "small_shop_customers" in read
    assert read <= hashed


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
        ("store_timezone", "UTC'; drop table raw.events; --"),
        ("feature_groups", "rfm"),
        ("seasonality_period_days", "365 + 1"),
        ("long_cycle_cv", "1.0) or (true"),
    ],
)
def test_dbt_refuses_a_crafted_value(empty_shop: Settings, project: Path, name: str, value: object):
    """
    What Python does not read is checked where SQL reads it: no text of a setting reaches a statement.
    """
    crafted = empty_shop.model_copy(update={"overrides": {name: value}})

    with pytest.raises(BuildError, match=f"Setting '{name}' must be of kind"):
        run_dbt(
            crafted,
            ["run", "--select", "customer_seasonality", "customer_behavior", "customer_clv", "as_of_dates"],
        )


def test_the_typed_macro_refuses_every_payload():
    """
    Each setting with each payload, the macro rendered as dbt renders it: refused by name, unless the payload
    is a value of the setting's kind (an empty date, say). What passes has no sign that SQL, Jinja or a path
    gives a meaning to.
    """
    outcomes = {(name, repr(payload)): rendered_setting(name, payload) for name, payload in crafted_vars()}

    assert {key: value for key, value in outcomes.items() if not str(value).startswith("refused: ")} == {}
    assert all(f"Setting '{name}' " in value for (name, _), value in outcomes.items())
    assert rendered_setting("horizon_days", 90) == 90
    assert rendered_setting("interval_coverage", 0.8) == 0.8
    assert rendered_setting("store_timezone", "Europe/London") == "Europe/London"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon_days", 0),
        ("seasonality_period_days", 0),
        *((name, value) for name in ("interval_coverage", "test_size") for value in (0, 0.0, 1, 5)),
    ],
)
def test_sql_refuses_a_number_out_of_range(name: str, value: float):
    """
    Plain dbt is not asked by Python: a horizon or season of no days, and shares that are none, are refused
    where SQL reads them.
    """
    assert str(rendered_setting(name, value)).startswith(f"refused: Setting '{name}' must be of kind")


class _ReturnedError(Exception):
    """Carries what a macro returns, as dbt's own does."""


def rendered_setting(name: str, value: Any) -> Any:
    """What the macro ``setting`` returns for a var of this value, or ``refused: `` and its message."""

    def give(value: Any) -> None:
        raise _ReturnedError(value)

    def refuse(message: str) -> None:
        raise SettingsError(message)

    try:
        _setting_macro().render(
            name=name,
            var=lambda _: value,
            modules=SimpleNamespace(re=re),
            exceptions=SimpleNamespace(raise_compiler_error=refuse),
            **{"return": give},
        )
    except _ReturnedError as returned:
        return returned.args[0]
    except SettingsError as error:
        return f"refused: {error}"
    raise AssertionError("the macro returned nothing")


@cache
def _setting_macro() -> jinja2.Template:
    """A call of the macro ``setting``, compiled once."""
    macros = ROOT / "dbt_project" / "macros"
    text = (macros / "settings.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.filters["tojson"] = json.dumps
    kinds_text = re.search(r"macro setting_kinds.*?return\((\{.*?\})\)", text, flags=re.DOTALL)
    assert kinds_text is not None
    # dbt's `return` gives a macro's value, where plain Jinja gives its text
    environment.globals["setting_kinds"] = lambda: json.loads(kinds_text.group(1))
    body = text[: text.index("{#- The kind of every setting")] + "{{ setting(name) }}"
    return environment.from_string((macros / "attributes.sql").read_text(encoding="utf-8") + body)


READ_WITHOUT_THE_MACRO = {
    "dbt_project/macros/settings.sql": ["name"],
    # macros are not known there; the plugin checks both, see clv_ml/serve/dbt_plugin.py
    "models_sql/staging/_staging__sources.yml": ["'raw_schema'"],
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
    Editing a var in dbt_project.yml is all it takes.
    """
    edit(own_project, "dbt_project.yml", "horizon_days: 365", "horizon_days: 45")

    assert load_settings(project=own_project).vars.horizon_days == 45
