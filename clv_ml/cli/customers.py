"""Commands on customers: explain one, compare dates, report on all, forget one."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from clv_ml.cli.options import AsJson, Horizon, Vars, reported, settings_of
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result


def diff(
    from_date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The earlier scoring date.")],
    to_date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The later scoring date.")],
    customer: Annotated[str | None, typer.Option(help="Show this customer alone.")] = None,
    customers: Annotated[int, typer.Option(min=0, help="Show so many that changed most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Why customers' values changed between two scoring dates, driver by driver."""
    from clv_ml.operate.value_changes import value_changes
    from clv_ml.show.customers import show_changes

    with reported():
        result = value_changes(settings_of(), from_date.date(), to_date.date(), customer, customers)
        print_result(result, as_json, lambda: show_changes(result))


def explain(
    customer: Annotated[str, typer.Argument(help="The customer's number, today's or one merged into it.")],
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the drivers as a waterfall: a .png, .svg or .pdf file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say in business language what a customer is expected to be worth, how sure that is, and why."""
    from clv_ml.operate.customers import explain_customer
    from clv_ml.show.customers import show_explanation

    with reported():
        found = explain_customer(settings_of(), customer)
        if plot is not None:
            from clv_ml.show.customer_plot import plot_customer

            plot_customer(found, plot)
        print_result(found, as_json, lambda: show_explanation(found))


def report(
    path: Annotated[
        Path | None, typer.Option("--out", help="The file to write. Default: next to the warehouse.")
    ] = None,
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on who is worth what, how sure that is, and why; it needs no network to be read."""
    from clv_ml.operate.report_facts import read_facts
    from clv_ml.settings import report_path
    from clv_ml.show.report import write_report
    from clv_ml.show.runs import show_report

    with reported():
        settings = settings_of(horizon_days=horizon_days, vars_=vars_)
        with steps(as_json) as on_step:
            on_step("report")
            result = write_report(read_facts(settings), path or report_path(settings))
        print_result(result, as_json, lambda: show_report(result))


def export(
    form: Annotated[
        str,
        typer.Option("--to", help="What the file is for: csv (a spreadsheet), meta, google, klaviyo or ga4."),
    ],
    list_name: Annotated[
        str,
        typer.Option(
            "--list", help="A list of customer_actions, without its control group. Default: everybody."
        ),
    ] = "",
    email: Annotated[str, typer.Option(help="The attribute that holds e-mail addresses.")] = "email",
    path: Annotated[
        Path | None, typer.Option("--out", help="The file to write. Default: audience-FORMAT.csv, here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write customers into a file that another tool takes: audiences with values, or profile properties."""
    from clv_ml.operate.audiences import write_audience
    from clv_ml.show.customers import show_audience

    with reported():
        result = write_audience(settings_of(), form, list_name, email, path or Path(f"audience-{form}.csv"))
        print_result(result, as_json, lambda: show_audience(result))


def forget(
    customer: Annotated[
        str, typer.Argument(help="Number of the customer, as the feed writes it; merged ones go too.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Erase a person from the warehouse and everything published, rewrite the files, and prove it."""
    from clv_ml.operate.erasure import erase
    from clv_ml.show.runs import show_erasure
    from clv_ml.warehouse.locking import locked

    with reported():
        settings = settings_of(vars_=vars_)
        question = f"Erase this customer from {settings.warehouse} and what was published of it, for good?"
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        with locked(settings), steps(as_json) as on_step:
            on_step("erase")
            result = erase(settings, customer)
        print_result(result, as_json, lambda: show_erasure(result))
