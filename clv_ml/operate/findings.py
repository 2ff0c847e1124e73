"""What `clv doctor` reads from tables: scores, data, drift and accuracy."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from clv_ml.errors import WarehouseError
from clv_ml.model.model_in_use import version_in_use
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect
from clv_ml.warehouse.queries import ask
from clv_ml.wording import count_of

SHOWN = 3
FEATURE = "feature"
"""The kind of what a model reads; other kinds are what it says, and how estimates were made."""
DRIFTS = {"feature_drift_is_not_large": True, "prediction_drift_is_not_large": False}
"""dbt's tests that warn of drift, and whether it is that of features."""

Status = Literal["ok", "absent", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """
    One thing looked at. ``absent``: not made yet, and ``text`` says what to run; ``warn``: look at it;
    ``fail``: what the product promises does not hold. ``details`` has the figures behind the text.
    """

    name: str
    status: Status
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


Look = Callable[[Settings, duckdb.DuckDBPyConnection], Finding]


def _scores(settings: Settings, connection: duckdb.DuckDBPyConnection) -> Finding:
    (row,) = ask(connection, "doctor_scores")
    if not row["customers"]:
        return Finding("scores", "absent", "nobody was scored yet; run clv run", row)
    text = (
        f"{count_of(row['customers'], 'customer')} as of {row['as_of_date']}, {row['customers_of_model']:,} "
        f"of them by {row['model_version'] or 'no model'}"
    )
    in_use = version_in_use(settings)
    if row["model_version"] != in_use:
        return Finding("scores", "warn", f"{text}; {in_use or 'none'} is in use now: run clv score", row)
    return Finding("scores", "ok", text, row)


def _data(settings: Settings, connection: duckdb.DuckDBPyConnection) -> Finding:
    checks = ask(connection, "doctor_data")
    newest = [row["newest_at"] for row in checks if row["subject"] == "newest_event"]
    if not newest:
        return Finding("data", "absent", "no events yet; run clv ingest, then clv run")
    age = (datetime.now(UTC).replace(tzinfo=None) - newest[0]).days
    unusual = [row for row in checks if row["status"] != "ok"]
    details = {"newest_event_at": newest[0], "age_days": age, "unusual": unusual}
    text = f"newest event {newest[0]:%Y-%m-%d %H:%M}, {count_of(age, 'day')} ago"
    if unusual:
        text += "; " + "; ".join(_unusual(row) for row in unusual[:SHOWN]) + _more(unusual)
    if any(row["status"] == "fail" for row in unusual):
        return Finding("data", "fail", text, details)
    # the newest event sets the scoring date, so only the clock on the wall sees a feed that stopped
    is_stale = age > settings.vars.freshness_days
    return Finding("data", "warn" if unusual or is_stale else "ok", text, details)


def _unusual(row: Mapping[str, Any]) -> str:
    usual = f" (usual: {row['usual_value']:g})" if row["usual_value"] is not None else ""
    return f"{row['check_name']}, {row['subject']}: {row['measured_value']:.4g}{usual}"


def _drift(settings: Settings, connection: duckdb.DuckDBPyConnection) -> Finding:
    rows = ask(connection, "doctor_drift")
    if not rows:
        return Finding("drift", "absent", "nothing to compare yet; run clv run with a model")
    large = [row for row in rows if row["drift"] == "large"]
    text = f"{len(large)} of {len(rows)} features and outputs moved far"
    if large:
        text += f": {_moved(large)}"
    if any(row["kind"] == FEATURE for row in large):
        text += f"; {_training_helps(settings, connection)}"
    return Finding("drift", "warn" if large else "ok", text, {"compared": len(rows), "large": large})


def _moved(large: list[dict[str, Any]]) -> str:
    """What moved most, by name, and how far."""
    return ", ".join(f"{row['measure']} ({_how_far(row)})" for row in large[:SHOWN]) + _more(large)


def _how_far(row: Mapping[str, Any]) -> str:
    texts = {
        "psi": "PSI {:.2f}",
        "total_change": "total {:+.0%}",
        "share_change": "share {:+.0%}",
        "missing_change": "without a value {:+.0%}",
    }
    return ", ".join(text.format(row[name]) for name, text in texts.items() if row[name] is not None)


def _training_helps(settings: Settings, connection: duckdb.DuckDBPyConnection) -> str:
    """Whether a training today would see dates that the model in use has not learned from."""
    try:
        (row,) = ask(connection, "newest_learned", {"version": version_in_use(settings)})
    except WarehouseError:  # the published copy does not know
        return "once no run is under way, clv doctor says whether training helps"
    newest, learned = row["newest_labelled"], row["learned_until"]
    if newest is None or (learned is not None and newest <= learned):
        days = settings.vars.label_days
        return f"training now would learn from the same dates, none newer is {days} days past"
    return f"if that stays, train (clv train): customers as of {newest} can be learned from since"


def with_what_moved(settings: Settings, warnings: Sequence[str]) -> tuple[str, ...]:
    """dbt's warnings, with the names of what moved where they tell of drift, and whether training helps."""
    told = [(text, is_feature) for text in warnings for test, is_feature in DRIFTS.items() if test in text]
    if not told:
        return tuple(warnings)
    with connect(settings) as connection:
        large = [row for row in ask(connection, "doctor_drift") if row["drift"] == "large"]
        named = {
            text: f"{text}: {_moved([row for row in large if (row['kind'] == FEATURE) == is_feature])}"
            + (f"; {_training_helps(settings, connection)}." if is_feature else ".")
            for text, is_feature in told
        }
    return tuple(named.get(text, text) for text in warnings)


def _accuracy(settings: Settings, connection: duckdb.DuckDBPyConnection) -> Finding:
    rows = {row["estimator"]: row for row in ask(connection, "doctor_accuracy")}
    if "model" not in rows:
        text = f"no scoring date is {settings.vars.horizon_days} days past yet"
        return Finding("accuracy", "absent", text)
    model = rows["model"]
    best = rows.get("typical", model)["nmae_to_best_baseline"]
    coverage, above, bias = model["interval_coverage"], model["above_high_share"], model["bias"]
    texts = [f"predictions of {model['as_of_date']} for {count_of(model['customers'], 'customer')}"]
    if bias is not None:
        texts.append(f"total off by {math.expm1(bias):+.0%}")
    if best is not None:
        texts.append(f"error {best:.2f} of the best baseline's")
    if coverage is not None:
        texts.append(f"bounds held {coverage:.0%}")
    is_off = (
        abs(bias or 0) > settings.vars.accuracy_bias
        or (coverage is not None and _too_many_outside(settings, above, 1 - coverage - above))
        or (best or 0) > 1
    )
    return Finding("accuracy", "warn" if is_off else "ok", ", ".join(texts), rows)


def _too_many_outside(settings: Settings, above: float, below: float) -> bool:
    """Hardly anybody ends below 0, so that few below is no fault."""
    outside, gap = (1 - settings.vars.interval_coverage) / 2, settings.vars.accuracy_coverage_gap
    return abs(above - outside) > gap or below > outside + gap


def _more(rows: list) -> str:
    return f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""


MONITORED: dict[str, Look] = {"scores": _scores, "data": _data, "drift": _drift, "accuracy": _accuracy}
"""What is read from tables."""
