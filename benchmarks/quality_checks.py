"""Checks beyond `clv backtest`: totals by date, groups of tenure and orders, churn against the constant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clv_ml.learn.backtest import BacktestResult
from clv_ml.measure.evaluation import TENURE_ORDERS
from clv_ml.show.backtest_sheets import Sheet, segment_sizes

FEWEST_ROWS = 500
WIDEST_TOTAL = 1.5
GROUP_LIMIT = 0.15
FEWEST_JUDGED = 300


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


def checks(result: BacktestResult) -> Checks:
    """Of a backtest."""
    each = [result.figures(origin)["model"] for origin in result.dates]
    sizes = _customers(result)
    judged = [
        model for origin, model in zip(result.dates, each, strict=True) if sizes[origin] >= FEWEST_JUDGED
    ]
    together = result.figures(None)["model"]
    return Checks(
        totals=tuple(model["mean_predicted"] / max(model["mean_actual"], 1e-9) for model in each),
        groups=_groups(result),
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


def _groups(result: BacktestResult) -> tuple[tuple[str, int, float], ...]:
    """Groups of tenure and orders that are large enough, with customers and pooled predicted / actual."""
    found = []
    for segment, customers in segment_sizes(result, (TENURE_ORDERS,)):
        model = result.figures(None, segment)["model"]
        if customers >= FEWEST_ROWS:
            ratio = model["mean_predicted"] / max(model["mean_actual"], 1e-9)
            found.append((segment.removeprefix(f"{TENURE_ORDERS}="), customers, ratio))
    return tuple(found)


def _customers(result: BacktestResult) -> dict[str, int]:
    """Customers by backtest date."""
    return {
        row["origin"]: row["customers"]
        for row in result.metrics.to_pylist()
        if row["segment"] == "all" and row["estimator"] == "model" and row["metric"] == "mae"
    }
