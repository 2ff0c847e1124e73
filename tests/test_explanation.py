"""Drivers add up to the prediction, and each is what the formula says."""

import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from math import factorial, log
from types import SimpleNamespace

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_models import FEATURES, anchors, booster, published, recipe, rows, target, trees_only

from clv_ml.errors import ModelError
from clv_ml.learn.boosters import Parameters
from clv_ml.learn.candidates import reduced_to
from clv_ml.learn.column_roles import MadeOf
from clv_ml.learn.model_description import anchor_opening, anchor_reference
from clv_ml.learn.model_types import fit_recipe
from clv_ml.learn.training_data import read_training_rows
from clv_ml.model.manifest import AnchorComponentSpec, AnchorOpening
from clv_ml.model.prediction import predict
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees
from clv_ml.serve.anchor_drivers import OpenedAnchor, anchor_parts
from clv_ml.serve.explanation import contributions, tree_contributions
from clv_ml.serve.facts import Facts
from clv_ml.serve.product_changes import product_changes
from clv_ml.settings import Settings
from clv_ml.warehouse.connection import connect


def _line(name: str, link: str, coefficients: list[float], intercept: float = 0.0) -> Line:
    count = len(coefficients)
    return Line(name, tuple(coefficients), (0.0,) * count, (0.0,) * count, intercept, link)


def _one_term(factors: tuple, anchored: bool, weight: float = 1.0) -> Recipe:
    anchor = "past" if anchored else None
    return Recipe(("a", "b"), anchor, (Output("clv_predicted", (Term(weight, factors, anchored),)),))


def _expected_score(node: dict, row: np.ndarray, known: frozenset[int]) -> float:
    """A tree's mean over its training rows, given the known features (path-dependent, by row counts)."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return _expected_score(left if row[node["split_feature"]] <= node["threshold"] else right, row, known)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    scores = [_expected_score(child, row, known) for child in (left, right)]
    return float(np.average(scores, weights=counts))


def _shapley(count: int, worth: Callable[[frozenset[int]], float]) -> np.ndarray:
    """Shapley's definition over all subsets of players."""
    shares = np.zeros(count)
    for player in range(count):
        others = [other for other in range(count) if other != player]
        for size in range(count):
            chance = factorial(size) * factorial(count - size - 1) / factorial(count)
            for subset in map(frozenset, combinations(others, size)):
                shares[player] += chance * (worth(subset | {player}) - worth(subset))
    return shares


def _shapley_of_trees(model: lgb.Booster, row: np.ndarray) -> np.ndarray:
    """The same of features, summed over trees."""
    trees = [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
    return _shapley(len(row), lambda known: sum(_expected_score(tree, row, known) for tree in trees))


def test_log_contributions_are_shapley_values():
    """
    Second way: brute force over all subsets, for the logarithm and then for the product, per row.
    """
    rng = np.random.default_rng(2)
    table = rng.normal(size=(120, 3))
    model = booster(table, np.exp(table[:, 0] + table[:, 1] * table[:, 2]), rounds=4, objective="tweedie")
    made = trees_only(model, "exp", features=("a", "b", "c"))

    found = contributions(made, table[:6], None, "score")

    base = np.exp(tree_contributions(model, table[:1])[0, -1])
    for row in range(6):
        phi = _shapley_of_trees(model, table[row])
        expected = _shapley(3, lambda known, phi=phi: base * np.exp(phi[list(known)].sum()))
        np.testing.assert_allclose(found.values[row], expected, rtol=1e-9, atol=1e-12)


def test_anchored_term_by_hand():
    """
    exp(ln 2) x anchor 50 over reference 20: 20 -> 100. The line doubles 20 or 50, the anchor adds 30 or twice
    30: each has the mean of both orders.
    """
    made = _one_term((_line("line", "exp", [log(2), 0.0]),), anchored=True)

    found = contributions(made, np.array([[1.0, 7.0]]), np.array([50.0]), anchor_reference=20.0)

    assert found.drivers == ("a", "b", "anchor")
    np.testing.assert_allclose(found.values, [[35.0, 0.0, 45.0]], rtol=1e-12, atol=1e-12)
    assert found.base[0] == pytest.approx(20)
    np.testing.assert_array_equal(found.inputs, [[1.0, 7.0, 50.0]])


def test_anchored_relu_by_hand():
    """
    anchor 10 -> 30, score 1 -> 2: 10 -> 60. Anchor (30 - 10) x 1.5 = 30, score (2 - 1) x 20 = 20.
    """
    made = _one_term((_line("line", "relu", [0.75, 0.25], 1.0),), anchored=True)

    found = contributions(made, np.array([[1.0, 1.0]]), np.array([30.0]), anchor_reference=10.0)

    np.testing.assert_allclose(found.values, [[15.0, 5.0, 30.0]], rtol=1e-12)
    assert found.base[0] == pytest.approx(10)


def test_unanchored_identity_is_additive():
    """
    weight x coefficient x distance from the median, nothing else.
    """
    made = _one_term((_line("line", "identity", [3.0, -1.0], 4.0),), anchored=False, weight=2.0)

    found = contributions(made, np.array([[1.0, 5.0]]), None)

    np.testing.assert_allclose(found.values, [[6.0, -10.0]])
    assert found.base[0] == pytest.approx(8)
    assert found.drivers == ("a", "b")


def test_the_logarithm_of_a_chance_is_shared_in_proportion_to_margins():
    """
    sigmoid(0) -> sigmoid(3): margins 1 and 2 multiply by the cube root of the whole ratio and its square.
    """
    made = _one_term((_line("line", "sigmoid", [1.0, 2.0]),), anchored=False)

    found = contributions(made, np.array([[1.0, 1.0]]), None)

    root = (2 / (1 + np.exp(-3))) ** (1 / 3)
    by_hand = [(root - 1) * (1 + root**2) / 4, (root**2 - 1) * (1 + root) / 4]
    np.testing.assert_allclose(found.values, [by_hand], rtol=1e-12)


@pytest.mark.parametrize("link", ["exp", "sigmoid", "one_over_sigmoid", "relu", "identity"])
def test_margins_that_cancel_leave_no_division_by_zero(link: str):
    """
    At p = b the limit holds: +1 and -1 stay equal and opposite, near and at the base alike. Of ratios e^s and
    e^-s the one changes (e^s - 1) x (1 + e^-s) / 2 = sinh(s).
    """
    made = _one_term((_line("line", link, [1.0, -1.0], 0.5),), anchored=True)
    table = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-9], [1.0, 1.0 - 1e-5]])

    found = contributions(made, table, np.full(3, 20.0), anchor_reference=20.0)

    chance = 1 / (1 + np.exp(-0.5))
    change = {
        "exp": np.exp(0.5) * np.sinh(1),
        "sigmoid": chance * np.sinh(1 - chance),
        "one_over_sigmoid": -np.sinh(1 - chance) / chance,
    }.get(link, 1.0)
    np.testing.assert_allclose(found.values[:, 0], 20 * change, rtol=1e-4)
    np.testing.assert_allclose(found.values[0, :2].sum(), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.base, found.base[0], rtol=1e-9)


def test_zero_typical_value_at_a_zero_base_has_no_drivers():
    """
    relu cuts off both the row and the base: nothing moved the prediction.
    """
    made = _one_term((_line("line", "relu", [1.0, 1.0], -5.0),), anchored=True)

    found = contributions(made, np.array([[1.0, 2.0]]), np.array([30.0]), anchor_reference=10.0)

    np.testing.assert_array_equal(found.values, np.zeros((1, 3)))
    assert found.prediction[0] == found.base[0] == 0


@pytest.mark.parametrize("anchor", [0.0, -5.0])
def test_anchor_that_is_not_positive_is_one_player_of_two(anchor: float):
    """
    By hand: the line doubles 20 or the anchor, which takes 20 - anchor or twice that; the mean of both
    orders. No logarithm is needed for it.
    """
    made = _one_term((_line("line", "exp", [log(2), 0.0]),), anchored=True)

    found = contributions(made, np.array([[1.0, 0.0]]), np.array([anchor]), anchor_reference=20.0)

    np.testing.assert_allclose(found.values, [[(20 + anchor) / 2, 0.0, 1.5 * (anchor - 20.0)]])
    np.testing.assert_allclose(found.base, [20.0])


@settings(max_examples=60, deadline=None)
@given(
    logs=st.lists(st.floats(-200, 5), min_size=3, max_size=3),
    parts=st.lists(
        st.dictionaries(st.integers(0, 3), st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=3),
        min_size=1,
        max_size=3,
    ),
)
def test_products_are_shared_as_by_brute_force(logs, parts):
    """
    Second way: all coalitions of four players, of whom some multiply everything and some a part of it, by
    nothing and by less than nothing too. As they add up, so do five hundred rows at once.
    """
    logs = np.array([*logs, 0.0])

    def worth(known: frozenset[int]) -> float:
        return float(np.exp(logs[list(known)].sum())) * sum(
            np.prod([ends[player in known] for player, ends in part.items()]) for part in parts
        )

    columns = [
        {player: tuple(np.full(500, end) for end in ends) for player, ends in part.items()} for part in parts
    ]
    found = product_changes(np.tile(logs, (500, 1)), columns)

    expected = _shapley(4, worth)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-9 * (1 + np.abs(expected).max()))
    np.testing.assert_array_equal(found, np.tile(found[0], (500, 1)))


@pytest.mark.parametrize("players", [1, 2, 7, 40])
def test_many_players_add_up(players: int):
    """
    All changes together are what the product has changed, whatever the number of players, odd or even, and
    however near to nothing some of their ratios are.
    """
    logs = np.random.default_rng(players).normal(0, 1, (3000, players))
    logs[:, 0] = -300.0

    found = product_changes(logs, ({},))

    rounding = 1e-12 * np.abs(found).max(axis=1)
    assert (np.abs(found.sum(axis=1) - np.expm1(logs.sum(axis=1))) <= rounding).all()
    assert (np.sign(found) == np.sign(logs)).all()


@pytest.mark.parametrize(
    "output", ["clv_predicted", "clv_typical", "churn_probability", "clv_median", "clv_plain"]
)
def test_every_output_adds_up_over_a_constant_base(output: str):
    """
    Base plus drivers is the prediction, and the base is the same for all rows: no residual hides in it.
    """
    made, table, anchor = recipe(), rows(), anchors()

    found = contributions(made, table, anchor, output, anchor_reference=20.0)

    prediction = predict(made, table, anchor)[output]
    np.testing.assert_array_equal(found.prediction, prediction)
    total = found.base + found.values.sum(axis=1)
    assert (np.abs(total - prediction) <= 1e-9 * np.maximum(1, np.abs(prediction))).all()
    assert np.ptp(found.base) <= 1e-9 * max(1.0, np.abs(prediction).max())


@settings(max_examples=60, deadline=None)
@given(
    links=st.lists(
        st.sampled_from(["exp", "sigmoid", "one_over_sigmoid", "relu", "identity"]), min_size=1, max_size=4
    ),
    anchored=st.booleans(),
    weight=st.floats(-3, 3),
    numbers=st.lists(st.floats(-3, 3), min_size=12, max_size=12),
    anchor=st.floats(0.01, 1e4),
)
def test_any_product_adds_up_over_its_own_base(links, anchored, weight, numbers, anchor):
    """
    Any mixture of links: base is the term at the medians and the reference anchor, within rounding.
    """
    lines = tuple(
        _line(f"line{i}", link, numbers[2 * i : 2 * i + 2], numbers[8 + i]) for i, link in enumerate(links)
    )
    made = _one_term(lines, anchored, weight)
    table, anchors_ = np.array([[1.3, -0.7]]), np.array([anchor])

    found = contributions(made, table, anchors_ if anchored else None, anchor_reference=20.0)

    at_base = predict(made, np.zeros((1, 2)), np.array([20.0]))["clv_predicted"]
    size = max(1.0, np.abs(found.values).max(), np.abs(at_base[0]))
    np.testing.assert_allclose(found.base, at_base, rtol=0, atol=1e-9 * size)


@pytest.mark.parametrize("margin_change", [-5e-7, -1e-12, 0.0, 1e-12, 5e-7])
def test_beside_the_kink_of_relu_drivers_still_add_up(margin_change: float):
    """
    Too small a change to divide by, and a slope at the base that is neither side's: half of it, or twice, is
    wrong.
    """
    made = _one_term((_line("line", "relu", [1.0, 1.0], 0.0),), anchored=True)

    found = contributions(made, np.array([[1.0, margin_change - 1.0]]), np.array([1e6]), anchor_reference=1e6)

    prediction = 1e6 * max(0.0, margin_change)
    np.testing.assert_allclose(found.values.sum(), prediction, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.base, 0.0, rtol=0, atol=1e-9)


def test_missing_value_in_a_line_is_its_flag():
    """
    A missing feature stands at its median, so only the flag's coefficient contributes.
    """
    line = Line("line", (5.0, 1.0), (0.25, 0.0), (3.0, 0.0), 0.0, "identity")
    made = _one_term((line,), anchored=False)

    found = contributions(made, np.array([[np.nan, 2.0]]), None)

    np.testing.assert_allclose(found.values, [[0.25, 2.0]])


def test_a_value_beyond_a_lines_limits_counts_as_the_limit():
    """
    Five times the limit less the median, by the coefficient; below as above.
    """
    line = Line("line", (5.0, 1.0), (0.0, 0.0), (3.0, 0.0), 0.0, "identity", (-4.0, -1.0), (8.0, 1.0))
    made = _one_term((line,), anchored=False)

    found = contributions(made, np.array([[1000.0, -2.0], [-1000.0, 0.5]]), None)

    np.testing.assert_allclose(found.values, [[25.0, -1.0], [-35.0, 0.5]])


def test_grouped_features_are_one_driver():
    """
    A sine and its cosine are reported together under a name of their own; their value is no single number.
    """
    groups = {
        "preferred_dow_sin": ("preferred_dow",),
        "preferred_dow_cos": ("preferred_dow",),
        "anchor": ("past_spend",),
    }
    plain = contributions(recipe(), rows(), anchors(), anchor_reference=20.0)

    found = contributions(recipe(), rows(), anchors(), anchor_reference=20.0, groups=groups)

    assert found.drivers == (*FEATURES[:3], "preferred_dow", "past_spend")
    np.testing.assert_allclose(found.values[:, 3], plain.values[:, 3] + plain.values[:, 4])
    np.testing.assert_allclose(found.values[:, 4], plain.values[:, 5])
    assert np.isnan(found.inputs[:, 3]).all()
    np.testing.assert_array_equal(found.inputs[:, 4], np.full(len(anchors()), np.nan))


def test_a_driver_named_after_one_of_its_columns_has_that_ones_value():
    """
    A ratio to an anchor is reported with what it is relative to, by its name and with its value;
    contributions to a sum add up.
    """
    first, second = FEATURES[:2]
    asked = {"anchor_reference": 20.0, "output": "clv_plain"}
    plain = contributions(recipe(), rows(), anchors(), **asked)

    found = contributions(recipe(), rows(), anchors(), groups={first: (second,)}, **asked)

    assert found.drivers == (second, *FEATURES[2:], "anchor")
    np.testing.assert_allclose(found.values[:, 0], plain.values[:, 0] + plain.values[:, 1])
    assert np.ptp(found.values[:, 0]) > 1
    np.testing.assert_array_equal(found.inputs[:, 0], rows()[:, 1])


def test_loaded_model_brings_its_own_reference(tmp_path):
    """
    The manifest stores the anchor that drivers are measured against.
    """
    model = published(tmp_path)

    found = contributions(model, rows(), anchors())

    expected = contributions(recipe(), rows(), anchors(), anchor_reference=20.0)
    np.testing.assert_array_equal(found.values, expected.values)


def test_no_rows_have_no_drivers():
    """
    Empty in, empty out, with the drivers' names.
    """
    found = contributions(recipe(), np.zeros((0, 5)), np.zeros(0), anchor_reference=20.0)

    assert found.values.shape == (0, 6)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"output": "clv_high"}, "no output 'clv_high'"),
        ({"anchor_reference": None}, "reference above 0"),
        ({"anchor_reference": 0.0}, "reference above 0"),
        ({"anchor": None}, "each row's anchor"),
    ],
)
def test_what_cannot_be_explained_is_refused(options: dict, fault: str):
    """
    An unknown output, or an anchored model without anchor or reference.
    """
    arguments = {"anchor": anchors(), "anchor_reference": 20.0, **options}

    with pytest.raises(ModelError, match=fault):
        contributions(recipe(), rows(), **arguments)


def test_a_booster_is_explained_once_for_all_terms(monkeypatch: pytest.MonkeyPatch):
    """
    SHAP is the slow part: two terms that share a booster ask for it once.
    """
    from clv_ml.serve import explanation

    calls = []
    real = explanation.tree_contributions
    monkeypatch.setattr(explanation, "tree_contributions", lambda b, x: calls.append(b) or real(b, x))

    contributions(recipe(), rows(20), anchors(20), anchor_reference=20.0)

    assert len(calls) == 2


def test_trees_in_a_weighted_sum_add_up_term_by_term():
    """
    Two terms of weight 0.5 give the mean of their separate contributions.
    """
    table, anchor = rows(50), anchors(50)
    boosters = {
        name: booster(rows(), target(rows()), rounds=rounds, objective="tweedie")
        for name, rounds in (("one", 2), ("two", 5))
    }
    halves = tuple(Term(0.5, (Trees(name, "exp"),), True) for name in boosters)

    def explained(*terms: Term) -> np.ndarray:
        made = Recipe(FEATURES, "past", (Output("clv_predicted", terms),), boosters)
        return contributions(made, table, anchor, anchor_reference=20.0).values

    np.testing.assert_allclose(explained(*halves), explained(halves[0]) + explained(halves[1]), rtol=1e-12)


PACE, ORDERS, RECENCY, SPEND = "how often", "per order", "how recently", "last year"


def _spec(name: str, reference: float, driver: str = "") -> AnchorComponentSpec:
    return AnchorComponentSpec(name=name, reference=reference, driver=driver)


def _opened(**columns: float) -> OpenedAnchor:
    """An anchor of level x (past + product + same for all), compared with 20 = 12 + 6 + 2 at level 10."""
    opening = AnchorOpening(
        level=_spec("level", 10.0),
        addends=(_spec("past", 12.0, SPEND),),
        product=_spec("product", 6.0),
        factors=(_spec("pace", 2.0, PACE), _spec("order", 4.0, ORDERS)),
        rest=RECENCY,
    )
    return OpenedAnchor(opening, {name: np.array([value]) for name, value in columns.items()})


def test_what_the_anchor_is_made_of_is_shared_like_the_rest():
    """
    Second way: all coalitions of the line's column and the four facts of the formula, at the level of the
    customer, for the level, one for all, is in the base.
    """
    made = _one_term((_line("line", "exp", [0.5, 0.0]),), anchored=True)
    opened = _opened(level=15.0, past=15.0, product=32.0, pace=5.0, order=4.0)

    found = contributions(
        made, np.array([[1.0, 0.0]]), np.array([50.0]), anchor_reference=20.0, opened=opened
    )

    ends = [(1.0, np.exp(0.5)), (18.0, 15.0), (1.0, 5 / 2), (1.0, 1.0), (9.0, 32 / 2.5)]

    def worth(known: frozenset[int]) -> float:
        line, past, pace, order, recency = (ends[player][player in known] for player in range(5))
        return line * (past + pace * order * recency + 3.0)

    assert found.drivers == ("a", "b", SPEND, PACE, ORDERS, RECENCY)
    np.testing.assert_allclose(found.values[0, [0, 2, 3, 4, 5]], _shapley(5, worth), rtol=1e-9)
    assert found.values[0, 1] == 0
    assert found.base[0] == pytest.approx(30.0)


def test_factors_of_a_published_baseline_are_told_apart():
    """
    By hand: 3 purchases at the own pace, half of them given the silence, of 40 make 60; against 2 x 0.125
    x 80 = 20 they multiply by 3/2, 4 and 1/2. Each changes 20 by its own share of 1, times the mean of the
    others: (1 + (r - 1) / 2 + (s - 1) / 2 + (r - 1) (s - 1) / 3). An order value of nothing takes 20, of
    which the pace would have added a fourth of 20.
    """
    made = _one_term((), anchored=True)
    opening = AnchorOpening(factors=(_spec("pace", 2.0, PACE), _spec("order", 80.0, ORDERS)), rest=RECENCY)
    opened = OpenedAnchor(opening, {"pace": np.array([3.0, 3.0]), "order": np.array([40.0, 0.0])})

    found = contributions(made, np.zeros((2, 2)), np.array([60.0, 0.0]), anchor_reference=20.0, opened=opened)

    def changed(own: float, one: float, other: float) -> float:
        return 20 * own * (1 + one / 2 + other / 2 + one * other / 3)

    by_hand = [changed(0.5, -0.5, 3), changed(-0.5, 0.5, 3), changed(3, 0.5, -0.5)]
    assert found.drivers == ("a", "b", PACE, ORDERS, RECENCY)
    np.testing.assert_allclose(found.values[0], [0, 0, *by_hand], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.values[1], [0, 0, 5, -25, 0], atol=1e-9)
    np.testing.assert_allclose(found.base, 20.0)


def test_what_is_the_same_for_all_is_nobodys_driver():
    """
    By hand: anchors of 4 x pace plus 2 for everybody have the mean 14, of which the product is compared with
    12; the 2 are left for both ends.
    """
    pace = np.array([1.0, 5.0])
    made_of = MadeOf(factors=("pace",), rest=RECENCY, product="product")
    columns = {"pace": pace, "product": 4 * pace}
    rows_ = SimpleNamespace(roles=SimpleNamespace(made_of={"anchor": made_of}), anchor_components=columns)

    opening = anchor_opening(rows_, "anchor", {"pace": (PACE,)})
    parts = anchor_parts(4 * pace + 2, anchor_reference(4 * pace + 2), OpenedAnchor(opening, columns))

    assert opening.product.reference == pytest.approx(12)
    np.testing.assert_allclose(parts[-1][RECENCY], np.full((2, 2), 2.0))


@settings(max_examples=60, deadline=None)
@example(anchor=1.0, level=1.0, parts=(0.0, 2.3e-309, 0.0, 0.0), link="exp")
@given(
    anchor=st.one_of(st.floats(-100, 0), st.floats(0.01, 1e5), st.just(20.0)),
    level=st.floats(0.01, 1e4),
    parts=st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 100), st.floats(0, 1e3)),
    link=st.sampled_from(["exp", "sigmoid", "one_over_sigmoid", "relu", "identity"]),
)
def test_parts_of_any_anchor_add_up(anchor, level, parts, link):
    """
    Base and drivers make the prediction, and the base is that of a reference anchor at the customer's level.
    """
    made = _one_term((_line("line", link, [0.5, -0.2], 0.3),), anchored=True)
    table, anchors_ = np.array([[1.0, 2.0]]), np.array([anchor])
    names = ("past", "product", "pace", "order")
    opened = _opened(level=level, **dict(zip(names, parts, strict=True)))

    found = contributions(made, table, anchors_, anchor_reference=20.0, opened=opened)

    at_base = predict(made, np.zeros((1, 2)), np.array([2.0 * level]))
    size = np.abs(found.values).max() + np.abs(found.base).max() + 1e-3
    np.testing.assert_allclose(found.base, at_base["clv_predicted"], rtol=0, atol=1e-9 * size)
    np.testing.assert_allclose(
        found.base + found.values.sum(axis=1), found.prediction, rtol=0, atol=1e-9 * size
    )


def test_a_column_of_several_facts_is_shared_as_they_share_the_anchor():
    """
    By hand: facts of +3 and +1 have three quarters and a quarter of it, facts of +1 and -1 halves, for they
    cancel each other out, and facts without a share halves.
    """
    shares = np.array([[3.0, 1.0], [1.0, -1.0], [0.0, 0.0]])
    facts = Facts((PACE, ORDERS), ((0, 1), (1,)), (), shares)

    values = facts.of_features(np.array([[8.0, 1.0]] * 3))

    np.testing.assert_allclose(values, [[6.0, 3.0], [4.0, 5.0], [4.0, 5.0]])


@pytest.mark.parametrize("candidate", ["model", "blend", "persistence"])
@pytest.mark.parametrize("model_type", ["lightgbm", "ridge", "ensemble"])
def test_every_model_that_is_trained_adds_up(trained: Settings, model_type: str, candidate: str):
    """
    The recipes that are really fitted, by the candidates that may be published: base plus drivers is
    clv_predicted, the base is one for all, and single precision leaves nothing over since there is none.
    """
    with connect(trained) as connection:
        data = read_training_rows(connection, trained)
    trees = fit_recipe(data, data.customers, model_type, None, Parameters(default_rounds=5))
    made = reduced_to(candidate, trees, data.roles)
    anchor = data.anchor if candidate != "persistence" else data.baselines[candidate]

    found = contributions(made, data.values, anchor, anchor_reference=20.0)

    np.testing.assert_allclose(
        found.base + found.values.sum(axis=1),
        predict(made, data.values, anchor)["clv_predicted"],
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(found.base, np.median(found.base), rtol=1e-6)


def test_what_executors_run_needs_no_dbt():
    """
    Spark's machines have the package and its libraries; the project and what builds it stay with the driver.
    """
    code = "import sys, clv_ml.spark.executors; print('dbt' in {name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
