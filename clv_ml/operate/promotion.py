"""Makes a version the champion, or rolls back to the one before; a pinned version still comes first."""

from clv_ml.model import registry
from clv_ml.model.registry_tables import write_registry_tables
from clv_ml.model.shop import require_own_model
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import create_tables


def switch_model(settings: Settings, version: str | None, reason: str) -> registry.Champion:
    """
    Promotes a version, or rolls back where none is named, and rebuilds the registry tables.

    Raises:
        ModelError: If the version was made for another shop; and as ``promote`` and ``rollback`` say.
    """
    create_tables(settings)
    if version:
        require_own_model(settings, version)
    # opened first: a warehouse that cannot be written to leaves the model in use as it was
    with connect(settings, read_only=False) as connection:
        pointer = (
            registry.promote(settings.models, version, reason)
            if version
            else registry.rollback(settings.models, reason)
        )
        write_registry_tables(connection, settings)
    return pointer
