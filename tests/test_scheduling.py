"""The examples of reference/scheduling.md: the command runs, the systemd unit is valid, the Python parses."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from shops import HORIZON, ROOT, all_contents, query
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.settings import Settings

PAGE = (ROOT / "docs" / "reference" / "scheduling.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(cron|ini|python|sh)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
FOLDER = "/srv/my_shop"
COMMAND = ["run", "--data-dir", "feed", "--json"]


def _blocks(kind: str) -> list[str]:
    return [text for language, text in BLOCKS if language == kind]


def _after_clv(line: str) -> list[str]:
    """The arguments of ``clv`` in a line of shell."""
    words = shlex.split(line)
    place = next(number for number, word in enumerate(words) if word.endswith("/bin/clv"))
    return words[place + 1 : place + 1 + len(COMMAND)]


@pytest.mark.long
def test_the_scheduled_command_runs_and_changes_nothing(
    trained_copy: Settings, simulated_files: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    The arguments of the crontab's and the unit's line, on a shop that knows the feed and is scored: exit code
    0, one JSON object on stdout, and a published version. Nothing new is ingested, nothing trained, and every
    table is bit for bit as it was, ``scored_at`` included. Only the feed's place, its preset and the shop's
    horizon are added.
    """
    (crontab,), (unit, _) = _blocks("cron"), _blocks("ini")
    started = re.search(r"^ExecStart=(.*)$", unit, flags=re.MULTILINE)
    assert started is not None
    assert _after_clv(crontab) == _after_clv(started.group(1)) == COMMAND
    assert re.match(r"\d+ \d+ \* \* \* cd /srv/my_shop && ", crontab)
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(trained_copy.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(trained_copy.models))
    here = [str(simulated_files) if word == "feed" else word for word in COMMAND]
    names = "select table_name from duckdb_tables() where schema_name = 'main' order by 1"
    tables = [name for (name,) in query(trained_copy, names)]
    before = all_contents(trained_copy, tables=tables)

    done = CliRunner().invoke(app, [*here, "--preset", "simulator", "--horizon-days", str(HORIZON)])

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["training"] is None
    assert sum(summary["rows_new"] for summary in told["ingested"]) == 0
    assert told["scoring"]["customers"] == len(before["customer_clv"])
    assert Path(told["publication"]["path"]).exists()
    after = all_contents(trained_copy, tables=tables)
    assert {"customer_clv", "customer_drivers", "customer_predictions"} <= set(tables)
    assert any(before["customer_predictions"])
    for table, rows in before.items():
        assert after[table] == rows, f"{table} changed"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_the_unit_is_one(tmp_path: Path):
    """
    systemd finds nothing to say of it; the program is put where one is.
    """
    units = []
    for text, name in zip(_blocks("ini"), ("clv.service", "clv.timer"), strict=True):
        text = text.replace(f"{FOLDER}/.venv/bin/clv", "/bin/true").replace("User=clv\n", "")
        units.append(tmp_path / name)
        units[-1].write_text(text.replace(FOLDER, str(tmp_path)))

    said = subprocess.run(["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True)

    assert [line for line in said.stderr.splitlines() if "clv." in line] == []


@pytest.mark.long
def test_the_examples_run_as_copied(tmp_path: Path):
    """
    The page's own commands make the folder, from an export as shops have it; then the lines of the crontab
    and of the unit run in a shell, and readers have the shop. Only the folder's place, the environment and
    the name of the export are others.
    """
    prepare, (crontab,), (unit, _) = _blocks("sh")[0], _blocks("cron"), _blocks("ini")
    place = str(tmp_path / "my_shop")
    export = ROOT / "docs" / "examples" / "shopify_orders" / "orders_export.csv"
    program = tmp_path / "clv"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from clv_ml.cli import app; app()' \"$@\"\n")
    program.chmod(0o755)
    _, install, *rest = prepare.replace(FOLDER, place).splitlines()
    assert install.startswith(f"{place}/.venv/bin/pip install clv_ml-")
    made = [f"mkdir -p {place}/.venv/bin", f"ln -s {program} {place}/.venv/bin/clv", *rest]
    commands = {
        "prepare": "\n".join(made).replace(" orders_export.csv", f" {export}"),
        "crontab": crontab.replace(FOLDER, place).split(" * * * ", 1)[1],
        "unit": f"cd {place} && {re.search('^ExecStart=(.*)$', unit, flags=re.MULTILINE)[1]}".replace(
            FOLDER, place
        ),
    }
    left_out = ("CLV_WAREHOUSE", "CLV_MODELS", "DBT_TARGET_PATH", "DBT_LOG_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}

    for name, command in commands.items():
        done = subprocess.run(
            ["sh", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}{Path(place, 'clv.log')}"

    assert json.loads(done.stdout)["ingested"][0]["rows_new"] == 0
    assert '"rows_new": 0' not in (tmp_path / "my_shop" / "clv.log").read_text().splitlines()[0]
    with duckdb.connect(f"{place}/warehouse/published/clv.duckdb", read_only=True) as reader:
        ((customers,),) = reader.execute("select count(*) from customer_clv").fetchall()
    assert customers > 0


@pytest.mark.parametrize("number", range(3))
def test_the_python_of_each_orchestrator_parses_and_runs_the_same_command(number: int):
    """
    Airflow, Dagster, Prefect: the text of the command in each is the scheduled one.
    """
    examples = _blocks("python")
    assert len(examples) == 3
    texts = [node.value for node in ast.walk(ast.parse(examples[number])) if isinstance(node, ast.Constant)]
    words = [word for text in texts if isinstance(text, str) for word in text.split()]

    place = words.index(".venv/bin/clv")
    assert words[place + 1 : place + 1 + len(COMMAND)] == COMMAND
    assert FOLDER in texts
