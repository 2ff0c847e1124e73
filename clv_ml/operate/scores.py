"""The scores as they stand in ``customer_clv``: how many, by which method, the total, and the best ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from clv_ml.errors import InputError
from clv_ml.model.model_in_use import manifest_of
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import query_text
from clv_ml.wording import count_of

UNIT = ("horizon_days", "reporting_currency")
"""What values are for; rows made before 0.2.0 do not say it."""

NO_MODEL = ": "
"""What `clv_method` has between a formula and why no model scored."""
LARGEST_CHANGE = 1.5
"""The factor beyond which a change of the total is told."""


@dataclass(frozen=True)
class ScoringResult:
    """
    What stands in ``customer_clv`` now: customers by ``clv_method``, the total in the reporting currency,
    the model that scored (or None), and what speaks against it. ``history_days`` lie between the first
    purchase of all and the date; ``revenue_total`` is what was spent in them, and ``formula_total`` the part
    of the total that no model said. Horizon and currency are None in rows that do not say them.
    """

    as_of_date: date | None
    customers: int
    methods: dict[str, int]
    estimate_total: float
    model_version: str | None
    caution: str | None = None
    history_days: int | None = None
    revenue_total: float = 0.0
    formula_total: float = 0.0
    horizon_days: int | None = None
    reporting_currency: str | None = None


@dataclass(frozen=True)
class TopCustomer:
    """One of the most valuable customers, and why; bounds are None where none were measured."""

    customer_id: str
    clv_estimate: Decimal
    clv_low: float | None
    clv_high: float | None
    narrative: str


def read_scoring(settings: Settings) -> ScoringResult:
    """The summary of ``customer_clv`` as it stands in the warehouse."""
    with connect(settings) as connection:
        return summary_of(settings, connection)


def summary_of(settings: Settings, connection: duckdb.DuckDBPyConnection) -> ScoringResult:
    """The summary of ``customer_clv`` in an open warehouse or publication."""
    columns = connection.sql("select * from customer_clv limit 0").columns
    return scoring_result(settings, connection.sql(summary_query("customer_clv", columns)).fetchall())


def summary_query(table: str, columns: Collection[str]) -> str:
    """
    Per method: customers, their estimates' sum, the date, the model version, the first purchase, what was
    spent, and what values are for.
    """
    unit = ", ".join(f"max({name})" if name in columns else "null" for name in UNIT)
    return (
        "select clv_method, count(*), sum(clv_estimate), max(as_of_date), max(clv_model_version), "
        f"min(first_purchase_at), sum(total_revenue), {unit} "
        f"from {table} group by clv_method order by count(*) desc, clv_method"
    )


def scoring_result(settings: Settings, rows: Sequence[tuple[Any, ...]]) -> ScoringResult:
    """The summary from the rows of ``summary_query``, with what the model that scored says against itself."""
    date_scored = max((row[3] for row in rows), default=None)
    first_purchase = min((row[5] for row in rows if row[5]), default=None)
    result = ScoringResult(
        as_of_date=date_scored,
        customers=sum(row[1] for row in rows),
        methods={row[0]: row[1] for row in rows},
        estimate_total=float(sum(row[2] for row in rows)),
        model_version=max((row[4] for row in rows if row[4]), default=None),
        history_days=(date_scored - first_purchase.date()).days if date_scored and first_purchase else None,
        revenue_total=float(sum(row[6] or 0 for row in rows)),
        formula_total=float(sum(row[2] for row in rows if NO_MODEL in row[0])),
        horizon_days=max((row[7] for row in rows if row[7]), default=None),
        reporting_currency=max((row[8] for row in rows if row[8]), default=None),
    )
    manifest = manifest_of(settings, result.model_version)
    caution = manifest.parameters.get("caution") if manifest else None
    return replace(result, caution=str(caution) if caution else None)


def changes_since(published: ScoringResult | None, now: ScoringResult) -> list[str]:
    """What readers should know of new scores beside those they have, each as a sentence."""
    if published is None or not published.customers:
        return []
    told = []
    before, after = published.model_version, now.model_version
    if before and before != after:
        told.append(
            f"Model {after} takes the place of {before}." if after else f"No model scored; {before} did."
        )
    usual, usually = next(iter(now.methods)), next(iter(published.methods))
    if usual != usually:
        told.append(f"Most customers are valued by '{usual}'; in what readers have, by '{usually}'.")
    if (fewer := published.customers - now.customers) > 0:
        told.append(
            f"{count_of(fewer, 'customer')} fewer than the {published.customers:,} that readers have."
        )
    low, high = sorted((published.estimate_total, now.estimate_total))
    other = unlike(_unit(published), _unit(now))
    if other or high > LARGEST_CHANGE * low:
        told.append(
            f"The total is {_total(now)}, and {_total(published)} in what readers have"
            f"{': ' if other else ''}{other}."
        )
    return told


def unlike(before: Sequence[Any], after: Sequence[Any]) -> str:
    """In what two totals are no measure of the same, where both say horizon and currency; else empty."""
    names = [
        name for name, *sides in zip(("horizon", "currency"), before, after, strict=True) if _differ(*sides)
    ]
    return f"the {' and the '.join(names)} changed, so they do not compare" if names else ""


def _differ(before: Any, after: Any) -> bool:
    return None not in (before, after) and before != after


def _unit(scores: ScoringResult) -> tuple[int | None, str | None]:
    return scores.horizon_days, scores.reporting_currency


def _total(scores: ScoringResult) -> str:
    currency = f"{scores.reporting_currency} " if scores.reporting_currency else ""
    days = f" for {scores.horizon_days} days" if scores.horizon_days else ""
    return f"{currency}{scores.estimate_total:,.0f}{days} as of {scores.as_of_date}"


def too_young(scoring: ScoringResult, horizon_days: int) -> str | None:
    """
    What to think of formulas where the shop is younger than the horizon is long; None where it is not, or
    where a model scored everybody.
    """
    is_formula = any(NO_MODEL in method for method in scoring.methods)
    if scoring.history_days is None or scoring.history_days >= horizon_days or not is_formula:
        return None
    rests = (
        f"{scoring.formula_total / scoring.estimate_total:.0%} of the total of "
        f"{scoring.estimate_total:,.0f} rests on that"
        if scoring.estimate_total
        else "The total of 0 says what was seen in that time, not that nobody will buy"
    )
    return (
        f"The shop has {count_of(scoring.history_days, 'day')} of history and looks {horizon_days:,} days "
        f"ahead: no estimate of such a length could be compared with what came. {rests}; all that was spent "
        f"so far is {scoring.revenue_total:,.2f}. Look less far ahead (horizon_days), or wait."
    )


def hard_to_learn(caution: str) -> str:
    """The warning that a model's caution makes."""
    return f"This shop is hard to learn from: {caution}."


def top_customers(settings: Settings) -> tuple[TopCustomer, ...]:
    """The five most valuable customers; none on Spark, where nobody waits for a query on the whole table."""
    if settings.target != "duckdb":
        return ()
    with connect(settings) as connection:
        return tuple(TopCustomer(*row) for row in connection.sql(query_text("top_customers")).fetchall())


def require_customers(settings: Settings, scoring: ScoringResult, warnings: Sequence[str] = ()) -> None:
    """
    Refuses scores of an empty shop.

    Raises:
        InputError: If nobody was scored; says why, with the warnings of what was ingested, and what to do.
    """
    if scoring.customers:
        return
    day = settings.vars.as_of_date
    what = f"Nobody had bought anything before {day}" if day else "No purchase is known"
    remedy = "Choose a later --as-of, or load older orders." if day else "Load orders first."
    raise InputError(
        " ".join([f"{what}, so nobody was scored and nothing was published. {remedy}", *warnings])
    )
