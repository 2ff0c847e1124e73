"""The command that gives readers what was scored."""

from typing import Annotated

import typer

from clv_ml.cli.options import AsJson, Target, reported, settings_of
from clv_ml.errors import SettingsError
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result, say, warn


def publish(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Put the tables there too: postgresql://USER@HOST/DATABASE. Needs the extra postgres.",
        ),
    ] = "",
    schema: Annotated[str, typer.Option("--schema", help="The schema there.")] = "clv",
    target: Target = "duckdb",
    as_json: AsJson = False,
) -> None:
    """Give readers a fresh copy of the marts: a DuckDB file and Parquet files in the folder published."""
    from clv_ml.engines import engine_of
    from clv_ml.warehouse.locking import locked

    with reported():
        settings = settings_of(target=target)
        if to:
            _require_address(to, target)
        engine = engine_of(settings)
        with locked(settings), steps(as_json) as on_step:
            on_step("check")
            warnings = engine.check_marts()
            on_step("publish")
            result = engine.publish()
            if not to:
                copied = None
            else:
                from clv_ml.operate.postgres_publication import publish_to_postgres

                on_step("copy to Postgres")
                copied = publish_to_postgres(settings, result, to, schema)
        warn(warnings)

        def show() -> None:
            say(f"Published: {result.path}")
            if copied:
                say(f"Published: {copied.database}, schema {copied.schema}, {len(copied.rows)} tables")

        print_result({**vars(result), "postgres": copied} if copied else result, as_json, show)


def _require_address(to: str, target: str) -> None:
    from clv_ml.warehouse.postgres import place_of

    if target != "duckdb":
        raise SettingsError("--to copies the published DuckDB file, which --target spark does not make.")
    place_of(to)
