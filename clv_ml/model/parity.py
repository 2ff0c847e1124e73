"""
Proves that an ONNX graph gives LightGBM's own predictions, where it is hardest. Besides the training rows,
every split is met by a row that arrives there, on its threshold, a step to either side, and missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import ExportError
from clv_ml.measure.metrics import Array
from clv_ml.model.forest import Forest, Tree
from clv_ml.model.manifest import ParitySpec
from clv_ml.model.onnx_export import forests
from clv_ml.model.onnx_session import evaluate, open_session
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Recipe

TOLERANCE = 1e-9
"""Of max(|prediction|, SMALLEST): the promise of the design, in double precision."""
SMALLEST = 0.01
"""Reporting currency or share: below it, differences count as if against it."""
CHUNK_ROWS = 8_192

RowKind = Literal["training", "threshold", "missing"]


@dataclass(frozen=True)
class Probe:
    """Rows of one kind: features (n, F), and the training row that each was made from (n,)."""

    kind: RowKind
    features: Array
    source: NDArray[np.int64]


def probe_rows(recipe: Recipe, training_rows: Array, chunk_rows: int = CHUNK_ROWS) -> Iterator[Probe]:
    """
    Training rows, rows on and next to every split threshold, and rows with missing values, at most
    ``chunk_rows`` at a time, so that memory does not grow with the model. ``training_rows`` has shape (n,
    F), n at least 1.
    """
    for start in range(0, len(training_rows), chunk_rows):
        rows = training_rows[start : start + chunk_rows]
        yield Probe("training", rows, np.arange(start, start + len(rows)))
    yield _missing_rows(training_rows)
    for forest in forests(recipe).values():
        yield from _split_rows(forest, training_rows, chunk_rows)


def check_parity(
    recipe: Recipe, onnx_bytes: bytes, training_rows: Array, anchor: Array | None = None
) -> ParitySpec:
    """
    Compares the graph with LightGBM on every probe, which takes the anchor of the training row it was
    made from.

    Raises:
        ExportError: Naming output, kind of row and worst difference, if any row is off by too much.
    """
    if not len(training_rows):
        raise ExportError("Parity needs at least one training row, there is none. Pass the rows of the fit.")
    session = open_session(onnx_bytes)
    rows, worst = 0, 0.0
    for probe in probe_rows(recipe, np.ascontiguousarray(training_rows, dtype=np.float64)):
        probe_anchor = None if anchor is None else anchor[probe.source]
        with np.errstate(invalid="ignore"):  # next to a threshold of the largest double lies infinity
            expected = predict(recipe, probe.features, probe_anchor)
        found = evaluate(session, probe.features, probe_anchor)
        for name, reference in expected.items():
            worst = max(worst, _worst(name, probe.kind, found[name], reference))
        rows += len(probe.features)
    return ParitySpec(rows=rows, worst_relative_difference=worst)


def _worst(name: str, kind: RowKind, found: Array, expected: Array) -> float:
    """Worst relative difference of an output on a probe; equal infinities and NaN in both count as equal."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        relative = np.abs(found - expected) / np.maximum(np.abs(expected), SMALLEST)
    relative = np.where(same, 0.0, np.nan_to_num(relative, nan=np.inf))
    row = int(relative.argmax())
    if relative[row] > TOLERANCE:
        raise ExportError(
            f"Output {name!r} of the ONNX graph differs from LightGBM on {kind} rows: {found[row]!r} against "
            f"{expected[row]!r}, relative difference {relative[row]:.3g}, allowed {TOLERANCE:g}. The model "
            "is not published; train it with other parameters, or with the locked library versions."
        )
    return float(relative[row])


def _missing_rows(training_rows: Array) -> Probe:
    """Each feature missing in turn, then all, then none but one."""
    count = training_rows.shape[1]
    source = np.arange(2 * count + 1) % len(training_rows)
    rows = training_rows[source].copy()
    one, rest = np.eye(count, dtype=bool), ~np.eye(count, dtype=bool)
    rows[np.concatenate([one, rest, np.ones((1, count), dtype=bool)])] = np.nan
    return Probe("missing", rows, source)


def _split_rows(forest: Forest, training_rows: Array, chunk_rows: int) -> Iterator[Probe]:
    """For each split of each tree four rows that reach it: below, on and above its threshold, and missing."""
    rows: list[Array] = []
    sources: list[int] = []
    for tree in forest.trees:
        for split, bounds in _paths(tree):
            source = len(rows) % len(training_rows)
            row = _row_within(training_rows[source], bounds)
            rows.append(np.repeat(row[None, :], 4, axis=0))
            at = tree.threshold[split]
            rows[-1][:, tree.feature[split]] = np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf), np.nan
            sources.append(source)
            if 4 * len(rows) >= chunk_rows:
                yield from _split_probes(rows, sources)
                rows, sources = [], []
    yield from _split_probes(rows, sources)


def _split_probes(rows: list[Array], sources: list[int]) -> Iterator[Probe]:
    if rows:
        stacked, source = np.stack(rows), np.array(sources, dtype=np.int64)
        yield Probe("threshold", stacked[:, :3].reshape(-1, stacked.shape[2]), np.repeat(source, 3))
        yield Probe("missing", np.ascontiguousarray(stacked[:, 3]), source)


def _paths(tree: Tree) -> Iterator[tuple[int, dict[int, tuple[float, float]]]]:
    """Each split with the bounds that lead to it: feature to (low, high], low infinite for missing only."""
    waiting: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})] if len(tree.feature) else []
    while waiting:
        split, bounds = waiting.pop()
        yield split, bounds
        feature, at = int(tree.feature[split]), float(tree.threshold[split])
        low, high = bounds.get(feature, (-np.inf, np.inf))
        if tree.left[split] >= 0:
            waiting.append((int(tree.left[split]), {**bounds, feature: (low, min(high, at))}))
        if tree.right[split] >= 0:
            waiting.append((int(tree.right[split]), {**bounds, feature: (max(low, at), high)}))


def _row_within(row: Array, bounds: dict[int, tuple[float, float]]) -> Array:
    """The row, with each bounded feature moved inside its bounds where it is not."""
    row = row.copy()
    for feature, (low, high) in bounds.items():
        if low == np.inf:
            row[feature] = np.nan
        elif not low < row[feature] <= high:
            above = np.nextafter(low, np.inf) if np.isfinite(low) else 0.0
            row[feature] = high if np.isfinite(high) else above
    return row
