"""SHAP values of trees equal LightGBM's own ``pred_contrib``, for every shape of tree that it can grow."""

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import booster

from clv_ml.errors import ExportError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.serve import tree_shap
from clv_ml.serve.tree_paths import leaves_of
from clv_ml.serve.tree_shap import ExplainedForest, explain_forest, shap_values


def _table(count: int, features: int, missing: float, seed: int) -> np.ndarray:
    """Shape (count, features): continuous, counts with many ties and zeros, some missing."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, features))
    table[:, ::3] = rng.poisson(1.0, table[:, ::3].shape)
    table[rng.random(table.shape) < missing] = np.nan
    return table


def _grown(table: np.ndarray, rounds: int = 5, **params: object) -> lgb.Booster:
    """A booster on a target of interactions and missing flags, so that paths are long and varied."""
    rng = np.random.default_rng(1)
    filled = np.nan_to_num(table, nan=2.0)
    signs = rng.normal(size=table.shape[1])
    target = filled @ signs + (filled * np.roll(filled, 1, axis=1)) @ signs + rng.normal(size=len(table))
    return booster(table, target, rounds, min_data_in_leaf=2, **params)


def _forest(model: lgb.Booster) -> ExplainedForest:
    return explain_forest(read_forest(booster_text(model), "test"))


def _agree(model: lgb.Booster, rows: np.ndarray, forest: ExplainedForest | None = None) -> None:
    """Within 1e-9 of the row's largest value, expected score included."""
    expected = np.asarray(model.predict(rows, pred_contrib=True, num_threads=1))
    found = shap_values(forest or _forest(model), rows)
    size = np.abs(expected).max(axis=1, keepdims=True) + 1e-12
    assert (np.abs(found - expected) <= 1e-9 * size).all()


@settings(max_examples=25, deadline=None)
@given(
    leaves=st.integers(2, 40),
    depth=st.sampled_from([-1, 1, 2, 4, 6, 9]),
    features=st.integers(1, 14),
    missing=st.sampled_from([0.0, 0.02, 0.5]),
    seed=st.integers(0, 1000),
)
def test_any_booster_agrees_with_pred_contrib(leaves, depth, features, missing, seed):
    """
    Few features (met again and again on a path) to many, stumps to deep trees; rows with missing values,
    infinities and values in LightGBM's zero band, whether or not training saw any missing.
    """
    model = _grown(_table(300, features, missing, seed), num_leaves=leaves, max_depth=depth)
    rows = _table(60, features, 0.2, seed + 1)
    rows[0], rows[1], rows[2], rows[3] = np.inf, -np.inf, 1e-36, np.nan

    _agree(model, rows)


def test_rows_on_every_threshold_agree():
    """
    A row on a split goes left, one step above goes right: both sides of each threshold, feature by feature.
    """
    table = _table(300, 4, 0.1, 0)
    model = _grown(table, num_leaves=12)
    rows = [table[:20]]
    for tree in read_forest(booster_text(model), "test").trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            for value in (threshold, np.nextafter(threshold, np.inf)):
                row = table[:1].copy()
                row[0, feature] = value
                rows.append(row)

    _agree(model, np.concatenate(rows))


def test_paths_too_long_for_a_table_are_integrated():
    """
    With tables of 1, 16 and 512 patterns the same values: any leaf may take either way.
    """
    table = np.random.default_rng(3).normal(size=(3000, 16))
    # the first feature that is high decides, so each split leaves the rest to the next feature
    first = np.where((table > 0.7).any(axis=1), (table > 0.7).argmax(axis=1), 16)
    model = booster(table, 1.5 ** (16 - first), rounds=3, num_leaves=60, max_depth=-1, min_data_in_leaf=2)
    paths = [leaf.path for tree in read_forest(booster_text(model), "test").trees for leaf in leaves_of(tree)]
    assert max(map(len, paths)) > tree_shap.TABLE_BITS

    found = {}
    for bits in (0, 4, tree_shap.TABLE_BITS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tree_shap, "TABLE_BITS", bits)
            forest = _forest(model)
        assert any(tree.deep for tree in forest.trees)
        _agree(model, table[:100], forest)
        found[bits] = shap_values(forest, table[:100])

    np.testing.assert_allclose(found[0], found[4], rtol=1e-9, atol=1e-12)


def test_trees_without_a_split_are_their_expected_score():
    """
    A constant target grows no split; a booster of such trees explains nothing and expects the constant.
    """
    table = _table(50, 3, 0.0, 0)
    model = booster(table, np.full(50, 7.0), rounds=3)

    found = shap_values(_forest(model), table)

    np.testing.assert_array_equal(found[:, :3], 0.0)
    np.testing.assert_allclose(found[:, 3], model.predict(table, raw_score=True))
    _agree(model, table)


def test_bits_do_not_depend_on_batch_or_order(monkeypatch: pytest.MonkeyPatch):
    """
    One by one, in odd batches, shuffled, or all at once with another block size: the same bits.
    """
    table = _table(700, 6, 0.1, 5)
    forest = _forest(_grown(table, num_leaves=31, max_depth=6))
    whole = shap_values(forest, table)

    order = np.random.default_rng(0).permutation(len(table))
    np.testing.assert_array_equal(shap_values(forest, table[order]), whole[order])
    for start, stop in ((0, 1), (1, 8), (8, 700)):
        np.testing.assert_array_equal(shap_values(forest, table[start:stop]), whole[start:stop])
    monkeypatch.setattr(tree_shap, "BLOCK_ROWS", 97)
    np.testing.assert_array_equal(shap_values(forest, table), whole)


def test_no_rows_have_no_values():
    """Empty in, empty out."""
    forest = _forest(_grown(_table(100, 3, 0.0, 0)))

    assert shap_values(forest, np.zeros((0, 3))).shape == (0, 4)


def test_a_leaf_that_nobody_reached_is_refused():
    """
    Its share of training rows would be 0 / 0: such a text was not written by LightGBM.
    """
    text = booster_text(_grown(_table(100, 3, 0.0, 0), rounds=1))
    line = next(line for line in text.splitlines() if line.startswith("leaf_count="))
    first, *others, last = line.split("=")[1].split()
    # of the same length, which the text's tree_sizes must match
    damaged = "leaf_count=" + " ".join(["0", *others, last + "0" * (len(first) - 1)])

    with pytest.raises(ExportError, match="no training row reached"):
        read_forest(text.replace(line, damaged), "test")
