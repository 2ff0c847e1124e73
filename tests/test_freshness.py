"""A stored date is reused only while all that it was made from is the same, and then not a bit changes."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from shops import (
    Event,
    add_events,
    add_feature,
    add_merges,
    add_rate,
    all_contents,
    build,
    copied,
    copy_project,
    day,
    edit,
    execute,
    one,
    purchase,
    query,
    refund,
    regular_shop,
    visit,
    with_project,
    with_vars,
)

from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import run_dbt

Change = Callable[[Settings], Settings]
FIRST_DATE, SECOND_DATE = day(170), day(172)
EVERY_DATED_TABLE = ("--select", "+customer_features", "+customer_anchors", "+customer_labels")


def _events() -> list[Event]:
    """Half a year of a small shop with sessions, refunds and another currency."""
    return [
        *regular_shop(customers=6, days=180),
        *(visit("c001", number, session=f"s{number}") for number in range(5, 160, 9)),
        purchase("c002", 33, 12, order="x1"),
        refund("c002", 50, -12, order="x1"),
        purchase("c003", 44, 100, currency="EUR"),
        purchase("c004", 160, 3, recorded_at=FIRST_DATE + timedelta(days=1)),
    ]


@pytest.fixture(scope="module")
def built(empty_shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shop, built once."""
    settings = copied(empty_shop, tmp_path_factory.mktemp("fresh"))
    add_events(settings, _events())
    add_rate(settings, "EUR", date(2023, 1, 1), "0.85")
    build(settings, *EVERY_DATED_TABLE)
    return settings


def _model_text(settings: Settings) -> Settings:
    edit(
        settings.project,
        "models_sql/features/customer_intervals.sql",
        "measured.mean_seconds / 86400.0e0 as",
        "measured.mean_seconds / 43200.0e0 as",
    )
    return settings


def _macro_text(settings: Settings) -> Settings:
    edit(
        settings.project,
        "dbt_project/macros/arithmetic.sql",
        "nullif(cast({{ denominator }} as double), 0.0e0))",
        "nullif(cast({{ denominator }} as double), 0.0e0) * 2)",
    )
    return settings


def _constant(settings: Settings) -> Settings:
    edit(settings.project, "dbt_project/macros/constants.sql", "0.02e0", "0.03e0")
    return settings


def _feature_var(settings: Settings) -> Settings:
    return with_vars(settings, seasonality_period_days=30)


def _label_var(settings: Settings) -> Settings:
    return with_vars(settings, label_maturity_days=20)


def _id_history(settings: Settings) -> Settings:
    add_merges(settings, ("c005", "c004"))
    return settings


def _fx_rate(settings: Settings) -> Settings:
    execute(settings, "update raw.fx_rates set rate_to_reporting = 0.9")
    return settings


def _past_event(settings: Settings) -> Settings:
    add_events(settings, [purchase("c001", 36, 50, event_id="forgotten")])
    return settings


def _past_event_of_a_label(settings: Settings) -> Settings:
    add_events(settings, [purchase("c001", 110, 50, event_id="forgotten")])
    return settings


CHANGES: dict[str, tuple[Change, str]] = {
    "the text of a model": (_model_text, "customer_intervals"),
    "the text of a macro": (_macro_text, "customer_rfm"),
    "a constant": (_constant, "customer_anchors"),
    "a feature setting": (_feature_var, "customer_seasonality"),
    "a label setting": (_label_var, "customer_labels"),
    "the id history": (_id_history, "customer_rfm"),
    "a currency's rate": (_fx_rate, "customer_rfm"),
    "an event recorded in the past": (_past_event, "customer_rfm"),
    "an event recorded in a label's window": (_past_event_of_a_label, "customer_labels"),
}


@pytest.mark.long
@pytest.mark.parametrize("ingredient", CHANGES)
def test_a_changed_ingredient_rebuilds_what_it_touches(
    built: Settings, project: Path, tmp_path: Path, bench: Path, ingredient: str
):
    """
    After a change, ``dbt run`` without a flag leaves in every dated table exactly what a full refresh leaves.
    """
    change, touched = CHANGES[ingredient]
    settings = with_project(copied(built, bench), copy_project(project, tmp_path / "project"))
    before = all_contents(settings)

    settings = change(settings)
    build(settings, *EVERY_DATED_TABLE)
    after = all_contents(settings)

    build(settings, *EVERY_DATED_TABLE, "--full-refresh", "--exclude", "int_scoring_dates")
    expected = all_contents(settings)
    assert after[touched] != before[touched], f"{ingredient} did not reach {touched}"
    for table, rows in expected.items():
        assert after[table] == rows, f"{table} is stale after a change of {ingredient}"


@pytest.fixture(scope="module")
def daily(empty_shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What two days' runs left, each seeing what had arrived by then."""
    settings = copied(empty_shop, tmp_path_factory.mktemp("daily"))
    for moment, events in zip((FIRST_DATE, SECOND_DATE), _arrivals(), strict=True):
        add_events(settings, events)
        build(_as_of(settings, moment), *EVERY_DATED_TABLE)
    return settings


def _as_of(settings: Settings, moment: datetime) -> Settings:
    return with_vars(settings, as_of_date=f"{moment:%Y-%m-%d}", prune_scoring_days=10)


def _arrivals() -> tuple[list[Event], list[Event]]:
    """What was known by the first date, and what came to be known between the two."""
    events = regular_shop(customers=8, days=172) + _late_records()
    known = [(event.recorded_at or event.occurred_at) < FIRST_DATE for event in events]
    first, second = (
        [event for event, early in zip(events, known, strict=True) if early == by_then]
        for by_then in (True, False)
    )
    return first, second


def test_daily_history_equals_a_full_refresh(daily: Settings, open_shop: Callable[..., Settings]):
    """
    What two days' runs left equals what a warehouse with everything says of both.
    """
    first, second = _arrivals()
    at_once = open_shop(first + second)

    build(_as_of(at_once, FIRST_DATE), *EVERY_DATED_TABLE)
    build(
        _as_of(at_once, SECOND_DATE), *EVERY_DATED_TABLE, "--full-refresh", "--exclude", "int_scoring_dates"
    )

    expected, found = all_contents(at_once), all_contents(daily)
    assert one(daily, "select count(*) from as_of_dates where not is_grid") == 2
    for table, rows in expected.items():
        assert found[table] == rows, f"{table} differs"


def _late_records() -> list[Event]:
    """Known some days after they happened, between the two runs."""
    arrival = FIRST_DATE + timedelta(hours=5)
    return [
        purchase("c001", 100.5, 40, order="late", recorded_at=arrival),
        refund("c002", 150, -5, recorded_at=arrival),
        visit("c003", 20, recorded_at=arrival),
    ]


@pytest.mark.long
def test_dates_off_the_grid_are_pruned(daily: Settings, bench: Path):
    """
    A scoring date stays for ``prune_scoring_days``, ten, and then goes from every dated table; the monthly
    grid stays.
    """
    settings = copied(daily, bench)
    dates = "select distinct as_of_date from customer_rfm where as_of_date > date '2024-06-01' order by 1"
    kept = query(settings, dates)
    third = SECOND_DATE + timedelta(days=9)

    build(_as_of(settings, third), *EVERY_DATED_TABLE)

    assert kept == [(FIRST_DATE.date(),), (SECOND_DATE.date(),)]
    assert query(settings, dates) == [(SECOND_DATE.date(),), (third.date(),)]
    assert one(settings, "select count(distinct as_of_date) from customer_rfm where day(as_of_date) = 1") == 5
    for table in all_contents(settings):
        stray = f"select count(*) from {table} where as_of_date not in (select as_of_date from as_of_dates)"
        assert one(settings, stray) == 0, table


@pytest.mark.long
def test_everything_builds_on_an_empty_warehouse(tmp_path: Path, empty_shop: Settings, own_project: Path):
    """
    ``dbt build``, tests of the data included, passes where there is no file yet; and a dated table without
    rows takes a new column.
    """
    settings = empty_shop.model_copy(
        update={"warehouse": tmp_path / "new" / "clv.duckdb", "models": tmp_path / "models"}
    )

    run_dbt(settings, ["build", "--exclude", "test_type:unit"])

    assert one(settings, "select count(*) from customer_clv") == 0
    assert one(settings, "select count(*) from raw.quarantine") == 0

    add_feature(own_project, "spread.category_diversity_count * 2", "int")
    run_dbt(with_project(settings, own_project), ["run", "--select", "customer_categories"])
    assert one(settings, "select count(doubled_category_count) from customer_categories") == 0
