"""How many trees: half way to early stopping, by hand, and the default where nothing can be checked."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_rows

from clv_ml.learn import boosters
from clv_ml.learn.boosters import BOOSTERS, Parameters, choose_rounds


def test_the_number_of_trees_goes_half_way_to_early_stopping(monkeypatch: pytest.MonkeyPatch):
    """
    Three folds that stop after 10, 20 and 60 trees, 30 in the mean, and a default of 150: 90. With too few
    customers for folds the default stays.
    """
    rows = made_rows(np.arange(1.0, 7.0))
    stops = iter([10, 20, 60] * len(BOOSTERS))
    monkeypatch.setattr(boosters, "_best_round", lambda *_: next(stops))

    assert choose_rounds(rows, rows, Parameters(default_rounds=150)) == dict.fromkeys(BOOSTERS, 90)
    few = rows.only(np.arange(6) < 2)
    assert choose_rounds(few, few, Parameters(default_rounds=150)) == dict.fromkeys(BOOSTERS, 150)


def test_where_nothing_can_be_checked_the_number_of_trees_stays():
    """Nobody to check on, or nobody of them bought: that says nothing of how many trees are best."""
    rows = made_rows(np.random.default_rng(1).gamma(1.0, 30.0, 300), recency=np.arange(300.0))
    usual = Parameters().default_rounds

    assert choose_rounds(rows, rows.only(np.zeros(300, dtype=bool)), Parameters()) == dict.fromkeys(
        BOOSTERS, usual
    )
    nothing = replace(rows, revenue=np.zeros(300), purchases=np.zeros(300))
    assert choose_rounds(rows, nothing, Parameters())["spend"] == usual
    assert choose_rounds(rows, nothing, Parameters())["amount"] == usual
