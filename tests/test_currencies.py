"""Rates say what they are quoted in: under another reporting currency they are crossed, or refused."""

from datetime import date, datetime

import pytest
from conftest import OpenShop
from ingestion_helpers import empty_warehouse, feed, stored, write_csv, write_events
from shops import add_rate, copied, execute, purchase, query, with_vars

from clv_ml.errors import BuildError
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import create_tables, run_dbt

RATE = ["currency", "valid_from", "rate_to_reporting"]
QUOTED = [*RATE, "quote_currency"]
RATES = "currency, cast(rate_to_reporting as varchar), quote_currency"
MODELS = ["run", "--select", "stg_fx_rates", "stg_crossed_rates", "stg_reporting_rates", "stg_told_events"]


@pytest.fixture
def warehouse():
    connection = empty_warehouse()
    yield connection
    connection.close()


def test_a_rate_is_kept_with_what_it_is_quoted_in(warehouse, tmp_path):
    """
    Its own word, else the shop's currency then. A file that says none is known again under another one, and
    is never read as rates of that.
    """
    plain = write_csv(tmp_path / "plain.csv", RATE, [["USD", "2025-01-01", "0.8"]])
    quoted = write_csv(tmp_path / "quoted.csv", QUOTED, [["USD", "2025-01-01", "0.9", "eur"]])
    feed(warehouse, plain, "fx_rates")
    feed(warehouse, quoted, "fx_rates")

    again = feed(warehouse, plain, "fx_rates", reporting_currency="EUR")
    changed = write_csv(tmp_path / "changed.csv", QUOTED, [["USD", "2025-01-01", "0.7", "GBP"]])

    assert (again.rows_kept, again.rows_new) == (1, 0)
    assert feed(warehouse, changed, "fx_rates").reasons == {"conflicting_rate": 1}
    assert stored(warehouse, RATES, "fx_rates") == [
        ("USD", "0.80000000", "GBP"),
        ("USD", "0.90000000", "EUR"),
    ]


def test_a_file_that_grows_keeps_its_one_quote(warehouse, tmp_path):
    """
    A row that is known in euros tells what the whole file is quoted in, whatever the shop counts in now, and
    the summary says so. Nothing of it becomes a rate in dollars; a row that names its quote keeps that.
    """
    path = write_csv(tmp_path / "rates.csv", RATE, [["GBP", "2025-01-01", "1.17"]])
    feed(warehouse, path, "fx_rates", reporting_currency="EUR")
    own = [
        ["GBP", "2025-01-01", "1.17", ""],
        ["GBP", "2025-02-01", "1.18", ""],
        ["GBP", "2025-02-01", "1.3", "USD"],
    ]
    write_csv(path, QUOTED, own)

    grown = feed(warehouse, path, "fx_rates", reporting_currency="USD")

    assert (grown.rows_kept, grown.rows_new) == (3, 2)
    assert stored(warehouse, RATES, "fx_rates") == [
        ("GBP", "1.17000000", "EUR"),
        ("GBP", "1.18000000", "EUR"),
        ("GBP", "1.30000000", "USD"),
    ]
    (warning,) = grown.warnings
    assert "rates.csv: 2 rows without a quote_currency taken in EUR, not in USD" in warning
    assert "If they are in USD, say so in a column quote_currency." in warning


def test_rates_of_another_reporting_currency_admit_no_money(warehouse, tmp_path):
    """
    Dollars have a rate in pounds, and the shop counts in euros: they wait, with currency, day and remedy; so
    they do before the day on which the pound has a rate in euros, and are admitted from then on.
    """
    feed(warehouse, write_csv(tmp_path / "usd.csv", RATE, [["USD", "2025-01-01", "0.8"]]), "fx_rates")
    events = write_events(
        tmp_path / "events.csv",
        *[{"currency": "USD", "occurred_at": at} for at in ("2025-03-01", "2025-04-01")],
    )

    refused = feed(warehouse, events, reporting_currency="EUR")
    bridge = write_csv(tmp_path / "gbp.csv", QUOTED, [["GBP", "2025-03-15", "1.2", "EUR"]])
    feed(warehouse, bridge, "fx_rates", reporting_currency="EUR")
    admitted = feed(warehouse, events, reporting_currency="EUR")

    assert refused.reasons == {"no_fx_rate": 2}
    assert "most of them in USD, the first on 2025-03-01. Load rates" in refused.warnings[0]
    assert "quoted in GBP: rates of that in the shop's currency" in refused.warnings[0]
    assert (admitted.reasons, admitted.rows_new) == ({"no_fx_rate": 1}, 1)
    assert (
        "1 row of" in admitted.warnings[0] and "its day, USD, the first on 2025-03-01" in admitted.warnings[0]
    )
    assert stored(warehouse, "event_id") == [("e2",)]


def test_money_is_converted_by_cross_rates_or_refused(open_shop: OpenShop):
    """
    A shop in pounds with a rate of the dollar, read in euros: refused by currency, day and the rate to load,
    before anything is built on it. With a rate of the pound a dollar is worth .8 x 1.25 euros, a pound 1.25.
    A dollar of the day before the first rate is a gap in time: it is left aside, and stops nothing.
    """
    sales = [purchase("ann", 40, 10, currency="USD"), purchase("bob", 50, 10)]
    shop = open_shop([*sales, purchase("cyd", datetime(2023, 12, 31), 10, currency="USD")])
    add_rate(shop, "USD", date(2024, 1, 1), "0.8")
    execute(shop, "update raw.fx_rates set quote_currency = 'GBP'")
    in_euros = with_vars(shop, reporting_currency="EUR")

    with pytest.raises(
        BuildError,
        match=r"Money in GBP cannot be converted to EUR: 1 event on 2024-02-20\. Rates tell GBP "
        r"in USD, .*Load rates of GBP or USD with quote_currency EUR",
    ):
        run_dbt(in_euros, MODELS)
    execute(shop, "insert into raw.fx_rates values ('EUR', timestamp '2024-01-01', 0.8, 'GBP', null)")
    run_dbt(in_euros, MODELS)

    amounts = "select customer_id, amount from stg_told_events order by customer_id"
    assert query(shop, amounts) == [("ann", 10), ("bob", 12.5), ("cyd", None)]


def test_a_warehouse_of_an_earlier_version_gets_the_columns(empty_shop: Settings, tmp_path):
    """
    Tables without columns that came later are given them, empty, and keep their rows. Rates are quoted in
    what the model in use counts in, whatever the first command of this version counts in.
    """
    shop = copied(empty_shop, tmp_path / "shop")
    execute(
        shop,
        "alter table raw.fx_rates drop column quote_currency",
        "alter table raw.fx_rates drop column feed_id",
        "alter table raw.quarantine drop column feed_id",
        "insert into raw.fx_rates values ('USD', timestamp '2024-01-01', 0.8)",
        "insert into model_registry (version, is_champion, reporting_currency) values ('m', true, 'GBP')",
    )

    create_tables(with_vars(shop, reporting_currency="EUR"))

    assert query(shop, "select currency, quote_currency, feed_id from raw.fx_rates") == [("USD", "GBP", None)]
    assert query(shop, "select feed_id from raw.quarantine") == []
