"""
What a recipe predicts, by LightGBM and NumPy: the reference that the ONNX graph must agree with.

Needs no ONNX Runtime, so that fits and tests can ask it.
"""

from collections.abc import Mapping

import lightgbm as lgb
import numpy as np

from clv_ml.errors import ExportError
from clv_ml.measure.metrics import Array
from clv_ml.model.recipe import Line, Recipe, Trees, booster_names


def predict(recipe: Recipe, features: Array, anchor: Array | None = None) -> dict[str, Array]:
    """
    Each output of the recipe, shape (n,), by its name; features of shape (n, F) in the recipe's order,
    NaN where missing, and the anchor, shape (n,), where the recipe has one.
    """
    if recipe.anchor is not None and anchor is None:
        raise ExportError(f"The recipe is anchored on {recipe.anchor!r}. Pass the anchor of each row.")
    scores = {name: raw_score(recipe.boosters[name], features) for name in booster_names(recipe.outputs)}
    outputs = {}
    for output in recipe.outputs:
        total = np.zeros(len(features))
        for index, term in enumerate(output.terms):
            product = np.ones(len(features))
            for factor in term.factors:
                product = product * factor_of(factor, margin(factor, features, scores))
            if term.anchored and anchor is not None:
                product = product * anchor
            total = total + product * term.weight if index else product * term.weight
        outputs[output.name] = total
    return outputs


def raw_score(booster: lgb.Booster, features: Array) -> Array:
    """The booster's sum of leaves, shape (n,), on one thread."""
    if not len(features):
        return np.zeros(0)
    return np.asarray(booster.predict(features, raw_score=True, num_threads=1), dtype=np.float64)


def margin(factor: Trees | Line, features: Array, scores: Mapping[str, Array]) -> Array:
    """A factor before its link, shape (n,), from the features and the raw scores by booster."""
    if isinstance(factor, Line):
        return line_score(factor, features)
    score = scores[factor.name]
    if factor.offset is not None:
        score = score + line_score(factor.offset, features)
    return score * factor.slope + factor.intercept


def line_score(line: Line, features: Array) -> Array:
    """A line before its link, shape (n,)."""
    known = filled(line, features) @ np.array(line.coefficients)
    return known + np.isnan(features) @ np.array(line.missing_coefficients) + line.intercept


def filled(line: Line, features: Array) -> Array:
    """What a line reads: medians for the missing, and nothing beyond its limits. Shape (n, F)."""
    values = np.where(np.isnan(features), line.medians, features)
    return np.clip(values, line.lowest, line.highest) if line.lowest else values


def factor_of(factor: Trees | Line, margin: Array) -> Array:
    """What a term is multiplied by, from the factor's margin: link(margin) to its power. Shape (n,)."""
    value = link(margin, factor.link)
    return value if isinstance(factor, Line) or factor.power == 1 else value**factor.power


def link(margin: Array, name: str) -> Array:
    """Margin through its link, both of shape (n,)."""
    with np.errstate(over="ignore"):
        if name == "exp":
            return np.exp(margin)
        if name == "sigmoid":
            return 1.0 / (1.0 + np.exp(-margin))
        if name == "one_over_sigmoid":
            return 1.0 + np.exp(-margin)
        if name == "excess":
            odds = np.exp(-np.maximum(margin, 0.0))
            return (1.0 - odds) * (1.0 / (1.0 + odds))
    return np.maximum(margin, 0.0) if name == "relu" else margin
