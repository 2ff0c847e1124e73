"""
Which model version is the champion: ``champion.json``, a pointer swapped in one step.

It holds the pointers that it replaced, too, so that rollback needs no other file. ``promotions.jsonl`` is a
diary for people; nothing reads it back.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from clv_ml.errors import ModelError
from clv_ml.model.manifest import Sha256, Strict
from clv_ml.warehouse.safe_files import read_file, replace_file

CHAMPION_FILE, DIARY_FILE = "champion.json", "promotions.jsonl"
LARGEST_POINTER = 1_000_000
"""Bytes; 50 pointers have some 20,000."""


class Pointer(Strict):
    """A version, the hash of its manifest, and when and why it became champion."""

    version: str
    manifest_sha256: Sha256
    promoted_at: str
    reason: str


class Champion(Pointer):
    """
    The pointer in force, and those before it, newest first; ``withdrawn`` are the versions that were rolled
    back from and not promoted by hand since.
    """

    previous: tuple[Pointer, ...] = ()
    withdrawn: tuple[str, ...] = ()


def champion(models_dir: Path) -> Champion | None:
    """
    The pointer in force, or None where no model was promoted.

    Raises:
        ModelError: If ``champion.json`` is not a pointer.
    """
    path = Path(models_dir) / CHAMPION_FILE
    if not path.exists():
        return None
    try:
        return Champion.model_validate_json(read_file(path, LARGEST_POINTER))
    except ValidationError as error:
        raise ModelError(
            f"{path} is not a pointer to a model: {error.errors()[0]['msg']}. Promote a version again "
            f"(delete the file, then clv models promote)."
        ) from error


def reasons(pointer: Champion | None) -> dict[str, str]:
    """Why each version that is or was the champion became it, by version."""
    return {p.version: p.reason for p in (*reversed(pointer.previous), pointer)} if pointer else {}


def swap(models_dir: Path, action: str, new: Champion, reason: str) -> Champion:
    """Puts a pointer in force, and notes it."""
    replace_file(models_dir / CHAMPION_FILE, (new.model_dump_json(indent=1) + "\n").encode())
    note(models_dir, action, new.version, new.manifest_sha256, reason)
    return new


def note(models_dir: Path, action: str, version: str, sha256: str, reason: str) -> None:
    """A line of the diary."""
    entry = {"at": now(), "action": action, "version": version, "manifest_sha256": sha256, "reason": reason}
    with open(models_dir / DIARY_FILE, "a", encoding="utf-8") as diary:
        diary.write(json.dumps(entry) + "\n")
        diary.flush()
        os.fsync(diary.fileno())


def now() -> str:
    """The time, UTC, as manifests write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
