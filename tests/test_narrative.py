"""Narratives: right words, the same ones in SQL and in Python, and `clv explain` shows a customer."""

import json
import re
from pathlib import Path

import pytest
from shops import copied, frame, one, query
from typer.testing import CliRunner

from clv_ml import Predictor
from clv_ml.cli import app
from clv_ml.errors import InputError, SettingsError, WarehouseError
from clv_ml.operate.customers import explain_customer
from clv_ml.serve.narrative import Language, amount_text, number_text, read_language, signed_amount
from clv_ml.settings import Settings
from clv_ml.show.customer_plot import plot_customer
from clv_ml.warehouse.connection import connect

VALUES = (0.0, 1.0, 2.0, 0.125, 0.349, 0.5, 2.5, 47.5, -3.2, None)
HOSTILE = '<script>alert("1")</script> $x^{2$ [bold]=1+1 日本'


@pytest.fixture(scope="module")
def language(project: Path) -> Language:
    """The project's templates."""
    return read_language("GBP", project)


def explained(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str):
    """What `clv explain` did."""
    monkeypatch.chdir(settings.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(settings.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(settings.models))
    return CliRunner().invoke(app, ["explain", *arguments])


def test_every_template_renders_for_typical_and_missing_values(language: Language):
    """
    Nothing of a placeholder is left, nothing is empty, and no sentence mentions "nan" or "None".
    """
    said = {driver: [language.phrase(driver, value) for value in VALUES] for driver in language.phrases}

    assert len(said) > 80
    assert not [
        (driver, text)
        for driver, texts in said.items()
        for text in texts
        if not text or set("{}") & set(text) or {"nan", "None", "inf"} & set(text.split())
    ]


def test_phrases_by_hand(language: Language):
    """
    A plural, its zero and one, a share, money, a missing value, and a driver that has no template.
    """
    cases = {
        ("total_purchases", 34.0): "bought 34 times, about every 13 days",
        ("total_purchases", None): "has not bought yet",
        ("purchase_frequency_per_month", 2.3): "buys 2.3 times a month",
        ("purchase_count_90d", 3.0): "bought 3 times in the last 90 days",
        ("purchase_count_90d", 1.0): "bought once in the last 90 days",
        ("purchase_count_90d", 0.0): "bought nothing in the last 90 days",
        ("cart_abandonment_rate", 0.6): "leaves 60 % of filled carts behind",
        ("cart_abandonment_rate", None): "no filled cart is known",
        ("anchor_value", 1234.5): "past purchases alone suggest GBP 1,235",
        ("anchor_value", 9.999): "past purchases alone suggest GBP 10.00",
        ("some_new_driver", 4.0): "some new driver",
    }

    profile = {"interval_mean_days": 12.6, "overdue_ratio": None}
    assert {case: language.phrase(*case, profile) for case in cases} == cases


def test_amounts_by_hand():
    """
    Whole from 100 on, cents below, halves away from zero, and a sign for what a driver adds.
    """
    assert [amount_text(value) for value in (0.005, 99.994, 100.5, 1234567.0, -250.4)] == [
        "0.01",
        "99.99",
        "101",
        "1,234,567",
        "-250",
    ]
    assert [signed_amount(value) for value in (450.0, -80.0, 0.5)] == ["+450", "-80.00", "+0.50"]
    assert number_text(-0.01, 1) == "0.0"


def test_a_narrative_by_hand(language: Language):
    """
    Up to three drivers a side, strongest first; those too small to show are left out; the side that won
    leads.
    """
    drivers = [
        ("purchase_frequency_per_month", 2.3, 450.0),
        ("cart_abandonment_rate", 0.6, -80.0),
        ("total_purchases", 9.0, 40.0),
        ("refund_rate", 0.0, 3.0),
        ("total_sessions", None, 2.0),
        ("total_items", 5.0, -0.001),
    ]

    assert language.narrative(515.0, 100.0, drivers) == (
        "Predicted value (GBP 515). Raised by: buys 2.3 times a month (+450); bought "
        "9 times (+40.00); returned nothing (+3.00). Held back by: "
        "leaves 60 % of filled carts behind (-80.00)."
    )
    assert language.narrative(20.0, 100.0, drivers[1:3]) == (
        "Predicted value (GBP 20.00). Held back by: leaves 60 % of filled carts behind (-80.00). "
        "Raised by: bought 9 times (+40.00)."
    )
    assert language.narrative(100.0, 100.0, []) == "Predicted value (GBP 100)."


def test_an_attribute_that_a_customer_does_not_have_says_so():
    """
    A level's column is 1 for those who have it and 0 for all others.
    """
    language = Language({}, {}, {}, "GBP")

    assert language.phrase("attribute_channel_is_google_ads", 1.0) == "channel is google ads"
    assert language.phrase("attribute_channel_is_google_ads", 0.0) == "channel is not google ads"
    assert language.phrase("attribute_household_size", 0.0) == "household size"


def test_the_table_says_what_python_says(trained: Settings):
    """
    Second way: sixty customers' narratives by `Predictor.explain`, cut to the drivers that the table keeps,
    against SQL's with the rank's words put back.
    """
    language = read_language(trained.vars.reporting_currency, trained.project)
    kept = trained.vars.drivers_kept
    told = dict(query(trained, "select customer_id, narrative from customer_narratives"))
    predictor = Predictor.load(trained.models)
    rows = frame(trained, "select * from scoring_rows order by md5(customer_id) limit 60")

    for row in rows.to_dict("records"):
        found = predictor.explain({name: row[name] for name in predictor.columns})
        strongest = sorted(found.contributions.items(), key=lambda driver: -abs(driver[1]))[:kept]
        values = [(name, found.values[name], amount) for name, amount in strongest]
        ours = language.narrative(found.prediction, found.base, values, row)
        theirs = told[row["customer_id"]]
        assert theirs.split(" ", 1)[0] in ("High", "Medium", "Low")
        assert theirs.split(" ", 1)[1] == ours[0].lower() + ours[1:]


def test_everybody_has_a_narrative_and_a_fifth_is_high(trained: Settings):
    """
    One row a customer; the highest fifth of the buyers is called high (within one of a fifth, for a whole
    part is taken), its least valuable customer not below anybody else; and who never bought is low.
    """
    counts = dict(query(trained, "select value_level, count(*) from customer_narratives group by 1"))
    everybody = one(trained, "select count(*) from customer_clv")

    assert sum(counts.values()) == everybody
    buyers = one(trained, "select count(*) from customer_clv where total_purchases > 0")
    assert counts["high"] == pytest.approx(buyers / 5, abs=1)
    assert query(
        trained,
        "select distinct value_level from customer_clv inner join customer_narratives using (customer_id) "
        "where total_purchases = 0",
    ) == [("low",)]
    assert one(
        trained,
        "select min(clv_estimate) filter (value_level = 'high') >= max(clv_estimate) filter (value_level != "
        "'high') from customer_clv inner join customer_narratives using (customer_id)",
    )
    assert not query(
        trained,
        "select customer_id from customer_clv inner join customer_narratives using (customer_id) "
        "where (clv_method = 'no_purchase') != (narrative like 'Has not bought yet%')",
    )


def test_explains_a_customer(trained: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    The most valuable customer: the JSON has the row, base and contributions add up to the prediction within
    1e-6, and the text has the narrative and amounts that add up to it, each shown to half a unit.
    """
    customer, predicted = query(
        trained, "select customer_id, clv_predicted from customer_clv order by clv_estimate desc limit 1"
    )[0]

    found = json.loads(explained(trained, monkeypatch, customer, "--json").stdout)
    shown = explained(trained, monkeypatch, customer)

    assert found["base"] + sum(driver["contribution"] for driver in found["drivers"]) == pytest.approx(
        predicted, abs=1e-6
    )
    assert shown.exit_code == 0
    assert found["narrative"].startswith("High predicted value")
    assert " ".join(found["narrative"].split()) in " ".join(shown.stdout.split())
    amounts = [
        float(text.replace(",", "")) for text in re.findall(r"([+-][\d,.]+) │$", shown.stdout, re.MULTILINE)
    ]
    assert found["base"] + sum(amounts) == pytest.approx(predicted, abs=0.5 * len(amounts))
    assert "│ all others " in shown.stdout


def test_an_unknown_customer_is_a_clear_error(trained: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Exit 1, naming the number as it was given.
    """
    result = explained(trained, monkeypatch, "nobody [bold]")

    assert result.exit_code == 1
    assert "There is no customer 'nobody [bold]'" in " ".join(result.stderr.split())


def test_follows_merges_and_survives_any_number(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    A number merged into another is explained as that one; markup, formulas and other scripts in it are text,
    in the terminal and in the picture.
    """
    settings = copied(trained, tmp_path / "shop")
    customer = one(
        settings, "select customer_id from customer_clv where clv_predicted is not null order by 1 limit 1"
    )
    for table in ("customer_clv", "customer_narratives", "customer_drivers"):
        with connect(settings, read_only=False) as connection:
            connection.execute(
                f"update {table} set customer_id = ? where customer_id = ?", [HOSTILE, customer]
            )
    with connect(settings, read_only=False) as connection:
        connection.execute("insert into int_customer_ids values ('old number', ?)", [HOSTILE])

    found = explain_customer(settings, "old number")
    result = explained(settings, monkeypatch, HOSTILE, "--plot", str(tmp_path / "waterfall.svg"))

    assert found.customer_id == HOSTILE
    assert result.exit_code == 0, result.output
    assert " ".join(f"Customer {HOSTILE} as of".split()) in " ".join(result.stdout.split())
    assert (tmp_path / "waterfall.svg").read_text(encoding="utf-8").count("<script") == 0


def test_draws_a_waterfall_or_says_why_not(trained: Settings, tmp_path: Path):
    """
    A PNG, or an SVG with the base, every driver's amount and the prediction as text; another ending, a folder
    that is not there and a customer without drivers are refused, and nothing is written.
    """
    customer = one(
        trained, "select customer_id from customer_clv where clv_predicted is not null order by 1 limit 1"
    )
    buyer = explain_customer(trained, customer)
    stranger = explain_customer(
        trained, one(trained, "select min(customer_id) from customer_clv where clv_method = 'no_purchase'")
    )

    plot_customer(buyer, tmp_path / "w.png")
    plot_customer(buyer, tmp_path / "w.svg")
    with pytest.raises(SettingsError, match=r"must end in .png"):
        plot_customer(buyer, tmp_path / "w.exe")
    with pytest.raises(InputError, match="There is no folder"):
        plot_customer(buyer, tmp_path / "nowhere" / "w.png")
    with pytest.raises(InputError, match="no drivers to draw"):
        plot_customer(stranger, tmp_path / "v.png")

    assert (tmp_path / "w.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "w.svg").read_text(encoding="utf-8"))
    assert buyer.base is not None
    prediction = buyer.base + sum(driver.contribution for driver in buyer.drivers)
    assert {"starts from", amount_text(buyer.base), "prediction", amount_text(prediction)} <= set(texts)
    assert sorted(text for text in texts if text[0] in "+-") == sorted(
        signed_amount(driver.contribution) for driver in buyer.drivers
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.png", "w.svg"]


def test_a_warehouse_without_scores_says_what_to_build(empty_shop: Settings, tmp_path: Path):
    """
    Raw tables alone: the error names the remedy.
    """
    settings = copied(empty_shop, tmp_path / "shop")

    with pytest.raises(WarehouseError, match="Build it first"):
        explain_customer(settings, "anybody")
