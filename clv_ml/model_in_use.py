"""Which model the SQL uses, the champion or the one that the var ``model_version`` names, and what the SQL is told of it."""

import json
from typing import Any

from clv_ml import registry
from clv_ml.errors import ClvError
from clv_ml.manifest import Manifest, check_version
from clv_ml.model_files import load_manifest
from clv_ml.settings import Settings


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
    """The parts of the manifest that the SQL renders its call from; a fault instead, where the model cannot be used."""
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
