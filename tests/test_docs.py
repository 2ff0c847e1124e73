"""
Nothing is undocumented: every model, column, macro, argument, source column and setting says what it is. What
it says stands once.
"""

import inspect
import re
from pathlib import Path

import pytest
from architecture import PAGE as ARCHITECTURE
from markdown_pages import DOCS, WRITTEN
from reference import EXAMPLES, Project, pages, read_project
from shops import ROOT
from typer.main import get_command_name

from clv_ml.cli import app, models_app
from clv_ml.learn.candidates import CANDIDATE_BASELINES
from clv_ml.settings import setting_rules

CONTRACTED = {"features", "training", "scoring", "mart_steps", "marts"}
KEY_TESTS = {"unique", "unique_key"}
SOURCES = {".py", ".sql", ".yml", ".md", ".j2", ".css", ".js", ".properties"}
NUMBERS = {"int", "bigint", "double"}
KEYS = {"customer_id", "as_of_date", "build_hash"}


@pytest.fixture(scope="module")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """
    What dbt knows of the project, and the columns of every table and view that a run on an empty warehouse
    leaves.
    """
    return read_project(tmp_path_factory.mktemp("docs"), project)


def argument_names(macro_sql: str) -> list[str]:
    """The arguments in a macro's or generic test's own signature."""
    signature = re.search(r"{%-?\s*(?:macro|test)\s+\w+\((.*?)\)\s*-?%}", macro_sql, flags=re.DOTALL)
    assert signature is not None
    return re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", signature.group(1).strip())


def section(page: str, heading: str) -> str:
    """The text under a heading, up to the next of its order."""
    order = heading.split()[0]
    return f"\n{page}\n{order} ".split(f"\n{heading}\n")[1].split(f"\n{order} ")[0]


def says_nothing(name: str, description: str) -> bool:
    """Whether a description is empty or only repeats the words of the name."""
    words = set(re.findall(r"[a-z0-9]+", description.lower())) - {"the", "a", "an", "of", "is", "in"}
    return not words - set(name.lower().split("_"))


def lists_of_words(text: str) -> list[list[str]]:
    """The words in quotes of every bracket, of whatever kind, that holds two or more with commas between."""
    runs = re.findall(
        r"""(?:["']\w+["']\s*(?::\s*["']\w+["']\s*)?,\s*)+["']\w+["'](?:\s*:\s*["']\w+["'])?""", text
    )
    return [re.findall(r"\w+", run) for run in runs]


def test_every_model_is_described(built: Project) -> None:
    """A model says what it is for."""
    models = built.models

    assert models
    assert not [name for name, model in models.items() if says_nothing(name, model["description"])]


def test_every_column_that_exists_is_described(built: Project) -> None:
    """
    The columns of the built tables and the described ones are the same, and no description parrots its name.
    """
    models = built.models
    faults = []
    for name in models:
        described = built.columns(name)
        faults += [f"{name}.{c} is not described" for c in built.types[name] if c not in described]
        faults += [f"{name}.{c} does not exist" for c in described if c not in built.types[name]]
        faults += [
            f"{name}.{c}: {d['description']!r}"
            for c, d in described.items()
            if says_nothing(c, d["description"])
        ]

    assert not faults


def test_every_source_column_is_described(built: Project) -> None:
    """The tables that ingestion and Python write: what is created is what is described."""
    faults = []
    for source in built.sources.values():
        table, columns = source["name"], source["columns"]
        if says_nothing(table, source["description"]):
            faults.append(table)
        faults += [f"{table}.{c} is not described" for c in built.types[table] if c not in columns]
        faults += [f"{table}.{c} does not exist" for c in columns if c not in built.types[table]]
        faults += [
            f"{table}.{c}: {d['description']!r}"
            for c, d in columns.items()
            if says_nothing(c, d["description"])
        ]

    assert not faults


def test_a_source_column_has_the_type_that_its_description_says(built: Project) -> None:
    """
    Type and order stand once: in the YAML, which creates the tables. Staging casts to the same types, for who
    brings tables of their own.
    """
    kinds = {"string": "varchar", "int": "integer"}
    described = {
        name: {c: kinds.get(d["data_type"], d["data_type"]) for c, d in source["columns"].items()}
        for name, source in built.sources.items()
    }
    staged = {
        of_source: built.types[name]
        for name in built.models
        if (of_source := name.removeprefix("stg_").replace("told", "undone")) in described
    }

    for name, columns in described.items():
        assert list(columns.items()) == list(built.types[name].items()), name
    assert len(staged) == 6
    for name, columns in staged.items():
        assert columns | described[name] == described[name] | columns, name


def test_every_table_is_a_model_or_a_source(built: Project) -> None:
    """A run leaves no table behind that nobody describes."""
    known = set(built.models) | set(built.sources)

    assert not set(built.types) - known


def test_tables_that_others_read_are_contracts(built: Project) -> None:
    """Features, training rows, scores and marts: a type for every column, enforced."""
    faults = []
    for name, model in built.models.items():
        if CONTRACTED & set(model["fqn"]):
            if not model["config"]["contract"]["enforced"]:
                faults.append(f"{name} has no contract")
            faults += [f"{name}.{c}" for c, column in model["columns"].items() if not column["data_type"]]

    assert not faults


def test_every_column_of_the_training_rows_has_one_role(built: Project) -> None:
    """
    A column says once what it is for; only the keys have no role. What an anchor or a baseline is made of, by
    its description, is there.
    """
    described = [
        (column, it["config"]["meta"])
        for model in built.family("training_rows")
        for column, it in built.models[model]["columns"].items()
        if column not in KEYS
    ]
    roles = built.models["column_roles"]["config"]["meta"]["roles"]
    by_role = {role: [name for name, meta in described if meta["role"] == role] for role in roles}
    names = [name for name, _ in described]

    assert sorted(names) == sorted(set(built.types["training_rows"]) - KEYS)
    assert sum(map(len, by_role.values())) == len(names)
    assert all(by_role.values())
    assert len(by_role["anchor"]) == 1
    estimators = [meta["estimator"] for _, meta in described if meta["role"] == "baseline"]
    assert len(set(estimators)) == len(by_role["baseline"])
    listed = {part for _, meta in described for part in (*meta.get("factors", ()), *meta.get("addends", ()))}
    parts = listed | {meta[key] for _, meta in described for key in ("level", "product") if key in meta}
    assert parts >= set(by_role["component"])
    assert parts <= {*by_role["component"], *by_role["feature"]}
    opened = {meta.get("estimator") for _, meta in described if meta.get("factors")}
    assert opened == {None, *CANDIDATE_BASELINES}


def test_no_list_of_columns_of_a_role_stands_in_code(built: Project) -> None:
    """Neither Python nor SQL nor the settings list columns of one role: the YAML does, beside each column."""
    role_of = {
        name: meta["config"]["meta"]["role"]
        for name, meta in built.columns("training_rows").items()
        if name not in KEYS
    }
    lists = [
        (path.name, words)
        for folder in ("clv_ml", "dbt_project", "models_sql")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".sql"}
        for words in lists_of_words(path.read_text(encoding="utf-8"))
    ]
    lists += [(name, rule["default"]) for name, rule in setting_rules(ROOT).items()]
    faults = []
    for place, words in lists:
        roles = [role_of[word] for word in words if word in role_of] if isinstance(words, list) else []
        faults += [f"{place}: {words}" for role in set(roles) if roles.count(role) >= 3]

    assert len(lists) > 100
    assert not faults


def test_every_feature_has_a_unit(built: Project) -> None:
    """A number that a model may read, or an analyst see as a driver, says what it counts."""
    faults = []
    for name, model in built.models.items():
        if name.startswith("customer_") and "features" in model["fqn"]:
            for column, described in model["columns"].items():
                kind = described["data_type"].split("(")[0]
                if kind in NUMBERS | {"decimal"} and not described["config"]["meta"].get("unit"):
                    faults.append(f"{name}.{column}")

    assert not faults


def test_every_feature_has_a_phrase(built: Project) -> None:
    """
    A number that may become a driver says in business language what it means, of a missing value too: a
    template that writes the value needs another one for where there is none. Where it is reported as part of
    another fact, that is a column with a label of its own.
    """
    models = built.models
    columns = [
        (name, column, described["config"]["meta"])
        for name, model in models.items()
        if name.startswith("customer_") and "features" in model["fqn"]
        for column, described in model["columns"].items()
        if "unit" in described["config"]["meta"]
    ]
    phrases = {column: meta["phrase"] for _, column, meta in columns if "phrase" in meta}
    labels = {column for _, column, meta in columns if "label" in meta and "driver" not in meta}
    faults = [
        f"{name}.{column} has no phrase"
        for name, column, meta in columns
        if column not in phrases and meta.get("role") != "component"
    ]
    faults += [
        f"{name}.{column} is reported as {fact}, which is no fact with a label"
        for name, column, meta in columns
        for fact in _listed(meta.get("driver", []))
        if fact not in labels
    ]
    for driver, phrase in phrases.items():
        if set(phrase) - {"zero", "one", "other", "missing", "and"} or "other" not in phrase:
            faults.append(f"{driver} has {sorted(phrase)}")
        elif "{" in phrase.get("missing", phrase["other"]):
            faults.append(f"{driver} does not say what a missing value means")

    assert len(columns) > 80
    assert not faults


def test_every_model_states_its_grain_and_proves_it(built: Project) -> None:
    """
    The first line of a model says what a row is; a key, or a test that it is unique, shows that this is so.
    """
    models = built.models
    tested = {
        test["attached_node"]
        for test in built.manifest["nodes"].values()
        if test["resource_type"] == "test" and (test.get("test_metadata") or {}).get("name") in KEY_TESTS
    }
    unstated, unproved = [], []
    for name, model in models.items():
        if not model["raw_code"].startswith("-- Grain: "):
            unstated.append(name)
        has_key = any(constraint["type"] == "primary_key" for constraint in model["constraints"])
        if not has_key and model["unique_id"] not in tested:
            unproved.append(name)

    assert not unstated
    assert not unproved


def test_every_macro_and_argument_is_described(built: Project) -> None:
    """A macro's YAML has its description and its arguments, in order, each with a type and a meaning."""
    faults = []
    for macro in built.macros():
        name, arguments = macro["name"], macro["arguments"]
        if says_nothing(name, macro["description"]):
            faults.append(f"{name} is not described")
        if [a["name"] for a in arguments] != argument_names(macro["macro_sql"]):
            faults.append(f"{name} takes {argument_names(macro['macro_sql'])}")
        faults += [
            f"{name}({a['name']})"
            for a in arguments
            if not a["type"] or says_nothing(a["name"], a["description"])
        ]

    assert not faults


def test_every_setting_is_explained() -> None:
    """Each setting says what it means, and no meaning parrots the name."""
    rules = setting_rules(ROOT)

    assert len(rules) >= 48
    assert not [name for name, rule in rules.items() if says_nothing(name, rule["means"])]


def test_every_sql_file_begins_with_a_comment() -> None:
    """Macros, dbt tests, presets and the statements of ingestion say what they are before they do it."""
    files = sorted((ROOT / "dbt_project").rglob("*.sql"))

    assert files
    assert not [
        path.name for path in files if not path.read_text(encoding="utf-8").startswith(("-- ", "{#- "))
    ]


def test_every_unit_test_is_named_for_what_it_shows(built: Project) -> None:
    """A unit test's name is a statement, not a number; the models with rules at edges have some."""
    unit_tests = built.manifest["unit_tests"].values()

    assert not [test["name"] for test in unit_tests if len(test["name"].split("_")) < 4]
    assert {test["model"] for test in unit_tests} >= {
        "stg_told_events",
        "int_order_lines",
        "int_line_pairs",
        "int_cancelled_orders",
        "int_money_lines",
        "int_orders_as_of",
        "int_calendar",
        "int_date_splits",
        "customer_rfm",
        "customer_behavior",
        "customer_labels",
        "customer_clv",
    }


def test_every_feature_is_a_fact_or_part_of_one(built: Project) -> None:
    """
    Whatever a model reads is reported as a fact about the customer: a column with a label, by itself or
    through `driver`. What is relative to the anchor is never one itself.
    """
    columns = {
        name: column["config"]["meta"]
        for model in built.models.values()
        if model["fqn"][1] == "features"
        for name, column in model["columns"].items()
        if column["config"]["meta"].get("role") == "feature"
    }

    assert len(columns) > 50
    assert [name for name, meta in columns.items() if not ({"label", "driver"} & set(meta))] == []
    assert [name for name, meta in columns.items() if "anchor" in name and "driver" not in meta] == []


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def test_the_reference_is_what_make_docs_writes(built: Project) -> None:
    """Every page that says it was written by `make docs` is the one that the code gives today."""
    written = pages(built)

    marker = WRITTEN.partition("{")[0]

    stale = [path.name for path, text in written.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run make docs"
    assert {
        path
        for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
        if marker in path.read_text(encoding="utf-8")
    } == {path for path in written if path.suffix == ".md"}
    assert {path for path in EXAMPLES.rglob("*") if path.is_file()} == {
        path for path in written if path.is_relative_to(EXAMPLES)
    }


def test_every_file_is_named_once_in_the_architecture() -> None:
    """Each file of the listed folders has one short line, and each line a file that exists."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    listed = re.findall(r"^- \[.*?\]\((.*?)\): (\S.*)$", page, flags=re.MULTILINE)
    present = {
        str(path.relative_to(ROOT))
        for folder in ("benchmarks", "clv_ml", "dbt_project", "models_sql", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SOURCES and path.name != "__init__.py"
    }

    assert sorted(path for path, _ in listed) == sorted(present)
    assert not [path for path, sentence in listed if len(sentence) > 120]


def test_the_reference_leaves_nothing_out(built: Project) -> None:
    """
    Second way, from the files: each model and source with every column that the database has, each setting,
    command.
    """
    page = {path.name: text for path, text in pages(built).items()}
    columns_missing = [
        f"{path.stem}.{column}"
        for path in (ROOT / "models_sql").rglob("*.sql")
        for column in built.types[path.stem]
        if not any(
            f"| `{column}` |" in section(page[f"{step}.md"], f"## {name}")
            for name in built.family(path.stem)
            for step in (built.models[name]["fqn"][1],)
        )
    ]
    columns_missing += [
        f"{name}.{column}"
        for name in built.sources
        for column in built.types[name]
        if f"| `{column}` |" not in section(page["sources.md"], f"## {name}")
    ]
    commands = {
        (group, command.name or get_command_name(command.callback.__name__)): command.callback
        for group, application in (("clv", app), ("clv models", models_app))
        for command in application.registered_commands
    }

    assert not columns_missing
    assert not [name for name in setting_rules(ROOT) if f"| `{name}` |" not in page["settings.md"]]
    assert len(commands) >= 16
    for names, function in commands.items():
        options = section(page["commands.md"], f"## {' '.join(names)}").count("\n| `")
        assert options == len(inspect.signature(function).parameters), names


def test_the_checks_see_what_is_missing() -> None:
    """The helpers above find a section, an argument with a default, and a description that only parrots."""
    assert section("# x\n## a\none\n### b\ntwo\n## c\n", "## a") == "one\n### b\ntwo"
    assert argument_names("{% macro m(a, b=[], c = none) -%}") == ["a", "b", "c"]
    assert argument_names("{%- macro m() -%}") == []
    assert lists_of_words("f('a')\nX = (\"b_1\", 'c',\n 'd')") == [["b_1", "c", "d"]]
    assert lists_of_words('{"a": "b", "c": "d"}') == [["a", "b", "c", "d"]]
    assert says_nothing("order_count", "The count of order.")
    assert not says_nothing("order_count", "Standing orders so far.")
