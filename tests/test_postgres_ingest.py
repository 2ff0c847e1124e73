"""Rows of a real Postgres into the raw tables: a table or a query, once or again from where reading ended."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from postgres_server import program
from shops import query
from typer.testing import CliRunner

from clv_ml import engines
from clv_ml.cli import app
from clv_ml.errors import DatabaseError, InputError
from clv_ml.ingest.postgres_export import Source
from clv_ml.ingest.undo import undo
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

pytestmark = pytest.mark.skipif(program("initdb") is None, reason="there is no Postgres server here")

ORDERS = """
create table orders (order_id int primary key, customer_id text, ordered_at timestamptz,
    amount numeric(18, 2), currency text default 'GBP', updated_at timestamptz, number bigint);
insert into orders
select i, 'c' || i % 7, '2024-01-01 12:00+01'::timestamptz + i * interval '1 hour', i + 0.5, 'GBP',
    '2024-03-01 12:00:00.123456+00'::timestamptz - (100 - i) * interval '1 minute', i
from generate_series(1, 100) as i
"""
LATER = """
insert into orders
select 100 + i, 'late', '2024-02-01', 7, 'GBP', at, number
from (values (1, '2024-03-01 12:00:00.123456+00'::timestamptz, 100), (2, null, null),
    (3, '2024-03-01 11:30+00', 101), (4, '2024-03-02', 900)) as t(i, at, number)
"""
MONEY = "select count(*), sum(amount), count(distinct event_id) from raw.events"


@pytest.fixture
def shop(open_shop: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty warehouse, whose raw tables stand: dbt need not make them for each feed."""
    monkeypatch.setattr(engines, "create_tables", lambda settings: None)
    return open_shop()


def told(address: str, statement: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute(statement.encode())


def new_rows(shop: Settings, source: Source) -> int:
    (summary,) = engines.ingested_from(shop, "orders", source)
    assert summary.rows_quarantined == 0
    return summary.rows_new


def in_postgres(address: str) -> list[tuple]:
    with psycopg.connect(address) as connection:
        rows = connection.execute("select count(*), sum(amount), count(*) from orders")
        return rows.fetchall()


@pytest.mark.parametrize("column", ["updated_at", "number"])
def test_only_newer_rows_are_read_and_none_is_lost_or_counted_twice(
    shop: Settings, database: str, column: str
):
    """
    Rows at the watermark itself, rows without one and, by time, rows of a transaction that began before it
    and ended after: all arrive once. After each reading the money is that of the table.
    """
    told(database, ORDERS)
    source = Source(database, table="orders", watermark=column)
    assert new_rows(shop, source) == 100
    told(database, LATER)

    (summary,) = engines.ingested_from(shop, "orders", source)

    assert summary.rows_new == 4
    assert summary.rows_in < 100
    assert query(shop, MONEY) == in_postgres(database)
    assert new_rows(shop, source) == 0
    ((reached,),) = query(shop, "select max_by(read_to, read_number) from raw.watermarks")
    assert reached == ("2024-03-02 00:00:00+00" if column == "updated_at" else "900")


def test_a_reading_whose_watermark_was_not_noted_is_read_again(
    shop: Settings, database: str, monkeypatch: pytest.MonkeyPatch
):
    """A kill between the feed and its watermark costs time, and no row."""
    told(database, ORDERS)
    source = Source(database, table="orders", watermark="updated_at")

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engines, "keep_watermark", killed)
        with pytest.raises(KeyboardInterrupt):
            engines.ingested_from(shop, "orders", source)

    assert new_rows(shop, source) == 0
    assert query(shop, MONEY) == in_postgres(database)
    assert not list(shop.warehouse.parent.glob(f".{shop.warehouse.name}.*"))


def test_what_was_taken_back_is_read_again(shop: Settings, database: str):
    """The watermark goes back to before the feed; what later ones brought counts once."""
    told(database, ORDERS)
    source = Source(database, table="orders", watermark="updated_at")
    new_rows(shop, source)
    told(database, "insert into orders values (101, 'c', '2024-03-05', 1, 'GBP', '2024-03-09')")
    assert new_rows(shop, source) == 1
    with connect(shop, read_only=False) as connection:
        undo(connection, "orders.parquet", reporting_currency="GBP")
    assert query(shop, MONEY) == [(1, Decimal("1.00"), 1)]

    assert new_rows(shop, source) == 100
    assert query(shop, MONEY) == in_postgres(database)


def test_values_mean_what_they_mean_in_postgres(shop: Settings, database: str):
    """
    A query: money with its sign, times in another zone, an enumeration, quotes and line ends in a text, an
    empty one and a missing one.
    """
    told(
        database,
        "create type channel as enum ('web', 'shop'); create table sales (id int, who text, at timestamptz, "
        "paid money, kind channel); insert into sales values "
        "(1, e'a\"b,\\nc', '2024-05-01 00:30+02', 1234.56, 'web'), "
        "(2, '', '2024-05-01 10:00+00', 1, 'shop'), (3, null, '2024-05-01 11:00+00', 1, null)",
    )
    query_ = (
        "select id as order_id, who as customer_id, at as ordered_at, paid::numeric as amount, "
        "'GBP' as currency, kind as category from sales -- all of them;"
    )

    (summary,) = engines.ingested_from(shop, "orders", Source(database, query=query_))

    assert (summary.rows_in, summary.rows_kept, summary.guests and summary.guests.rows) == (3, 1, 2)
    assert query(
        shop, "select customer_id, strftime(occurred_at, '%c'), amount, category from raw.events"
    ) == [('a"b,\nc', "2024-04-30 22:30:00", Decimal("1234.56"), "web")]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"table": "nowhere"}, r'table nowhere: relation "nowhere" does not exist\. Name the table with'),
        (
            {"table": "orders", "watermark": "changed"},
            r"has no column 'changed'\. It has: order_id, customer",
        ),
        ({"query": "select 1 as a, 2 as a"}, "gives a twice"),
        ({"query": "delete from orders returning *"}, "Write the query as one SELECT"),
        ({"query": "select * from orders where"}, "Write the query as one SELECT"),
        ({"query": "select 1 as a, 2 as b"}, "is no export that is known.*clv inspect with the same --from"),
    ],
)
def test_what_cannot_be_read_is_said(shop: Settings, database: str, said: dict[str, str], fault: str):
    """Table, column and query are named; nothing was changed here or there, and no file is left."""
    told(database, ORDERS)

    with pytest.raises(InputError, match=fault) as caught:
        engines.ingested_from(shop, "", Source(database, **said))

    assert str(shop.warehouse.parent) not in str(caught.value)
    assert in_postgres(database)[0][0] == 100
    assert query(shop, "select count(*) from raw.events") == [(0,)]
    assert not list(shop.warehouse.parent.glob(f".{shop.warehouse.name}.*"))


def test_a_server_that_is_not_there_is_said(shop: Settings, database: str):
    """No password in the message."""
    nowhere = database.replace("?host=", "?host=/nowhere").replace("clv@", "clv:secret@")

    with pytest.raises(DatabaseError, match="cannot be reached") as caught:
        engines.ingested_from(shop, "orders", Source(nowhere, table="orders"))

    assert "secret" not in str(caught.value)


def test_the_commands_look_at_a_table_and_load_it(
    shop: Settings, project: Path, database: str, own_project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    ``clv inspect --from`` writes a mapping into the project, ``clv ingest --from`` finds it. The password is
    neither printed nor kept.
    """
    told(
        database,
        'create table bestellungen ("Bestellung" int, "Kunde" text, "Datum" text, "Summe" numeric(18, 2)); '
        "insert into bestellungen select i, 'k' || i % 5, to_char(date '2024-01-13' + i, 'DD.MM.YYYY'), "
        "i + 0.25 from generate_series(1, 60) i",
    )
    monkeypatch.chdir(own_project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(shop.warehouse))
    database_with_password = database.replace("clv@", "clv:secret@")

    def clv(*arguments: str) -> Result:
        done = CliRunner().invoke(app, [*arguments, "--from", database_with_password])
        assert done.exit_code == 0, done.output
        assert "secret" not in done.output
        return done

    seen = clv("inspect", "--table", "bestellungen", "--currency", "GBP")
    loaded = clv("ingest", "--table", "public.bestellungen", "--watermark", "Bestellung", "--json")

    assert (own_project / "mappings" / "bestellungen.yml").is_file()
    assert "Next: clv ingest with the same --from" in seen.output
    assert json.loads(loaded.stdout)[0]["rows_new"] == 60
    assert b"secret" not in shop.warehouse.read_bytes()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--table", "a"],
        ["--from", "x"],
        ["--from", "x", "--table", "a", "--query", "b"],
        ["f.csv", "--from", "x"],
    ],
)
def test_options_that_do_not_belong_together(wrong: list[str]):
    """Usage, code 2."""
    assert CliRunner().invoke(app, ["ingest", *wrong]).exit_code == 2
