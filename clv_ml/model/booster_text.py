"""
Reads the trees of a LightGBM model from its own text, exactly, and refuses what cannot be exported.

The text is the source, not ``Booster.dump_model()``: the dump turns an infinite threshold ("is it missing?")
into 1e300. Reading also proves that the text is well formed before LightGBM, which trusts it, parses it.

Three rules of LightGBM's ``Predict`` are folded into the thresholds here, so that plain ``x <= threshold`` on
doubles is all that remains:

- Input within 1e-35 (as a float) of zero is read as zero, so a threshold inside that band stands at the
  band's edge.
- A missing value goes to the stored default side only if the feature had missing values in training.
- Otherwise LightGBM reads it as 0; it then goes left where 0 <= threshold.

Source: LightGBM 4.7, ``include/LightGBM/tree.h`` (NumericalDecision) and ``src/c_api.cpp``
(RowPairFunctionFromDenseRows).
"""

import re

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import ExportError
from clv_ml.model.forest import Forest, Tree

_ZERO_BAND = float(np.float32(1e-35))
_BELOW_ZERO_BAND = float(np.nextafter(-_ZERO_BAND, -np.inf))
_MISSING_AS_ZERO, _ZERO_IS_MISSING, _MISSING_BY_DEFAULT = 0, 1, 2
_BEHIND_TREES = (
    r"end of trees\n\nfeature_importances:\n([^=\n]+=[0-9.e+-]+\n)*\n"
    r"parameters:\n(\[[a-z0-9_]+: [^\n]*\]\n)*\nend of parameters\n(\npandas_categorical:(null|\[\])\n?)?"
)
_NUMBER = r"[+-]?([0-9]+([.][0-9]*)?([eE][+-]?[0-9]+)?|inf)"
_TREE_LINE = re.compile(rf"Tree=[0-9]+|[a-z_]+=({_NUMBER})?( {_NUMBER})*|")
_HEADER_LINE = re.compile(
    r"tree|average_output|(version|objective|feature_names|feature_infos)=[^\x00-\x1f]*"
    r"|(num_class|num_tree_per_iteration|label_index|max_feature_idx)=[0-9]+|tree_sizes=[0-9 ]+"
    r"|monotone_constraints=[-0-9 ]+|"
)
_PER_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "split_gain")
_PER_SPLIT_COVER = ("internal_value", "internal_weight", "internal_count")
_PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")


def booster_text(booster: lgb.Booster) -> str:
    """The booster as LightGBM text, up to its best iteration where early stopping set one."""
    return booster.model_to_string()


def read_forest(text: str, name: str) -> Forest:
    """
    The trees of a LightGBM model text.

    Args:
        name: The booster's name, for messages.

    Raises:
        ExportError: If the model is of a kind that has no exact export (linear trees, square-root target,
            random forest, several classes, categorical splits, zero as missing), or the text is damaged.
    """
    start = text.find("\nTree=0\n")
    if start < 0:
        raise _refusal(name, "has no trees", "Train it for at least one round.")
    _check_lines(name, text[: start + 1], _HEADER_LINE)
    header = _fields(text[: start + 1])
    _refuse_model_kinds(name, header, text[: start + 1].splitlines())
    feature_names = tuple(header.get("feature_names", "").split())
    feature_count = _integer(name, header.get("max_feature_idx", "")) + 1
    if not len(feature_names) == len(header.get("feature_infos", "").split()) == feature_count:
        raise _damaged(name, "feature_names, feature_infos and max_feature_idx disagree")
    blocks = _tree_blocks(name, text.encode(), header)
    return Forest(name, feature_names, tuple(_tree(name, block, feature_count) for block in blocks))


def _refuse_model_kinds(name: str, header: dict[str, str], lines: list[str]) -> None:
    if header.get("num_class") != "1" or header.get("num_tree_per_iteration") != "1":
        raise _refusal(name, "has several classes", "Train one booster per class.")
    if "average_output" in lines:
        raise _refusal(name, "is a random forest (its trees are averaged)", "Train with boosting=gbdt.")
    if "sqrt" in header.get("objective", "").split():
        raise _refusal(name, "was trained with reg_sqrt", "Train without reg_sqrt.")


def _tree_blocks(name: str, text: bytes, header: dict[str, str]) -> list[str]:
    """Each tree's lines, cut at the sizes that LightGBM itself will cut at."""
    start = text.index(b"\nTree=0\n") + 1
    blocks = []
    for index, size in enumerate(_integers(name, header.get("tree_sizes", ""))):
        block = text[start : start + size]
        if not block.startswith(f"Tree={index}\n".encode()) or block.count(b"Tree=") != 1:
            raise _damaged(name, f"tree_sizes does not lead to tree {index}")
        blocks.append(block.decode("ascii", "replace"))
        start += size
    if not text[start:].startswith(b"end of trees"):
        raise _damaged(name, "tree_sizes does not cover all trees")
    # LightGBM reads on without looking, and crashes where this is cut short
    if not re.fullmatch(_BEHIND_TREES, text[start:].decode("utf-8", "replace")):
        raise _damaged(name, "what follows the trees is not as LightGBM writes it")
    return blocks


def _tree(name: str, block: str, feature_count: int) -> Tree:
    fields = _fields(block)
    if fields.get("is_linear", "0") != "0":
        raise _refusal(name, "was trained with linear_tree", "Train without linear_tree.")
    if fields.get("num_cat") != "0":
        raise _refusal(name, "has categorical splits", "Give categories as one-hot columns in SQL.")
    _check_lines(name, block, _TREE_LINE)
    leaves = _integer(name, fields.get("num_leaves", ""))
    _check_lengths(name, fields, leaves)
    splits = leaves - 1
    decision = np.array(_integers(name, fields["decision_type"]) if splits else [], dtype=np.int64)
    missing = (decision >> 2) & 3
    if (decision & 1).any():
        raise _refusal(name, "has categorical splits", "Give categories as one-hot columns in SQL.")
    if (missing == _ZERO_IS_MISSING).any():
        raise _refusal(
            name, "was trained with zero_as_missing", "Train without it; SQL gives NULL where missing."
        )
    threshold = _exact_thresholds(_numbers(name, fields["threshold"]) if splits else np.zeros(0))
    as_zero = missing == _MISSING_AS_ZERO
    tree = Tree(
        feature=np.array(_integers(name, fields["split_feature"]) if splits else [], dtype=np.int64),
        threshold=threshold,
        missing_left=np.where(as_zero, threshold >= 0.0, (decision & 2) > 0),
        missing_as_zero=as_zero,
        left=np.array(_integers(name, fields["left_child"]) if splits else [], dtype=np.int64),
        right=np.array(_integers(name, fields["right_child"]) if splits else [], dtype=np.int64),
        leaf_value=_numbers(name, fields["leaf_value"]),
        split_rows=np.array(_integers(name, fields["internal_count"]) if splits else [], dtype=np.int64),
        leaf_rows=np.array(_integers(name, fields["leaf_count"]) if splits else [1], dtype=np.int64),
    )
    _check_tree(name, tree, feature_count)
    return tree


def _exact_thresholds(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds within LightGBM's zero band, moved to the edge where its answer changes."""
    in_band = np.abs(threshold) <= _ZERO_BAND
    return np.where(in_band, np.where(threshold >= 0, _ZERO_BAND, _BELOW_ZERO_BAND), threshold)


def _check_lengths(name: str, fields: dict[str, str], leaves: int) -> None:
    """LightGBM reads these arrays by their expected length, so each must have it."""
    if leaves < 1 or "leaf_value" not in fields:
        raise _damaged(name, "a tree without leaves")
    expected = dict.fromkeys(_PER_SPLIT + _PER_SPLIT_COVER, leaves - 1)
    # a constant tree has no weight
    expected |= dict.fromkeys(_PER_LEAF, leaves) if leaves > 1 else {"leaf_value": 1}
    for field, length in expected.items():
        if len(fields.get(field, "").split()) != length:
            raise _damaged(name, f"{field} does not have {length} entries")


def _check_tree(name: str, tree: Tree, feature_count: int) -> None:
    """Every split and leaf is reached exactly once, every number is usable."""
    splits, leaves = len(tree.feature), len(tree.leaf_value)
    children = np.sort(np.concatenate([tree.left, tree.right]))
    if splits and not (np.array_equal(children, np.r_[-leaves:0, 1:splits]) and _children_follow(tree)):
        raise _damaged(name, "the splits of a tree do not form a tree")
    if splits and not (tree.feature.min() >= 0 and tree.feature.max() < feature_count):
        raise _damaged(name, "a split uses a feature that the model does not have")
    if np.isnan(tree.threshold).any() or not np.isfinite(tree.leaf_value).all():
        raise _damaged(name, "a threshold or leaf value is not a number")
    if tree.leaf_rows.min() < 1 or (splits and tree.split_rows.min() < 1):
        raise _damaged(name, "a split or leaf that no training row reached")


def _children_follow(tree: Tree) -> bool:
    """LightGBM numbers splits in the order it made them, so a child split has a higher number: no cycles."""
    index = np.arange(len(tree.left))
    return all(bool((side[side >= 0] > index[side >= 0]).all()) for side in (tree.left, tree.right))


def _check_lines(name: str, block: str, known: re.Pattern[str]) -> None:
    """Each line is one that LightGBM writes; it parses others without care, even those nobody reads here."""
    for line in block.split("\n"):
        if not known.fullmatch(line):
            raise _damaged(name, f"{line[:60]!r} is no line of LightGBM's")


def _fields(block: str) -> dict[str, str]:
    """``key=value`` lines; a key that stands twice is refused: readers differ in which one they take."""
    pairs = [line.split("=", 1) for line in block.splitlines() if "=" in line]
    fields: dict[str, str] = {}
    for key, value in pairs:
        if key in fields:
            raise ExportError(
                f"LightGBM text is damaged: {key} stands twice. Train the model again (clv train)."
            )
        fields[key] = value
    return fields


def _integer(name: str, value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,12}", value):
        raise _damaged(name, f"{value!r} is not an integer")
    return int(value)


def _integers(name: str, value: str) -> list[int]:
    return [_integer(name, item) for item in value.split()]


def _numbers(name: str, value: str) -> NDArray[np.float64]:
    try:
        return np.array([float(item) for item in value.split()])
    except ValueError as error:
        raise _damaged(name, str(error)) from error


def _refusal(name: str, fault: str, remedy: str) -> ExportError:
    return ExportError(f"Booster {name!r} {fault}, which has no exact ONNX form here. {remedy}")


def _damaged(name: str, fault: str) -> ExportError:
    return ExportError(f"Text of booster {name!r} is damaged: {fault}. Train the model again (clv train).")
