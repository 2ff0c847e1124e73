"""Model folders as an attacker or a bad disk would leave them, and whether any of them is scored with."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from small_models import published

from clv_ml.errors import ClvError
from clv_ml.model import registry
from clv_ml.model.manifest import MANIFEST_FILE, ONNX_FILE
from clv_ml.model.model_files import load_model

Change = Callable[[Path, np.random.Generator], None]
"""Changes a model folder."""


def _any_file(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(folder.iterdir())
    return files[random.integers(len(files))]


def _flip(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def _cut(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])


def _insert(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    content = path.read_bytes()
    place = random.integers(len(content))
    path.write_bytes(content[:place] + random.bytes(1 + random.integers(20)) + content[place:])


def _remove(folder: Path, random: np.random.Generator) -> None:
    _any_file(folder, random).unlink()


def _add(folder: Path, random: np.random.Generator) -> None:
    (folder / f"extra{random.integers(1000)}.pkl").write_bytes(random.bytes(30))


def _swap(folder: Path, random: np.random.Generator) -> None:
    boosters = sorted(folder.glob("*.txt"))
    first, second = random.permutation(len(boosters))[:2]
    one, other = boosters[first].read_bytes(), boosters[second].read_bytes()
    boosters[first].write_bytes(other)
    boosters[second].write_bytes(one)


def _link(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    target = folder.parent / "elsewhere"
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def _number_in_manifest(folder: Path, random: np.random.Generator) -> None:
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    term = manifest["outputs"][random.integers(len(manifest["outputs"]))]["terms"][0]
    term["weight"] *= float(random.choice([-1.0, 0.0, 1.01, 1e6]))
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def _sql_in_manifest(folder: Path, random: np.random.Generator) -> None:
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    text = "1); create table pwned as select 1; --"
    if random.random() < 0.5:
        manifest["calibration"] = {"bins": [{"customers": text}]}
    else:
        manifest["features"][0]["name"] = text
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def _leaf_in_text(folder: Path, random: np.random.Generator) -> None:
    boosters = sorted(folder.glob("*.txt"))
    path = boosters[random.integers(len(boosters))]
    lines = path.read_text().splitlines(keepends=True)
    leaves = [number for number, line in enumerate(lines) if line.startswith("leaf_value=")]
    number = leaves[random.integers(len(leaves))]
    values = lines[number].removeprefix("leaf_value=").split()
    values[0] = str(float(values[0]) + 1.0)
    lines[number] = f"leaf_value={' '.join(values)}\n"
    path.write_text("".join(lines))


def _graph(change: Callable[[onnx.ModelProto, np.random.Generator], None]) -> Change:
    def apply(folder: Path, random: np.random.Generator) -> None:
        model = onnx.load(folder / ONNX_FILE)
        change(model, random)
        (folder / ONNX_FILE).write_bytes(model.SerializeToString())

    return apply


def _leaf_in_graph(model: onnx.ModelProto, random: np.random.Generator) -> None:
    trees = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    node = trees[random.integers(len(trees))]
    leaves = next(attribute for attribute in node.attribute if attribute.name == "leaf_weights")
    values = numpy_helper.to_array(leaves.t).copy()
    values[random.integers(len(values))] += 1.0
    leaves.t.CopyFrom(numpy_helper.from_array(values, leaves.t.name))


def _operator(model: onnx.ModelProto, random: np.random.Generator) -> None:
    operator = str(random.choice(["Loop", "If", "Scan", "PyOp", "NonZero", "Gather"]))
    model.graph.node.append(helper.make_node(operator, ["features"], ["extra"]))


def _external_data(model: onnx.ModelProto, random: np.random.Generator) -> None:
    tensor = model.graph.initializer[random.integers(len(model.graph.initializer))]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def _constant(model: onnx.ModelProto, random: np.random.Generator) -> None:
    doubles = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.DOUBLE]
    tensor = doubles[random.integers(len(doubles))]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 0.5, tensor.name))


CHANGES: tuple[Change, ...] = (
    _flip,
    _cut,
    _insert,
    _remove,
    _add,
    _swap,
    _link,
    _number_in_manifest,
    _sql_in_manifest,
    _leaf_in_text,
    _graph(_leaf_in_graph),
    _graph(_operator),
    _graph(_external_data),
    _graph(_constant),
)


def make_hashes_true(folder: Path) -> None:
    """Write the hash and size of every file that is there into the manifest, where it still is one."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        for name in manifest["files"]:
            if (folder / name).is_file():
                content = (folder / name).read_bytes()
                manifest["files"][name] = {
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "bytes": len(content),
                }
    except (OSError, ValueError, KeyError, TypeError):
        return
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def scored_with(folder: Path, count: int, seed: int = 0) -> tuple[int, int, int]:
    """
    Change the champion of a model folder so many times, every second time with true hashes.

    Returns:
        Changes after which the champion still loaded, which must be 0; changes with true hashes; and of
        these, how many the folder's own word let pass, without the hash that the registry holds outside it.
    """
    random = np.random.default_rng(seed)
    original = folder / "original"
    published(original)
    registry.promote(original, "v1", "test")
    loaded = forged = believed = 0
    for number in range(count):
        models = folder / "models"
        shutil.rmtree(models, ignore_errors=True)
        shutil.copytree(original, models)
        CHANGES[number // 2 % len(CHANGES)](models / "v1", random)
        if number % 2:
            forged += 1
            make_hashes_true(models / "v1")
            believed += _loads(lambda at=models: load_model(at / "v1"))
        loaded += _loads(lambda at=models: registry.load(at))
        loaded += _loads(lambda at=models: registry.load(at, "v1"))
    return loaded, forged, believed


def _loads(load: Callable[[], object]) -> bool:
    try:
        return load() is not None
    except ClvError:
        return False
