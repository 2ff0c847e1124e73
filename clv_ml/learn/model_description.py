"""What a manifest says of a model besides its recipe: anchor, drivers, dates, importance, name."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date

import numpy as np

from clv_ml.learn.training_data import TrainingData
from clv_ml.measure.metrics import Array
from clv_ml.model.manifest import AnchorComponentSpec, AnchorOpening, ModelDescription
from clv_ml.model.onnx_export import export_onnx
from clv_ml.model.recipe import Recipe, Trees

Drivers = Mapping[str, tuple[str, ...]]
"""Columns to the facts that they are made of, columns themselves."""
SMALLEST_ANCHOR = 0.01
"""In the reporting currency: what drivers are measured against is no less."""


def anchor_reference(anchor: Array) -> float:
    """What drivers are measured against: the mean of the anchors, shape (n,)."""
    return max(SMALLEST_ANCHOR, float(anchor.mean()))


def anchor_opening(rows: TrainingData, column: str, drivers: Drivers) -> AnchorOpening | None:
    """
    How the anchor is made, and what each of its columns is compared with, its mean. None where nothing is
    known of how it is made.
    """
    made_of = rows.roles.made_of.get(column)
    if made_of is None:
        return None

    def added(name: str) -> AnchorComponentSpec:
        values = rows.anchor_components[name]
        known = values[~np.isnan(values)]
        mean = max(0.0, float(known.mean())) if known.size else 0.0
        return AnchorComponentSpec(name=name, reference=mean, driver=", ".join(drivers.get(name, ())))

    def multiplied(name: str) -> AnchorComponentSpec:
        spec = added(name)
        return spec if spec.reference > 0 else spec.model_copy(update={"reference": 1.0})

    return AnchorOpening(
        level=multiplied(made_of.level) if made_of.level else None,
        addends=tuple(map(added, made_of.addends)),
        product=added(made_of.product) if made_of.product else None,
        factors=tuple(map(multiplied, made_of.factors)),
        rest=made_of.rest,
    )


def feature_drivers(drivers: Drivers, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """The facts that the columns of a recipe are made of."""
    columns = (*recipe.features, *((recipe.anchor,) if recipe.anchor else ()))
    return {name: drivers[name] for name in columns if name in drivers}


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
