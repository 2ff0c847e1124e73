"""A person is erased from every table and byte, stays away when fed again, and nobody else is touched."""

import json
from pathlib import Path

import duckdb
import pytest
from ingestion_helpers import empty_warehouse, feed, write_csv, write_events
from shops import ROOT, query, report_of, settings_for, with_vars
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import InputError, WarehouseError
from clv_ml.operate import erased_files
from clv_ml.operate.erased_files import count_bytes
from clv_ml.operate.erasure import forget
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.locking import locked

GONE, MERGED, STAYS = "person-to-forget", "person-before-that", "person-who-stays"


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """Raw tables fed from a file, and tables as dbt and Python leave them, with and without the person."""
    settings = settings_for(tmp_path, ROOT)
    feed_all(settings, tmp_path)
    with connect(settings, read_only=False) as connection:
        connection.execute(
            "create table customer_clv (customer_id varchar primary key, clv_predicted double, "
            f"clv_top_features varchar);insert into customer_clv values ('{GONE}', 9, 'x'), ('{STAYS}', 1, "
            "'y');create table backtest_predictions as select date '2025-01-01' as origin, customer_id, "
            "1.0 as predicted from customer_clv;create table int_customer_ids (raw_customer_id varchar, "
            f"customer_id varchar);insert into int_customer_ids values ('{MERGED}', '{GONE}'), ('{STAYS}', "
            f"'{STAYS}');create table customer_attributes (customer_id varchar, "
            f"note struct(city varchar));insert into customer_attributes values ('{MERGED}', "
            f"{{'city': 'Ghent'}});create view everybody as select * from customer_clv"
        )
    return settings


def feed_all(settings: Settings, folder: Path) -> None:
    """
    The same files, as a scheduler would feed them again: events, a bad row and a broken line of the person, a
    merge.
    """
    path = write_events(
        folder / "events.csv",
        {"customer_id": GONE},
        {"customer_id": MERGED},
        {"customer_id": STAYS},
        {"customer_id": GONE, "amount": "nonsense"},
        {"customer_id": STAYS, "amount": "nonsense"},
    )
    path.write_bytes(path.read_bytes() + f"e9,{GONE}\r\n".encode())
    merges = write_csv(
        folder / "merges.csv",
        ["old_customer_id", "new_customer_id", "merged_at"],
        [[MERGED, GONE, "2025-07-01"]],
    )
    with empty_warehouse(settings.warehouse) as connection:
        feed(connection, merges, "id_history")
        feed(connection, path)


def published(settings: Settings) -> list[Path]:
    """A published version: a database and a Parquet file of the mart."""
    folder = settings.warehouse.parent / "published" / "v1"
    folder.mkdir(parents=True)
    files = [folder / "clv.duckdb", folder / "customer_clv.parquet"]
    with connect(settings, read_only=False) as connection:
        connection.execute(f"attach '{files[0]}' as p (storage_version 'v1.5.0')")
        connection.execute("create table p.customer_clv as from customer_clv")
        connection.execute(f"copy customer_clv to '{files[1]}'")
    for file in files:
        file.chmod(0o444)
    return files


def everywhere(settings: Settings) -> list[str]:
    """Every cell of every table as text."""
    with connect(settings) as connection:
        names = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        return [str(row) for (name,) in names for row in connection.execute(f"from {name}").fetchall()]


def test_what_is_published_counts_nobody_who_is_gone(shop: Settings):
    """The record of a publication says how many customers it has, in its database and its Parquet file."""
    database, customers = published(shop)
    record = customers.with_name("publication.parquet")
    database.chmod(0o644)
    with duckdb.connect(database) as connection:
        connection.execute(
            "create table publication as select 'v1' as version, count(*) as customers from customer_clv"
        )
        connection.execute(f"copy publication to '{record}'")
        before = connection.execute("from publication").fetchall()

    forget(shop, GONE)

    with duckdb.connect(database, read_only=True) as connection:
        left = connection.execute("select 'v1', count(*) from customer_clv").fetchall()
        assert left[0][1] < before[0][1]
        assert connection.execute("from publication").fetchall() == left
        assert connection.execute(f"from '{record}'").fetchall() == left


def test_nothing_of_the_person_is_left_and_nobody_else_is_touched(shop: Settings):
    """
    Both numbers are gone from all tables and from the bytes of all files, where they stood before; the other
    customer's rows, keys and views are as they were, and no scratch file is left.
    """
    files = [shop.warehouse, *published(shop)]
    assert all(GONE in "".join(map(str, rows)) for rows in [everywhere(shop)])
    before = query(shop, f"select * from customer_clv where customer_id = '{STAYS}'")

    done = forget(shop, GONE)

    assert done.ids == 2 and [file.path for file in done.files] == files
    assert all(file.bytes_before > 0 == file.bytes_after for file in done.files)
    assert done.files[0].rows_removed == {
        "main.backtest_predictions": 1,
        "main.customer_attributes": 1,
        "main.customer_clv": 1,
        "main.int_customer_ids": 1,
        "raw.events": 2,
        "raw.id_history": 1,
    }
    assert done.files[0].texts_emptied == 2
    assert not any(name in cell for cell in everywhere(shop) for name in (GONE, MERGED))
    assert all(count_bytes(file, [GONE, MERGED]) == 0 for file in files)
    assert query(shop, "from everybody") == before
    assert query(shop, "select count(*) from raw.quarantine") == [(3,)]
    assert query(shop, "select count(*) from duckdb_constraints() where constraint_type = 'PRIMARY KEY'") == [
        (1,)
    ]
    assert not list(shop.warehouse.parent.rglob(".*"))
    with duckdb.connect(files[1], read_only=True) as connection:
        assert connection.execute("select customer_id from customer_clv").fetchall() == [(STAYS,)]
    assert oct(files[1].stat().st_mode)[-3:] == "444"
    assert duckdb.sql(f"select customer_id from '{files[2]}'").fetchall() == [(STAYS,)]


def test_a_schema_named_with_its_catalog_is_found(shop: Settings):
    """Raw tables may be named with the warehouse's own catalog before them, as ingestion takes them."""
    named = with_vars(shop, raw_schema="clv.raw")

    forget(named, GONE)

    assert count_bytes(shop.warehouse, (GONE, MERGED)) == 0
    assert query(shop, "select distinct customer_id from raw.events") == [(STAYS,)]


def test_a_table_of_others_is_not_touched(shop: Settings):
    """
    A team's table that names the person stops the erasure, by its name, before anything is changed. Once the
    team has erased the person there, the rest of that table comes through as it was.
    """
    with connect(shop, read_only=False) as connection:
        connection.execute("create schema crm; create table crm.orders (customer_id varchar, note varchar)")
        connection.execute(f"insert into crm.orders values ('{GONE}', 'theirs'), ('{STAYS}', 'theirs, too')")

    with pytest.raises(InputError, match=r'"crm"."orders".* is not this product'):
        forget(shop, GONE)

    assert query(shop, f"select count(*) from customer_clv where customer_id = '{GONE}'") == [(1,)]
    assert query(shop, "select count(*) from crm.orders") == [(2,)]
    with connect(shop, read_only=False) as connection:
        connection.execute(f"delete from crm.orders where customer_id = '{GONE}'")
    forget(shop, GONE)
    assert query(shop, "from crm.orders") == [(STAYS, "theirs, too")]
    assert query(shop, f"select count(*) from customer_clv where customer_id = '{GONE}'") == [(0,)]


def test_feeding_the_same_files_again_does_not_bring_the_person_back(shop: Settings, tmp_path: Path):
    """
    Rows, merges and broken lines of the person are quarantined as erased without their text, and still
    counted; the merged number, which nobody asked to erase by name, stays away as well.
    """
    forget(shop, MERGED)

    feed_all(shop, tmp_path)
    feed_all(shop, tmp_path)

    assert not any(name in cell for cell in everywhere(shop) for name in (GONE, MERGED))
    reasons = query(
        shop,
        "select reason, raw_text, count(*) from raw.quarantine where raw_text = '' group by all order by 1",
    )
    assert reasons[0] == ("erased", "", 5)
    assert query(shop, "select customer_id from raw.events") == [(STAYS,)]
    with connect(shop, read_only=False) as connection:
        connection.execute("checkpoint")
    assert count_bytes(shop.warehouse, [GONE, MERGED]) == 0


def test_an_unknown_customer_is_refused_and_an_erased_one_is_not(shop: Settings):
    """
    A misspelt number is an error that changes nothing; forgetting twice is fine.
    """
    with pytest.raises(InputError, match="No customer 'nobody'"):
        forget(shop, "nobody")
    assert query(shop, "select count(*) from raw.erased_customers") == [(0,)]

    forget(shop, GONE)
    assert forget(shop, f" {GONE} ").files[0].rows_removed == {}


def test_what_cannot_be_erased_is_an_error_and_leaves_the_file(shop: Settings):
    """
    The number quoted in a column that is no customer's: nobody but its owner can say what becomes of it.
    """
    with connect(shop, read_only=False) as connection:
        connection.execute(f"create table notes as select 'called {GONE} today' as remark")
    before = shop.warehouse.read_bytes()

    with pytest.raises(WarehouseError, match="would still stand 1 times"):
        forget(shop, GONE)

    assert shop.warehouse.read_bytes() == before
    assert query(shop, "select count(*) from raw.events") == [(3,)]


def test_a_failure_on_the_way_leaves_the_old_file(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    The swap is the last step; before it, whatever happens, the warehouse is the one it was and no copy lies
    about.
    """
    before = shop.warehouse.read_bytes()
    monkeypatch.setattr(erased_files, "prove_gone", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        forget(shop, GONE)

    assert shop.warehouse.read_bytes() == before
    assert not list(shop.warehouse.parent.rglob(".*"))


def test_what_a_killed_erasure_left_is_removed(shop: Settings):
    """
    Its scratch folders hold copies with the person; the next one clears them away.
    """
    for path in (shop.warehouse, *published(shop)):
        scratch = path.with_name(f".{path.name}.abc")
        scratch.mkdir()
        (scratch / "work.duckdb").write_bytes(path.read_bytes())

    forget(shop, GONE)

    assert not list(shop.warehouse.parent.rglob(".*"))


def test_a_short_number_is_told_from_other_numbers(shop: Settings):
    """
    Customer 12 goes; the product 12 stays and is mentioned, since nobody can tell by its text.
    """
    with connect(shop, read_only=False) as connection:
        connection.execute("update raw.events set customer_id = '12' where customer_id = 'person-to-forget'")
        connection.execute("delete from raw.id_history; update raw.events set product_id = '12'")

    done = forget(shop, "12")

    assert done.files[0].rows_removed == {"raw.events": 1}
    assert done.files[0].mentions == {"raw.events.product_id": 2}


def test_a_number_within_longer_ones_is_no_leftover(shop: Settings):
    """
    Where customer10 stays, the bytes of customer1 are still in every file, and that says nothing; the report
    goes only with the person.
    """
    with connect(shop, read_only=False) as connection:
        for table in ("raw.events", "customer_clv", "backtest_predictions"):
            connection.execute(f"update {table} set customer_id = 'customer1' where customer_id = '{GONE}'")
            connection.execute(f"update {table} set customer_id = 'customer10' where customer_id = '{STAYS}'")
        connection.execute("delete from raw.id_history; delete from raw.quarantine")
    published(shop)

    done = forget(shop, "customer1")

    assert [sum(file.rows_removed.values()) for file in done.files] == [3, 1, 1]
    assert all(file.bytes_after for file in done.files)
    assert query(shop, "select distinct customer_id from customer_clv") == [("customer10",)]


def test_a_number_is_no_part_of_a_date(shop: Settings):
    """
    Forgetting customer 12 leaves what others wrote on the twelfth, at twelve, for 12.50.
    """
    others = ["9,c5,12/12/2026 12:30,12.50", '{"customer_id": "c5", "at": "2026-12-12"}']
    with connect(shop, read_only=False) as connection:
        connection.execute("delete from raw.id_history; delete from raw.quarantine where reason <> 'x'")
        connection.execute("update raw.events set customer_id = '12' where customer_id = 'person-to-forget'")
        for number, text in enumerate([*others, "9,12,1.1.2026,5", '{"customer_id": "12"}']):
            connection.execute(
                "insert into raw.quarantine by name select ? as quarantine_id, timestamp '2026-12-13' as "
                "quarantined_at, 'f' as source, ? as line_number, 'too_few' as reason, ? as raw_text",
                [str(number), number, text],
            )

    done = forget(shop, "12")

    assert done.files[0].texts_emptied == 2
    assert query(shop, "select raw_text from raw.quarantine where raw_text <> '' order by line_number") == [
        (text,) for text in others
    ]


@pytest.mark.parametrize("name", ["Ann Smith", "a,b", "a;b", "a|b", 'say "hi"'])
def test_a_broken_line_of_an_erased_person_is_not_kept(tmp_path: Path, name: str):
    """
    Whatever characters a number has, a later line that is no row is emptied where it names the person.
    """
    settings = settings_for(tmp_path, ROOT)
    quoted = '"' + name.replace('"', '""') + '"'
    path = write_events(tmp_path / "events.csv", {"customer_id": name}, {"customer_id": STAYS})
    with empty_warehouse(settings.warehouse) as connection:
        feed(connection, path)
    forget(settings, name)
    later = write_events(tmp_path / "later.csv", {"customer_id": STAYS})
    later.write_bytes(later.read_bytes() + f"e9,{quoted}\r\n".encode())

    with connect(settings, read_only=False) as connection:
        feed(connection, later)

    assert query(settings, "select reason, raw_text from raw.quarantine") == [("erased", "")]


def test_the_next_command_removes_what_a_killed_erasure_left(shop: Settings):
    """Whatever the command is: the copies have the person in them."""
    scratch = shop.warehouse.with_name(f".{shop.warehouse.name}.abc")
    scratch.mkdir()

    with locked(shop):
        assert not scratch.exists()


def test_the_command_asks_first_and_prints_no_number(shop: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Without --yes and without an answer nothing happens; the JSON says what was done and which models saw the
    person, and may be kept, since it does not name the person.
    """
    monkeypatch.chdir(shop.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(shop.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(shop.models))
    monkeypatch.setattr("clv_ml.operate.erasure.create_tables", lambda _: None)

    asked = CliRunner().invoke(app, ["forget", GONE], input="n\n")
    assert asked.exit_code == 1 and query(shop, "select count(*) from raw.events") == [(3,)]
    done = CliRunner().invoke(app, ["forget", GONE, "--yes", "--json"])

    assert done.exit_code == 0 and GONE not in done.stdout
    found = json.loads(done.stdout)
    assert (found["ids"], found["models"], found["files"][0]["bytes_after"]) == (2, [], 0)


@pytest.mark.long
def test_a_whole_shop_forgets_a_customer(trained_copy: Settings):
    """
    As dbt, training, scoring and the report leave it: every table that knew the best customer is found by its
    columns, the narrative and the page are gone, the model that was trained on the customer is named, and the
    features stay those of the others.
    """
    ((customer, others),) = query(
        trained_copy,
        "select customer_id, (select count(*) - 1 from customer_clv) from customer_clv "
        "where customer_id in (select customer_id from training_rows) order by clv_estimate desc, "
        "customer_id limit 1",
    )
    version = next(path.name for path in trained_copy.models.iterdir() if path.is_dir())
    page = report_of(trained_copy).path

    done = forget(trained_copy, customer)

    removed = set(done.files[0].rows_removed)
    assert {"raw.events", "main.customer_clv", "main.customer_features", "main.customer_drivers"} <= removed
    assert {"main.customer_predictions", "main.customer_labels", "main.int_orders"} <= removed
    assert "main.customer_narratives" in removed
    assert done.report == page and not page.exists()
    assert done.models == (version,)
    assert query(trained_copy, "select count(*) from customer_clv") == [(others,)]
    with connect(trained_copy) as connection:
        tables = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        for (table,) in tables:
            text = f"select count(*) from {table} as t where contains(cast(t as varchar), ?)"
            assert connection.execute(text, [f"'{customer}'"]).fetchall() == [(0,)], table
