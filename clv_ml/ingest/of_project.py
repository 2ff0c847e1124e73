"""What a shop's project says of its feeds: mappings of its own, the clock of times, the currency."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from clv_ml.errors import SettingsError
from clv_ml.ingest.choice import OWN_FOLDER, Choice
from clv_ml.ingest.inspection import Inspection, inspect
from clv_ml.ingest.losses import Limits
from clv_ml.settings import PROJECT_FILE, Settings, project_vars
from clv_ml.warehouse.safe_files import replace_file


def rules_of(settings: Settings) -> dict[str, Any]:
    """What holds for all files, as ``ingest`` takes it."""
    return {
        "reporting_currency": settings.vars.reporting_currency,
        "raw_schema": settings.vars.raw_schema,
        "limits": Limits(settings.vars.number_attributes, settings.vars.quarantine_share),
        "timezone": feed_timezone(settings),
        "is_currency_open": is_open(settings, "reporting_currency"),
    }


def choice_of(settings: Settings, choice: str | Choice) -> Choice:
    """What was said of a feed, with the shop's own mappings."""
    choice = Choice(preset=choice) if isinstance(choice, str) else choice
    return replace(choice, own_folder=settings.project / OWN_FOLDER)


def feed_timezone(settings: Settings) -> str:
    """The clock of times in feeds that bear no offset."""
    return settings.vars.feed_timezone or settings.vars.store_timezone


def is_open(settings: Settings, name: str) -> bool:
    """Whether neither the project nor this run names the setting, so that its default holds."""
    return name not in settings.overrides and name not in project_vars(settings.project)


def keep_currency(project: Path, currency: str) -> str:
    """
    Writes the currency of the first feed into the project's file, and returns what to say of it.

    Raises:
        SettingsError: If the file cannot be written.
    """
    file = project / PROJECT_FILE
    line = f"  reporting_currency: {currency}  # the only currency of the first feed\n"
    text = re.sub(r"(?m)^vars:[ \t]*\n", lambda found: found.group() + line, file.read_text("utf-8"), count=1)
    try:
        replace_file(file, text.encode())
    except OSError as error:
        raise SettingsError(
            f"The feed is in {currency}, and {file} cannot be written ({error.strerror}). Write there, under "
            f"vars: reporting_currency: {currency}."
        ) from error
    return f"currency: all money is in {currency}, so the shop counts in it; written to {file}"


def inspect_files(
    settings: Settings, choice: Choice, paths: tuple[Path, ...], overwrite: bool = False
) -> Inspection:
    """Looks at a file, with those beside it, and writes a mapping into the project if it needs one."""
    return inspect(
        paths,
        choice_of(settings, choice),
        reporting_currency=settings.vars.reporting_currency,
        timezone=feed_timezone(settings),
        overwrite=overwrite,
    )
