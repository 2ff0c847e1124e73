"""Drift, accuracy and quality of data: the marts, against the same figures from numpy and pandas."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shops import ROOT, build, copied, execute, frame, one, query

from clv_ml.engines import engine_of
from clv_ml.errors import BuildError
from clv_ml.measure import metrics
from clv_ml.measure.metrics import came_true
from clv_ml.model import registry
from clv_ml.settings import Settings

FLOOR = 0.0001
ROUNDING = 1e-7
"""Each of ten terms of a stability index is rounded to 1e-9."""


@pytest.fixture(scope="module")
def with_past(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """
    The trained shop, which also scored a date whose window is past: those who had bought by then, at today's
    values.
    """
    settings = copied(trained, tmp_path_factory.mktemp("past"))
    day = one(settings, "select max(as_of_date) from customer_labels")
    execute(
        settings,
        f"insert into customer_predictions select p.* replace (date '{day}' as as_of_date) "
        "from customer_predictions as p inner join customer_baselines as b on b.customer_id = p.customer_id "
        f"and b.as_of_date = date '{day}'",
    )
    build(
        settings, "--select", "scored_baselines", "customer_clv_history", "clv_accuracy", "prediction_drift"
    )
    return settings


def stability(before: np.ndarray, after: np.ndarray, learned: np.ndarray | None = None) -> float:
    """
    Population stability index over tenths of what was learned from (the first, where nothing else is named),
    by ranks and search; missing values left out.
    """
    learned, before, after = (
        x[~np.isnan(x)] for x in (before if learned is None else learned, before, after)
    )
    if not learned.size or not before.size or not after.size:
        return float("nan")
    learned = np.sort(learned)
    tenth = 10 * np.searchsorted(learned, learned, side="left") // learned.size
    highest = np.array([learned[tenth == number].max() for number in np.unique(tenth)])[:-1]
    p, q = (
        np.maximum(np.bincount(np.searchsorted(highest, x), minlength=highest.size + 1) / x.size, FLOOR)
        for x in (before, after)
    )
    return float(((q - p) * np.log(q / p)).sum())


def rows_learned_from(settings: Settings, days: Iterable[str], names: Iterable[str]) -> pd.DataFrame:
    """The features of the training rows of some dates."""
    dates = ", ".join(f"date '{day}'" for day in days)
    return frame(
        settings,
        f"select {', '.join(names)} from training_rows where is_trainable and as_of_date in ({dates})",
    ).astype(float)


def test_every_feature_of_the_model_is_compared_with_what_it_learned_from(trained: Settings):
    """
    Index and missing rates of all features, worked out from the training and scoring rows.
    """
    model = registry.load(trained.models)
    assert model is not None
    names = model.manifest.feature_names
    learned = rows_learned_from(trained, model.manifest.training_dates["refit"], names)
    scored = frame(trained, f"select {', '.join(names)} from scoring_rows").astype(float)

    rows = frame(trained, "select * from feature_drift").set_index("feature")

    assert set(rows.index) == set(names)
    assert set(rows.trained_rows) == {len(learned)} and set(rows.scored_rows) == {len(scored)}
    expected = [stability(learned[name].to_numpy(), scored[name].to_numpy()) for name in rows.index]
    np.testing.assert_allclose(rows.psi.astype(float), expected, atol=ROUNDING)
    np.testing.assert_allclose(rows.trained_missing_rate, learned[list(rows.index)].isna().mean(), atol=1e-12)
    np.testing.assert_allclose(rows.scored_missing_rate, scored[list(rows.index)].isna().mean(), atol=1e-12)
    assert (rows.psi > 0.1).any() and (rows.drift == "stable").any()


def test_a_model_just_trained_has_no_drift_beyond_the_usual(trained: Settings):
    """
    A third of the features is far from the rows learned from, as customers age; none is far from all of the
    shop's own dates since the newest of those. Worked out from the feature tables of each date.
    """
    rows = frame(trained, "select * from feature_drift").set_index("feature")
    model = registry.load(trained.models)
    assert model is not None
    last = max(model.manifest.training_dates["refit"])
    features = frame(
        trained,
        f"select as_of_date, {', '.join(rows.index)} from customer_features "
        "inner join customer_baselines using (customer_id, as_of_date) "
        "inner join customer_anchors using (customer_id, as_of_date)",
    )
    dates = frame(trained, f"select * from as_of_dates where is_grid and as_of_date >= date '{last}'")
    learned = rows_learned_from(trained, model.manifest.training_dates["refit"], rows.index)
    own = {
        day: features[features.as_of_date == day][list(rows.index)].astype(float)
        for day in features.as_of_date.unique()
    }
    today = own[rows.as_of_date.iloc[0]]
    usual = [own[day] for day in dates[~dates.is_scoring_date].as_of_date]

    assert len(usual) > 1 and (rows.psi > 0.25).sum() > 10
    assert set(rows.drift) <= {"stable", "moderate"}
    for name, row in rows.iterrows():
        by_date = [
            stability(*(rows_of[name].to_numpy() for rows_of in (date, today, learned))) for date in usual
        ]
        assert row.unusual_psi == pytest.approx(np.nanmin(by_date), abs=ROUNDING), name
        missing = min(abs(date[name].isna().mean() - today[name].isna().mean()) for date in usual)
        assert row.unusual_missing_rate == pytest.approx(missing, abs=1e-12)


def test_a_shift_of_the_last_date_and_a_feature_that_stops_are_found(trained_copy: Settings):
    """
    Prices of the last month are three times as high, and nobody has a session any more: those features have
    drifted, and no other.
    """
    today = one(trained_copy, "select as_of_date from as_of_dates where is_scoring_date")
    money = ("last_order_value_to_anchor", "avg_order_value_to_anchor")
    higher = ", ".join(f"{name} = 3 * {name}" for name in money)
    execute(
        trained_copy,
        f"update customer_anchors set {higher} where as_of_date = date '{today}'",
        f"update customer_features set purchase_per_session = null where as_of_date = date '{today}'",
    )

    build(trained_copy, "--select", "feature_drift")

    large = query(trained_copy, "select feature from feature_drift where drift = 'large'")
    assert {name for (name,) in large} == {*money, "purchase_per_session"}


def test_baselines_of_past_dates_are_kept_as_they_were_said(with_past: Settings, tmp_path: Path):
    """
    Another definition of a baseline, as an upgrade may bring it, changes those of today's scoring date alone.
    """
    shop = copied(with_past, tmp_path)
    today = one(shop, "select as_of_date from as_of_dates where is_scoring_date")
    values = "select customer_id, simple_value from scored_baselines where as_of_date {} order by all"
    past, newest = (query(shop, values.format(f"{sign} date '{today}'")) for sign in ("<", "="))
    execute(shop, "update customer_baselines set simple_value = 2 * simple_value, build_hash = 'upgraded'")

    build(shop, "--select", "scored_baselines")

    assert len(past) > 100
    assert query(shop, values.format(f"< date '{today}'")) == past
    assert query(shop, values.format(f"= date '{today}'")) == [(who, 2 * value) for who, value in newest]


def test_accuracy_is_what_the_metrics_of_training_say(with_past: Settings):
    """
    Errors of model, typical value and every baseline by `clv_ml.measure.metrics`, confidence by `came_true`;
    only the date whose window is past. Money is rounded to cents before it is added up: a cent a customer.
    """
    happened = frame(
        with_past,
        "select h.*, b.* exclude (customer_id, as_of_date) from customer_clv_history as h "
        "inner join customer_baselines as b using (customer_id, as_of_date) where actual_revenue is not null",
    )
    actual = happened.actual_revenue.to_numpy(float)

    rows = frame(with_past, "select * from clv_accuracy").set_index("estimator")

    assert set(rows.as_of_date) == set(happened.as_of_date) and len(set(rows.as_of_date)) == 1
    assert {"model", "typical", "simple", "persistence", "empirical_bayes"} <= set(rows.index)
    for estimator, row in rows.iterrows():
        column = {"model": "clv_predicted", "typical": "clv_typical"}.get(estimator, f"{estimator}_value")
        predicted = happened[column].to_numpy(float)
        assert row.customers == len(happened)
        assert row.mae == pytest.approx(metrics.mean_absolute_error(actual, predicted), abs=0.01)
        assert row.nmae == pytest.approx(metrics.normalised_mae(actual, predicted), rel=1e-3)
        assert abs(row.bias) == pytest.approx(metrics.total_bias(actual, predicted), abs=1e-3)
    model = rows.loc["model"]
    inside = (actual >= happened.clv_low) & (actual <= happened.clv_high)
    hits = came_true(actual, happened.clv_predicted.to_numpy(float), with_past.vars.confidence_floor)
    assert model.interval_coverage == pytest.approx(inside.mean())
    assert model.confidence_hit_rate == pytest.approx(hits.mean())
    assert model.confidence_stated == pytest.approx(happened.clv_prediction_confidence.mean(), abs=1e-6)
    assert model.churn_observed == pytest.approx((happened.actual_purchases == 0).mean())
    baselines = rows.nmae[~rows.index.isin(["model", "typical"])]
    assert model.nmae_to_best_baseline == pytest.approx(model.nmae / baselines.min())


def test_nothing_counts_before_its_window_is_past(trained: Settings):
    """
    A shop that only scored today has no accuracy yet.
    """
    assert one(trained, "select count(*) from clv_accuracy") == 0


def test_outputs_are_compared_with_the_date_before(with_past: Settings):
    """
    Totals and index of today against the earlier scoring; ways of estimating have no earlier date that is
    remembered.
    """
    today = frame(with_past, "select * from customer_clv where clv_predicted is not null")
    before = frame(
        with_past,
        f"select * from customer_predictions where as_of_date < date '{today.as_of_date[0].date()}'",
    )

    rows = frame(with_past, "select * from prediction_drift").set_index("measure")

    outputs = rows[rows.kind == "output"]
    assert len(outputs) == 6 and set(outputs.previous_as_of_date) == set(before.as_of_date)
    for measure, row in outputs.iterrows():
        assert row.total == pytest.approx(today[measure].sum(), abs=0.01 * len(today))
        assert row.previous_total == pytest.approx(before[measure].sum(), abs=0.01 * len(before))
        expected = stability(before[measure].to_numpy(float), today[measure].to_numpy(float))
        assert row.psi == pytest.approx(expected, abs=ROUNDING)
    methods = rows[rows.kind == "method"]
    assert methods.share.sum() == pytest.approx(1)
    assert methods.previous_share.isna().all()


def test_a_date_keeps_its_rows_and_the_next_one_compares_with_them(with_past: Settings, bench: Path):
    """
    Ways of estimating: the table remembers an earlier date on which everybody was estimated by one formula.
    """
    settings = copied(with_past, bench)
    today = one(settings, "select max(as_of_date) from prediction_drift")
    then = today - timedelta(days=7)
    execute(
        settings,
        f"insert into prediction_drift select * replace (date '{then}' as as_of_date, "
        "'btyd: no model' as measure, customers + 1 as customers) from prediction_drift "
        "where measure like 'model%'",
    )

    build(settings, "--select", "prediction_drift")

    rows = frame(settings, f"select * from prediction_drift where kind = 'method' and as_of_date = '{today}'")
    rows = rows.set_index("measure")
    assert set(rows.previous_as_of_date) == {pd.Timestamp(then)}
    assert rows.share["btyd: no model"] == 0 and rows.previous_share["btyd: no model"] == 1
    assert rows.drift["btyd: no model"] == "large"
    assert one(settings, f"select count(*) from prediction_drift where as_of_date = '{then}'") == 1


def test_volumes_are_counted_against_the_weeks_before(trained: Settings):
    """
    Events and purchases of the last day and week and the median of the eight before, in pandas.
    """
    as_of = pd.Timestamp(one(trained, "select as_of_date from as_of_dates where is_scoring_date"))
    events = frame(trained, "select occurred_at, event_type from raw.events")
    age = (as_of - events.occurred_at).dt.total_seconds() / 86_400

    rows = frame(trained, "select * from data_quality where check_name = 'volume'").set_index("subject")

    for what, counted in (("events", age), ("purchases", age[events.event_type == "purchase"])):
        for span, days in (("day", 1), ("week", 7)):
            counts = [((counted > 7 * week) & (counted <= 7 * week + days)).sum() for week in range(9)]
            row = rows.loc[f"{what} of the last {span}"]
            assert row.measured_value == counts[0]
            # of eight values the lower of the two in the middle
            assert row.usual_value == sorted(counts[1:])[3]


def test_quality_counts_what_was_refused(trained: Settings):
    """
    Shares of all rows by reason add up to the whole, in all and by file.
    """
    rows = frame(trained, "select * from data_quality where check_name = 'quarantine'")
    kept, refused = (one(trained, f"select count(*) from raw.{table}") for table in ("events", "quarantine"))

    total = refused / (kept + refused)
    by_reason = rows[rows.source.isna() & (rows.subject != "all reasons")]
    assert rows[rows.subject == "all reasons"].measured_value.item() == pytest.approx(total)
    assert by_reason.measured_value.sum() == pytest.approx(total)
    assert rows[rows.source.notna()].measured_value.sum() == pytest.approx(total)


def test_drift_warns_and_a_double_count_stops_publication(trained_copy: Settings):
    """
    The tests of the marts warn in words of what is large or unusual, and fail on an event that is counted
    twice.
    """
    execute(
        trained_copy, "update feature_drift set drift = 'large'", "update data_quality set status = 'warn'"
    )
    warnings = engine_of(trained_copy).check_marts()
    unusual = one(trained_copy, "select count(*) from data_quality")
    assert (
        "What arrived is unusual in its age, its volume, its losses or its copies: clv doctor says in which. "
        f"(dbt test data_quality_nothing_is_unusual: {unusual} rows)"
    ) in warnings
    far = "Today's customers are far from those of every date around the model's training"
    (drift,) = [warning for warning in warnings if warning.startswith(far)]
    worst = "select feature from feature_drift order by unusual_psi desc nulls last, feature limit 1"
    assert f": {one(trained_copy, worst)} (PSI " in drift
    # the model is new: another training would be the same, and is not advised
    assert drift.endswith("training now would learn from the same dates, none newer is 60 days past.")
    execute(trained_copy, "update model_registry set trained_through = date '2024-01-01' where is_champion")
    (drift,) = [warning for warning in engine_of(trained_copy).check_marts() if warning.startswith(far)]
    assert "; if that stays, train (clv train): customers as of " in drift

    execute(trained_copy, "update data_quality set status = 'fail' where subject like 'events with%'")
    with pytest.raises(BuildError, match="data_quality_nothing_fails"):
        engine_of(trained_copy).check_marts()


def test_every_query_of_the_page_answers(with_past: Settings):
    """
    docs/reference/monitoring.md: each query runs, and each table that is watched has one that answers with
    rows.
    """
    page = (ROOT / "docs" / "reference" / "monitoring.md").read_text(encoding="utf-8")
    queries = [
        sql for sql in re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL) if "challenger" not in sql
    ]

    watched = {re.findall(r"from (\w+)", sql)[0] for sql in queries}
    assert watched == {"feature_drift", "prediction_drift", "clv_accuracy", "data_quality"}
    assert all(query(with_past, sql) or "status <>" in sql for sql in queries)
