"""What a shop's project says of its feeds: mappings of its own, the clock of times, the currency."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from clv_ml.errors import SettingsError
from clv_ml.ingest.choice import OWN_FOLDER, Choice, as_choice
from clv_ml.ingest.inspection import Inspection, inspect
from clv_ml.ingest.losses import Limits
from clv_ml.settings import PROJECT_FILE, Settings, own_settings, setting_rules
from clv_ml.warehouse.safe_files import replace_file

BY_FIRST_FEED = "the only currency of the first feed"
"""Said in the project's file of a currency that nobody chose by hand."""


def rules_of(settings: Settings) -> dict[str, Any]:
    """What holds for all files, as ``ingest`` takes it."""
    return {
        "reporting_currency": settings.vars.reporting_currency,
        "raw_schema": settings.vars.raw_schema,
        "limits": Limits(settings.vars.number_attributes, settings.vars.quarantine_share),
        "timezone": feed_timezone(settings),
        "is_currency_open": is_currency_open(settings),
    }


def choice_of(settings: Settings, choice: str | Choice) -> Choice:
    """What was said of a feed, with the shop's own mappings."""
    return replace(as_choice(choice), own_folder=settings.project / OWN_FOLDER)


def feed_timezone(settings: Settings) -> str:
    """The clock of times in feeds that bear no offset."""
    return settings.vars.feed_timezone or settings.vars.store_timezone


def is_currency_open(settings: Settings) -> bool:
    """Whether nobody has chosen the currency: the default holds, or what an earlier first feed was in."""
    name = "reporting_currency"
    if name in settings.overrides:
        return False
    return name not in _own(settings.project) or BY_FIRST_FEED in _project_file(settings.project)


def keep_currency(project: Path, currency: str) -> str:
    """
    Writes the currency of the first feed into the project's file, unless that of another shop stands there,
    and returns what to say of it.

    Raises:
        SettingsError: If the file cannot be written.
    """
    file, text = project / PROJECT_FILE, _project_file(project)
    other = _own(project).get("reporting_currency")
    if other:
        return (
            f"currency: all money is in {currency}, so this run counts in it; {file} says {other}, after "
            "another shop's first feed. Give this shop a project of its own, or --vars "
            f"'{{reporting_currency: {currency}}}' with each command"
        )
    line = f"  reporting_currency: {currency}  # {BY_FIRST_FEED}\n"
    try:
        replace_file(
            file, re.sub(r"(?m)^vars:[ \t]*\n", lambda found: found.group() + line, text, count=1).encode()
        )
    except OSError as error:
        raise SettingsError(
            f"The feed is in {currency}, and {file} cannot be written ({error.strerror}). Write there, under "
            f"vars: reporting_currency: {currency}."
        ) from error
    return f"currency: all money is in {currency}, so the shop counts in it; written to {file}"


def _own(project: Path) -> dict[str, Any]:
    return own_settings(project, setting_rules(project))


def _project_file(project: Path) -> str:
    return (project / PROJECT_FILE).read_text(encoding="utf-8")


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
