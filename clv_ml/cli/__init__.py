"""
The command ``clv``: parse, call, print. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 warehouse busy.

A command imports what it needs, so that ``clv --help`` and small commands answer at once.
"""

import typer

from clv_ml.cli import checks, customers, feeds, models, published, refused, runs

app = typer.Typer(
    help="Customer lifetime value in the warehouse: what dbt has no verb for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    runs.init,
    runs.demo,
    feeds.ingest,
    feeds.inspect,
    refused.quarantine,
    runs.train,
    runs.score,
    runs.run,
    published.publish,
    runs.backfill,
    checks.backtest,
    checks.tune,
    customers.diff,
    customers.explain,
    customers.report,
    customers.export,
    customers.forget,
    checks.doctor,
    checks.compare_engines,
):
    app.command(command.__name__.replace("_", "-"))(command)

models_app = typer.Typer(help="Model versions: list, show, diff, promote, rollback.", no_args_is_help=True)
models_app.command("list")(models.list_models)
models_app.command("show")(models.show_model)
models_app.command("diff")(models.diff_models)
models_app.command()(models.promote)
models_app.command()(models.rollback)
app.add_typer(models_app, name="models")
