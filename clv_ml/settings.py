"""
Settings: what ``dbt_project.yml`` and a run's overrides say, and where warehouse and models are.

Meaning, bounds and defaults stand once, in the var ``setting_rules``; what a rule says of a value in the dbt
macro ``setting_fault``, which is rendered here.
"""

import datetime as datetime_module
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytz
import yaml
from jinja2 import Environment
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clv_ml.errors import SettingsError
from clv_ml.folders import DBT_FOLDER, MODELS_FOLDER, PACKAGE_FOLDER

PROJECT_FILE = "dbt_project.yml"
PACKAGE_NAME = "clv"
"""What the dbt package is called."""
SCHEMA_NAME = "[A-Za-z][A-Za-z0-9_]{0,62}"
"""What a schema may be called, since dbt and Python write it into SQL."""


class Vars(BaseModel):
    """The settings that Python reads. Units are in the names, rules in ``dbt_project.yml``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    raw_schema: str
    as_of_date: date | None
    horizon_days: int
    label_maturity_days: int
    first_training_day: int
    small_shop_customers: int
    reporting_currency: str
    annual_discount_rate: float
    store_timezone: str
    feed_timezone: str
    excluded_features: tuple[str, ...]
    customer_attributes: dict[str, Any]
    fallback_to_simple: bool
    use_ml_clv: bool
    model_version: str
    interval_coverage: float
    confidence_floor: float
    drivers_kept: int
    models_kept: int
    prediction_days_kept: int
    driver_days_kept: int
    freshness_days: int
    quarantine_share: float
    accuracy_bias: float
    accuracy_coverage_gap: float

    @property
    def label_days(self) -> int:
        """From a date until its label is final: the horizon and its maturity."""
        return self.horizon_days + self.label_maturity_days

    @property
    def number_attributes(self) -> tuple[str, ...]:
        """The declared attributes that hold numbers."""
        return tuple(name for name, kind in self.customer_attributes.items() if kind == "number")

    @field_validator("as_of_date", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None


class Places(BaseSettings):
    """
    Where things are, from the environment: ``CLV_WAREHOUSE`` (a file), ``CLV_SCHEMA`` (the schema there that
    is the product's own) and ``CLV_MODELS`` (a folder).
    """

    model_config = SettingsConfigDict(env_prefix="CLV_")

    warehouse: Path = Path("warehouse/clv.duckdb")
    chosen_schema: str = Field("", validation_alias="CLV_SCHEMA")
    models: Path = Path("models")


class Settings(BaseModel):
    """One run's settings. ``overrides`` are passed on to dbt as ``--vars``, ``target`` names dbt's engine."""

    model_config = ConfigDict(frozen=True)

    project: Path
    warehouse: Path
    models: Path
    vars: Vars
    overrides: dict[str, Any]
    chosen_schema: str = ""
    target: Literal["duckdb", "spark"] = "duckdb"

    @property
    def own_schema(self) -> str:
        """
        Where all is built: ``CLV_SCHEMA``, or ``clv``. In a file called clv it is ``main``: the file is the
        product's own, and DuckDB takes no view in a schema that is called like its file.
        """
        return self.chosen_schema or ("main" if self.catalog == "clv" else "clv")

    @property
    def catalog(self) -> str:
        """DuckDB's name of the warehouse."""
        return self.warehouse.name.partition(".")[0]


def load_settings(overrides: Mapping[str, Any] | None = None, project: Path | None = None) -> Settings:
    """
    The settings of the project in this folder or above it, with ``overrides`` laid over its vars.

    Raises:
        SettingsError: If there is no project, a setting is unknown, or a value is not what its rule allows.
    """
    root = project or find_project()
    rules = setting_rules(root)
    own = own_settings(root, rules)
    changed = dict(overrides or {})
    _require_known(changed, rules, "by an option or in --vars")
    values = {name: rule["default"] for name, rule in rules.items()} | own | changed
    for name, rule in rules.items():
        if fault := setting_macros().setting_fault(name, values[name], rule["allowed"], datetime.now(UTC)):
            in_file = name not in changed or (name in own and changed[name] == own[name])
            place = f"in {root / PROJECT_FILE}" if in_file else "by an option or in --vars"
            raise SettingsError(f"{fault} It was given {place}.")
    places = Places()
    settings = Settings(
        project=root,
        warehouse=root / places.warehouse,
        models=root / places.models,
        vars=Vars.model_validate(values),
        overrides=changed,
        chosen_schema=places.chosen_schema,
    )
    if settings.own_schema == settings.catalog or not re.fullmatch(SCHEMA_NAME, settings.own_schema):
        raise SettingsError(
            f"CLV_SCHEMA is {places.chosen_schema!r}, and must be the name of a schema, such as "
            "customer_value or main, and another than the warehouse file's."
        )
    for name, place in (("CLV_WAREHOUSE", places.warehouse), ("CLV_MODELS", places.models)):
        if re.match(r"[a-z0-9]{2,}:", str(place)):
            raise SettingsError(
                f"{name} is {os.environ.get(name)!r}, and must be a path of this machine. To have the "
                "results elsewhere, copy what clv run publishes."
            )
    return settings


def read_project(project: Path) -> dict[str, Any]:
    """The project's file."""
    text = (project / PROJECT_FILE).read_text(encoding="utf-8")
    return _read_yaml(text)


def _read_yaml(text: str) -> dict[str, Any]:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def package_of(project: Path) -> Path:
    """The dbt package whose models the project runs: the installed one, or itself in the repository."""
    return project if (project / MODELS_FOLDER.name).is_dir() else PACKAGE_FOLDER


def models_of(project: Path) -> Path:
    """The folder of the package's dbt models."""
    return package_of(project) / MODELS_FOLDER.name


def setting_rules(project: Path) -> dict[str, dict[str, Any]]:
    """What every setting means, may be and is by default, by its name."""
    return {name: rule for theme in setting_themes(project).values() for name, rule in theme.items()}


def setting_themes(project: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The rules of all settings by theme."""
    return read_project(package_of(project))["vars"]["setting_rules"]


def own_settings(project: Path, rules: Mapping[str, Any]) -> dict[str, Any]:
    """
    The settings that the project's file changes: lines under ``vars``, or under ``vars: clv:``, which wins.

    Raises:
        SettingsError: If a setting is unknown. A project with models of its own may have further vars.
    """
    declared = read_project(project)
    given = dict(declared.get("vars") or {})
    given.pop("setting_rules", None)
    scoped = given.pop(PACKAGE_NAME, None) or {}
    place = f"in {project / PROJECT_FILE}"
    _require_known(scoped, rules, place)
    if not _has_models_of_its_own(project, declared):
        _require_known(given, rules, place)
    return {name: value for name, value in (given | scoped).items() if name in rules}


def _has_models_of_its_own(project: Path, declared: Mapping[str, Any]) -> bool:
    folders = declared.get("model-paths", ["models"])
    files = (path for folder in folders for path in (project / folder).rglob("*.sql"))
    return package_of(project) != project and any(files)


def _require_known(given: Iterable[str], rules: Mapping[str, Any], place: str) -> None:
    unknown = sorted(set(given) - set(rules))
    if unknown:
        meant = [name for wrong in unknown for name in get_close_matches(wrong, rules, n=1)]
        hint = f" Did you mean {', '.join(meant)}?" if meant else ""
        raise SettingsError(
            f"Unknown setting {', '.join(map(repr, unknown))}.{hint} "
            f"Known ones are {', '.join(sorted(rules))}. It was given {place}."
        )


@cache
def setting_macros() -> Any:
    """The dbt macros that say what is wrong with a value; their answer is text, so they run without dbt."""
    environment = Environment(extensions=["jinja2.ext.do"])
    known = {
        "modules": SimpleNamespace(re=re, datetime=datetime_module, pytz=pytz),
        "execute": True,
        "product_models": _described_marts,
    }
    files = (DBT_FOLDER / "macros" / f"{name}.sql" for name in ("settings", "attributes"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return environment.from_string(text, globals=known).module


@cache
def _described_marts() -> list[SimpleNamespace]:
    """The marts with the names of their columns, as dbt's graph has them."""
    text = (MODELS_FOLDER / "marts" / "_marts__models.yml").read_text(encoding="utf-8")
    described = _read_yaml(text)["models"]
    return [
        SimpleNamespace(name=model["name"], columns=[c["name"] for c in model["columns"]])
        for model in described
    ]


def report_path(settings: Settings) -> Path:
    """Where ``clv report`` writes its page: next to the warehouse, named after it."""
    return settings.warehouse.with_name(f"{settings.warehouse.stem}-report.html")


def published_folder(settings: Settings) -> Path:
    """Where readers look."""
    return folder_beside(settings.warehouse, "published")


def one_off_folder(settings: Settings) -> Path:
    """Where a run works whose horizon, currency, discount rate or date is not the project's."""
    return folder_beside(settings.warehouse, "one-off")


def folder_beside(warehouse: Path, name: str) -> Path:
    """A folder next to the warehouse: ``name`` for ``clv.duckdb``, ``NAME-name`` for ``NAME.duckdb``."""
    usual = Places.model_fields["warehouse"].default.stem
    return warehouse.with_name(name if warehouse.stem == usual else f"{warehouse.stem}-{name}")


def find_project() -> Path:
    """
    The nearest folder from here upwards with ``dbt_project.yml``, else the product's own repository.

    Raises:
        SettingsError: If there is none.
    """
    here = Path.cwd()
    for folder in _places_of_projects():
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise SettingsError(
        f"No {PROJECT_FILE} in {here} or above it. Run clv inside a project; clv init NAME makes one."
    )


def is_in_project() -> bool:
    """Whether there is a project to work in."""
    return any((folder / PROJECT_FILE).is_file() for folder in _places_of_projects())


def _places_of_projects() -> tuple[Path, ...]:
    here = Path.cwd()
    return here, *here.parents, Path(__file__).resolve().parents[1]


def parse_vars(text: str) -> dict[str, Any]:
    """
    ``--vars`` as dbt takes it: a YAML or JSON mapping.

    Raises:
        SettingsError: If it is not a mapping.
    """
    try:
        values = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise SettingsError(
            f"--vars must be a mapping in YAML, not {text!r}. Write it as dbt does: '{{horizon_days: 183}}'."
        )
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}


def vars_as_json(settings: Settings) -> str:
    """The overrides as dbt's ``--vars`` takes them."""
    return json.dumps(settings.overrides, default=str, sort_keys=True)
