"""Promote, roll back and list: one pointer, swapped whole."""

import json
import os
from pathlib import Path

import pytest
from small_models import booster, description, rows, target, trees_only

from clv_ml import registry
from clv_ml.errors import ModelError, ModelTamperedError
from clv_ml.model_files import write_model


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """Three small versions."""
    for version, rounds in (("v1", 1), ("v2", 2), ("v3", 3)):
        recipe = trees_only(booster(rows(80), target(rows(80)), rounds=rounds))
        write_model(tmp_path, recipe, description(version), rows(80))
    return tmp_path


def test_no_champion_until_one_is_promoted(models_dir: Path, tmp_path: Path):
    """
    An empty or absent folder has no models and no champion, and that is no error.
    """
    assert registry.champion(models_dir) is None
    assert registry.load(models_dir) is None
    assert registry.list_models(tmp_path / "absent") == []


def test_promote_points_at_the_version_and_its_manifest(models_dir: Path):
    """
    The pointer holds the hash that loading then insists on.
    """
    pointer = registry.promote(models_dir, "v2", "better Gini")

    assert json.loads((models_dir / "champion.json").read_text())["version"] == "v2"
    loaded = registry.load(models_dir)
    assert loaded is not None
    assert (loaded.manifest.version, loaded.manifest_sha256) == ("v2", pointer.manifest_sha256)


def test_rollback_goes_back_step_by_step(models_dir: Path):
    """
    Promote 1, 2, 3, then back to 2 and 1; further back is refused and changes nothing.
    """
    for version in ("v1", "v2", "v3"):
        registry.promote(models_dir, version, "newer")

    assert registry.rollback(models_dir).version == "v2"
    assert registry.rollback(models_dir, "v2 drifts too").version == "v1"
    with pytest.raises(ModelError, match="no earlier champion"):
        registry.rollback(models_dir)
    assert registry.champion(models_dir).version == "v1"
    diary = [json.loads(line) for line in (models_dir / "promotions.jsonl").read_text().splitlines()]
    assert [entry["action"] for entry in diary] == ["promote"] * 3 + ["rollback"] * 2
    assert diary[-1]["reason"] == "v2 drifts too"


def test_promoting_the_champion_again_changes_nothing(models_dir: Path):
    """
    The command may be repeated.
    """
    registry.promote(models_dir, "v1", "first")
    before = (models_dir / "champion.json").read_bytes()

    registry.promote(models_dir, "v1", "again")

    assert (models_dir / "champion.json").read_bytes() == before


def test_pinned_version_loads_beside_the_champion(models_dir: Path):
    """
    A pin names any published version.
    """
    registry.promote(models_dir, "v1", "first")

    assert registry.load(models_dir, "v3").manifest.version == "v3"


@pytest.mark.parametrize("version", ["v9", "../v1", "champion.json"])
def test_unknown_versions_are_refused(models_dir: Path, version: str):
    """
    By name, with what there is instead.
    """
    with pytest.raises(ModelError, match=version):
        registry.promote(models_dir, version, "x")
    assert registry.champion(models_dir) is None


def test_damaged_model_is_not_promoted_nor_rolled_back_to(models_dir: Path):
    """
    The pointer stays where it was.
    """
    registry.promote(models_dir, "v1", "first")
    registry.promote(models_dir, "v2", "second")
    for version in ("v1", "v3"):
        with open(models_dir / version / "model.onnx", "ab") as stream:
            stream.write(b"x")

    with pytest.raises(ModelTamperedError):
        registry.promote(models_dir, "v3", "third")
    with pytest.raises(ModelTamperedError):
        registry.rollback(models_dir)
    assert registry.champion(models_dir).version == "v2"


def test_manifest_replaced_after_promotion_is_refused(models_dir: Path):
    """
    The champion's manifest hash is held in the pointer, outside the version's folder.
    """
    registry.promote(models_dir, "v1", "first")
    path = models_dir / "v1" / "manifest.json"
    path.write_text(path.read_text().replace('"gini": 0.8', '"gini": 0.9'))

    with pytest.raises(ModelTamperedError, match="not the one that was published"):
        registry.load(models_dir)
    with pytest.raises(ModelTamperedError, match="not the one that was published"):
        registry.load(models_dir, "v1")


def test_list_shows_every_version_and_why_one_cannot_be_used(models_dir: Path):
    """
    A folder without record (its publication was cut short) and one with a changed manifest are listed with a fault.
    """
    registry.promote(models_dir, "v3", "best")
    (models_dir / "v1.sha256").unlink()
    (models_dir / "v2" / "manifest.json").write_text("{}")
    (models_dir / ".v4.abc").mkdir()

    listed = {model.version: model for model in registry.list_models(models_dir)}

    assert set(listed) == {"v1", "v2", "v3"}
    assert "v1.sha256" in listed["v1"].fault
    assert "manifest" in listed["v2"].fault
    assert listed["v3"].fault is None and listed["v3"].is_champion
    with pytest.raises(ModelError, match=r"v1.sha256"):
        registry.promote(models_dir, "v1", "x")


@pytest.mark.parametrize("content", ["", "{}", '{"version": "v1"}', "[]"])
def test_broken_pointer_is_an_error_not_a_missing_champion(models_dir: Path, content: str):
    """
    Silently scoring without a model would be worse.
    """
    (models_dir / "champion.json").write_text(content)

    with pytest.raises(ModelError, match="not a pointer"):
        registry.champion(models_dir)


def test_record_in_another_format_is_refused(models_dir: Path):
    """
    The record names the folder that it stands for.
    """
    (models_dir / "v1.sha256").write_text((models_dir / "v2.sha256").read_text())

    with pytest.raises(ModelError, match="not a line of sha256sum"):
        registry.promote(models_dir, "v1", "x")


def test_crash_during_the_swap_keeps_the_old_champion(models_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The new pointer is written beside and moved into place: a failure leaves the old one and no litter.
    """
    registry.promote(models_dir, "v1", "first")

    def fail(*_: object) -> None:
        raise OSError("disk gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk gone"):
            registry.promote(models_dir, "v2", "second")

    assert registry.champion(models_dir).version == "v1"
    assert not [name for name in os.listdir(models_dir) if name.startswith(".")]
