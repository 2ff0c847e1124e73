"""What tells the rows of a model apart, as its YAML says and dbt's tests prove."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clv_ml.settings import models_of


@dataclass(frozen=True)
class Key:
    """The columns of a key; ``has_null``: one of them may be NULL, so that it is no primary key."""

    columns: tuple[str, ...]
    has_null: bool = False


def declared_keys(project: Path) -> dict[str, Key]:
    """
    The key of each model that declares one: a primary key, ``unique_key``, or the first column that is
    ``unique``.
    """
    found: dict[str, Key] = {}
    for path in sorted(models_of(project).rglob("*__models.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            if key := _key(model):
                found[model["name"]] = key
    return found


def _key(model: dict[str, Any]) -> Key | None:
    for constraint in model.get("constraints", []):
        if constraint["type"] == "primary_key":
            return Key(tuple(constraint["columns"]))
    for test in model.get("data_tests", []):
        if "unique_key" in test:
            columns = tuple(test["unique_key"]["arguments"]["columns"])
            return Key(columns, not set(columns) <= _filled(model))
    for column in model.get("columns", []):
        if "unique" in column.get("data_tests", []):
            return Key((column["name"],), column["name"] not in _filled(model))
    return None


def _filled(model: dict[str, Any]) -> set[str]:
    """The columns that are never NULL."""
    return {
        column["name"]
        for column in model.get("columns", [])
        if any(constraint["type"] == "not_null" for constraint in column.get("constraints", []))
        or "not_null" in column.get("data_tests", [])
    }
