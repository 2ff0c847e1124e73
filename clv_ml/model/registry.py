"""
The model versions of a folder: list, show, load, promote, roll back, remove.

The folders are the truth: a registry table in the warehouse is rebuilt from `list_models`.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clv_ml.errors import ModelError
from clv_ml.model.manifest import MANIFEST_FILE, Manifest, check_version
from clv_ml.model.manifest_files import load_manifest, record_file, recorded_sha256
from clv_ml.model.promotions import Champion, Pointer, champion, note, now, reasons, swap

if TYPE_CHECKING:
    from clv_ml.model.model_files import LoadedModel

KEPT_POINTERS = 50
"""So many rollbacks lead back."""
REMOVED = ".removed."
"""How the name of a folder begins that is being removed."""


@dataclass(frozen=True)
class ListedModel:
    """
    A version in the folder. ``reason`` says why it is or was the champion, None where it never was; ``fault``
    why it cannot be used: then ``manifest`` may be None.
    """

    version: str
    manifest: Manifest | None
    is_champion: bool
    reason: str | None
    fault: str | None


def list_models(models_dir: Path) -> list[ListedModel]:
    """Every version, oldest first, with its manifest or why it has none. Files are not hashed."""
    pointer, inside = champion(models_dir), Path(models_dir).iterdir() if Path(models_dir).is_dir() else ()
    folders = sorted(path for path in inside if path.is_dir() and not path.name.startswith("."))
    listed = [_listed(folder, pointer) for folder in folders]
    return sorted(
        listed, key=lambda model: (model.manifest.created_at if model.manifest else "", model.version)
    )


def show(models_dir: Path, version: str) -> ListedModel:
    """
    All that is known of a version, every file of it checked; a damaged one is shown with its fault.

    Raises:
        ModelError: If there is no such version; the message names those there are.
    """
    _require(models_dir, version)
    listed = _listed(Path(models_dir) / version, champion(models_dir))
    if listed.fault is None:
        try:
            load(models_dir, None if listed.is_champion else version)
        except ModelError as error:
            return replace(listed, fault=str(error))
    return listed


def manifest(models_dir: Path, version: str) -> Manifest:
    """
    What a version says of itself, checked against the hash that is kept outside its folder.

    Raises:
        ModelError: If the version is absent, or its manifest damaged.
    """
    folder = Path(models_dir) / check_version(version)
    return load_manifest(folder, recorded_sha256(folder))[0]


def load(models_dir: Path, version: str | None = None) -> "LoadedModel | None":
    """
    The champion (None where there is none), or the pinned version, checked against the hash kept outside
    it.

    Raises:
        ModelError: If the version is absent or damaged.
    """
    if version is None:
        pointer = champion(models_dir)
        return _loaded(models_dir, pointer.version, pointer.manifest_sha256) if pointer else None
    _require(models_dir, version)
    return _loaded(models_dir, version, recorded_sha256(Path(models_dir) / version))


def _loaded(models_dir: Path, version: str, manifest_sha256: str) -> "LoadedModel":
    # what reads the registry need not have the libraries that read a model
    from clv_ml.model.model_files import load_model

    return load_model(Path(models_dir) / check_version(version), manifest_sha256)


def promote(models_dir: Path, version: str, reason: str, by_hand: bool = True) -> Champion:
    """
    Makes a version the champion, after loading and checking it whole. Promoting the champion again changes
    nothing. What somebody rolled back from only somebody promotes again: a training makes the same version of
    the same data.

    Raises:
        ModelError: If the version is absent or damaged, or was rolled back from and this is not ``by_hand``;
            the pointer then stays as it was.
    """
    model = load(models_dir, version)
    assert model is not None  # a pinned version loads or raises
    old = champion(models_dir)
    if old and (old.version, old.manifest_sha256) == (version, model.manifest_sha256):
        return old
    if old and version in old.withdrawn and not by_hand:
        raise ModelError(
            f"Training made {version!r} again, which was rolled back from, so {old.version!r} stays the "
            f"model in use. To use {version!r} all the same: clv models promote {version}."
        )
    kept = (_bare(old), *old.previous)[:KEPT_POINTERS] if old else ()
    new = Champion(
        version=version,
        manifest_sha256=model.manifest_sha256,
        promoted_at=now(),
        reason=reason,
        previous=kept,
        withdrawn=tuple(other for other in (old.withdrawn if old else ()) if other != version),
    )
    return swap(Path(models_dir), "promote", new, reason)


def rollback(models_dir: Path, reason: str = "rollback") -> Champion:
    """
    Returns to the champion before this one, after checking it; repeated, goes further back.

    Raises:
        ModelError: If there is none before, or it is absent or damaged; the pointer then stays as it was.
    """
    old = champion(models_dir)
    if old is None or not old.previous:
        raise ModelError(
            f"{models_dir} has no earlier champion to return to. Promote a version (clv models promote)."
        )
    target = old.previous[0]
    _loaded(models_dir, target.version, target.manifest_sha256)
    withdrawn = tuple(dict.fromkeys((old.version, *old.withdrawn)))
    new = Champion(**target.model_dump(), previous=old.previous[1:], withdrawn=withdrawn)
    return swap(Path(models_dir), "rollback", new, reason)


def _bare(pointer: Champion) -> Pointer:
    return Pointer(**pointer.model_dump(exclude={"previous", "withdrawn"}))


def remove_old(models_dir: Path, kept: int, pinned: Collection[str] = ()) -> tuple[str, ...]:
    """
    Removes all but the newest versions, and names them, oldest first. The champion, the one before it,
    pinned versions and folders whose manifest cannot be read stay in any case.
    """
    models_dir = Path(models_dir)
    pointer = champion(models_dir)
    needed = {*pinned, *((p.version for p in (pointer, *pointer.previous[:1])) if pointer else ())}
    readable = [model for model in list_models(models_dir) if model.manifest is not None]
    removed = [model for model in readable[:-kept] if model.version not in needed]
    for model in removed:
        folder = models_dir / model.version
        sha256 = load_manifest(folder)[1]
        # out of sight in one step: a version is there whole or not at all
        hidden = folder.rename(models_dir / f"{REMOVED}{model.version}")
        record_file(folder).unlink(missing_ok=True)
        note(models_dir, "remove", model.version, sha256, f"older than the newest {kept}")
        shutil.rmtree(hidden, ignore_errors=True)
    for left in models_dir.glob(f"{REMOVED}*"):
        shutil.rmtree(left, ignore_errors=True)
    return tuple(model.version for model in removed)


def _require(models_dir: Path, version: str) -> None:
    if not (Path(models_dir) / check_version(version)).is_dir():
        known = ", ".join(model.version for model in list_models(models_dir)) or "none"
        raise ModelError(
            f"Model version {version!r} is not in {models_dir}; there are: {known}. Name one of them."
        )


def _listed(folder: Path, pointer: Champion | None) -> ListedModel:
    manifest = fault = None
    try:
        manifest, sha256 = load_manifest(folder)
        if recorded_sha256(folder) != sha256:
            fault = f"{MANIFEST_FILE} is not the one that was published"
    except ModelError as error:
        fault = str(error)
    is_champion = pointer is not None and pointer.version == folder.name
    return ListedModel(folder.name, manifest, is_champion, reasons(pointer).get(folder.name), fault)
