"""Held-out predictions: nobody is predicted by what was learned from them."""

import numpy as np
from made_rows import made_rows

from clv_ml.learn.out_of_sample import out_of_fold
from clv_ml.learn.training_data import Customers, TrainingData
from clv_ml.model.recipe import Recipe


def test_out_of_fold_nobody_is_predicted_by_what_was_learned_from_them():
    """
    Ninety customers on two known dates, ten of them and five strangers on the date to predict: each by a fit
    on other people, and with all of the others' rows.
    """
    names = np.array([f"c{number:02}" for number in range(90)])
    known = made_rows(np.ones(180), customer=np.tile(names, 2), recency=np.arange(180.0))
    rows = made_rows(np.ones(15), customer=np.append(names[:10], [f"s{number}" for number in range(5)]))
    learned, predicted = [], []

    def fit(others: TrainingData, today: Customers) -> Recipe:
        learned.append(others.customer)
        predicted.append(today)
        return Recipe(known.names, None, ())

    held_out = out_of_fold(rows, fit, known)

    assert held_out.rows is rows
    for number, (others, today) in enumerate(zip(learned, predicted, strict=True)):
        mine = rows.customer[held_out.fold == number]
        assert len(today.anchor) == mine.size
        assert not set(mine) & set(others)
        assert (np.unique(others, return_counts=True)[1] == 2).all()
    assert sum(others.size for others in learned) == 2 * 180
