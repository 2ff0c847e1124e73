"""Attributes of customers: declared in one setting, used by the model, unseen before they were known."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from ingestion_helpers import empty_warehouse, feed, stored, write_csv
from shops import (
    ROOT,
    add_merges,
    all_contents,
    build,
    day,
    execute,
    one,
    purchase,
    query,
    refused_by,
    with_unchecked_vars,
    with_vars,
)

from clv_ml import pipeline
from clv_ml.engines import engine_of
from clv_ml.errors import BuildError, InputError, SettingsError
from clv_ml.ingest.losses import Limits
from clv_ml.model import registry
from clv_ml.settings import Settings, load_settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

DECLARED = {"tier": ["low", "top"], "household_size": "number"}
HEADER = ("customer_id", "known_at", "tier", "household_size", "undeclared")
FEATURES = ("--select", "+customer_features", "+customer_anchors")


def _feed_attributes(settings: Settings, folder: Path) -> None:
    """
    A tier by what the customer spends in all, known before the shop opened: a leak on purpose, so that a
    model that sees the column must use it. Every fifth customer is unknown.
    """
    rows = query(
        settings,
        "select customer_id, case when sum(amount) > 150 then 'top' else 'low' end from int_events "
        "group by customer_id having hash(customer_id) % 5 <> 0 order by customer_id",
    )
    path = write_csv(
        folder / "attributes.csv",
        HEADER,
        [(customer, "2023-12-01", tier, "2", "x") for customer, tier in rows],
    )
    engine_of(settings).ingest_files("attributes", path)


@pytest.mark.long
def test_a_declared_attribute_reaches_model_scores_and_drivers(simulated_copy: Settings, tmp_path: Path):
    """
    One setting and one file, then `clv run`: the columns are features of the model, carry gain, and stand
    among the drivers. Later knowledge changes no row up to its date, and the rows after it are those of a
    full refresh.
    """
    settings = with_vars(simulated_copy, customer_attributes=DECLARED)
    _feed_attributes(settings, tmp_path)

    result = pipeline.run(settings)

    assert result.training is not None
    champion = registry.load(settings.models)
    assert champion is not None
    features = {feature.name: feature.type for feature in champion.manifest.features}
    assert {name: kind for name, kind in features.items() if name.startswith("attribute_")} == {
        "attribute_tier_is_low": "integer",
        "attribute_tier_is_top": "integer",
        "attribute_household_size": "decimal",
    }
    assert result.training.importance["attribute_tier_is_top"] > 0.02
    assert one(settings, "select count(*) from customer_drivers where driver_name like 'tier is %'") > 0
    said = "select count(*) from scoring_rows where attribute_tier_is_top + attribute_tier_is_low"
    assert one(settings, f"{said} = 1") > one(settings, f"{said} is null") > 0
    _readers_see_the_attributes(settings)

    up_to, after = "as_of_date <= date '2024-07-01'", "as_of_date > date '2024-07-01'"
    before = all_contents(settings, up_to)
    later = all_contents(settings, after, ["customer_features"])
    execute(
        settings,
        "insert into raw.attributes (customer_id, known_at, attributes) "
        "select distinct customer_id, timestamp '2024-07-01', "
        '\'{"tier": "low", "household_size": 9}\' from raw.events',
    )
    build(settings, *FEATURES)
    incremental = all_contents(settings)
    assert all_contents(settings, up_to) == before
    assert all_contents(settings, after, ["customer_features"]) != later

    build(settings, *FEATURES, "--full-refresh", "--exclude", "int_scoring_dates")
    refreshed = all_contents(settings)
    refreshed.pop("customer_labels"), incremental.pop("customer_labels")
    assert refreshed == incremental


def _readers_see_the_attributes(settings: Settings) -> None:
    """
    Every customer with the text and the number as fed, in a described column; groups of each hold everybody.
    """
    told = query(
        settings,
        "select customer_id, attributes ->> 'tier', cast(attributes ->> 'household_size' as decimal(18, 6)) "
        "from raw.attributes where attributes ->> 'tier' is not null order by 1",
    )
    shown = "select customer_id, tier, household_size from customer_clv where tier is not null order by 1"
    comments = (
        "select comment from duckdb_columns() where table_name = 'customer_clv' and column_name = 'tier'"
    )

    assert query(settings, shown) == told
    assert one(settings, f"{comments} and column_name = 'tier'").startswith(
        "The attribute tier as last known before"
    )
    assert query(
        settings,
        "select segment, sum(customer_count) from segment_value where segmentation = 'tier' "
        "group by 1 order by 1",
    ) == query(settings, "select coalesce(tier, 'unknown'), count(*) from customer_clv group by 1 order by 1")
    assert one(
        settings, "select sum(customer_count) from segment_value where segmentation = 'household_size'"
    ) == one(settings, "select count(*) from customer_clv")


@pytest.mark.long
def test_merged_customers_share_their_attributes_and_faults_are_named(open_shop):
    """
    The newest row of either number counts for the person. An attribute that never arrived is refused by name
    before anything is built.
    """
    settings = open_shop(
        [purchase("ann", 10), purchase("nan", 20), purchase("ann", 100)],
        customer_attributes={"plan": ["plus"], "size": "number"},
    )
    add_merges(settings, ("nan", "ann"))
    execute(
        settings,
        f"""insert into raw.attributes (customer_id, known_at, attributes) values
        ('ann', timestamp '{day(1)}', '{{"plan": "basic", "size": "1"}}'),
        ('nan', timestamp '{day(65)}', '{{"plan": "plus", "size": "2.5"}}')""",
    )
    build(settings, *FEATURES)

    found = query(
        settings,
        "select as_of_date, attribute_plan_is_plus, attribute_size from customer_features "
        "order by as_of_date",
    )
    assert [(plan, float(size)) for _, plan, size in found] == [
        (0, 1.0) if as_of <= day(65).date() else (1, 2.5) for as_of, _, _ in found
    ]
    assert {plan for _, plan, _ in found} == {0, 1}

    _a_word_in_place_of_a_number_leaves_its_row_out(settings)
    for declared, message in (
        (
            {"paln": ["plus"]},
            "declares 'paln', which no row of raw.attributes holds; a row holds: plan, size",
        ),
        ({"Plan": "number"}, "names 'Plan', which cannot be a column"),
        ({"customer_id": "number"}, "names 'customer_id', as a column of customer_clv"),
    ):
        with pytest.raises(BuildError) as error:
            build(
                with_unchecked_vars(settings, customer_attributes=declared),
                "--select",
                "int_customer_attributes",
            )
        assert message in refused_by(error.value)


def _a_word_in_place_of_a_number_leaves_its_row_out(settings: Settings) -> None:
    """
    A row that was kept before its attribute was declared: the one before it stands, and the run goes on.
    """
    row = '{"plan": "top", "size": "two"}'
    execute(
        settings,
        "insert into raw.attributes (customer_id, known_at, attributes) "
        f"values ('ann', timestamp '{day(80)}', '{row}')",
    )
    build(settings, *FEATURES)

    newest = "select attribute_plan_is_plus, attribute_size from customer_features where as_of_date > "
    assert {(plan, float(size)) for plan, size in query(settings, f"{newest} date '{day(80).date()}'")} == {
        (1, 2.5)
    }


@pytest.mark.long
def test_a_number_that_never_is_one_stops_no_build(open_shop):
    """A text declared as a number is a column of NULL, and a warning says which rows were left out."""
    settings = open_shop([purchase("ann", 10)], customer_attributes={"plan": "number"})
    execute(
        settings,
        "insert into raw.attributes (customer_id, known_at, attributes) "
        f"values ('ann', timestamp '{day(1)}', '{{\"plan\": \"basic\"}}')",
    )

    build(settings, *FEATURES)
    (warning,) = run_dbt(settings, ["test", "--select", "attributes_are_read"])

    assert query(settings, "select distinct attribute_plan from customer_features") == [(None,)]
    assert "a word stands where a number is declared" in warning
    assert "1 row)" in warning


def test_levels_in_any_script_become_columns(open_shop):
    """
    Quotes, spaces, other letters and signs alone: each level has a column of plain letters, which is 1 for
    its customers and 0 for the others.
    """
    levels = {
        "it's": "attribute_plan_is_it_s",
        'the "big" one': "attribute_plan_is_the_big_one",
        "大客户": "attribute_plan_is_pssq1dp6i",
        "Großkunde": "attribute_plan_is_grokunde_sya",
        "+": "attribute_plan_is_2b",
    }
    settings = open_shop(
        [purchase(f"c{number}", 10 + number) for number in range(len(levels))],
        customer_attributes={"plan": list(levels)},
    )
    with connect(settings, read_only=False) as connection:
        rows = [
            (f"c{number}", day(1), json.dumps({"plan": level}, ensure_ascii=False))
            for number, level in enumerate(levels)
        ]
        connection.executemany(
            "insert into raw.attributes (customer_id, known_at, attributes) values (?, ?, ?)", rows
        )
    build(settings, *FEATURES)

    for number, column in enumerate(levels.values()):
        told = f"select distinct customer_id from customer_features where {column} = 1"
        assert query(settings, told) == [(f"c{number}",)], column


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (["plan"], "must map each attribute"),
        ({"plan": "text"}, "declares 'plan' as 'text'"),
        ({"plan": []}, "declares 'plan' as []"),
        ({"a; drop table x": "number"}, "cannot be a column"),
        ({"country": [False]}, "the level False, which is not plain text"),
        ({"year": [2024]}, "the level 2024, which is not plain text"),
        ({"plan": ["it's", 'the "big" one', "paid search", "大客户", "Ёлка", "¿?", "+"]}, None),
        ({"plan": [" plus"]}, "begins or ends with a space"),
        ({"plan": ["back\\slash"]}, "which is not plain text"),
        ({"plan": ["plus", "Plus"]}, "makes two columns called attribute_plan_is_plus"),
        ({"plan": ["été", "ÉTÉ"]}, "makes two columns called attribute_plan_is_t_9fab"),
        ({"plan": ["plus", "Großkunde 2"], "size": "number"}, None),
        ({"order": ["web"], "select": "number"}, None),
        ({"tenure_days": "number"}, "names 'tenure_days', as a column of customer_clv"),
        (
            {"value_tier": ["gold"]},
            "or a segmentation of segment_value is called already",
        ),
    ],
)
def test_a_bad_declaration_is_refused_with_its_remedy(declared: object, message: str | None):
    """
    By dbt and by clv, which ask one macro: what cannot be a column or a literal is named.
    """
    raised = _refusal(declared)

    assert (raised is None) if message is None else (raised is not None and message in raised)


def _refusal(declared: object) -> str | None:
    """What is said of a declaration; None where it passes."""
    try:
        load_settings({"customer_attributes": declared}, ROOT)
    except SettingsError as refused:
        return str(refused)
    return None


def test_rows_that_say_not_since_when_are_set_aside(tmp_path: Path):
    """
    No known_at column: the file is refused. No known_at, a future one or another text for the same instant:
    the row is quarantined. Fed twice, nothing is added.
    """
    connection = empty_warehouse()
    with pytest.raises(InputError, match="lacks known_at, which preset"):
        feed(connection, write_csv(tmp_path / "a.csv", ("customer_id", "tier"), []), "attributes")
    rows = [
        ("ann", "2025-01-01", "low"),
        ("ann", "2025-01-01", "low"),
        ("ann", "2025-01-01", "top"),
        ("ann", "2025-02-01T12:00:00+01:00", "top"),
        ("bob", "", "low"),
        ("bob", "2031-01-01", "low"),
        ("", "2025-01-01", "low"),
    ]
    path = write_csv(tmp_path / "b.csv", ("customer_id", "known_at", "tier"), rows)

    first, second = (feed(connection, path, "attributes") for _ in range(2))

    assert first.reasons == {
        "conflicting_attributes": 1,
        "duplicate": 1,
        "in_the_future": 1,
        "invalid_known_at": 1,
        "no_customer_id": 1,
    }
    assert (first.rows_new, second.rows_new, second.rows_newly_quarantined) == (2, 0, 0)
    assert stored(connection, table="attributes") == [
        ("ann", datetime(2025, 1, 1), '{"tier":"low"}'),
        ("ann", datetime(2025, 2, 1, 11), '{"tier":"top"}'),
    ]


def test_a_word_where_a_number_is_declared_is_quarantined(tmp_path: Path):
    """
    The row, not the file; an empty cell is no word. A corrected row is admitted, also where the first one was
    kept before the attribute was declared.
    """
    connection = empty_warehouse()
    header = ("customer_id", "known_at", "size")
    rows = [("ann", "2025-01-01", "2.5"), ("bob", "2025-01-01", "two"), ("cid", "2025-01-01", "")]
    path = write_csv(tmp_path / "a.csv", header, rows)

    undeclared = feed(connection, path, "attributes")
    declared = feed(connection, path, "attributes", limits=Limits(("size",)))
    corrected = feed(
        connection,
        write_csv(tmp_path / "b.csv", header, [("bob", "2025-01-01", "2")]),
        "attributes",
        limits=Limits(("size",)),
    )

    assert undeclared.reasons == {}
    assert declared.reasons == {"invalid_attribute": 1}
    assert (corrected.rows_new, corrected.reasons) == (1, {})
    assert stored(connection, "customer_id, attributes", "attributes") == [
        ("ann", '{"size":"2.5"}'),
        ("bob", '{"size":"2"}'),
        ("bob", '{"size":"two"}'),
        ("cid", '{"size":null}'),
    ]
