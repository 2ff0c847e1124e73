"""
What a fitted model is: outputs made of sums of products of trees and lines.

An *output* is a sum of *terms*; a term is ``weight x anchor x product of link(score) ** power`` over its
*factors*; a factor's score comes from a LightGBM booster or from a line with medians and missing flags. A
mean as "a fifth Tweedie, the rest chance of buying over the usual chance times amount" is two terms, the
first with one factor, the second with three. The same grammar is exported to ONNX, evaluated there, and
explained driver by driver, so that no recipe needs code of its own.
"""

from dataclasses import dataclass
from typing import Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Link = Literal["exp", "sigmoid", "one_over_sigmoid", "excess", "relu", "identity"]
"""
``excess`` is by how much a chance beats its opposite, max(0, 2 sigmoid - 1); the others are what they are
called.
"""


@dataclass(frozen=True)
class Line:
    """
    A linear score: intercept + coefficients . filled + missing_coefficients . isnan.

    A missing feature is filled with its median. The three arrays have shape (number of features,), in feature
    order.
    """

    name: str
    coefficients: NDArray[np.float64]
    missing_coefficients: NDArray[np.float64]
    medians: NDArray[np.float64]
    intercept: float
    link: Link


@dataclass(frozen=True)
class Trees:
    """
    A LightGBM booster. Its raw score s enters as link(slope x s + intercept) to a power; ``beside``, a line,
    adds its own score to s, its link left out.
    """

    name: str
    booster: lgb.Booster
    link: Link
    slope: float = 1.0
    intercept: float = 0.0
    power: float = 1.0
    beside: Line | None = None


@dataclass(frozen=True)
class Term:
    """weight x (anchor, if anchored) x product over factors."""

    weight: float
    factors: tuple[Trees | Line, ...]
    anchored: bool


@dataclass(frozen=True)
class Output:
    """A named sum of terms, for example ``clv_predicted`` in the reporting currency."""

    name: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Recipe:
    """
    A whole model: the features in order, the anchor's column, and the outputs.

    Features are read as doubles, NULL as NaN. ``anchor`` names the column that anchored terms are multiplied
    by; it is None where no term is anchored. It need not be a feature.
    """

    features: tuple[str, ...]
    anchor: str | None
    outputs: tuple[Output, ...]
