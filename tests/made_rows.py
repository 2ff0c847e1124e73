"""Training rows made up for tests, without a warehouse."""

import numpy as np

from clv_ml.learn.candidates import CANDIDATE_BASELINES
from clv_ml.learn.column_roles import ColumnRoles
from clv_ml.learn.training_data import TrainingData

ROLES = ColumnRoles(
    features=frozenset({"days_since_last_purchase"}),
    anchor="anchor_value",
    baselines={name: f"{name}_value" for name in CANDIDATE_BASELINES},
    made_of={},
)
DAY = np.datetime64("2024-06-01")


def made_rows(revenue: np.ndarray, anchor: np.ndarray | None = None, **changes: object) -> TrainingData:
    """
    n customers of one date, whose only feature is the recency: ``recency`` days, or 10 each. ``baselines``
    names those that are not NULL; other keywords replace fields.
    """
    count = revenue.size
    recency = np.asarray(changes.pop("recency", np.full(count, 10.0)), dtype=float)
    given = changes.pop("baselines", {})
    fields = {
        "names": ("days_since_last_purchase",),
        "types": ("integer",),
        "values": recency[:, None],
        "anchor": np.ones(count) if anchor is None else anchor,
        "anchor_components": {},
        "revenue": revenue,
        "purchases": (revenue > 0).astype(float),
        "trainable": np.ones(count, dtype=bool),
        "customer": np.array([f"c{number:05}" for number in range(count)]),
        "as_of": np.full(count, DAY),
        "split": np.full(count, "calibrate"),
        "behavior": np.full(count, "regular"),
        "baselines": {name: given.get(name, np.full(count, np.nan)) for name in ROLES.baselines},
        "roles": ROLES,
    }
    return TrainingData(**{**fields, **changes})
