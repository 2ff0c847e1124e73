"""SQL fits two screens, and a number that somebody chose has a name."""

import re
from pathlib import Path

import pytest
from shops import ROOT

MODELS = sorted((ROOT / "models_sql").rglob("*.sql"))
MACRO_FILES = sorted((ROOT / "dbt_project" / "macros").glob("*.sql"))
STATEMENTS = sorted(path for path in (ROOT / "dbt_project").rglob("*.sql") if path not in MACRO_FILES)
CONSTANTS = ROOT / "dbt_project" / "macros" / "constants.sql"
FRESHNESS = ROOT / "dbt_project" / "macros" / "freshness.sql"
NOT_HASHED = {
    "currencies.sql",
    "engines.sql",
    "freshness.sql",
    "inherited_columns.sql",
    "settings.sql",
}

MOST_LINES, MOST_TAGS, MOST_MACRO_LINES, MOST_MACRO_FILE_LINES = 120, 25, 60, 200
UNITS = {
    "7.0", "86400.0", "365", "365.0", "730.0",  # days a week, seconds a day, days a year and two
    "100", "100.0", "10000.0", "0.01",  # cents, and their squares
    "1000000", "1000000.0", "1000000000.0", "1000000000000.0",  # whole numbers that sums are exact in
}  # fmt: skip
"""Conversions of units, which say themselves what they are."""
WINDOWS = {"15", "30", "45", "90", "120", "180", "360"}
"""Days of windows, which stand in the name of the column that they make."""
PLAIN = {"0.0", "0.5", "1.0", "2.0", "5.0", *map(str, range(13)), "24"}
"""Counts, halves, fifths, months a year and hours a day."""


def name_of(path: Path) -> str:
    """The file as a test's name shows it."""
    return path.relative_to(ROOT).as_posix()


def tags(sql: str) -> int:
    """How often Jinja begins."""
    return len(re.findall(r"\{\{|\{%", sql))


def numbers(sql: str) -> set[str]:
    """The numbers in a model's SQL and in its macros' arguments; not those in texts, types and comments."""
    bare = re.sub(r"--[^\n]*|\{#.*?#\}|'[^']*'|decimal\(\d+, \d+\)", "", sql, flags=re.DOTALL)
    return {
        re.sub(r"e0$", "", number.lower())
        for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE]\d+)?(?![\w.])", bare)
    }


def macros(path: Path) -> dict[str, str]:
    """The text of each macro of a file, by name."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"\{%-?\s*macro (\w+).*?\{%-?\s*endmacro", text, flags=re.DOTALL)
    return {match.group(1): match.group(0) for match in found}


@pytest.mark.parametrize("path", MODELS, ids=name_of)
def test_a_model_fits_two_screens(path: Path) -> None:
    """At most 120 lines and 25 Jinja tags: what needs more is several steps, each with a grain and a name."""
    sql = path.read_text(encoding="utf-8")

    assert len(sql.splitlines()) <= MOST_LINES
    assert tags(sql) <= MOST_TAGS


@pytest.mark.parametrize("path", STATEMENTS, ids=name_of)
def test_a_statement_fits_two_screens(path: Path) -> None:
    """Ingestion, presets, queries, comparisons, analyses and dbt tests are as short as models."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", MACRO_FILES, ids=name_of)
def test_a_macro_fits_one_screen(path: Path) -> None:
    """At most 60 lines a macro and 200 a file of one theme."""
    too_long = {name: text.count("\n") + 1 for name, text in macros(path).items()}

    assert not {name: lines for name, lines in too_long.items() if lines > MOST_MACRO_LINES}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_MACRO_FILE_LINES


@pytest.mark.parametrize("path", MODELS, ids=name_of)
def test_a_number_that_somebody_chose_has_a_name(path: Path) -> None:
    """A model holds conversions of units, lengths of windows and small counts; constants.sql has the rest."""
    assert not numbers(path.read_text(encoding="utf-8")) - UNITS - WINDOWS - PLAIN


def test_every_constant_is_used() -> None:
    """A constant that no SQL calls is none."""
    callers = [path.read_text(encoding="utf-8") for path in (*MODELS, *MACRO_FILES)]
    calls = {name: sum(text.count(f"{name}()") for text in callers) for name in macros(CONSTANTS)}

    assert len(calls) > 15
    # its own definition is one
    assert not [name for name, count in calls.items() if count < 2]


def test_what_features_call_is_in_their_hash() -> None:
    """
    A macro that a model up to features calls, if through others, lies in a file that the feature hash covers.
    Elsewhere stand the engines' seams, the settings (hashed by value), and what decides when to build.
    """
    where = {name: path.name for path in MACRO_FILES for name in macros(path)}
    bodies = {name: text for path in MACRO_FILES for name, text in macros(path).items()}
    steps = ("staging", "intermediate", "features")
    waiting = [path.read_text(encoding="utf-8") for path in MODELS if path.parent.name in steps]
    called: set[str] = set()
    while waiting:
        text = waiting.pop()
        new = {name for name in re.findall(r"\b(\w+)\(", text) if name in where} - called
        called |= new
        waiting += [bodies[name] for name in new if where[name] not in NOT_HASHED]
    hashed = set(re.findall(r'"(\w+\.sql)"', macros(FRESHNESS)["feature_macro_files"]))

    assert len(called) > 30
    assert {where[name] for name in called} <= hashed | NOT_HASHED


def test_the_checks_see_what_is_too_much() -> None:
    """The helpers find tags of both kinds and numbers in arguments; texts, names and types they leave."""
    assert tags("{{ a }} {% if b %} {%- endif %}") == 3
    assert numbers("select x_90d, 0.98E0 * y, cast(z as decimal(18, 2)), '16' -- 84\n") == {"0.98"}
    assert numbers('{{ money("0.02E0 * mean") }} > 90') == {"0.02", "90"}
    assert next(iter(macros(CONSTANTS))) == "days_per_month"
