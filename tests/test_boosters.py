"""What the boosters learn: their targets, by hand."""

import numpy as np
import pytest
from made_rows import DAY, made_rows

from clv_ml.learn.boosters import BOOSTERS, Parameters, ratio


def test_the_cap_cuts_windfalls_and_no_ordinary_order():
    """
    With a cap of 8: eight times the anchor of a large customer, eight mean anchors for a small one; mean
    anchor 40.
    """
    rows = made_rows(
        np.array([900.0, 300.0, 500.0, 0.0]), anchor=np.array([100.0, 20.0, 20.0, 20.0]), recency=np.ones(4)
    )
    capped = BOOSTERS["spend"].target(rows, rows.revenue / rows.anchor, Parameters(ratio_cap=8.0))
    assert capped * rows.anchor == pytest.approx([800.0, 300.0, 8 * 40.0, 0.0])


def test_the_cap_knows_each_date_by_itself():
    """A date of small anchors is not measured by the mean of another."""
    rows = made_rows(
        np.full(4, 1e6),
        anchor=np.array([1.0, 3.0, 100.0, 300.0]),
        as_of=np.array([DAY, DAY, DAY + 1, DAY + 1]),
    )
    capped = BOOSTERS["spend"].target(rows, rows.revenue / rows.anchor, Parameters(ratio_cap=8.0))
    assert capped * rows.anchor == pytest.approx([16.0, 24.0, 1600.0, 2400.0])


def test_ratios_have_each_dates_total_taken_out():
    """Twice as much was spent on the second date by everybody: the trees see the same ratios."""
    rows = made_rows(
        np.array([10.0, 30.0, 20.0, 60.0]),
        anchor=np.array([20.0, 20.0, 20.0, 20.0]),
        as_of=np.array([DAY, DAY, DAY + 1, DAY + 1]),
    )
    assert ratio(rows) == pytest.approx([0.5, 1.5, 0.5, 1.5])
