"""The same input gives the same bits, whatever the number of threads and the order of the rows."""

from pathlib import Path

import pytest
from shops import all_contents, build, contents, copied, edit, execute, with_project, with_vars

from clv_ml.learn.training import train
from clv_ml.settings import Settings

SCORES = (
    "(select customer_id, clv_predicted, clv_typical, churn_probability, clv_top_features, driver_base, "
    "driver_rest, clv_estimate from customer_clv)"
)


@pytest.mark.long
@pytest.mark.parametrize(("threads", "order"), [(1, "random() "), (2, "md5(event_id)")])
def test_threads_and_row_order_change_nothing(
    trained: Settings, own_project: Path, bench: Path, threads: int, order: str
):
    """
    The warehouse built anew from shuffled rows, with one thread and with two: every feature row, the model's
    version (which names its bytes) and every score are the same.
    """
    settings = with_project(copied(trained, bench), own_project)
    edit(own_project, "profiles.yml", "TimeZone: UTC", f"TimeZone: UTC\n        threads: {threads}")
    version = next(path.name for path in settings.models.iterdir() if path.is_dir())
    expected, scores = all_contents(settings), contents(settings, SCORES)
    _start_over(settings, order)

    build(settings, "--full-refresh", "--exclude", "customer_predictions+", "customer_drivers+")
    model = train(settings)
    build(settings, "--select", "scoring_rows", "customer_predictions+", "customer_drivers+")

    found = all_contents(settings)
    for table, rows in expected.items():
        if table not in ("customer_predictions", "customer_drivers"):
            assert found[table] == rows, table
    assert (model.version, model.is_new) == (version, False)
    assert contents(settings, SCORES) == scores


def _start_over(settings: Settings, order: str) -> None:
    """Leaves only the raw tables, their rows in another order."""
    tables = ("events", "id_history", "fx_rates")
    execute(
        settings,
        "select setseed(0.5)",
        *(
            f"create or replace table raw.{table} as select * from raw.{table} order by "
            f"{order if table == 'events' or 'random' in order else 'all desc'}"
            for table in tables
        ),
        "drop table customer_predictions",
        "drop table customer_drivers",
    )


@pytest.mark.long
def test_settings_that_are_no_features_leave_features_alone(simulated_copy: Settings):
    """
    Split sizes and what is excluded from training change no feature row and rebuild none.
    """
    before = all_contents(simulated_copy)

    build(
        with_vars(
            simulated_copy,
            test_size=0.3,
            val_size=0.3,
            min_purchases_for_training=3,
            excluded_features=["overdue_ratio"],
        ),
        "--select",
        "+customer_features",
        "+customer_anchors",
        "+customer_labels",
    )

    assert all_contents(simulated_copy) == before
