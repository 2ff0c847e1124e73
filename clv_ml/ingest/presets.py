"""
A preset: one SQL file that maps the columns of a known feed onto a table of the input contract.

The file is a SELECT from the relation ``feed`` (all columns text, absent optional ones NULL, plus
``feed_row``) whose columns are the contract's; what it leaves out is NULL. It neither filters nor validates:
the generic step does that, the same for every preset. Its header comment declares::

    -- table: events                        or id_history, fx_rates, attributes, acquisition_costs
    -- event_id: given                      the feed's own id
                 content                    derived; an identical row is a duplicate
                 numbered content           derived; an identical row is another event
                 numbered copies            the same; the first has the id that content alone gives
    -- requires: order_id, customer_id|client_id     "|" separates names of which one must be there
    -- optional: category, quantity
    -- same as: events                      instead of all of the above
"""

import re
from dataclasses import dataclass
from pathlib import Path

from clv_ml.errors import InputError
from clv_ml.folders import DBT_FOLDER
from clv_ml.warehouse.input_contract import contract

PRESETS_FOLDER = DBT_FOLDER / "presets"

EVENT_ID_RULES = ("given", "content", "numbered content", "numbered copies")


@dataclass(frozen=True)
class Preset:
    """
    A parsed preset file. ``required`` holds one tuple of alternative names per required column. Derived ids
    of events are one's own within ``id_space``, by default the name. ``is_restated``: an order that comes
    again replaces its older version.
    """

    name: str
    table: str
    event_id_rule: str | None
    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...]
    sql: str
    id_space: str = ""
    is_restated: bool = False

    def missing_from(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Required columns that are not among the given ones."""
        return tuple(
            " or ".join(names)
            for names in self.required
            if not any(same_column(name, columns) for name in names)
        )

    def declared(self) -> tuple[str, ...]:
        """Every column that the SQL may name."""
        return (*(name for names in self.required for name in names), *self.optional)


def column_key(name: str) -> str:
    """What of a column's name counts: letters and digits, without case."""
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name


def same_column(name: str, columns: tuple[str, ...]) -> str | None:
    """
    The column meant by the name: the one written so, upper and lower case alike, or else by its letters and
    digits.
    """
    written = [column for column in columns if column.lower() == name.lower()]
    alike = [column for column in columns if column_key(column) == column_key(name)]
    return next(iter([*written, *alike]), None)


def sql_preset_names(folder: Path = PRESETS_FOLDER) -> tuple[str, ...]:
    """The presets that are SQL, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.sql")))


def preset_names(folder: Path = PRESETS_FOLDER) -> tuple[str, ...]:
    """The presets there are, SQL and mappings, sorted."""
    return tuple(sorted({*sql_preset_names(folder), *(path.stem for path in folder.glob("*.yml"))}))


def load_preset(name: str, folder: Path = PRESETS_FOLDER) -> Preset:
    """
    Read and parse ``<folder>/<name>.sql``.

    Raises:
        InputError: If there is no such preset, or its header does not declare what it must.
    """
    if name not in sql_preset_names(folder):
        raise InputError(f"There is no preset {name!r}. Presets are: {', '.join(preset_names(folder))}.")
    sql = (folder / f"{name}.sql").read_text(encoding="utf-8")
    if original := _declared(sql, "same as"):
        return load_preset(original, folder)
    table, rule = _declared(sql, "table"), _declared(sql, "event_id")
    if table not in contract():
        raise InputError(f"Preset {name!r} must declare '-- table:' as one of {', '.join(contract())}.")
    if (rule in EVENT_ID_RULES) != (table == "events"):
        raise InputError(
            f"Preset {name!r} must declare '-- event_id:' as one of {', '.join(EVENT_ID_RULES)} "
            "if its table is events, and not otherwise."
        )
    required = tuple(tuple(_names(column, "|")) for column in _names(_declared(sql, "requires"), ","))
    optional = tuple(_names(_declared(sql, "optional"), ","))
    return Preset(name, table, rule or None, required, optional, sql)


def _declared(sql: str, key: str) -> str:
    found = re.search(rf"^-- {key}:(.*)$", sql, flags=re.MULTILINE)
    return found.group(1).strip() if found else ""


def _names(text: str, separator: str) -> list[str]:
    return [name.strip() for name in text.split(separator) if name.strip()]
