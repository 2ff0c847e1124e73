"""
What customers would be with facts of others, in all that a score is made of: what drivers are judged by.

Written anew from the columns' descriptions.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clv_ml.model.model_files import LoadedModel
from clv_ml.model.prediction import predict
from clv_ml.serve.explanation import Contributions, explain

PACE, ORDER, RECENCY = "total_purchases", "avg_order_value", "days_since_last_purchase"


@dataclass(frozen=True)
class FactsGame:
    """A model, and by column the customers of one date. The facts are the players."""

    model: LoadedModel
    rows: dict[str, NDArray]
    facts: tuple[str, ...]

    def mixed(self, own: NDArray, other: NDArray, kept: NDArray) -> dict[str, NDArray]:
        """
        All columns of customers at the places ``own``, shape (m,), each with the facts that it does not keep
        from the one at the place ``other``; ``kept`` has shape (m, facts).
        """
        rows, manifest = self.rows, self.model.manifest
        place = {name: index for index, name in enumerate(self.facts)}

        def of(values: NDArray, fact: str) -> NDArray:
            return np.where(kept[:, place[fact]], values[own], values[other])

        pace, order = rows["expected_pace"], rows["expected_order_value"]
        product, spend, anchor = (
            rows[f"anchor_{name}"] for name in ("probabilistic", "persistence", "value")
        )

        def expected(money: NDArray) -> NDArray:
            return of(pace, PACE) * of(order, ORDER) * of(money / (pace * order), RECENCY)

        made = {name: rows[name][own] for name in manifest.explained_columns}
        made |= {"expected_pace": of(pace, PACE), "expected_order_value": of(order, ORDER)}
        made |= {"anchor_probabilistic": expected(product), "anchor_persistence": of(spend, "revenue_365d")}
        # what rounding leaves is part of what past purchases let expect
        same = np.median(anchor - product - spend)
        made["anchor_value"] = made["anchor_persistence"] + same + expected(anchor - spend - same)
        for name in manifest.feature_names:
            values, facts = rows[name], manifest.feature_drivers.get(name, (name,))
            if name == "log_anchor_to_mean":
                made[name] = values[own] + np.log(made["anchor_value"] / anchor[own])
            elif name == "log_buying_odds":
                made[name] = np.log(made["expected_pace"]) + of(values - np.log(pace), RECENCY)
            elif name.endswith("_to_anchor"):
                money = of(values * anchor, facts[0]) if len(facts) == 1 else expected(values * anchor)
                made[name] = money / made["anchor_value"]
            else:
                made[name] = of(values, facts[0])
        return made

    def worth(self, own: NDArray, other: NDArray, kept: NDArray) -> NDArray:
        """Predictions of the same, shape (m,)."""
        made = self.mixed(own, other, kept)
        features = np.column_stack([made[name] for name in self.model.manifest.feature_names])
        return predict(self.model.recipe, features, made["anchor_value"])["clv_predicted"]

    def explained(
        self, own: NDArray, other: NDArray | None = None, kept: NDArray | None = None
    ) -> Contributions:
        """Drivers of the same, or of customers as they are."""
        if other is None or kept is None:
            made = {name: values[own] for name, values in self.rows.items()}
        else:
            made = self.mixed(own, other, kept)
        return explain(self.model, pa.RecordBatch.from_pydict(made))

    def shapley(self, customer: int, others: NDArray, orders: int) -> NDArray:
        """
        A customer's interventional Shapley values, shape (facts,): the mean change in random orders, an even
        number of them, and in the same ones backwards, against every other customer in turn.
        """
        count = len(self.facts)
        rng = np.random.default_rng(customer)
        ranks = np.array([rng.permutation(count) for _ in range(orders // 2)])
        ranks = np.concatenate([ranks, count - 1 - ranks])
        kept = ranks[:, None, :] < np.arange(count + 1)[None, :, None]
        against = np.tile(np.resize(others, orders // 2), 2)
        worth = self.worth(
            np.full(kept.shape[0] * kept.shape[1], customer),
            np.repeat(against, count + 1),
            kept.reshape(-1, count),
        )
        changes = np.diff(worth.reshape(orders, count + 1), axis=1)
        return np.take_along_axis(changes, ranks, axis=1).mean(axis=0)
