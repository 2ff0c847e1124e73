"""
Which model the SQL uses, the champion or the one that the var ``model_version`` names, and what the SQL is
told of it.
"""

import json
from typing import Any

from clv_ml.errors import ClvError, ModelError
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest, check_version
from clv_ml.model.manifest_files import load_manifest
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


def pinned_version(settings: Settings) -> str | None:
    """The version that the var ``model_version`` names, or None for the champion."""
    return None if settings.vars.model_version == "champion" else settings.vars.model_version


def read_manifest(settings: Settings) -> Manifest | None:
    """What the model in use says of itself; None where there is none."""
    version = pinned_version(settings)
    if version is None:
        pointer = registry.champion(settings.models)
        if pointer is None:
            return None
        return load_manifest(settings.models / check_version(pointer.version), pointer.manifest_sha256)[0]
    return load_manifest(settings.models / check_version(version))[0]


def describe(model: Any) -> str:
    """
    The parts of the manifest that the SQL renders its call from; a fault instead, where the model cannot be
    used.
    """
    try:
        manifest: Manifest = model().manifest
    except ClvError as error:
        return json.dumps({"error": str(error)})
    wanted = {
        "version",
        "horizon_days",
        "reporting_currency",
        "feature_hash",
        "feature_definitions",
        "anchor",
        "calibration",
    }
    described = manifest.model_dump(mode="json", include=wanted)
    described["features"] = [{"name": f.name, "type": f.type} for f in manifest.features]
    described["explained_columns"] = manifest.explained_columns
    described["caution"] = manifest.parameters.get("caution")
    described["training_dates"] = manifest.training_dates.get("refit", ())
    described["outputs"] = [output.name for output in manifest.outputs]
    return json.dumps(described)


def training_is_due(settings: Settings) -> bool:
    """Whether ``why_training_is_due`` has a reason."""
    return why_training_is_due(settings) is not None


def why_training_is_due(settings: Settings) -> str | None:
    """
    In words, that no model is in use, or which setting or features have changed since the one that is was
    made; None where it fits, or is pinned.
    """
    if settings.vars.model_version != "champion":
        return None
    manifest = champion_manifest(settings)
    if manifest is None:
        return "no model is in use"
    with connect(settings) as connection:
        hashes = connection.sql("select feature_hash from as_of_dates where is_scoring_date").fetchall()
    made_for = {
        "horizon_days": manifest.horizon_days,
        "reporting_currency": manifest.reporting_currency,
        "interval_coverage": manifest.calibration.get("coverage", 0.0),
        "confidence_floor": manifest.calibration.get("confidence_floor", 0.0),
    }
    for name, value in made_for.items():
        if value != (today := getattr(settings.vars, name)):
            return f"made for a {name} of {value}, and the setting is {today}"
    is_today = bool(hashes) and manifest.feature_hash == hashes[0][0]
    return None if is_today else "made for other feature definitions than today's"


def champion_manifest(settings: Settings) -> Manifest | None:
    """What the champion says of itself; None where there is none, or its manifest cannot be read."""
    try:
        pointer = registry.champion(settings.models)
        return load_manifest(settings.models / pointer.version)[0] if pointer else None
    except ModelError:
        return None
