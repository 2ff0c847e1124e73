"""A model for notebooks: load, predict, explain. The database's own kernel, so the same bits."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clv_ml.errors import ModelError
from clv_ml.model import registry
from clv_ml.model.interval_bins import RECENCY
from clv_ml.model.manifest_files import recorded_sha256
from clv_ml.model.model_files import LoadedModel, load_model
from clv_ml.serve.columns import feature_matrix
from clv_ml.serve.explanation import explain
from clv_ml.serve.narrative import read_language
from clv_ml.serve.scoring import score

Rows = pd.DataFrame | pa.Table


@dataclass(frozen=True)
class Explanation:
    """
    Why a customer is worth what the model says, in the reporting currency.

    ``base + sum(contributions.values()) == prediction``, by the column of each fact. ``values`` has what that
    column was, NaN where it is missing. ``top_positive`` and ``top_negative`` hold up
    to three names each, strongest first. ``narrative`` speaks of all drivers, that of ``customer_narratives``
    of those that ``drivers_kept`` left.
    """

    base: float
    prediction: float
    contributions: Mapping[str, float]
    values: Mapping[str, float]
    top_positive: tuple[str, ...]
    top_negative: tuple[str, ...]
    narrative: str


class Predictor:
    """
    A checked model version. Make one with ``Predictor.load``. A row that lacks a column, or has something
    else than a number in one, is refused with a FeatureMismatchError that names it.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    @classmethod
    def load(cls, models: Path | str, version: str | None = None) -> "Predictor":
        """
        The champion of a model folder, or the version named.

        Raises:
            ModelError: If there is no champion, or the version is absent or damaged.
        """
        model = registry.load(Path(models), version)
        if model is None:
            raise ModelError(f"{models} has no champion. Train one (clv train) or name a version.")
        return cls(model)

    @property
    def version(self) -> str:
        """The model's version."""
        return self._model.manifest.version

    @property
    def columns(self) -> tuple[str, ...]:
        """
        The columns of a row: features (NULL is allowed), the anchor with its components, and the
        recency.
        """
        return tuple(dict.fromkeys((*self._model.manifest.explained_columns, RECENCY)))

    def save(self, models: Path | str) -> Path:
        """
        Copies the version, with the record of its hash, into another model folder and checks the copy.

        Raises:
            ModelError: If the version is there already.
        """
        source, target = self._model.folder, Path(models) / self.version
        if target.exists():
            raise ModelError(f"{target} exists. Versions never change: save into another folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        record = source.with_name(f"{source.name}.sha256")
        shutil.copy2(record, target.with_name(record.name))
        shutil.copytree(source, target)
        load_model(target, recorded_sha256(target))
        return target

    def predict(self, customer: Mapping[str, Any]) -> dict[str, float | None]:
        """One customer: a value per column (None where missing) gives the fields of ``predict_batch``."""
        return self._scored(pa.Table.from_pylist([dict(customer)])).to_pylist()[0]

    def predict_batch(self, rows: Rows) -> pd.DataFrame:
        """
        Many customers: n rows, found by column name, give n rows in the same order, with a column per
        output (NaN where there is none) and ``clv_low``, ``clv_high`` and
        ``clv_prediction_confidence``, as in ``customer_predictions``.
        """
        scored = self._scored(_as_table(rows)).to_pandas()
        return scored.set_index(rows.index) if isinstance(rows, pd.DataFrame) else scored

    def _scored(self, table: pa.Table) -> pa.Table:
        scores = score(self._model, table)
        columns = {field.name: scores.field(field.name) for field in scores.type}
        predicted = columns["clv_predicted"].to_numpy(zero_copy_only=False)
        bins = self._model.intervals
        if bins.bins:
            recency = feature_matrix(table, (RECENCY,), self.version)[:, 0]
            confidence = bins.confidence(predicted, np.nan_to_num(recency))
            columns["clv_prediction_confidence"] = pa.array(confidence, mask=np.isnan(predicted))
        return pa.table(columns)

    def explain(self, customer: Mapping[str, Any]) -> Explanation:
        """Why ``clv_predicted`` is what it is, feature by feature; exact SHAP values turned into currency."""
        found = explain(self._model, pa.Table.from_pylist([dict(customer)]))
        by_name = dict(zip(found.drivers, found.values[0].tolist(), strict=True))
        strongest = sorted(by_name, key=lambda name: -abs(by_name[name]))
        up = tuple(name for name in strongest if by_name[name] > 0)[:3]
        down = tuple(name for name in strongest if by_name[name] < 0)[:3]
        values = dict(zip(found.drivers, found.inputs[0].tolist(), strict=True))
        drivers = [(name, values[name], by_name[name]) for name in strongest]
        base, prediction = float(found.base[0]), float(found.prediction[0])
        return Explanation(
            base=base,
            prediction=prediction,
            contributions=by_name,
            values=values,
            top_positive=up,
            top_negative=down,
            narrative=read_language(self._model.manifest.reporting_currency).narrative(
                prediction, base, drivers, customer
            ),
        )


def _as_table(rows: Rows) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False) if isinstance(rows, pd.DataFrame) else rows
