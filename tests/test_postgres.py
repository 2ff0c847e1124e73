"""The published tables in a real Postgres: types, keys, grants, views; readers that never notice; kills."""

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest
from postgres_readers import killed, read_while_publishing
from postgres_server import program
from readers import MARTS, ROWS, fill, made_by_hand
from shops import MARTS_FOLDER
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import DatabaseError, PublishError, SettingsError
from clv_ml.operate import postgres_publication, postgres_swap
from clv_ml.operate.postgres_publication import publish_to_postgres
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.postgres import place_of

pytestmark = pytest.mark.skipif(program("initdb") is None, reason="there is no Postgres server here")

KEYS = """
models:
  - name: customer_clv
    constraints: [{type: primary_key, columns: [i]}]
  - name: customer_segments
    data_tests: [{unique_key: {arguments: {columns: [generation, i]}}}]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A warehouse with two marts, made by hand, whose YAML declares a key each."""
    settings = made_by_hand(tmp_path)
    (settings.project / MARTS_FOLDER / "_by_hand__models.yml").write_text(KEYS)
    return settings


def sent(shop: Settings, address: str, schema: str = "clv") -> postgres_publication.PostgresPublication:
    return publish_to_postgres(shop, publish(shop), address, schema)


def asked(address: str, statement: str) -> list[tuple]:
    with psycopg.connect(address) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def generations(address: str) -> set[int]:
    return {n for name in MARTS for (n,) in asked(address, f"select distinct generation from clv.{name}")}


def test_every_published_table_stands_in_postgres_cell_by_cell(
    trained_copy: Settings, project: Path, database: str, monkeypatch: pytest.MonkeyPatch
):
    """
    ``clv publish --to``: the same version, tables, columns in order, rows and values as in the published
    file, by both engines' own reading; comments of all; numbers, dates and times as such, and each mart with
    its key. No password is printed.
    """
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(trained_copy.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(trained_copy.models))
    command = ["publish", "--to", database.replace("clv@", "clv:secret@"), "--json"]

    done = CliRunner().invoke(app, command)

    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    told = json.loads(done.stdout)
    with duckdb.connect(told["path"], read_only=True) as here:
        names = [
            name for (name,) in here.execute("select table_name from duckdb_tables() order by 1").fetchall()
        ]
        assert told["postgres"]["rows"] == {**told["rows"], "publication": 1}
        assert sorted(told["postgres"]["rows"]) == names
        for name in names:
            rows = here.execute(f"from {name} order by all").fetchall()
            columns = [column[0] for column in here.description]
            with psycopg.connect(database) as there:
                found = there.execute(f"select * from clv.{name}".encode())
                assert [column.name for column in found.description or ()] == columns
                assert sorted(map(repr, found.fetchall())) == sorted(map(repr, rows)), name
        commented = here.execute(
            "select count(*) from duckdb_columns() where not internal and comment is not null"
        ).fetchall()
    catalog = (
        "pg_description where classoid = 'pg_class'::regclass and objoid in (select oid from pg_class where "
    )
    assert (
        asked(
            database, f"select count(*) from {catalog} relnamespace = 'clv'::regnamespace) and objsubid > 0"
        )
        == commented
    )
    kinds = dict(
        asked(
            database,
            "select column_name, data_type || coalesce(numeric_scale::text, '') "
            "from information_schema.columns where table_schema = 'clv' and table_name = 'customer_clv' "
            "and column_name in "
            "('clv_estimate', 'as_of_date', 'scored_at', 'horizon_days', 'clv_low', 'customer_id')",
        )
    )
    assert kinds == {
        "clv_estimate": "numeric2",
        "as_of_date": "date",
        "scored_at": "timestamp without time zone",
        "horizon_days": "integer0",
        "clv_low": "double precision",
        "customer_id": "text",
    }
    keyed = asked(
        database,
        "select conrelid::regclass::text, contype::text from pg_constraint "
        "where connamespace = 'clv'::regnamespace",
    )
    assert len(keyed) == len(names) + 1  # and own_relations
    assert [table for table, kind in keyed if kind == "u"] == ["data_quality"]


def test_values_of_every_kind_arrive_as_they_are(shop: Settings, database: str):
    """
    Empty and missing text, quotes, line ends, tabs, backslashes, infinities, no number, the largest decimal,
    lists and structures.
    """
    with connect(shop, read_only=False) as connection:
        connection.execute(
            "create or replace table customer_segments as select unnest([1, 1, 1]) as generation, "
            "unnest([1, 2, 3]) as i, unnest(['', null, e'a\"b\\n,\\\\.\\t\\r\\\\N']) as text, "
            "unnest(['nan'::double, 'inf'::double, 1e-300]) as number, "
            "unnest([9999999999999999.99::decimal(18,2), null, -0.01]) as money, "
            "unnest([true, false, null]) as is_so, unnest([['x', 'y'], [], null]) as list, "
            "unnest([{'a': 1}, null, null]) as struct, "
            "unnest([1::ubigint, 18446744073709551615, null]) as big, "
            "unnest([timestamptz '2024-03-01 12:00:00.123456+02', null, null]) as instant"
        )

    sent(shop, database)

    first, second, third = asked(database, "select * from clv.customer_segments order by i")
    assert first[2] == "" and str(first[3]) == "nan" and first[4] == Decimal("9999999999999999.99")
    assert first[5:8] == (True, ["x", "y"], {"a": 1})
    assert first[9].isoformat() in ("2024-03-01T10:00:00.123456+00:00",)
    assert second[2] is None and second[3] == float("inf") and second[6] == [] and second[8] == 2**64 - 1
    assert third[2] == 'a"b\n,\\.\t\r\\N' and third[3] == 1e-300 and third[4] == Decimal("-0.01")


def test_grants_owners_and_views_go_over_to_the_new_tables(shop: Settings, database: str):
    """
    Who could read may read, who could not may not, whatever the schema's defaults say; a view of somebody
    keeps its grants, its options and the views on it, and shows the new rows.
    """
    sent(shop, database)
    asked(
        database,
        "drop role if exists reader, other, owner; create role reader login; create role other login; "
        "create role owner; grant usage, create on schema clv to owner; "
        "grant usage on schema clv to reader, other; "
        "grant select on clv.customer_clv to reader; grant select (i) on clv.customer_segments to reader; "
        "alter table clv.customer_segments owner to owner; "
        "alter default privileges in schema clv grant select on tables to other; create schema bi; "
        "create view bi.best with (security_barrier=true) as select c.*, s.generation as of_segment "
        "from clv.customer_clv c join clv.customer_segments s using (i); "
        "create view bi.few as select count(*) as rows, max(generation) as generation from bi.best; "
        "grant usage on schema bi to reader; grant select on bi.few to reader",
    )
    before = asked(database, GRANTED)
    fill(shop, 2)

    sent(shop, database)

    assert asked(database, GRANTED) == before
    as_reader = database.replace("//clv@", "//reader@")
    assert asked(as_reader, "select * from bi.few") == [(ROWS, 2)]
    assert asked(database, "select distinct generation, of_segment from bi.best") == [(2, 2)]
    assert asked(database, "select reloptions from pg_class where relname = 'best'") == [
        (["security_barrier=true"],)
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked(database.replace("//clv@", "//other@"), "select * from clv.customer_clv")
    assert (
        asked(
            database,
            "select relname from pg_class where relname like any (array['%\\_\\_new%', '%\\_\\_old%'])",
        )
        == []
    )


GRANTED = (
    "select relname, pg_get_userbyid(relowner), coalesce(relacl, acldefault('r', relowner))::text, "
    "(select array_agg(attacl::text order by attnum) from pg_attribute where attrelid = pg_class.oid "
    "and attacl is not null) from pg_class "
    "where relname in ('customer_clv', 'customer_segments', 'few', 'best') order by 1"
)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "create schema clv; create table clv.customer_clv (theirs int)",
            "holds customer_clv, which this product",
        ),
        (
            "create schema clv; create view clv.publication as select 1",
            "holds publication, which this product",
        ),
        (
            "create schema clv; create table clv.own_relations (a int)",
            "own_relations that this product did not",
        ),
    ],
)
def test_what_others_made_is_never_replaced(shop: Settings, database: str, statement: str, told: str):
    """A table or view under one of our names that is not ours stops all, and nothing is left behind."""
    asked(database, statement)
    before = asked(database, "select oid, relname from pg_class order by 1")

    with pytest.raises(PublishError, match=told):
        sent(shop, database)

    assert asked(database, "select oid, relname from pg_class order by 1") == before


def test_two_shops_do_not_take_each_others_place(shop: Settings, database: str):
    """A schema belongs to the shop that published there first."""

    def call_it(shop_id: str) -> None:
        with connect(shop, read_only=False) as connection:
            connection.execute(f"create or replace table shop_identity as select '{shop_id}' as shop_id")

    call_it("a")
    sent(shop, database)
    call_it("b")
    fill(shop, 2)

    with pytest.raises(PublishError, match=r"tables of another shop.*--schema"):
        sent(shop, database)

    assert generations(database) == {1}
    sent(shop, database, "second")
    assert asked(database, "select distinct generation from second.customer_clv") == [(2,)]


def test_a_mart_that_is_published_no_more_goes(shop: Settings, database: str):
    """No table of an older version stays beside the new ones."""
    sent(shop, database)
    (shop.project / MARTS_FOLDER / "customer_segments.sql").unlink()

    sent(shop, database)

    assert asked(database, "select to_regclass('clv.customer_segments')") == [(None,)]
    assert asked(database, "select relation_name from clv.own_relations order by 1") == [
        ("customer_clv",),
        ("publication",),
    ]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "create materialized view m as select * from clv.customer_clv",
            "materialized view clv.m depends on table clv.customer_clv. ",
        ),
        ("create view v as select i from clv.customer_clv where extra = 1", "View clv.v reads published"),
        ("alter table clv.customer_clv enable row level security", "clv.customer_clv has row security"),
    ],
)
def test_what_would_be_lost_is_named(shop: Settings, database: str, statement: str, told: str):
    """Nothing of others is dropped, and the old tables stay as they are."""
    with connect(shop, read_only=False) as connection:
        connection.execute("alter table customer_clv add column extra integer")
    sent(shop, database)
    asked(database, statement)
    fill(shop, 2)

    with pytest.raises(PublishError, match=told):
        sent(shop, database)

    assert generations(database) == {1}


def test_a_transaction_sees_one_version_and_a_long_one_is_named(
    shop: Settings, database: str, monkeypatch: pytest.MonkeyPatch
):
    """
    A reader in a transaction keeps the old tables; the publication waits, gives up and says who it is. Other
    readers meanwhile read.
    """
    sent(shop, database)
    fill(shop, 2)
    monkeypatch.setattr(postgres_swap, "PATIENCE_SECONDS", 0.5)
    with psycopg.connect(database, application_name="dashboard") as reader:
        assert reader.execute("select distinct generation from clv.customer_clv").fetchall() == [(1,)]

        with pytest.raises(
            PublishError, match=r"process \d+ of clv \(dashboard\).*Readers still see the old"
        ):
            sent(shop, database)

        assert reader.execute("select distinct generation from clv.customer_segments").fetchall() == [(1,)]
    assert generations(database) == {1}
    sent(shop, database)
    assert generations(database) == {2}


def test_errors_name_the_database_and_what_to_do(shop: Settings, database: str):
    """No server, no database, no right: each in words, and none with a password."""
    asked(database, "drop role if exists poor; create role poor login")
    published = publish(shop)
    wrong = {
        database.replace("?host=", "?host=/nowhere"): "cannot be reached.*Check the address",
        database.replace("clv@/", "clv:secret@/").replace(
            "?", "x?"
        ): r'cannot be reached: .*"test_\w+x" does not exist',
        database.replace(
            "clv@", "poor:secret@"
        ): "refuses: permission denied for database.*Let the user poor",
    }
    for place, told in wrong.items():
        with pytest.raises(DatabaseError, match=told) as caught:
            publish_to_postgres(shop, published, place)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://clv:secret@host/db",
        "postgresql://clv:secret@[host/db",
        "postgresql://clv:se@secret@host/db",
        "postgresql://clv:se/secret@host/db",
        "postgresql://clv:se%secret@host/db",
    ],
)
def test_a_wrong_address_is_not_repeated(wrong: str):
    """Of an address that cannot be read, any part may be the password."""
    with pytest.raises(SettingsError, match=r"postgresql://USER@HOST") as caught:
        place_of(wrong)

    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.long
def test_readers_are_undisturbed_by_a_hundred_publications(shop: Settings, database: str):
    """
    Eight readers, with one statement or a transaction of several, in either order: no error, and no read of
    two versions.
    """
    seen = read_while_publishing(shop, database, publishes=100, readers=8)

    assert not seen.errors
    assert not seen.mixed
    assert seen.reads > 100
    assert seen.generations > 10


@pytest.mark.long
def test_twenty_kills_leave_the_old_tables_or_the_new_ones(shop: Settings, database: str):
    """Nothing half-written, nothing left over, and the next publication works."""
    met, faults = killed(shop, database, 20)

    assert not faults
    assert met > 5
