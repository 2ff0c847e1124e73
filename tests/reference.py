"""
The reference: what dbt, the command line and the package say of themselves, as pages. Run it to write them.

Nothing is worded here but titles and a line that says how to read a page; all else stands beside the code.
"""

import ast
import inspect
import json
import re
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from architecture import FOLDERS
from architecture import PAGE as ARCHITECTURE
from architecture import page as architecture
from cookbook import PAGE as COOKBOOK
from cookbook import page as cookbook
from markdown_pages import DOCS, ROOT, WRITTEN, code, flowing, table
from shop_exports import EXPORTS
from shops import copy_project, settings_for

import clv_ml
from clv_ml import errors
from clv_ml.cli import app
from clv_ml.cli.options import EXIT_CODES
from clv_ml.settings import PROJECT_FILE, setting_macros, setting_themes
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt

FOLDER = DOCS / "reference"
EXAMPLES = DOCS / "examples"
"""Made-up exports, a folder for each preset: something to try `clv run` on."""
TAKES = {bool: "", int: "number", str: "text", Path: "path", datetime: "date"}
HORIZON = re.compile("clv_([0-9]+)d")
"""What a column for a horizon is called."""
STEPS = ("marts", "mart_steps", "scoring", "training", "features", "intermediate", "staging")


@dataclass(frozen=True)
class Project:
    """dbt's manifest, and the type of every column that a run leaves in the database, by table."""

    manifest: dict[str, Any]
    types: dict[str, dict[str, str]]

    @property
    def models(self) -> dict[str, Any]:
        """The project's models by name."""
        nodes = self.manifest["nodes"].values()
        return {n["name"]: n for n in nodes if n["resource_type"] == "model" and n["package_name"] == "clv"}

    @property
    def sources(self) -> dict[str, Any]:
        """The tables that ingestion and Python write, by name."""
        return {source["name"]: source for source in self.manifest["sources"].values()}

    def columns(self, model: str) -> dict[str, Any]:
        """
        A model's columns by name; those of the models that ``meta.columns_of`` names are described there.
        """
        described = (self.models[one]["columns"] | self.declared(one) for one in reversed(self.family(model)))
        return {name: column for columns in described for name, column in columns.items()}

    def declared(self, model: str) -> dict[str, Any]:
        """The columns that the setting ``horizons`` declares in a model, by name."""
        meta = self.models[model]["config"]["meta"]
        if meta.get("declared_by") != "horizons":
            return {}
        days = {int(found[1]): name for name in self.types[model] if (found := HORIZON.fullmatch(name))}
        return {
            name: {
                "name": name,
                "description": meta["column_says"].replace("{days}", str(number)),
                "config": {"meta": {"unit": "reporting currency"}},
                "constraints": [],
            }
            for number, name in days.items()
        }

    def family(self, model: str) -> list[str]:
        """The model, those whose columns it takes over, and theirs."""
        return [model, *(one for parent in self.parents(model) for one in self.family(parent))]

    def parents(self, model: str) -> list[str]:
        """The models whose columns a model takes over."""
        return self.models[model]["config"]["meta"].get("columns_of", [])

    def macros(self) -> Iterator[dict[str, Any]]:
        """The project's macros, without the engines' bodies of a dispatched one."""
        for macro in self.manifest["macros"].values():
            if macro["package_name"] == "clv" and not macro["name"].startswith(("duckdb__", "spark__")):
                yield macro


def read_project(folder: Path, project: Path) -> Project:
    """What a run on an empty warehouse in ``folder`` makes of the dbt files."""
    settings = settings_for(folder, project)
    run_dbt(settings, ["run", "--write-json", "--target-path", str(folder / "target")])
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    with connect(settings) as connection:
        rows = connection.execute(
            "select table_name, column_name, lower(data_type) from information_schema.columns "
            "order by table_name, ordinal_position"
        ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for name, column, kind in rows:
        types.setdefault(name, {})[column] = kind
    return Project(manifest, types)


def pages(project: Project) -> dict[Path, str]:
    """Every page that is written, by its path."""
    steps = {f"{step}.md": _models_page(project, step) for step in STEPS}
    others = {
        "index.md": _index_page(project),
        "sources.md": _sources_page(project),
        "macros.md": _macros_page(project),
        "settings.md": _settings_page(),
        "commands.md": _commands_page(),
        "python.md": _python_page(),
    }
    written = {**steps, **others}
    return {
        ARCHITECTURE: architecture(),
        COOKBOOK: cookbook(),
        **{FOLDER / name: text for name, text in written.items()},
        **{
            EXAMPLES / export.preset / name: text for export in EXPORTS for name, text in export.files.items()
        },
    }


def commands() -> dict[str, Any]:
    """Every command by its name, that of a group's command after the group's."""
    return dict(_commands_below(typer.main.get_command(app), ""))


def _commands_below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child, below in children.items():
        yield from _commands_below(below, f"{name} {child}".strip())


def _index_page(project: Project) -> str:
    models = {name: (model["fqn"][1], model["description"]) for name, model in project.models.items()}
    sources = {name: ("sources", source["description"]) for name, source in project.sources.items()}
    rows = [
        (f"[{name}]({page}.md#{name})", page, _first_sentence(description))
        for name, (page, description) in sorted({**models, **sources}.items())
    ]
    listed = [
        *((step, FOLDERS[f"models_sql/{step}"]) for step in STEPS),
        ("sources", "Tables that ingestion and Python write."),
        ("macros", "Each rule that stands once in SQL."),
        ("settings", "Every setting of `dbt_project.yml`: meaning, default, bounds."),
        ("commands", "Every `clv` command, its options, and exit codes."),
        ("python", "The package's public names."),
    ]
    return (
        "# Reference\n\nWhat there is, by name."
        + WRITTEN.format(source="the code")
        + "\n"
        + "".join(f"- [{name}]({name}.md): {meaning}\n" for name, meaning in listed)
        + "\n## Every table\n\n"
        + table(("table", "page", "what it is"), rows)
    )


def _models_page(project: Project, step: str) -> str:
    parts = [
        f"# {step.replace('_', ' ').capitalize()}\n\n{FOLDERS[f'models_sql/{step}']} Types are DuckDB's."
        + WRITTEN.format(source=f"the SQL and YAML in `models_sql/{step}/`")
    ]
    for name, model in sorted(project.models.items()):
        if model["fqn"][1] == step:
            path = model["original_file_path"]
            parts.append(
                f"\n## {name}\n\n{flowing(model['description'])}\n\n{_header(model['raw_code'])} "
                f"([{Path(path).name}](../../{path}))\n{_taken_over(project, name)}{_roles(model)}\n"
                f"{_columns(model['columns'] | project.declared(name), project.types[name])}"
            )
    return "".join(parts)


def _header(sql: str) -> str:
    """The comment that a model begins with: its grain, and the rule that it keeps."""
    lines = sql.splitlines()
    count = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return " ".join(line.removeprefix("--").strip() for line in lines[:count])


def _taken_over(project: Project, name: str) -> str:
    """Where the columns are described that a model takes over."""
    named = [
        f"[{parent}]({project.models[parent]['fqn'][1]}.md#{parent})" for parent in project.parents(name)
    ]
    return f"\nIt also has every column of {', '.join(named)}.\n" if named else ""


def _roles(model: dict[str, Any]) -> str:
    """The roles of columns and what they mean, where a model lists them."""
    roles = model["config"]["meta"].get("roles", {})
    return (
        "\n" + table(("role", "what it means"), [(code(name), roles[name]) for name in roles])
        if roles
        else ""
    )


def _columns(columns: dict[str, Any], types: dict[str, str]) -> str:
    def meta(column: dict[str, Any], key: str) -> str:
        return column["config"]["meta"].get(key, "")

    rows = [
        (
            code(name),
            types.get(name, ""),
            *(meta(it, key) for key in ("role", "unit", "group")),
            it["description"],
        )
        for name, it in columns.items()
    ]
    return table(("column", "type", "role", "unit", "group", "what it is"), rows) if rows else ""


def _sources_page(project: Project) -> str:
    parts = [
        "# Sources\n\nTables that dbt reads and does not build: ingestion writes "
        "those of `raw`, Python those of `model`." + WRITTEN.format(source="the YAML in `models_sql`")
    ]
    for group, tables in _grouped(project.sources.values(), "source_name").items():
        parts.append(f"\n{flowing(tables[0]['source_description'])}\n")
        for source in tables:
            parts.append(
                f"\n## {source['name']}\n\n`{group}.{source['name']}`: {flowing(source['description'])}\n\n"
                + _columns(source["columns"], project.types[source["name"]])
            )
    return "".join(parts)


def _macros_page(project: Project) -> str:
    parts = [
        "# Macros\n\nEach rule stands once; models call it."
        + WRITTEN.format(source="`dbt_project/macros/_macros.yml` and the macros' own files")
    ]
    for path, macros in _grouped(project.macros(), "original_file_path").items():
        parts.append(f"\n## {Path(path).stem}\n\nIn [{path}](../../{path}).\n")
        for macro in macros:
            arguments = macro["arguments"]
            signature = ", ".join(argument["name"] for argument in arguments)
            rows = [(code(a["name"]), a["type"] or "", a["description"]) for a in arguments]
            shown = "\n" + table(("argument", "type", "what it is"), rows) if rows else ""
            parts.append(
                "\n### "
                f"{macro['name']}\n\n`{macro['name']}({signature})`\n\n{flowing(macro['description'])}\n{shown}"
            )
    return "".join(parts)


def _settings_page() -> str:
    allowed = setting_macros().allowed_values
    parts = [
        "# Settings\n\nThe settings of `dbt_project.yml`. Your own stand there as lines under `vars`, such "
        "as `horizon_days: 183`; `--vars '{horizon_days: 183}'` overrides them for one run, for `dbt` and "
        "`clv` alike. Three more come from the environment: `CLV_WAREHOUSE`, the database file; "
        "`CLV_SCHEMA`, the schema there for all that is built (`clv`, and `main` in a file called "
        "`clv.duckdb`); `CLV_MODELS`, the folder of models."
        + WRITTEN.format(source=f"`setting_rules` in `{PROJECT_FILE}`")
    ]
    for theme, rules in setting_themes(ROOT).items():
        rows = [
            (code(name), flowing(rule["means"]), code(json.dumps(rule["default"])), allowed(rule["allowed"]))
            for name, rule in rules.items()
        ]
        parts.append(
            f"\n## {theme}\n\n" + table(("setting", "what it is", "default", "what it may be"), rows)
        )
    return "".join(parts)


def _commands_page() -> str:
    parts = [
        "# Commands\n\n`clv COMMAND --help` says the same." + WRITTEN.format(source="`clv_ml/cli`") + "\n"
    ]
    listed = [(f"[clv {name}](#clv-{name.replace(' ', '-')})", it.help) for name, it in commands().items()]
    parts.append(table(("command", "what it does"), listed))
    for name, command in commands().items():
        rows = [_parameter(it) for it in command.params if it.name != "help"]
        parts.append(f"\n## clv {name}\n\n{command.help}\n\n")
        parts.append(table(("option", "takes", "default", "what it is"), rows))
    parts.append(
        "\n## Exit codes\n\nAn error says on stderr what is wrong and what to do. "
        "[Scheduling](scheduling.md) says what a scheduler does about each code.\n\n"
    )
    rows = [
        (str(_exit_code(it)), code(name), flowing(it.__doc__ or ""))
        for name, it in inspect.getmembers(errors, inspect.isclass)
    ]
    parts.append(table(("code", "error", "what happened"), [("0", "", "Done."), *sorted(rows)]))
    return "".join(parts)


def _exit_code(error: type[errors.ClvError]) -> int:
    return EXIT_CODES.get(error, 1)


def _parameter(it: Any) -> tuple[str, str, str, str]:
    is_argument = it.param_type_name == "argument"
    names = it.name.upper() if is_argument else ", ".join((*it.opts, *it.secondary_opts))
    kind = it.type_descriptor.annotation
    is_list = get_origin(kind) is list
    kind = get_args(kind)[0] if is_list else kind
    takes = " or ".join(map(code, get_args(kind))) or TAKES.get(kind, kind.__name__)
    takes += ", repeatable" if is_list else ""
    default = "required" if it.required else code(str(it.default)) if it.default else ""
    return code(names), takes, default, it.help or ""


def _python_page() -> str:
    parts = [
        "# Python\n\nThe public names of `clv_ml`; everything else may move."
        + WRITTEN.format(source="the docstrings")
    ]
    for name in clv_ml.__all__:
        it = getattr(clv_ml, name)
        parts.append(f"\n## {name}\n\n{_documented(name, it)}")
        for method in vars(it) if inspect.isclass(it) else ():
            if inspect.isroutine(getattr(it, method)) and not method.startswith("_"):
                parts.append(
                    f"\n### {name}.{method}\n\n{_documented(f'{name}.{method}', getattr(it, method))}"
                )
    return "".join(parts)


def _documented(name: str, it: Any) -> str:
    """
    Signature and docstring; of a class, its fields. Read from the source, so that no Python version words it
    anew.
    """
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(it))).body
    if isinstance(node, ast.ClassDef):
        fields = [ast.unparse(line) for line in node.body if isinstance(line, ast.AnnAssign)]
        shown = "\n".join(fields)
    else:
        assert isinstance(node, ast.FunctionDef) and node.returns is not None
        arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
        shown = f"{name}({arguments}) -> {ast.unparse(node.returns)}"
    return (f"```python\n{shown}\n```\n\n" if shown else "") + f"```text\n{inspect.getdoc(it)}\n```\n"


def _grouped(items: Any, key: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in sorted(items, key=lambda item: (item[key], item["name"])):
        groups.setdefault(item[key], []).append(item)
    return groups


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.])\s", flowing(text), maxsplit=1)[0]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = read_project(Path(place), copy_project(ROOT, Path(place) / "project"))
    for path, text in pages(found).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
