"""What commands print of customers: one customer's value and drivers, and whose value changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from clv_ml.serve.narrative import OTHERS, amount_text, signed_amount
from clv_ml.show.terminal import err, out, warn
from clv_ml.wording import count_of

if TYPE_CHECKING:
    from clv_ml.operate.audiences import AudienceResult
    from clv_ml.operate.customers import CustomerExplanation
    from clv_ml.operate.value_changes import ValueChanges

DRIVERS_SHOWN = 5
"""Of either sign; the others stand in one line, so that all amounts add up."""


def show_explanation(found: CustomerExplanation) -> None:
    def say(text: str) -> None:
        out.print(text, markup=False, highlight=False)

    say(f"Customer {found.customer_id} as of {found.as_of_date}")
    say(found.narrative)
    say(f"Estimate: {found.currency} {amount_text(float(found.clv_estimate))} ({found.clv_method})")
    say(
        "Within: "
        + "; ".join(
            f"{one.horizon_days} days {found.currency} {amount_text(float(one.expected_revenue))}"
            for one in found.horizons
        )
    )
    if found.base is None:
        return
    if found.clv_low is not None and found.clv_high is not None:
        say(
            f"Bounds: {found.currency} {amount_text(found.clv_low)} to {amount_text(found.clv_high)}; "
            f"certainty {found.certainty}, confidence {found.clv_prediction_confidence or 0:.0%}"
        )
    if found.churn_probability is not None:
        say(f"Chance of no purchase: {found.churn_probability:.0%}")
    say(f"Model: {found.clv_model_version}, which starts from {found.currency} {amount_text(found.base)}")
    rest = sum(driver.contribution for driver in found.drivers if driver.name == OTHERS)
    for title, drivers, left in (
        ("Raised by", found.positive, max(rest, 0.0)),
        ("Held back by", found.negative, min(rest, 0.0)),
    ):
        if not drivers and not left:
            continue
        table = Table(title, found.currency, title_justify="left")
        table.columns[1].justify = "right"
        for driver in drivers[:DRIVERS_SHOWN]:
            table.add_row(Text(driver.phrase), signed_amount(driver.contribution))
        if others := left + sum(driver.contribution for driver in drivers[DRIVERS_SHOWN:]):
            table.add_row("all others", signed_amount(others))
        out.print(table)


def show_audience(result: AudienceResult) -> None:
    why = "without an e-mail address" if result.needs_address else "whose number is an e-mail address"
    left = f" Left out: {count_of(result.left_out, 'customer')} {why}." if result.left_out else ""
    out.print(Text(f"Written: {result.path}, {count_of(result.rows, 'customer')}.{left}"), soft_wrap=True)
    warn(result.warnings)


def show_changes(result: ValueChanges) -> None:
    sides = f"{result.from_date} to {result.to_date}"
    if result.from_date == result.to_date:
        sides = f"{result.model_before} to {result.model_after}, as of {result.to_date}"
    out.print(
        f"{sides}: {result.total_before:,.0f} to {result.total_after:,.0f} "
        f"({result.total_after - result.total_before:+,.0f}); {result.customers_before:,} and "
        f"{count_of(result.customers_after, 'customer')}, {result.customers_on_both:,} on both sides."
    )
    if result.unlike:
        before = f"{result.currency_before}, {result.horizon_before} days ahead"
        after = f"{result.currency_after}, {result.horizon_after} days ahead"
        warn([f"Before: {before}; after: {after}: {result.unlike}."])
    if result.is_other_model and result.from_date != result.to_date:
        err.print(
            f"[yellow]Caution:[/yellow] {result.model_before} predicted then and {result.model_after} now; "
            "part of every change is the model's."
        )
    table = Table("driver", "change", "raised", "lowered", "customers", title="What moved the total")
    for row in result.drivers[:20]:
        money = (f"{row[name]:+,.2f}" for name in ("change", "raised", "lowered"))
        table.add_row(row["driver_name"], *money, f"{row['customers_moved']:,}")
    out.print(table)
    table = Table(
        "customer", "before", "after", "change", "largest changes", title="Whose value changed most"
    )
    for row in result.customers:
        money = (f"{row[name] or 0:,.2f}" for name in ("predicted_before", "predicted_after"))
        reasons = "\n".join(f"{one['driver_name']} ({one['change']:+,.2f})" for one in row["drivers"][:3])
        table.add_row(row["customer_id"], *money, f"{row['change']:+,.2f}", reasons)
    out.print(table)
