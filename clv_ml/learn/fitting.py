"""
Fits the recipe: anchor x multiplier, with trees that learn actual / anchor.

The anchor carries the shop's level, so the trees learn only how customers differ: each training date's
answers are divided by that date's own ratio of actual to anchor total. A fifth of the mean is a Tweedie fit
of the ratio; the rest is a hurdle around the anchor: how much likelier to buy the customer is than customers
of such an anchor are (the chance of buying over the chance that goes with the anchor), times how much more
they spend if they do. The first learns from money, which few customers dominate, and a row weighs as much as
its anchor; the second learns from everybody alike, the chance from who came and the amount from logarithms,
so that it ranks those well whom sessions give away as lost. The typical value follows from the mean and the
chance (``clv_ml.learn.typical_value``).

Source: Jorgensen (1987) for Tweedie models.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root_scalar
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold

from clv_ml.learn.model_types import ModelType
from clv_ml.learn.training_data import ANCHOR, Customers, TrainingData
from clv_ml.model.prediction import line_score, link, predict
from clv_ml.model.recipe import Line, Link, Output, Recipe, Term, Trees

Array = NDArray[np.float64]
Factors = tuple[Trees | Line, ...]
RELATIVE_ANCHOR = "log_anchor_to_mean"
EXPECTED_PURCHASES = "log_expected_purchases"
EARLY_STOPPING_ROUNDS = 30
FOLDS = 3
FEWEST_ROWS = 10
"""
Fewer cannot be split into two leaves of what ``_lightgbm_parameters`` asks of one, and LightGBM refuses to
draw from a single one.
"""
TWEEDIE_SHARE = 0.2
"""Of the mean of trees; the hurdle has the rest."""
AMOUNT_POWER = 0.5
"""
How much of what the trees say of a buyer's amount is believed: one customer's next orders are few and say
little.
"""
CHANCE_STRETCH = 1.25
"""
Of the margin of buying around the usual one: trees grown in small steps stop short of how sure they could be.
"""
STEEPEST_CHURN = 3.0
LINE_SHARE = 1 / 3
"""Of the ensemble's mean."""


@dataclass(frozen=True)
class Parameters:
    """How the model is fitted. Counts unless a unit is named; shares lie between 0 and 1."""

    default_rounds: int = 150
    max_rounds: int = 300
    leaves: int = 6
    learning_rate: float = 0.03
    feature_share: float = 0.6
    row_share: float = 0.7
    l2: float = 5.0
    tweedie_power: float = 1.2
    ratio_cap: float = 8.0
    ridge_l2: float = 100.0
    seed: int = 7


@dataclass(frozen=True)
class Part:
    """
    One booster: what it learns.

    ``target`` takes training rows, their ratios and the parameters, ``weight`` the rows; both return shape
    (n,). A row whose target is NaN is not learned from.
    """

    name: str
    objective: str
    link: Link
    target: Callable[[TrainingData, Array, Parameters], Array]
    weight: Callable[[TrainingData], Array]


def ratio(data: TrainingData) -> Array:
    """
    Revenue of the horizon, at least 0, over the anchor, with each date's total brought to the anchor's. Shape
    (n,).

    A date on which nobody spent anything has ratios of 0.
    """
    level = data.level(data.anchor)
    return np.maximum(data.revenue, 0.0) / (data.anchor * np.where(level > 0, level, 1.0))


def _capped(data: TrainingData, ratios: Array, parameters: Parameters) -> Array:
    """
    Ratios of at most ``ratio_cap``, or of that many mean anchors for customers below the mean.

    Without the second, one ordinary order of a customer with a small anchor would be cut, and those
    customers' mean with it.
    """
    _, date = np.unique(data.as_of, return_inverse=True)
    mean = (np.bincount(date, data.anchor) / np.bincount(date))[date]
    return np.minimum(ratios, parameters.ratio_cap * np.maximum(1.0, mean / data.anchor))


def _by_anchor(data: TrainingData) -> Array:
    return data.anchor / data.anchor.mean()


def _ones(data: TrainingData) -> Array:
    return np.ones(len(data))


def _bought(data: TrainingData, _: Array, __: Parameters) -> Array:
    return (data.purchases > 0).astype(float)


def _log_amount(data: TrainingData, ratios: Array, _: Parameters) -> Array:
    """
    Of who spent, the logarithm of that over what is usual of a buyer with such an anchor; NaN of the others.

    Usual is the anchor over the chance of buying that goes with it. Logarithms, because one windfall must not
    teach.
    """
    usual = _usual_chance(data)
    spent = ratios > 0
    logs = np.log(np.where(spent, ratios, 1.0) / link(line_score(usual, data.values), usual.link))
    return np.where(spent, logs, np.nan)


PARTS = {
    part.name: part
    for part in (
        Part("spend", "tweedie", "exp", _capped, _by_anchor),
        Part("chance", "binary", "sigmoid", _bought, _ones),
        Part("amount", "regression", "exp", _log_amount, _ones),
    )
}


def fit_recipe(
    data: TrainingData,
    today: Customers,
    model_type: ModelType,
    rounds: Mapping[str, int] | None = None,
    parameters: Parameters | None = None,
) -> Recipe:
    """The recipe of one model type; ``fit_recipes`` says of what."""
    return fit_recipes(data, today, (model_type,), rounds, parameters)[model_type]


def fit_recipes(
    data: TrainingData,
    today: Customers,
    model_types: Iterable[ModelType],
    rounds: Mapping[str, int] | None = None,
    parameters: Parameters | None = None,
) -> dict[ModelType, Recipe]:
    """
    The recipe of each model type, all from the same trees, fitted on all rows given.

    Args:
        data: Trainable rows only.

        today: Customers of the date that will be predicted, without answers. Each term is weighted so that
            their total is the anchors', which is the shop's level: what trees make of a shop as it ages must
            not move it.

        rounds: Trees per part, from ``choose_rounds``; ``default_rounds`` each if not given.
    """
    parameters = parameters or Parameters()
    rounds = rounds or dict.fromkeys(PARTS, parameters.default_rounds)
    boosters = {name: _grow(part, data, parameters, rounds[name]) for name, part in PARTS.items()}
    trees = {name: Trees(name, part.link) for name, part in PARTS.items()}
    chance = replace(
        trees["chance"], slope=CHANCE_STRETCH, intercept=(1 - CHANCE_STRETCH) * _mean_margin(data)
    )
    hurdle = (chance, _usual_chance(data), replace(trees["amount"], slope=AMOUNT_POWER))
    boosted = ((TWEEDIE_SHARE, (trees["spend"],)), (1 - TWEEDIE_SHARE, hurdle))
    line = _fit_line(data, parameters)
    means: dict[ModelType, tuple[tuple[float, Factors], ...]] = {
        "lightgbm": boosted,
        "ridge": ((1.0, (line,)),),
        "ensemble": (
            *(((1 - LINE_SHARE) * share, made_of) for share, made_of in boosted),
            (LINE_SHARE, (line,)),
        ),
    }
    offset = _expected_purchases(data.names)
    leaving = replace(trees["chance"], slope=-1.0 if offset is None else -0.5, offset=offset)
    churn = Output("churn_probability", (Term(1.0, (leaving,), anchored=False),))

    def recipe(mean: tuple[tuple[float, Factors], ...]) -> Recipe:
        unit = Recipe(data.names, ANCHOR, (), boosters)
        terms = tuple(_levelled(factors, unit, today, share) for share, factors in mean)
        return replace(unit, outputs=(Output("clv_predicted", terms), churn))

    return {model_type: recipe(means[model_type]) for model_type in model_types}


@dataclass(frozen=True)
class Rehearsal:
    """
    Rows that are predicted by recipes which did not learn from them: recipe ``k`` the rows whose ``part``,
    shape (n,), is k.
    """

    rows: TrainingData
    part: NDArray[np.int64]
    recipes: tuple[Recipe, ...]

    def said(self, tell: Callable[[Recipe, TrainingData], Array]) -> Array:
        """What ``tell`` makes of each recipe and its rows, put together in the rows' order. Shape (n,)."""
        found = np.empty(len(self.rows))
        for number, recipe in enumerate(self.recipes):
            mine = self.part == number
            found[mine] = tell(recipe, self.rows.only(mine))
        return found


def out_of_time(recipe: Recipe, rows: TrainingData) -> Rehearsal:
    """Rows of later dates than the recipe was fitted on."""
    return Rehearsal(rows, np.zeros(len(rows), dtype=np.int64), (recipe,))


def out_of_fold(
    rows: TrainingData,
    fit: Callable[[TrainingData, Customers], Recipe],
    known: TrainingData | None = None,
) -> Rehearsal:
    """
    Each customer predicted by what ``fit`` learns from the others, on the rows or on all that are ``known``,
    where there is no later date to predict, or too little before it.

    Source: cross-fitting as in Barber et al. (2021), "Predictive inference with the jackknife+" (CV+).
    """
    known = rows if known is None else known
    known_fold = _folds(known.customer)
    # who is not among the known was learned from by no fold
    fold_of = dict(zip(known.customer, known_fold, strict=True))
    part = np.array([fold_of.get(customer, 0) for customer in rows.customer], dtype=np.int64)
    recipes = tuple(
        fit(known.only(known_fold != fold), rows.only(part == fold).customers) for fold in range(FOLDS)
    )
    return Rehearsal(rows, part, recipes)


def fit_churn(rehearsal: Rehearsal, pace: Callable[[np.datetime64], float]) -> tuple[float, float]:
    """
    Slope and surplus that calibrate the margin of not buying on rows that the recipe was not fitted on.

    Args:
        rehearsal: Rows of one or more dates.

        pace: How busy the shop was in a date's window beside what the purchases expected of its customers add
            up to, as a logarithm.

    Returns:
        A slope half way from ``CHANCE_STRETCH`` to the one that fits these rows, half because they are of a
        date or two; theirs is taken for at least 0 (margins that say nothing of these rows, or the opposite)
        and at most ``STEEPEST_CHURN`` (few rows may be told apart without a fault, which is chance). And the
        surplus: what to add to the margins by formula (``_formula_margin``) so that the mean of their chances
        is the share that left.

    Source: Platt (1999).
    """
    rows = rehearsal.rows
    left = rows.purchases == 0
    margin = rehearsal.said(lambda recipe, part: _churn_margin(recipe, part.customers))
    days = np.unique(rows.as_of)
    formula = np.empty(len(rows))
    for day in days:
        alike = rows.as_of == day
        formula[alike] = _formula_margin(rows.names, rows.values[alike], pace(day))
    # half a customer to either side, since nobody knows of a shop where all leave, or none
    surplus = _shift(formula, (left.sum() + 0.5) / (left.size + 1))
    if left.all() or not left.any():
        return CHANCE_STRETCH, surplus
    for day in days:
        alike = rows.as_of == day
        margin[alike] += _shift(margin[alike], float(np.mean(expit(formula[alike] + surplus))))
    fitted = LogisticRegression(C=1e6).fit(margin[:, None], left).coef_[0, 0]
    return (CHANCE_STRETCH + float(np.clip(fitted, 0.0, STEEPEST_CHURN))) / 2, surplus


def with_calibrated_churn(
    recipe: Recipe, today: Customers, pace: float, slope: float, surplus: float
) -> Recipe:
    """
    The recipe whose margin of not buying is stretched, and moved so that the mean chance is the formula's at
    today's pace with the surplus of ``fit_churn``: who leaves is learned, how many in all follows from the
    purchases that are expected.
    """
    formula = _formula_margin(recipe.features, today.values, pace) + surplus
    moved = _shift(slope * _churn_margin(recipe, today), float(np.mean(expit(formula))))
    outputs = []
    for output in recipe.outputs:
        if output.name == "churn_probability":
            (factor,) = output.terms[0].factors
            assert isinstance(factor, Trees)
            factor = replace(factor, slope=slope * factor.slope, intercept=moved)
            output = Output(output.name, (Term(1.0, (factor,), anchored=False),))
        outputs.append(output)
    return replace(recipe, outputs=tuple(outputs))


def _formula_margin(names: tuple[str, ...], values: Array, pace: float) -> Array:
    """
    Margin of not buying by formula: the odds of buying are the purchases expected, which is exact where a
    customer's are geometric. Values have shape (n, k); the margin, shape (n,), is the same for all where the
    feature is left out.
    """
    if EXPECTED_PURCHASES not in names:
        return np.zeros(len(values))
    return -(values[:, names.index(EXPECTED_PURCHASES)] + pace)


def _expected_purchases(names: tuple[str, ...]) -> Line | None:
    """The logarithm of the purchases expected, as a score; None where the feature is left out."""
    if EXPECTED_PURCHASES not in names:
        return None
    coefficients = tuple(float(name == EXPECTED_PURCHASES) for name in names)
    none = (0.0,) * len(names)
    return Line(EXPECTED_PURCHASES, coefficients, none, none, 0.0, "identity")


def _shift(margin: Array, wanted: float) -> float:
    """
    What to add to margins, shape (n,), so that the mean of their chances is the one wanted; 0 where that is
    no chance.
    """
    if not 0 < wanted < 1:
        return 0.0
    found = root_scalar(lambda moved: float(np.mean(expit(margin + moved))) - wanted, bracket=(-100.0, 100.0))
    return float(found.root)


def _churn_margin(recipe: Recipe, customers: Customers) -> Array:
    chance = predict(recipe, customers.values, customers.anchor)["churn_probability"]
    return logit(np.clip(chance, 1e-9, 1 - 1e-9))


def fit_plain(data: TrainingData, parameters: Parameters) -> Callable[[TrainingData], Array]:
    """
    LightGBM without an anchor: Tweedie on revenue itself, the usual first attempt. Returns its prediction.
    """
    spent = np.maximum(data.revenue, 0.0)
    if not spent.any():
        return lambda rows: np.zeros(len(rows))
    booster = lgb.train(
        _lightgbm_parameters("tweedie", parameters, len(data)),
        lgb.Dataset(data.values, spent, params={"verbosity": -1}),
        num_boost_round=parameters.default_rounds,
    )
    return lambda rows: np.exp(np.asarray(booster.predict(rows.values, raw_score=True, num_threads=1)))


def fit_hurdle(data: TrainingData, parameters: Parameters) -> Callable[[TrainingData], Array]:
    """
    Zero-inflated lognormal without an anchor: chance of spending x exp(mean + variance / 2) of ln(revenue)
    among spenders.

    With fewer than ``FEWEST_ROWS`` spenders, the mean for everybody.

    Source: Wang, Liu and Miao (2019), arXiv:1912.07753, with trees in place of their network.
    """
    spent = data.revenue > 0
    if spent.sum() < FEWEST_ROWS:
        mean = float(np.maximum(data.revenue, 0.0).mean())
        return lambda rows: np.full(len(rows), mean)

    def grow(objective: str, target: Array, rows: NDArray[np.bool_]) -> lgb.Booster:
        rules = _lightgbm_parameters(objective, parameters, int(rows.sum()))
        dataset = lgb.Dataset(data.values[rows], target[rows], params={"verbosity": -1})
        return lgb.train(rules, dataset, num_boost_round=parameters.default_rounds)

    logs = np.log(np.where(spent, data.revenue, 1.0))
    chance, amount = grow("binary", spent.astype(float), np.ones_like(spent)), grow("regression", logs, spent)
    variance = float(np.var(logs[spent] - np.asarray(amount.predict(data.values[spent], num_threads=1))))
    return lambda rows: (
        np.asarray(chance.predict(rows.values, num_threads=1))
        * np.exp(np.asarray(amount.predict(rows.values, num_threads=1)) + variance / 2)
    )


def choose_rounds(fit: TrainingData, later: TrainingData, parameters: Parameters) -> dict[str, int]:
    """
    Trees per part: half way from ``default_rounds`` to where early stopping ends on a later date and on
    customers that the fold did not learn from; half, because one date says little.

    Args:
        fit: Trainable rows of the train dates.

        later: Trainable rows of the calibration date; the same as ``fit`` where history has one date only.
    """
    if np.unique(fit.customer).size < FOLDS:
        return dict.fromkeys(PARTS, parameters.default_rounds)
    fold_of = _folds(np.concatenate([fit.customer, later.customer]))
    fit_fold, later_fold = fold_of[: len(fit)], fold_of[len(fit) :]
    rounds = {}
    for name, part in PARTS.items():
        best = [
            _best_round(part, fit.only(fit_fold != fold), later.only(later_fold == fold), parameters)
            for fold in range(FOLDS)
        ]
        rounds[name] = round((parameters.default_rounds + float(np.mean(best))) / 2)
    return rounds


def _folds(customers: NDArray[np.str_]) -> NDArray[np.int64]:
    """A fold per row; all rows of a customer share one."""
    fold_of = np.empty(customers.size, dtype=np.int64)
    for fold, (_, held_out) in enumerate(GroupKFold(FOLDS).split(customers, groups=customers)):
        fold_of[held_out] = fold
    return fold_of


def _best_round(part: Part, fit: TrainingData, held_out: TrainingData, parameters: Parameters) -> int:
    learning = _dataset(part, fit, parameters)
    checking = _dataset(part, held_out, parameters, reference=learning)
    if learning is None:
        return 0
    if checking is None:
        return parameters.default_rounds
    booster = lgb.train(
        _lightgbm_parameters(part.objective, parameters, _rows(learning)),
        learning,
        num_boost_round=parameters.max_rounds,
        valid_sets=[checking],
        callbacks=[lgb.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return booster.best_iteration


def _grow(part: Part, data: TrainingData, parameters: Parameters, rounds: int) -> lgb.Booster:
    dataset = _dataset(part, data, parameters)
    if dataset is None:
        # where hardly anybody bought again there is nothing to learn: the part is the same for all, and the
        # anchor carries the mean
        dataset = lgb.Dataset(data.values, np.ones(len(data)), feature_name=list(data.names))
    rules = _lightgbm_parameters(part.objective, parameters, _rows(dataset))
    return lgb.train(rules, dataset, num_boost_round=rounds)


def _dataset(
    part: Part, data: TrainingData, parameters: Parameters, reference: lgb.Dataset | None = None
) -> lgb.Dataset | None:
    """What the part learns from; None where there is nothing, or too little."""
    if not len(data):
        return None
    target = part.target(data, ratio(data), parameters)
    taught = np.isfinite(target)
    if taught.sum() < FEWEST_ROWS or (part.objective == "tweedie" and not target.any()):
        return None
    return lgb.Dataset(
        data.values[taught],
        target[taught],
        weight=part.weight(data)[taught],
        reference=reference,
        feature_name=list(data.names),
        params={"verbosity": -1},
    )


def _rows(dataset: lgb.Dataset) -> int:
    """How many rows are learned from."""
    return np.asarray(dataset.get_label(), dtype=float).size


def _lightgbm_parameters(objective: str, parameters: Parameters, rows: int) -> dict[str, Any]:
    """LightGBM's own parameters. One thread and fixed seeds, so that a fit can be repeated bit for bit."""
    return {
        "objective": objective,
        "tweedie_variance_power": parameters.tweedie_power,
        "num_leaves": parameters.leaves,
        "learning_rate": parameters.learning_rate,
        "feature_fraction": parameters.feature_share,
        "bagging_fraction": parameters.row_share,
        "bagging_freq": 1,
        "lambda_l2": parameters.l2,
        "min_data_in_leaf": int(np.clip(rows / 60, min(100, max(5, rows / 10)), 1000)),
        "seed": parameters.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def _fit_line(data: TrainingData, parameters: Parameters) -> Line:
    """
    Ridge regression of the ratio on standardised features, medians for the missing, and a flag for each of
    them.
    """
    missing = np.isnan(data.values)
    medians = np.array(
        [
            np.median(column[~gap]) if not gap.all() else 0.0
            for column, gap in zip(data.values.T, missing.T, strict=True)
        ]
    )
    inputs = np.column_stack([np.where(missing, medians, data.values), missing])
    spread = np.where(inputs.std(axis=0) > 0, inputs.std(axis=0), 1.0)
    model = Ridge(alpha=parameters.ridge_l2).fit(
        (inputs - inputs.mean(axis=0)) / spread,
        _capped(data, ratio(data), parameters),
        sample_weight=_by_anchor(data),
    )
    coefficients = model.coef_ / spread
    count = len(data.names)
    return Line(
        name="line",
        coefficients=tuple(coefficients[:count].tolist()),
        missing_coefficients=tuple(coefficients[count:].tolist()),
        medians=tuple(medians.tolist()),
        intercept=float(model.intercept_ - coefficients @ inputs.mean(axis=0)),
        link="relu",
    )


def _usual_chance(data: TrainingData) -> Line:
    """
    One over the chance of buying that goes with the anchor: a logistic curve of its logarithm relative to
    the mean.
    """
    bought, none = data.purchases > 0, (0.0,) * len(data.names)
    slope, intercept = 0.0, _mean_margin(data)
    if RELATIVE_ANCHOR in data.names and 0 < bought.mean() < 1:
        place = data.names.index(RELATIVE_ANCHOR)
        curve = LogisticRegression(C=1e6).fit(data.values[:, [place]], bought)
        slope, intercept = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    coefficients = tuple(slope if name == RELATIVE_ANCHOR else 0.0 for name in data.names)
    return Line("usual_chance", coefficients, none, none, intercept, "one_over_sigmoid")


def _mean_margin(data: TrainingData) -> float:
    """The margin of the share that bought."""
    return float(logit(np.clip((data.purchases > 0).mean(), 0.01, 0.99)))


def _levelled(factors: Factors, unit: Recipe, today: Customers, share: float) -> Term:
    """The anchored term, weighted so that it makes up that share of today's anchor total."""
    alone = replace(unit, outputs=(Output("mean", (Term(1.0, factors, anchored=True),)),))
    total = predict(alone, today.values, today.anchor)["mean"].sum()
    return Term(float(share * today.anchor.sum() / total) if total > 0 else 0.0, factors, anchored=True)
