"""
One origin of a backtest: what every estimator said of its customers, what happened, and all figures that
follow.

All origins together are an origin too, whose rows are theirs one after the other; so each figure is defined
once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.measure.coverage import churn_metrics, interval_figures
from clv_ml.measure.metrics import METRICS, Array, tenths

METRIC_ROW = pa.schema(
    [
        ("origin", pa.string()),
        ("segment", pa.string()),
        ("estimator", pa.string()),
        ("metric", pa.string()),
        ("metric_value", pa.float64()),
        ("customers", pa.int32()),
    ]
)
MetricRow = tuple[str | None, str, str, str, float, int]
SPEND_BANDS = 5


@dataclass(frozen=True)
class Origin:
    """
    n customers of one origin, or of all together (``as_of`` is None). Arrays have shape (n,), money is in the
    reporting currency.

    ``predicted`` maps an estimator to its prediction; ``model`` is ``clv_predicted`` in the form that would
    have been published, which ``form`` names. ``low``, ``high`` and ``confidence`` belong to it, ``churn`` is
    its chance of no purchase, and ``left`` whether there was none. ``groups`` maps a column's name to each
    customer's group.
    """

    as_of: str | None
    form: str
    customer: NDArray[np.str_]
    groups: Mapping[str, NDArray[np.str_]]
    actual: Array
    left: NDArray[np.bool_]
    predicted: Mapping[str, Array]
    low: Array
    high: Array
    confidence: Array
    confidence_floor: float
    churn: Array

    def __len__(self) -> int:
        return self.actual.size


def spend_band(anchor: Array) -> NDArray[np.str_]:
    """Each customer's fifth by anchor, "1" the lowest. Shape (n,)."""
    rank = np.argsort(np.argsort(anchor, kind="stable"))
    return (rank * SPEND_BANDS // max(anchor.size, 1) + 1).astype(str)


def pooled(origins: Sequence[Origin]) -> Origin:
    """All origins' rows together, with the estimators that spoke at each of them."""

    def together(name: str) -> NDArray:
        return np.concatenate([getattr(origin, name) for origin in origins])

    return Origin(
        as_of=None,
        form=", ".join(dict.fromkeys(origin.form for origin in origins)),
        customer=together("customer"),
        groups={
            name: np.concatenate([origin.groups[name] for origin in origins]) for name in origins[0].groups
        },
        actual=together("actual"),
        left=together("left"),
        predicted={
            name: np.concatenate([origin.predicted[name] for origin in origins])
            for name in everywhere(origins)
        },
        low=together("low"),
        high=together("high"),
        confidence=together("confidence"),
        confidence_floor=origins[0].confidence_floor,
        churn=together("churn"),
    )


def everywhere(origins: Sequence[Origin]) -> tuple[str, ...]:
    """The estimators that spoke at every origin; a probabilistic fit may not have converged at some."""
    return tuple(name for name in origins[0].predicted if all(name in origin.predicted for origin in origins))


def metric_rows(origin: Origin) -> Iterator[MetricRow]:
    """
    Every figure of an origin: origin, segment, estimator, metric, value (NaN where not defined), customers.

    Segments are ``all``, each group, ``decile=1`` to ``10`` by prediction (means only) and ``churn_decile=1``
    to ``10`` by chance of churn (its mean, and the share that left); 10 is the highest.
    """
    for segment, mask in segments(origin).items():
        actual = origin.actual[mask]
        for estimator, said in origin.predicted.items():
            figures = {name: measure(actual, said[mask]) for name, measure in METRICS.items()}
            yield from _rows(origin, segment, estimator, figures | _means(actual, said[mask]), actual.size)

    held_up = interval_figures(
        origin.actual,
        origin.predicted["model"],
        (origin.low, origin.high),
        origin.confidence,
        origin.confidence_floor,
    ) | {f"churn_{name}": value for name, value in churn_metrics(origin.left, origin.churn).items()}
    yield from _rows(origin, "all", "model", held_up, len(origin))

    for estimator, said in origin.predicted.items():
        for number, tenth in enumerate(tenths(said), start=1):
            means = _means(origin.actual[tenth], said[tenth])
            yield from _rows(origin, f"decile={number}", estimator, means, tenth.size)
    for number, tenth in enumerate(tenths(origin.churn), start=1):
        means = {
            "churn_predicted": float(origin.churn[tenth].mean()),
            "churn_observed": float(origin.left[tenth].mean()),
        }
        yield from _rows(origin, f"churn_decile={number}", "model", means, tenth.size)


def segments(origin: Origin) -> dict[str, NDArray[np.bool_]]:
    """Who belongs to which segment: ``all``, and ``column=group`` of each group. Masks of shape (n,)."""
    masks = {"all": np.ones(len(origin), dtype=np.bool_)}
    for column, group_of in origin.groups.items():
        masks |= {f"{column}={group}": group_of == group for group in np.unique(group_of)}
    return masks


def metric_table(origins: Sequence[Origin]) -> pa.Table:
    """``metric_rows`` of each origin and, with a NULL origin, of all together. NaN becomes NULL."""
    rows = [row for origin in (*origins, pooled(origins)) for row in metric_rows(origin)]
    return pa.Table.from_arrays(
        [
            pa.array(column, field.type, from_pandas=True)
            for column, field in zip(zip(*rows, strict=True), METRIC_ROW, strict=True)
        ],
        schema=METRIC_ROW,
    )


def prediction_table(origins: Sequence[Origin]) -> pa.Table:
    """
    A row per origin, estimator and customer: what was predicted and what happened. Interval, confidence and
    chance of churn stand in the rows of ``model``.
    """
    parts = []
    for origin in origins:
        for estimator, said in origin.predicted.items():
            part = pa.table(
                {
                    "origin": np.repeat(str(origin.as_of), len(origin)),
                    "customer_id": origin.customer,
                    "estimator": np.repeat(estimator, len(origin)),
                    "predicted": said,
                    "actual": origin.actual,
                }
            )
            for name, column in (
                ("predicted_low", origin.low),
                ("predicted_high", origin.high),
                ("confidence", origin.confidence),
                ("churn_probability", origin.churn),
            ):
                known = pa.array(column) if estimator == "model" else pa.nulls(len(origin), pa.float64())
                part = part.append_column(name, known)
            parts.append(part)
    return pa.concat_tables(parts)


def _means(actual: Array, predicted: Array) -> dict[str, float]:
    return {"mean_predicted": float(predicted.mean()), "mean_actual": float(actual.mean())}


def _rows(
    origin: Origin, segment: str, estimator: str, figures: Mapping[str, float], customers: int
) -> Iterator[MetricRow]:
    for metric, value in figures.items():
        yield origin.as_of, segment, estimator, metric, value, customers
