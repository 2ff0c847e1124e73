"""Promote, roll back, list, show, compare and remove: one pointer, swapped whole, and what it needs stays."""

import hashlib
import json
import os
from datetime import date
from pathlib import Path

import pytest
from shops import all_contents, execute, query, with_vars
from small_models import booster, description, rows, target, trees_only

from clv_ml.errors import ModelError, ModelTamperedError
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.training import train
from clv_ml.model import registry
from clv_ml.model.model_files import write_model
from clv_ml.operate.retention import feature_dates, remove_old
from clv_ml.operate.value_changes import compare_models, unscored_versions
from clv_ml.serve.scoring import score
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


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


def test_a_rollback_holds_until_somebody_promotes(models_dir: Path):
    """
    A training that makes the same version again does not take the rollback back; a person does.
    """
    for version in ("v1", "v2"):
        registry.promote(models_dir, version, "trained", by_hand=False)
    registry.rollback(models_dir)

    with pytest.raises(ModelError, match=r"'v2' again.*'v1' stays.*clv models promote v2"):
        registry.promote(models_dir, "v2", "trained", by_hand=False)
    assert registry.champion(models_dir).version == "v1"

    registry.promote(models_dir, "v2", "looked at")
    registry.promote(models_dir, "v1", "looked at")
    assert registry.promote(models_dir, "v2", "trained", by_hand=False).version == "v2"


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
    A folder without record (its publication was cut short) and one with a changed manifest are listed with a
    fault.
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


def test_show_tells_all_of_a_version(models_dir: Path):
    """
    Its manifest, and why it is or was the champion; a version that never was has no reason.
    """
    registry.promote(models_dir, "v1", "first")
    registry.promote(models_dir, "v2", "better Gini")

    shown = {version: registry.show(models_dir, version) for version in ("v1", "v2", "v3")}

    assert [model.reason for model in shown.values()] == ["first", "better Gini", None]
    assert [model.is_champion for model in shown.values()] == [False, True, False]
    assert shown["v2"].manifest.metrics == {"test": {"gini": 0.8}}
    assert not [model.fault for model in shown.values() if model.fault]


def test_show_reads_every_file(models_dir: Path):
    """
    Listing reads manifests alone; showing finds a byte too many, and refuses a version that is not there.
    """
    with open(models_dir / "v1" / "model.onnx", "ab") as stream:
        stream.write(b"x")

    assert {model.version: model.fault for model in registry.list_models(models_dir)}["v1"] is None
    assert "model.onnx" in registry.show(models_dir, "v1").fault
    with pytest.raises(ModelError, match="there are: v1, v2, v3"):
        registry.show(models_dir, "v9")


@pytest.fixture
def six_versions(models_dir: Path) -> Path:
    """Versions v1 to v6, each a second younger than the one before; v2 and v4 were champions, v2 is again."""
    for version in ("v4", "v5", "v6"):
        write_model(
            models_dir, trees_only(booster(rows(80), target(rows(80)))), description(version), rows(80)
        )
    for number in range(1, 7):
        _date(models_dir / f"v{number}", f"2024-01-01T00:00:{number:02}Z")
    for version in ("v2", "v4", "v2"):
        registry.promote(models_dir, version, "tried")
    return models_dir


def _date(folder: Path, created_at: str) -> None:
    """Gives a version another age, with the record that belongs to it."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "created_at": created_at}, indent=1, sort_keys=True) + "\n")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    folder.with_name(f"{folder.name}.sha256").write_text(f"{sha256}  {folder.name}/manifest.json\n")


def test_the_champion_the_one_before_and_pinned_versions_are_never_removed(six_versions: Path):
    """
    One is kept, and three more are needed: the oldest go, whole, and the diary says so; rollback still works.
    """
    removed = registry.remove_old(six_versions, kept=1, pinned=["v3"])

    assert removed == ("v1", "v5")
    assert [model.version for model in registry.list_models(six_versions)] == ["v2", "v3", "v4", "v6"]
    assert {path.name for path in six_versions.glob("*.sha256")} == {f"v{n}.sha256" for n in (2, 3, 4, 6)}
    diary = [json.loads(line) for line in (six_versions / "promotions.jsonl").read_text().splitlines()]
    assert [entry["version"] for entry in diary if entry["action"] == "remove"] == ["v1", "v5"]
    assert registry.rollback(six_versions).version == "v4"


def test_what_cannot_be_read_stays_and_what_was_half_removed_goes(six_versions: Path):
    """
    A folder without a readable manifest may be anything; one that was hidden by a removal cut short is
    nothing.
    """
    (six_versions / "v1" / "manifest.json").write_text("{}")
    (six_versions / ".removed.v0").mkdir()

    assert registry.remove_old(six_versions, kept=2) == ("v3",)
    assert (six_versions / "v1").is_dir()
    assert not list(six_versions.glob(".removed.*"))
    assert registry.remove_old(six_versions, kept=2) == ()


@pytest.mark.long
def test_two_versions_are_compared_on_one_date_and_readers_see_nothing_of_it(trained_copy: Settings):
    """
    The challenger is scored beside the champion: what stands in use is untouched, the challenger's numbers
    are those of its own files, and the drivers' differences add up to the difference of the totals, to a cent
    a thousand customers.
    """
    champion = registry.champion(trained_copy.models).version
    challenger = train(trained_copy, parameters=Parameters(learning_rate=0.2)).version
    registry.rollback(trained_copy.models)
    before = all_contents(trained_copy, tables=("customer_predictions", "customer_drivers", "calibration"))

    changes = compare_models(trained_copy, champion, challenger, customers=3)

    assert (changes.model_before, changes.model_after) == (champion, challenger) and champion != challenger
    assert changes.customers_before == changes.customers_after == changes.customers_on_both > 100
    moved = sum(driver["change"] for driver in changes.drivers)
    assert float(moved) == pytest.approx(float(changes.total_after - changes.total_before), abs=0.01)
    assert all_contents(trained_copy, tables=tuple(before)) == before
    with connect(trained_copy) as connection:
        scoring = connection.execute("select * from scoring_rows order by customer_id").to_arrow_table()
        said = connection.execute(
            "select clv_predicted from challenger_predictions where model_version = ? order by customer_id",
            [challenger],
        ).fetchall()
    (batch,) = scoring.combine_chunks().to_batches()
    own = score(registry.load(trained_copy.models, challenger), batch).field("clv_predicted").to_pylist()
    assert [value for (value,) in said] == own
    assert unscored_versions(trained_copy, (champion, challenger)) == ()

    _old_scores(trained_copy)
    dates = [date(2020, 1, 1), *feature_dates(trained_copy)]
    kept = with_vars(trained_copy, models_kept=1, prediction_days_kept=0, driver_days_kept=0)
    removed = remove_old(kept, dates)

    assert removed.models == ()  # two are left, the newest and the champion
    assert {table: len(dates) for table, dates in removed.dates.items()} == {
        "features": 1,
        "customer_predictions": 1,
        "group_history": 1,
        "customer_drivers": 2,
    }
    assert not query(trained_copy, "select 1 from duckdb_tables() where table_name like 'challenger%'")


def _old_scores(settings: Settings) -> None:
    """Scores of 59 and 61 days ago; the horizon is 60 days, so the window of the first is still open."""
    for table in ("customer_predictions", "customer_drivers", "group_history"):
        for days in (59, 61):
            execute(
                settings,
                f"insert into {table} select * replace (cast(as_of_date - interval '{days} days' as date) "
                f"as as_of_date) from {table} where as_of_date = (select max(as_of_date) from customer_clv)",
            )
