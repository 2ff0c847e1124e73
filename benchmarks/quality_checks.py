"""Checks beyond `clv backtest`: totals by date, groups of tenure and orders, churn against the constant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clv_ml.learn.backtest import BacktestResult
from clv_ml.settings import Settings
from clv_ml.show.backtest_sheets import Sheet
from clv_ml.warehouse.connection import connect

FEWEST_ROWS = 500
WIDEST_TOTAL = 1.5
GROUP_LIMIT = 0.15
FEWEST_JUDGED = 300
GROUPS = """
select
    case
        when days_since_first_purchase < 90 then 'under 90 days' when days_since_first_purchase < 365
            then '90 to 364 days'
        when days_since_first_purchase < 730 then '1 to 2 years' else 'over 2 years'
    end as tenure,
    case
        when total_purchases = 1 then '1 order' when total_purchases <= 3 then '2 to 3 orders'
        when total_purchases <= 9 then '4 to 9 orders' else '10 orders and more'
    end as orders,
    count(*) as customers, sum(predicted) as predicted, sum(cast(actual as double)) as actual
from backtest_predictions as predictions
inner join customer_rfm as rfm on rfm.customer_id = predictions.customer_id
    and rfm.as_of_date = predictions.origin
where estimator = 'model'
group by tenure, orders having count(*) >= ?
order by min(days_since_first_purchase), min(total_purchases)
"""


@dataclass(frozen=True)
class Checks:
    """
    Sum predicted / sum actual by date; (group, customers, the same ratio) of those that are large enough;
    Brier score of the chance of churn and of the constant; and on how many dates churn was worse than it,
    of those with enough customers.
    """

    totals: tuple[float, ...]
    groups: tuple[tuple[str, int, float], ...]
    brier: float
    brier_of_constant: float
    churn_lost: int
    churn_judged: int

    @property
    def near_totals(self) -> int:
        """Origins whose total came within a factor of 1.5."""
        return int((np.abs(np.log(self.totals)) <= np.log(WIDEST_TOTAL)).sum())

    @property
    def wrong_groups(self) -> int:
        """Groups that are off by more than 15 %."""
        return sum(abs(ratio - 1) > GROUP_LIMIT for _, _, ratio in self.groups)


def checks(settings: Settings, result: BacktestResult) -> Checks:
    """Of the backtest whose predictions stand in the warehouse."""
    with connect(settings) as connection:
        rows = connection.execute(GROUPS, [FEWEST_ROWS]).fetchall()
    each = [result.figures(origin)["model"] for origin in result.dates]
    sizes = _customers(result)
    judged = [
        model for origin, model in zip(result.dates, each, strict=True) if sizes[origin] >= FEWEST_JUDGED
    ]
    together = result.figures(None)["model"]
    return Checks(
        totals=tuple(model["mean_predicted"] / max(model["mean_actual"], 1e-9) for model in each),
        groups=tuple(
            (f"{tenure}, {orders}", customers, predicted / max(actual, 1e-9))
            for tenure, orders, customers, predicted, actual in rows
        ),
        brier=together["churn_brier"],
        brier_of_constant=together["churn_brier_of_constant"],
        churn_lost=sum(model["churn_brier"] > model["churn_brier_of_constant"] for model in judged),
        churn_judged=len(judged),
    )


def checks_summary(found: Sequence[tuple[str, Checks]]) -> Sheet:
    """A row per case, and one of all."""
    rows = [
        (
            title,
            ", ".join(f"{total:.2f}" for total in one.totals),
            f"{one.near_totals} of {len(one.totals)}",
            f"{one.wrong_groups} of {len(one.groups)}",
            f"{one.brier:.3f} / {one.brier_of_constant:.3f}",
            f"{one.churn_lost} of {one.churn_judged}",
        )
        for title, one in found
    ]
    origins = sum(len(one.totals) for _, one in found)
    near = sum(one.near_totals for _, one in found)
    wrong, groups = sum(one.wrong_groups for _, one in found), sum(len(one.groups) for _, one in found)
    lost, judged = sum(one.churn_lost for _, one in found), sum(one.churn_judged for _, one in found)
    rows.append(
        (
            "all",
            "",
            f"{near} of {origins} ({near / max(origins, 1):.0%})",
            f"{wrong} of {groups}",
            "",
            f"{lost} of {judged}",
        )
    )
    head = (
        "data set",
        "predicted / actual by date",
        "within a factor of 1.5",
        "groups off by more than 15 %",
        "Brier / constant's",
        "churn worse than the constant",
    )
    return Sheet(f"Totals, groups of {FEWEST_ROWS} customers or more, and churn", head, tuple(rows))


def groups_sheet(found: Checks) -> Sheet:
    """Pooled predicted / actual by tenure and number of orders."""
    rows = tuple(
        (group, f"{customers:,}", f"{ratio:.2f}", "OFF" * (abs(ratio - 1) > GROUP_LIMIT))
        for group, customers, ratio in found.groups
    )
    return Sheet("By tenure and orders, pooled", ("group", "customers", "predicted / actual", ""), rows)


def _customers(result: BacktestResult) -> dict[str, int]:
    """Customers by backtest date."""
    return {
        row["origin"]: row["customers"]
        for row in result.metrics.to_pylist()
        if row["segment"] == "all" and row["estimator"] == "model" and row["metric"] == "mae"
    }
