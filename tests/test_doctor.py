"""`clv doctor`: survives what is absent or broken, names what to run, fails only on what is wrong."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from click.testing import Result
from shops import copied, execute, settings_for, with_vars
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import WarehouseBusyError
from clv_ml.model import registry
from clv_ml.operate import doctor
from clv_ml.operate.doctor import Finding, examine
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.locking import locked

NAMES = [
    "versions",
    "lock",
    "warehouse",
    "model",
    "scores",
    "data",
    "drift",
    "accuracy",
    "publication",
    "disk",
]


@pytest.fixture
def shop(trained: Settings, tmp_path: Path) -> Settings:
    """The trained shop, for the test alone; no dbt runs here, so that its path may be any."""
    return copied(trained, tmp_path / "shop")


def findings(settings: Settings) -> dict[str, Finding]:
    """By name."""
    found = {finding.name: finding for finding in examine(settings)}
    assert list(found) == NAMES
    return found


def _clv(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(settings.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(settings.models))
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_a_finished_shop_is_well(shop: Settings):
    """
    Nothing fails; the figures are those of the tables; what is not published is absent and named with its
    command.
    """
    found = findings(shop)

    assert not [finding for finding in found.values() if finding.status == "fail"]
    assert found["model"].details["version"] == registry.champion(shop.models).version
    assert found["scores"].details["customers_of_model"] > 100
    assert found["data"].details["age_days"] > 365 and found["data"].status == "warn"
    assert found["drift"].details["compared"] > 50
    assert found["accuracy"].status == "absent" and "60 days" in found["accuracy"].text
    assert found["publication"].status == "absent" and "clv publish" in found["publication"].text
    assert set(found["versions"].details) == {"python", *doctor.LIBRARIES}


def test_an_empty_place_is_no_failure(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Without warehouse, model and publication: exit 0, each absent with what to run, and nothing is created.
    """
    settings = settings_for(tmp_path / "none", project)

    result = _clv(settings, monkeypatch)
    found = findings(settings)

    assert result.exit_code == 0
    absent = {name for name, finding in found.items() if finding.status == "absent"}
    assert absent == set(NAMES) - {"versions", "lock", "disk"}
    assert all("run clv" in found[name].text for name in absent)
    assert not (tmp_path / "none").exists()


def test_features_without_scores_are_no_failure(simulated: Settings):
    """
    A shop whose marts were never built.
    """
    assert {finding.status for finding in examine(simulated)} <= {"ok", "absent", "warn"}


def test_text_and_json_say_the_same(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    A line per finding; one JSON object with the same findings; exit 0.
    """
    text, shown = _clv(shop, monkeypatch), _clv(shop, monkeypatch, "--json")

    assert text.exit_code == shown.exit_code == 0
    answer = json.loads(shown.stdout)
    assert answer["is_well"] and [finding["name"] for finding in answer["findings"]] == NAMES
    assert [line.split()[1] for line in text.stdout.splitlines()] == NAMES


def test_a_damaged_model_fails(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    One byte more in the graph: exit 1, and the file is named; everything else is still looked at.
    """
    version = registry.champion(shop.models).version
    with open(shop.models / version / "model.onnx", "ab") as stream:
        stream.write(b"x")

    found = findings(shop)

    assert found["model"].status == "fail" and "model.onnx" in found["model"].text
    assert found["scores"].status == "ok"
    assert _clv(shop, monkeypatch).exit_code == 1


@pytest.mark.parametrize("content", ["", "{}"])
def test_a_broken_pointer_fails(shop: Settings, content: str):
    """
    It is not taken for a shop without a model.
    """
    (shop.models / "champion.json").write_text(content)

    assert findings(shop)["model"].status == "fail"


def test_a_file_that_is_no_database_fails(tmp_path: Path, project: Path):
    """
    What it holds is not known then, and that is not a second failure.
    """
    settings = settings_for(tmp_path, project)
    settings.warehouse.write_text("not a database, but long enough to be read as the head of one" * 100)

    found = findings(settings)

    assert [name for name, finding in found.items() if finding.status == "fail"] == ["warehouse"]


def test_a_model_for_another_question_is_due(shop: Settings):
    """
    The champion predicts 60 days; asked for 61, the finding says what to run, and how to ask of 60. The
    caution is not lost.
    """
    found = findings(with_vars(shop, horizon_days=61))["model"]

    assert found.status == "warn" and "clv train; or clv doctor --horizon-days 60" in found.text
    assert f"caution: {found.details['caution']}" in found.text


def test_what_is_counted_twice_fails_and_what_is_unusual_warns(shop: Settings):
    """
    The status of the table decides.
    """
    execute(shop, "update data_quality set status = 'warn' where check_name = 'volume'")
    warned = findings(shop)["data"]
    execute(shop, "update data_quality set status = 'fail' where subject like 'events with%'")
    failed = findings(shop)["data"]

    assert warned.status == "warn" and "volume, events of the last day" in warned.text
    assert failed.status == "fail" and len(failed.details["unusual"]) == 5


def test_accuracy_is_judged_by_the_settings(shop: Settings):
    """
    A total off by 20 % is within 0.25, one off by 65 % is not. Where many buy nothing, more than 80 % lie
    inside their bounds, which is no fault; that 21 % end above is one, and so is that 21 % end below.
    """
    row = (
        "insert into clv_accuracy (as_of_date, estimator, customers, bias, nmae_to_best_baseline, "
        "interval_coverage, above_high_share) values "
    )
    execute(
        shop,
        f"{row} (date '2024-02-01', 'model', 9, 0.18, 1.2, 0.95, 0.05), (date "
        "'2024-02-01', 'typical', 9, 0, 0.9, null, null)",
    )
    near = findings(shop)["accuracy"]
    execute(shop, f"{row} (date '2024-03-01', 'model', 9, 0.5, 0.9, 0.9, 0.1)")
    far = findings(shop)["accuracy"]
    execute(shop, f"{row} (date '2024-04-01', 'model', 9, 0, 0.9, 0.79, 0.21)")
    above = findings(shop)["accuracy"]
    execute(shop, f"{row} (date '2024-05-01', 'model', 9, 0, 0.9, 0.69, 0.1)")
    below = findings(shop)["accuracy"]

    assert near.status == "ok" and "+20%" in near.text and "0.90" in near.text
    assert above.status == below.status == "warn" and "bounds held 79%" in above.text
    assert far.status == "warn" and "2024-03-01" in far.text and "+65%" in far.text


def test_the_holder_of_the_lock_is_named(shop: Settings):
    """
    While a run holds it; a lock file that outlived its run says nothing.
    """
    with locked(shop):
        during = findings(shop)["lock"]
    after = findings(shop)["lock"]

    assert during.details["process"] is not None and during.details["process"] in during.text
    assert after.details["process"] is None


@pytest.mark.parametrize("place", ["the lock", "the file"])
def test_a_killed_run_is_named_until_the_next_one(shop: Settings, place: str):
    """A writer that is killed, with the lock of `clv` or, as plain dbt, without: say what to do."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from clv_ml.settings import load_settings\n"
        "from clv_ml.warehouse.connection import connect\n"
        "from clv_ml.warehouse.locking import locked\n"
        "settings = load_settings(project=Path(sys.argv[1]))\n"
        "settings = settings.model_copy(update={'warehouse': Path(sys.argv[2]), 'chosen_schema': 'main'})\n"
        f"kept = locked(settings) if {place == 'the lock'} else connect(settings, read_only=False)\n"
        "with kept as connection:\n"
        "    if connection is not None: connection.execute('create table half_done as select 1 as x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert findings(shop)["lock"].text == "no run is under way"
    subprocess.run([sys.executable, "-c", code, str(shop.project), str(shop.warehouse)])

    lock = findings(shop)["lock"]

    assert lock.status == "warn"
    assert "the last one was killed before it was done" in lock.text and "clv run" in lock.text
    with locked(shop), connect(shop, read_only=False):
        pass
    assert findings(shop)["lock"].status == "ok"


def test_a_busy_warehouse_is_read_from_the_published_copy(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Only a warning, and the scores are there all the same.
    """
    publish(shop)
    shown = findings(shop)["scores"]
    reach = doctor.connect

    @contextmanager
    def busy(settings: Settings):
        if settings.warehouse == shop.warehouse:
            raise WarehouseBusyError("another process has it")
        with reach(settings) as connection:
            yield connection

    monkeypatch.setattr(doctor, "connect", busy)
    found = findings(shop)

    assert found["warehouse"].status == "warn"
    assert found["scores"] == shown and found["publication"].status == "ok"
    assert found["publication"].details["age_hours"] < 1


def test_an_old_publication_is_a_warning(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Readers of a copy from long ago should know; how long is the setting freshness_days.
    """
    publish(shop)
    monkeypatch.setattr(doctor, "datetime", Later)

    found = findings(shop)["publication"]

    assert found.status == "warn" and "more than 2 days: run clv run" in found.text


class Later(datetime):
    """The clock, 400 days from now."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=400)


def test_too_little_disk_fails(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    A publication writes a copy of the warehouse.
    """
    size = shop.warehouse.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(size, size, size))

    assert findings(shop)["disk"].status == "fail"
