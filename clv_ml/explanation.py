"""
Exact drivers: what each feature, and the anchor, added to or took from a prediction, in its own unit.

A term is weight x M x R1 x R2 ..., where M multiplies the anchor with every exp and sigmoid factor, all positive, and
R are relu and identity factors, which may be zero or negative. Relative to a base row (mean margins, reference anchor):

- M: log contributions phi, with log(anchor / reference) as the anchor's, become currency by the logarithmic mean:
  phi x (M - M0) / (ln M - ln M0). A sigmoid's change in ln(chance) is shared in proportion to margin contributions.
- R: the change R - R0 is shared in proportion to margin contributions. Where the margin did not change, relu's own
  slope at the base stands in, so that nothing is divided by zero.
- Product of two such parts Q and R: contributions of Q times (R + R0) / 2 plus those of R times (Q + Q0) / 2. This is
  the Shapley value of two players, and adds up to QR - Q0R0; further parts are joined one at a time, in order.

Trees' margin contributions are exact SHAP values, a line's are measured against its medians. An anchor that is not
positive has no logarithm; it then carries the whole change of M, which is the limit as it goes to zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from clv_ml.errors import ModelError
from clv_ml.model_files import LoadedModel
from clv_ml.parity import link, predict
from clv_ml.recipe import Line, Output, Recipe, Term, Trees

ANCHOR_DRIVER = "anchor"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contributions:
    """
    ``base + values.sum(axis=1) == prediction``, up to the rounding of that sum.

    ``base`` and ``prediction`` have shape (n,); ``values`` and ``inputs`` (n, K), one column per name of ``drivers``.
    ``inputs`` is what the driver was in that row: the feature's value, or NaN for a driver of several features.
    """

    drivers: tuple[str, ...]
    base: Floats
    values: Floats
    prediction: Floats
    inputs: Floats


@dataclass(frozen=True)
class TopDrivers:
    """
    The k strongest drivers of each row, strongest first; ``base + contributions.sum(axis=1) + rest == prediction``.

    ``names`` (None beyond the last driver), ``values`` and ``contributions`` have shape (n, k), ``rest`` (n,).
    """

    names: NDArray[np.object_]
    values: Floats
    contributions: Floats
    rest: Floats


@dataclass(frozen=True)
class _Part:
    """A quantity now and at the base, shape (n,), and its change by feature and anchor, shape (n, F + 1)."""

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
    groups: Mapping[str, str] | None = None,
) -> Contributions:
    """
    What each driver contributed to one output, for every row.

    Args:
        features: Shape (n, F), in the recipe's order, NaN where missing.

        anchor: Shape (n,), in the output's unit; None where the recipe has none.

        anchor_reference: The anchor to compare with; the manifest's where a loaded model is given.

        groups: Feature to driver name, for features that tell only together (a sine and its cosine). The anchor's
            driver is ``anchor`` unless renamed here under that name.

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
    prediction = predict(recipe, features, anchor)[output]
    margins: dict[str, Floats] = {}
    change = np.zeros((len(features), features.shape[1] + 1))
    for term in wanted.terms:
        change += term.weight * _term(term, features, anchor, anchor_reference, margins).change
    inputs = np.column_stack([features, np.full(len(features), np.nan) if anchor is None else anchor])
    names = (*recipe.features, ANCHOR_DRIVER) if recipe.anchor is not None else recipe.features
    return _grouped(names, change, inputs, prediction, groups or {})


def tree_contributions(booster: lgb.Booster, features: Floats) -> Floats:
    """Exact SHAP values of the raw score, shape (n, F + 1); the last column is the expected score."""
    if not len(features):
        return np.zeros((0, features.shape[1] + 1))
    return np.asarray(booster.predict(features, pred_contrib=True, num_threads=1), dtype=np.float64)


def top_drivers(contribs: Contributions, k: int = 3) -> TopDrivers:
    """The k drivers with the largest |contribution| per row; of equals, the one that comes first in feature order."""
    order = np.argsort(-np.abs(contribs.values), axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(contribs.values, order, axis=1)
    names = np.array(contribs.drivers, dtype=object)[order]
    values = np.take_along_axis(contribs.inputs, order, axis=1)
    rest = contribs.prediction - contribs.base - chosen.sum(axis=1)
    if (short := k - order.shape[1]) > 0:
        # pyrefly: ignore[no-matching-overload]
        names = np.pad(names, ((0, 0), (0, short)), constant_values=None)
        values = np.pad(values, ((0, 0), (0, short)), constant_values=np.nan)
        chosen = np.pad(chosen, ((0, 0), (0, short)))
    return TopDrivers(names, values, chosen, rest)


def _output(recipe: Recipe, name: str) -> Output:
    for output in recipe.outputs:
        if output.name == name:
            return output
    known = ", ".join(output.name for output in recipe.outputs)
    raise ModelError(f"The model has no output {name!r}; it has {known}. Name one of them.")


def _term(
    term: Term, features: Floats, anchor: Floats | None, reference: float | None, margins: dict[str, Floats]
) -> _Part:
    """The term without its weight."""
    parts = [(factor, _margin_part(factor, features, margins)) for factor in term.factors]
    positive = [_log_factor(factor.link, part) for factor, part in parts if factor.link in ("exp", "sigmoid")]
    own_anchor, own_reference = (anchor, reference) if term.anchored else (None, 1.0)
    product = _multiplied(positive, len(features), features.shape[1], own_anchor, own_reference or 1.0)
    for factor, part in parts:
        if factor.link not in ("exp", "sigmoid"):
            product = _joined(product, _linked(factor.link, part))
    return product


def _margin_part(factor: Trees | Line, features: Floats, margins: dict[str, Floats]) -> _Part:
    """The factor's margin, its base and contributions; the anchor has none."""
    if isinstance(factor, Line):
        missing = np.isnan(features)
        shares = np.where(missing, 0.0, features - factor.medians) * factor.coefficients
        shares = shares + missing * factor.missing_coefficients
        expected = np.full(len(features), factor.medians @ factor.coefficients + factor.intercept)
    else:
        if factor.name not in margins:
            margins[factor.name] = tree_contributions(factor.booster, features)
        shares = margins[factor.name][:, :-1] * factor.slope
        expected = margins[factor.name][:, -1] * factor.slope + factor.intercept
    change = np.column_stack([shares, np.zeros(len(features))])
    return _Part(expected + change.sum(axis=1), expected, change)


def _log_factor(name: str, margin: _Part) -> _Part:
    """ln(link(margin)) from margins: for exp the margin itself."""
    if name == "exp":
        return margin
    now, base = -np.logaddexp(0.0, -margin.now), -np.logaddexp(0.0, -margin.base)
    middle = (margin.now + margin.base) / 2
    slope_in_middle = np.exp(-np.logaddexp(0.0, middle))
    slope = _slope(now - base, margin.now - margin.base, slope_in_middle)
    return _Part(now, base, margin.change * slope[:, None])


def _linked(name: str, margin: _Part) -> _Part:
    """A relu or identity factor from margins."""
    if name == "identity":
        return margin
    now, base = link(margin.now, "relu"), link(margin.base, "relu")
    slope = _slope(now - base, margin.now - margin.base, (margin.base > 0).astype(np.float64))
    return _Part(now, base, margin.change * slope[:, None])


def _slope(rise: Floats, run: Floats, limit: Floats) -> Floats:
    """rise / run, and its limit where the run is too small to divide by."""
    small = np.abs(run) < 1e-6
    return np.where(small, limit, rise / np.where(small, 1.0, run))


def _multiplied(logs: list[_Part], rows: int, count: int, anchor: Floats | None, reference: float) -> _Part:
    """anchor x product of positive factors, its change shared by log contributions."""
    phi = sum((part.change for part in logs), np.zeros((rows, count + 1)))
    log_base = sum((part.base for part in logs), np.zeros(rows)) + np.log(reference)
    positive = np.ones(rows, dtype=np.bool_)
    if anchor is not None:
        positive = ~(anchor <= 0)
        phi[:, -1] = np.log(np.where(positive, anchor, reference) / reference)
    base, distance = np.exp(log_base), phi.sum(axis=1)
    now = base * np.exp(distance)
    tiny = np.abs(distance) < 1e-12
    mean = base * np.where(tiny, 1.0, np.expm1(distance) / np.where(tiny, 1.0, distance))
    change = phi * mean[:, None]
    if anchor is not None and not positive.all():
        now = np.where(positive, now, now * anchor / reference)
        change[~positive] = 0.0
        change[~positive, -1] = (now - base)[~positive]
    return _Part(now, base, change)


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
        seen[:, at] = inputs[:, index] if owner.count(driver) == 1 else np.nan
    return Contributions(drivers, prediction - values.sum(axis=1), values, prediction, seen)
