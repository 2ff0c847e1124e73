"""
A whole recipe as one ONNX graph in double precision. The same recipe gives the same bytes.

Inputs are ``features`` (double [N, F]) and, where the recipe has one, ``anchor`` (double [N]); there is one
double [N] per output. Trees become ``TreeEnsemble`` nodes with double thresholds: the common converters round
them to float32, which sends rows down the wrong branch. Where LightGBM reads a missing value as 0, so does
the graph.

The chance is ``1 / (1 + exp(-s))``, since ONNX Runtime's own Sigmoid is 9e-12 off, and 0 below -50.
"""

import re

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from clv_ml.errors import ExportError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.forest import Forest
from clv_ml.model.onnx_trees import tree_attributes
from clv_ml.model.recipe import INPUTS, Line, Output, Recipe, Term, Trees, booster_names, check_recipe

FEATURES, ANCHOR = INPUTS
ONNX_OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
OPERATORS = {
    ("ai.onnx.ml", "TreeEnsemble"),
    *(("", op) for op in ("Squeeze", "Identity", "Mul", "Add", "Neg", "Exp", "Reciprocal", "Relu", "Pow")),
    *(("", op) for op in ("IsNaN", "Where", "Cast", "MatMul", "Min", "Max")),
}


def export_onnx(recipe: Recipe) -> bytes:
    """
    The recipe as a serialized ``ModelProto``.

    Raises:
        ExportError: If the recipe contradicts itself or a booster is of a kind that has no exact export.
    """
    return _Graph(recipe).build().SerializeToString(deterministic=True)


def forests(recipe: Recipe) -> dict[str, Forest]:
    """Each booster's trees by its name, checked against the recipe's features."""
    check_recipe(recipe)
    return {
        name: _checked(read_forest(booster_text(recipe.boosters[name]), name), recipe)
        for name in booster_names(recipe.outputs)
    }


def features_without_missing(recipe: Recipe) -> tuple[str, ...]:
    """
    Features in which some tree saw no missing value in training, so that a NULL is scored as 0, in order.
    """
    as_zero: set[int] = set()
    for forest in forests(recipe).values():
        for tree in forest.trees:
            as_zero.update(tree.feature[tree.missing_as_zero].tolist())
    return tuple(recipe.features[index] for index in sorted(as_zero))


def _checked(forest: Forest, recipe: Recipe) -> Forest:
    expected = tuple(re.sub(r"\s", "_", name) for name in recipe.features)
    if len(forest.feature_names) != len(expected):
        raise ExportError(
            f"Booster {forest.name!r} was trained on {len(forest.feature_names)} features, the recipe has "
            f"{len(expected)}. Train it on the recipe's features."
        )
    unnamed = forest.feature_names == tuple(f"Column_{index}" for index in range(len(expected)))
    if not unnamed and forest.feature_names != expected:
        first = next(i for i, name in enumerate(expected) if forest.feature_names[i] != name)
        raise ExportError(
            f"Booster {forest.name!r} has feature {forest.feature_names[first]!r} where the recipe has "
            f"{recipe.features[first]!r}. Train it on the recipe's features, in their order."
        )
    return forest


class _Graph:
    """Nodes and constants under construction; tensors are shared by name, so a booster is evaluated once."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.forests = forests(recipe)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.made: set[str] = set()

    def build(self) -> onnx.ModelProto:
        for output in self.recipe.outputs:
            self.output(output)
        inputs = [_tensor(FEATURES, ["N", len(self.recipe.features)])]
        if self.recipe.anchor is not None:
            inputs.append(_tensor(ANCHOR, ["N"]))
        outputs = [_tensor(output.name, ["N"]) for output in self.recipe.outputs]
        graph = helper.make_graph(self.nodes, "clv", inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", ONNX_OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="clv-ml")

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Adds the node unless its output already exists."""
        if output not in self.made:
            self.made.add(output)
            # pyrefly: ignore[bad-argument-type]
            self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, dtype=np.float64))

    def output(self, output: Output) -> None:
        terms = [self.term(term, f"{output.name}/{index}") for index, term in enumerate(output.terms)]
        total = terms[0]
        for index, term in enumerate(terms[1:], start=1):
            total = self.node("Add", [total, term], f"{output.name}/sum{index}")
        self.node("Identity", [total], output.name)

    def term(self, term: Term, path: str) -> str:
        """The factors' product, times anchor, times weight: the order in which `prediction.predict` works."""
        product = ""
        for index, factor in enumerate(term.factors):
            value = self.link(self.margin(factor, f"{path}/{index}"), factor.link, f"{path}/{index}")
            if isinstance(factor, Trees) and factor.power != 1:
                power = self.scalar(f"{path}/{index}/exponent", factor.power)
                value = self.node("Pow", [value, power], f"{path}/{index}/power")
            product = self.node("Mul", [product, value], f"{path}/product{index}") if index else value
        if term.anchored:
            product = self.node("Mul", [product, ANCHOR], f"{path}/anchored") if product else ANCHOR
        return self.node("Mul", [product, self.scalar(f"{path}/weight", term.weight)], f"{path}/weighted")

    def margin(self, factor: Trees | Line, path: str) -> str:
        if isinstance(factor, Line):
            return self.line(factor)
        score = self.trees(self.forests[factor.name])
        if factor.offset is not None:
            score = self.node("Add", [score, self.line(factor.offset)], f"{path}/score")
        scaled = self.node("Mul", [score, self.scalar(f"{path}/slope", factor.slope)], f"{path}/scaled")
        return self.node(
            "Add", [scaled, self.scalar(f"{path}/intercept", factor.intercept)], f"{path}/margin"
        )

    def link(self, margin: str, link: str, path: str) -> str:
        if link == "exp":
            return self.node("Exp", [margin], f"{path}/exp")
        if link == "relu":
            return self.node("Relu", [margin], f"{path}/relu")
        if link in ("sigmoid", "one_over_sigmoid"):
            odds = self.node("Exp", [self.node("Neg", [margin], f"{path}/neg")], f"{path}/odds")
            inverse = self.node("Add", [odds, self.scalar("one", 1.0)], f"{path}/plus")
            return self.node("Reciprocal", [inverse], f"{path}/p") if link == "sigmoid" else inverse
        if link == "excess":
            beyond = self.node("Relu", [margin], f"{path}/relu")
            odds = self.node("Exp", [self.node("Neg", [beyond], f"{path}/neg")], f"{path}/odds")
            one = self.scalar("one", 1.0)
            above = self.node("Add", [one, self.node("Neg", [odds], f"{path}/minus_odds")], f"{path}/above")
            chance = self.node("Reciprocal", [self.node("Add", [odds, one], f"{path}/plus")], f"{path}/p")
            return self.node("Mul", [above, chance], f"{path}/excess")
        if link == "identity":
            return margin
        raise ExportError(
            f"Link {link!r} is unknown. Use exp, sigmoid, one_over_sigmoid, excess, relu or identity."
        )

    def line(self, line: Line) -> str:
        missing = self.node("IsNaN", [FEATURES], "missing")
        medians = self.constant(f"{line.name}/medians", np.array([line.medians]))
        filled = self.node("Where", [missing, medians, FEATURES], f"{line.name}/filled")
        if line.lowest:
            highest = self.constant(f"{line.name}/highest", np.array([line.highest]))
            lowest = self.constant(f"{line.name}/lowest", np.array([line.lowest]))
            below = self.node("Min", [filled, highest], f"{line.name}/below")
            filled = self.node("Max", [below, lowest], f"{line.name}/within")
        flags = self.node("Cast", [missing], "missing_flags", to=TensorProto.DOUBLE)
        seen = self.constant(f"{line.name}/coefficients", np.array([line.coefficients]).T)
        unseen = self.constant(f"{line.name}/missing_coefficients", np.array([line.missing_coefficients]).T)
        known = self.node("MatMul", [filled, seen], f"{line.name}/known")
        absent = self.node("MatMul", [flags, unseen], f"{line.name}/absent")
        total = self.node("Add", [known, absent], f"{line.name}/total")
        axis = self.constant("axis", np.array([1], dtype=np.int64))
        flat = self.node("Squeeze", [total, axis], f"{line.name}/flat")
        return self.node(
            "Add", [flat, self.scalar(f"{line.name}/intercept", line.intercept)], f"{line.name}/margin"
        )

    def trees(self, forest: Forest) -> str:
        trees = self.node(
            "TreeEnsemble", [FEATURES], f"{forest.name}/trees", domain="ai.onnx.ml", **tree_attributes(forest)
        )
        axis = self.constant("axis", np.array([1], dtype=np.int64))
        return self.node("Squeeze", [trees, axis], f"{forest.name}/score")


def _tensor(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
