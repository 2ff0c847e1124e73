"""Runs dbt in this process, on the settings' warehouse and vars. The only module that calls dbt."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg

from clv_ml.errors import BuildError
from clv_ml.settings import PROJECT_FILE, Settings, package_of, read_project, vars_as_json
from clv_ml.warehouse.connection import is_lock_conflict, opening_error, require_free
from clv_ml.warehouse.own_project import link_package
from clv_ml.warehouse.safe_files import sha256
from clv_ml.wording import count_of

PROFILES = "profiles.yml"
PARSED_SETTINGS = ("raw_schema", "is_challenger")
"""The settings that name relations: dbt reads them when it parses, all others when it runs a model."""


def run_dbt(settings: Settings, arguments: Sequence[str]) -> tuple[str, ...]:
    """
    One dbt command, for example ``["run", "--select", "customer_clv"]``. All commands of a process share
    one parse, which takes longer than most of them, until a file of the project changes.

    Returns:
        What the tests of severity ``warn`` that did not hold say, by their descriptions.

    Raises:
        WarehouseBusyError: If another process has locked the warehouse.
        BuildError: If a node failed, with the first node's name and message.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    link_package(settings.project)
    if settings.target == "duckdb":
        # dbt prints a traceback of a file that another process has open, before anybody can say so in words
        require_free(settings)
    try:
        with _places_of(settings):
            command = [*arguments, *_options(settings), "--vars", vars_as_json(settings)]
            return _warnings(_invoke(command, _manifest(settings)))
    except BuildError as failure:
        raise opening_error(settings, failure) if is_lock_conflict(str(failure)) else failure from None
    finally:
        DuckDBConnectionManager.close_all_connections()


@contextmanager
def _places_of(settings: Settings) -> Iterator[None]:
    """Names warehouse, schema and models in the environment, where the profile and the plugin read them."""
    before = dict(os.environ)
    places = {
        "CLV_WAREHOUSE": str(settings.warehouse),
        "CLV_SCHEMA": settings.own_schema,
        "CLV_MODELS": str(settings.models),
    }
    os.environ.update(places)
    try:
        yield
    finally:
        for name in places:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _options(settings: Settings) -> tuple[str, ...]:
    project = str(settings.project)
    # a team may keep its profile elsewhere, and on DuckDB it names the target
    profiles = ("--profiles-dir", project) if (settings.project / PROFILES).exists() else ()
    target = ("--target", settings.target) if settings.target != "duckdb" else ()
    return ("--project-dir", project, *profiles, *target)


def _manifest(settings: Settings) -> Manifest:
    """The parsed project, for all settings that name the same relations."""
    read = {name: value for name, value in settings.overrides.items() if name in PARSED_SETTINGS}
    # the database is named after the file, on Spark the schema by the environment
    relations = settings.warehouse.name, settings.own_schema, os.environ.get("CLV_SPARK_SCHEMA_NAME")
    options = (*_options(settings), "--vars", json.dumps(read, sort_keys=True))
    return _parsed(options, _content(settings.project), relations)


@lru_cache(maxsize=8)
def _parsed(options: tuple[str, ...], content: str, relations: tuple[str, str, str | None]) -> Manifest:
    """What dbt makes of the project, kept while all that it depends on is the same."""
    return _invoke(["parse", *options]).result  # pyrefly: ignore[bad-return]


def _content(project: Path) -> str:
    """A hash of all files that dbt parses."""
    files = [path for path in (project / PROFILES,) if path.exists()]
    for place in {project, package_of(project)}:
        declared = read_project(place).items()
        folders = [place / folder for key, paths in declared if key.endswith("-paths") for folder in paths]
        found = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        files += [place / PROJECT_FILE, *found]
    return sha256(b"\0".join(part for path in files for part in (bytes(path), path.read_bytes())))


def _invoke(command: Sequence[str], manifest: Manifest | None = None) -> dbtRunnerResult:
    verb, *rest = command
    # what went wrong is read from the result, not from the log; files of JSON take dbt a second a command
    files = () if "--write-json" in rest else ("--no-write-json",)
    of_macros: list[str] = []
    result = dbtRunner(manifest, [lambda event: of_macros.extend(_said_of_macro(event))]).invoke(
        ["--quiet", verb, *files, *rest]
    )
    if not result.success:
        raise BuildError(_failure(verb, result, of_macros))
    return result


def _said_of_macro(event: EventMsg) -> list[str]:
    """Why a macro failed, which the result of ``run-operation`` does not say, without where it was called."""
    if event.info.name != "RunningOperationCaughtError":
        return []
    said = event.data.exc  # pyrefly: ignore[missing-attribute]
    return [re.split(r"\n\s*> in macro", said)[0].strip()]


def create_tables(settings: Settings) -> None:
    """
    Creates the tables that are not dbt's own, where absent: the input contract's and those of models.

    Raises:
        WarehouseBusyError: If another process has the warehouse open.
        BuildError: If that would touch what others made there.
    """
    run_dbt(settings, ["run-operation", "create_source_tables"])


def _warnings(result: dbtRunnerResult) -> tuple[str, ...]:
    nodes = getattr(result.result, "results", None) or []
    warned = [node for node in nodes if str(node.status) == "warn"]
    said = ((" ".join(node.node.description.split()), node) for node in warned)
    return tuple(
        f"{text} (dbt test {node.node.name}: {count_of(node.failures or 0, 'row')})".lstrip()
        for text, node in said
    )


def _failure(verb: str, result: dbtRunnerResult, of_macros: Sequence[str]) -> str:
    nodes = getattr(result.result, "results", None) or []
    failed = [node for node in nodes if str(node.status) in ("error", "fail", "runtime error")]
    if failed:
        others = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
        # the result of a macro has no node
        name = failed[0].node.name if hasattr(failed[0], "node") else failed[0].unique_id
        message = failed[0].message or "".join(of_macros[:1])
        return f"dbt {verb} failed at '{name}'{others}: {message.strip()}"
    return f"dbt {verb} failed: {result.exception}"
