"""A model folder: written whole, checked before use, never changed."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from small_models import anchors, booster, description, published, recipe, rows, target, trees_only
from tampering import scored_with

from clv_ml.errors import ExportError, ModelError, ModelTamperedError
from clv_ml.model import model_files, registry
from clv_ml.model.booster_text import booster_text
from clv_ml.model.manifest import MANIFEST_FILE, manifest_bytes
from clv_ml.model.manifest_files import recorded_sha256
from clv_ml.model.model_files import load_model, write_model
from clv_ml.model.prediction import predict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small model, published."""
    return published(tmp_path).folder


def _forge(folder: Path, name: str | None = None, content: bytes = b"", **changes: object) -> None:
    """
    Replaces a file and manifest fields and makes all hashes inside the folder true again, as an attacker
    would.
    """
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    if name:
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest.update(changes)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def test_written_model_predicts_as_before_and_describes_itself(tmp_path: Path):
    """
    Reading back gives the same recipe, bit for bit, and the facts that were given or measured.
    """
    written = published(tmp_path)

    loaded = load_model(tmp_path / "v1", written.manifest_sha256)

    expected, found = predict(recipe(), rows(), anchors()), predict(loaded.recipe, rows(), anchors())
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert loaded.manifest == written.manifest
    as_zero = {feature.name: feature.missing_as_zero for feature in loaded.manifest.features}
    assert as_zero["days_since_last_purchase"] and not as_zero["total_revenue"]
    assert loaded.manifest.parity.rows > 300
    assert loaded.manifest.library_versions["lightgbm"]
    assert sorted(os.listdir(tmp_path)) == ["v1", "v1.sha256"]
    assert set(os.listdir(tmp_path / "v1")) == {
        MANIFEST_FILE,
        "buys.txt",
        "model.onnx",
        "spend.txt",
        "typical.txt",
    }


def test_record_beside_the_folder_is_the_manifests_hash(folder: Path):
    """
    ``sha256sum -c v1.sha256`` would pass: the record is in its format.
    """
    digest = hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()

    assert recorded_sha256(folder) == digest
    assert (folder.parent / "v1.sha256").read_text() == f"{digest}  v1/manifest.json\n"


def test_existing_version_is_refused(folder: Path):
    """
    A version never changes, not even to the same content.
    """
    with pytest.raises(ModelError, match="'v1' exists"):
        published(folder.parent)


@pytest.mark.parametrize("version", ["../v2", "a/b", ".hidden", "", "x" * 101])
def test_version_cannot_point_elsewhere(tmp_path: Path, version: str):
    """
    A version is one folder name.
    """
    with pytest.raises((ModelError, ValueError), match="version"):
        write_model(tmp_path, recipe(), description(version), rows(), anchors())


def test_failed_parity_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The gate runs inside the write: a graph that disagrees leaves no folder, hidden or not.
    """
    other = trees_only(booster(rows(), target(rows()), rounds=3))
    graph = model_files.export_onnx(other)
    monkeypatch.setattr(model_files, "export_onnx", lambda _: graph)

    with pytest.raises(ExportError, match="differs from LightGBM"):
        write_model(tmp_path, trees_only(booster(rows(), target(rows()))), description(), rows())
    assert os.listdir(tmp_path) == []


def test_crash_while_writing_leaves_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The folder appears by one rename at the end; until then only a hidden folder exists, removed on error.
    """

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "rename", full_disk)

    with pytest.raises(OSError, match="no space"):
        published(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_killed_write_is_made_good_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    A version that is there has its record, wherever the process ended: both steps at the end are cut off in
    turn. What the killed one left in hidden folders goes.
    """
    steps = []
    for name in ("replace_file", "rename"):
        owner = model_files if name == "replace_file" else os
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, real=real: (steps.append(given), real(*given)))
    published(tmp_path / "whole")
    record, rename = len(steps) - 2, len(steps) - 1
    assert steps[record][0].name == "v1.sha256" and steps[rename][1].name == "v1"

    for cut in (record, rename):
        monkeypatch.undo()
        models = tmp_path / f"cut{cut}"
        models.mkdir()
        (models / ".v1.left").mkdir()
        if cut == rename:
            (models / "v1.sha256").write_text("the record of the killed write")

        published(models)

        assert sorted(os.listdir(models)) == ["v1", "v1.sha256"]
        assert registry.promote(models, "v1", "test").version == "v1"


def test_infinite_metric_is_refused(tmp_path: Path):
    """
    JSON has no NaN; a manifest that other readers cannot parse is not written.
    """
    with pytest.raises((ModelError, ValueError), match=r"NaN|finite"):
        write_model(tmp_path, recipe(), description(metrics={"gini": float("nan")}), rows(), anchors())


@pytest.mark.parametrize("name", ["model.onnx", "spend.txt", MANIFEST_FILE])
def test_one_flipped_bit_is_found(folder: Path, name: str):
    """
    Any bit of any file: 40 places each, against the hash held outside.
    """
    expected = recorded_sha256(folder)
    original = (folder / name).read_bytes()
    for position in np.linspace(0, len(original) - 1, 40).astype(int):
        damaged = bytearray(original)
        damaged[position] ^= 1 << (position % 8)
        (folder / name).write_bytes(bytes(damaged))

        with pytest.raises(ModelTamperedError):
            load_model(folder, expected)


def test_missing_unlisted_linked_and_oversized_files_are_refused(folder: Path, tmp_path: Path):
    """
    The folder holds exactly the listed plain files.
    """
    (folder / "extra.txt").write_text("x")
    with pytest.raises(ModelTamperedError, match=r"unlisted files: extra.txt"):
        load_model(folder)
    (folder / "extra.txt").unlink()

    text = (folder / "spend.txt").read_bytes()
    (folder / "spend.txt").write_bytes(text + b"\n")
    with pytest.raises(ModelTamperedError, match=r"spend.txt is no plain file of at most"):
        load_model(folder)

    (folder / "spend.txt").unlink()
    with pytest.raises(ModelError, match=r"spend.txt cannot be read"):
        load_model(folder)

    (tmp_path / "elsewhere").write_bytes(text)
    (folder / "spend.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"spend.txt cannot be read"):
        load_model(folder)


def test_renamed_folder_is_refused(folder: Path):
    """
    An old version cannot pose as another by its folder's name.
    """
    folder.rename(folder.with_name("v9"))

    with pytest.raises(ModelTamperedError, match="holds version 'v1'"):
        load_model(folder.with_name("v9"))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"surprise": 1}, "surprise"),
        ({"horizon_days": "365"}, "horizon_days"),
        ({"horizon_days": 0}, "horizon_days"),
        ({"format": 2}, "format"),
        ({"files": {"../x": {"sha256": "0" * 64, "bytes": 1}}}, "files lists"),
        ({"anchor_reference": None}, "anchor_reference"),
        ({"parity": {"rows": 10, "worst_relative_difference": 0.1}}, "worst_relative_difference"),
    ],
)
def test_manifest_is_validated_as_untrusted_input(folder: Path, changes: dict[str, object], fault: str):
    """
    Unknown keys, other types, ranges and file names are refused by name.
    """
    _forge(folder, **changes)

    with pytest.raises(ModelError, match=fault):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 100_000])
def test_what_is_no_manifest_is_refused(folder: Path, content: bytes):
    """
    Empty, other JSON, cut off, binary, a key twice, nested without end: a ModelError that names the file.
    """
    (folder / MANIFEST_FILE).write_bytes(content)

    with pytest.raises(ModelError, match=r"manifest.json is not a model manifest"):
        load_model(folder)


def test_forged_graph_with_true_hashes_is_not_its_boosters(folder: Path):
    """
    One leaf doubled and every hash recomputed: the graph no longer equals its boosters' export.
    """
    graph = onnx.load(folder / "model.onnx")
    trees = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
    leaves = next(a for a in trees.attribute if a.name == "leaf_weights")
    leaves.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(leaves.t) * 2, "leaf_weights"))
    _forge(folder, "model.onnx", graph.SerializeToString())

    with pytest.raises(ModelTamperedError, match="not the graph of its own boosters"):
        load_model(folder)


def test_forged_recipe_with_true_hashes_is_not_its_graph(folder: Path):
    """
    A weight changed in the manifest alone, or a number that is not finite, is found as well.
    """
    outputs = json.loads((folder / MANIFEST_FILE).read_text())["outputs"]
    outputs[0]["terms"][0]["weight"] = 5.0
    _forge(folder, outputs=outputs)
    with pytest.raises(ModelTamperedError, match="not the graph of its own boosters"):
        load_model(folder)

    outputs[0]["terms"][0]["weight"] = float("nan")
    _forge(folder, outputs=outputs)
    with pytest.raises(ModelError, match="not a model manifest"):
        load_model(folder)


def test_manifest_forged_whole_is_found_by_the_hash_held_outside(folder: Path):
    """
    Boosters, graph and hashes replaced together are consistent: only the record outside the folder tells.
    """
    expected = recorded_sha256(folder)
    _forge(folder, metrics={"gini": 1.0})

    assert load_model(folder).manifest.metrics == {"gini": 1.0}
    with pytest.raises(ModelTamperedError, match="not the one that was published"):
        load_model(folder, expected)


def _with_operator(graph: onnx.ModelProto) -> str:
    graph.graph.node.append(helper.make_node("Loop", ["a"], ["b"]))
    return "operator 'Loop'"


def _with_external_data(graph: onnx.ModelProto) -> str:
    tensor = graph.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return "outside the file"


def _with_subgraph(graph: onnx.ModelProto) -> str:
    graph.graph.node[0].attribute.append(helper.make_attribute("body", onnx.GraphProto()))
    return "graph inside node"


def _with_function(graph: onnx.ModelProto) -> str:
    graph.functions.add(name="f")
    return "functions"


@pytest.mark.parametrize("change", [_with_operator, _with_external_data, _with_subgraph, _with_function])
def test_only_listed_operators_and_plain_tensors_are_allowed(folder: Path, change):
    """
    Refused before ONNX Runtime sees the graph, even with true hashes.
    """
    graph = onnx.load(folder / "model.onnx")
    fault = change(graph)
    _forge(folder, "model.onnx", graph.SerializeToString())

    with pytest.raises(ModelTamperedError, match=fault):
        load_model(folder)


@pytest.mark.parametrize("content", [b"tree\n", b"\xff\xfe", b"tree\nnum_class=1\n\nTree=0\nnum_leaves=99\n"])
def test_forged_booster_text_is_refused_before_lightgbm_reads_it(folder: Path, content: bytes):
    """
    Damaged text with true hashes is a ModelTamperedError, not a crash inside LightGBM.
    """
    _forge(folder, "spend.txt", content)

    with pytest.raises(ModelTamperedError, match=r"spend.txt cannot be read"):
        load_model(folder)


def test_booster_text_that_is_not_onnx_is_refused(folder: Path):
    """
    Something else under the graph's name.
    """
    _forge(folder, "model.onnx", b"\xff" * 50)

    with pytest.raises(ModelTamperedError, match="not an ONNX model"):
        load_model(folder)


def test_manifest_numbers_read_back_to_the_same_bits(tmp_path: Path):
    """
    A line's coefficients live in JSON: writing and reading them changes no bit.
    """
    manifest = published(tmp_path).manifest

    again = load_model(tmp_path / "v1").manifest

    assert manifest_bytes(again) == (tmp_path / "v1" / MANIFEST_FILE).read_bytes()
    assert again.outputs == manifest.outputs


def test_a_manifest_of_before_is_read_alike(folder: Path):
    """
    Models made before 0.2.0 call an offset ``beside`` and the candidate its form; with both names the
    manifest is refused. What they explained by, parts of the anchor, is left out.
    """
    outputs = json.loads((folder / MANIFEST_FILE).read_text())["outputs"]
    old = (
        json.dumps(outputs).replace('"offset": {', '"beside": {').replace('"offset": null', '"beside": null')
    )
    expected = load_model(folder).recipe.outputs
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    del manifest["anchor_opening"]
    parts = [{"name": "anchor_level", "reference": 9.0}]
    manifest |= {"outputs": json.loads(old), "anchor_parts": parts, "parameters": {"form": "blend"}}
    manifest |= {"anchor_factors": 1, "feature_drivers": {"log_anchor_to_mean": "anchor_probabilistic"}}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))

    loaded = load_model(folder)

    assert loaded.recipe.outputs == expected
    assert any(factor.offset for term in expected[3].terms for factor in term.factors)
    assert (loaded.manifest.anchor_opening, loaded.manifest.feature_drivers) == (None, {})
    assert loaded.manifest.candidate == "blend"

    both = json.loads(old)
    both[0]["terms"][0]["factors"][0]["offset"] = None
    (folder / MANIFEST_FILE).write_text(json.dumps({**manifest, "outputs": both}))
    with pytest.raises(ModelError, match="beside"):
        load_model(folder)


def test_booster_text_in_the_folder_is_lightgbms_own(folder: Path):
    """
    Any LightGBM can read it, without this package.
    """
    spend = recipe().boosters["spend"]

    assert (folder / "spend.txt").read_text() == booster_text(spend)


def test_no_tampered_folder_is_scored_with(tmp_path: Path):
    """
    60 folders changed in 14 ways, half of them with all hashes inside made true again: the champion and the
    pinned version are refused each time, and what carries no model is refused even on the folder's own word.
    (`make soak`: 1,000.)
    """
    loaded, forged, believed = scored_with(tmp_path, 60)

    assert (loaded, forged) == (0, 30)
    assert believed < forged / 2


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"calibration": {"bins": [{"customers": "1); drop table x; --"}]}},
            "calibration holds something else",
        ),
        ({"anchor": "1 as double), cast(x"}, "anchor"),
    ],
)
def test_no_text_of_a_manifest_reaches_sql(folder: Path, changes: dict[str, object], fault: str):
    """
    What the scoring models render into SQL is a number or a column's name.
    """
    _forge(folder, **changes)

    with pytest.raises(ModelError, match=fault):
        load_model(folder)
