"""The command on rows that ingestion refused."""

from typing import Annotated

import typer

from clv_ml.cli.options import AsJson, Vars, reported, settings_of
from clv_ml.show.terminal import print_result


def quarantine(
    reason: Annotated[str, typer.Option(help="Show the rows refused for this reason.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all of the rows as CSV.")] = False,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Show what ingestion refused, by reason; what a later feed admitted is counted apart."""
    from clv_ml.operate.refused import refused_reasons, refused_rows
    from clv_ml.show.refused import show_reasons, show_rows, write_rows

    with reported():
        settings = settings_of(vars_=vars_)
        if as_csv:
            write_rows(refused_rows(settings, reason))
        elif reason:
            rows = refused_rows(settings, reason)
            print_result(rows, as_json, lambda: show_rows(rows))
        else:
            reasons = refused_reasons(settings)
            print_result(reasons, as_json, lambda: show_reasons(reasons))
