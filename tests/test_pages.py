"""The pages of the docs: links work, every page is on the map, and what a reader is to type works."""

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
import sqlglot
from ingestion_helpers import empty_warehouse, feed, stored
from markdown_pages import DOCS, ROOT, anchors, blocks, links
from reference import commands
from shops import query

from clv_ml.ingest.choice import Choice
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
TUTORIAL = DOCS / "tutorial" / "first-report.md"
NEEDS_MORE_THAN_SCORES = {"backtest", "confidence", "cookbook"}
"""Pages whose SQL reads a backtest or scores of the past; it runs in the tests of what they are about."""
ON_A_SCORED_SHOP = [
    page
    for folder in ("explanation", "how-to", "tutorial")
    for page in sorted((DOCS / folder).glob("*.md"))
    if page.stem not in NEEDS_MORE_THAN_SCORES
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    """
    Within the project: the file is there, and so is the heading. Outside: pages are read offline, so there
    are none.
    """
    broken = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert not broken


def test_every_page_is_on_the_map():
    """
    docs/index.md links every page of docs/, and README leads to docs/.
    """
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}

    assert not {path for path in PAGES if DOCS in path.parents} - linked - {DOCS / "index.md"}


def test_the_glossary_defines_each_word_once():
    """
    One meaning a word: a second line would be a second meaning.
    """
    page = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8").partition("## Words with")[0]
    words = [word for line in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE) for word in line.split(", ")]
    defined = [word for word in words if word != "word"]

    assert len(defined) > 80
    assert len(set(defined)) == len(defined)


@pytest.mark.parametrize(("page", "most"), [("README.md", 1300), ("DECISIONS.md", 2500)])
def test_pages_that_everybody_reads_are_short(page: str, most: int):
    """
    Longer ones are not read: figures and trials go to docs/results.md and docs/lab-notes.md.
    """
    assert len((ROOT / page).read_text(encoding="utf-8").split()) <= most


def test_lines_of_the_readme_fit_a_screen():
    """
    At most 120 characters, as in an editor or a diff.
    """
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize(
    ("page", "sql"),
    [(page, sql) for page in ON_A_SCORED_SHOP for sql in blocks(page, "sql") if "-- table:" not in sql],
    ids=lambda value: value.stem if isinstance(value, Path) else " ".join(value.split())[:40],
)
def test_the_sql_of_pages_answers(trained: Settings, page: Path, sql: str):
    """
    As it stands, with rows, on a shop with a model.
    """
    assert query(trained, sql)


def test_drivers_add_up_as_the_page_says(trained: Settings):
    """
    The query of explanation/drivers.md: both sides agree within 1e-9 of the prediction.
    """
    (sql,) = blocks(DOCS / "explanation" / "drivers.md", "sql")

    for _, predicted, added_up in query(trained, sql):
        assert added_up == pytest.approx(predicted, rel=1e-9)


def test_the_tutorials_python_reads_the_published_copy(
    trained_copy: Settings, monkeypatch: pytest.MonkeyPatch
):
    """
    The one-liner for those without the DuckDB shell, in a folder where the demo lies.
    """
    (line,) = [
        line for block in blocks(TUTORIAL, "sh") for line in block.splitlines() if line.startswith("python")
    ]
    published = publish(trained_copy).path
    monkeypatch.chdir(published.parent)
    code = line.partition('"')[2].rstrip('"').replace("warehouse/demo/published/clv.duckdb", published.name)

    exec(compile(code, TUTORIAL.name, "exec"), {})


def test_the_feeds_on_the_how_to_pages_are_read(tmp_path: Path):
    """
    Orders, the export with a preset of its own, rates and merges: every row is kept, and means what the page
    says.
    """
    orders, export = blocks(DOCS / "how-to" / "own-data.md", "csv")
    rates, merges = blocks(DOCS / "how-to" / "money-and-identity.md", "csv")
    preset, _ = blocks(DOCS / "how-to" / "own-data.md", "sql")
    (tmp_path / "my_shop.sql").write_text(preset, encoding="utf-8")

    with empty_warehouse() as connection:
        for name, text in {
            "fx_rates": rates,
            "id_history": merges,
            "orders": orders,
            "my_shop": export,
        }.items():
            path = tmp_path / f"{name}.csv"
            path.write_text(text, encoding="utf-8")
            summary = feed(connection, path, Choice(preset=name, own_folder=tmp_path))
            assert summary.rows_in == summary.rows_kept > 0, name

        assert stored(connection, "customer_id, event_type, order_id, occurred_at, amount, currency") == [
            ("c0000153", "purchase", "o134", datetime(2022, 1, 1, 15, 17), Decimal("49.83"), "GBP"),
            ("c0001082", "purchase", "o100000076", datetime(2022, 1, 1, 19, 13), Decimal("24.60"), "EUR"),
            ("c17", "purchase", "1001", datetime(2024, 3, 5, 14, 5), Decimal("49.90"), "GBP"),
            ("c17", "purchase", "1002", datetime(2024, 4, 11, 7, 30), Decimal("25.00"), "GBP"),
            ("c17", "refund", "1001", datetime(2024, 4, 20, 10, 0), Decimal("-12.50"), "GBP"),
        ]


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "redshift"])
def test_the_sql_for_other_warehouses_is_theirs(dialect: str):
    """
    Each statement parses in the service's dialect, and so does the query that is unloaded; what is loaded is
    a published table, and what is unloaded has the columns that the preset of orders reads.
    """
    page = DOCS / "how-to" / "cloud-warehouses.md"
    statements = [
        statement
        for sql in blocks(page, dialect)
        for statement in sqlglot.parse(sql, dialect=dialect, error_level=sqlglot.ErrorLevel.RAISE)
        if statement is not None
    ]
    texts = [statement.sql(dialect) for statement in statements]
    commands = [text for text, statement in zip(texts, statements, strict=True) if statement.key == "command"]
    unload = [re.search(r"(?i)unload\s*\('(.*?)'\)", text) for text in commands]
    queries = [sqlglot.parse_one(found[1], dialect=dialect) for found in unload if found]
    queries += [
        statement.find(sqlglot.exp.Select) for statement in statements if "events-" in statement.sql()
    ]

    assert len(commands) == len([found for found in unload if found])
    (query_,) = [each for each in queries if each is not None]
    assert set(query_.named_selects) == {"order_id", "customer_id", "ordered_at", "amount", "currency"}
    loaded = {name for text in texts for name in re.findall(r"\bclv\.(\w+?)(?:_new)?\b", text)}
    assert loaded
    assert loaded <= {path.stem for path in (ROOT / "models_sql" / "marts").glob("*.sql")}


def test_commands_on_pages_are_there():
    """
    Every `clv` line in a block of shell: the command exists, and takes the options that are written.
    """
    known = {
        name: {option for it in command.params for option in it.opts} for name, command in commands().items()
    }
    faults, seen = [], 0
    for page in PAGES:
        for line in "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
            if not line.startswith("clv "):
                continue
            words = line.partition("  #")[0].split()
            name = " ".join(words[1:3]) if words[1] == "models" else words[1]
            options = {word for word in re.findall(r"(?<=\s)--[a-z-]+", " ".join(words))}
            seen += 1
            if name not in known or options - known[name]:
                faults.append(f"{page.name}: {line}")

    assert seen > 30
    assert not faults


def test_the_checks_see_what_is_wrong(tmp_path: Path):
    """
    The helpers find links of every kind, headings as forges name them, and blocks by language.
    """
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`: three\n\n## again\n\n## again\n\n[a](b.md#c) ![d](e.svg) `[no](link.md)`\n\n"
        '<picture><source srcset="f.webp"><img src="g.svg"></picture>\n\n'
        "```sql\nselect 1\n```\n\n```text\nno\n```\n",
        encoding="utf-8",
    )

    assert anchors(page) == {"one-two-three", "again", "again-1"}
    assert links(page) == ["b.md#c", "e.svg", "f.webp", "g.svg"]
    assert blocks(page, "sql") == ["select 1\n"]
