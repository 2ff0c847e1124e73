"""What can be known to fail is said at once, before minutes of building."""

from clv_ml.errors import WarehouseError
from clv_ml.model import registry
from clv_ml.model.model_in_use import pinned_version
from clv_ml.model.shop import require_own_model
from clv_ml.operate.doctor import disk_finding
from clv_ml.settings import Settings


def preflight(settings: Settings) -> None:
    """
    Looks at what a run needs, in the time of a blink.

    Raises:
        ModelError: If ``model_version`` pins a version that is absent or damaged, or the model in use is
            another shop's.
        WarehouseBusyError: If another process has the warehouse open.
        WarehouseError: If the disk has no room for a copy of it.
    """
    version, is_needed = pinned_version(settings), settings.vars.use_ml_clv
    if version and is_needed and not settings.vars.fallback_to_simple:
        registry.manifest(settings.models, version)
    if settings.target != "duckdb":
        return
    require_own_model(settings)
    if not settings.warehouse.exists():
        return
    disk = disk_finding(settings)
    if disk.status == "fail":
        raise WarehouseError(f"{disk.text}.")
