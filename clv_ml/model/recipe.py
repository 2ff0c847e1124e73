"""
What a fitted model is: outputs made of sums of products of trees and lines.

An *output* is a sum of *terms*; a term is ``weight x anchor x product of link(score) ** power`` over its
*factors*; a factor's score comes from a LightGBM booster or from a line with medians and missing flags. A
mean as "a fifth Tweedie, the rest chance of buying over the usual chance times amount" is two terms, the
first with one factor, the second with three. The same grammar is exported to ONNX, evaluated there, and
explained driver by driver, so that no recipe needs code of its own.

The grammar stands in ``manifest.json`` as it stands here; pydantic checks it there as untrusted input.
Boosters are kept apart, by name, since each is a file of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AliasChoices, ConfigDict, Field, with_config

if TYPE_CHECKING:
    import lightgbm as lgb

Link = Literal["exp", "sigmoid", "one_over_sigmoid", "excess", "relu", "identity"]
"""
``excess`` is by how much a chance beats its opposite, max(0, 2 sigmoid - 1); the others are what they are
called.
"""
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
