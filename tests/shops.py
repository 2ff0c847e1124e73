"""
Tiny shops for tests: raw events written by hand, straight into the warehouse, and a look at what came of
them.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from clv_ml.operate.report_facts import read_facts
from clv_ml.settings import Settings, load_settings, report_path
from clv_ml.show.report import ReportResult, write_report
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.dbt_runner import run_dbt
from clv_ml.warehouse.input_contract import SOURCES

ROOT = Path(__file__).resolve().parents[1]
OPENING = datetime(2024, 1, 1)
HORIZON = 60
BY_MODEL = frozenset({"model", "model, with caution"})
"""What `clv_method` says of a prediction; tiny shops deserve caution."""
PROJECT_PARTS = ("dbt_project.yml", "profiles.yml", "dbt_project", "models_sql")
MARTS_FOLDER = Path("models_sql/marts")
"""Where a project has what is published."""
PARSED = "target/partial_parse.msgpack"
"""Where dbt keeps what it parsed, from which it goes on when few files have changed."""
DATED_TABLES = (
    "customer_rfm",
    "customer_intervals",
    "customer_engagement",
    "customer_seasonality",
    "customer_categories",
    "customer_behavior",
    "customer_features",
    "customer_anchors",
)
FEATURES_ONLY = ("--select", "+customer_features", "+customer_anchors")

RAW_TABLES = {
    table["name"]: table["columns"]
    for table in yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"][0]["tables"]
}
"""What the YAML of the sources says of the columns of each raw table."""
ARROW_TYPES = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
    "decimal(18,3)": pa.decimal128(18, 3),
    "decimal(18,2)": pa.decimal128(18, 2),
}
EVENT_SCHEMA = pa.schema(
    [(column["name"], ARROW_TYPES[column["data_type"]]) for column in RAW_TABLES["events"]]
)


@dataclass(frozen=True)
class Event:
    """A row of raw.events; ``event_id`` is numbered and ``recorded_at`` is ``occurred_at`` unless given."""

    customer_id: str
    event_type: str
    occurred_at: datetime
    recorded_at: datetime | None = None
    order_id: str | None = None
    amount: Decimal | None = None
    product_id: str | None = None
    quantity: Decimal | None = None
    category: str | None = None
    session_id: str | None = None
    currency: str | None = None
    event_id: str | None = None


def day(number: float) -> datetime:
    """The instant so many days after the shop's opening."""
    return OPENING + timedelta(days=number)


def purchase(
    customer: str, at: float | datetime, amount: float | str = 10, order: str | None = None, **more: Any
) -> Event:
    """
    A sale of one line, at a day number or instant; the order is named after customer and instant unless
    given.
    """
    moment = at if isinstance(at, datetime) else day(at)
    return _money("purchase", customer, moment, amount, order or f"{customer}@{moment.isoformat()}", more)


def refund(
    customer: str, at: float | datetime, amount: float | str = -10, order: str | None = None, **more: Any
) -> Event:
    """Money given back (``amount`` is negative), under an order number of its own unless given."""
    moment = at if isinstance(at, datetime) else day(at)
    return _money("refund", customer, moment, amount, order or f"back-{customer}@{moment.isoformat()}", more)


def visit(
    customer: str, at: float | datetime, kind: str = "session_start", session: str | None = None, **more: Any
) -> Event:
    """A browsing event: ``session_start``, ``page_view`` or ``add_to_cart``."""
    moment = at if isinstance(at, datetime) else day(at)
    return Event(customer, kind, moment, session_id=session, **more)


def _money(kind: str, customer: str, at: datetime, amount: float | str, order: str, more: dict) -> Event:
    event = Event(customer, kind, at, order_id=order, amount=Decimal(str(amount)), currency="GBP")
    return replace(event, **more)


def regular_shop(customers: int = 30, days: int = 400, every: int = 20) -> list[Event]:
    """Customers who buy again and again, each at a rhythm and value of their own; enough to train on."""
    return [
        purchase(f"c{number:03}", number % every + start + 0.5, 5 + number % 7 + start % 3)
        for number in range(customers)
        for start in range(0, days - every, every + number % 5 * 7)
    ]


def settings_for(folder: Path, project: Path = ROOT, **values: Any) -> Settings:
    """Settings of a warehouse and a model folder inside ``folder``; ``values`` are dbt vars."""
    settings = load_settings({"horizon_days": HORIZON, **values}, project)
    return settings.model_copy(
        update={"warehouse": folder / "clv.duckdb", "models": folder / "models"},
    )


def with_vars(settings: Settings, **values: Any) -> Settings:
    """The same places with other vars laid over those in force."""
    changed = load_settings({**settings.overrides, **values}, settings.project)
    return settings.model_copy(update={"vars": changed.vars, "overrides": changed.overrides})


def with_unchecked_vars(settings: Settings, **values: Any) -> Settings:
    """The same with vars that ``clv`` may refuse, as who calls dbt itself can give them."""
    return settings.model_copy(update={"overrides": {**settings.overrides, **values}})


def with_project(settings: Settings, project: Path) -> Settings:
    """The same places and vars under another copy of the project."""
    return settings.model_copy(update={"project": project})


def copied(settings: Settings, folder: Path) -> Settings:
    """A copy of the warehouse and the models, to be changed freely."""
    folder.mkdir(parents=True, exist_ok=True)
    update = {"warehouse": folder / "clv.duckdb", "models": folder / "models"}
    shutil.copy2(settings.warehouse, update["warehouse"])
    if settings.models.exists():
        shutil.copytree(settings.models, update["models"])
    return settings.model_copy(update=update)


def copy_project(source: Path, target: Path) -> Path:
    """What dbt reads, copied, so that a test may edit it; with what dbt parsed of it, where that is there."""
    target.mkdir(parents=True)
    for part in PROJECT_PARTS:
        path = source / part
        if path.is_dir():
            shutil.copytree(path, target / part)
        else:
            shutil.copy2(path, target / part)
    parsed = source / PARSED
    if parsed.exists():
        (target / PARSED).parent.mkdir()
        shutil.copy2(parsed, target / PARSED)
    return target


def edit(project: Path, file: str, old: str, new: str) -> None:
    """Replaces the first occurrence of a text that must be there."""
    path = project / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {file}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def by_formula(settings: Settings, why: str) -> str:
    """What `clv_method` says where no model scores: the best baseline of the date, and why."""
    return f"{one(settings, 'select estimator from baseline_ranking where place = 1')}: {why}"


def add_feature(project: Path, expression: str, data_type: str) -> None:
    """One column more, ``doubled_category_count``, in ``customer_categories``, and its description."""
    beside = "    cast(spread.category_diversity_count as int) as category_diversity_count,\n"
    edit(
        project,
        "models_sql/features/customer_categories.sql",
        beside,
        beside + f"    cast({expression} as {data_type}) as doubled_category_count,\n",
    )
    edit(
        project,
        "models_sql/features/_features__models.yml",
        "      - name: category_diversity_count\n",
        f"      - name: doubled_category_count\n        data_type: {data_type}\n"
        "        description: For a test.\n"
        "        config: {meta: {role: feature, group: category, unit: categories}}\n"
        "      - name: category_diversity_count\n",
    )


def add_events(settings: Settings, events: Iterable[Event]) -> None:
    """Appends rows to raw.events."""
    events = list(events)
    with connect(settings, read_only=False) as connection:
        held = connection.execute("select count(*) from raw.events").fetchall()[0][0]
        connection.register("added", event_rows(events, held + 1))
        connection.execute("insert into raw.events by name select * from added")


def event_rows(events: Iterable[Event], first: int = 1) -> pa.Table:
    """Events as rows of raw.events; those without an id are numbered from ``first``."""
    rows = [_row(event, number) for number, event in enumerate(events, start=first)]
    return pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)


def _row(event: Event, number: int) -> dict[str, Any]:
    row = asdict(event)
    row["event_id"] = event.event_id or f"e{number:08}"
    row["recorded_at"] = event.recorded_at or event.occurred_at
    return row


def add_merges(settings: Settings, *merges: tuple[str, str]) -> None:
    """Appends (old, new) pairs to raw.id_history."""
    execute(
        settings,
        *(
            f"insert into raw.id_history by name select '{old}' as old_customer_id, "
            f"'{new}' as new_customer_id, timestamp '2024-01-01' as merged_at"
            for old, new in merges
        ),
    )


def add_rate(settings: Settings, currency: str, valid_from: date, rate: str) -> None:
    """Appends a row to raw.fx_rates."""
    execute(
        settings,
        f"insert into raw.fx_rates (currency, valid_from, rate_to_reporting) values ('{currency}', "
        f"timestamp '{valid_from}', {rate})",
    )


def execute(settings: Settings, *statements: str) -> None:
    """Runs statements on the warehouse."""
    with connect(settings, read_only=False) as connection:
        for statement in statements:
            connection.execute(statement)


def query(settings: Settings, sql: str) -> list[tuple]:
    """All rows of a query."""
    with connect(settings) as connection:
        return connection.execute(sql).fetchall()


def frame(settings: Settings, sql: str) -> pd.DataFrame:
    """All rows of a query as a data frame."""
    with connect(settings) as connection:
        return connection.execute(sql).df()


def one(settings: Settings, sql: str) -> Any:
    """The only value of a query."""
    ((value,),) = query(settings, sql)
    return value


def feature_rows(
    settings: Settings, customer: str, columns: str, table: str = "customer_features"
) -> list[tuple]:
    """A customer's rows on the scoring date."""
    return query(
        settings,
        f"select {columns} from {table} as t inner join as_of_dates as d on d.as_of_date = t.as_of_date "
        f"where d.is_scoring_date and t.customer_id = '{customer}'",
    )


def dated_tables(settings: Settings) -> list[str]:
    """The tables with a row per customer and date that stand in the warehouse, by name."""
    found = query(
        settings,
        "select table_name from duckdb_tables() inner join duckdb_columns() using (database_name, "
        "table_name) where column_name in ('customer_id', 'as_of_date', 'build_hash') group by table_name "
        "having count(*) = 3 order by table_name",
    )
    return [name for (name,) in found]


def contents(settings: Settings, table: str, where: str = "true") -> list[str]:
    """
    Every row as text, sorted. Text keeps every bit: a double is written so that it reads back the same, and
    -0 is not 0.
    """
    return [
        row
        for (row,) in query(settings, f"select cast(t as varchar) from {table} as t where {where} order by 1")
    ]


def all_contents(
    settings: Settings, where: str = "true", tables: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """
    `contents` of several tables by name: those given, or every dated one. The moment of scoring, which is
    another each time, is left out.
    """
    return {
        table: contents(settings, f"(select columns(lambda name: name <> 'scored_at') from {table})", where)
        for table in tables or dated_tables(settings)
    }


def build(settings: Settings, *arguments: str) -> None:
    """``dbt run`` with these arguments."""
    run_dbt(settings, ["run", *arguments])


def refused_by(error: BaseException) -> str:
    """The message in one line, for matching."""
    return " ".join(str(error).split())


def report_of(settings: Settings, path: Path | None = None) -> ReportResult:
    """Writes the page of a shop, beside its warehouse unless a path is given, as ``clv report`` does."""
    return write_report(read_facts(settings), path or report_path(settings))
