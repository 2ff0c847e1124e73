"""In a warehouse of a team nothing of others is replaced, and nothing is created among what is theirs."""

import re
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest
import yaml
from jinja2 import Environment
from shops import RAW_TABLES, ROOT, query

from clv_ml.errors import BuildError, SettingsError
from clv_ml.settings import Settings, load_settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import create_tables, run_dbt


@pytest.fixture
def team(empty_shop: Settings, tmp_path: Path) -> Settings:
    """A team's warehouse, with a table of theirs that is called like one of ours."""
    places = {"warehouse": tmp_path / "team.duckdb", "models": tmp_path / "models", "chosen_schema": "clv"}
    settings = empty_shop.model_copy(update=places)
    with connect(settings, read_only=False) as connection:
        connection.execute("create table main.customer_segments as select 'theirs' as segment")
    return settings


def _in_main(settings: Settings) -> Settings:
    return settings.model_copy(update={"chosen_schema": "main"})


def _tables(settings: Settings, schema: str) -> set[str]:
    with duckdb.connect(settings.warehouse, read_only=True) as connection:
        found = connection.execute("select table_name from duckdb_tables() where schema_name = ?", [schema])
        return {name for (name,) in found.fetchall()}


@pytest.mark.long
def test_models_stand_in_a_schema_of_their_own(team: Settings):
    """
    In a file of another name than clv, tables and views go to the schema clv; names without a schema find
    them.
    """
    create_tables(team)
    run_dbt(team, ["run", "--select", "stg_fx_rates", "+stg_events"])

    assert query(team, "select count(*) from stg_events") == [(0,)]
    assert query(team, "select count(*) from clv.stg_events") == [(0,)]
    assert _tables(team, "main") == {"customer_segments"}
    assert query(team, "from main.customer_segments") == [("theirs",)]


def test_a_table_of_others_is_not_replaced(team: Settings):
    """
    Where the schema is shared, a run ends before it makes anything, and names table and remedy. What the
    product itself made there, also in a run that was killed, it builds again.
    """
    shared = _in_main(team)

    with pytest.raises(BuildError, match=r"(?s)'main' holds customer_segments, which .*CLV_SCHEMA"):
        create_tables(shared)

    assert _tables(team, "main") == {"customer_segments"}
    with connect(team, read_only=False) as connection:
        connection.execute("alter table main.customer_segments rename to their_segments")
    create_tables(shared)
    with connect(shared, read_only=False) as connection:
        connection.execute("create table customer_segments as select 1 as made_by_a_killed_run")
    create_tables(shared)
    assert _tables(team, "main") >= {"their_segments", "customer_segments", "own_relations"}


@pytest.mark.long
def test_what_an_earlier_version_built_is_found_and_goes_on(team: Settings):
    """
    Such a version built in main and kept no list of its tables. A run in another schema would begin anew
    without its history: it is refused, with the setting that goes on; with that, nothing is refused.
    """
    with connect(team, read_only=False) as connection:
        for name in ("model_registry", "fitted_parameters", "customer_clv"):
            connection.execute(f"create table main.{name} as select 1 as of_0_1_0")

    with pytest.raises(BuildError, match=r"earlier version .*CLV_SCHEMA=main"):
        create_tables(team)
    create_tables(_in_main(team))

    assert query(_in_main(team), "from main.customer_clv") == [(1,)]
    assert ("customer_clv",) in query(_in_main(team), "select relation_name from main.own_relations")


def test_nothing_is_created_in_a_teams_input_schema(team: Settings):
    """
    It has events and lacks what ingestion would have made: refused, with statements that are all it takes. So
    is a view of theirs without a column that is read.
    """
    columns = ", ".join(f"null::{each['data_type']} as {each['name']}" for each in RAW_TABLES["events"])
    with connect(team, read_only=False) as connection:
        connection.execute("create schema raw")
        connection.execute(f"create view raw.events as select {columns} where false")

    with pytest.raises(BuildError, match="lacks id_history, fx_rates") as refused:
        create_tables(team)

    assert _tables(team, "raw") == set()
    statements = re.findall(r"create table .*;", str(refused.value))
    with connect(team, read_only=False) as connection:
        for statement in statements:
            connection.execute(statement)
    create_tables(team)
    assert len(_tables(team, "raw")) == len(statements)
    with connect(team, read_only=False) as connection:
        connection.execute("drop table raw.fx_rates")
        connection.execute("create view raw.fx_rates as select 'USD' as currency, now() as valid_from")
    with pytest.raises(BuildError, match=r"fx_rates is a view .*lacks the column rate_to_reporting\. Add"):
        create_tables(team)


@pytest.mark.parametrize(
    ("warehouse", "chosen", "schema"),
    [
        ("warehouse/clv.duckdb", None, "main"),
        ("warehouse/team.duckdb", None, "clv"),
        ("team.duckdb", "value", "value"),
    ],
)
def test_dbt_and_clv_find_the_same_schema(
    warehouse: str, chosen: str | None, schema: str, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    In the product's own file main, as ever; elsewhere clv, or what CLV_SCHEMA says.
    """
    monkeypatch.setenv("CLV_WAREHOUSE", warehouse)
    if chosen:
        monkeypatch.setenv("CLV_SCHEMA", chosen)
    environment = {"CLV_WAREHOUSE": warehouse} | ({"CLV_SCHEMA": chosen} if chosen else {})
    profile = yaml.safe_load((ROOT / "profiles.yml").read_text(encoding="utf-8"))
    said = {
        Environment().from_string(output["schema"]).render(env_var=environment.get)
        for name, output in profile["clv"]["outputs"].items()
        if name != "spark"
    }

    assert load_settings(project=project).own_schema == schema
    assert said == {schema}


def test_the_version_that_sql_writes_is_the_products():
    """
    It stands in pyproject.toml, which dbt does not read.
    """
    constants = (ROOT / "dbt_project" / "macros" / "constants.sql").read_text(encoding="utf-8")

    assert re.findall(r'product_version.*return."([0-9.]+)"', constants) == [version("clv-ml")]


@pytest.mark.parametrize("name", ["team", "my schema", "x; drop table y", "1st"])
def test_a_schema_that_cannot_be_is_refused(name: str, project: Path, monkeypatch: pytest.MonkeyPatch):
    """
    No name, or that of the file: DuckDB takes no view in such a schema.
    """
    monkeypatch.setenv("CLV_WAREHOUSE", "team.duckdb")
    monkeypatch.setenv("CLV_SCHEMA", name)

    with pytest.raises(SettingsError, match="CLV_SCHEMA is"):
        load_settings(project=project)
