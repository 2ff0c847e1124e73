"""The package has wings, and imports between them point one way: down this list."""

import ast
import re
from pathlib import Path

import clv_ml

PACKAGE = Path(clv_ml.__file__).parent
FLOORS = (
    "cli",
    "show",
    "spark",
    "pipeline",
    "engines",
    "operate",
    "serve",
    "learn",
    "model",
    "ingest",
    "simulate",
    "warehouse",
    "measure",
    "settings",
    "errors",
    "folders",
    "wording",
)
"""Wings and rooms of the ground floor, top first."""


def imports_of(path: Path) -> set[str]:
    """The wings that a module imports, however deep inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "clv_ml":
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clv_ml."):
            names = [(node.module or "").split(".")[1]]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("clv_ml.")]
        found.update(names)
    return found & set(FLOORS)


def modules() -> dict[str, Path]:
    """Every module but the package's own list of public names, by its path below the package."""
    return {
        str(path.relative_to(PACKAGE)): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    }


def test_every_module_lies_on_a_floor():
    """A new wing is put on its floor here, where a reader looks for the order."""
    wings = {Path(name).parts[0].removesuffix(".py") for name in modules()}

    assert wings == set(FLOORS)


def test_imports_point_down():
    """No wing imports one above it, at the top of a module or inside a function."""
    against = [
        f"{name} imports {wing}"
        for name, path in modules().items()
        for wing in imports_of(path)
        if FLOORS.index(wing) < FLOORS.index(Path(name).parts[0].removesuffix(".py"))
    ]

    assert not against


def test_what_prints_opens_no_warehouse():
    """What is shown is read by the wings below, so that a page or a table can be drawn from values alone."""
    forbidden = re.compile(
        r"duckdb|clv_ml\.warehouse\.(connection|queries|dbt_runner)|clv_ml\.warehouse import"
    )
    opened = [
        f"{name}: {line}"
        for name, path in modules().items()
        if Path(name).parts[0] == "show"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(from|import) ", line) and forbidden.search(line)
    ]

    assert not opened


def test_functions_fit_a_screen():
    """No function is longer than 60 lines, its docstring included."""
    long = [
        f"{node.name} in {name}: {node.end_lineno - node.lineno + 1} lines"
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]

    assert not long


def test_the_architecture_shows_the_floors():
    """The list that a reader sees is this one, in this order."""
    page = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = page.partition("## Where imports may point")[2].split("```")[1].splitlines()[1:]

    assert [name for line in listed for name in line.partition("  ")[0].split(", ")] == list(FLOORS)


def test_the_top_of_the_package_is_small():
    """What lies at the top is seen at one glance."""
    assert len(list(PACKAGE.glob("*.py"))) <= 8
