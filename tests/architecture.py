"""The list of files in ARCHITECTURE.md: a line for each folder and file, taken from the file itself."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import yaml
from markdown_pages import ROOT, WRITTEN, flowing

PAGE = ROOT / "ARCHITECTURE.md"
START = "\n## Every file\n"
LISTED = ("clv_ml", "models_sql", "dbt_project", "tests", "benchmarks")
FOLDERS = {
    "clv_ml": "The Python package: fits, exports, scores, explains, prints. It computes no feature.",
    "clv_ml/cli": "",
    "clv_ml/show": "",
    "clv_ml/show/report_page": "The report's page without its content.",
    "clv_ml/show/report_page/sections": "What the report says: a template for each section.",
    "clv_ml/spark": "",
    "clv_ml/operate": "",
    "clv_ml/serve": "",
    "clv_ml/learn": "",
    "clv_ml/model": "",
    "clv_ml/warehouse": "",
    "clv_ml/warehouse/starter": "What `clv init` writes into a new project.",
    "clv_ml/ingest": "",
    "clv_ml/measure": "",
    "clv_ml/simulate": "",
    "models_sql": "The dbt models, one folder a step. Each `_*.yml` describes the models of its folder.",
    "models_sql/staging": "Raw tables, renamed, cast and converted to the reporting currency.",
    "models_sql/intermediate": "Who is who, which orders stand, as-of dates and the split in time.",
    "models_sql/features": "What was known of each customer on each date; baselines, level and anchor.",
    "models_sql/training": "Labels, and features with labels: what a fit learns from.",
    "models_sql/scoring": "Predictions of today's customers, the bins of their intervals, and their drivers.",
    "models_sql/mart_steps": "Steps from events and scores to the marts: views, which are not published.",
    "models_sql/marts": "What analysts read: `customer_clv`, one row a customer, and tables that sum it up.",
    "dbt_project/macros": "Rules that several models share, each once.",
    "dbt_project/presets": "One file for each known feed: its columns, mapped onto the input contract.",
    "dbt_project/ingestion": "The checks that every feed passes, whatever its preset.",
    "dbt_project/queries": "What commands and fits ask of a warehouse.",
    "dbt_project/analyses": "The cookbook's questions.",
    "dbt_project/tests": "Checks of the data, run by `dbt build` and before each publication.",
    "dbt_project/tests/generic": "Checks that take a model and columns as arguments.",
    "tests": "pytest. `test_*.py` are tests; the other files are what they share.",
    "tests/team_project": "A team's dbt project that uses the package.",
    "tests/team_project/models": "The team's own models.",
    "benchmarks": "Speed and quality, one command each.",
}
"""What lies in each folder, in the order of the list; empty for a wing, whose ``__init__.py`` says so."""


def page() -> str:
    """ARCHITECTURE.md: the written part as it stands, then the list."""
    written = PAGE.read_text(encoding="utf-8").partition(START)[0]
    return f"{written}{START}{WRITTEN.format(source='the first sentence of each file')[1:]}{_list()}"


def files() -> list[Path]:
    """Every file that the list names, by its path in the project."""
    return sorted(
        path.relative_to(ROOT)
        for folder in LISTED
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.name != "__init__.py" and path.suffix not in ("", ".pyc", ".zip")
    )


def _list() -> str:
    folders: dict[str, list[str]] = {folder: [] for folder in FOLDERS}
    described = _models()
    for path in files():
        is_model = path.parts[0] == "models_sql" and path.suffix == ".sql"
        sentence = described[path.stem] if is_model else first_sentence(ROOT / path)
        folders[str(path.parent)].append(f"- [{path.name}]({path}): {sentence}")
    return "".join(
        f"\n### {folder}\n\n{FOLDERS[folder] or first_sentence(ROOT / folder / '__init__.py')}\n"
        + "".join(f"\n{line}" for line in lines)
        + "\n" * bool(lines)
        for folder, lines in folders.items()
    )


def _models() -> dict[str, str]:
    """The first sentence of each model's description, by the model's name."""
    pages = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "models_sql").rglob("*.yml")
    ]
    return {it["name"]: _first(it["description"]) for page in pages for it in page.get("models", ())}


def first_sentence(path: Path) -> str:
    """What a file says of itself before anything else."""
    text = path.read_text(encoding="utf-8")
    own = _of_yaml(text) if path.suffix == ".yml" else ""
    return _first(own or _of_code(path, text))


def _first(text: str) -> str:
    return re.split(r"(?<=[.?!])\s", flowing(text), maxsplit=1)[0]


def _of_code(path: Path, text: str) -> str:
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    if comment := re.match(r"\{#-(.*?)-#\}|/\*(.*?)\*/", text, flags=re.DOTALL):
        return comment.group(1) or comment.group(2)
    if comment := re.match(r"((--|//|#) .*\n)+", text):
        return re.sub(r"^(--|//|#) ", "", comment.group(), flags=re.MULTILINE)
    return text


def _of_yaml(text: str) -> str:
    """A YAML file of dbt has no first sentence: its kind, and the names in it. Empty for other files."""
    content = yaml.safe_load(text)
    if "unit_tests" in content:
        return f"Unit tests of {_names({'name': it['model']} for it in content['unit_tests'])}"
    kinds = {"models": "Describes {}", "sources": "Sources {}", "exposures": "Who reads the marts: {}"}
    kinds |= {"macros": "Describes the macros.", "data_tests": "What the tests of the data warn of."}
    return "; ".join(kinds[kind].format(_names(content[kind])) for kind in kinds if kind in content)


def _names(described: Iterable[dict[str, str]]) -> str:
    names = [f"`{name}`" for name in dict.fromkeys(it["name"] for it in described)]
    more = f" and {len(names) - 3} more" if len(names) > 4 else ""
    return ", ".join(names[:3] if more else names) + more + "."
