"""
One self-contained HTML page on a warehouse: who is worth what, how sure that is, why, and how far to trust
it.

Every figure is a query of ``dbt_project/queries``. Where a piece is missing (no model, no backtest), its
section says so. Figures on how good the model is come from the test dates, which no fit had seen, never from
training data.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2

from clv_ml.errors import InputError
from clv_ml.operate.report_facts import Facts, Rows
from clv_ml.serve.narrative import amount_text
from clv_ml.show import charts
from clv_ml.show.charts import Chart
from clv_ml.warehouse.safe_files import replace_file

FOLDER = Path(__file__).parent / "report_page"
SEGMENTS = (
    "RFM segment, by past purchases: champions bought lately, often and for much; loyal customers bought "
    "often and are not quiet; promising ones bought lately; at risk are those who bought often or for much "
    "and have gone quiet; hibernating are the other quiet ones.",
    "Value tier, by expected value: top, high, medium and low. Behavior type, by rhythm: new, one time, "
    "regular, irregular or long cycle. The table customer_segments has all three for every customer.",
)
LIMITS = (
    "Value is net revenue, not profit: no margin and no cost of service are modelled.",
    "Only customers who are known on the date are counted. Those who will come later are not.",
    "A prediction is a mean: single customers will differ from it, most of all those who buy seldom.",
    "Drivers explain the prediction, not the customer: changing one does not cause the value to change.",
    "What has never happened before (a new range, a price rise, a lost supplier) is not foreseen.",
)

Write = Callable[[Any], str]


@dataclass(frozen=True)
class ReportResult:
    """The file that was written, its size in bytes, and what the page warns of."""

    path: Path
    size: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """
    A column of a table: the key of its rows, its title, how a value is written, and ``number``, ``long`` or
    nothing.
    """

    key: str
    title: str
    write: Write = str
    kind: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it sorts by (nothing where it is empty)."""

    text: str
    sort: str


@dataclass(frozen=True)
class Row:
    """A row's cells; ``is_ours`` marks the model among its rivals."""

    cells: tuple[Cell, ...]
    is_ours: bool


@dataclass(frozen=True)
class Table:
    """A table that sorts."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page, in this order: paragraphs, figures, charts, tables, a list."""

    name: str
    title: str
    texts: tuple[str, ...] = ()
    tiles: tuple[tuple[str, str], ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()


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
    """
    The page as HTML. Whatever comes from the warehouse is escaped; the page itself forbids all but its own
    script.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        as_of=facts.shop.get("as_of_date"),
        horizon_days=facts.horizon_days,
        currency=facts.currency,
        notices=notices(facts),
        sections=[
            _summary(facts),
            _values(facts),
            _evidence(facts),
            _drivers(facts),
            _segments(facts),
            _customers(facts),
            _data(facts),
            _card(facts),
        ],
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    )


def notices(facts: Facts) -> tuple[str, ...]:
    """What a reader must know before any figure."""
    if not facts.shop:
        return ("The warehouse holds no events yet. Load some first: clv run FILE --preset NAME.",)
    said = []
    if not facts.shop["model_version"]:
        said.append(
            "No model predicts here: every value is the simple formula (purchases a month times order "
            "value), whose error on this shop nobody has measured."
        )
    elif any(row["clv_method"] == "simple: not scored" for row in facts.rows("methods")):
        said.append("Some customers were not scored by the model; their values are the simple formula.")
    if facts.caution:
        said.append(
            f"Value is hard to learn from this shop: {facts.caution}. Trust "
            "totals more than customers, and both little."
        )
    return tuple(said)


def _summary(facts: Facts) -> Section:
    shop = facts.shop
    if not shop:
        return Section("summary", "Summary", ("There are no customers yet.",))
    tiles = [
        ("Customers", _count(shop["customers"])),
        ("Of these have bought", _count(shop["buyers"])),
        (f"Value, next {facts.horizon_days} days, {facts.currency}", _amount(shop["estimate_total"])),
    ]
    for row in facts.rows("segments"):
        if row["segmentation"] == "all" and row["predicted_total_low"] is not None:
            between = f"{_amount(row['predicted_total_low'])} to {_amount(row['predicted_total_high'])}"
            tiles.append((f"{_percent(facts.coverage)} likely between, {facts.currency}", between))
    for row in facts.rows("tenths")[:1]:
        if row["estimate_share"] is not None:
            tiles.append(("Brought by the best tenth of buyers", _percent(row["estimate_share"])))
    columns = (
        Column("clv_method", "How", _words),
        Column("customers", "Customers", _count, "number"),
        Column("estimate_total", f"Value, {facts.currency}", _amount, "number"),
    )
    return Section(
        "summary",
        "Summary",
        tiles=tuple(tiles),
        tables=(_table("Where values come from", columns, facts.rows("methods")),),
    )


def _values(facts: Facts) -> Section:
    rows = facts.rows("values")
    if not rows:
        return Section("values", "Who is worth what", ("Nobody has bought yet.",))
    return Section(
        "values",
        "Who is worth what",
        (
            "Most customers are worth little and a few are worth much; each bar is "
            "about twice the value of the one before.",
        ),
        charts=(
            charts.values_chart(rows, facts.currency),
            *((charts.tenths_chart(tenths),) if (tenths := facts.rows("tenths")) else ()),
        ),
    )


def _evidence(facts: Facts) -> Section:
    rows = facts.rows("deciles")
    if not rows:
        return Section(
            "evidence",
            "How good it is",
            (
                "Nothing has been measured: no model was trained here whose "
                "predictions could be held against what happened.",
            ),
        )
    days = facts.dates.get("test", ())
    predicted, actual = (
        sum(row["customers"] * row[mean] for row in rows) for mean in ("predicted_mean", "actual_mean")
    )
    source = (
        f"Measured on held-out time: predictions as of {', '.join(days)}, made by a fit that saw nothing "
        f"after {min(days, default='them')}, against what {_count(sum(row['customers'] for row in rows))} "
        f"customers{' (counted once a date)' if len(days) > 1 else ''} then spent in {facts.horizon_days} "
        f"days: in all {facts.currency} {_amount(predicted)} were predicted and {facts.currency} "
        f"{_amount(actual)} were spent. Nothing here comes from training data. The model in use is the same "
        "recipe, fitted anew on all dates."
    )
    columns = (
        Column("decile", "Tenth", lambda name: name.removeprefix("decile_").lstrip("0"), "number"),
        Column("customers", "Customers", _count, "number"),
        Column("predicted_mean", f"Predicted, {facts.currency}", _amount, "number"),
        Column("actual_mean", f"Actual, {facts.currency}", _amount, "number"),
        Column("coverage", "In the interval", _percent, "number"),
        Column("confidence", "Confidence", _percent, "number"),
        Column("came_true", "Came true", _percent, "number"),
    )
    return Section(
        "evidence",
        "How good it is",
        (
            source,
            "A prediction came true where the actual value fell within half of it. Confidence states in how "
            "many of a hundred like cases that happens.",
        ),
        charts=(
            charts.deciles_chart(rows, facts.currency),
            charts.confidence_chart(rows),
            charts.coverage_chart(rows, facts.coverage),
        ),
        tables=(_table("Tenths of customers by prediction, on the test date", columns, rows),),
    )


def _drivers(facts: Facts) -> Section:
    if not facts.rows("importance"):
        return Section(
            "drivers", "What drives value", ("No model has scored these customers, so there are no drivers.",)
        )
    return Section(
        "drivers",
        "What drives value",
        (
            "Exact Shapley values, turned into money: a customer's drivers and the base add up to the "
            "prediction. Drivers are called as the columns of customer_features are, where each is "
            "described. In words, for a single customer: clv explain CUSTOMER.",
            "The anchor is what past purchases alone suggest: in part their rhythm and recency (anchor "
            "probabilistic), in part last year's spending (anchor persistence), both scaled to what the "
            "shop's customers are expected to spend on average (anchor level).",
        ),
        charts=(
            charts.importance_chart(facts.rows("importance"), facts.currency),
            charts.beeswarm_chart(facts.rows("beeswarm"), facts.currency),
        ),
    )


def _segments(facts: Facts) -> Section:
    rows = [row for row in facts.rows("segments") if row["segmentation"] != "all"]
    if not rows:
        return Section("segments", "Segments", ("No segments have been built yet.",))
    kinds = dict.fromkeys(row["segmentation"] for row in rows)
    by_kind = {kind: [row for row in rows if row["segmentation"] == kind] for kind in kinds}
    columns = (
        Column("segment", "Segment", _words),
        Column("customer_count", "Customers", _count, "number"),
        Column("estimate_total", f"Value, {facts.currency}", _amount, "number"),
        Column("predicted_total_low", "Low", _amount, "number"),
        Column("predicted_total_high", "High", _amount, "number"),
    )
    return Section(
        "segments",
        "Segments",
        (
            "Low and high enclose the total of a group with the same chance as a customer's own interval; "
            "errors of single customers even out, the error of the shop's total does not.",
            *SEGMENTS,
        ),
        charts=tuple(charts.segments_chart(those, kind, facts.currency) for kind, those in by_kind.items()),
        tables=tuple(_table(f"By {_words(kind)}", columns, those) for kind, those in by_kind.items()),
    )


def _customers(facts: Facts) -> Section:
    rows = facts.rows("customers")
    if not rows:
        return Section("customers", "Most valuable customers", ("Nobody has bought yet.",))
    columns = (
        Column("customer_id", "Customer"),
        Column("clv_estimate", f"Value, {facts.currency}", _amount, "number"),
        Column("clv_low", "Low", _amount, "number"),
        Column("clv_high", "High", _amount, "number"),
        Column("clv_prediction_confidence", "Confidence", _percent, "number"),
        Column("total_purchases", "Purchases", _count, "number"),
        Column("days_since_last_purchase", "Days since", _count, "number"),
        Column("narrative", "Why", kind="long"),
    )
    table = _table(f"The {len(rows)} customers with the highest value", columns, rows)
    about = (
        f"The actual value lies between low and high with a chance of {_percent(facts.coverage)}; low is "
        "below 0 where refunds may outweigh purchases. Confidence is the share of customers like this one "
        "whose value came true within half."
    )
    return Section("customers", "Most valuable customers", (about,), tables=(table,))


def _data(facts: Facts) -> Section:
    shop, rows = facts.shop, facts.rows("rows")
    kept = sum(row["row_count"] for row in rows if row["fate"] == "kept")
    aside = [row for row in rows if row["fate"] != "kept"]
    tiles = (
        ("Rows kept", _count(kept)),
        ("Rows quarantined", _count(sum(row["row_count"] for row in aside))),
        ("First event", _day(shop.get("oldest_event_at"))),
        ("Newest event", _day(shop.get("newest_event_at"))),
        ("Looking back from", _day(shop.get("as_of_date"))),
        ("Scored", _day(shop.get("scored_at"))),
    )
    columns = (Column("reason", "Reason", _words), Column("row_count", "Rows", _count, "number"))
    return Section(
        "data",
        "Data quality",
        (
            "Rows in are rows kept plus rows quarantined; each quarantined row stands in "
            "raw.quarantine with its reason and text.",
        ),
        tiles=tiles,
        tables=(_table("Rows set aside", columns, aside),) if aside else (),
    )


def _card(facts: Facts) -> Section:
    model, limits = facts.model, LIMITS
    if not model:
        return Section(
            "model",
            "Model card",
            (
                "No model is in use. Values are purchases a month times "
                "order value times months, the simple formula.",
            ),
            points=limits,
        )
    refit = facts.dates.get("refit", ())
    tiles = (
        ("Model", model["version"]),
        ("Columns that it reads", _count(model["feature_count"])),
        ("Fitted on the dates", f"{refit[0]} to {refit[-1]}" if refit else "unknown"),
        ("Measured on", ", ".join(facts.dates.get("test", ())) or "unknown"),
        ("Trained", _day(model["created_at"])),
    )
    why = (f"Published as {model['promotion_reason']}",) if model["promotion_reason"] else ()
    measured = [row for row in facts.rows("metrics") if row["r2"] is not None]
    tables = [
        _table(
            "On the test date: the model and every baseline",
            _metric_columns(measured),
            measured,
            ours="model",
        )
    ]
    texts = [*why, "R², Spearman, Gini and lift are better the higher, the others the lower."]
    if backtest := facts.rows("backtest"):
        caption = f"Backtest: mean of {backtest[0]['origins']} dates, each predicted from its own past"
        tables.append(_table(caption, _metric_columns(backtest), backtest, ours="model"))
    else:
        texts.append("No backtest over several dates has been run: clv backtest.")
    return Section("model", "Model card", tuple(texts), tiles, tables=tuple(tables), points=_limits(facts))


def _limits(facts: Facts) -> tuple[str, ...]:
    held = {row["estimator"]: row for row in facts.rows("metrics")}
    measured = held.get("intervals", {}).get("coverage")
    if measured is None:
        return LIMITS
    promised = (
        f"Intervals promise {_percent(facts.coverage)} and held "
        f"{_percent(measured)} of the test date's customers."
    )
    return (promised, *LIMITS)


def _metric_columns(rows: Rows) -> tuple[Column, ...]:
    titles = {
        "r2": "R²",
        "nmae": "MAE / mean",
        "spearman": "Spearman",
        "gini": "Gini",
        "top_decile_lift": "Top-tenth lift",
        "bias": "Bias of total",
        "decile_mape": "Tenths' error",
    }
    present = [name for name in titles if any(row.get(name) is not None for row in rows)]
    return (
        Column("estimator", "Estimator", _words),
        *(Column(name, titles[name], lambda value: f"{value:.3f}", "number") for name in present),
    )


def _table(caption: str, columns: Iterable[Column], rows: Rows, ours: str = "") -> Table:
    columns = tuple(columns)
    made = tuple(
        Row(
            tuple(_cell(column, row[column.key]) for column in columns),
            bool(ours) and row["estimator"] == ours,
        )
        for row in rows
    )
    return Table(caption, columns, made)


def _cell(column: Column, value: Any) -> Cell:
    if value is None:
        return Cell("", "")
    text = column.write(value)
    is_amount = isinstance(value, int | float | Decimal)
    return Cell(text, str(float(value)) if is_amount else text)


def _amount(value: float | Decimal) -> str:
    return amount_text(float(value))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _day(value: date | datetime | None) -> str:
    return "none" if value is None else f"{value:%Y-%m-%d}"


def _words(name: str) -> str:
    return name.replace("_", " ")
