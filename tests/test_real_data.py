"""The whole way on real shops: every customer scored, and better than the simple formula out of time."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cookbook import recipes
from shops import ROOT, copied, frame, one, settings_for

from clv_ml import evaluate, pipeline
from clv_ml.pipeline import RunResult
from clv_ml.settings import Settings

pytestmark = pytest.mark.long

DATA = ROOT.parent / "shared" / "data"
MIN_R2 = 0.20
MAX_MAE_TO_SIMPLE = 0.85


@dataclass(frozen=True)
class RealShop:
    """
    A file, how to read it, and the date to look back from, with enough time after it to see what happened.
    """

    preset: str
    file: str
    as_of: date
    vars: dict[str, Any]

    @property
    def path(self) -> Path:
        """Outside the project; may be absent."""
        return DATA / self.file

    @property
    def end(self) -> date:
        """The first day after the horizon."""
        return self.as_of + timedelta(days=self.vars["horizon_days"])


SHOPS = (
    RealShop("online_retail_ii", "online_retail_ii.parquet", date(2011, 6, 9), {"horizon_days": 183}),
    RealShop("cdnow", "cdnow.parquet", date(1998, 1, 1), {"horizon_days": 91, "reporting_currency": "USD"}),
)


@dataclass(frozen=True)
class Scored:
    """A real shop after ``clv run``."""

    shop: RealShop
    settings: Settings
    result: RunResult


@pytest.fixture(scope="module", params=SHOPS, ids=[shop.preset for shop in SHOPS])
def scored(
    request: pytest.FixtureRequest, empty_shop: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Scored:
    """Ingested, trained and scored as of its date, in one call."""
    shop: RealShop = request.param
    if not shop.path.exists():
        pytest.skip(f"needs {shop.file} in ../shared/data")
    folder = tmp_path_factory.mktemp(shop.preset)
    copied(empty_shop, folder)
    settings = settings_for(folder, empty_shop.project, as_of_date=shop.as_of.isoformat(), **shop.vars)
    return Scored(shop, settings, pipeline.run(settings, shop.preset, shop.path))


def _happened(scored: Scored) -> pd.DataFrame:
    """
    What each buyer was expected to spend and then did, net, worked out from the money lines of the horizon
    alone.

    A sale voided within the horizon is nothing, and so is the refund that voided it; a refund of an earlier
    sale counts.
    """
    return frame(
        scored.settings,
        f"""
        with window_lines as (
            select *, coalesce(voided_at < timestamp '{scored.shop.end}', false) as is_voided
            from int_money_lines
            where occurred_at >= timestamp '{scored.shop.as_of}'
                and occurred_at < timestamp '{scored.shop.end}'
                and known_at < timestamp '{scored.shop.end}'
        ),
        spent as (
            select customer_id, sum(amount) as actual
            from window_lines
            where not is_voided or (is_refund and sold_at < timestamp '{scored.shop.as_of}')
            group by customer_id
        )
        select
            clv.customer_id,
            clv.clv_estimate::double as predicted,
            clv.simple_clv_estimate::double as simple,
            coalesce(spent.actual, 0)::double as actual
        from customer_clv as clv
        left join spent on spent.customer_id = clv.customer_id
        where clv.total_purchases > 0
        order by clv.customer_id
        """,
    )


def test_every_buyer_has_a_row_and_an_estimate(scored: Scored):
    """
    Nobody with a sale before the date is missing, no estimate is NULL, and buyers are scored by the model.
    """
    buyers = (
        "select count(distinct customer_id) from int_money_lines where not is_refund "
        f"and known_at < timestamp '{scored.shop.as_of}' and customer_id not in (select customer_id "
        "from customer_clv)"
    )

    assert one(scored.settings, buyers) == 0
    assert one(scored.settings, "select count(*) from customer_clv where clv_estimate is null") == 0
    methods = {"model", "model, with caution", "no_purchase", "returned"}
    assert set(scored.result.scoring.methods) <= methods
    assert scored.result.scoring.customers > 4000


def test_nothing_after_the_date_touched_the_training(scored: Scored):
    """
    Every window that was fitted or tested on had ended by the date.
    """
    assert scored.result.training is not None
    last = max(
        date.fromisoformat(text) for dates in scored.result.training.training_dates.values() for text in dates
    )

    assert last + timedelta(days=scored.shop.vars["horizon_days"]) <= scored.shop.as_of
    assert one(scored.settings, "select max(as_of_date) from customer_features") == scored.shop.as_of


def test_engagement_is_null_where_nothing_was_tracked(scored: Scored):
    """
    Neither shop has behavioural events.
    """
    assert (
        one(
            scored.settings,
            "select count(total_sessions) + count(pages_per_purchase) from customer_engagement",
        )
        == 0
    )


def test_it_explains_the_test_date(scored: Scored):
    """
    R² on the held-out test date, from the manifest.
    """
    assert scored.result.training is not None

    assert scored.result.training.metrics["model"]["r2"] >= MIN_R2


def test_it_beats_the_simple_estimate_on_the_test_date(scored: Scored):
    """
    Mean absolute error at least 15 % below the simple estimate's.
    """
    assert scored.result.training is not None
    metrics = scored.result.training.metrics

    assert metrics["model"]["mae"] <= MAX_MAE_TO_SIMPLE * metrics["simple"]["mae"]


def test_it_explains_what_then_happened(scored: Scored):
    """
    R² of clv_estimate against the net spend of the horizon after the date.
    """
    found = _happened(scored)

    assert evaluate(found.actual.to_numpy(), found.predicted.to_numpy())["r2"] >= MIN_R2


def test_it_beats_the_simple_estimate_on_what_then_happened(scored: Scored):
    """
    Mean absolute error at least 15 % below the simple estimate's, on time that training never saw.
    """
    found = _happened(scored)

    error, simple = (np.abs(found.actual - found[name]).mean() for name in ("predicted", "simple"))
    assert error <= MAX_MAE_TO_SIMPLE * simple


def test_every_cookbook_query_answers(scored: Scored):
    """
    Each question has an answer on the first scoring of a real shop. CDNOW has no refunds and no customer
    newer than nine months, and chances of return may leave nobody whom not to discount.
    """
    nobody = {"whom_not_to_discount", "which_new_customers_look_promising", "whose_refunds_cost_value"}
    empty = [name for name, sql in recipes().items() if frame(scored.settings, sql).empty]

    assert set(empty) <= (nobody if scored.shop.preset == "cdnow" else set())
