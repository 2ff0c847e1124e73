"""
Small fitted models for tests: quick to train, with missing values, ties, zeros and constant trees.
"""

from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from clv_ml.model.manifest import ModelDescription
from clv_ml.model.model_files import LoadedModel, write_model
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees

FEATURES = ("days_since_last_purchase", "total_revenue", "orders", "preferred_dow_sin", "preferred_dow_cos")


def rows(count: int = 300, seed: int = 0) -> NDArray[np.float64]:
    """
    Shape (count, 5). The second and fourth column have missing values; the third is small counts with zeros.
    """
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, 5)) * np.array([40.0, 1e6, 1.0, 1.0, 1.0])
    table[:, 2] = rng.poisson(1.0, count)
    table[rng.random(count) < 0.3, 1] = np.nan
    table[rng.random(count) < 0.1, 3] = np.nan
    return table


def booster(
    table: NDArray[np.float64], target: NDArray[np.float64], rounds: int = 8, **params: object
) -> lgb.Booster:
    """
    A small booster on one thread; parameters override the defaults.
    """
    settings = {"verbose": -1, "num_threads": 1, "num_leaves": 6, "min_data_in_leaf": 5, "seed": 1, **params}
    return lgb.train(settings, lgb.Dataset(table, target, params=settings), rounds)


def target(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    A positive target that depends on every kind of column, missing values included.
    """
    return (
        np.exp(table[:, 0] / 60 + np.isnan(table[:, 1]) + 0.3 * table[:, 2])
        + 0.2 * np.nan_to_num(table[:, 3]) ** 2
    )


def anchors(count: int = 300, seed: int = 1) -> NDArray[np.float64]:
    """
    Positive anchors in currency, shape (count,).
    """
    return np.exp(np.random.default_rng(seed).normal(3.0, 1.0, count))


def recipe() -> Recipe:
    """
    Every part of the grammar: two-term anchored mean, anchored relu, a line with limits as a chance, a power
    of what is beyond one half, a line as the offset of trees, identity without anchor.
    """
    table = rows()
    spend = booster(table, target(table), objective="tweedie")
    buys = booster(table, (target(table) > 2).astype(float), objective="binary")
    typical = booster(table, target(table) - 2, objective="regression_l1")
    medians = tuple(np.nanmedian(table, axis=0).tolist())
    line = Line(
        "churn_line",
        coefficients=(0.01, 1e-7, -0.2, 0.1, 0.0),
        missing_coefficients=(0.0, 0.4, 0.0, -0.1, 0.0),
        medians=medians,
        intercept=-0.1,
        link="sigmoid",
        lowest=tuple(np.nanquantile(table, 0.2, axis=0).tolist()),
        highest=tuple(np.nanquantile(table, 0.8, axis=0).tolist()),
    )
    offset = Line(
        "offset",
        coefficients=(0.0, 2e-7, 0.3, 0.0, 0.0),
        missing_coefficients=(0.0, -0.2, 0.0, 0.0, 0.0),
        medians=medians,
        intercept=0.2,
        link="identity",
    )
    mean = (
        Term(0.5, (Trees("spend", "exp"),), anchored=True),
        Term(0.5, (Trees("buys", "sigmoid", 1.1, -0.2), Trees("spend", "exp", 0.5)), anchored=True),
    )
    outputs = (
        Output("clv_predicted", mean),
        Output("clv_typical", (Term(1.0, (Trees("typical", "relu"),), anchored=True),)),
        Output("churn_probability", (Term(1.0, (line,), anchored=False),)),
        Output(
            "clv_median",
            (
                Term(
                    0.8,
                    (
                        Trees("spend", "exp"),
                        Trees("buys", "one_over_sigmoid", 1.1, 0.3, offset=offset),
                        Trees("buys", "excess", 1.1, 0.3, power=0.4, offset=offset),
                    ),
                    anchored=True,
                ),
            ),
        ),
        Output("clv_plain", (Term(2.0, (Trees("typical", "identity", 3.0, 1.0),), anchored=False),)),
    )
    return Recipe(FEATURES, "clv_anchor", outputs, {"spend": spend, "buys": buys, "typical": typical})


def trees_only(model: lgb.Booster, link: str = "identity", features: tuple[str, ...] = FEATURES) -> Recipe:
    """
    One booster as the only output, ``score``, without anchor.
    """
    outputs = (Output("score", (Term(1.0, (Trees("only", link),), anchored=False),)),)
    return Recipe(features, None, outputs, {"only": model})


def description(version: str = "v1", **changes: object) -> ModelDescription:
    """
    What a trainer would say of the small model.
    """
    fields = {
        "version": version,
        "model_type": "anchored_boosting",
        "feature_hash": "abc123",
        "horizon_days": 365,
        "reporting_currency": "GBP",
        "anchor_reference": 20.0,
        "training_dates": {"train": ("2011-01-01", "2011-02-01"), "test": ("2011-03-01",)},
        "parameters": {"num_leaves": 6},
        "metrics": {"test": {"gini": 0.8}},
        "calibration": {"coverage": 0.8, "bins": []},
    }
    return ModelDescription(**{**fields, **changes})


def published(models_dir: Path, version: str = "v1") -> LoadedModel:
    """
    The small model, written and read back.
    """
    return write_model(models_dir, recipe(), description(version), rows(), anchors())
