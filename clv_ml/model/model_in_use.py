"""
Which model is in use: by the settings the champion, the version that ``model_version`` pins, or none. What
scored last stands in ``customer_clv``: whoever describes those scores asks for that version's manifest.
"""

from clv_ml.errors import ModelError
from clv_ml.model import registry
from clv_ml.model.manifest import Manifest
from clv_ml.model.scoring_plan import Today, misfits
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


def pinned_version(settings: Settings) -> str | None:
    """The version that the setting ``model_version`` names, or None for the champion."""
    return None if settings.vars.model_version == "champion" else settings.vars.model_version


def chosen_version(settings: Settings) -> str | None:
    """
    The pinned version, else the champion, switched off or not; None where none was promoted.

    Raises:
        ModelError: If the champion's pointer is damaged.
    """
    pointer = registry.champion(settings.models)
    return pinned_version(settings) or (pointer.version if pointer else None)


def version_in_use(settings: Settings) -> str | None:
    """The version that scores; None where the model is switched off or none was promoted. Raises as above."""
    return chosen_version(settings) if settings.vars.use_ml_clv else None


def manifest_of(settings: Settings, version: str | None) -> Manifest | None:
    """What a version says of itself; None without one, or where it cannot be read."""
    try:
        return registry.manifest(settings.models, version) if version else None
    except ModelError:
        return None


def read_today(settings: Settings) -> Today:
    """The settings, and columns and definitions as the warehouse has them; its features must be built."""
    with connect(settings) as connection:
        rows = connection.sql("select * from scoring_rows limit 0")
        columns = dict(zip(rows.columns, map(str, rows.types), strict=True))
        definitions = connection.sql("select definition, definition_hash from feature_definitions").fetchall()
    return Today(settings.vars.model_dump(), columns, dict(definitions))


def why_it_cannot_score(settings: Settings) -> str | None:
    """What the model in use does not fit, in words; None where it fits or where there is none."""
    manifest = manifest_of(settings, version_in_use(settings))
    faults = misfits(manifest, read_today(settings)) if manifest else []
    return "; ".join(f"it {fault}" for fault in faults) or None


def why_training_is_due(settings: Settings) -> str | None:
    """
    In words, that there is no champion, what it does not fit, or which features it does not know; None where
    nothing is due, where another version is pinned, or where no model is wanted.
    """
    if pinned_version(settings) or not settings.vars.use_ml_clv:
        return None
    manifest = manifest_of(settings, version_in_use(settings))
    if manifest is None:
        return "no model is in use"
    if misfit := why_it_cannot_score(settings):
        return misfit
    added = set(read_today(settings).definitions) - set(manifest.feature_definitions)
    return f"it does not know features that were added: {', '.join(sorted(added))}" if added else None
