"""
Settings: the vars of ``dbt_project.yml`` with a run's overrides, and where the warehouse and the models are.

The vars stand once, in ``dbt_project.yml``; the dbt macro ``setting`` checks them for SQL and ``Vars`` for
Python.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clv_ml.errors import SettingsError

PROJECT_FILE = "dbt_project.yml"
SCHEMA_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,62}([.][A-Za-z][A-Za-z0-9_]{0,62})?$"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Vars(BaseModel):
    """The vars that Python reads; the others are SQL's alone. Units are in the names."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    raw_schema: Annotated[str, Field(pattern=SCHEMA_PATTERN)]
    as_of_date: date | None
    horizon_days: Annotated[int, Field(gt=0)]
    label_maturity_days: Annotated[int, Field(ge=0)]
    first_training_day: Annotated[int, Field(ge=0)]
    small_shop_customers: Annotated[int, Field(ge=0)]
    reporting_currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    excluded_features: tuple[str, ...]
    fallback_to_simple: bool
    use_ml_clv: bool
    model_version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    interval_coverage: Annotated[float, Field(gt=0, lt=1)]
    confidence_floor: Annotated[float, Field(gt=0)]
    drivers_kept: Annotated[int, Field(ge=3)]
    models_kept: Annotated[int, Field(ge=1)]
    prediction_days_kept: Annotated[int, Field(ge=0)]
    driver_days_kept: Annotated[int, Field(ge=0)]
    freshness_days: Annotated[int, Field(ge=0)]
    accuracy_bias: Annotated[float, Field(ge=0)]
    accuracy_coverage_gap: Annotated[float, Field(ge=0)]

    @property
    def label_days(self) -> int:
        """From a date until its label is final: the horizon and its maturity."""
        return self.horizon_days + self.label_maturity_days

    @field_validator("as_of_date", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("as_of_date")
    @classmethod
    def _not_in_the_future(cls, value: date | None) -> date | None:
        # tomorrow, since today's events are known by then
        if value is not None and value > datetime.now(UTC).date() + timedelta(days=1):
            raise ValueError("it lies in the future, of which nothing is known")
        return value


class Places(BaseSettings):
    """Where things are, from the environment: ``CLV_WAREHOUSE`` (a file) and ``CLV_MODELS`` (a folder)."""

    model_config = SettingsConfigDict(env_prefix="CLV_")

    warehouse: Path = Path("warehouse/clv.duckdb")
    models: Path = Path("models")


class Settings(BaseModel):
    """One run's settings. ``overrides`` are passed on to dbt as ``--vars``, ``target`` names dbt's engine."""

    model_config = ConfigDict(frozen=True)

    project: Path
    warehouse: Path
    models: Path
    vars: Vars
    overrides: dict[str, Any]
    target: Literal["duckdb", "spark"] = "duckdb"


def load_settings(overrides: Mapping[str, Any] | None = None, project: Path | None = None) -> Settings:
    """
    The settings of the project in this folder or above it, with ``overrides`` laid over its vars.

    Raises:
        SettingsError: If there is no project, a var is unknown, or a value has the wrong type.
    """
    root = project or find_project()
    declared = yaml.safe_load((root / PROJECT_FILE).read_text(encoding="utf-8"))["vars"]
    changed = dict(overrides or {})
    unknown = sorted(set(changed) - set(declared))
    if unknown:
        meant = [name for wrong in unknown for name in get_close_matches(wrong, declared, n=1)]
        hint = f" Did you mean {', '.join(meant)}?" if meant else ""
        raise SettingsError(
            f"Unknown setting {', '.join(map(repr, unknown))}.{hint} Known ones are "
            f"{', '.join(sorted(declared))}."
        )
    try:
        values = Vars.model_validate({**declared, **changed})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc']))} is {e['input']!r}: {e['msg'].lower()}" for e in error.errors()
        )
        raise SettingsError(
            f"A setting is not valid: {faults}. Dates are written 2024-12-31, numbers 180. It was given by "
            f"an option or --vars, or stands in {PROJECT_FILE}."
        ) from error
    places = Places()
    return Settings(
        project=root,
        warehouse=root / places.warehouse,
        models=root / places.models,
        vars=values,
        overrides=changed,
    )


def report_path(settings: Settings) -> Path:
    """Where ``clv report`` writes its page: beside the warehouse, named after it."""
    return settings.warehouse.with_name(f"{settings.warehouse.stem}-report.html")


def published_folder(settings: Settings) -> Path:
    """
    Where readers look, beside the warehouse: ``published`` for ``clv.duckdb``, ``NAME-published`` for
    ``NAME.duckdb``.
    """
    warehouse = settings.warehouse
    usual = Places.model_fields["warehouse"].default.stem
    return warehouse.with_name("published" if warehouse.stem == usual else f"{warehouse.stem}-published")


def find_project() -> Path:
    """
    The nearest folder from here upwards that holds ``dbt_project.yml``, else the one this package lies in.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise SettingsError(f"No {PROJECT_FILE} in {here} or above it. Run clv inside the project's folder.")


def parse_vars(text: str) -> dict[str, Any]:
    """
    ``--vars`` as dbt takes it: a YAML or JSON mapping.

    Raises:
        SettingsError: If it is not a mapping.
    """
    try:
        values = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        raise SettingsError(
            f"--vars is not YAML: {text!r}. Write it as dbt does: '{{horizon_days: 183}}'."
        ) from error
    if not isinstance(values, dict):
        raise SettingsError(
            f"--vars must be a mapping, not {text!r}. Write it as dbt does: '{{horizon_days: 183}}'."
        )
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}


def vars_as_json(settings: Settings) -> str:
    """The overrides as dbt's ``--vars`` takes them."""
    return json.dumps(settings.overrides, default=str, sort_keys=True)
