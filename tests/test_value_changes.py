"""`clv diff`: why values changed between two scoring dates, driver by driver; the parts add up."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from shops import copied, execute, frame, one
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import InputError, WarehouseError
from clv_ml.operate.value_changes import ValueChanges, value_changes
from clv_ml.settings import Settings
from clv_ml.show.customers import show_changes

CENT = 0.01


@pytest.fixture(scope="module")
def twice(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """
    The trained shop with an earlier scoring by another model: contributions of the first driver were larger
    by 7, other drivers beyond the third did not stand apart; one customer was scored only then, one only now.
    """
    settings = copied(trained, tmp_path_factory.mktemp("twice"))
    now = one(settings, "select max(as_of_date) from customer_clv")
    then = now - timedelta(days=30)
    first, second = frame(
        settings, "select customer_id from customer_predictions order by 1 limit 2"
    ).customer_id
    execute(
        settings,
        f"insert into customer_drivers select * replace (date '{then}' as as_of_date, "
        "'older' as model_version, contribution + case when driver_rank = 1 then 7 else 0 end as "
        f"contribution) from customer_drivers where customer_id <> '{first}' and driver_rank <= 3",
        f"insert into customer_predictions select p.* replace (date '{then}' as as_of_date, "
        "'older' as model_version, d.predicted as clv_predicted) from customer_predictions as p "
        "inner join (select customer_id, max(driver_base) + sum(contribution) as predicted "
        f"from customer_drivers where as_of_date = date '{then}' group by customer_id) as d "
        "using (customer_id)",
        f"delete from customer_predictions where customer_id = '{second}' and as_of_date = date '{now}'",
        f"delete from customer_drivers where customer_id = '{second}' and as_of_date = date '{now}'",
    )
    return settings


@pytest.fixture(scope="module")
def dates(twice: Settings) -> tuple[date, date]:
    """The two scoring dates, the earlier first."""
    found = frame(twice, "select distinct as_of_date from customer_predictions order by 1").as_of_date
    return found[0].date(), found[1].date()


@pytest.fixture(scope="module")
def changes(twice: Settings, dates: tuple[date, date]) -> ValueChanges:
    """What moved, for every customer."""
    return value_changes(twice, *dates, customers=10_000)


def test_drivers_add_up_to_each_customers_change(changes: ValueChanges):
    """
    For every customer and over all of them, to a cent: contributions are rounded to millionths before they
    are summed.
    """
    assert len(changes.customers) > 100
    for customer in changes.customers:
        explained = sum(driver["change"] for driver in customer["drivers"])
        assert float(explained) == pytest.approx(float(customer["change"]), abs=CENT)
    total = sum(driver["change"] for driver in changes.drivers)
    assert float(total) == pytest.approx(float(changes.total_after - changes.total_before), abs=CENT)


def test_those_on_one_date_only_change_by_all_of_their_value(changes: ValueChanges):
    """
    One came, one went; each under a driver of that name.
    """
    by_driver = {driver["driver_name"]: driver for driver in changes.drivers}
    (came,) = (c for c in changes.customers if c["predicted_before"] is None)
    (went,) = (c for c in changes.customers if c["predicted_after"] is None)

    assert changes.customers_before == changes.customers_after == changes.customers_on_both + 1
    assert float(by_driver["(new customer)"]["change"]) == pytest.approx(came["predicted_after"], abs=CENT)
    assert float(by_driver["(not scored any more)"]["change"]) == pytest.approx(
        -went["predicted_before"], abs=CENT
    )


def test_what_was_changed_is_what_is_found(twice: Settings, changes: ValueChanges, dates: tuple[date, date]):
    """
    The largest driver of a customer fell by exactly 7, their base not at all; and another model is pointed
    out.
    """
    customer = changes.customers[50]["customer_id"]
    name = one(
        twice,
        f"select driver_name from customer_drivers where customer_id = '{customer}' and driver_rank = 1 "
        f"and as_of_date = date '{dates[1]}'",
    )

    (shown,) = value_changes(twice, *dates, customer_id=customer).customers

    moved = {driver["driver_name"]: float(driver["change"]) for driver in shown["drivers"]}
    assert moved[name] == pytest.approx(-7, abs=CENT)
    assert "(base)" not in moved
    assert changes.is_other_model and changes.model_before == "older"


def test_sides_that_do_not_compare_are_said(
    twice: Settings, dates: tuple[date, date], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Earlier values for half the days, in another currency: the difference is no change of value."""
    settings = copied(twice, tmp_path)
    assert value_changes(settings, *dates).unlike == ""
    execute(
        settings,
        "update customer_predictions set horizon_days = 30, reporting_currency = 'USD' "
        f"where as_of_date = date '{dates[0]}'",
    )

    show_changes(value_changes(settings, *dates))

    said = " ".join(capsys.readouterr().err.split())
    assert "Before: USD, 30 days ahead; after: GBP, " in said
    assert "the horizon and the currency changed, so they do not compare." in said


def test_a_date_without_scores_is_refused_with_those_there_are(twice: Settings, dates: tuple[date, date]):
    """
    A missing date, dates in the wrong order, an unknown customer, and a shop that nobody scored.
    """
    then, now = dates

    with pytest.raises(InputError, match=rf"as of 1999-01-01\. There are {then}, {now}"):
        value_changes(twice, date(1999, 1, 1), now)
    with pytest.raises(InputError, match="is not before"):
        value_changes(twice, now, then)
    with pytest.raises(InputError, match="'nobody'"):
        value_changes(twice, then, now, customer_id="nobody")


def test_a_shop_without_scores_is_named(simulated: Settings, dates: tuple[date, date]):
    """
    Features alone cannot be compared.
    """
    with pytest.raises(WarehouseError, match="clv run"):
        value_changes(simulated, *dates)


def test_the_command_prints_text_and_json(
    twice: Settings, dates: tuple[date, date], monkeypatch: pytest.MonkeyPatch
):
    """
    The caution of another model on stderr; one JSON object with the same totals on stdout.
    """
    monkeypatch.chdir(twice.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(twice.warehouse))
    arguments = ["diff", *map(str, dates), "--customers", "3"]

    text = CliRunner().invoke(app, arguments)
    shown = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)

    assert text.exit_code == 0 and "older" in text.stderr and "What moved the total" in text.stdout
    assert len(shown["customers"]) == 3
    assert shown["is_other_model"] and shown["customers_on_both"] > 100
