"""Refuses a recipe that contradicts itself, before anything is made of it."""

import re

import numpy as np

from clv_ml.errors import ExportError
from clv_ml.model.recipe import (
    NAME_PATTERN,
    Line,
    Output,
    Recipe,
    Term,
    Trees,
    all_factors,
    booster_names,
    term_factors,
)

INPUTS = ("features", "anchor")
"""Names of the graph's inputs, which nothing else may have."""


def check_recipe(recipe: Recipe) -> None:
    """
    The whole recipe.

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
    if not np.isfinite(numbers).all():
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
