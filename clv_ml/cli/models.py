"""Commands on model versions: list, show, diff, promote, rollback."""

from typing import Annotated

import typer

from clv_ml.cli.options import AsJson, Horizon, Vars, reported, settings_of
from clv_ml.show.progress import steps
from clv_ml.show.terminal import print_result


def list_models(as_json: AsJson = False) -> None:
    """Every version, oldest first, with its figures on the test dates."""
    from clv_ml.model import registry
    from clv_ml.model.model_in_use import version_in_use
    from clv_ml.show.models import model_entry, show_models

    with reported():
        settings = settings_of()
        listed, in_use = registry.list_models(settings.models), version_in_use(settings)
        entries = [model_entry(model, in_use) for model in listed]
        print_result(entries, as_json, lambda: show_models(listed, in_use))


def show_model(
    version: Annotated[str, typer.Argument(help="The version to look at.")], as_json: AsJson = False
) -> None:
    """What a version was trained on and reads, how it did, and whether its files are whole."""
    from clv_ml.model import registry
    from clv_ml.model.model_in_use import version_in_use
    from clv_ml.show import models

    with reported():
        settings = settings_of()
        model, in_use = registry.show(settings.models, version), version_in_use(settings)
        shown = {
            "version": model.version,
            "is_champion": model.is_champion,
            "is_in_use": model.version == in_use,
            "reason": model.reason,
            "fault": model.fault,
        }
        manifest = model.manifest.model_dump(mode="json") if model.manifest else {}
        print_result(manifest | shown, as_json, lambda: models.show_model(model, in_use))


def diff_models(
    before: Annotated[
        str, typer.Argument(help="The version that counts as before, for example the champion.")
    ],
    after: Annotated[str, typer.Argument(help="The version to compare with it, for example a challenger.")],
    customer: Annotated[str | None, typer.Option(help="Show this customer alone.")] = None,
    customers: Annotated[int, typer.Option(min=0, help="Show so many that differ most.")] = 10,
    horizon_days: Horizon = None,
    vars_: Vars = "",
    as_json: AsJson = False,
) -> None:
    """Whose value two versions see differently on today's scoring date, and why."""
    from clv_ml.operate.value_changes import compare_models
    from clv_ml.show.customers import show_changes

    with reported():
        settings = settings_of(horizon_days=horizon_days, vars_=vars_)
        with steps(as_json) as on_step:
            result = compare_models(settings, before, after, customer, customers, on_step)
        print_result(result, as_json, lambda: show_changes(result))


def promote(
    version: Annotated[str, typer.Argument(help="The version to score with from now on.")],
    reason: Annotated[str, typer.Option(help="Kept with the pointer.")] = "promoted by hand",
    as_json: AsJson = False,
) -> None:
    """Make a version the champion."""
    _switch(version, reason, as_json)


def rollback(
    reason: Annotated[str, typer.Option(help="Kept with the pointer.")] = "rollback", as_json: AsJson = False
) -> None:
    """Return to the champion before this one."""
    _switch(None, reason, as_json)


def _switch(version: str | None, reason: str, as_json: bool) -> None:
    from clv_ml.model.model_in_use import version_in_use
    from clv_ml.operate.promotion import switch_model
    from clv_ml.show.models import show_champion
    from clv_ml.warehouse.locking import locked

    with reported():
        settings = settings_of()
        with locked(settings):
            pointer = switch_model(settings, version, reason)
        in_use = version_in_use(settings)
        print_result(pointer.model_dump(), as_json, lambda: show_champion(pointer.version, in_use))
