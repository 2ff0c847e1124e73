"""The paths of a LightGBM tree: the splits that lead to each leaf, and how many rows stay on each."""

from dataclasses import dataclass

from clv_ml.model.forest import Tree


@dataclass(frozen=True)
class Test:
    """One split on a path, and the side that stays on it."""

    split: int
    left: bool


@dataclass(frozen=True)
class Step:
    """All of a path's splits on one feature; ``share`` of the training rows stays on the path there."""

    feature: int
    tests: tuple[Test, ...]
    share: float


@dataclass(frozen=True)
class Leaf:
    """A leaf and the features of its path, each once."""

    value: float
    path: tuple[Step, ...]


def leaves_of(tree: Tree) -> tuple[Leaf, ...]:
    """The leaves by number."""
    paths: list[tuple[Step, ...]] = [()] * len(tree.leaf_value)
    for split, path in enumerate(split_paths(tree)):
        for left, child in ((True, tree.left[split]), (False, tree.right[split])):
            if child < 0:
                paths[~child] = _extended(tree, path, split, left)
    return tuple(Leaf(float(value), path) for value, path in zip(tree.leaf_value, paths, strict=True))


def split_paths(tree: Tree) -> list[tuple[Step, ...]]:
    """The path to each split. A child has a higher number than its parent."""
    paths: list[tuple[Step, ...]] = [()] * len(tree.feature)
    for split in range(len(tree.feature)):
        for left, child in ((True, tree.left[split]), (False, tree.right[split])):
            if child >= 0:
                paths[child] = _extended(tree, paths[split], split, left)
    return paths


def _extended(tree: Tree, path: tuple[Step, ...], split: int, left: bool) -> tuple[Step, ...]:
    """The path one split further; a feature met before keeps its place."""
    child = tree.left[split] if left else tree.right[split]
    rows = tree.split_rows[child] if child >= 0 else tree.leaf_rows[~child]
    step = Step(int(tree.feature[split]), (Test(split, left),), float(rows / tree.split_rows[split]))
    for at, known in enumerate(path):
        if known.feature == step.feature:
            joined = Step(step.feature, known.tests + step.tests, known.share * step.share)
            return (*path[:at], joined, *path[at + 1 :])
    return (*path, step)


def splits_below(tree: Tree) -> list[list[int]]:
    """For every split, itself and those below it."""
    below: list[list[int]] = [[split] for split in range(len(tree.feature))]
    for split in reversed(range(len(tree.feature))):
        for child in (tree.left[split], tree.right[split]):
            below[split] += below[child] if child >= 0 else []
    return below
