"""A backtest as tables: ``backtest_metrics`` and ``backtest_predictions``."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from clv_ml.measure.evaluation import (
    TENURE_ORDERS,
    Evaluation,
    churn_metrics,
    interval_metrics,
    pooled,
    segments,
)
from clv_ml.measure.metrics import NOT_DEFINED, Array, evaluate_predictions, tenths

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
"""Columns of ``backtest_metrics``; ``origin`` is the backtest date."""
MetricRow = tuple[str | None, str, str, str, float, int]


def metric_table(
    evaluations: Sequence[Evaluation], horizons: Mapping[int, Sequence[Evaluation]] | None = None
) -> pa.Table:
    """
    ``metric_rows`` of each date and, with a NULL ``origin``, of all together; then those of other horizons,
    in days, by ``horizon_rows``. NaN becomes NULL.
    """
    rows = [row for one in (*evaluations, pooled(evaluations)) for row in metric_rows(one)]
    for days, each in (horizons or {}).items():
        rows += [row for one in (*each, pooled(each)) for row in horizon_rows(days, one)]
    return pa.Table.from_arrays(
        [
            pa.array(column, field.type, from_pandas=True)
            for column, field in zip(zip(*rows, strict=True), METRIC_ROW, strict=True)
        ],
        schema=METRIC_ROW,
    )


def metric_rows(evaluation: Evaluation) -> Iterator[MetricRow]:
    """
    Every figure of a date: date, segment, estimator, metric, value (NaN where not defined), customers.

    Segments are ``all``, each group, ``decile=1`` to ``10`` by prediction and ``churn_decile=1`` to ``10`` by
    chance of churn (its mean, and the share that left); 10 is the highest. Of deciles, and of tenure and
    orders, there are means only.
    """
    for segment, mask in segments(evaluation).items():
        actual = evaluation.actual[mask]
        for estimator, predicted in evaluation.predicted.items():
            figures = _means(actual, predicted[mask])
            if not segment.startswith(TENURE_ORDERS):
                figures |= evaluate_predictions(actual, predicted[mask])
            yield from _rows(evaluation, segment, estimator, figures, actual.size)
    for estimator in evaluation.unfitted:
        yield from _rows(evaluation, "all", estimator, NOT_DEFINED, len(evaluation))
    churn = {f"churn_{name}": value for name, value in churn_metrics(evaluation).items()}
    yield from _rows(evaluation, "all", "model", interval_metrics(evaluation) | churn, len(evaluation))
    yield from _decile_rows(evaluation)


def horizon_rows(days: int, evaluation: Evaluation) -> Iterator[MetricRow]:
    """The figures of a date for another horizon: segment ``horizon=30`` and so on, no bounds."""
    segment, actual = f"horizon={days}", evaluation.actual
    for estimator, predicted in evaluation.predicted.items():
        figures = {**_means(actual, predicted), **evaluate_predictions(actual, predicted)}
        yield from _rows(evaluation, segment, estimator, figures, actual.size)
    churn = {f"churn_{name}": value for name, value in churn_metrics(evaluation).items()}
    yield from _rows(evaluation, segment, "model", churn, len(evaluation))


def _decile_rows(evaluation: Evaluation) -> Iterator[MetricRow]:
    for estimator, predicted in evaluation.predicted.items():
        for number, tenth in enumerate(tenths(predicted), start=1):
            means = _means(evaluation.actual[tenth], predicted[tenth])
            yield from _rows(evaluation, f"decile={number}", estimator, means, tenth.size)
    for number, tenth in enumerate(tenths(evaluation.churn), start=1):
        means = {
            "churn_predicted": float(evaluation.churn[tenth].mean()),
            "churn_observed": float(evaluation.left[tenth].mean()),
        }
        yield from _rows(evaluation, f"churn_decile={number}", "model", means, tenth.size)


def prediction_table(evaluations: Sequence[Evaluation]) -> pa.Table:
    """
    A row per date, estimator and customer: what was predicted and what happened. Interval, confidence and
    chance of churn stand in the rows of ``model``.
    """
    return pa.concat_tables(
        _prediction_rows(one, estimator) for one in evaluations for estimator in one.predicted
    )


def _prediction_rows(evaluation: Evaluation, estimator: str) -> pa.Table:
    count, is_model = len(evaluation), estimator == "model"
    of_the_model = {
        "predicted_low": evaluation.low,
        "predicted_high": evaluation.high,
        "confidence": evaluation.confidence,
        "churn_probability": evaluation.churn,
    }
    return pa.table(
        {
            "origin": pa.repeat(str(evaluation.as_of), count),
            "customer_id": evaluation.customer,
            "estimator": pa.repeat(estimator, count),
            "predicted": evaluation.predicted[estimator],
            "actual": evaluation.actual,
            **{
                name: pa.array(values) if is_model else pa.nulls(count, pa.float64())
                for name, values in of_the_model.items()
            },
        }
    )


def _means(actual: Array, predicted: Array) -> dict[str, float]:
    return {"mean_predicted": float(predicted.mean()), "mean_actual": float(actual.mean())}


def _rows(
    evaluation: Evaluation, segment: str, estimator: str, figures: Mapping[str, float], customers: int
) -> Iterator[MetricRow]:
    for metric, value in figures.items():
        yield evaluation.as_of, segment, estimator, metric, value, customers
