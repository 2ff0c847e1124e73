"""The attributes of one ``ai.onnx.ml`` 5 ``TreeEnsemble`` node that holds a whole booster."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from clv_ml.model.forest import Forest, Tree

_BRANCH_LEQ, _SUM, _NO_TRANSFORM = 0, 1, 0


def tree_attributes(forest: Forest) -> dict[str, object]:
    """Attributes by name: tensors in double precision, lists of int."""
    trees = [_with_split(tree) for tree in forest.trees]
    roots = _starts([len(tree.feature) for tree in trees])
    first_leaves = _starts([len(tree.leaf_value) for tree in trees])
    feature, threshold = _joined(t.feature for t in trees), _joined(t.threshold for t in trees)
    left = [_children(tree.left, *at) for tree, *at in zip(trees, roots, first_leaves, strict=True)]
    right = [_children(tree.right, *at) for tree, *at in zip(trees, roots, first_leaves, strict=True)]
    leaves = _joined(tree.leaf_value for tree in trees)
    return {
        "n_targets": 1,
        "aggregate_function": _SUM,
        "post_transform": _NO_TRANSFORM,
        "tree_roots": roots,
        "nodes_featureids": feature.tolist(),
        "nodes_splits": numpy_helper.from_array(threshold, "nodes_splits"),
        "nodes_modes": numpy_helper.from_array(
            np.full(len(feature), _BRANCH_LEQ, dtype=np.uint8), "nodes_modes"
        ),
        "nodes_missing_value_tracks_true": _joined(t.missing_left for t in trees).astype(np.int64).tolist(),
        "nodes_truenodeids": _joined(ids for ids, _ in left).tolist(),
        "nodes_trueleafs": _joined(is_leaf for _, is_leaf in left).tolist(),
        "nodes_falsenodeids": _joined(ids for ids, _ in right).tolist(),
        "nodes_falseleafs": _joined(is_leaf for _, is_leaf in right).tolist(),
        "leaf_targetids": [0] * len(leaves),
        "leaf_weights": numpy_helper.from_array(leaves, "leaf_weights"),
    }


def _with_split(tree: Tree) -> Tree:
    """A tree that is one leaf, as the operator wants it: a split with that leaf on both sides."""
    if len(tree.feature):
        return tree
    zero, no, leaf = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.bool_), np.full(1, -1, dtype=np.int64)
    return Tree(zero, np.zeros(1), no, no, leaf, leaf, tree.leaf_value, leaf, leaf)


def _children(
    children: NDArray[np.int64], root: int, first_leaf: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in the joint lists, and 1 where the position is a leaf's."""
    is_leaf = children < 0
    return np.where(is_leaf, ~children + first_leaf, children + root), is_leaf.astype(np.int64)


def _starts(lengths: list[int]) -> list[int]:
    return [0, *np.cumsum(lengths)[:-1].tolist()]


def _joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(arrays))
