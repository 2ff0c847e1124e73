"""As a dbt package in a team's project: their profile, schema, target, vars and tables beside ours."""

import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from shops import EVENT_SCHEMA, ROOT, edit, regular_shop
from test_own_project import said

THEIRS = Path(__file__).with_name("team_project")


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The team's project beside its database, which holds events in the shape of the contract."""
    project = tmp_path / "team"
    shutil.copytree(THEIRS, project)
    database = project / "team.duckdb"
    rows = [
        asdict(event) | {"event_id": str(number), "recorded_at": event.occurred_at}
        for number, event in enumerate(regular_shop())
    ]
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema crm")
        connection.register("events", pa.Table.from_pylist(rows, schema=EVENT_SCHEMA))
        connection.execute("create table crm.events as select * from events")
    places = {
        "CLV_PACKAGE": ROOT,
        "TEAM_DATABASE": database,
        "CLV_WAREHOUSE": database,
        "CLV_SCHEMA": "value",
    }
    for name, place in places.items():
        monkeypatch.setenv(name, str(place))
    return project


def ran(project: Path, *command: str, fails: bool = False) -> str:
    """What a command says in the team's project, with the team's places in the environment."""
    return said(ROOT, project, *command, places=dict(os.environ), fails=fails)


def asked(project: Path, question: str) -> list[tuple]:
    with duckdb.connect(str(project / "team.duckdb"), read_only=True) as connection:
        return connection.execute(question).fetchall()


@pytest.mark.long
def test_a_team_builds_the_package_beside_its_own_models(team: Path):
    """
    `dbt build`, `clv train`, `dbt run --select clv`: ours go to the schema `value`, theirs to `analytics`; a
    table that both have under one name is two tables, and each side reads its own.
    """
    ran(team, "dbt", "deps")
    # what ingestion would have made beside events: the message has the statements
    lacks = ran(team, "dbt", "build", fails=True)
    with duckdb.connect(str(team / "team.duckdb")) as connection:
        for statement in re.findall(r"create table crm.*;", lacks):
            connection.execute(statement)

    ran(team, "dbt", "build")
    segments = asked(team, "select segment, count(*) from analytics.customer_segments group by 1")
    formula = asked(team, "select distinct clv_method from value.customer_clv")
    ran(team, "clv", "train")
    ran(team, "dbt", "run", "--select", "clv", "value_by_segment")

    assert segments == [("regular", 30)]
    assert formula == [("persistence: no model",)]
    assert asked(team, "select distinct clv_method from value.customer_clv") == [("model",)]
    assert asked(team, "select customers from analytics.value_by_segment") == [(30,)]
    own = asked(team, "select view_name from duckdb_views() where schema_name = 'analytics' order by 1")
    assert own == [("customer_segments",), ("value_by_segment",)]


@pytest.mark.long
def test_a_model_of_theirs_is_never_read_for_ours(team: Path):
    """Without the flag dbt would read the team's segments as ours: refused, with the line to add."""
    edit(team, "dbt_project.yml", "  require_ref_searches", "  # require_ref_searches")
    ran(team, "dbt", "deps")

    message = ran(team, "dbt", "build", fails=True)

    assert "model.team.customer_segments" in message
    assert "require_ref_searches_node_package_before_root: true" in message
    assert asked(team, "select schema_name, table_name from duckdb_tables()") == [("crm", "events")]
