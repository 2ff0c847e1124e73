"""A shop's life by seed: a short one here, long ones by ``make sim SEED=n`` and ``make soak``."""

from pathlib import Path

import pytest
import shop_life
from life_parts import make_first


@pytest.mark.long
def test_a_short_life_of_a_shop(project: Path, tmp_path: Path):
    """
    Feeds, builds, runs, switches, erasures, kills and readers in an order drawn from the seed: after each
    step everything is as a ledger in plain Python says, and at the end as in a twin that was built once.
    """
    first = make_first(tmp_path / "first", project)

    counts = shop_life.live(first, seed_number=1, steps=20)

    assert counts["twins"] == 1
