"""
What a fitted model is: outputs made of sums of products of trees and lines.

An *output* is a sum of *terms*; a term is ``weight x anchor x product of link(score) ** power`` over its
*factors*; a factor's score comes from a LightGBM booster or from a line. The same grammar is exported to
ONNX, evaluated there, and explained driver by driver, so that no recipe needs code of its own. It stands in
``manifest.json`` as here, where pydantic checks it as untrusted input; each booster is a file of its own.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AliasChoices, ConfigDict, Field, with_config

from clv_ml.errors import ExportError

if TYPE_CHECKING:
    import lightgbm as lgb

Link = Literal["exp", "sigmoid", "one_over_sigmoid", "excess", "relu", "identity"]
"""``excess`` is max(0, 2 sigmoid - 1), by how much a chance beats its opposite."""
INPUTS = ("features", "anchor")
"""Names of the graph's inputs, which nothing else may have."""
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""How pydantic reads what may be forged: no other keys, no other types, no number that is not finite."""


@with_config(STRICT)
@dataclass(frozen=True)
class Line:
    """
    A linear score: intercept + coefficients . filled + missing_coefficients . isnan.

    A missing feature is filled with its median; one beyond its ``lowest`` or ``highest`` counts as that (both
    are empty where nothing is limited). The tuples have one number per feature, in feature order.
    """

    name: Name
    coefficients: tuple[float, ...]
    missing_coefficients: tuple[float, ...]
    medians: tuple[float, ...]
    intercept: float
    link: Link
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()
    kind: Literal["line"] = "line"


@with_config(STRICT)
@dataclass(frozen=True)
class Trees:
    """
    The booster of this name. Its raw score s enters as link(slope x s + intercept) to a power; the
    ``offset``, a line, adds its own score to s, its link left out.
    """

    name: Name
    link: Link
    slope: float = 1.0
    intercept: float = 0.0
    power: float = 1.0
    # models made before 0.2.0 call it "beside"
    offset: Annotated[Line | None, Field(validation_alias=AliasChoices("offset", "beside"))] = None
    kind: Literal["trees"] = "trees"


Factor = Annotated[Trees | Line, Field(discriminator="kind")]


@with_config(STRICT)
@dataclass(frozen=True)
class Term:
    """weight x (anchor, if anchored) x product over factors."""

    weight: float
    factors: tuple[Factor, ...]
    anchored: bool


@with_config(STRICT)
@dataclass(frozen=True)
class Output:
    """A named sum of terms, for example ``clv_predicted`` in the reporting currency."""

    name: Name
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Recipe:
    """
    A whole model: the features in order, the anchor's column, the outputs, and the boosters that these name.

    Features are read as doubles, NULL as NaN. ``anchor`` names the column that anchored terms are multiplied
    by; it is None where no term is anchored. It need not be a feature.
    """

    features: tuple[str, ...]
    anchor: str | None
    outputs: tuple[Output, ...]
    boosters: Mapping[str, "lgb.Booster"] = field(default_factory=dict)


def all_factors(outputs: tuple[Output, ...]) -> Iterator[Trees | Line]:
    """All factors of all outputs, in order, each followed by the line that is its offset."""
    for output in outputs:
        for term in output.terms:
            yield from term_factors(term)


def term_factors(term: Term) -> Iterator[Trees | Line]:
    """The same of one term."""
    for factor in term.factors:
        yield factor
        if isinstance(factor, Trees) and factor.offset is not None:
            yield factor.offset


def booster_names(outputs: tuple[Output, ...]) -> tuple[str, ...]:
    """Names of the boosters that the outputs use, each once, in order of use."""
    return tuple(dict.fromkeys(factor.name for factor in all_factors(outputs) if isinstance(factor, Trees)))


def check_recipe(recipe: Recipe) -> None:
    """
    Refuses a recipe that contradicts itself, before anything is made of it.

    Raises:
        ExportError: Naming the feature, output, booster or line at fault.
    """
    names = [output.name for output in recipe.outputs]
    for what, items in (("feature", recipe.features), ("output", names)):
        if not items or len(set(items)) != len(items):
            raise ExportError(
                f"The recipe has no {what}s, or one twice: {', '.join(items)}. Name each one once."
            )
    for name in names + [factor.name for factor in all_factors(recipe.outputs)]:
        if not re.fullmatch(NAME_PATTERN, name) or name in INPUTS:
            raise ExportError(
                f"{name!r} cannot name an output, booster or line. Use small letters, digits and _."
            )
    for output in recipe.outputs:
        _check_output(output, recipe)
    _check_boosters(recipe)
    _check_lines(recipe)


def _check_output(output: Output, recipe: Recipe) -> None:
    if not output.terms:
        raise ExportError(f"Output {output.name!r} has no terms. Give it at least one.")
    for term in output.terms:
        if term.anchored and recipe.anchor is None:
            raise ExportError(
                f"Output {output.name!r} is anchored but the recipe has no anchor. Name its column."
            )
        if not (term.factors or term.anchored):
            raise ExportError(
                f"Output {output.name!r} has a term without factor or anchor. Add one or drop the term."
            )
        _check_numbers(output.name, term, len(recipe.features))


def _check_numbers(output: str, term: Term, features: int) -> None:
    numbers = [term.weight, *(number for factor in term_factors(term) for number in _numbers(factor))]
    if not all(map(math.isfinite, numbers)):
        raise ExportError(f"Output {output!r} has a weight or coefficient that is not finite. Refit it.")
    for factor in term_factors(term):
        if isinstance(factor, Line) and any(len(vector) != features for vector in _vectors(factor)):
            raise ExportError(
                f"Line {factor.name!r} does not have {features} coefficients, missing coefficients, "
                "medians and limits, one per feature. Refit it on the recipe's features."
            )


def _check_boosters(recipe: Recipe) -> None:
    """One name, one booster: the name is also its file."""
    lines = {factor.name for factor in all_factors(recipe.outputs) if isinstance(factor, Line)}
    for name in booster_names(recipe.outputs):
        if name not in recipe.boosters:
            raise ExportError(f"The recipe has no booster {name!r}, which an output uses. Add it.")
        if name in lines:
            raise ExportError(f"A booster and a line are called {name!r}. Rename one.")


def _check_lines(recipe: Recipe) -> None:
    seen: dict[str, list[float]] = {}
    for factor in all_factors(recipe.outputs):
        if isinstance(factor, Line) and seen.setdefault(factor.name, _numbers(factor)) != _numbers(factor):
            raise ExportError(f"Two different lines are called {factor.name!r}. Rename one.")


def _vectors(line: Line) -> tuple[tuple[float, ...], ...]:
    """One number per feature each; a line without limits has none of them."""
    limits = (line.lowest, line.highest) if line.lowest or line.highest else ()
    return line.coefficients, line.missing_coefficients, line.medians, *limits


def _numbers(factor: Trees | Line) -> list[float]:
    if isinstance(factor, Trees):
        return [factor.slope, factor.intercept, factor.power]
    return [factor.intercept, *(number for vector in _vectors(factor) for number in vector)]
