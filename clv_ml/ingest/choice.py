"""
Which mapping or preset a file is read by: the one that was named, or the one whose columns the file has.

A shop's own mappings and SQL presets, in the folder ``mappings`` of its project, come before those that ship.
"""

from collections.abc import Mapping as Options
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clv_ml.errors import InputError
from clv_ml.ingest.mapped_values import found_column
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.mapping_file import load_mapping
from clv_ml.ingest.plain_text import Reading
from clv_ml.ingest.presets import PRESETS_FOLDER, Preset, load_preset, same_column, sql_preset_names
from clv_ml.wording import names_of

OWN_FOLDER = "mappings"
BY_CONTRACT = ("events", "id_history", "fx_rates", "attributes", "acquisition_costs")
"""
SQL presets that are recognised by the columns they require; an attributes feed may hold any other column.
"""
DATA_SETS = ("online_retail_ii",)
"""Those of one shop, its currency in them: a file with further columns is another shop's."""


@dataclass(frozen=True)
class Choice:
    """
    What the user said of a feed: a preset's name, a mapping file, what ``--map``, ``--decimal`` and the like
    lay over it, and the folder of the shop's own mappings. All empty: the file's columns tell. ``at_hand`` is
    a mapping under a name, in no file.
    """

    preset: str = ""
    mapping_file: Path | None = None
    at_hand: tuple[str, Mapping] | None = None
    options: Options[str, Any] = field(default_factory=dict)
    own_folder: Path | None = None

    @property
    def reading(self) -> Reading:
        """How the file is to be read, as far as is known before its columns are."""
        told = Reading()
        if self.at_hand:
            told = self.at_hand[1].reading
        elif self.mapping_file:
            told = load_mapping(self.mapping_file).reading
        return Reading(**{name: self.options.get(name) or value for name, value in vars(told).items()})


Found = tuple[str, Mapping | Preset]


def as_choice(choice: str | Choice) -> Choice:
    """What was said of a feed; a text names a preset."""
    return Choice(preset=choice) if isinstance(choice, str) else choice


def mapping_files(folder: Path | None) -> dict[str, Path]:
    """The mappings of a folder by name."""
    return {path.stem: path for path in sorted(folder.glob("*.yml"))} if folder else {}


def named(name: str, own_folder: Path | None = None) -> Mapping | Preset:
    """
    The mapping or preset of that name.

    Raises:
        InputError: If there is none.
    """
    files = {**mapping_files(PRESETS_FOLDER), **mapping_files(own_folder)}
    if own_folder and name in sql_preset_names(own_folder):
        return load_preset(name, own_folder)
    if name in files:
        return load_mapping(files[name])
    return load_preset(name)


def readable(folder: Path | None) -> tuple[dict[str, Mapping | Preset], list[str]]:
    """
    The mappings of a folder by name, with the presets in SQL that are recognised among those that ship, and
    what is wrong with those that cannot be read.
    """
    sql = dict.fromkeys((*BY_CONTRACT, *DATA_SETS)) if folder == PRESETS_FOLDER else {}
    layouts: dict[str, Mapping | Preset] = {}
    faults = []
    for name, path in {**mapping_files(folder), **sql}.items():
        try:
            layouts[name] = load_mapping(path) if path else load_preset(name)
        except InputError as error:
            faults.append(str(error))
    return layouts, faults


def left_alone(choice: Choice) -> tuple[str, ...]:
    """A warning for each mapping that was not looked at where a file's columns tell what reads it."""
    if choice.preset or choice.mapping_file or choice.at_hand:
        return ()
    return tuple(
        f"{fault} No file is recognised by it until it is corrected."
        for folder in (choice.own_folder, PRESETS_FOLDER)
        for fault in readable(folder)[1]
    )


def recognised(columns: tuple[str, ...], own_folder: Path | None = None) -> Found | None:
    """
    The mapping or preset whose telling columns the file has: the shop's own, else the one with most of them.
    """
    for folder in (own_folder, PRESETS_FOLDER):
        fitting = [
            (_told_by(layout), (name, layout))
            for name, layout in readable(folder)[0].items()
            if _fits(columns, name, layout)
        ]
        if fitting:
            return max(fitting, key=lambda each: each[0])[1]
    return None


def chosen(choice: Choice, columns: tuple[str, ...], path: Path) -> Found:
    """
    What the file is read by.

    Raises:
        InputError: If nothing was named and the columns are those of no known export.
    """
    found = _chosen(choice, columns)
    if found is None and choice.options.get("columns"):
        found = ("mapping", Mapping())
    if found is None:
        raise InputError(
            f"{path} is no export that is known: it has {names_of(columns)}. "
            f"clv inspect {path} proposes a mapping of them; or name a preset with --preset."
            + "".join(f" {warning}" for warning in left_alone(choice))
        )
    name, layout = found
    if not choice.options:
        return found
    if isinstance(layout, Preset):
        raise InputError(
            f"Preset {name!r} is SQL and says itself how it reads {path}. "
            "Leave --map, --decimal and the like out, or map the columns without it."
        )
    return name, layout.with_options(**choice.options)


def _chosen(choice: Choice, columns: tuple[str, ...]) -> Found | None:
    if choice.at_hand:
        return choice.at_hand
    if choice.mapping_file:
        return choice.mapping_file.stem, load_mapping(choice.mapping_file)
    if choice.preset:
        return choice.preset, named(choice.preset, choice.own_folder)
    return recognised(columns, choice.own_folder)


def _told_by(layout: Mapping | Preset) -> int:
    """How many columns tell the layout."""
    return len(layout.recognised_by if isinstance(layout, Mapping) else layout.required)


def _fits(columns: tuple[str, ...], name: str, layout: Mapping | Preset) -> bool:
    """Whether a file of these columns is the layout's."""
    if isinstance(layout, Mapping):
        return bool(layout.recognised_by) and _has(columns, layout.recognised_by)
    is_exact = name not in DATA_SETS or all(same_column(each, layout.declared()) for each in columns)
    return is_exact and not layout.missing_from(columns)


def _has(columns: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return all(found_column(names, columns) for names in wanted)
