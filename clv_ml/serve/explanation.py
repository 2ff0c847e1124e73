"""
Exact drivers: what each fact about a customer added to or took from a prediction, in its own unit.

``anchor_drivers`` has what the anchor is made of, ``facts`` what columns are made of, and ``term_changes``
what facts change in a term. A column that is made of several facts, such as the anchor over the mean, is
shared by them as they share the anchor.
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
from clv_ml.serve.anchor_drivers import ANCHOR_DRIVER, OpenedAnchor, anchor_parts
from clv_ml.serve.columns import Batch, feature_matrix
from clv_ml.serve.facts import facts_of
from clv_ml.serve.term_changes import ExplainedRows, term_change
from clv_ml.serve.tree_shap import ExplainedForest, explain_forest, shap_values


@dataclass(frozen=True)
class Contributions:
    """
    ``base + values.sum(axis=1) == prediction``, up to the rounding of that sum.

    ``base`` and ``prediction`` have shape (n,); ``values`` and ``inputs`` (n, K), one column per name of
    ``drivers``, the column of a fact. ``inputs`` is what that column was in that row; NaN where it is not
    known.
    """

    drivers: tuple[str, ...]
    base: Array
    values: Array
    prediction: Array
    inputs: Array


def explain(model: LoadedModel, batch: Batch) -> Contributions:
    """
    Every driver of ``clv_predicted``, a fact as the manifest names it, for rows found by column name.

    Raises:
        FeatureMismatchError: Naming each column that is missing or not a number.
    """
    manifest = model.manifest
    features = feature_matrix(batch, manifest.feature_names, manifest.version)
    others = manifest.explained_columns[len(manifest.feature_names) :]
    columns = dict(zip(manifest.feature_names, features.T, strict=True))
    columns |= dict(zip(others, feature_matrix(batch, others, manifest.version).T, strict=True))
    anchor = columns.get(manifest.anchor) if manifest.anchor else None
    opened = OpenedAnchor(manifest.anchor_opening, columns) if manifest.anchor_opening else None
    groups = dict(manifest.feature_drivers)
    if manifest.anchor:
        groups[ANCHOR_DRIVER] = groups.get(manifest.anchor, (manifest.anchor,))
    return contributions(model, features, anchor, opened=opened, groups=groups, facts=columns)


def contributions(
    model: LoadedModel | Recipe,
    features: Array,
    anchor: Array | None,
    output: str = "clv_predicted",
    *,
    anchor_reference: float | None = None,
    opened: OpenedAnchor | None = None,
    groups: Mapping[str, tuple[str, ...]] | None = None,
    facts: Mapping[str, Array] | None = None,
) -> Contributions:
    """
    What each driver contributed to one output, for every row.

    Args:
        features: Shape (n, F), in the recipe's order, NaN where missing.

        anchor: Shape (n,), in the output's unit; None where the recipe has none.

        anchor_reference: The anchor to compare with; the manifest's where a loaded model is given.

        opened: Gives the inputs of the anchor's formula a driver each, in place of one called ``anchor``.

        groups: Column to the facts that it is made of; a column that is not here is one itself.

        facts: Values of the facts that are no feature, by name, shape (n,) each.

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
    known = dict(zip(recipe.features, features.T, strict=True)) | dict(facts or {})
    groups, parts = groups or {}, []
    if anchor is not None and anchor_reference is not None and recipe.anchor is not None:
        known = {ANCHOR_DRIVER: anchor, recipe.anchor: anchor} | known
        whole = groups.get(ANCHOR_DRIVER, (ANCHOR_DRIVER,))[0]
        parts = anchor_parts(anchor, anchor_reference, opened, whole)
    owners = facts_of([groups.get(name, (name,)) for name in recipe.features], parts, len(features))
    scores = {name: tree_contributions(recipe.boosters[name], features) for name in booster_names((wanted,))}
    rows = ExplainedRows(features, owners, scores)
    values = np.zeros((len(features), len(owners.names)))
    for term in wanted.terms:
        values += term.weight * term_change(term, rows).by_fact
    inputs = np.column_stack([known.get(name, np.full(len(features), np.nan)) for name in owners.names])
    # what rounding leaves goes into the base
    prediction = _prediction(model, features, anchor)[output]
    return Contributions(owners.names, prediction - values.sum(axis=1), values, prediction, inputs)


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


def _prediction(model: LoadedModel | Recipe, features: Array, anchor: Array | None) -> Mapping[str, Array]:
    """Each output of the rows, by the graph where there is one."""
    if isinstance(model, Recipe):
        return predict(model, features, anchor)
    return evaluate(model.session, features, anchor)
