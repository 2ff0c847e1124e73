"""The cookbook: the analyses of the dbt project as plain SQL, and the page that shows them."""

import re

from markdown_pages import DOCS, ROOT, WRITTEN

ANALYSES = ROOT / "dbt_project" / "analyses"
PAGE = DOCS / "how-to" / "cookbook.md"
INTRODUCTION = f"""\
# Cookbook

Questions that analysts ask, as SQL that runs on the warehouse and on the published file alike (how to open
that: [connect.md](connect.md)). Each stands in `dbt_project/analyses/` too, under the name shown. Money is
net revenue in the reporting currency, expected in the horizon; spend so far is called so. Any SELECT below
may be narrowed or joined further: one row per customer, key
`customer_id`.{WRITTEN.format(source="those files")}"""


def recipes() -> dict[str, str]:
    """The plain SQL of each analysis by name, in order of name: `ref` is the table itself."""
    files = sorted(ANALYSES.glob("*.sql"))
    return {file.stem: _plain(file.read_text(encoding="utf-8")) for file in files}


def page() -> str:
    """The cookbook as Markdown."""
    parts = [INTRODUCTION]
    for name, sql in recipes().items():
        comment, query = _split(sql)
        question, _, more = comment.partition("? ")
        title, rest = (question + "?", more) if more else (comment, "")
        text = f"\n{rest}\n" if rest else ""
        parts.append(f"\n## {title}\n{text}\n`{name}.sql`\n\n```sql\n{query.strip()}\n```\n")
    return "".join(parts)


def _plain(sql: str) -> str:
    return re.sub(r"\{\{ ref\(\"(\w+)\"\) \}\}", r"\1", sql)


def _split(sql: str) -> tuple[str, str]:
    lines = sql.splitlines()
    count = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    comment = " ".join(line.removeprefix("--").strip() for line in lines[:count])
    return comment, "\n".join(lines[count:])
