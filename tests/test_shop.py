"""A shop is scored by its own models alone."""

from pathlib import Path

import pytest
from shops import build, copied, execute, one, query, with_vars
from small_models import description

from clv_ml.errors import BuildError, ModelError
from clv_ml.learn.training import train
from clv_ml.model import registry
from clv_ml.model.shop import foreign_model
from clv_ml.operate.preflight import preflight
from clv_ml.operate.promotion import switch_model
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import create_tables

REFUSED = "(?s)made for another shop .*CLV_MODELS"


@pytest.fixture
def another(trained: Settings, bench: Path) -> Settings:
    """A second shop, equal rows and all, which forgot CLV_MODELS: the model is the first one's."""
    settings = copied(trained, bench)
    execute(settings, "update shop_identity set shop_id = 'another'")
    return settings


def test_a_model_names_the_shop_that_it_was_made_for(trained: Settings, empty_shop: Settings, tmp_path: Path):
    """The identity is drawn when a warehouse is made; a copy keeps it, another warehouse has another."""
    own = one(trained, "select max(shop_id) from shop_identity")
    model = registry.load(trained.models)
    other = empty_shop.model_copy(update={"warehouse": tmp_path / "other.duckdb"})
    create_tables(other)
    drawn = query(other, "select shop_id, product_version from shop_identity")

    create_tables(other)

    assert model is not None and model.manifest.shop == own
    assert one(copied(trained, tmp_path / "copy"), "select max(shop_id) from shop_identity") == own
    assert query(other, "select shop_id, product_version from shop_identity") == drawn
    assert len(drawn) == 1 and drawn[0][0] != own


def test_a_model_of_another_shop_is_refused_before_anything_is_built(another: Settings):
    """
    By a run, by plain dbt, by training into its folder and by promotion, each with what to set; nothing is
    built, and the model in use stays. Where no model is wanted, nobody asks.
    """
    pointer = registry.champion(another.models)
    assert pointer is not None
    scored = query(another, "select max(scored_at), count(*) from customer_clv")

    for act in (preflight, train, lambda shop: switch_model(shop, pointer.version, "by hand")):
        with pytest.raises(ModelError, match=REFUSED):
            act(another)
    with pytest.raises(BuildError, match=REFUSED):
        build(another, "--select", "stg_fx_rates+")

    assert query(another, "select max(scored_at), count(*) from customer_clv") == scored
    assert registry.champion(another.models) == pointer
    preflight(with_vars(another, use_ml_clv=False))


def test_a_warehouse_not_made_yet_is_another_shops(trained: Settings, tmp_path: Path):
    """The first run of a second shop is told before it reads a file, and makes none."""
    unmade = trained.model_copy(update={"warehouse": tmp_path / "second.duckdb"})

    with pytest.raises(ModelError, match=REFUSED):
        preflight(unmade)

    assert not unmade.warehouse.exists()


@pytest.mark.parametrize(("made_for", "shop"), [(None, "a"), ("a", "a"), ("a", None)])
def test_what_names_no_shop_is_taken_for_its_own(made_for: str | None, shop: str | None):
    """Models and warehouses of earlier versions bear no identity, and go on."""
    manifest = description(shop=made_for)

    assert foreign_model(manifest, Path("models"), shop) is None
