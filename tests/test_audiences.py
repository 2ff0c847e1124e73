"""Files of customers for other tools: the columns that each takes, addresses hashed, and who stays out."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from shops import copied, one, query
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.errors import InputError
from clv_ml.operate.audiences import write_audience
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


@pytest.fixture(scope="module")
def addressed(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """
    The simulated shop; its best customer has an address with capitals and spaces, which replaced an older
    one, the second a broken one, and the third one of another attribute.
    """
    settings = copied(trained, tmp_path_factory.mktemp("addressed"))
    best = [row[0] for row in _best(settings)]
    told = [
        (best[0], "2020-01-01", {"email": "old@example.com"}),
        (best[0], "2020-02-01", {"email": " Ann.B@Example.COM "}),
        (best[0], "2020-03-01", {"email": ""}),
        (best[1], "2020-01-01", {"email": "not an address"}),
        (best[2], "2020-01-01", {"mail": "cy@example.org"}),
    ]
    with connect(settings, read_only=False) as connection:
        for customer, known_at, attributes in told:
            connection.execute(
                "insert into raw.attributes (customer_id, known_at, attributes) values (?, ?, ?)",
                [customer, known_at, json.dumps(attributes)],
            )
    return settings


def _best(settings: Settings) -> list[tuple]:
    return query(
        settings,
        "select customer_id, clv_estimate from customer_clv order by clv_estimate desc, customer_id limit 3",
    )


def _written(settings: Settings, form: str, folder: Path, list_name: str = "", email: str = "email"):
    result = write_audience(settings, form, list_name, email, folder / f"{form}.csv")
    with result.path.open(newline="", encoding="utf-8") as file:
        return result, list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("meta", ["email", "value"]),
        ("google", ["Email"]),
        (
            "klaviyo",
            [
                "Email",
                "Expected value",
                "Expected value currency",
                "Expected value days",
                "Chance of an order",
                "Next order expected on",
                "Value tier",
            ],
        ),
        ("ga4", ["user_id", "expected_value", "order_probability", "value_tier"]),
    ],
)
def test_each_tool_gets_the_columns_that_its_documentation_names(
    addressed: Settings, tmp_path: Path, form: str, headers: list[str]
):
    """
    Customer lists of Meta (email, value), Customer Match of Google Ads (Email), profiles of Klaviyo (Email
    first, properties after), user data of Google Analytics 4 (user_id, user properties).
    """
    _, rows = _written(addressed, form, tmp_path)

    assert list(rows[0]) == headers
    assert rows and all(len(row) == len(headers) for row in rows)


def test_addresses_are_normalised_then_hashed(addressed: Settings, tmp_path: Path):
    """
    Second way, hashlib: lower case, no spaces, the newest address that there is; whoever has none that can be
    one is left out and counted, and so few customers are warned of.
    """
    (_, value), *_ = _best(addressed)

    result, rows = _written(addressed, "meta", tmp_path)

    expected = hashlib.sha256(b"ann.b@example.com").hexdigest()
    assert rows == [{"email": expected, "value": str(value)}]
    assert result.left_out == one(addressed, "select count(*) from customer_clv") - 1
    assert "fewer than 100 customers" in result.warnings[0]
    assert _written(addressed, "google", tmp_path)[1] == [{"Email": expected}]
    assert _written(addressed, "klaviyo", tmp_path)[1][0]["Email"] == "ann.b@example.com"
    assert _written(addressed, "klaviyo", tmp_path, email="mail")[1][0]["Email"] == "cy@example.org"


def test_a_list_goes_without_its_control_group(addressed: Settings, tmp_path: Path):
    """
    Everybody of the list but those who are left alone, and nobody else.
    """
    name, _ = query(
        addressed, "select list_name, count(*) from customer_actions group by 1 order by 2 desc, 1 limit 1"
    )[0]
    members = query(
        addressed,
        f"select customer_id from customer_actions where list_name = '{name}' and not is_control_group",
    )

    _, rows = _written(addressed, "csv", tmp_path, name)

    assert {row["customer_id"] for row in rows} == {customer for (customer,) in members}
    assert len(rows) < one(addressed, f"select count(*) from customer_actions where list_name = '{name}'")


def test_no_cell_is_a_formula_and_no_user_id_an_address(trained: Settings, tmp_path: Path):
    """
    A number that begins with `=` gets an apostrophe in the file for a spreadsheet and none in those for
    tools; a number that is an address is not told to Google Analytics, and is one for the others.
    """
    settings = copied(trained, tmp_path / "shop")
    (first, _), (second, _), _ = _best(settings)
    with connect(settings, read_only=False) as connection:
        for old, new in ((first, "=1+1"), (second, "eve@example.com")):
            connection.execute("update customer_clv set customer_id = ? where customer_id = ?", [new, old])

    for_people, for_ga4 = (
        {row[header] for row in _written(settings, form, tmp_path)[1]}
        for form, header in (("csv", "customer_id"), ("ga4", "user_id"))
    )

    assert "'=1+1" in for_people and "eve@example.com" in for_people
    assert "=1+1" in for_ga4 and "eve@example.com" not in for_ga4
    assert [row["Email"] for row in _written(settings, "klaviyo", tmp_path)[1]] == ["eve@example.com"]


def test_what_cannot_be_written_is_said(addressed: Settings, tmp_path: Path, monkeypatch):
    """
    An unknown tool, list, folder or attribute: named with what to do, and no file is left.
    """
    for arguments, message in (
        (("excel", "", "email", tmp_path / "x.csv"), "Choose one of csv, meta"),
        (("csv", "nobody", "email", tmp_path / "x.csv"), "there is no such list"),
        (("csv", "", "email", tmp_path / "nowhere" / "x.csv"), "There is no folder"),
        (("meta", "", "phone", tmp_path / "x.csv"), "--email NAME"),
    ):
        with pytest.raises(InputError, match=message):
            write_audience(addressed, *arguments)
    assert not list(tmp_path.iterdir())

    monkeypatch.chdir(addressed.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(addressed.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(addressed.models))
    told = CliRunner().invoke(app, ["export", "--to", "meta", "--out", str(tmp_path / "meta.csv")])
    assert told.exit_code == 0 and "1 customer." in told.stdout and "fewer than 100" in told.stderr
