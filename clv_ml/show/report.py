"""
One self-contained HTML page: who is worth what, how sure that is, why, and how far to trust it.

Its words stand in the templates of ``report_page``; where a piece is missing, its section says so. How good
the model is comes from the test dates, which no fit had seen.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from clv_ml.errors import InputError
from clv_ml.operate.report_facts import Facts, Row, Rows
from clv_ml.serve.narrative import amount_text
from clv_ml.show import charts
from clv_ml.show.drawing import Chart, words
from clv_ml.warehouse.safe_files import replace_file

FOLDER = Path(__file__).parent / "report_page"

Column = tuple[str, str, str]
"""Of a table: the key of its rows, its title, and how a value is written, by the name of a format."""


MONTHS_SHOWN = 24
"""On a customer's card."""


def _day(value: date | datetime | None) -> str:
    return f"{value:%Y-%m-%d}" if value else "none"


NUMBERS: dict[str, Callable[[Any], str]] = {
    "amount": lambda value: amount_text(float(value)),
    "whole": lambda value: f"{value:,.0f}",
    "percent": lambda value: f"{value:.0%}",
    "figure": lambda value: f"{value:.3f}",
    "tenth": lambda name: name.removeprefix("decile_").lstrip("0"),
}
FORMATS: dict[str, Callable[[Any], str]] = {
    **NUMBERS,
    "day": _day,
    "text": str,
    "words": words,
    "story": str,
}
"""How values are written; a story is a text of several lines."""


CUSTOMER_COLUMNS: tuple[Column, ...] = (
    ("customer_id", "Customer", "text"),
    ("clv_estimate", "Value", "amount"),
    ("clv_low", "Low", "amount"),
    ("clv_high", "High", "amount"),
    ("certainty", "Certainty", "text"),
    ("total_purchases", "Orders", "whole"),
    ("days_since_last_purchase", "Days since", "whole"),
    ("narrative", "Why", "story"),
)
"""Of the table of customers, on the page and as CSV."""


@dataclass(frozen=True)
class ReportResult:
    """The file that was written, its size in bytes, and what the page warns of."""

    path: Path
    size: int
    notices: tuple[str, ...]


def write_report(facts: Facts, path: Path) -> ReportResult:
    """
    Writes the page, whole or not at all.

    Raises:
        InputError: If the folder to write into is absent.
    """
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Create it first.")
    content = render(facts).encode()
    replace_file(path, content)
    return ReportResult(path, len(content), notices(facts))


def render(facts: Facts) -> str:
    """The page. What comes from the warehouse is escaped; the page forbids all scripts but its own."""
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return _template("page.html.j2").render(
        **_values(facts),
        chart=Chart,
        charts=charts,
        notices=notices(facts),
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )


def notices(facts: Facts) -> tuple[str, ...]:
    """What a reader must know before any figure."""
    paragraphs = _template("notices.txt.j2").render(**_values(facts)).split("\n\n")
    return tuple(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= FORMATS
    environment.filters |= {
        "written": lambda value, how: "" if value is None else FORMATS[how](value),
        "sort_key": _sort_key,
        "css_class": _css_class,
        "known_in": _known_in,
    }
    return environment.get_template(name)


def _values(facts: Facts) -> dict[str, Any]:
    """What the templates name: the rows of each query, and what is worked out from them."""
    segments: dict[str, Rows] = {}
    for row in facts.rows("segments"):
        segments.setdefault(row["segmentation"], []).append(row)
    deciles = facts.rows("deciles")
    measured = {
        "customers": sum(row["customers"] for row in deciles),
        "predicted": sum(row["customers"] * row["predicted_mean"] for row in deciles),
        "actual": sum(row["customers"] * row["actual_mean"] for row in deciles),
    }
    totals = segments.get("all", [{}])
    return {
        **facts.found,
        **vars(facts),
        "shop": facts.shop,
        "model": facts.model,
        "segments_by": segments,
        "measured": measured,
        "total": totals[0],
        "customer_columns": CUSTOMER_COLUMNS,
        "customer_data": [_customer(row, facts.currency) for row in facts.rows("customers")],
    }


def _customer(row: Row, currency: str) -> dict[str, Any]:
    """A customer as the page's script finds, shows and saves them."""
    horizons = zip(row["horizon_days"] or (), row["horizon_values"] or (), strict=True)
    reasons = zip(row["lists"] or (), row["reasons"] or (), strict=True)
    months = dict(zip(row["months_ago"] or (), row["months"] or (), strict=True))
    return {
        "cells": ["" if row[key] is None else FORMATS[how](row[key]) for key, _, how in CUSTOMER_COLUMNS],
        "keys": [_sort_key(row[key], how) if how in NUMBERS else None for key, _, how in CUSTOMER_COLUMNS],
        "list": row["lists"] or [],
        "tier": [row["value_tier"]],
        "rhythm": [row["behavior_type"]],
        "facts": [
            *((words(name).capitalize(), why) for name, why in reasons),
            ("Next order", _next_order(row)),
            *((f"Within {days} days", f"{currency} {amount_text(value)}") for days, value in horizons),
            ("Spent so far", f"{currency} {amount_text(float(row['total_revenue']))}"),
        ],
        "months": [round(months.get(ago, 0.0)) for ago in range(MONTHS_SHOWN - 1, -1, -1)],
    }


def _next_order(row: Row) -> str:
    if row["next_order_expected_on"] is None:
        return row["why_unknown"] or "not known"
    chance = "" if row["order_probability"] is None else f", with a chance of {row['order_probability']:.0%}"
    return (
        f"about {row['next_order_expected_on']}, between {row['next_order_from']} and "
        f"{row['next_order_until']}{chance}"
    )


def _sort_key(value: Any, how: str) -> str:
    """What a cell sorts by: its number, else its text; nothing where it is empty."""
    if value is None:
        return ""
    return str(float(value)) if isinstance(value, int | float | Decimal) else FORMATS[how](value)


def _css_class(how: str) -> Markup:
    name = "number" if how in NUMBERS else "long" if how == "story" else ""
    return Markup(f' class="{name}"') if name else Markup()


def _known_in(columns: Sequence[Column], rows: Rows) -> list[Column]:
    """The columns that have a value in any of the rows."""
    return [column for column in columns if any(row.get(column[0]) is not None for row in rows)]
