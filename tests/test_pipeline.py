"""From a feed to a scored table; and the features that SQL computed, worked out a second time in pandas."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from shops import (
    HORIZON,
    build,
    by_formula,
    copied,
    edit,
    frame,
    one,
    query,
    regular_shop,
    with_project,
    with_vars,
)

from clv_ml import pipeline
from clv_ml.engines import DuckDB, engine_of, ingested_by
from clv_ml.errors import BuildError, InputError
from clv_ml.ingest.of_project import is_currency_open, keep_currency
from clv_ml.settings import Settings, load_settings

OpenShop = Callable[..., Settings]
CENT = Decimal("0.01")
DAY = pd.Timedelta(days=1)
GRID_DATES = ("2024-06-01", "2024-08-01")


def _lines(settings: Settings) -> pd.DataFrame:
    """Money lines in pounds under today's customer numbers, straight from the raw tables."""
    events = frame(
        settings,
        "select event_id, customer_id, event_type, occurred_at, greatest(occurred_at, "
        "recorded_at) as known_at, order_id, cast(amount as varchar) as amount, currency from raw.events "
        "where event_type in ('purchase', 'refund')",
    )
    merges = dict(
        query(settings, "select old_customer_id, new_customer_id from raw.id_history order by merged_at")
    )
    rates = frame(
        settings, "select currency, valid_from, cast(rate_to_reporting as varchar) as rate from raw.fx_rates"
    )
    events["customer_id"] = [_final(merges, customer) for customer in events.customer_id]
    events["source"] = [Decimal(amount) for amount in events.amount]
    events["pounds"] = [
        _pounds(rates, row.source, row.currency, _rated_at(events, row)) for row in events.itertuples()
    ]
    return events[events.pounds.notna()]


def _rated_at(events: pd.DataFrame, row: tuple) -> pd.Timestamp:
    """When the rate is taken: a refund's on the day of its order, as far as that was known by then."""
    sales = events[
        (events.event_type == "purchase")
        & (events.customer_id == row.customer_id)
        & (events.order_id == row.order_id)
        & (events.known_at <= row.known_at)
    ]
    return sales.occurred_at.min() if row.event_type == "refund" and len(sales) else row.occurred_at


def _final(merges: dict[str, str], customer: str) -> str:
    while customer in merges:
        customer = merges[customer]
    return customer


def _pounds(rates: pd.DataFrame, amount: Decimal, currency: str, at: pd.Timestamp) -> Decimal | None:
    if currency == "GBP":
        return amount
    valid = rates[(rates.currency == currency) & (rates.valid_from <= at)].sort_values("valid_from")
    if valid.empty:
        return None
    return (amount * Decimal(valid.rate.iloc[-1])).quantize(CENT, ROUND_HALF_UP)


def _orders(lines: pd.DataFrame) -> pd.DataFrame:
    """
    One row per order among the lines given: when, what it was worth, and whether its refunds cancelled it.
    """
    rows = []
    for (customer, order), group in lines.groupby(["customer_id", "order_id"]):
        sales = group[group.event_type == "purchase"]
        refunds = group[group.event_type == "refund"]
        if sales.empty:
            continue
        cancelled = len(refunds) > 0 and group.source.sum() == 0
        rows.append((customer, order, sales.occurred_at.min(), sum(sales.pounds), cancelled))
    return pd.DataFrame(rows, columns=["customer_id", "order_id", "ordered_at", "value", "cancelled"])


def _features_by_hand(lines: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    known = lines[lines.known_at < as_of]
    orders = _orders(known)
    gone = set(orders[orders.cancelled].order_id)
    standing = orders[~orders.cancelled]
    refunds = known[(known.event_type == "refund") & ~known.order_id.isin(gone)]
    recent = as_of - 90 * DAY
    rows = {}
    for customer in sorted(set(known.customer_id)):
        mine, back = (part[part.customer_id == customer] for part in (standing, refunds))
        instants = mine.ordered_at.drop_duplicates().sort_values()
        gaps = instants.diff().dropna().dt.total_seconds().to_numpy() / 86_400
        rows[customer] = {
            "total_purchases": len(mine),
            "total_revenue": sum(mine.value, Decimal(0)) + sum(back.pounds, Decimal(0)),
            "revenue_90d": sum(mine[mine.ordered_at >= recent].value, Decimal(0))
            + sum(back[back.occurred_at >= recent].pounds, Decimal(0)),
            "days_since_last_purchase": (as_of - instants.iloc[-1]).days if len(instants) else None,
            "interval_mean_days": gaps.mean() if gaps.size else None,
            "interval_std_days": gaps.std(ddof=1) if gaps.size > 1 else None,
            "interval_cv": gaps.std(ddof=1) / gaps.mean() if gaps.size > 1 else None,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _labels_by_hand(lines: pd.DataFrame, as_of: pd.Timestamp) -> dict[str, Decimal]:
    end = as_of + HORIZON * DAY
    known = lines[lines.known_at < end]
    orders = _orders(known).set_index("order_id")
    labels: dict[str, Decimal] = {}
    for order in orders[
        (orders.ordered_at >= as_of) & (orders.ordered_at < end) & ~orders.cancelled
    ].itertuples():
        labels[order.customer_id] = labels.get(order.customer_id, Decimal(0)) + order.value
    for refund in known[(known.event_type == "refund") & (known.occurred_at >= as_of)].itertuples():
        sale = orders.loc[refund.order_id] if refund.order_id in orders.index else None
        if sale is not None and sale.cancelled and sale.ordered_at >= as_of:
            continue  # sale and refund both lie in the window: they came to nothing
        labels[refund.customer_id] = labels.get(refund.customer_id, Decimal(0)) + refund.pounds
    return labels


@pytest.mark.parametrize("as_of", GRID_DATES)
def test_features_agree_with_pandas(simulated: Settings, as_of: str):
    """
    Money to the cent, counts exactly and interval statistics to 1e-9 (two orders of summing doubles), for
    every customer of a shop with refunds, cancellations, currencies, merges and late records.
    """
    expected = _features_by_hand(_lines(simulated), pd.Timestamp(as_of))

    found = frame(
        simulated,
        f"select customer_id, {', '.join(expected.columns)} from customer_features "
        f"where as_of_date = '{as_of}'",
    ).set_index("customer_id")

    found = found.loc[expected.index]
    assert len(expected) > 100
    for column in ("total_revenue", "revenue_90d"):
        assert [Decimal(str(value)).quantize(CENT) for value in found[column]] == list(expected[column]), (
            column
        )
    assert found.total_purchases.tolist() == expected.total_purchases.tolist()
    for column in ("days_since_last_purchase", "interval_mean_days", "interval_std_days", "interval_cv"):
        np.testing.assert_allclose(
            found[column].astype(float), expected[column].astype(float), rtol=1e-9, err_msg=column
        )


@pytest.mark.parametrize("as_of", GRID_DATES)
def test_labels_agree_with_pandas(simulated: Settings, as_of: str):
    """
    What each customer spent in the horizon, net of what was given back, to the cent.
    """
    expected = _labels_by_hand(_lines(simulated), pd.Timestamp(as_of))

    found = query(
        simulated,
        "select customer_id, cast(label_revenue as varchar) from customer_labels "
        f"where as_of_date = '{as_of}'",
    )

    assert len(found) > 100
    assert {customer: Decimal(value) for customer, value in found} == {
        customer: expected.get(customer, Decimal("0.00")) for customer, _ in found
    }


def test_simple_estimate_is_its_formula(simulated: Settings):
    """
    Purchases per month of tenure, at least one, times order value times months, recomputed from its own
    columns.
    """
    rows = frame(
        simulated,
        "select total_purchases, tenure_days, total_revenue::double as revenue, "
        "simple_clv_estimate::double as estimate from customer_features where total_purchases > 0",
    )
    month = 365.2425 / 12
    months = np.maximum(1, rows.tenure_days / month)

    expected = rows.total_purchases / months * (rows.revenue / rows.total_purchases) * (HORIZON / month)

    np.testing.assert_allclose(rows.estimate, expected, atol=0.0051)


def test_the_feed_is_kept_or_quarantined_in_full(simulated: Settings, simulated_files: Path):
    """
    Rows in are rows kept plus rows quarantined, each of these with a reason and its text.
    """
    rows_in = pq.read_metadata(simulated_files / "events.parquet").num_rows

    kept = one(simulated, "select count(*) from raw.events")
    quarantined = one(simulated, "select count(*) from raw.quarantine where source like '%events%'")

    assert kept + quarantined == rows_in
    assert quarantined > 0
    assert one(simulated, "select bool_and(reason <> '' and raw_text <> '') from raw.quarantine")


def test_splits_are_ordered_in_time(simulated: Settings):
    """
    train, then calibrate, then test, dates under embargo between them; and no window of what is fitted
    reaches into the test dates.
    """
    splits = query(
        simulated,
        "select as_of_date, split, label_known_at::date from as_of_dates where is_labelled order by 1",
    )

    measured = [("train", "calibrate", "test").index(split) for _, split, _ in splits if split != "embargo"]
    assert measured == sorted(measured)
    assert set(measured) == {0, 1, 2}
    test_begins = min(as_of for as_of, split, _ in splits if split == "test")
    assert all(known <= test_begins for _, split, known in splits if split in ("train", "calibrate"))


def test_a_model_for_another_question_is_due_for_replacement(trained: Settings):
    """
    ``run`` trains where the champion was made for another horizon or currency, or its bins measured for
    another coverage or floor, and not where one is pinned.
    """
    assert not engine_of(trained).training_is_due()
    assert engine_of(with_vars(trained, horizon_days=45)).training_is_due()
    assert engine_of(with_vars(trained, reporting_currency="USD")).training_is_due()
    assert engine_of(with_vars(trained, interval_coverage=0.9)).training_is_due()
    assert engine_of(with_vars(trained, confidence_floor=5.0)).training_is_due()
    assert not engine_of(with_vars(trained, horizon_days=45, model_version="v1")).training_is_due()


@pytest.mark.long
def test_a_first_feed_refused_whole_publishes_nothing_and_says_why(open_shop: OpenShop, tmp_path: Path):
    """
    Euros in a shop that reports pounds: the error has the reason and the remedy, and the rows are in
    quarantine.
    """
    settings = open_shop(reporting_currency="GBP")
    feed = tmp_path / "orders.csv"
    feed.write_text("order_id,customer_id,ordered_at,amount,currency\n1,a,2024-01-01,9.50,EUR\n")

    with pytest.raises(
        InputError, match=r"No purchase is known.*currency without a rate.*reporting_currency"
    ) as refused:
        pipeline.run(settings, "orders", feed)

    assert "decimal comma" not in str(refused.value)
    assert one(settings, "select count(*) from raw.quarantine") == 1
    assert not list(settings.warehouse.parent.rglob("*.parquet"))


@pytest.mark.long
def test_the_first_feed_tells_the_currency_of_the_shop(
    empty_shop: Settings, own_project: Path, tmp_path: Path
):
    """
    Nobody has named a currency, and the first file is in euros alone: they are written into the project's
    file, said, and hold for what follows. A currency that is named stays.
    """
    settings = copied(empty_shop, tmp_path / "shop").model_copy(update={"project": own_project})
    feed = tmp_path / "orders.csv"
    feed.write_text("order_id,customer_id,ordered_at,amount,currency\n1,a,2024-01-01,9.50,EUR\n")

    engine, (summary,) = ingested_by(engine_of(settings), "orders", feed)

    assert summary.rows_new == 1
    assert f"written to {own_project / 'dbt_project.yml'}" in summary.notes[0]
    assert engine.settings.vars.reporting_currency == "EUR"
    assert load_settings(project=own_project).vars.reporting_currency == "EUR"
    feed.write_text("order_id,customer_id,ordered_at,amount,currency\n2,a,2024-01-01,9.50,USD\n")
    later = load_settings(project=own_project).model_copy(update={"warehouse": settings.warehouse})
    assert ingested_by(engine_of(later), "orders", feed)[1][0].reasons == {"no_fx_rate": 1}


@pytest.mark.long
def test_another_shops_first_feed_counts_in_its_own_currency(
    empty_shop: Settings, own_project: Path, tmp_path: Path
):
    """
    A second warehouse of one project, whose currency the first shop's feed named: this run counts in the
    feed's own, says so, and leaves the file as it is. A currency chosen by hand holds.
    """
    keep_currency(own_project, "EUR")
    written = (own_project / "dbt_project.yml").read_text()
    other = copied(empty_shop, tmp_path / "other")
    settings = load_settings(project=own_project).model_copy(update={"warehouse": other.warehouse})
    feed = tmp_path / "orders.csv"
    feed.write_text("order_id,customer_id,ordered_at,amount,currency\n1,a,2024-01-01,9.50,USD\n")

    engine, (summary,) = ingested_by(engine_of(settings), "orders", feed)

    assert (summary.rows_new, engine.settings.overrides["reporting_currency"]) == (1, "USD")
    assert "--vars '{reporting_currency: USD}'" in summary.notes[0]
    assert (own_project / "dbt_project.yml").read_text() == written
    edit(own_project, "dbt_project.yml", "  # the only currency of the first feed", "")
    assert not is_currency_open(load_settings(project=own_project))


def test_run_without_a_model_is_asked_for(simulated_copy: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    use_ml_clv false: nothing is trained, everyone is scored by the simple formula, and it is said why.
    """
    monkeypatch.setattr(DuckDB, "build_features", lambda engine: None)  # they stand already

    result = pipeline.run(with_vars(simulated_copy, use_ml_clv=False))

    assert result.training is None
    assert set(result.scoring.methods) - {"returned"} == {
        by_formula(simulated_copy, "model switched off"),
        "no_purchase",
    }
    assert not list(simulated_copy.models.glob("*"))


def test_ingest_needs_exactly_one_input(simulated_copy: Settings, tmp_path: Path):
    """
    Neither or both is refused before anything is written.
    """
    for arguments in ({}, {"path": tmp_path / "a.csv", "data_dir": tmp_path}):
        with pytest.raises(InputError, match="Name one input"):
            engine_of(simulated_copy).ingest_files("events", **arguments)


@pytest.mark.long
def test_a_failed_build_names_the_model(own_project: Path, simulated_copy: Settings):
    """
    The error says which node failed and why; the table before it stands.
    """
    path = own_project / "models_sql" / "features" / "customer_categories.sql"
    path.write_text(path.read_text(encoding="utf-8").replace("from spine", "from nowhere"), encoding="utf-8")
    before = one(simulated_copy, "select count(*) from customer_categories")

    with pytest.raises(BuildError, match=r"(?s)failed at 'customer_categories'.*nowhere"):
        build(with_project(simulated_copy, own_project), "--select", "customer_categories+")

    assert one(simulated_copy, "select count(*) from customer_categories") == before


@pytest.mark.long
def test_plain_dbt_build_passes_from_the_root(open_shop: OpenShop, project: Path, tmp_path: Path):
    """
    A process of its own, no flag: contracts, unit tests and data tests pass on a shop, before any model was
    trained.
    """
    settings = open_shop(regular_shop(customers=12))
    places = {
        "CLV_WAREHOUSE": str(settings.warehouse),
        "CLV_MODELS": str(settings.models),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "DBT_WRITE_JSON": "true",
    }

    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "build"],
        cwd=project,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    results = json.loads((tmp_path / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    # what watches the data may warn of a shop of twelve
    told = {result["unique_id"] for result in results if result["status"] not in ("success", "pass", "no-op")}
    assert all("data_quality" in name for name in told), told
    assert one(settings, "select count(*) from customer_clv where clv_estimate is not null") == 12


def test_the_scoring_date_is_the_day_after_the_newest_event(open_shop: OpenShop):
    """
    Unless as_of_date says otherwise.
    """
    settings = open_shop(regular_shop(customers=3, days=100))
    newest = one(settings, "select max(occurred_at)::date from raw.events")

    build(settings, "--select", "+as_of_dates")
    by_default = one(settings, "select as_of_date from as_of_dates where is_scoring_date")
    build(with_vars(settings, as_of_date="2024-03-05"), "--select", "+as_of_dates")

    assert by_default == newest + timedelta(days=1)
    assert one(settings, "select as_of_date from as_of_dates where is_scoring_date") == date(2024, 3, 5)
