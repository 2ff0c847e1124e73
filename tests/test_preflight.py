"""What would fail after minutes is said at once, and in words."""

import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from shops import build, copied, settings_for, with_vars
from typer.testing import CliRunner

from clv_ml.cli import app, options
from clv_ml.errors import ModelError, SettingsError, WarehouseBusyError
from clv_ml.model import registry
from clv_ml.operate.preflight import preflight
from clv_ml.settings import Settings, load_settings
from clv_ml.show.terminal import PlainConsole
from clv_ml.warehouse.dbt_runner import create_tables

HOLDER = (
    "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); input()"
)


def test_a_pinned_version_that_is_absent_is_named(empty_shop: Settings):
    """A typo in model_version costs no build; it does not matter where no model is wanted."""
    pinned = with_vars(empty_shop, model_version="lightgbm-typo")

    with pytest.raises(ModelError, match="lightgbm-typo"):
        preflight(pinned)

    preflight(with_vars(pinned, use_ml_clv=False))
    preflight(with_vars(pinned, fallback_to_simple=True))


def test_an_analyst_who_holds_the_warehouse_open_is_no_crash(
    empty_shop: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """
    Every command that writes ends with "in use", before it builds; no traceback of dbt comes before.
    """
    settings = copied(empty_shop, tmp_path / "held")
    command = [sys.executable, "-c", HOLDER, str(settings.warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        try:
            for act in (preflight, create_tables, build):
                with pytest.raises(WarehouseBusyError, match="in use"):
                    act(settings)
        finally:
            holder.communicate(b"\n")
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_place_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, project: Path):
    """s3:// or md: made local files of that name in silence."""
    for place in ("s3://bucket/clv.duckdb", "md:shop"):
        monkeypatch.setenv("CLV_WAREHOUSE", place)
        with pytest.raises(SettingsError, match=f"CLV_WAREHOUSE is '{place}'"):
            load_settings(project=project)


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch):
    """Below the limit the libraries die while they are imported, without a word."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_200_000_000, -1))

    refused = CliRunner().invoke(app, ["score"])

    assert refused.exit_code == options.EXIT_CODES[SettingsError]
    assert "1.2 GB of memory (ulimit -v), and needs 2 GB" in " ".join(refused.stderr.split())


def test_a_pointer_that_is_no_file_does_not_hang(tmp_path: Path):
    """A pipe in the place of champion.json would be waited for, for ever."""
    os.mkfifo(tmp_path / "champion.json")

    with pytest.raises(ModelError, match="no plain file"):
        registry.champion(tmp_path)


def test_a_terminal_obeys_no_customer_number():
    """Control characters of a feed are shown, in text, tables' cells and with colours of our own."""
    shown = io.StringIO()
    console = PlainConsole(file=shown, force_terminal=True, width=60)

    console.print("[red]id[/red] \x1b]0;owned\x07\x9b31m", highlight=False)

    assert r"\x1b]0;owned\x9b31m" in shown.getvalue()
    assert "\x1b[31mid" in shown.getvalue()


def test_a_reader_who_stops_early_is_no_error(shop: Settings):
    """``clv models list --json | head -c 1`` ends without a traceback."""
    program = "from clv_ml.cli import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "models", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "CLV_WAREHOUSE": str(shop.warehouse)},
        cwd=shop.project,
    ) as command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.close()
        told = command.stderr.read()

    assert (command.returncode, told) == (0, b"")


@pytest.fixture
def shop(tmp_path: Path, project: Path) -> Settings:
    """A shop without anything."""
    settings = settings_for(tmp_path, project)
    duckdb.connect(settings.warehouse).close()
    return settings
