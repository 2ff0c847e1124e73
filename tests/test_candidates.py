"""Which candidate is published: the richest that nothing simpler beats beyond noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_rows import DAY, ROLES, made_rows

from clv_ml.learn.candidates import (
    Choice,
    candidate_mean,
    choose_candidate,
    confirm_candidate,
    levelled_deviance,
    reduced_to,
)
from clv_ml.learn.out_of_sample import HeldOut
from clv_ml.model.recipe import Output, Recipe, Term

CUSTOMERS = 600


@pytest.fixture
def rng() -> np.random.Generator:
    """The same draws each time."""
    return np.random.default_rng(8)


def _spend(rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
    """Revenue with this expectation, two thirds of it zero."""
    return expected * 3 * (rng.random(expected.size) < 1 / 3) * rng.gamma(2, 0.5, expected.size)


def _blurred(rng: np.random.Generator, expected: np.ndarray, by: float = 1.0) -> np.ndarray:
    """The expectation with an error of its own for each customer."""
    return expected * rng.lognormal(0, by, expected.size)


def test_a_model_that_loses_beyond_noise_is_not_published(rng: np.random.Generator):
    """
    The anchor is the truth and the trees blur it: the anchor is published, and the reason says so with the
    figures.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), truth, baselines={"btyd": _blurred(rng, truth)})

    choice = choose_candidate(rows, _blurred(rng, truth), rows)

    assert choice.candidate == "blend"
    assert "trees lost to a simpler estimate" in choice.reason
    assert all(f"{name} " in choice.reason for name in ("model", "blend", "btyd"))


def test_a_better_model_is_published(rng: np.random.Generator):
    """
    The trees are the truth, everything simpler a blur of it.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth), baselines={"btyd": _blurred(rng, truth)})

    choice = choose_candidate(rows, truth, rows)

    assert choice.candidate == "model"
    assert "the full model" in choice.reason


def test_in_a_small_shop_trees_must_prove_better(rng: np.random.Generator):
    """
    As good as the anchor is enough elsewhere and not there, and the reason says so; clearly better is enough
    there too.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), truth)
    alike = _blurred(rng, truth, 0.01)

    assert choose_candidate(rows, alike, rows).candidate == "model"
    small = choose_candidate(rows, alike, rows, is_small_shop=True)
    assert small.candidate == "blend"
    assert "in so small a shop trees must prove better" in small.reason
    blurred = made_rows(rows.revenue, _blurred(rng, truth))
    assert choose_candidate(blurred, truth, blurred, is_small_shop=True).candidate == "model"


def test_trees_that_lost_for_want_of_history_are_asked_again(rng: np.random.Generator):
    """
    An older fit blurs the truth and loses to the anchor: published where the fit that knows the date is
    right, not where it loses too; in a small shop, and where the older fit won, nobody asks.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth, 0.5))
    blurred, asked = _blurred(rng, truth), []

    def again(said: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: (asked.append(said), said)[1]

    better = choose_candidate(rows, blurred, rows, again=again(truth))
    worse = choose_candidate(rows, blurred, rows, again=again(blurred))

    assert better.candidate == "model"
    assert (
        "a fit on the others" in better.reason
        and "an older fit lost: the blend of baselines" in better.reason
    )
    assert worse == choose_candidate(rows, blurred, rows)
    assert len(asked) == 2
    assert choose_candidate(rows, blurred, rows, is_small_shop=True, again=again(truth)).candidate == "blend"
    assert choose_candidate(rows, truth, rows, again=again(blurred)).candidate == "model"
    assert len(asked) == 2


def _two_dates(rng: np.random.Generator, customers: int, **baselines: float) -> tuple[HeldOut, HeldOut]:
    """
    A calibration date, whose trees are the truth, and a test date whose trees blur it three times worse than
    the anchor does. Baselines are blurred by as much as is said.
    """
    truth = rng.lognormal(3, 1, customers)
    dates = [
        made_rows(
            truth * rng.gamma(2, 0.5, customers),
            _blurred(rng, truth, 0.3),
            as_of=np.full(customers, day),
            baselines={name: _blurred(rng, truth, by) for name, by in baselines.items()},
        )
        for day in (DAY, DAY + 100)
    ]
    return HeldOut(dates[0], truth), HeldOut(dates[1], _blurred(rng, truth, 2.0))


def test_what_the_test_dates_refute_is_not_published(rng: np.random.Generator):
    """
    Trees that were the truth on the calibration date were chosen, and blur it on the test date. Over both
    dates together the anchor is best; the reason names what was refuted. Where the test date agrees, or
    differs by noise, the choice stays.
    """
    earlier, later = _two_dates(rng, CUSTOMERS)
    choice = choose_candidate(earlier.rows, earlier.predicted, earlier.rows)
    alike = replace(later, predicted=later.rows.anchor * 1.01)

    refuted = confirm_candidate(choice, earlier, later, later.rows)

    assert choice.candidate == "model"
    assert refuted.candidate == "blend"
    assert "blend, since test dates refute model" in refuted.reason
    assert "mean deviance on all dates, the less the better: model " in refuted.reason
    for held_out in (alike, replace(later, predicted=earlier.predicted)):
        assert confirm_candidate(choice, earlier, held_out, later.rows) == choice


def test_what_the_test_dates_refute_stays_out_though_an_earlier_date_was_for_it(rng: np.random.Generator):
    """
    On ten times as many customers of the calibration date the trees were so much better that they lead on
    both dates together.
    """
    earlier, _ = _two_dates(rng, 10 * CUSTOMERS)
    blurred = replace(earlier.rows, anchor=_blurred(rng, earlier.predicted, 2.0))
    _, later = _two_dates(rng, CUSTOMERS)

    refuted = confirm_candidate(Choice("model", "chosen"), replace(earlier, rows=blurred), later, later.rows)

    assert refuted.candidate == "blend"


def test_the_best_of_what_is_not_refuted_is_chosen_on_all_dates(rng: np.random.Generator):
    """
    The test date refutes trees and anchor, and not the two baselines that are better there.
    """
    earlier, later = _two_dates(rng, CUSTOMERS, bgnbd=0.8, paretonbd=0.01, empirical_bayes=0.02)
    choice = Choice("blend", "chosen")
    worse = replace(later, rows=replace(later.rows, anchor=_blurred(rng, later.rows.anchor, 1.5)))

    refuted = confirm_candidate(choice, earlier, worse, later.rows)

    assert refuted.candidate in ("paretonbd", "empirical_bayes")
    assert "test dates refute blend" in refuted.reason


def test_in_a_small_shop_refuted_trees_must_prove_better_than_what_is_left(rng: np.random.Generator):
    """
    The test date refutes a baseline; trees and anchor are alike, so that trees would be chosen elsewhere.
    """
    earlier, later = _two_dates(rng, CUSTOMERS, btyd=2.0)
    earlier, later = (
        replace(one, predicted=_blurred(rng, one.rows.anchor, 0.002)) for one in (earlier, later)
    )

    def confirmed(is_small_shop: bool) -> str:
        choice = Choice("btyd", "chosen")
        return confirm_candidate(choice, earlier, later, later.rows, is_small_shop).candidate

    assert (confirmed(False), confirmed(True)) == ("model", "blend")


def test_where_the_choice_explains_nothing_the_least_wrong_is_published(rng: np.random.Generator):
    """
    Spend has nothing to do with who the customer was, so that no candidate beats another beyond noise: of
    what is left, the one whose loss is least on all dates, and the reason says why. A choice that explains
    enough stays, though another has lost a little less.
    """
    spent = _spend(rng, np.full(CUSTOMERS, 20.0))
    rows = made_rows(spent, _blurred(rng, np.full(CUSTOMERS, 20.0), 0.05))
    held_out = HeldOut(rows, _blurred(rng, np.full(CUSTOMERS, 20.0), 0.2))
    choice = choose_candidate(rows, held_out.predicted, rows)
    earlier, later = _two_dates(rng, CUSTOMERS)
    good = replace(later, predicted=later.rows.anchor * rng.lognormal(0, 0.02, CUSTOMERS))

    found = confirm_candidate(choice, held_out, held_out, rows)

    assert choice.candidate == "model"
    assert found.candidate == "blend"
    assert "blend, since model hardly does better on test dates than the same amount" in found.reason
    assert confirm_candidate(choice, earlier, good, later.rows) == choice


def test_a_baseline_is_published_where_everything_richer_loses_to_it(rng: np.random.Generator):
    """
    Of two baselines it is the better one, by name.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    baselines = {"bgnbd": _blurred(rng, truth), "empirical_bayes": truth}
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth), baselines=baselines)

    choice = choose_candidate(rows, _blurred(rng, truth), rows)

    assert choice.candidate == "empirical_bayes"
    assert "baseline empirical_bayes" in choice.reason


def test_ties_keep_the_richer_form(rng: np.random.Generator):
    """
    All say the same: the full model stays, and without it the blend would.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), truth, baselines={"btyd": truth, "bgnbd": truth})

    assert choose_candidate(rows, truth, rows).candidate == "model"
    assert choose_candidate(rows, _blurred(rng, truth, 2.0), rows).candidate == "blend"


def test_a_baseline_that_is_null_for_somebody_is_no_candidate(rng: np.random.Generator):
    """
    Though it is the truth for everybody else.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    holed = truth.copy()
    holed[5] = np.nan
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth), baselines={"btyd": holed})

    choice = choose_candidate(rows, _blurred(rng, truth), rows)

    assert choice.candidate in ("model", "blend")
    assert "btyd" not in choice.reason


def test_a_baseline_without_a_value_on_a_later_date_is_no_candidate(rng: np.random.Generator):
    """
    It is the truth on the calibration date, and its fit did not converge a month later.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth), baselines={"btyd": truth})
    later = made_rows(rows.revenue, rows.anchor)

    assert choose_candidate(rows, _blurred(rng, truth), rows).candidate == "btyd"
    assert choose_candidate(rows, _blurred(rng, truth), later).candidate in ("model", "blend")


def test_what_an_anchor_of_another_kind_lost_says_nothing(rng: np.random.Generator):
    """
    Empirical Bayes was the truth while the anchor had no BTYD estimate to stand on; it has one by now.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    spend, blurred = _spend(rng, truth), _blurred(rng, truth)
    fitted_by_now = np.where(np.arange(CUSTOMERS) < CUSTOMERS / 2, np.nan, truth)
    rows = made_rows(spend, blurred, baselines={"empirical_bayes": truth})
    since = made_rows(spend, blurred, baselines={"empirical_bayes": truth, "btyd": fitted_by_now})

    assert choose_candidate(rows, _blurred(rng, truth), rows).candidate == "empirical_bayes"
    assert choose_candidate(rows, _blurred(rng, truth), since).candidate in ("model", "blend")


def test_the_shop_s_total_is_not_the_form_s_fault(rng: np.random.Generator):
    """
    A model that ranks and shares rightly but is three times too high is still the better candidate.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    rows = made_rows(_spend(rng, truth), _blurred(rng, truth))

    assert choose_candidate(rows, 3 * truth, rows) == choose_candidate(rows, truth, rows)
    assert choose_candidate(rows, 3 * truth, rows).candidate == "model"


def test_a_loss_within_noise_on_a_small_shop_changes_nothing(rng: np.random.Generator):
    """
    Eight customers, on whom a slightly better anchor proves nothing; the same error on 4,000 customers does.
    """

    def chosen(customers: int) -> str:
        truth = np.random.default_rng(1).lognormal(3, 1, customers)
        revenue = _spend(np.random.default_rng(2), truth)
        rows = made_rows(revenue, truth)
        return choose_candidate(rows, _blurred(np.random.default_rng(3), truth, 0.6), rows).candidate

    assert chosen(8) == "model"
    assert chosen(4000) == "blend"


def test_the_same_customers_on_more_dates_are_no_more_customers():
    """
    What 150 customers did on three alike dates is as uncertain as on one: an equal model is given up as
    often, in at most 16 of 300 shops (2.5 % by chance; probability of more below 0.2 %). Rows drawn apart
    would give it up several times as often.
    """
    rng = np.random.default_rng(4)
    given_up = 0
    for _ in range(300):
        truth = rng.lognormal(3, 0.5, 150)
        spent, anchor, model = _spend(rng, truth), _blurred(rng, truth, 0.5), _blurred(rng, truth, 0.5)
        rows = made_rows(
            np.tile(spent, 3),
            np.tile(anchor, 3),
            customer=np.tile([f"c{number}" for number in range(150)], 3),
            as_of=np.repeat(DAY + np.arange(3), 150),
        )
        given_up += choose_candidate(rows, np.tile(model, 3), rows).candidate != "model"

    assert 1 <= given_up <= 16


def test_forms_are_compared_at_each_dates_own_total(rng: np.random.Generator):
    """
    The model is the truth on either date, and the shop spends twice as much on the second: brought to one
    total of both, it would seem wrong about everybody.
    """
    truth = rng.lognormal(3, 1, CUSTOMERS)
    second = np.arange(CUSTOMERS) % 2 == 1
    rows = made_rows(
        _spend(rng, truth) * np.where(second, 2.0, 1.0), as_of=DAY + second.astype("timedelta64[D]")
    )

    apart = levelled_deviance(rows, truth).mean()

    halves = [rows.only(mask) for mask in (second, ~second)]
    alone = [
        levelled_deviance(half, truth[mask]).mean()
        for half, mask in zip(halves, (second, ~second), strict=True)
    ]
    assert apart == pytest.approx(np.mean(alone), rel=0.01)


def test_nobody_spent_anything():
    """
    A date without revenue tells no candidate from another.
    """
    rows = made_rows(np.zeros(40), np.full(40, 5.0))

    assert choose_candidate(rows, np.linspace(1, 9, 40), rows).candidate == "model"


def test_an_equal_model_is_given_up_about_as_often_as_stated():
    """
    Anchor and model err alike, independently: in 2.5 % of shops chance alone speaks against the model. Of 300
    shops, at most 16 (probability of more below 0.2 %), at least one (0.05 % of none).
    """
    rng = np.random.default_rng(4)
    given_up = 0
    for _ in range(300):
        truth = rng.lognormal(3, 0.5, 150)
        rows = made_rows(_spend(rng, truth), _blurred(rng, truth, 0.5))
        given_up += choose_candidate(rows, _blurred(rng, truth, 0.5), rows).candidate != "model"

    assert 1 <= given_up <= 16


@pytest.fixture
def recipe() -> Recipe:
    """Twice the anchor as mean, half of it as typical value, and a constant chance of churn."""
    return Recipe(
        ("days_since_last_purchase",),
        ROLES.anchor,
        (
            Output("clv_predicted", (Term(2.0, (), anchored=True),)),
            Output("clv_typical", (Term(0.5, (), anchored=True),)),
            Output("churn_probability", (Term(0.3, (), anchored=False),)),
        ),
    )


def test_each_candidate_predicts_what_its_name_says(recipe: Recipe):
    """
    The full model its own mean, the blend the anchor, a baseline itself.
    """
    baseline, anchor = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])
    rows = made_rows(np.zeros(3), anchor, baselines={"bgnbd": baseline})

    np.testing.assert_allclose(candidate_mean("model", recipe, rows), 2 * anchor)
    np.testing.assert_allclose(candidate_mean("blend", recipe, rows), anchor)
    np.testing.assert_allclose(candidate_mean("bgnbd", recipe, rows), baseline)


def test_every_candidate_keeps_the_other_outputs(recipe: Recipe):
    """
    Whatever takes the mean's place, the other outputs stay.
    """
    outputs = {
        candidate: [output.name for output in reduced_to(candidate, recipe, ROLES).outputs]
        for candidate in ("model", "blend", "btyd")
    }

    assert outputs["model"] == outputs["blend"] == outputs["btyd"]
    assert outputs["btyd"] == ["clv_predicted", "clv_typical", "churn_probability"]
    assert reduced_to("btyd", recipe, ROLES).anchor == "btyd_value"
