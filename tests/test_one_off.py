"""A run whose horizon, currency or date is not the project's changes nothing that others read."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shops import HORIZON, copied, query, settings_for, with_vars
from typer.testing import CliRunner

from clv_ml import pipeline
from clv_ml.cli import app
from clv_ml.errors import HistoryError, PublishError, SettingsError
from clv_ml.operate.one_off import differences, kept_aside
from clv_ml.operate.publication import publish
from clv_ml.operate.scored_dates import missing_dates
from clv_ml.operate.scores import ScoringResult, changes_since, too_young
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect

PAST = date(2024, 8, 1)


@pytest.fixture
def scored(tmp_path: Path, project: Path) -> Settings:
    """A warehouse with one customer, scored 90 days ahead as of 2024-06-01, in pounds; made by hand."""
    settings = settings_for(tmp_path, project)
    with connect(settings, read_only=False) as connection:
        connection.execute(
            "create table customer_clv as select 'a' as customer_id, date '2024-06-01' as as_of_date, "
            "90 as horizon_days, 'GBP' as reporting_currency"
        )
    return settings


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"horizon_days": 365}, []),
        ({"horizon_days": 90}, []),
        ({"horizon_days": 90, "as_of_date": "2024-07-01"}, []),
        ({"horizon_days": 60}, ["horizon_days is 60 here, 365 in dbt_project.yml"]),
        (
            {"horizon_days": 90, "reporting_currency": "USD"},
            ["reporting_currency is USD here, GBP in dbt_project.yml"],
        ),
        (
            {"horizon_days": 90, "annual_discount_rate": 0.1},
            ["annual_discount_rate is 0.1 here, 0.0 in dbt_project.yml"],
        ),
        (
            {"horizon_days": 365, "as_of_date": "2024-05-31"},
            ["as_of_date is 2024-05-31 here, customers were scored as of 2024-06-01 already"],
        ),
    ],
)
def test_what_makes_a_one_off(scored: Settings, values: dict[str, Any], told: list[str]):
    """
    A value that is neither the project's nor the readers', or a date before theirs; a later date is the
    daily refresh.
    """
    assert differences(with_vars(scored, **values)) == told


def test_the_first_run_is_none(tmp_path: Path, project: Path):
    """Where nobody reads anything yet there is nothing to replace."""
    assert not differences(settings_for(tmp_path, project, horizon_days=60))


def test_on_spark_a_one_off_is_refused(tmp_path: Path, project: Path):
    """There is no file to copy, so that the user decides."""
    settings = settings_for(tmp_path, project, horizon_days=60).model_copy(update={"target": "spark"})

    with pytest.raises(SettingsError, match=r"horizon_days is 60 here.*Add --publish"), _aside(settings):
        pass


def _aside(settings: Settings):
    return kept_aside(settings, publishes=False)


def _content(folder: Path) -> dict[str, str]:
    """Every file that readers or later runs look at, by its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "one-off" not in path.parts)
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".lock"
    }


@pytest.mark.long
def test_a_past_date_is_scored_aside_and_by_demand_in_place(
    trained: Settings, bench: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    An earlier date leaves warehouse, models and publication byte for byte, and says where its own are. With
    --publish it replaces them, and its rows say that the model knew better.
    """
    settings = copied(trained, bench)
    publish(settings)
    monkeypatch.chdir(project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(settings.models))
    before, asked = _content(bench), ["score", "--as-of", str(PAST), "--horizon-days", str(HORIZON), "--json"]

    aside = CliRunner().invoke(app, asked)
    after = _content(bench)
    in_place = CliRunner().invoke(app, [*asked, "--publish"])

    assert (aside.exit_code, in_place.exit_code) == (0, 0), aside.output + in_place.output
    assert after == before
    assert "customers were scored as of" in aside.stderr and "one-off" in aside.stderr
    copy = settings.model_copy(update={"warehouse": bench / "one-off" / "clv.duckdb"})
    rows = (
        "select distinct as_of_date, horizon_days, is_hindsight from customer_clv "
        "where clv_model_version is not null"
    )
    assert query(copy, rows) == query(settings, rows) == [(PAST, HORIZON, True)]
    assert json.loads(aside.stdout)["customers"] == json.loads(in_place.stdout)["customers"]
    assert query(settings, "select count(*) from clv_accuracy") == [(0,)]
    history = (
        "select is_hindsight, count(distinct as_of_date) from customer_clv_history group by 1 order by 1"
    )
    assert query(settings, history) == [(False, 1), (True, 1)]


def scores(version: str | None, total: float = 100.0, customers: int = 10, **unit: Any) -> ScoringResult:
    """Scores of a model, or of the formula."""
    return ScoringResult(
        PAST, customers, {"model" if version else "simple: no model": customers}, total, version, **unit
    )


def of(days: int, currency: str, total: float = 100.0) -> ScoringResult:
    """Scores for so many days in this currency."""
    return scores("v1", total, horizon_days=days, reporting_currency=currency)


@pytest.mark.parametrize(
    ("version", "history_days", "formula_total", "told"),
    [
        (None, 2, None, "The total of 0 says what was seen in that time, not that nobody will buy"),
        (None, 2, 100.0, "2 days of history and looks 365 days ahead.* 100% of the total of 100 .* is 8.50"),
        (None, 364, 25.0, "364 days of history .* 25% of the total"),
        (None, 365, 100.0, None),
        (None, 2, 0.0, "0% of the total"),
        ("v1", 2, 0.0, None),
        (None, None, 100.0, None),
    ],
)
def test_a_shop_younger_than_the_horizon_says_what_rests_on_that(
    version: str | None, history_days: int | None, formula_total: float | None, told: str | None
):
    """
    By days, share of the total and what was spent; a total of 0 (``formula_total`` None) is no knowledge.
    Nothing where a model scored, nor after a whole horizon.
    """
    scoring = replace(
        scores(version, 0.0 if formula_total is None else 100.0),
        history_days=history_days,
        formula_total=formula_total or 0.0,
        revenue_total=8.5,
    )

    found = too_young(scoring, 365)

    assert re.search(told, found) if told and found else found is told


@pytest.mark.parametrize(
    ("published", "now", "told"),
    [
        (None, scores("v1"), []),
        (scores("v1"), scores("v1", 149.0, 12), []),
        (scores("v1"), scores("v2"), ["Model v2 takes the place of v1."]),
        (
            scores("v1"),
            scores("v1", 66.0),
            ["66 as of 2024-08-01, and 100 as of 2024-08-01 in what readers have."],
        ),
        (of(180, "GBP"), of(180, "GBP", 149.0), []),
        (
            of(180, "GBP"),
            of(365, "GBP"),
            [
                "GBP 100 for 365 days as of 2024-08-01, and GBP 100 for 180 days as of 2024-08-01 in what "
                "readers have: the horizon changed, so they do not compare."
            ],
        ),
        (of(180, "GBP"), of(365, "EUR"), ["the horizon and the currency changed, so they do not compare."]),
        (scores("v1"), of(365, "EUR"), []),
        (scores("v1"), scores("v1", customers=8), ["2 customers fewer than the 10"]),
        (scores("v1"), scores(None), ["No model scored; v1 did.", "valued by 'simple: no model'"]),
    ],
)
def test_a_change_that_readers_should_know_is_told(
    published: ScoringResult | None, now: ScoringResult, told: list[str]
):
    """Model, method, customers dropped, or a total beyond a factor of 1.5; growth is none."""
    found = changes_since(published, now)

    assert len(found) == len(told)
    assert all(part in text for part, text in zip(told, found, strict=True))


def test_readers_keep_a_models_scores_where_no_model_can_be_trained(scored: Settings):
    """
    A formula takes a model's place only where somebody allowed it.
    """

    def fail(model_type: str) -> None:
        raise HistoryError("History is too short.")

    def engine(version: str | None, **values: Any) -> Any:
        return SimpleNamespace(
            settings=with_vars(scored, **values),
            training_is_due=lambda: True,
            train=fail,
            published_scoring=lambda: scores(version),
        )

    def train(engine: Any) -> list[str]:
        warnings: list[str] = []
        pipeline._train_where_due(engine, "lightgbm", True, warnings, lambda step: None)
        return warnings

    with pytest.raises(PublishError, match=r"scores of model 'v1'.*too short.*fallback_to_simple"):
        train(engine("v1"))
    for allowed in (engine(None), engine("v1", fallback_to_simple=True), engine("v1", use_ml_clv=False)):
        assert train(allowed) == ["No model was trained. History is too short."]


@pytest.fixture
def dated(scored: Settings) -> Settings:
    """The same shop, opened on 2024-01-01, with a prediction of 2024-03-01."""
    with connect(scored, read_only=False) as connection:
        connection.execute(
            "create table int_today as select date '2024-06-01' as as_of_date, date '2024-01-01' as opened_on"
        )
        connection.execute("create table customer_predictions as select date '2024-03-01' as as_of_date")
    return scored


def test_backfill_takes_dates_that_nobody_scored(dated: Settings):
    """What was predicted in its time stays: its date is left out."""
    days = missing_dates(dated, date(2024, 2, 1), date(2024, 4, 1), 29)

    assert days == (date(2024, 2, 1), date(2024, 3, 30))


@pytest.mark.parametrize(
    ("first", "last"),
    [("2024-01-01", "2024-02-01"), ("2024-02-01", "2024-06-01"), ("2024-03-01", "2024-02-01")],
)
def test_backfill_refuses_dates_without_a_past_or_in_the_future(dated: Settings, first: str, last: str):
    """Named with the dates that are possible."""
    with pytest.raises(SettingsError, match="between 2024-01-02 and 2024-06-01"):
        missing_dates(dated, date.fromisoformat(first), date.fromisoformat(last), 30)
