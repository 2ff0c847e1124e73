"""What a manifest says of a model besides its recipe: anchor, drivers, dates, importance, name."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date

import numpy as np

from clv_ml.learn.column_roles import ColumnRoles
from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array
from clv_ml.model.manifest import AnchorComponentSpec, ModelDescription
from clv_ml.model.onnx_export import export_onnx
from clv_ml.model.recipe import Recipe, Trees

SMALLEST_ANCHOR = 0.01
"""In the reporting currency: a smaller one counts as this in a geometric mean."""


def anchor_reference(anchor: Array) -> float:
    """What drivers are measured against: the geometric mean of the anchors, shape (n,)."""
    return float(np.exp(np.mean(np.log(np.maximum(anchor, SMALLEST_ANCHOR)))))


def anchor_components(
    rows: TrainingData, column: str, anchor: Array, reference: float
) -> tuple[AnchorComponentSpec, ...]:
    """
    What each component is compared with: of factors the geometric mean, as of the anchor itself, of
    addends their share of the reference.
    """
    made_of = rows.roles.made_of[column]
    factors = {name: _geometric_mean(rows.anchor_components[name]) for name in made_of.factors}
    addends = {
        name: float(rows.anchor_components[name].mean() * reference / anchor.mean())
        for name in made_of.addends
    }
    return tuple(AnchorComponentSpec(name=name, reference=mean) for name, mean in (factors | addends).items())


def _geometric_mean(values: Array) -> float:
    """Of those above 0; 1 where there is none."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if positive.size else 1.0


def feature_drivers(drivers: Mapping[str, str], recipe: Recipe, roles: ColumnRoles) -> dict[str, str]:
    """Features reported under another name; under a component of the anchor only where the anchor has it."""
    return {
        name: driver
        for name in recipe.features
        if (driver := drivers.get(name))
        and (recipe.anchor == roles.anchor or driver not in roles.made_of[roles.anchor].columns)
    }


def dates_by_use(data: TrainingData) -> dict[str, tuple[str, ...]]:
    """The dates of each split, and those of the refit."""
    dates = {split: data.dates(split) for split in ("train", "calibrate", "test")}
    dates["refit"] = np.unique(data.as_of[data.trainable])
    return {use: tuple(str(day) for day in days) for use, days in dates.items()}


def without_nan(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """The same for JSON, which has no number that is not finite."""
    return {
        estimator: {name: value if np.isfinite(value) else None for name, value in values.items()}
        for estimator, values in metrics.items()
    }


def named_by_content(description: ModelDescription, recipe: Recipe, as_of: date) -> ModelDescription:
    """With a version named after the content: the same fit has the same name and is not published twice."""
    content = json.dumps(description.model_dump(mode="json"), sort_keys=True).encode() + export_onnx(recipe)
    version = f"{description.model_type}-{as_of:%Y%m%d}-{hashlib.sha256(content).hexdigest()[:8]}"
    return description.model_copy(update={"version": version})


def importance(recipe: Recipe) -> dict[str, float]:
    """Share of the mean's split gain by feature, largest first."""
    gains = np.zeros(len(recipe.features))
    for term in recipe.outputs[0].terms:
        for factor in term.factors:
            if isinstance(factor, Trees):
                gain = recipe.boosters[factor.name].feature_importance("gain").astype(float)
                gains += gain / max(gain.sum(), 1e-300)
    total = gains.sum()
    order = np.argsort(-gains, kind="stable")
    return {recipe.features[place]: float(gains[place] / total) for place in order if gains[place] > 0}
