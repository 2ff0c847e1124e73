"""
Runs dbt in this process, on the warehouse and with the vars of the settings. The only module that calls dbt.
"""

import os
from collections.abc import Sequence

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

from clv_ml.errors import BuildError
from clv_ml.settings import Settings, vars_as_json
from clv_ml.warehouse.connection import is_lock_conflict, opening_error


def run_dbt(settings: Settings, arguments: Sequence[str]) -> None:
    """
    One dbt command, for example ``["run", "--select", "customer_clv"]``. The connection is closed afterwards.

    Raises:
        WarehouseBusyError: If another process holds the warehouse.

        BuildError: If a node failed, with the first node's name and message.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    os.environ["CLV_WAREHOUSE"], os.environ["CLV_MODELS"] = str(settings.warehouse), str(settings.models)
    folders = ["--project-dir", str(settings.project), "--profiles-dir", str(settings.project)]
    # `--quiet` is a global flag; what went wrong is read from the result, not from the log
    command = ["--quiet", *arguments, *folders, "--target", settings.target, "--vars", vars_as_json(settings)]
    try:
        result = dbtRunner().invoke(command)
    finally:
        DuckDBConnectionManager.close_all_connections()
    if not result.success:
        failure = BuildError(_failure(arguments, result))
        raise opening_error(settings, failure) if is_lock_conflict(str(failure)) else failure


def _failure(arguments: Sequence[str], result: dbtRunnerResult) -> str:
    nodes = getattr(result.result, "results", None) or []
    failed = [node for node in nodes if str(node.status) in ("error", "fail", "runtime error")]
    if failed:
        others = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
        return (
            f"dbt {arguments[0]} failed at '{failed[0].node.name}'{others}: "
            f"{(failed[0].message or '').strip()}"
        )
    return f"dbt {arguments[0]} failed: {result.exception}"
