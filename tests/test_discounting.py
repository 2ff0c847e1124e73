"""With ``annual_discount_rate`` every value is what its money is worth on the date."""

from dataclasses import replace
from pathlib import Path

import pytest
from shops import copied, one, query, refused_by, with_vars

from clv_ml.engines import engine_of
from clv_ml.errors import BuildError
from clv_ml.learn.training import train
from clv_ml.model import registry
from clv_ml.operate.report_facts import read_facts
from clv_ml.settings import Settings
from clv_ml.show.report import render

RATE = 1.0
TOTAL = "select cast(sum(clv_estimate) as double) from customer_clv"
FALLING = "select count(*) from customer_clv where clv_30d > clv_estimate or clv_estimate > clv_365d"
OFF = (
    "select max(abs(driver_base + coalesce(driver_1_contribution, 0) + coalesce(driver_2_contribution, 0) + "
    "coalesce(driver_3_contribution, 0) + driver_rest - clv_predicted)) from customer_clv"
)


@pytest.mark.long
def test_values_are_discounted_and_say_so(trained: Settings, tmp_path: Path):
    """
    At a rate that halves money in a year, the middle of 60 days leaves 2 ^ (-30 / 365) of it. Trees differ a
    little between the two models: 2 %. Drivers still add up, and a longer horizon is never worth less.
    """
    undiscounted = one(trained, TOTAL)
    settings = with_vars(copied(trained, tmp_path), annual_discount_rate=RATE, horizons=[30, 365])

    engine_of(settings).build_features()
    with pytest.raises(BuildError) as refusal:
        engine_of(settings).score()
    train(settings)
    engine_of(settings).score()
    model = registry.load(settings.models)

    assert "annual_discount_rate is 1.0" in refused_by(refusal.value)
    assert model is not None and model.manifest.annual_discount_rate == RATE
    assert query(settings, "select distinct annual_discount_rate from customer_clv") == [(RATE,)]
    assert one(settings, TOTAL) / undiscounted == pytest.approx(2 ** (-30 / 365), rel=0.02)
    assert one(settings, OFF) < 1e-9
    assert one(settings, FALLING) == 0


def test_the_report_says_the_rate(trained: Settings):
    """Beside horizon and currency, where there is a rate."""
    facts = read_facts(trained)

    assert "in GBP.</p>" in render(facts)
    assert "in GBP, discounted at 10 % a year.</p>" in render(replace(facts, annual_discount_rate=0.1))
