"""The exports of known shop systems: recognised by their columns, and every sum as worked by hand."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from ingestion_helpers import NOW, empty_warehouse, stored
from shop_exports import EXPORTS, Export, shopify
from shops import copied

from clv_ml import pipeline
from clv_ml.ingest.ingestion import ingest_together
from clv_ml.warehouse.connection import connect


def fed(connection, folder, export: Export):
    """The export's files, written and fed in one call without a word on what they are."""
    paths = []
    for name, content in export.files.items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return ingest_together(
        connection, "", tuple(reversed(paths)), reporting_currency=export.currency, now=NOW
    )


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.preset)
def test_a_known_export_needs_no_option(tmp_path, export):
    """
    It is recognised, nothing is quarantined, what is no purchase is skipped, orders and net money are right.
    """
    with empty_warehouse() as warehouse:
        (summary,) = fed(warehouse, tmp_path, export)

        assert (summary.preset, summary.reasons, summary.rows_skipped) == (export.preset, {}, export.skipped)
        assert summary.rows_in == summary.rows_kept + summary.rows_skipped
        figures = warehouse.execute(
            "select customer_id, count(distinct order_id) filter (event_type = 'purchase'), sum(amount) "
            "from raw.events group by customer_id order by all"
        ).fetchall()
        assert figures == sorted(
            (customer, orders, Decimal(net)) for customer, (orders, net) in export.customers.items()
        )
        assert {currency for (currency,) in stored(warehouse, "currency") if currency} == {export.currency}


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.preset)
def test_the_same_export_twice_changes_nothing(tmp_path, export):
    """Every row is known the second time."""
    with empty_warehouse() as warehouse:
        fed(warehouse, tmp_path, export)
        before = stored(warehouse)

        (again,) = fed(warehouse, tmp_path, export)

        assert (stored(warehouse), again.rows_new) == (before, 0)


ONE_LINE_AN_ORDER = {
    "bigcommerce_orders", "etsy_orders", "magento_orders", "paypal_activity", "square_transactions",
    "stripe_payments", "subscription_invoices", "woocommerce_orders",
}  # fmt: skip


@pytest.mark.parametrize(
    "export", [each for each in EXPORTS if each.preset in ONE_LINE_AN_ORDER], ids=lambda export: export.preset
)
def test_an_order_that_stands_in_one_file_twice_counts_once(tmp_path, export):
    """Two exports that overlap, one under the other: a system with one line an order has no further lines."""
    ((name, content),) = export.files.items()
    header, *lines = content.splitlines()
    with empty_warehouse() as once, empty_warehouse() as twice:
        fed(once, tmp_path, export)
        purchases = stored(once, "customer_id, order_id, amount", "events")

        doubled = replace(export, files={name: "\n".join([header, *lines, *lines, ""])})
        (summary,) = fed(twice, tmp_path, doubled)

        assert [row for row in stored(twice, "customer_id, order_id, amount") if row[2] > 0] == [
            row for row in purchases if row[2] > 0
        ]
        assert summary.skipped["further line of an order"] > 0


@pytest.mark.long
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.preset)
def test_one_command_turns_an_export_into_values(empty_shop, own_project, tmp_path, export: Export):
    """`clv run FILE...` needs no option: each person's purchases and net money are those worked by hand."""
    shop = copied(empty_shop, tmp_path / "shop").model_copy(update={"project": own_project})
    files = tuple(tmp_path / name for name in export.files)
    for file in files:
        file.write_text(export.files[file.name], encoding="utf-8")

    pipeline.run(shop, "", files)

    with connect(shop) as warehouse:
        found = warehouse.execute(
            "select customer_id, total_purchases, total_revenue, reporting_currency, "
            "clv_estimate is not null from customer_clv order by all"
        ).fetchall()
    assert found == sorted(
        (customer, orders - export.went_back.get(customer, 0), Decimal(net), export.currency, True)
        for customer, (orders, net) in export.customers.items()
    )


def shopify_fed(warehouse, folder, content: str):
    """One Shopify export, fed."""
    (folder / "orders_export.csv").write_text(content, encoding="utf-8")
    paths = (folder / "orders_export.csv",)
    return ingest_together(warehouse, "", paths, reporting_currency="GBP", now=NOW)[0]


def test_an_order_that_is_exported_again_takes_its_newest_money(tmp_path):
    """
    100.00 with 25.00 refunded, edited to 80.00, is 55.00 net; later voided, it is nothing. A third time: no
    change.
    """
    with empty_warehouse() as warehouse:
        shopify_fed(warehouse, tmp_path, shopify())
        shopify_fed(warehouse, tmp_path, shopify("80.00"))
        after_edit = stored(warehouse, "sum(amount), count(distinct order_id)")

        again = shopify_fed(warehouse, tmp_path, shopify("80.00"))
        assert (
            stored(warehouse, "sum(amount), count(distinct order_id)")
            == after_edit
            == [(Decimal("55.00"), 1)]
        )
        assert again.rows_new == 0

        shopify_fed(warehouse, tmp_path, shopify("80.00").replace("partially_refunded", "voided"))
        assert stored(warehouse, "sum(amount)") == [(Decimal("0.00"),)]


def test_an_edit_is_known_from_the_day_it_was_learnt(tmp_path):
    """
    What a built date saw stays: the difference is recorded at the newest built date, and only new rows
    appear.
    """
    with empty_warehouse() as warehouse:
        shopify_fed(warehouse, tmp_path, shopify())
        before = stored(warehouse)
        warehouse.execute("create table customer_features as select date '2025-08-01' as as_of_date")

        summary = shopify_fed(warehouse, tmp_path, shopify("80.00"))

        added = [row for row in stored(warehouse) if row not in before]
        assert len(added) == len(stored(warehouse)) - len(before) == 1
        assert stored(warehouse, "amount, occurred_at, recorded_at")[0] == (
            Decimal("-25.00"),
            datetime(2025, 6, 1, 8),
            datetime(2025, 6, 1, 8),
        )
        refund = [row for row in stored(warehouse, "amount, occurred_at, recorded_at") if row[0] == -20]
        assert refund == [(Decimal("-20.00"), datetime(2025, 8, 1), datetime(2025, 8, 1))]
        assert any("1 order was known and came with other money: -20.00" in note for note in summary.notes)


def test_appended_orders_that_come_with_other_content_are_named(tmp_path):
    """
    A plain list of orders is appended: the second version counts beside the first, with count, money and
    remedy.
    """
    header = "order_id,customer_id,ordered_at,amount,currency\n"
    with empty_warehouse() as warehouse:
        for amount in ("100.00", "80.00"):
            (tmp_path / "orders.csv").write_text(f"{header}o1,ann,2025-06-01,{amount},GBP\n")
            paths = (tmp_path / "orders.csv",)
            (summary,) = ingest_together(warehouse, "", paths, reporting_currency="GBP", now=NOW)

        assert any("1 order of" in warning and "80.00 in all" in warning for warning in summary.warnings)
        assert any("--orders restated" in warning for warning in summary.warnings)
