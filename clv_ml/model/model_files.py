"""
Writes and reads ``models/<version>/``: ``model.onnx``, one LightGBM text per booster, ``manifest.json``.

A version appears whole or not at all and never changes. The manifest vouches for the files, and
``<version>.sha256`` beside the folder for the manifest. Nothing is pickled.

A folder is untrusted until checked: sizes, hashes, names and schema before anything is parsed, then the
trees' text, the graph's operators, and last that the graph is, byte for byte, the export of that text. So
even someone who recomputes every hash cannot make a graph that says other than its own boosters.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as library_version
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from clv_ml.errors import ExportError, ModelError, ModelTamperedError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.interval_bins import IntervalBins
from clv_ml.model.manifest import (
    MANIFEST_FILE,
    ONNX_FILE,
    FeatureSpec,
    FileSpec,
    Manifest,
    ModelDescription,
    booster_file,
    check_version,
    manifest_bytes,
)
from clv_ml.model.manifest_files import load_manifest, record_file
from clv_ml.model.onnx_export import OPERATORS, export_onnx, features_without_missing
from clv_ml.model.onnx_session import open_session
from clv_ml.model.parity import check_parity
from clv_ml.model.recipe import Recipe, booster_names
from clv_ml.warehouse.safe_files import (
    REMEDY,
    hidden_folder,
    publish_folder,
    read_file,
    remove_unfinished,
    replace_file,
    sha256,
)

MODEL_MAX_BYTES = 512 * 2**20
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "pyarrow")


@dataclass(frozen=True)
class LoadedModel:
    """A checked model, ready to score. ``session`` has one thread and may be run from several at once."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    recipe: Recipe
    session: ort.InferenceSession

    @cached_property
    def intervals(self) -> IntervalBins:
        """What its bounds and its confidence are made from."""
        return IntervalBins.from_json(self.manifest.calibration)


def write_model(
    models_dir: Path,
    recipe: Recipe,
    description: ModelDescription,
    training_rows: NDArray[np.float64],
    anchor: NDArray[np.float64] | None = None,
    feature_types: Mapping[str, str] | None = None,
) -> LoadedModel:
    """
    Publishes a model version, if its graph agrees with LightGBM, and reads it back.

    Args:
        training_rows: Shape (n, F), for the parity gate; NaN where missing.

        anchor: Shape (n,), in the reporting currency, where the recipe has an anchor.

        feature_types: SQL type of each feature by name; "double" where not given.

    Raises:
        ExportError: If the recipe cannot be exported or the graph disagrees. Nothing is left behind.
        ModelError: If the version exists.
    """
    folder = models_dir / check_version(description.version)
    _refuse_existing(folder)
    graph = export_onnx(recipe)
    parity = check_parity(recipe, graph, training_rows, anchor)
    files = {ONNX_FILE: graph, **_booster_files(recipe)}
    specs = {name: FileSpec(sha256=sha256(content), bytes=len(content)) for name, content in files.items()}
    manifest = Manifest(
        **description.model_dump(),
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        features=_feature_specs(recipe, feature_types or {}),
        anchor=recipe.anchor,
        outputs=recipe.outputs,
        library_versions={name: library_version(name) for name in _LIBRARIES},
        parity=parity,
        files=specs,
    )
    return _publish(folder, manifest, files)


def load_model(folder: Path, expected_manifest_sha256: str | None = None) -> LoadedModel:
    """
    A model version, checked before use. Without the manifest's hash as kept outside the folder, damage is
    found, but not a forger who recomputed all hashes.

    Raises:
        ModelTamperedError: If a file is not the one described or unlisted, or the graph is not its boosters'.
        ModelError: If a file is missing, too large, or cannot be read as what it should be.
    """
    manifest, manifest_sha256 = load_manifest(Path(folder), expected_manifest_sha256)
    return _assemble(Path(folder), manifest, manifest_sha256)


def _assemble(folder: Path, manifest: Manifest, manifest_sha256: str) -> LoadedModel:
    """Reads, checks and joins what the manifest lists."""
    files = _listed_files(folder, manifest)
    boosters = {name: _booster(folder, name, files[booster_file(name)]) for name in manifest.booster_names}
    recipe = Recipe(manifest.feature_names, manifest.anchor, manifest.outputs, boosters)
    graph = files[ONNX_FILE]
    _check_graph(folder / ONNX_FILE, graph)
    try:
        same = export_onnx(recipe) == graph
    except ExportError as error:
        raise ModelTamperedError(
            f"{folder / MANIFEST_FILE} does not fit its boosters: {error} {REMEDY}"
        ) from error
    if not same:
        raise ModelTamperedError(
            f"{folder / ONNX_FILE} is not the graph of its own boosters and manifest. {REMEDY}"
        )
    return LoadedModel(folder, manifest, manifest_sha256, recipe, open_session(graph))


def _listed_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Exactly the files of the manifest, each with the bytes that it lists."""
    present = set(os.listdir(folder))
    if unlisted := present - set(manifest.files) - {MANIFEST_FILE}:
        raise ModelTamperedError(f"{folder} holds unlisted files: {', '.join(sorted(unlisted))}. {REMEDY}")
    files = {}
    for name, spec in manifest.files.items():
        content = read_file(folder / name, min(spec.bytes, MODEL_MAX_BYTES))
        if len(content) != spec.bytes or sha256(content) != spec.sha256:
            raise ModelTamperedError(f"{folder / name} is not the file that the manifest describes. {REMEDY}")
        files[name] = content
    return files


def _booster(folder: Path, name: str, content: bytes) -> lgb.Booster:
    """A booster from text that was read and found whole before LightGBM sees it."""
    try:
        text = content.decode("utf-8")
        read_forest(text, name)
        return lgb.Booster(model_str=text)
    except (ExportError, ValueError, lgb.basic.LightGBMError) as error:
        raise ModelTamperedError(f"{folder / booster_file(name)} cannot be read: {error} {REMEDY}") from error


def _check_graph(path: Path, content: bytes) -> None:
    """Only listed operators, no subgraphs or functions, no data outside the file."""
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelTamperedError(f"{path} is not an ONNX model. {REMEDY}") from error
    if model.functions or model.training_info or model.graph.sparse_initializer:
        raise ModelTamperedError(
            f"{path} has functions, training data or sparse tensors, which no export has. {REMEDY}"
        )
    for node in model.graph.node:
        if (node.domain, node.op_type) not in OPERATORS:
            raise ModelTamperedError(f"{path} uses operator {node.op_type!r}, which is not allowed. {REMEDY}")
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ModelTamperedError(f"{path} has a graph inside node {node.name!r}. {REMEDY}")
    attributes = [a.t for node in model.graph.node for a in node.attribute if a.HasField("t")]
    for tensor in [*model.graph.initializer, *attributes]:
        if tensor.external_data or tensor.data_location != onnx.TensorProto.DEFAULT:
            raise ModelTamperedError(f"{path} keeps tensor {tensor.name!r} outside the file. {REMEDY}")


def _publish(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> LoadedModel:
    """
    Writes a hidden folder next to it, reads it back, records the manifest's hash, then moves the folder into
    place: a version that is there has its record, wherever the process was killed.
    """
    content = manifest_bytes(manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    try:
        with hidden_folder(folder.parent, f".{folder.name}.") as hidden:
            for name, data in {**files, MANIFEST_FILE: content}.items():
                replace_file(hidden / name, data)
            loaded = _assemble(hidden, manifest, sha256(content))
            _refuse_existing(folder)
            record = f"{loaded.manifest_sha256}  {folder.name}/{MANIFEST_FILE}\n"
            replace_file(record_file(folder), record.encode())
            publish_folder(hidden, folder)
    except BaseException:
        if not folder.exists():
            record_file(folder).unlink(missing_ok=True)
        raise
    return replace(loaded, folder=folder)


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise ModelError(
            f"Model version {folder.name!r} exists in {folder.parent}. Versions never change: name another."
        )


def _booster_files(recipe: Recipe) -> dict[str, bytes]:
    return {
        booster_file(name): booster_text(recipe.boosters[name]).encode()
        for name in booster_names(recipe.outputs)
    }


def _feature_specs(recipe: Recipe, types: Mapping[str, str]) -> tuple[FeatureSpec, ...]:
    as_zero = set(features_without_missing(recipe))
    return tuple(
        FeatureSpec(name=name, type=types.get(name, "double"), missing_as_zero=name in as_zero)
        for name in recipe.features
    )
