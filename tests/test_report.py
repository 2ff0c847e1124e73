"""The report: one file that loads nothing, names what is missing, and escapes all text of the warehouse."""

import base64
import hashlib
import json
import re
from html import escape, unescape
from html.parser import HTMLParser
from math import log
from pathlib import Path

import duckdb
import numpy as np
import pytest
from browser import CHROMIUM, browse
from shops import copied, one, query, report_of
from typer.testing import CliRunner

from clv_ml.cli import app
from clv_ml.engines import changed, engine_of
from clv_ml.errors import InputError, WarehouseError
from clv_ml.learn.store_history import reasons_for_caution
from clv_ml.operate.report_facts import Facts, read_facts
from clv_ml.serve.narrative import amount_text
from clv_ml.settings import Settings, report_path
from clv_ml.show.report import FOLDER, render
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask

HOSTILE = "</td><script>alert('id')</script><img src=x onerror=alert(1)>{{ 7*7 }}"
MOST_BYTES = 2_000_000
SCRIPT = (FOLDER / "page.js").read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a browser makes of the page: tags, scripts, links within it, ids, and text without line breaks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.types: list[str | None] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
            self.types.append(dict(attrs).get("type"))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.cdata_elem != "style":
            self.text += data

    @property
    def code(self) -> list[str]:
        """The scripts that a browser runs: all but data."""
        return [
            text for text, kind in zip(self.scripts, self.types, strict=True) if kind != "application/json"
        ]

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, found in self.tags if (value := found.get(attribute))]


def test_tables_of_estimators_name_those_that_could_not_be_fitted():
    """
    On one of two dates, or on none; and on the test dates of a model. Figures are means of the dates there
    are.
    """
    with duckdb.connect() as connection:
        connection.execute(
            "create table backtest_metrics as select origin, 'all' as segment, estimator, metric, "
            "case when estimator = 'model' then 2.0 when estimator = 'bgnbd' and origin = date '2024-01-01' "
            "then 3.0 end as metric_value "
            "from (values (date '2024-01-01'), (date '2024-02-01')) as o (origin), "
            "(values ('model'), ('bgnbd'), ('btyd')) as e (estimator), "
            "(values ('mae'), ('r2')) as m (metric)"
        )
        connection.execute(
            "create table training_runs as select 'v' as version, estimator, metric, metric_value "
            "from backtest_metrics where origin = date '2024-02-01' union all "
            "select 'v', 'intervals', 'coverage', 0.8"
        )
        backtest = ask(connection, "report_backtest")
        tested = ask(connection, "report_metrics", {"version": "v"})

    assert [(row["estimator"], row["r2"], row["origins"]) for row in backtest] == [
        ("model", 2.0, 2),
        ("bgnbd (fitted on 1 of 2)", 3.0, 2),
        ("btyd (not fitted)", None, 2),
    ]
    assert [(row["estimator"], row["r2"]) for row in tested] == [
        ("model", 2.0),
        ("bgnbd (not fitted)", None),
        ("btyd (not fitted)", None),
        ("intervals", None),
    ]


@pytest.fixture(scope="module")
def facts(trained: Settings) -> Facts:
    """What the report of the simulated shop is made of."""
    return read_facts(trained)


@pytest.fixture(scope="module")
def html(facts: Facts) -> str:
    """Its page."""
    return render(facts)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    """Its page, parsed."""
    return Page(html)


def test_is_one_small_file_that_names_no_outside_address(html: str, page: Page):
    """
    No address of any scheme but data: and the page's own anchors, and a policy that forbids all else.
    """
    assert len(html.encode()) < MOST_BYTES
    written = re.sub(r'data:image/png;base64,[^"]*', "", html.replace(SCRIPT, ""))
    assert not re.search(r"https?:|//[a-z]|@import", written)
    assert all(
        target.startswith(("#", "data:"))
        for name in ("src", "href", "xlink:href")
        for target in page.values(name)
    )
    assert "default-src 'none'" in page.values("content")[0]
    assert page.code == [SCRIPT]


def test_is_built_for_readers_of_every_kind(page: Page):
    """
    A language, one heading of the first order, charts with a title and a description, sections reachable from
    the contents, tables that the keyboard reaches, and no id twice.
    """
    ids = page.values("id")
    charts = [found for tag, found in page.tags if tag == "svg"]
    regions = [found for _, found in page.tags if found.get("class") == "scroll"]

    assert ("html", {"lang": "en"}) in page.tags
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert len(charts) >= 7
    assert all(
        chart["role"] == "img" and set(chart["aria-labelledby"].split()) <= set(ids) for chart in charts
    )
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)
    assert len(ids) == len(set(ids))
    assert regions and all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_says_what_the_warehouse_says(trained: Settings, page: Page):
    """
    Buyers, total, the best customer's narrative, the model's version and the held-out date stand on the
    page.
    """
    (total,) = query(trained, "select sum(clv_estimate) from customer_clv")[0]
    buyers = one(trained, "select count(*) from customer_clv where total_purchases > 0")
    narrative = one(
        trained,
        "select narrative from customer_clv inner join customer_narratives using (customer_id) "
        "order by clv_estimate desc limit 1",
    )
    test_date = one(trained, "select max(as_of_date) from as_of_dates where split = 'test'")

    for text in (
        f"of {buyers:,} customers bring",
        f"{float(total):,.0f}",
        narrative,
        one(trained, "select version from model_registry where is_champion"),
        f"predictions as of {test_date}",
        "Nothing here comes from training data.",
        "No backtest over several dates has been run",
    ):
        assert text in page.text


def test_deciles_are_the_held_out_metrics_in_another_cut(facts: Facts):
    """
    Second way: the tenths' totals give the model's bias of the total and their coverage the intervals',
    within 1e-9.
    """
    rows = facts.rows("deciles")
    metrics = {row["estimator"]: row for row in facts.rows("metrics")}
    predicted, actual, inside, customers = (
        sum(row["customers"] * factor(row) for row in rows)
        for factor in (
            lambda row: row["predicted_mean"],
            lambda row: row["actual_mean"],
            lambda row: row["coverage"],
            lambda row: 1,
        )
    )

    assert len(rows) == 10
    assert abs(log(predicted / actual)) == pytest.approx(metrics["model"]["bias"], abs=1e-9)
    assert inside / customers == pytest.approx(metrics["intervals"]["coverage"], abs=1e-9)


def test_totals_and_tenths_are_those_of_the_marts(trained: Settings, facts: Facts, page: Page):
    """
    The page's interval of the total is `segment_value`'s row for all, the best tenth's share is
    `clv_deciles`', and second way from `customer_clv`: that tenth's share of the whole, to the rounding
    shown.
    """
    low, high = query(
        trained,
        "select predicted_total_low, predicted_total_high from segment_value where segmentation = 'all'",
    )[0]
    values = [
        float(value)
        for (value,) in query(
            trained,
            "select clv_estimate from customer_clv where total_purchases > 0 order by clv_estimate desc",
        )
    ]
    best = facts.rows("tenths")[0]

    assert f"{low:,.0f} and {high:,.0f}" in page.text
    assert f"{best['estimate_share']:.0%}" in page.text
    assert best["estimate_share"] == pytest.approx(
        sum(values[: best["customer_count"]]) / sum(values), abs=1e-9
    )
    assert {row["segmentation"] for row in facts.rows("segments")} == {
        "all",
        "behavior_type",
        "rfm_segment",
        "value_tier",
    }


def test_a_hard_shop_says_so_everywhere(trained: Settings, page: Page, tmp_path: Path, monkeypatch):
    """
    The simulated shop is young and small: the page, `clv_method`, and the exit summaries of `report` and
    `score` say it.
    """
    monkeypatch.chdir(trained.project)
    monkeypatch.setenv("CLV_WAREHOUSE", str(trained.warehouse))
    monkeypatch.setenv("CLV_MODELS", str(trained.models))

    result = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "page.html")])

    assert "Value is hard to learn from this shop" in page.text
    assert "less than a year" in page.text
    assert query(trained, "select distinct clv_method from customer_clv where clv_method like 'model%'") == [
        ("model, with caution",)
    ]
    assert result.exit_code == 0, result.output
    assert "less than a year" in " ".join(result.stderr.split())


def test_faults_of_a_shop_by_hand():
    """
    Each threshold at both sides: a year, a tenth of revenue, five hundred customers.
    """
    even = np.ones(500)
    tenth = np.concatenate([np.full(1, 10.0), np.full(499, 90.0 / 499)])

    assert reasons_for_caution(365, even, 500) == []
    assert reasons_for_caution(365, tenth, 500) == []
    assert reasons_for_caution(364, even, 500) == ["364 days of history, less than a year"]
    assert reasons_for_caution(365, even[:499], 500) == ["499 buyers to learn from, fewer than 500"]
    assert reasons_for_caution(365, tenth + np.eye(1, 500)[0], 500) == [
        "one customer is 11% of the revenue to learn from"
    ]


def test_nothing_of_the_warehouse_becomes_markup(trained: Settings, tmp_path: Path):
    """
    A customer number, a segment and a quarantine reason full of markup and template code are text on the
    page.
    """
    settings = copied(trained, tmp_path / "shop")
    with connect(settings, read_only=False) as connection:
        best = "(select customer_id from customer_clv order by clv_estimate desc limit 1)"
        connection.execute(
            f"update customer_narratives set customer_id = ? where customer_id = {best}", [HOSTILE]
        )
        connection.execute(f"update customer_clv set customer_id = ? where customer_id = {best}", [HOSTILE])
        connection.execute("update segment_value set segment = ? where segment = 'new'", [HOSTILE])
        connection.execute("update raw.quarantine set reason = ?", [HOSTILE])

    result = report_of(settings)
    page = Page(result.path.read_text(encoding="utf-8"))

    assert page.text.count(HOSTILE) >= 3
    assert page.code == [SCRIPT]
    assert not [
        tag for tag, found in page.tags if tag == "img" or any(name.startswith("on") for name in found)
    ]


def test_an_empty_warehouse_has_a_report(empty_shop: Settings, tmp_path: Path):
    """
    Raw tables alone: the page stands, and says what to do.
    """
    result = report_of(copied(empty_shop, tmp_path / "shop"))
    page = Page(result.path.read_text(encoding="utf-8"))

    assert result.notices == (
        "The warehouse holds no events yet. Load some first: clv run FILE --preset NAME.",
    )
    assert result.notices[0] in page.text
    assert "No model is in use." in page.text


def test_without_a_model_it_says_that_nothing_was_measured(simulated: Settings, tmp_path: Path):
    """
    Features, no scores: sections that need a model or a mart say that they have none.
    """
    result = report_of(copied(simulated, tmp_path / "shop"))
    page = Page(result.path.read_text(encoding="utf-8"))

    assert "No model is in use." in page.text
    assert "Nothing has been measured" in page.text
    assert "there are no drivers" in page.text


def test_scored_without_a_model_it_has_values_and_no_interval(simulated: Settings, tmp_path: Path):
    """
    A shop too young for a model: the simple formula's total stands on the page, with no bounds that nobody
    measured.
    """
    settings = changed(copied(simulated, tmp_path / "shop"), use_ml_clv=False)
    engine_of(settings).score()
    page = Page(report_of(settings).path.read_text(encoding="utf-8"))

    assert "likely between" not in page.text
    assert "simple" in page.text
    bounds = "predicted_total_low is not null or predicted_total_high is not null"
    assert one(settings, f"select count(*) from segment_value where {bounds}") == 0
    assert one(settings, "select count(*) from segment_value") > 0


def test_is_written_beside_the_warehouse_or_not_at_all(trained: Settings, tmp_path: Path):
    """
    The default path; a folder that is not there, and a warehouse that is not, are refused by name.
    """
    settings = copied(trained, tmp_path / "shop")

    assert report_of(settings).path == report_path(settings) == settings.warehouse.parent / "clv-report.html"
    with pytest.raises(InputError, match="There is no folder"):
        report_of(settings, tmp_path / "nowhere" / "page.html")
    with pytest.raises(WarehouseError, match="There is no warehouse"):
        report_of(settings.model_copy(update={"warehouse": tmp_path / "none.duckdb"}))
    assert not [path for path in (tmp_path / "shop").iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_a_browser_renders_it_and_its_tables_sort(html: str, tmp_path: Path):
    """
    Headless Chromium runs the page without a message on its console, where its policy would report any
    request; pressing a header sorts the most valuable customers' table.
    """
    pressed = 'document.querySelectorAll("#customers th button")[5].click();'

    dom, messages = _played(html, pressed, tmp_path)

    section = dom[dom.index('<section id="customers"') :]
    section = section[: section.index("</section>")]
    rows = re.findall(r"<tr.*?</tr>", section.split("<tbody>")[1], flags=re.DOTALL)
    purchases = [float(re.findall(r'data-sort="([^"]*)"', row)[5]) for row in rows]
    assert not [line for line in messages.splitlines() if "CONSOLE" in line]
    assert 'aria-sort="descending"' in section
    assert len(rows) == 100 and purchases == sorted(purchases, reverse=True)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_customers_are_found_opened_and_saved(trained: Settings, html: str, tmp_path: Path):
    """
    Second way, in SQL: the list that a card leads to, and a word that is searched, leave as many customers as
    the warehouse has; the best one's card tells the next horizon's money; what is saved is a line each.
    """
    listed = one(
        trained,
        "select count(*) from customer_actions where list_name = 'second_order' and not is_control_group",
    )
    best, soon = query(
        trained,
        "select customer_id, clv_30d from customer_clv where total_purchases > 0 "
        "order by clv_estimate desc, customer_id limit 1",
    )[0]
    played = f"""
        const said = [], form = document.getElementById("find");
        document.querySelector('[data-list="second_order"]').click();
        said.push(document.getElementById("found").textContent);
        form.reset(); form.elements.text.value = "{best}"; form.dispatchEvent(new Event("input"));
        said.push(document.getElementById("found").textContent);
        document.querySelector("#customers td button").click();
        said.push(document.getElementById("card").open, document.getElementById("card-text").textContent);
        URL.createObjectURL = (blob) => {{ blob.text().then((text) => {{
          said.push(text); document.title = JSON.stringify(said); }}); return "#"; }};
        document.getElementById("save").click();
    """

    dom, messages = _played(html, played, tmp_path)

    found = re.search(r"<title>(.*?)</title>", dom, flags=re.DOTALL)
    assert found, messages
    by_list, by_word, is_open, card, saved = json.loads(unescape(found[1]))
    assert by_list.startswith(f"{listed:,} of ") and by_word.startswith("1 of ")
    assert is_open and f"Within 30 days{trained.vars.reporting_currency} {amount_text(float(soon))}" in card
    assert len(saved.split("\r\n")) == 2 and f'"{best}"' in saved


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_a_phone_shows_whom_to_call_soon(html: str, tmp_path: Path):
    """
    At 390 pixels nothing is wider than the screen, the three lists stand within two screens of 844 pixels,
    and the customers begin within six.
    """
    measure = """
        const topOf = (name) => document.querySelector(name).getBoundingClientRect().top + scrollY;
        parent.document.title = JSON.stringify(
          [document.documentElement.scrollWidth, topOf(".actions"), topOf("#customers")]);
    """
    page = _with(html, measure)
    (tmp_path / "frame.html").write_text(
        f'<iframe srcdoc="{escape(page)}" style="border:0;width:390px;height:844px"></iframe>',
        encoding="utf-8",
    )

    dom, _ = browse((tmp_path / "frame.html").as_uri(), tmp_path / "profile", "--dump-dom")

    found = re.search(r"<title>(.*?)</title>", dom)
    assert found
    width, lists, customers = json.loads(unescape(found[1]))
    assert width <= 390 and lists < 2 * 844 and customers < 6 * 844


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_the_browser_test_sees_a_request(html: str, tmp_path: Path):
    """
    A picture from elsewhere is stopped by the page's policy, and the console says so: silence above means no
    request.
    """
    (tmp_path / "page.html").write_text(
        html.replace("</main>", '<img src="http://localhost:9/x.png"></main>'), encoding="utf-8"
    )

    _, messages = browse((tmp_path / "page.html").as_uri(), tmp_path / "profile", "--dump-dom")

    assert "CONSOLE" in messages and "Content Security Policy" in messages


def _with(html: str, line: str) -> str:
    """The page with a line added to its script, its hash made anew."""
    longer = SCRIPT + line
    return html.replace(SCRIPT, longer).replace(_hash(SCRIPT), _hash(longer))


def _played(html: str, line: str, folder: Path) -> tuple[str, str]:
    """What a browser makes of the page after the line, and what it logged."""
    (folder / "page.html").write_text(_with(html, line), encoding="utf-8")
    return browse((folder / "page.html").as_uri(), folder / "profile", "--dump-dom")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
