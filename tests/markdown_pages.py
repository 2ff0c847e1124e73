"""Pages of Markdown: tables and fenced code to write, headings, links and queries to read."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WRITTEN = "\n\nWritten by `make docs` from {source}; edit that, not this page.\n"
"""How a page says that it is made from the code."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a column in which nothing stands is left out."""
    rows = [list(row) for row in rows]
    kept = [place for place in range(len(head)) if any(row[place] for row in rows)]
    lines = [[head[place] for place in kept], ["---"] * len(kept)]
    lines += [[_cell(row[place]) for place in kept] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def code(name: str) -> str:
    """A name as inline code."""
    return f"`{name}`" if name else ""


def flowing(text: str) -> str:
    """A text over several lines as one line."""
    return " ".join(text.split())


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language, as they stand."""
    return [token.content for token in _tokens(path) if token.type == "fence" and token.info == language]


def anchors(path: Path) -> set[str]:
    """
    The anchors that forges give a page's headings: lower case, blanks to hyphens, a number where one repeats.
    """
    tokens = _tokens(path)
    found: dict[str, int] = {}
    slugs = set()
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            words = "".join(child.content for child in inline.children or [] if child.content)
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            slugs.add(f"{slug}-{found[slug]}" if slug in found else slug)
            found[slug] = found.get(slug, 0) + 1
    return slugs


def links(path: Path) -> list[str]:
    """Where a page's links and pictures lead, also those written as HTML."""
    found = []
    for token in _tokens(path):
        if token.type == "html_block":
            found += re.findall(r'(?:href|src|srcset)="([^"]*)"', token.content)
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            found += [str(target)] if target else []
            found += (
                re.findall(r'(?:href|src|srcset)="([^"]*)"', child.content)
                if child.type == "html_inline"
                else []
            )
    return found


def _tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def _cell(text: str) -> str:
    return flowing(text).replace("|", "\\|")
