"""
Whether a model fits today's settings and tables, and how customers are scored: the one list of what must fit.

SQL asks through ``clv_plan``, on Spark's executors too, so this imports nothing that the driver alone has.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clv_ml.errors import ClvError
from clv_ml.model.manifest import Manifest

TYPES = {
    "integer": r"u?(tiny|small|big|huge)?int(?!erval)",
    "decimal": "decimal",
    "double": "double|float|real",
    "boolean": "bool",
}
"""A column's type as a manifest writes it, and how the engines' names of such a type begin."""


@dataclass(frozen=True)
class Today:
    """
    What a model has to fit: settings by name, the engine's types of the columns that it may read, and what
    defines the features, as md5 by name.
    """

    settings: Mapping[str, Any]
    columns: Mapping[str, str]
    definitions: Mapping[str, str]


def misfits(manifest: Manifest, today: Today) -> list[str]:
    """
    Why the model cannot score today, each as the rest of a sentence; nothing where it fits. Columns that the
    model does not read may change as they like.
    """
    other = _other_settings(manifest, today)
    return [*other, *_other_columns(manifest, today), *_redefined(manifest, today, is_named=bool(other))]


def _other_settings(manifest: Manifest, today: Today) -> list[str]:
    bins, other = manifest.calibration, "{}, but {} is {}"
    made_for = {
        "horizon_days": ("predicts {} days", manifest.horizon_days),
        "reporting_currency": ("predicts {}", manifest.reporting_currency),
        "annual_discount_rate": ("discounts {} a year", manifest.annual_discount_rate),
        "interval_coverage": ("has intervals that cover a share of {}", bins.get("coverage")),
        "confidence_floor": ("was measured with a floor of {}", bins.get("confidence_floor")),
    }
    return [
        other.format(text.format(value), name, today.settings[name])
        for name, (text, value) in made_for.items()
        if value != today.settings[name]
    ]


def _other_columns(manifest: Manifest, today: Today) -> list[str]:
    types = {name: column_type(dtype) for name, dtype in today.columns.items()}
    wrong = [
        f"{name} is {types[name]}, not {kind}" if name in types else f"{name} is missing"
        for name, kind in ((feature.name, feature.type) for feature in manifest.features)
        if types.get(name) != kind
    ]
    return [f"needs columns that the feature tables lack: {', '.join(wrong)}"] if wrong else []


def _redefined(manifest: Manifest, today: Today, is_named: bool) -> list[str]:
    """The hash of all feature settings is not named where a setting that differs is named already."""
    known = manifest.feature_definitions
    changed = [
        name
        for name, text in known.items()
        if today.definitions.get(name) != text and not (is_named and name == "settings")
    ]
    return (
        [f"was trained on other feature definitions; changed since: {', '.join(changed)}"] if changed else []
    )


def column_type(dtype: str) -> str:
    """An engine's type as a manifest writes it (integer, decimal, double, boolean); any other as it is."""
    name = dtype.lower()
    return next((kind for kind, pattern in TYPES.items() if re.match(pattern, name)), name)


def scoring_plan(model: Callable[[], Manifest] | None, today_json: str) -> str:
    """
    How to score, as JSON: ``method``, which ``clv_method`` will say, or why no model scores; ``model``, what
    the SQL renders its calls from, or null; ``refusal``, why the model in use cannot score, or null.

    Args:
        model: Loads the pinned version or the champion and gives its manifest; None where there is none.

        today_json: What the macro knows of today: the fields of ``Today``, as JSON.
    """
    today = Today(**json.loads(today_json))
    if not today.settings["use_ml_clv"]:
        return _plan("model switched off")
    if model is None:
        return _plan("no model")
    try:
        manifest = model()
    except ClvError as error:
        return _plan("model refused", refusal=str(error))
    if faults := misfits(manifest, today):
        return _plan("model refused", refusal=_refusal(manifest, today, faults))
    method = "model, with caution" if manifest.parameters.get("caution") else "model"
    return _plan(method, _described(manifest))


def _plan(method: str, model: dict[str, Any] | None = None, refusal: str | None = None) -> str:
    return json.dumps({"method": method, "model": model, "refusal": refusal})


def _refusal(manifest: Manifest, today: Today, faults: list[str]) -> str:
    days = manifest.horizon_days
    hint = f" To mean {days} with every command, write it as horizon_days into dbt_project.yml."
    return (
        f"Model '{manifest.version}' {'; it '.join(faults)}. Retrain it (clv train), pin another "
        "(--vars 'model_version: NAME'), or set fallback_to_simple."
        + (hint if today.settings["horizon_days"] != days else "")
    )


def _described(manifest: Manifest) -> dict[str, Any]:
    wanted = ("version", "horizon_days", "reporting_currency", "annual_discount_rate")
    return {
        **manifest.model_dump(mode="json", include={*wanted, "feature_hash", "anchor", "calibration"}),
        "features": [{"name": feature.name} for feature in manifest.features],
        "explained_columns": manifest.explained_columns,
        "training_dates": manifest.training_dates.get("refit", ()),
        "outputs": manifest.score_fields,
    }
