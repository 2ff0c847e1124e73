"""What earlier versions left goes on with this one and loses nothing, or is refused with what to do."""

import re
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest
from shops import ROOT, query, with_vars

from clv_ml import pipeline
from clv_ml.errors import BuildError
from clv_ml.model import registry
from clv_ml.operate.publication import published_scoring
from clv_ml.operate.scores import changes_since
from clv_ml.settings import Settings, published_folder
from clv_ml.warehouse.dbt_runner import create_tables

SHOPS = sorted((ROOT / "tests" / "fixtures").glob("*.zip"))
EVENTS = "select event_id, customer_id, occurred_at, recorded_at, amount from raw.events"
PREDICTIONS = (
    "select customer_id, as_of_date, model_version, clv_predicted, clv_low, clv_high "
    "from customer_predictions"
)
BASELINES = (
    "select customer_id, as_of_date, simple_value, persistence_value, build_hash from scored_baselines"
)
RATE = (
    "insert into raw.fx_rates (currency, valid_from, rate_to_reporting) "
    "values ('USD', timestamp '2025-01-01', 0.8)"
)
BOUGHT = "select count(*), sum(total_revenue), sum(total_purchases) from customer_clv"


def left_by(archive: Path, folder: Path, project: Settings) -> Settings:
    """The shop that a version left, its warehouse in the schema that the version built in."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    exported = folder / "exported"
    load = re.sub(r"FROM '.*/", f"FROM '{exported}/", (exported / "load.sql").read_text(encoding="utf-8"))
    with duckdb.connect(folder / "shop.duckdb") as connection:
        _create(connection, (exported / "schema.sql").read_text(encoding="utf-8"))
        connection.execute(load)
    places = {"warehouse": folder / "shop.duckdb", "models": folder / "models", "chosen_schema": ""}
    return with_vars(project.model_copy(update=places), horizon_days=60)


def _create(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Its tables and views: an export lists views by name, whatever they read."""
    waiting = connection.extract_statements(schema)
    while waiting:
        early = []
        for statement in waiting:
            try:
                connection.execute(statement)
            except duckdb.CatalogException:
                early.append(statement)
        assert len(early) < len(waiting), early[0].query
        waiting = early


def test_each_released_version_has_a_shop():
    """The script tests/earlier_versions.py made them, this version's own included."""
    assert {path.stem for path in SHOPS} == {"0.1.0", version("clv-ml")}


def test_a_warehouse_of_the_first_version_is_refused_until_its_schema_is_named(
    empty_shop: Settings, tmp_path: Path
):
    """It built in main; the message says how to go on, and nothing was touched."""
    shop = left_by(ROOT / "tests" / "fixtures" / "0.1.0.zip", tmp_path, empty_shop)
    before = shop.warehouse.read_bytes()

    with pytest.raises(BuildError, match=r"earlier version .*CLV_SCHEMA=main"):
        create_tables(shop)

    assert shop.warehouse.read_bytes() == before


def test_what_the_first_version_published_is_compared_without_its_unit(empty_shop: Settings, tmp_path: Path):
    """Its rows say neither horizon nor currency: totals are compared, and neither is said to differ."""
    shop = empty_shop.model_copy(update={"warehouse": tmp_path / "clv.duckdb"})
    published_folder(shop).mkdir()
    with duckdb.connect(published_folder(shop) / "clv.duckdb") as copy:
        copy.execute(
            "create table customer_clv as select 'model' as clv_method, 100.0 as clv_estimate, date "
            "'2025-09-01' as as_of_date, 'v1' as clv_model_version, timestamp '2025-01-01' as "
            "first_purchase_at, 50.0 as total_revenue"
        )

    published = published_scoring(shop)

    assert published is not None
    assert (published.estimate_total, published.horizon_days, published.reporting_currency) == (
        100,
        None,
        None,
    )
    now = replace(published, estimate_total=200.0, horizon_days=60, reporting_currency="GBP")
    assert changes_since(published, now) == [
        "The total is GBP 200 for 60 days as of 2025-09-01, and 100 as of 2025-09-01 in what readers have."
    ]


@pytest.mark.long
@pytest.mark.parametrize("archive", SHOPS, ids=lambda path: path.stem)
def test_a_shop_of_an_earlier_version_goes_on_and_loses_nothing(
    archive: Path, empty_shop: Settings, tmp_path: Path
):
    """
    A run of this version on its warehouse and models keeps rows, money, past predictions and versions, scores
    everybody anew, says what rates are quoted in, and notes the version.
    """
    shop = left_by(archive, tmp_path, empty_shop)
    if archive.stem == "0.1.0":
        shop = shop.model_copy(update={"chosen_schema": "main"})
    with duckdb.connect(shop.warehouse) as connection:
        connection.execute(RATE)
    events, predictions, baselines = (set(query(shop, sql)) for sql in (EVENTS, PREDICTIONS, BASELINES))
    ((customers, revenue, purchases),) = query(shop, BOUGHT)
    models = {model.version for model in registry.list_models(shop.models)}
    feed = tmp_path / "later.csv"
    line = "new,c1,2025-09-10 12:00:00,10.00,GBP"
    feed.write_text(f"order_id,customer_id,ordered_at,amount,currency\n{line}\n", encoding="utf-8")

    result = pipeline.run(shop, "orders", path=feed)

    assert result.scoring.customers == customers
    assert query(shop, BOUGHT) == [(customers, revenue + 10, purchases + 1)]
    assert events < set(query(shop, EVENTS)) and len(query(shop, EVENTS)) == len(events) + 1
    assert predictions < set(query(shop, PREDICTIONS)) and predictions
    assert baselines < set(query(shop, BASELINES)) and baselines
    assert query(shop, "select currency, quote_currency from raw.fx_rates") == [("USD", "GBP")]
    assert models and models <= {model.version for model in registry.list_models(shop.models)}
    assert (version("clv-ml"),) in query(shop, "select product_version from shop_identity")
