"""What analysts read: segments, deciles, cohorts, the history with its actuals, and the cookbook."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cookbook import ANALYSES, PAGE, page, recipes
from markdown_pages import DOCS, blocks
from shops import build, copied, execute, frame, one, query

from clv_ml.operate.publication import publish
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

MARTS = (
    "customer_clv",
    "customer_segments",
    "segment_value",
    "clv_deciles",
    "clv_by_cohort",
    "customer_clv_history",
)
CENT = 0.01
ASKED = (
    "whom_to_win_back",
    "what_each_channel_is_worth",
    "what_comes_when",
    "when_they_order_next",
    "who_dropped_and_why",
    "what_winning_a_customer_costs_and_brings",
    "what_margin_is_expected",
    "how_sure_are_we",
)
"""The questions that analysts ask most."""


@pytest.fixture(scope="module")
def with_past(trained: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """
    The trained shop with two earlier scorings: a grid date and the day after it, both with their windows
    past, where everybody of today was said to be worth half as much; the marts built from that.
    """
    settings = copied(trained, tmp_path_factory.mktemp("past"))
    grid = one(settings, "select max(as_of_date) from customer_labels")
    for day in (grid, grid + timedelta(days=1)):
        execute(
            settings,
            f"insert into customer_predictions select * replace (date '{day}' as as_of_date, "
            "clv_predicted / 2 as clv_predicted) from customer_predictions "
            "where as_of_date = (select max(as_of_date) from customer_clv)",
        )
    build(settings, "--select", "customer_clv_history+")
    return settings


def test_scores_are_fifths_and_ties_share_one(trained: Settings):
    """
    Worked out a second way, in pandas: lowest place of equal values. Five times a share is a double on both
    sides.
    """
    rows = frame(
        trained,
        "select * from customer_segments inner join customer_clv using (customer_id) "
        "where total_purchases > 0",
    )

    for score, values in (
        ("recency_score", -rows.days_since_last_purchase),
        ("frequency_score", rows.total_purchases),
        ("monetary_score", rows.total_revenue.astype(float)),
    ):
        expected = 1 + np.floor(5 * (values.rank(method="min") - 1) / len(rows)).astype(int)
        assert (rows[score] == expected).all(), score
        assert rows[score].between(1, 5).all() and rows[score].nunique() > 2


def test_everybody_has_a_segment_and_a_tier(trained: Settings):
    """
    One row a customer; those who never bought stand apart; the top tiers hold their share of the buyers.
    """
    rows = frame(
        trained,
        "select s.*, c.total_purchases from customer_segments as s inner join customer_clv as c "
        "using (customer_id)",
    )
    buyers = rows[rows.total_purchases > 0]

    assert len(rows) == one(trained, "select count(*) from customer_clv")
    assert set(rows[rows.total_purchases == 0].rfm_segment) <= {"no_purchase", "returned"}
    assert {"champions", "loyal", "lost"} <= set(buyers.rfm_segment)
    assert (buyers.value_tier == "top").sum() == int(0.05 * len(buyers))
    assert (
        buyers[buyers.value_tier == "top"].clv_estimate.min()
        >= buyers[buyers.value_tier == "high"].clv_estimate.max()
    )


def test_every_segmentation_holds_the_whole_base(trained: Settings):
    """
    Customers, money and shares of the segments add up to the shop's; each total lies in its own interval.
    """
    rows = frame(trained, "select * from segment_value")
    scored = rows[rows.predicted_total.notna()]
    total = float(one(trained, "select sum(clv_estimate) from customer_clv"))

    for _, part in rows.groupby("segmentation"):
        assert part.customer_count.sum() == one(trained, "select count(*) from customer_clv")
        assert part.estimate_total.sum() == pytest.approx(total, abs=CENT)
        assert part.customer_share.sum() == pytest.approx(1) and part.estimate_share.sum() == pytest.approx(1)
    assert set(rows.segmentation) == {"all", "behavior_type", "value_fifth", "rfm_segment", "value_tier"}
    assert (
        (scored.predicted_total_low <= scored.predicted_total)
        & (scored.predicted_total <= scored.predicted_total_high)
    ).all()


def test_the_trend_compares_the_same_customers(trained: Settings, with_past: Settings):
    """
    Without an earlier date there is none. Everybody was worth half then, so each group doubled; to a cent a
    customer.
    """
    before = frame(trained, "select trend, previous_as_of_date from segment_value")
    rows = frame(with_past, "select * from segment_value where compared_count > 0")

    assert before.trend.isna().all() and before.previous_as_of_date.isna().all()
    assert len(rows) > 5
    assert np.allclose(
        rows.compared_total, 2 * rows.compared_total_before, atol=CENT * rows.compared_count.max()
    )
    assert not rows.is_other_model.any()


def test_deciles_and_cohorts_add_up_to_the_buyers(trained: Settings):
    """
    Ten deciles and every month hold all buyers and all their money; the best decile brings most.
    """
    buyers, total = query(
        trained, "select count(*), sum(clv_estimate) from customer_clv where total_purchases > 0"
    )[0]
    deciles = frame(trained, "select * from clv_deciles order by value_decile")

    assert query(trained, "select sum(customer_count), sum(estimate_total) from clv_by_cohort") == [
        (buyers, total)
    ]
    assert query(trained, "select sum(customer_count), sum(estimate_total) from clv_deciles") == [
        (buyers, total)
    ]
    assert len(deciles) == 10 and deciles.estimate_mean.is_monotonic_increasing
    assert deciles.estimate_share_from_top.iloc[0] == pytest.approx(1)


def test_the_history_has_what_happened(with_past: Settings):
    """
    On a grid date the actual is the label; on the day after, off the grid, it stands as well; today's window
    is open.
    """
    rows = frame(with_past, "select * from customer_clv_history order by as_of_date")
    grid, off_grid, today = sorted(rows.as_of_date.unique())
    labels = frame(
        with_past, "select customer_id, as_of_date, label_revenue, label_purchases from customer_labels"
    )
    both = rows.merge(labels, on=["customer_id", "as_of_date"])

    assert len(both) > 50 and set(both.as_of_date) == {grid}
    assert (both.actual_revenue == both.label_revenue).all()
    assert (both.actual_purchases == both.label_purchases).all()
    assert rows[rows.as_of_date == off_grid].actual_revenue.notna().all()
    assert rows[rows.as_of_date == today].actual_revenue.isna().all()


@pytest.mark.parametrize("name", recipes())
def test_every_cookbook_query_answers(trained: Settings, with_past: Settings, name: str):
    """
    With rows, after the first scoring and after later ones.
    """
    for settings in (trained, with_past):
        assert not frame(settings, recipes()[name]).empty


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_most_is_one_short_query(name: str):
    """At most fifteen lines, comments left out."""
    lines = [line for line in recipes()[name].splitlines() if line and not line.startswith("--")]

    assert len(lines) <= 15


def test_the_cookbook_page_shows_the_analyses():
    """
    The page is what `make docs` writes, at least fifteen questions, each asked in the first line of its file.
    """
    files = sorted(ANALYSES.glob("*.sql"))

    assert PAGE.read_text(encoding="utf-8") == page()
    assert len(files) >= 15
    assert not [
        path.name
        for path in files
        if "?" not in path.read_text(encoding="utf-8").split("\n\n")[0].split("\nwith")[0]
    ]


def test_the_recipes_for_connecting_run(trained_copy: Settings, monkeypatch: pytest.MonkeyPatch):
    """
    Every piece of Python on how-to/connect.md, as it stands there, on a published copy at the path that the
    page names.
    """
    published = publish(trained_copy).path
    monkeypatch.setenv("CLV_FILE", str(published))
    names: dict[str, pd.DataFrame] = {}

    for recipe in blocks(DOCS / "how-to" / "connect.md", "python"):
        exec(compile(recipe, "connect.md", "exec"), names)

    assert published == trained_copy.warehouse.parent / "published" / "clv.duckdb"
    assert len(names["best"]) == len(names["deciles"]) == 10
    assert len(names["customers"]) == one(trained_copy, "select count(*) from customer_clv")
    assert len(names["segments"]) == one(trained_copy, "select count(*) from segment_value")


def test_comments_are_in_the_database(trained: Settings):
    """
    Every mart and each of its columns, so that any client shows what they mean.
    """
    with connect(trained) as connection:
        tables = dict(connection.execute("select table_name, comment from duckdb_tables()").fetchall())
        bare = connection.execute(
            "select table_name, column_name from duckdb_columns() where comment is null and table_name in ?",
            [list(MARTS)],
        ).fetchall()

    assert all(tables[name] for name in MARTS)
    assert not bare


@pytest.mark.long
def test_dbt_docs_are_generated(trained: Settings, project: Path, tmp_path: Path):
    """
    Without a network: a page, and a catalogue that knows the marts.
    """
    run_dbt(trained, ["docs", "generate", "--write-json", "--target-path", str(tmp_path / "target")])

    assert (tmp_path / "target" / "index.html").exists()
    assert "customer_segments" in (tmp_path / "target" / "catalog.json").read_text(encoding="utf-8")
