"""Whose model: a shop is scored by its own alone, so that a forgotten ``CLV_MODELS`` is no silent mistake."""

from pathlib import Path

import duckdb

from clv_ml.errors import ModelError
from clv_ml.model.manifest import ModelDescription
from clv_ml.model.model_in_use import manifest_of, version_in_use
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


def shop_of(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The identity that the warehouse bears; None where no run has made it yet."""
    try:
        rows = connection.execute("select max(shop_id) from shop_identity").fetchall()
    except duckdb.CatalogException:
        return None
    return rows[0][0]


def foreign_model(manifest: ModelDescription | None, models: Path, shop: str | None) -> str | None:
    """
    Why a model is not this shop's, in words; None where it is, or where there is none. One that names no shop
    was made before models did, and is taken for the shop's own; so is any where a warehouse has no identity.
    """
    if manifest is None or manifest.shop is None or shop in (None, manifest.shop):
        return None
    return (
        f"Model {manifest.version!r} in {models} was made for another shop than this warehouse's. Set "
        "CLV_MODELS to the folder of this shop's models, or to a new one, where clv run trains the first. If "
        f"this is that shop, built anew: update shop_identity set shop_id = '{manifest.shop}'."
    )


def require_own_model(settings: Settings, version: str | None = None) -> None:
    """
    Refuses a version, or the one in use where none is named, that was made for another shop.

    Raises:
        ModelError: If it was; a damaged one is for others to report.
    """
    shop: str | None = "not made yet"
    if settings.warehouse.exists():
        with connect(settings, read_only=False) as connection:
            shop = shop_of(connection)
    manifest = manifest_of(settings, version or version_in_use(settings))
    if refusal := foreign_model(manifest, settings.models, shop):
        raise ModelError(refusal)
