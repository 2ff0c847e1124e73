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
        "CLV_MODELS": project / "learnt",
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


def make_other_tables(project: Path) -> None:
    """What ingestion would have made beside events: the message has the statements."""
    ran(project, "dbt", "deps")
    lacks = ran(project, "dbt", "build", fails=True)
    with duckdb.connect(str(project / "team.duckdb")) as connection:
        for statement in re.findall(r"create table crm.*;", lacks):
            connection.execute(statement)


@pytest.mark.long
def test_a_team_builds_the_package_beside_its_own_models(team: Path):
    """
    `dbt build`, `clv train`, `dbt run --select clv`: ours go to the schema `value`, theirs to `analytics`; a
    table that both have under one name is two tables, and each side reads its own.
    """
    make_other_tables(team)

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
    assert sorted(os.listdir(team / "models")) == sorted(os.listdir(THEIRS / "models"))


@pytest.mark.long
def test_a_model_of_theirs_is_never_read_for_ours(team: Path):
    """Without the flag dbt would read the team's segments as ours: refused, with the line to add."""
    edit(team, "dbt_project.yml", "  require_ref_searches", "  # require_ref_searches")
    ran(team, "dbt", "deps")

    message = ran(team, "dbt", "build", fails=True)

    assert "model.team.customer_segments" in message
    assert "require_ref_searches_node_package_before_root: true" in message
    assert asked(team, "select schema_name, table_name from duckdb_tables()") == [("crm", "events")]


@pytest.mark.long
def test_without_the_plugin_all_builds_until_parameters_were_fitted(team: Path):
    """
    Features, marts and unit tests pass; `clv_method` has the reason. Once a fit is there, nothing replaces
    what it led to: features build, the rest is refused with the line to add. `clv` scores such features.
    """
    plugin, settings = "plugins: [{module: clv_ml.serve.dbt_plugin}]", "settings: {TimeZone: UTC}"
    methods = "select clv_method, count(*) from value.customer_clv group by 1"
    features = "select * from value.customer_features order by all"
    expected = "select max(bayes_purchases) > 0, max(btyd_purchases) from value.expected_purchases"
    edit(team, "profiles.yml", plugin, "")
    make_other_tables(team)

    told = ran(team, "dbt", "build")
    formula, without = asked(team, methods), asked(team, expected)
    with duckdb.connect(str(team / "team.duckdb")) as connection:
        connection.execute("insert into value.fitted_parameters values ('2024-01-01', 'h', 'bgnbd_r', 1)")
    refused = ran(team, "dbt", "run", "--select", "clv", fails=True)
    ran(team, "dbt", "run", "--select", "+customer_features")
    kept, built = asked(team, methods), asked(team, features)
    edit(team, "profiles.yml", settings, f"{settings}\n      {plugin}")
    ran(team, "clv", "train")
    ran(team, "clv", "score")

    assert "(persistence: no plugin), the best of those that need no model" in told
    assert formula == kept == [("persistence: no plugin", 30)]
    assert without == [(True, None)]
    assert plugin in refused
    assert asked(team, methods) == [("model", 30)]
    assert asked(team, features) == built
