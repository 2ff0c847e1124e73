"""What a user says of a feed on the command line, as a choice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clv_ml.errors import SettingsError
from clv_ml.ingest.choice import Choice
from clv_ml.ingest.mapping import FIELDS

LINES = ("amounts", "amount_of", "plain_ids", "refund", "status", "kind")
"""What else of a mapping may be said so, with one value."""
LISTS = ("guests",)
"""The same, with a value for each time it is said."""


def choice_from(
    preset: str = "", mapping: Path | None = None, maps: Sequence[str] | None = None, **said: str
) -> Choice:
    """
    A choice of a preset or a mapping file, with lines of a mapping given as ``FIELD=COLUMN`` or ``KEY=VALUE``
    and what else was said. ``A+B`` joins two columns, ``A*B`` multiplies them; a field that is said again has
    a further column, for rows where the first is empty.

    Raises:
        SettingsError: If both are named, or a line is not given so.
    """
    if preset and mapping:
        raise SettingsError("Name a preset or a mapping file, not both.")
    options: dict[str, Any] = {name: value for name, value in said.items() if value}
    columns: dict[str, Any] = {}
    for written in maps or ():
        key, equals, value = (part.strip() for part in written.partition("="))
        if not equals or not value or key not in (*FIELDS, *LINES, *LISTS):
            raise SettingsError(
                f'--map takes FIELD=COLUMN, such as order_id="Order ID", not {written!r}. '
                f"Fields are {', '.join((*FIELDS, *LINES, *LISTS))}."
            )
        if key in LINES:
            options[key] = value
        elif key in LISTS:
            options.setdefault(key, []).append(value)
        else:
            columns.setdefault(key, []).append(value)
    if currency := options.pop("currency", ""):
        columns["currency"] = {"value": currency.upper()}
    if columns:
        options["columns"] = {key: _source(value) for key, value in columns.items()}
    return Choice(preset=preset, mapping_file=mapping, options=options)


def _source(said: Any) -> Any:
    """The columns of one field as a mapping writes them."""
    if isinstance(said, list) and len(said) == 1:
        for mark, how in (("*", "product"), ("+", "together")):
            if mark in said[0]:
                return {how: [name.strip() for name in said[0].split(mark)]}
    return said
