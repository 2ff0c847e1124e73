"""
Exact drivers: what each feature, and the anchor, added to or took from a prediction, in its own unit.

``term_changes`` has a driver's change of one term, ``anchor_drivers`` that of the anchor's components; here
they are added up, and columns of one driver together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import lightgbm as lgb
import numpy as np

from clv_ml.errors import ModelError
from clv_ml.measure.metrics import Array
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.onnx_session import evaluate
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Output, Recipe, booster_names
from clv_ml.serve.anchor_drivers import ANCHOR_DRIVER, AnchorComponents, anchor_drivers
from clv_ml.serve.columns import Batch, feature_matrix
from clv_ml.serve.term_changes import ExplainedRows, term_change
from clv_ml.serve.tree_shap import ExplainedForest, explain_forest, shap_values


@dataclass(frozen=True)
class Contributions:
    """
    ``base + values.sum(axis=1) == prediction``, up to the rounding of that sum.

    ``base`` and ``prediction`` have shape (n,); ``values`` and ``inputs`` (n, K), one column per name of
    ``drivers``. ``inputs`` is what the driver was in that row: its value, or, where several columns are one
    driver, the value of the one that bears its name; NaN where none does.
    """

    drivers: tuple[str, ...]
    base: Array
    values: Array
    prediction: Array
    inputs: Array


def explain(model: LoadedModel, batch: Batch) -> Contributions:
    """
    Every driver of ``clv_predicted``, named as the manifest groups them, for rows found by column name.

    Raises:
        FeatureMismatchError: Naming each column that is missing or not a number.
    """
    manifest = model.manifest
    features = feature_matrix(batch, manifest.feature_names, manifest.version)
    groups, anchor, components = dict(manifest.feature_drivers), None, None
    if manifest.anchor:
        anchor = feature_matrix(batch, (manifest.anchor,), manifest.version)[:, 0]
        groups[ANCHOR_DRIVER] = manifest.anchor
    if manifest.anchor_components:
        names = tuple(component.name for component in manifest.anchor_components)
        reference = np.array([component.reference for component in manifest.anchor_components])
        values = feature_matrix(batch, names, manifest.version)
        components = AnchorComponents(names, values, reference, manifest.anchor_factors)
    return contributions(model, features, anchor, anchor_components=components, groups=groups)


def contributions(
    model: LoadedModel | Recipe,
    features: Array,
    anchor: Array | None,
    output: str = "clv_predicted",
    *,
    anchor_reference: float | None = None,
    anchor_components: AnchorComponents | None = None,
    groups: Mapping[str, str] | None = None,
) -> Contributions:
    """
    What each driver contributed to one output, for every row.

    Args:
        features: Shape (n, F), in the recipe's order, NaN where missing.

        anchor: Shape (n,), in the output's unit; None where the recipe has none.

        anchor_reference: The anchor to compare with; the manifest's where a loaded model is given.

        anchor_components: Gives the anchor a driver per component, and one for the rest of it.

        groups: Feature to driver name, for features that mean something only together. An anchor without
            components is called ``anchor`` unless renamed here.

    Raises:
        ModelError: If the output is unknown or an anchored recipe lacks its reference.
    """
    recipe = model if isinstance(model, Recipe) else model.recipe
    if anchor_reference is None and isinstance(model, LoadedModel):
        anchor_reference = model.manifest.anchor_reference
    wanted = _output(recipe, output)
    if recipe.anchor is not None and (anchor is None or not (anchor_reference and anchor_reference > 0)):
        raise ModelError(
            "Drivers of an anchored model need each row's anchor and a reference above 0. Pass both."
        )
    names, inputs, shares = recipe.features, features, np.zeros((len(features), 0))
    if anchor is not None and anchor_reference is not None and recipe.anchor is not None:
        anchor_names, anchor_inputs, shares = anchor_drivers(anchor, anchor_reference, anchor_components)
        names, inputs = (*names, *anchor_names), np.column_stack([features, anchor_inputs])
    scores = {name: tree_contributions(recipe.boosters[name], features) for name in booster_names((wanted,))}
    rows = ExplainedRows(features, anchor, anchor_reference or 1.0, shares, scores)
    change = np.zeros((len(features), len(names)))
    for term in wanted.terms:
        change += term.weight * term_change(term, rows).by_driver
    return _grouped(names, change, inputs, _prediction(model, rows)[output], groups or {})


def tree_contributions(booster: lgb.Booster, features: Array) -> Array:
    """Exact SHAP values of the raw score, shape (n, F + 1); the last column is the expected score."""
    return shap_values(_explained(booster), features)


@lru_cache(maxsize=16)
def _explained(booster: lgb.Booster) -> ExplainedForest:
    """A fitted booster's tables, made once."""
    return explain_forest(read_forest(booster_text(booster), "explained"))


def _output(recipe: Recipe, name: str) -> Output:
    for output in recipe.outputs:
        if output.name == name:
            return output
    known = ", ".join(output.name for output in recipe.outputs)
    raise ModelError(f"The model has no output {name!r}; it has {known}. Name one of them.")


def _prediction(model: LoadedModel | Recipe, rows: ExplainedRows) -> Mapping[str, Array]:
    """Each output of the rows, by the graph where there is one."""
    if isinstance(model, Recipe):
        return predict(model, rows.features, rows.anchor)
    return evaluate(model.session, rows.features, rows.anchor)


def _grouped(
    names: tuple[str, ...], change: Array, inputs: Array, prediction: Array, groups: Mapping[str, str]
) -> Contributions:
    """Columns of one driver added up; what rounding leaves goes into the base."""
    owner = [groups.get(name, name) for name in names]
    drivers = tuple(dict.fromkeys(owner))
    values = np.zeros((len(change), len(drivers)))
    seen = np.full((len(change), len(drivers)), np.nan)
    for index, driver in enumerate(owner):
        at = drivers.index(driver)
        values[:, at] += change[:, index]
        if owner.count(driver) == 1 or names[index] == driver:
            seen[:, at] = inputs[:, index]
    return Contributions(drivers, prediction - values.sum(axis=1), values, prediction, seen)
