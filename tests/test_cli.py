"""
The command line: parse, call, print; exit codes 0 done, 1 failed, 2 usage; ``--json`` prints one object.
"""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import typer
from click.testing import Result
from rich.console import Console
from shops import BY_MODEL, ROOT, by_formula, copied, execute, query, regular_shop
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.engines import DuckDB
from clv_ml.model import registry
from clv_ml.settings import Settings
from clv_ml.show import progress
from clv_ml.show.models import better_than_model

COMMANDS = (
    (),
    ("demo",),
    ("init",),
    ("ingest",),
    ("quarantine",),
    ("inspect",),
    ("train",),
    ("score",),
    ("run",),
    ("backtest",),
    ("publish",),
    ("backfill",),
    ("forget",),
    ("tune",),
    ("diff",),
    ("explain",),
    ("report",),
    ("export",),
    ("compare-engines",),
    ("models",),
    ("doctor",),
    ("models", "list"),
    ("models", "show"),
    ("models", "diff"),
    ("models", "promote"),
    ("models", "rollback"),
)
HORIZON = ("--horizon-days", "60")
ENGAGEMENT = (
    "total_sessions, total_page_views, cart_abandonment_rate, items_per_session, revenue_per_session, "
    "purchase_per_session, pages_per_purchase"
)


HEAVY = ("dbt", "duckdb", "lightgbm", "matplotlib", "numpy", "onnxruntime", "pandas", "pydantic", "scipy")
"""Libraries that take longer to import than a small command to run."""


def _clv(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _json(*arguments: object) -> Any:
    result = _clv(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def at(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Points the commands at a shop, as a user does: by the environment and the folder they stand in."""

    def point(settings: Settings) -> Settings:
        monkeypatch.chdir(project)
        monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
        monkeypatch.setenv("CLV_MODELS", str(settings.models))
        return settings

    return point


@pytest.fixture
def nowhere(at, tmp_path: Path, empty_shop: Settings) -> Settings:
    """A place without a warehouse."""
    places = {"warehouse": tmp_path / "none" / "clv.duckdb", "models": tmp_path / "none" / "models"}
    return at(empty_shop.model_copy(update=places))


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("clv_ml.cli", HEAVY),
        ("clv_ml.operate.customers", ("dbt", "lightgbm", "matplotlib", "numpy", "onnxruntime", "scipy")),
        ("clv_ml.model.registry", ("dbt", "duckdb", "lightgbm", "numpy", "onnx", "onnxruntime", "scipy")),
        ("clv_ml.show.customers", ("dbt", "duckdb", "lightgbm", "matplotlib", "numpy", "onnxruntime")),
        ("clv_ml.show.models", ("dbt", "duckdb", "lightgbm", "matplotlib", "numpy", "onnxruntime")),
    ],
)
def test_a_command_imports_what_it_needs(module: str, heavy: tuple[str, ...]):
    """
    `clv --help` and a look at a customer start at once: what only other commands need is not imported.
    """
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert set(heavy).isdisjoint(loaded.split())


@pytest.fixture
def built(trained_copy: Settings, at, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The trained shop, whose features stand already: commands do not build them again."""
    monkeypatch.setattr(DuckDB, "build_features", lambda engine: None)
    return at(trained_copy)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]):
    """
    Exit 0, and a sentence on what it does.
    """
    result = _clv(*command, "--help")

    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert len(result.stdout.split()) > 10


def test_every_command_is_known_to_these_tests():
    """
    The list above is complete: no command goes without a help test.
    """
    group = typer.main.get_command(app)
    names = {(name,) for name in group.commands}
    names |= {(name, sub) for name, part in group.commands.items() for sub in getattr(part, "commands", {})}

    assert names <= set(COMMANDS) | _of_other_tests(names)


def _of_other_tests(names: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Commands that have a test module of their own."""
    folder = Path(__file__).parent
    return {name for name in names if (folder / f"test_{name[0]}.py").exists()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("train", "--no-such-option"),
        ("train", "--model-type", "forest"),
        ("train", "--horizon-days", "soon"),
        ("demo", "--customers", "3"),
        ("models", "promote"),
        ("diff", "2024-01-01"),
        ("diff", "2024-01-01", "soon"),
        ("train", "--vars", "{horizon_dayz: 3}"),
        ("train", "--vars", "just words"),
        ("train", "--vars", "{horizon_days: [1"),
        ("train", "--horizon-days", "-5"),
        ("score", "--as-of", "yesterday"),
        ("score", "--vars", "{reporting_currency: pounds}"),
        ("run", "orders.csv", "--data-dir", "folder"),
        ("ingest", "orders.csv", "--data-dir", "folder"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_touches_nothing(nowhere: Settings, arguments: tuple[str, ...]):
    """
    An unknown command, option, setting or value; said on stderr, before any work.
    """
    result = _clv(*arguments)

    assert result.exit_code == 2
    assert result.stderr
    assert not nowhere.warehouse.exists()


def test_what_beat_the_model_is_said():
    """
    The best rival per metric where one did better; nothing where none did, or none was measured.
    """
    figures = {
        "model": {"r2": 0.4, "mae": 60.0},
        "typical": {"r2": 0.9, "mae": 1.0},
        "simple": {"r2": 0.5, "mae": 70.0},
        "bgnbd": {"r2": 0.6, "mae": 65.0},
        "churn": {"brier": 0.1},
    }

    assert better_than_model(figures) == "bgnbd in r2 (0.600)"
    assert better_than_model({"model": {"r2": 0.4, "mae": 60.0}}) == ""
    unfitted = {"bgnbd": {"r2": None, "mae": None}, "btyd": {"r2": nan, "mae": nan}}
    assert better_than_model(unfitted | {"model": {"r2": 0.4, "mae": 60.0}}) == ""


def test_an_unknown_setting_is_named(nowhere: Settings):
    """
    With the ones that exist.
    """
    result = _clv("score", "--vars", "{horizon_dayz: 3}")

    message = " ".join(result.stderr.split())
    assert "SettingsError: Unknown setting 'horizon_dayz'" in message
    assert "horizon_days" in message


def test_a_missing_file_exits_with_1_and_is_named(nowhere: Settings, tmp_path: Path):
    """
    One line on stderr, no traceback, nothing on stdout.
    """
    result = _clv("ingest", tmp_path / "gone.csv")

    assert result.exit_code == 1
    assert "gone.csv" in result.stderr.replace("\n", "")
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_nothing_is_published_that_is_missing_or_fails_a_test(
    nowhere: Settings, trained_copy: Settings, at: Callable[[Settings], Settings]
):
    """
    Without a warehouse it is named and none is made; with a mart that fails a test, the test is named and no
    copy is made.
    """
    result = _clv("publish")
    assert result.exit_code == 1
    assert "There is no warehouse" in result.stderr
    assert not nowhere.warehouse.exists()

    at(trained_copy)
    execute(trained_copy, "update data_quality set status = 'fail' where subject like 'events with%'")
    result = _clv("publish")
    assert result.exit_code == 1
    assert "data_quality_nothing_fails" in " ".join(result.stderr.split())
    assert not (trained_copy.warehouse.parent / "published").exists()


def test_a_crafted_setting_fails_cleanly(nowhere: Settings):
    """
    Also one that only SQL reads: refused before any work, with the setting's name.
    """
    result = _clv("score", "--vars", '{store_timezone: "UTC\'; drop table raw.events; --"}')

    assert result.exit_code == 2
    assert "Setting 'store_timezone' is" in " ".join(result.stderr.split())
    assert not nowhere.warehouse.exists()


def test_training_without_events_exits_with_1(at, empty_shop: Settings, bench: Path):
    """
    The reason and the remedy, no traceback.
    """
    at(copied(empty_shop, bench))

    result = _clv("train")

    assert result.exit_code == 1
    assert "HistoryError" in result.stderr
    assert "holds no events. Load some first" in " ".join(result.stderr.split())
    assert "clv ingest" in result.stderr


def test_a_locked_warehouse_is_explained(at, simulated_copy: Settings):
    """
    Another process writes: exit 1, no traceback.
    """
    at(simulated_copy)
    holder = duckdb.connect(simulated_copy.warehouse)
    try:
        result = _clv("models", "promote", "v1")
    finally:
        holder.close()

    assert result.exit_code == 1
    assert "Traceback" not in result.output


@pytest.fixture
def own_orders(at, empty_shop: Settings, tmp_path: Path, bench: Path) -> tuple[Settings, Path, int]:
    """An empty warehouse, a CSV of the orders of 30 customers who track nothing but sales, and its rows."""
    file = tmp_path / "orders.csv"
    lines = [
        f"{event.order_id},{event.customer_id},{event.occurred_at.isoformat()},{event.amount},GBP"
        for event in regular_shop(days=300)
    ]
    file.write_text("order_id,customer_id,ordered_at,amount,currency\n" + "\n".join(lines), encoding="utf-8")
    return at(copied(empty_shop, bench)), file, len(lines)


def test_own_orders_go_from_csv_to_scores(own_orders: tuple[Settings, Path, int]):
    """
    The README's path: a CSV of orders, one ``clv run``; ``--json`` is one object with every part. Engagement
    is NULL, never 0, for everyone, and the model trains and scores all the same.
    """
    settings, file, orders = own_orders

    result = _json("run", file, "--preset", "orders", *HORIZON)

    (summary,) = result["ingested"]
    assert summary["rows_in"] == summary["rows_kept"] == summary["rows_new"] == orders
    assert query(
        settings, f"select count(*) from customer_engagement where coalesce({ENGAGEMENT}) is not null"
    ) == [(0,)]
    _assert_scored_by_the_new_model(result)


@pytest.mark.long
def test_own_orders_again_with_another_horizon_train_another_model(
    own_orders: tuple[Settings, Path, int],
):
    """
    The same file again, with another horizon, adds no row and trains a model for that.
    """
    _, file, _ = own_orders

    first = _json("run", file, "--preset", "orders", *HORIZON)
    second = _json("run", file, "--preset", "orders", "--horizon-days", 45)

    assert second["ingested"][0]["rows_new"] == 0
    _assert_scored_by_the_new_model(second)
    assert first["training"]["version"] != second["training"]["version"]


def _assert_scored_by_the_new_model(result: dict) -> None:
    assert result["training"]["version"] == result["scoring"]["model_version"]
    assert sum(result["scoring"]["methods"].values()) == 30
    assert set(result["scoring"]["methods"]) <= BY_MODEL


@pytest.mark.long
def test_what_is_wrong_with_a_feed_or_a_date_is_said_once(
    at, empty_shop: Settings, tmp_path: Path, bench: Path
):
    """
    Foreign money is named with its currency, one warning and no more. A date before all purchases is an
    error: a mistyped year publishes no empty shop, and the next run leaves the rows of the first.
    """
    settings = at(copied(empty_shop, bench))
    file = tmp_path / "orders.csv"
    file.write_text(
        "order_id,customer_id,ordered_at,amount,currency\n1,a,2024-01-01,9.50,EUR\n2,b,2024-01-02,9.50,GBP\n",
        encoding="utf-8",
    )
    rows = "select * from customer_clv order by customer_id"

    ran = _clv("run", file, "--preset", "orders", "--accept-loss")
    first = query(settings, rows)
    refused = [_clv("run", "--as-of", "2014-04-01", "--accept-loss")]
    refused.append(_clv("score", "--as-of", "2014-04-01"))
    with duckdb.connect(bench / "published" / "clv.duckdb", read_only=True) as reader:
        published = reader.execute("select customer_id from customer_clv").fetchall()
    again = _clv("run", "--accept-loss")

    assert ran.exit_code == 0, ran.output
    assert " ".join(ran.output.split()).count("without a rate on its day, EUR, the first") == 1
    for result in refused:
        assert result.exit_code == 1
        told = " ".join(result.output.split())
        assert "Nobody had bought anything before 2014-04-01" in told and "later --as-of" in told
    assert published == [("b",)]
    assert again.exit_code == 0, again.output
    assert query(settings, rows) == first


@pytest.mark.long
def test_train_score_and_models_print_one_object_each(built: Settings):
    """
    ``--json`` of every command is JSON and nothing else, and says what the text says.
    """
    first = registry.champion(built.models)
    assert first is not None

    trained = _json("train", "--model-type", "ridge", *HORIZON)
    scored = _json("score", *HORIZON)
    listed = _json("models", "list")
    back = _json("models", "rollback")
    promoted = _json("models", "promote", trained["version"], "--reason", "better")

    assert trained["model_type"] == "ridge"
    assert scored["model_version"] == trained["version"]
    assert {model["version"] for model in listed} == {first.version, trained["version"]}
    assert [model["version"] for model in listed if model["is_champion"]] == [trained["version"]]
    assert back["version"] == first.version
    assert (promoted["version"], promoted["reason"]) == (trained["version"], "better")


def test_text_output_shows_what_one_asks_first(built: Settings):
    """
    ``train`` prints the model's metrics beside the baselines' and what mattered most; ``score`` the most
    valuable customers with their bounds and reasons, the model's version, and where the warehouse is.
    """
    pointer = registry.champion(built.models)
    assert pointer is not None

    trained = _clv("train", *HORIZON)
    scored = _clv("score", *HORIZON)

    assert (trained.exit_code, scored.exit_code) == (0, 0), trained.output + scored.output
    for wanted in ("r2", "mae", "rmse", "mape", "model", "simple", "persistence", "Most important"):
        assert wanted in trained.stdout, wanted
    text = " ".join(scored.stdout.split())
    for wanted in ("Most valuable", "low", "high", "Raised by", pointer.version, "customer_clv"):
        assert wanted in text, wanted
    assert str(built.warehouse) in "".join(scored.stdout.split())


def test_models_list_shows_a_damaged_version_and_goes_on(at, trained_copy: Settings):
    """
    The fault stands beside the version; exit code 0, since listing worked.
    """
    settings = at(trained_copy)
    pointer = registry.champion(settings.models)
    assert pointer is not None
    (settings.models / pointer.version / "manifest.json").write_text("{}", encoding="utf-8")

    (listed,) = _json("models", "list")
    result = _clv("models", "list")

    assert "manifest" in listed["fault"]
    assert result.exit_code == 0


def test_promoting_what_is_not_there_exits_with_1(at, trained_copy: Settings):
    """
    And the champion stays.
    """
    settings = at(trained_copy)
    before = registry.champion(settings.models)

    result = _clv("models", "promote", "v0")

    assert result.exit_code == 1
    assert registry.champion(settings.models) == before


def test_a_folder_is_ingested_with_its_ids_and_rates(
    at, empty_shop: Settings, simulated_files: Path, bench: Path
):
    """
    ``--data-dir`` takes events*, id_history* and fx_rates*; three summaries.
    """
    at(copied(empty_shop, bench))

    summaries = _json("ingest", "--data-dir", simulated_files, "--preset", "simulator")

    assert {summary["table"] for summary in summaries} == {"events", "id_history", "fx_rates"}
    assert all(s["rows_in"] == s["rows_kept"] + s["rows_quarantined"] for s in summaries)


@pytest.fixture
def lossy_feed(tmp_path: Path) -> Path:
    """Twenty orders of two customers, two of which have an amount that is none."""
    rows = [
        f"o{number},c{number % 2},2025-06-{number:02} 12:00,{'ten' if number > 18 else '10.00'},GBP"
        for number in range(1, 21)
    ]
    path = tmp_path / "orders.csv"
    path.write_text("\n".join(["order_id,customer_id,ordered_at,amount,currency", *rows]) + "\n")
    return path


@pytest.mark.long
def test_a_run_does_not_train_on_a_loss_until_it_is_accepted(
    at, empty_shop: Settings, bench: Path, lossy_feed: Path
):
    """
    A tenth is lost: stderr says why and what to do, and the exit code is 1. With --accept-loss the run goes
    on, and its warnings say the loss. Corrected and fed again, nothing is lost.
    """
    at(copied(empty_shop, bench))

    refused = _clv("run", lossy_feed, "--preset", "orders")
    accepted = _json("run", lossy_feed, "--preset", "orders", "--accept-loss")
    lossy_feed.write_text(lossy_feed.read_text().replace("ten", "10.00"))
    corrected = _json("run", lossy_feed, "--preset", "orders")

    said = " ".join(refused.stderr.split())
    assert refused.exit_code == 1
    assert "LossError: 10.0% of the rows and 10.0% of the money that arrived were refused" in said
    assert "invalid_amount (2 rows), as in line 20 of orders:orders.csv" in said
    assert "clv run --accept-loss" in said
    assert any(w.startswith("orders.csv lost 10.0% of the rows") for w in accepted["warnings"])
    assert any("data_quality_nothing_is_unusual" in w for w in accepted["warnings"])
    assert not any("lost" in warning for warning in corrected["warnings"])


def test_what_was_refused_is_shown_by_reason_and_row_by_row(
    at, empty_shop: Settings, bench: Path, lossy_feed: Path
):
    """
    The reasons with the newest row, the rows of one of them, all as CSV; a reason that nothing was refused
    for is named with those that are.
    """
    at(copied(empty_shop, bench))
    _clv("ingest", lossy_feed, "--preset", "orders")

    (reason,) = _json("quarantine")
    listed = _clv("quarantine")
    rows = _json("quarantine", "--reason", "invalid_amount")
    table = list(csv.DictReader(_clv("quarantine", "--csv").stdout.splitlines()))
    unknown = _clv("quarantine", "--reason", "invalid_amont")

    assert (reason["reason"], reason["row_count"], reason["admitted_count"]) == ("invalid_amount", 2, 0)
    assert (reason["source"], reason["line_number"]) == ("orders:orders.csv", 20)
    assert "invalid_amount" in listed.stdout and "line 20" in listed.stdout
    assert [row["line_number"] for row in rows] == [20, 21]
    assert [(row["line_number"], json.loads(row["raw_text"])["amount"]) for row in table] == [
        ("20", "ten"), ("21", "ten"),
    ]  # fmt: skip
    assert unknown.exit_code == 1
    assert "Reasons in this warehouse: invalid_amount." in " ".join(unknown.stderr.split())


def test_the_fallback_is_said_in_the_summary(built: Settings):
    """
    A damaged model and fallback_to_simple: exit 0, and the summary names the method, in text and in JSON.
    """
    pointer = registry.champion(built.models)
    assert pointer is not None
    file = built.models / pointer.version / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")

    refused = _clv("score", *HORIZON)
    fallen = _json("score", *HORIZON, "--vars", "{fallback_to_simple: true}")

    assert refused.exit_code == 1
    assert "model.onnx" in refused.stderr.replace("\n", "")
    assert fallen["model_version"] is None
    assert by_formula(built, "model refused") in fallen["methods"]


@pytest.mark.long
def test_the_demo_runs_and_runs_again(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Its own folder beside the warehouse, which it leaves alone; the second run is the first again, nothing
    trained anew.
    """
    warehouse = tmp_path / "mine" / "clv.duckdb"
    warehouse.parent.mkdir()
    warehouse.write_bytes(b"not a database")
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(warehouse))
    monkeypatch.setenv("CLV_MODELS", str(tmp_path / "mine" / "models"))

    first = _json("demo", "--customers", 100)
    monkeypatch.setenv("CLV_WAREHOUSE", str(warehouse))
    second = _clv("demo", "--customers", 100)

    steps = ["ingest", "build features", "train", "score", "check", "publish", "remove old"]
    assert list(first["seconds"]) == steps
    assert first["scoring"]["model_version"] == first["training"]["version"]
    assert second.exit_code == 0, second.output
    assert "Most valuable customers" in second.stdout
    assert first["training"]["version"] in "".join(second.stdout.split())
    assert warehouse.read_bytes() == b"not a database"
    assert not (tmp_path / "mine" / "models").exists()


@pytest.mark.parametrize(("is_terminal", "as_json"), [(True, False), (True, True), (False, False)])
def test_a_terminal_shows_each_step_as_it_begins(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, as_json: bool
):
    """In words, each on a line of its own; nothing with --json, and nothing where stderr is no terminal."""
    screen = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=screen, force_terminal=True, width=100))
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))

    with progress.steps(as_json) as on_step:
        on_step("ingest")
        on_step("score 2024-01-31")

    shown = screen.getvalue()
    if is_terminal and not as_json:
        assert "Reading the files" in shown and "Score 2024-01-31" in shown
        assert shown.index("Reading the files") < shown.index("Score 2024-01-31")
    else:
        assert shown == ""


def test_every_step_has_words():
    """No name of a step in the code is left to tell itself, but for those with a date or a version."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "clv_ml").rglob("*.py"))

    named = set(re.findall(r'(?:on_step|clock)\("([^"]+)"\)', code))

    assert named == set(progress.WORDS)
