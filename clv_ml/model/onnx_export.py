"""
A whole recipe as one ONNX graph in double precision.

Inputs are ``features`` (double [N, F]) and, where the recipe has one, ``anchor`` (double [N]); there is one
double [N] per output. Trees become ``ai.onnx.ml`` 5 ``TreeEnsemble`` nodes with double thresholds: the common
converters round thresholds to float32, which sends rows down the wrong branch. The graph is faithful to
LightGBM, also where LightGBM reads a missing value as 0 (`features_without_missing` names those features, so
that a manifest can say so).

The chance is ``1 / (1 + exp(-s))`` because ONNX Runtime's own Sigmoid is an approximation (9e-12 off, and 0
below -50). The same recipe always gives the same bytes, so a stored graph can be compared with its boosters'
text.
"""

import re
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from clv_ml.errors import ExportError
from clv_ml.model.booster_text import Forest, booster_text, read_forest
from clv_ml.model.onnx_trees import tree_attributes
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees

FEATURES, ANCHOR = "features", "anchor"
ONNX_OPSET, ML_OPSET, IR_VERSION = 21, 5, 10
OPERATORS = {
    ("ai.onnx.ml", "TreeEnsemble"),
    *(("", op) for op in ("Squeeze", "Identity", "Mul", "Add", "Neg", "Exp", "Reciprocal", "Relu", "Pow")),
    *(("", op) for op in ("IsNaN", "Where", "Cast", "MatMul")),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def export_onnx(recipe: Recipe) -> bytes:
    """
    The recipe as a serialized ``ModelProto``; the same recipe gives the same bytes.

    Raises:
        ExportError: If the recipe contradicts itself or a booster is of a kind that has no exact export.
    """
    return _Graph(recipe).build().SerializeToString(deterministic=True)


def forests(recipe: Recipe) -> dict[str, Forest]:
    """Each booster's trees by its name, checked against the recipe's features."""
    check_recipe(recipe)
    found = {}
    for factor in recipe_factors(recipe):
        if isinstance(factor, Trees) and factor.name not in found:
            found[factor.name] = _checked(read_forest(booster_text(factor.booster), factor.name), recipe)
    return found


def features_without_missing(recipe: Recipe) -> tuple[str, ...]:
    """
    Features in which some tree saw no missing value in training, and so reads one as 0, in feature order.

    A NULL in such a column is scored like a 0. That is LightGBM's answer and the export keeps it; the
    manifest lists them.
    """
    as_zero: set[int] = set()
    for forest in forests(recipe).values():
        for tree in forest.trees:
            as_zero.update(tree.feature[tree.missing_as_zero].tolist())
    return tuple(recipe.features[index] for index in sorted(as_zero))


def recipe_factors(recipe: Recipe) -> Iterator[Trees | Line]:
    """All factors of all outputs, in order, each followed by the line beside it."""
    for output in recipe.outputs:
        for term in output.terms:
            yield from _factors(term)


def _factors(term: Term) -> Iterator[Trees | Line]:
    for factor in term.factors:
        yield factor
        if isinstance(factor, Trees) and factor.beside is not None:
            yield factor.beside


def check_recipe(recipe: Recipe) -> None:
    """
    Refuses a recipe that contradicts itself.

    Raises:
        ExportError: Naming the feature, output, booster or line at fault.
    """
    names = [output.name for output in recipe.outputs]
    for what, items in (("feature", recipe.features), ("output", names)):
        if not items or len(set(items)) != len(items):
            raise ExportError(
                f"The recipe has no {what}s, or one twice: {', '.join(items)}. Name each one once."
            )
    for name in names + [factor.name for factor in recipe_factors(recipe)]:
        if not _NAME.fullmatch(name) or name in (FEATURES, ANCHOR):
            raise ExportError(
                f"{name!r} cannot name an output, booster or line. Use small letters, digits and _."
            )
    for output in recipe.outputs:
        _check_output(output, recipe)
    _check_shared_names(recipe)


def _check_output(output: Output, recipe: Recipe) -> None:
    if not output.terms:
        raise ExportError(f"Output {output.name!r} has no terms. Give it at least one.")
    for term in output.terms:
        if term.anchored and recipe.anchor is None:
            raise ExportError(
                f"Output {output.name!r} is anchored but the recipe has no anchor. Name its column."
            )
        if not (term.factors or term.anchored):
            raise ExportError(
                f"Output {output.name!r} has a term without factor or anchor. Add one or drop the term."
            )
        numbers = [term.weight, *(value for factor in _factors(term) for value in _numbers(factor))]
        if not np.isfinite(numbers).all():
            raise ExportError(
                f"Output {output.name!r} has a weight or coefficient that is not finite. Refit it."
            )
        for factor in _factors(term):
            if isinstance(factor, Line) and any(len(v) != len(recipe.features) for v in _vectors(factor)):
                raise ExportError(
                    f"Line {factor.name!r} does not have {len(recipe.features)} coefficients, missing "
                    "coefficients and medians, one per feature. Refit it on the recipe's features."
                )


def _vectors(line: Line) -> tuple[NDArray[np.float64], ...]:
    return line.coefficients, line.missing_coefficients, line.medians


def _numbers(factor: Trees | Line) -> list[float]:
    if isinstance(factor, Trees):
        return [factor.slope, factor.intercept, factor.power]
    return [factor.intercept, *np.concatenate(_vectors(factor)).tolist()]


def _check_shared_names(recipe: Recipe) -> None:
    """One name, one booster: the name is also its file."""
    seen: dict[str, object] = {}
    for factor in recipe_factors(recipe):
        content = factor.booster if isinstance(factor, Trees) else _numbers(factor)
        known = seen.setdefault(factor.name, content)
        if known is not content and not (isinstance(content, list) and known == content):
            raise ExportError(f"Two different boosters or lines are called {factor.name!r}. Rename one.")


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
        """
        The factors' product, then times anchor, then times weight: the order in which `parity.predict` works.
        """
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
        if factor.beside is not None:
            score = self.node("Add", [score, self.line(factor.beside)], f"{path}/score")
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
        medians = self.constant(f"{line.name}/medians", line.medians.reshape(1, -1))
        filled = self.node("Where", [missing, medians, FEATURES], f"{line.name}/filled")
        flags = self.node("Cast", [missing], "missing_flags", to=TensorProto.DOUBLE)
        seen = self.constant(f"{line.name}/coefficients", line.coefficients.reshape(-1, 1))
        unseen = self.constant(f"{line.name}/missing_coefficients", line.missing_coefficients.reshape(-1, 1))
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
