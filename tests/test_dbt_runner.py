"""One parse serves all dbt commands of a process, and is what a parse for each of them would be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from shops import ROOT, build, copied, edit, one, with_project, with_vars

from clv_ml.errors import BuildError
from clv_ml.settings import Settings, setting_rules
from clv_ml.warehouse import dbt_runner

OTHER_VALUES = {
    "as_of_date": "2024-03-01",
    "horizons": [60],
    "reporting_currency": "USD",
    "store_timezone": "Europe/London",
    "feed_timezone": "Europe/Berlin",
    "gross_margin": 0.4,
    "channel_attribute": "channel",
    "feature_groups": ["rfm"],
    "customer_attributes": {"channel": ["organic"], "size": "number"},
    "excluded_features": ["recency_days"],
    "model_version": "v1",
}
"""Of the settings that are neither switches nor numbers."""

ADDED = {
    *("created_at", "metadata", "index", "build_path"),
    *("compiled", "compiled_code", "compiled_path", "extra_ctes", "extra_ctes_injected"),
}
"""When a parse was made, and what a command adds but never reads: compiled text, the number of a hook."""


def other_settings() -> dict[str, Any]:
    """A value that is not the default for every setting that dbt is not said to parse."""
    return {
        name: _other(name, rule["default"])
        for name, rule in setting_rules(ROOT).items()
        if name not in dbt_runner.PARSED_SETTINGS
    }


def _other(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 0.123 if isinstance(value, float) else OTHER_VALUES[name]


def parsed(settings: Settings, folder: Path, **values: Any) -> Manifest:
    """What dbt parses anew under these vars."""
    places = ["--project-dir", str(settings.project), "--profiles-dir", str(settings.project)]
    result = dbtRunner().invoke(
        ["--quiet", "parse", *places, "--target-path", str(folder), "--vars", yaml.safe_dump(values)]
    )
    assert result.success, result.exception
    return result.result


def said(manifest: Manifest) -> dict[tuple, Any]:
    """Every value that a parse holds, by its path. Commands add the macros that they met, too."""
    leaves = _leaves(manifest.writable_manifest().to_dict(omit_none=True))
    return {path: value for path, value in leaves if path[2:4] != ("depends_on", "macros")}


def _leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    if isinstance(value, dict):
        for key in value.keys() - ADDED:
            yield from _leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    else:
        yield path, value


@pytest.mark.long
def test_a_parse_that_commands_have_used_is_that_of_any_other_settings(trained: Settings, tmp_path: Path):
    """
    Features and scores were computed with the kept parse. It still equals a new one in which every setting
    that names no relation has another value: neither commands nor settings leave a trace in it.
    """
    kept = dbt_runner._manifest(trained)

    fresh = parsed(trained, tmp_path, **other_settings())

    assert said(kept) == said(fresh)


@pytest.mark.long
@pytest.mark.parametrize(("name", "value"), [("raw_schema", "elsewhere"), ("is_challenger", True)])
def test_a_setting_that_names_a_relation_has_a_parse_of_its_own(empty_shop: Settings, name: str, value: Any):
    """
    Sources follow the schema, and the tables of a challenger are its own.
    """
    usual = dbt_runner._manifest(empty_shop)

    other = dbt_runner._manifest(with_vars(empty_shop, **{name: value}))

    names = [
        {node.relation_name for node in (*m.nodes.values(), *m.sources.values())} for m in (usual, other)
    ]
    assert other is not usual and names[0] != names[1]
    assert dbt_runner._manifest(empty_shop) is usual


@pytest.mark.long
def test_commands_share_a_parse_whatever_the_other_settings_and_the_folder(
    empty_shop: Settings, tmp_path: Path
):
    """
    The horizon is read when a model runs. The warehouse's folder is no part of a relation's name, its file's
    name is.
    """
    usual = dbt_runner._manifest(empty_shop)

    moved = with_vars(copied(empty_shop, tmp_path), horizon_days=45)
    renamed = moved.model_copy(update={"warehouse": tmp_path / "shop.duckdb"})

    assert dbt_runner._manifest(moved) is usual
    assert dbt_runner._manifest(renamed) is not usual


@pytest.mark.long
def test_an_edited_file_is_read_by_the_next_command(empty_shop: Settings, own_project: Path, tmp_path: Path):
    """
    Between two commands of one process, a change of a model counts.
    """
    shop = with_project(copied(empty_shop, tmp_path), own_project)
    build(shop, "--select", "+int_today")

    edit(
        own_project, "models_sql/intermediate/int_today.sql", "    opened_on\n", "    opened_on, 1 as added\n"
    )
    build(shop, "--select", "int_today")

    assert one(shop, "select count(*) from duckdb_columns() where column_name = 'added'") == 1


def test_a_project_that_cannot_be_parsed_is_a_build_error(empty_shop: Settings, own_project: Path):
    """
    With what dbt says of it; the next command tries again.
    """
    edit(own_project, "models_sql/intermediate/int_today.sql", "ref(", "ref((")
    broken = with_project(empty_shop, own_project)

    for _ in range(2):
        with pytest.raises(BuildError, match=r"dbt parse failed: Compilation Error in model int_today"):
            build(broken, "--select", "int_today")
