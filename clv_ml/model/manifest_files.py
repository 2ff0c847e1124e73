"""Reads a version's ``manifest.json`` and the hash next to its folder, without loading the model."""

from pathlib import Path

from clv_ml.errors import ModelError, ModelTamperedError
from clv_ml.model.manifest import MANIFEST_FILE, Manifest, parse_manifest
from clv_ml.warehouse.safe_files import REMEDY, read_file, sha256

MANIFEST_MAX_BYTES = 16 * 2**20


def load_manifest(folder: Path, expected_sha256: str | None = None) -> tuple[Manifest, str]:
    """The folder's manifest and its hash, without the other files; raises as `load_model` does."""
    content = read_file(folder / MANIFEST_FILE, MANIFEST_MAX_BYTES)
    found = sha256(content)
    if expected_sha256 not in (None, found):
        raise ModelTamperedError(f"{folder / MANIFEST_FILE} is not the one that was published. {REMEDY}")
    manifest = parse_manifest(content, str(folder / MANIFEST_FILE))
    if manifest.version != folder.name:
        raise ModelTamperedError(
            f"{folder} holds version {manifest.version!r}. Folders keep their names. {REMEDY}"
        )
    return manifest, found


def record_file(folder: Path) -> Path:
    """The file next to a version's folder with its manifest's hash."""
    return folder.with_name(f"{folder.name}.sha256")


def recorded_sha256(folder: Path) -> str:
    """
    The manifest's hash as recorded next to the folder when it was published.

    Raises:
        ModelError: If there is no record, or it is not one.
    """
    record = record_file(folder)
    words = read_file(record, 4096).decode("ascii", "replace").split()
    if len(words) != 2 or words[1] != f"{folder.name}/{MANIFEST_FILE}":
        raise ModelError(f"{record} is not a line of sha256sum for {folder.name}/{MANIFEST_FILE}. {REMEDY}")
    return words[0]
