"""
Exact path-dependent SHAP values of LightGBM trees for many rows at once, in double precision.

What a leaf adds to a feature depends only on which of its path's features the row satisfies (Lundberg et al.
2018, arXiv:1802.03888). With o = 1 where satisfied and z the share of training rows that stay on the path
there, feature i of a leaf of value v gets

    v x (o_i - z_i) x integral over t in [0, 1] of the product over j != i of ((1 - t) z_j + t o_j),

since the integral of t^s (1 - t)^(d - 1 - s) is Shapley's weight of s among d features. The integrand is a
polynomial of degree d - 1, so Gauss-Legendre with ceil(d / 2) points is exact.

A tree is cut into subtrees small enough that these sums over their leaves fit a table by pattern: one bit per
feature of the path above the subtree, one per split in it. A row then costs one lookup per subtree and
feature. Leaves whose path has too many features for a table are integrated row by row. Each row is summed
tree by tree, in order, by one thread, so its bits do not depend on the rows around it or on the number of
threads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.metrics import Array
from clv_ml.model.forest import Forest, Tree
from clv_ml.serve.tree_paths import Leaf, Step, Test, leaves_of, split_paths, splits_below

TABLE_BITS = 9
"""A table has at most 2^9 doubles per feature, 4 KB, so that it stays in the processor's first cache."""
BLOCK_ROWS = 16_384
"""Rows explained at a time: a column of so many doubles stays in the second cache."""


@dataclass(frozen=True)
class Subtree:
    """
    Leaves that share a table. A row's pattern has a bit per element of ``bits``, the first one highest:
    whether all its tests hold. ``tables`` has a row per feature of ``features``, shape (features, 2^bits).
    """

    bits: tuple[tuple[Test, ...], ...]
    features: tuple[int, ...]
    tables: Array


@dataclass(frozen=True)
class ExplainedTree:
    """A tree, its subtrees with tables, and the leaves too deep for one."""

    tree: Tree
    subtrees: tuple[Subtree, ...]
    deep: tuple[Leaf, ...]


@dataclass(frozen=True)
class ExplainedForest:
    """What ``shap_values`` needs of a booster. ``expected`` is its mean raw score over training rows."""

    trees: tuple[ExplainedTree, ...]
    feature_count: int
    expected: float


def explain_forest(forest: Forest) -> ExplainedForest:
    """The booster's tables; worked out once, used for any number of rows."""
    trees, expected = [], 0.0
    for tree in forest.trees:
        leaves = leaves_of(tree)
        expected += sum(leaf.value * math.prod(step.share for step in leaf.path) for leaf in leaves)
        trees.append(_cut(tree, leaves))
    return ExplainedForest(tuple(trees), len(forest.feature_names), expected)


def shap_values(forest: ExplainedForest, features: Array) -> Array:
    """
    SHAP values of the raw score, from features of shape (n, F), in the booster's order, NaN where
    missing. Shape (n, F + 1): the last column is the expected score. May be called from several threads
    at once.
    """
    values = np.empty((len(features), forest.feature_count + 1))
    values[:, -1] = forest.expected
    for start in range(0, len(features), BLOCK_ROWS):
        block = np.ascontiguousarray(features[start : start + BLOCK_ROWS].T)
        values[start : start + BLOCK_ROWS, :-1] = _block_values(forest, block).T
    return values


def _block_values(forest: ExplainedForest, columns: Array) -> Array:
    """Shape (F, n) from features of shape (F, n)."""
    values = np.zeros((forest.feature_count, columns.shape[1]))
    share = np.empty(columns.shape[1])
    for explained in forest.trees:
        goes_left = _decisions(explained.tree, columns)
        for subtree in explained.subtrees:
            pattern = _pattern(subtree.bits, goes_left)
            for feature, table in zip(subtree.features, subtree.tables, strict=True):
                # "clip" only spares a copy: every pattern has its entry
                np.take(table, pattern, out=share, mode="clip")
                values[feature] += share
        for leaf in explained.deep:
            satisfied = np.array([_holds(step.tests, goes_left) for step in leaf.path], dtype=np.float64)
            for step, added in zip(leaf.path, _leaf_values(leaf, satisfied), strict=True):
                values[step.feature] += added
    return values


def _decisions(tree: Tree, columns: Array) -> NDArray[np.bool_]:
    """Whether a row goes left, for every split; shape (splits, n)."""
    goes_left = np.empty((len(tree.feature), columns.shape[1]), dtype=np.bool_)
    for split, feature in enumerate(tree.feature):
        np.less_equal(columns[feature], tree.threshold[split], out=goes_left[split])
        if tree.missing_left[split]:
            np.logical_or(goes_left[split], np.isnan(columns[feature]), out=goes_left[split])
    return goes_left


def _holds(tests: Sequence[Test], goes_left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a row stays on the path at all these splits, shape (n,)."""
    stays = goes_left[tests[0].split] == tests[0].left
    for test in tests[1:]:
        stays &= goes_left[test.split] == test.left
    return stays


def _pattern(bits: tuple[tuple[Test, ...], ...], goes_left: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Each row's place in the table, shape (n,)."""
    pattern = np.zeros(goes_left.shape[1], dtype=np.uint16)
    for tests in bits:
        pattern <<= 1
        pattern |= _holds(tests, goes_left)
    return pattern.astype(np.intp)


@cache
def _integration_points(count: int) -> tuple[tuple[float, float], ...]:
    """Points in [0, 1] and weights, exact for the product of ``count - 1`` lines."""
    points, weights = np.polynomial.legendre.leggauss((count + 1) // 2)
    return tuple(zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def _leaf_values(leaf: Leaf, satisfied: Array) -> Array:
    """The leaf's SHAP values for patterns of shape (d, n), 1.0 where satisfied; shape (d, n)."""
    count = len(leaf.path)
    share = np.array([step.share for step in leaf.path])[:, None]
    integral = np.zeros_like(satisfied)
    for point, weight in _integration_points(count):
        factors = (1 - point) * share + point * satisfied
        ones = np.ones((1, satisfied.shape[1]))
        before = np.cumprod(np.concatenate([ones, factors[:-1]]), axis=0)
        after = np.cumprod(np.concatenate([ones, factors[:0:-1]]), axis=0)[::-1]
        integral += weight * before * after
    return leaf.value * (satisfied - share) * integral


def _cut(tree: Tree, leaves: tuple[Leaf, ...]) -> ExplainedTree:
    """The tree cut from the root down into the largest subtrees that fit a table."""
    paths = split_paths(tree)
    below = splits_below(tree)
    subtrees, deep = [], []
    nodes = [0] if paths else []
    while nodes:
        node = nodes.pop()
        path, splits = (paths[node], below[node]) if node >= 0 else (leaves[~node].path, [])
        if len(path) + len(splits) <= TABLE_BITS:
            children = [c for split in splits for c in (tree.left[split], tree.right[split])] or [node]
            subtrees.append(_subtree(path, splits, [leaves[~c] for c in children if c < 0]))
        elif node >= 0:
            nodes += [int(tree.right[node]), int(tree.left[node])]
        else:
            deep.append(leaves[~node])
    return ExplainedTree(tree, tuple(subtrees), tuple(deep))


def _subtree(path: tuple[Step, ...], splits: list[int], leaves: list[Leaf]) -> Subtree:
    """The table of these leaves, all below the path."""
    bits = (*(step.tests for step in path), *((Test(split, True),) for split in splits))
    patterns = np.arange(2 ** len(bits))
    bit_of = {tests: (patterns >> (len(bits) - 1 - at)) & 1 == 1 for at, tests in enumerate(bits)}
    features = tuple(dict.fromkeys(step.feature for leaf in leaves for step in leaf.path))
    tables = np.zeros((len(features), len(patterns)))
    above = {step.feature: step.tests for step in path}
    for leaf in leaves:
        satisfied = np.ones((len(leaf.path), len(patterns)))
        for at, step in enumerate(leaf.path):
            known = above.get(step.feature, ())
            if known:
                satisfied[at] *= bit_of[known]
            for test in step.tests[len(known) :]:
                satisfied[at] *= bit_of[(Test(test.split, True),)] == test.left
        for step, values in zip(leaf.path, _leaf_values(leaf, satisfied), strict=True):
            tables[features.index(step.feature)] += values
    return Subtree(bits, features, tables)
