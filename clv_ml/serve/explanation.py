"""
Exact drivers: what each feature, and the anchor, added to or took from a prediction, in its own unit.

A term is weight x M x R1 x R2 ..., where M multiplies the anchor with every exp, sigmoid and 1/sigmoid
factor, all positive, and R are relu and identity factors, which may be zero or negative. Relative to a base
row (mean margins, reference anchor):

- M: log contributions phi, with log(anchor / reference) as the anchor's, become currency by the logarithmic
  mean: phi x (M - M0) / (ln M - ln M0). A sigmoid's change in ln(chance) is shared in proportion to margin
  contributions.
- R: the change R - R0 is shared in proportion to margin contributions. Where the margin did not change,
  relu's own slope at the base stands in, so that nothing is divided by zero.
- Product of two such parts Q and R: contributions of Q times (R + R0) / 2 plus those of R times (Q + Q0) / 2.
  This is the Shapley value of two players, and adds up to QR - Q0R0; further parts are joined one at a time,
  in order.

Trees' margin contributions are exact SHAP values, a line's are measured against its medians. An anchor that
is not positive has no logarithm; it then carries the whole change of M, which is the limit as it goes to
zero.

Where the anchor a = f1 x f2 ... x (q1 + q2 + ... + rest) is known by its parts, ln(a / reference) is the sum
of ln(f / its reference) plus ln of the sum over its reference; the latter is shared by (q - its reference) /
logarithmic mean of the two sums, which adds up exactly. ``rest`` is what the named parts leave of the anchor:
the floor where parts are added, else one more factor, expected purchases, where the others are the value of
an order and the chance of still being a customer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import ModelError
from clv_ml.model.booster_text import booster_text, read_forest
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.onnx_session import evaluate
from clv_ml.model.prediction import factor_of, predict
from clv_ml.model.recipe import Line, Output, Recipe, Term, Trees
from clv_ml.serve.columns import Batch, feature_matrix
from clv_ml.serve.tree_shap import ExplainedForest, explain_forest, shap_values

POSITIVE = ("exp", "sigmoid", "one_over_sigmoid")
STEP = 1e-6
"""Of a margin: below it, a slope is taken at the base."""
FAINTEST = 1e-60
"""
Of a factor of the anchor: a smaller one, such as the chance that somebody long gone is still a customer,
cannot be divided by.
"""
ANCHOR_DRIVER, FLOOR_DRIVER, PURCHASES_DRIVER = "anchor", "anchor_floor", "expected_purchases"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """
    ``base + values.sum(axis=1) == prediction``, up to the rounding of that sum.

    ``base`` and ``prediction`` have shape (n,); ``values`` and ``inputs`` (n, K), one column per name of
    ``drivers``. ``inputs`` is what the driver was in that row: its value, or, where several columns are one
    driver, the value of the one that bears its name; NaN where none does.
    """

    drivers: tuple[str, ...]
    base: Floats
    values: Floats
    prediction: Floats
    inputs: Floats


@dataclass(frozen=True)
class AnchorParts:
    """
    What the anchor is made of: first so many factors, the shop's level per customer say, then addends in the
    anchor's unit.

    ``names`` has the factors' names, then the addends'; ``values`` has shape (n, names), ``reference``
    (names,). A factor that is missing or not above ``FAINTEST`` is taken for its reference.
    """

    names: tuple[str, ...]
    values: Floats
    reference: Floats
    factors: int = 1


@dataclass(frozen=True)
class _Part:
    """
    A quantity now and at the base, shape (n,), and its change by feature and A anchor drivers, shape (n, F +
    A).
    """

    now: Floats
    base: Floats
    change: Floats


def contributions(
    model: LoadedModel | Recipe,
    features: Floats,
    anchor: Floats | None,
    output: str = "clv_predicted",
    *,
    anchor_reference: float | None = None,
    anchor_parts: AnchorParts | None = None,
    groups: Mapping[str, str] | None = None,
) -> Contributions:
    """
    What each driver contributed to one output, for every row.

    Args:
        features: Shape (n, F), in the recipe's order, NaN where missing.

        anchor: Shape (n,), in the output's unit; None where the recipe has none.

        anchor_reference: The anchor to compare with; the manifest's where a loaded model is given.

        anchor_parts: Gives the anchor a driver per part, and one for the rest of it: ``anchor_floor`` where
            parts are added, else ``expected_purchases``.

        groups: Feature to driver name, for features that tell only together (a sine and its cosine). The
            driver of an anchor without parts is ``anchor`` unless renamed here under that name.

    Raises:
        ModelError: If the output is unknown or an anchored recipe lacks its reference.
    """
    recipe = model if isinstance(model, Recipe) else model.recipe
    if anchor_reference is None and isinstance(model, LoadedModel):
        anchor_reference = model.manifest.anchor_reference
    wanted = _output(recipe, output)
    if recipe.anchor is not None and (anchor is None or not (anchor_reference and anchor_reference > 0)):
        raise ModelError(
            "Drivers of an anchored model need each row's anchor and a reference above 0. Pass both."
        )
    if isinstance(model, LoadedModel):
        prediction = evaluate(model.session, features, anchor)[output]
    else:
        prediction = predict(recipe, features, anchor)[output]
    names, inputs, shares = recipe.features, features, np.zeros((len(features), 0))
    if anchor is not None and anchor_reference is not None and recipe.anchor is not None:
        anchor_names, anchor_inputs, shares = _anchor_drivers(anchor, anchor_reference, anchor_parts)
        names, inputs = (*names, *anchor_names), np.column_stack([features, anchor_inputs])
    margins: dict[str, Floats] = {}
    change = np.zeros((len(features), len(names)))
    for term in wanted.terms:
        change += (
            term.weight * _term(term, recipe, features, anchor, anchor_reference, shares, margins).change
        )
    return _grouped(names, change, inputs, prediction, groups or {})


def explain(model: LoadedModel, batch: Batch) -> Contributions:
    """
    Every driver of ``clv_predicted``, named as the manifest groups them, for rows found by column name.

    Raises:
        FeatureMismatchError: Naming each column that is missing or not a number.
    """
    manifest = model.manifest
    features = feature_matrix(batch, manifest.feature_names, manifest.version)
    groups, anchor, parts = dict(manifest.feature_drivers), None, None
    if manifest.anchor:
        anchor = feature_matrix(batch, (manifest.anchor,), manifest.version)[:, 0]
        groups[ANCHOR_DRIVER] = manifest.anchor
    if manifest.anchor_parts:
        names = tuple(part.name for part in manifest.anchor_parts)
        reference = np.array([part.reference for part in manifest.anchor_parts])
        values = feature_matrix(batch, names, manifest.version)
        parts = AnchorParts(names, values, reference, manifest.anchor_factors)
    return contributions(model, features, anchor, anchor_parts=parts, groups=groups)


def tree_contributions(booster: lgb.Booster, features: Floats) -> Floats:
    """Exact SHAP values of the raw score, shape (n, F + 1); the last column is the expected score."""
    return shap_values(_explained(booster), features)


@lru_cache(maxsize=16)
def _explained(booster: lgb.Booster) -> ExplainedForest:
    """A fitted booster's tables, made once."""
    return explain_forest(read_forest(booster_text(booster), "explained"))


def _output(recipe: Recipe, name: str) -> Output:
    for output in recipe.outputs:
        if output.name == name:
            return output
    known = ", ".join(output.name for output in recipe.outputs)
    raise ModelError(f"The model has no output {name!r}; it has {known}. Name one of them.")


def _anchor_drivers(
    anchor: Floats, reference: float, parts: AnchorParts | None
) -> tuple[tuple[str, ...], Floats, Floats]:
    """
    Names, values and shares of the anchor's drivers, the last two of shape (n, A). Shares of a row add up to
    ln(anchor / reference), or to 1 where that is not defined.
    """
    positive = ~(anchor <= 0)
    if parts is None:
        logs = np.log(np.where(positive, anchor, np.e * reference) / reference)
        return (ANCHOR_DRIVER,), anchor[:, None], logs[:, None]
    factors, factor_reference = parts.values[:, : parts.factors], parts.reference[: parts.factors]
    factors = np.where(factors > FAINTEST, factors, factor_reference)
    factor_logs = np.where(positive[:, None], np.log(factors / factor_reference), 0.0)
    addends, addend_reference = parts.values[:, parts.factors :], parts.reference[parts.factors :]
    level = np.where(positive, factors.prod(axis=1), 1.0)
    level_reference = np.where(positive, factor_reference.prod(), 1.0)
    distance = addends / level[:, None] - addend_reference / level_reference[:, None]
    now, base = anchor / level, reference / level_reference
    rest = now - base - distance.sum(axis=1)
    mean = np.where(
        positive, _logarithmic_mean(base, np.log(np.where(positive, now, base) / base)), now - base
    )
    shares = np.column_stack([distance, rest]) / mean[:, None]
    name, left = (
        (FLOOR_DRIVER, anchor - addends.sum(axis=1))
        if addends.shape[1]
        else (PURCHASES_DRIVER, anchor / level)
    )
    inputs = np.column_stack([parts.values, left])
    return (*parts.names, name), inputs, np.column_stack([factor_logs, shares])


def _term(
    term: Term,
    recipe: Recipe,
    features: Floats,
    anchor: Floats | None,
    reference: float | None,
    shares: Floats,
    margins: dict[str, Floats],
) -> _Part:
    """The term without its weight."""
    drivers = shares.shape[1]
    parts = [(factor, _margin_part(factor, recipe, features, drivers, margins)) for factor in term.factors]
    positive = [_log_factor(factor, part) for factor, part in parts if factor.link in POSITIVE]
    phi = np.column_stack([np.zeros_like(features), np.zeros_like(shares)])
    own_anchor, own_reference = (anchor, reference) if term.anchored else (None, 1.0)
    if term.anchored:
        phi[:, features.shape[1] :] = shares
    product = _multiplied(positive, phi, own_anchor, own_reference or 1.0)
    for factor, part in parts:
        if factor.link not in POSITIVE:
            product = _joined(product, _linked(factor, part))
    return product


def _margin_part(
    factor: Trees | Line, recipe: Recipe, features: Floats, anchor_drivers: int, margins: dict[str, Floats]
) -> _Part:
    """The factor's margin, its base and contributions; the anchor's drivers have none."""
    if isinstance(factor, Line):
        shares, expected = _line_shares(factor, features)
    else:
        if factor.name not in margins:
            margins[factor.name] = tree_contributions(recipe.boosters[factor.name], features)
        shares, expected = margins[factor.name][:, :-1], margins[factor.name][:, -1]
        if factor.offset is not None:
            offset, offset_expected = _line_shares(factor.offset, features)
            shares, expected = shares + offset, expected + offset_expected
        shares, expected = shares * factor.slope, expected * factor.slope + factor.intercept
    change = np.column_stack([shares, np.zeros((len(features), anchor_drivers))])
    return _Part(expected + change.sum(axis=1), expected, change)


def _line_shares(line: Line, features: Floats) -> tuple[Floats, Floats]:
    """What each feature adds to a line's score, and the score at its medians. Shapes (n, k) and (n,)."""
    missing = np.isnan(features)
    shares = np.where(missing, 0.0, features - line.medians) * line.coefficients
    shares = shares + missing * line.missing_coefficients
    return shares, np.full(len(features), np.dot(line.medians, line.coefficients) + line.intercept)


def _log_factor(factor: Trees | Line, margin: _Part) -> _Part:
    """ln(link(margin)) times the power, from margins: for exp the margin itself."""
    power = 1.0 if isinstance(factor, Line) else factor.power
    if factor.link == "exp":
        return _Part(margin.now * power, margin.base * power, margin.change * power)
    now, base = -np.logaddexp(0.0, -margin.now), -np.logaddexp(0.0, -margin.base)
    middle = (margin.now + margin.base) / 2
    slope_in_middle = np.exp(-np.logaddexp(0.0, middle))
    slope = _slope(now - base, margin.now - margin.base, slope_in_middle)
    sign = -power if factor.link == "one_over_sigmoid" else power
    return _Part(sign * now, sign * base, margin.change * (sign * slope)[:, None])


def _linked(factor: Trees | Line, margin: _Part) -> _Part:
    """A factor that may be zero or negative, from margins."""
    if factor.link == "identity":
        return margin
    now, base = factor_of(factor, margin.now), factor_of(factor, margin.base)
    limit = (factor_of(factor, margin.base + STEP) - factor_of(factor, margin.base - STEP)) / (2 * STEP)
    run = margin.now - margin.base
    slope = _slope(now - base, run, limit)
    # Beside a kink the slope at the base is not the change's own: what it leaves goes by the size of
    # contributions.
    sizes = np.abs(margin.change)
    all_sizes = sizes.sum(axis=1)
    left = (now - base - slope * run) / np.where(all_sizes > 0, all_sizes, 1.0)
    return _Part(now, base, margin.change * slope[:, None] + sizes * left[:, None])


def _slope(rise: Floats, run: Floats, limit: Floats) -> Floats:
    """rise / run, and its limit where the run is too small to divide by."""
    small = np.abs(run) < STEP
    return np.where(small, limit, rise / np.where(small, 1.0, run))


def _multiplied(logs: list[_Part], phi: Floats, anchor: Floats | None, reference: float) -> _Part:
    """
    anchor x product of positive factors, its change shared by log contributions; ``phi`` has the anchor's
    own.
    """
    positive = np.ones(len(phi), dtype=np.bool_) if anchor is None else ~(anchor <= 0)
    log_base = sum((part.base for part in logs), np.zeros(len(phi))) + np.log(reference)
    anchor_alone = phi[~positive]
    phi[~positive] = 0.0
    for part in logs:
        phi += part.change
    base, distance = np.exp(log_base), phi.sum(axis=1)
    now = base * np.exp(distance)
    change = phi * _logarithmic_mean(base, distance)[:, None]
    if anchor is not None and not positive.all():
        now = np.where(positive, now, now * anchor / reference)
        change[~positive] = anchor_alone * (now - base)[~positive, None]
    return _Part(now, base, change)


def _logarithmic_mean(base: Floats, distance: Floats) -> Floats:
    """(p - b) / (ln p - ln b) of b and p = b x exp(distance), and its limit at p = b."""
    tiny = np.abs(distance) < 1e-12
    return base * np.where(tiny, 1.0, np.expm1(distance) / np.where(tiny, 1.0, distance))


def _joined(left: _Part, right: _Part) -> _Part:
    """The product of two parts, each change weighted by the other part's mean of now and base."""
    by_left = left.change * ((right.now + right.base) / 2)[:, None]
    by_right = right.change * ((left.now + left.base) / 2)[:, None]
    return _Part(left.now * right.now, left.base * right.base, by_left + by_right)


def _grouped(
    names: tuple[str, ...], change: Floats, inputs: Floats, prediction: Floats, groups: Mapping[str, str]
) -> Contributions:
    """Columns of one driver added up; what rounding leaves goes into the base."""
    owner = [groups.get(name, name) for name in names]
    drivers = tuple(dict.fromkeys(owner))
    values = np.zeros((len(change), len(drivers)))
    seen = np.full((len(change), len(drivers)), np.nan)
    for index, driver in enumerate(owner):
        at = drivers.index(driver)
        values[:, at] += change[:, index]
        if owner.count(driver) == 1 or names[index] == driver:
            seen[:, at] = inputs[:, index]
    return Contributions(drivers, prediction - values.sum(axis=1), values, prediction, seen)
