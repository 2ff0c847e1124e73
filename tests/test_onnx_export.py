"""The ONNX graph of a recipe, and what has none."""

import dataclasses

import lightgbm as lgb
import numpy as np
import onnx
import pytest
from small_models import FEATURES, booster, recipe, rows, target, trees_only

from clv_ml.errors import ExportError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.onnx_export import OPERATORS, export_onnx, features_without_missing
from clv_ml.model.onnx_session import evaluate, open_session
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees


def test_graph_is_valid_onnx_with_named_double_inputs_and_outputs():
    """
    The checker accepts the graph; inputs and outputs are double and carry the contract's names.
    """
    graph = onnx.load_from_string(export_onnx(recipe())).graph

    onnx.checker.check_model(onnx.load_from_string(export_onnx(recipe())), full_check=True)
    assert [i.name for i in graph.input] == ["features", "anchor"]
    assert [o.name for o in graph.output] == [
        "clv_predicted",
        "clv_typical",
        "churn_probability",
        "clv_median",
        "clv_plain",
    ]
    assert {v.type.tensor_type.elem_type for v in [*graph.input, *graph.output]} == {onnx.TensorProto.DOUBLE}


def test_a_booster_used_by_several_terms_is_exported_once():
    """
    Three boosters in five places give three TreeEnsemble nodes, and only listed operators are used.
    """
    nodes = onnx.load_from_string(export_onnx(recipe())).graph.node

    assert sum(node.op_type == "TreeEnsemble" for node in nodes) == 3
    assert {(node.domain, node.op_type) for node in nodes} <= OPERATORS


def test_export_is_deterministic():
    """
    The same recipe gives the same bytes, so a stored graph can be compared with its boosters.
    """
    model = recipe()

    assert export_onnx(model) == export_onnx(model)


def test_thresholds_inside_the_zero_band_stand_at_its_edge():
    """
    LightGBM reads input within 1e-35 of zero as zero, so its split at -1e-35 sends -1e-35 itself to the
    right.
    """
    rng = np.random.default_rng(0)
    table = np.where(rng.random((500, 1)) < 0.4, 0.0, rng.normal(size=(500, 1)))
    model = booster(table, (table[:, 0] == 0) * 3.0 + (table[:, 0] > 0))
    band = float(np.float32(1e-35))
    probes = np.array([-1.0, np.nextafter(-band, -1), -band, 0, band, np.nextafter(band, 1), 1])[:, None]
    assert "threshold=-1.0000000180025095e-35" in booster_text(model)

    found = evaluate(open_session(export_onnx(trees_only(model, features=("x",)))), probes, None)["score"]

    np.testing.assert_array_equal(found, model.predict(probes, raw_score=True))
    assert found[1] != found[2] == found[3]


def test_infinite_threshold_survives():
    """
    A split that asks only "is it missing?" has threshold inf, which dump_model() would turn into 1e300.
    """
    table = rows()
    model = booster(table, np.isnan(table[:, 1]) * 5.0 + table[:, 2])
    thresholds = np.concatenate([t.threshold for t in read_forest(booster_text(model), "m").trees])
    probes = table[:4].copy()
    probes[:, 1] = np.inf, 1e305, -np.inf, np.nan

    found = evaluate(open_session(export_onnx(trees_only(model))), probes, None)["score"]

    assert np.isinf(thresholds).any()
    np.testing.assert_array_equal(found, model.predict(probes, raw_score=True))


def test_constant_model_is_its_one_leaf():
    """
    A booster that found no split has one tree of one leaf, from boost_from_average.
    """
    table = rows(40)
    model = booster(table, target(table), min_data_in_leaf=100)

    found = evaluate(open_session(export_onnx(trees_only(model))), table, None)["score"]

    np.testing.assert_array_equal(found, np.full(40, model.predict(table[:1], raw_score=True)[0]))


def test_constant_trees_among_others_are_kept():
    """
    A text may hold a single-leaf tree between real ones; its value counts.
    """
    table = rows(40)
    constant = booster_text(booster(table, target(table) + 7, min_data_in_leaf=100, rounds=1))
    real = booster_text(booster(table, target(table), rounds=2))
    leaf = constant[constant.index("Tree=0") : constant.index("end of trees")].replace("Tree=0", "Tree=2")
    model = lgb.Booster(model_str=_with_sizes(real.replace("end of trees", leaf + "end of trees", 1)))

    found = evaluate(open_session(export_onnx(trees_only(model))), table, None)["score"]

    assert model.num_trees() == 3
    np.testing.assert_array_equal(found, model.predict(table, raw_score=True))


def test_early_stopped_booster_is_exported_up_to_its_best_iteration():
    """
    LightGBM predicts with the best iteration, and so does the graph.
    """
    table = rows()
    model = booster(table, target(table))
    model.best_iteration = 3

    found = evaluate(open_session(export_onnx(trees_only(model))), table, None)["score"]

    np.testing.assert_array_equal(found, model.predict(table, raw_score=True))
    assert not np.array_equal(found, model.predict(table, raw_score=True, num_iteration=8))


def test_features_without_missing_are_named():
    """
    Columns whose training rows were complete read a missing value as 0; those that had some do not.
    """
    table = rows()
    model = booster(table, target(table), rounds=30)

    assert features_without_missing(trees_only(model)) == (FEATURES[0], FEATURES[2], FEATURES[4])


@pytest.mark.filterwarnings("ignore:categorical_feature keyword")
@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"linear_tree": True}, "linear_tree"),
        ({"reg_sqrt": True}, "reg_sqrt"),
        ({"zero_as_missing": True}, "zero_as_missing"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random forest"),
        ({"categorical_feature": "2", "min_data_per_group": 1, "cat_smooth": 1}, "categorical"),
        ({"objective": "multiclass", "num_class": 3}, "several classes"),
    ],
)
def test_models_without_exact_export_are_refused(params: dict[str, object], fault: str):
    """
    Each kind of model that common converters export silently wrong is refused by name.
    """
    table = rows()
    labels = table[:, 2].clip(0, 2) if "num_class" in params else (table[:, 2] == 1) * 5.0 + target(table)
    model = booster(table, labels, **params)

    with pytest.raises(ExportError, match=f"'only'.*{fault}"):
        export_onnx(trees_only(model))


def test_text_without_trees_is_refused():
    """
    Nothing was trained: there is no score to export.
    """
    table = rows()
    text = booster_text(booster(table, target(table)))

    with pytest.raises(ExportError, match="has no trees"):
        read_forest(text[: text.index("Tree=0")], "m")


def test_feature_count_and_names_must_be_the_recipes():
    """
    A booster trained on other columns, or the same in another order, is refused.
    """
    table = rows()
    model = booster(table, target(table))
    data = lgb.Dataset(table, target(table), feature_name=list(FEATURES[::-1]))
    named = lgb.train({"verbose": -1, "num_threads": 1}, data, 2)

    with pytest.raises(ExportError, match="5 features, the recipe has 4"):
        export_onnx(trees_only(model, features=FEATURES[:4]))
    with pytest.raises(
        ExportError, match="'preferred_dow_cos' where the recipe has 'days_since_last_purchase'"
    ):
        export_onnx(trees_only(named))


def _line(**changes: object) -> Line:
    numbers = (0.0,) * 5
    return dataclasses.replace(Line("line", numbers, numbers, numbers, 0.0, "identity"), **changes)


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ((), "no outputs"),
        ((Output("a", ()),), "no terms"),
        ((Output("a", (Term(1.0, (), False),)),), "without factor or anchor"),
        ((Output("a", (Term(1.0, (_line(),), True),)),), "no anchor"),
        ((Output("A b", (Term(1.0, (_line(),), False),)),), "cannot name"),
        ((Output("anchor", (Term(1.0, (_line(),), False),)),), "cannot name"),
        ((Output("a", (Term(np.nan, (_line(),), False),)),), "not finite"),
        ((Output("a", (Term(1.0, (_line(medians=(0.0,) * 4),), False),)),), "does not have 5"),
        ((Output("a", (Term(1.0, (_line(highest=(1.0,) * 5),), False),)),), "does not have 5"),
        ((Output("a", (Term(1.0, (_line(), _line(intercept=1.0)), False),)),), "called 'line'"),
        ((Output("a", (Term(1.0, (_line(link="probit"),), False),)),), "'probit' is unknown"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(outputs: tuple[Output, ...], fault: str):
    """
    The message names the output or line at fault.
    """
    with pytest.raises(ExportError, match=fault):
        export_onnx(Recipe(FEATURES, None, outputs))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (_line(medians=(0.0,) * 4), "does not have 5"),
        (_line(intercept=np.inf), "not finite"),
        (_line(name="A b"), "cannot name"),
    ],
)
def test_the_offset_of_trees_is_checked_like_any_line(line: Line, fault: str):
    """
    By size, numbers and name.
    """
    table = rows()
    outputs = (Output("a", (Term(1.0, (Trees("only", "exp", offset=line),), False),)),)

    with pytest.raises(ExportError, match=fault):
        export_onnx(Recipe(FEATURES, None, outputs, {"only": booster(table, target(table))}))


def test_repeated_feature_is_refused():
    """
    Columns are found by name, so a name stands once.
    """
    outputs = (Output("a", (Term(1.0, (_line(),), False),)),)

    with pytest.raises(ExportError, match="one twice"):
        export_onnx(Recipe(("x",) * 5, None, outputs))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("left_child=", "left_child=0 ", "left_child does not have"),
        ("max_feature_idx=4", "max_feature_idx=3", "disagree"),
        ("tree_sizes=", "tree_sizes=9", "tree_sizes does not lead|does not cover"),
        ("leaf_value=", "leaf_value=x", "is no line of|tree_sizes"),
        ("internal_value=", "internal_value=\x12", "is no line of"),
        ("num_leaves=6", "num_leaves=1", "does not have 0 entries"),
        ("end of parameters", "end of", "what follows the trees"),
    ],
)
def test_damaged_text_is_refused_before_lightgbm_reads_it(old: str, new: str, fault: str):
    """
    LightGBM trusts its text (sizes, child numbers) and may read past its end; we look first.
    """
    table = rows()
    text = booster_text(booster(table, target(table)))

    with pytest.raises(ExportError, match=fault):
        read_forest(_with_sizes(text.replace(old, new, 1), fix=not old.startswith("tree_sizes")), "m")


def test_text_whose_splits_form_a_cycle_is_refused():
    """
    A child that points back would make LightGBM walk forever.
    """
    table = rows()
    text = booster_text(booster(table, target(table)))
    children = text.split("left_child=", 1)[1].split("\n", 1)[0]
    bad = " ".join("0" if int(c) > 0 else c for c in children.split())
    bad = bad if bad != children else "0 " + children.split(" ", 1)[1]

    with pytest.raises(ExportError, match="do not form a tree"):
        read_forest(_with_sizes(text.replace(f"left_child={children}", f"left_child={bad}", 1)), "m")


def test_text_with_a_cycle_beside_the_root_is_refused():
    """
    Each child stands once, yet splits 1 and 2 point at each other and nothing leads to them.
    """
    table = rows()
    text = booster_text(booster(table, target(table), rounds=1, num_leaves=4))
    lines = {"left_child": "-1 2 1", "right_child": "-2 -3 -4"}
    for field, children in lines.items():
        old = text.split(f"{field}=", 1)[1].split("\n", 1)[0]
        text = text.replace(f"{field}={old}", f"{field}={children}", 1)

    with pytest.raises(ExportError, match="do not form a tree"):
        read_forest(_with_sizes(text), "m")


def _with_sizes(text: str, fix: bool = True) -> str:
    """The text with tree_sizes made true again, as an attacker would."""
    if not fix:
        return text
    body = text[text.index("Tree=0") : text.index("end of trees")]
    sizes = " ".join(str(len("Tree=" + part)) for part in body.split("Tree=")[1:])
    line = next(line for line in text.splitlines() if line.startswith("tree_sizes="))
    return text.replace(line, f"tree_sizes={sizes}", 1)


@pytest.mark.parametrize(("name", "fault"), [("line", "called 'line'"), ("other", "no booster 'only'")])
def test_a_name_means_one_booster(name: str, fault: str):
    """
    The name is also the booster's file: no line may have it, and there is one behind each name.
    """
    table = rows()
    trees = Trees("line" if name == "line" else "only", "exp")
    outputs = (Output("a", (Term(1.0, (trees, _line()), anchored=False),)),)

    with pytest.raises(ExportError, match=fault):
        export_onnx(Recipe(FEATURES, None, outputs, {name: booster(table, target(table))}))
