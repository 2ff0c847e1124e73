"""Booster = ONNX, on training rows, on every threshold and where values are missing."""

import lightgbm as lgb
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from small_models import anchors, booster, recipe, rows, target, trees_only

from clv_ml.errors import ExportError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.onnx_export import export_onnx
from clv_ml.model.onnx_session import evaluate, open_session
from clv_ml.model.parity import check_parity, probe_rows


def test_whole_recipe_agrees_with_lightgbm():
    """
    All links, two terms, shared booster, line and anchor: within 1e-12, a thousandth of the promise.
    """
    model = recipe()

    parity = check_parity(model, export_onnx(model), rows(), anchors())

    assert parity.rows > 300 + 11
    assert parity.worst_relative_difference < 1e-12


@pytest.mark.parametrize("link", ["exp", "sigmoid", "one_over_sigmoid", "relu", "identity"])
def test_every_link_agrees(link: str):
    """
    One booster under each link: within 1e-12.
    """
    model = trees_only(booster(rows(), target(rows())), link)

    assert check_parity(model, export_onnx(model), rows(), None).worst_relative_difference < 1e-12


def test_every_split_is_met_on_below_and_above_its_threshold():
    """
    Second way: for each split some probe carries the threshold itself and both neighbouring doubles.
    """
    table = rows()
    model = trees_only(booster(table, target(table)))
    probes = list(probe_rows(model, table))
    on_edges = np.concatenate([p.features for p in probes if p.kind == "threshold"])

    for tree in read_forest(booster_text(model.boosters["only"]), "m").trees:
        for feature, at in zip(tree.feature, tree.threshold, strict=True):
            for value in (np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf)):
                assert (on_edges[:, feature] == value).any()


def test_probes_reach_every_leaf():
    """
    Rows are placed to arrive at their split, so together they visit every leaf of every tree.
    """
    table = rows(60)
    model = booster(table, target(table), num_leaves=12, min_data_in_leaf=2)
    probes = np.concatenate([p.features for p in probe_rows(trees_only(model), table[:1])])

    leaves = model.predict(probes, pred_leaf=True)

    for index, tree in enumerate(read_forest(booster_text(model), "m").trees):
        assert set(leaves[:, index]) == set(range(len(tree.leaf_value)))


def test_probes_hold_each_feature_missing_and_all_missing():
    """
    Missing rows: each feature alone, all but each, all; and a chunk never exceeds its cap by more than one
    step.
    """
    table = rows(100)
    probes = list(probe_rows(trees_only(booster(table, target(table))), table, chunk_rows=64))
    missing = np.isnan(np.concatenate([p.features for p in probes if p.kind == "missing"]))

    assert missing.all(axis=1).any()
    assert all((missing[:, [feature]].all(axis=1)).any() for feature in range(5))
    assert max(len(p.features) for p in probes) <= 64


@pytest.mark.parametrize("kind", ["threshold", "missing", "training"])
def test_a_graph_that_differs_is_refused_with_output_kind_and_difference(kind: str):
    """
    One threshold moved by one step, one missing value routed the other way, one leaf off by 1e-6: each is
    caught.
    """
    table = rows()
    model = trees_only(booster(table, target(table)))
    graph = onnx.load_from_string(export_onnx(model))
    trees = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
    attributes = {a.name: a for a in trees.attribute}
    if kind == "threshold":
        splits = numpy_helper.to_array(attributes["nodes_splits"].t).copy()
        splits[0] = np.nextafter(splits[0], -np.inf)
        attributes["nodes_splits"].t.CopyFrom(numpy_helper.from_array(splits, "nodes_splits"))
    elif kind == "missing":
        routes = attributes["nodes_missing_value_tracks_true"].ints
        routes[:] = [1 - route for route in routes]
        table = np.nan_to_num(table)
    else:
        leaves = numpy_helper.to_array(attributes["leaf_weights"].t) + 1e-6
        attributes["leaf_weights"].t.CopyFrom(numpy_helper.from_array(leaves, "leaf_weights"))

    with pytest.raises(ExportError, match=f"'score'.*on {kind} rows.*relative difference"):
        check_parity(model, graph.SerializeToString(), table)


def test_parity_without_rows_is_refused():
    """
    A gate that compared nothing has not passed.
    """
    model = trees_only(booster(rows(), target(rows())))

    with pytest.raises(ExportError, match="at least one training row"):
        check_parity(model, export_onnx(model), np.zeros((0, 5)))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    leaves=st.integers(2, 12),
    missing=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    objective=st.sampled_from(["regression", "regression_l1", "tweedie", "gamma", "binary"]),
    boosting=st.sampled_from(["gbdt", "dart"]),
    scale=st.sampled_from([1e-35, 1e-3, 1.0, 1e9]),
    use_missing=st.booleans(),
)
def test_random_boosters_agree_bit_for_bit(seed, leaves, missing, objective, boosting, scale, use_missing):
    """
    Raw scores of random small models equal LightGBM's to the last bit, on every probe: same leaves, same
    order.
    """
    rng = np.random.default_rng(seed)
    table = np.round(rng.normal(size=(80, 3)), 1) * scale
    table[:, 1] = np.where(rng.random(80) < 0.4, 0.0, table[:, 1])
    table[rng.random(80) < missing, 2] = np.nan
    labels = rng.random(80) + np.isnan(table[:, 2]) + (table[:, 0] > 0) + 0.1
    labels = (labels > 1).astype(float) if objective == "binary" else labels
    params = {"objective": objective, "boosting": boosting, "num_leaves": leaves, "use_missing": use_missing}
    model = booster(table, labels, rounds=4, min_data_in_leaf=2, min_data_in_bin=1, **params)
    made = trees_only(model, features=("a", "b", "c"))
    session = open_session(export_onnx(made))

    for probe in probe_rows(made, table):
        found = evaluate(session, probe.features, None)["score"]
        np.testing.assert_array_equal(found, model.predict(probe.features, raw_score=True, num_threads=1))


def test_text_round_trip_predicts_the_same_bits():
    """
    What is stored is the text: a booster read back from it gives the same predictions on every probe.
    """
    table = rows()
    model = booster(table, target(table), rounds=20)
    back = lgb.Booster(model_str=booster_text(model))

    for probe in probe_rows(trees_only(model), table):
        np.testing.assert_array_equal(
            back.predict(probe.features, raw_score=True), model.predict(probe.features, raw_score=True)
        )
