"""Mappings as files: read, and written in the short forms that a user writes."""

from pathlib import Path
from typing import Any

import yaml

from clv_ml.errors import InputError
from clv_ml.ingest.mapping import Mapping, checked_mapping


def load_mapping(path: Path) -> Mapping:
    """
    Read a mapping file.

    Raises:
        InputError: If there is none, or it is not valid.
    """
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The mapping {path} cannot be read: {error.strerror}. Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"The mapping {path} is no YAML: {error}. Write it as docs/reference/feeds.md shows."
        ) from error
    if not isinstance(written, dict):
        raise InputError(f"The mapping {path} holds no settings. Write it as docs/reference/feeds.md shows.")
    return checked_mapping(written, str(path))


def mapping_text(mapping: Mapping, heading: str) -> str:
    """The mapping as a YAML file, in short forms, under a heading of comments."""
    written = {key: _short(value) for key, value in mapping.model_dump(exclude_defaults=True).items()}
    body = yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in heading.splitlines()) + body


def _short(value: Any) -> Any:
    """Sources as a user writes them, tuples as lists."""
    if isinstance(value, dict):
        if set(value) == {"first_of"}:
            names = list(value["first_of"])
            return names[0] if len(names) == 1 else names
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, (list, tuple)) else value
