"""
Drivers as sentences, for one customer; the table ``customer_narratives`` has the same for everybody.

The templates stand in the YAML of ``models_sql``; the macro ``driver_phrase`` renders them in SQL.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from clv_ml.settings import find_project, models_of

SMALLEST = 0.005
"""Drivers that move less, in the reporting currency, are not spoken of."""
PLACEHOLDER = re.compile(r"\{value:([^}]*)\}")
OTHERS = "all other drivers"
"""What those are called together that have no row of their own in ``customer_drivers``."""
NARRATIVES = "customer_narratives"

Phrase = Mapping[str, Any]
"""Templates: ``other``, ``zero``, ``one``, ``missing``, and ``and``, more of them by column."""
Customer = Mapping[str, Any]


@dataclass(frozen=True)
class Language:
    """
    Templates and labels of facts by their column, the words of a narrative by name, and the currency's ISO
    4217 code.
    """

    phrases: Mapping[str, Phrase]
    labels: Mapping[str, str]
    words: Mapping[str, str]
    currency: str

    def label(self, driver: str) -> str:
        """What the driver is called: its label, or its column's name in words."""
        return self.labels.get(driver, driver.removeprefix("attribute_").replace("_", " "))

    def phrase(self, driver: str, value: float | None, others: Customer | None = None) -> str:
        """
        The driver in words, or its label without a template; an attribute that the customer does not have
        says so. ``value`` is None or NaN where missing; ``others`` are columns that the template may go on
        with.
        """
        phrase = self.phrases.get(driver)
        if phrase is None:
            is_not = value == 0 and driver.startswith("attribute_")
            return self.label(driver).replace(" is ", " is not ") if is_not else self.label(driver)
        if value is None or math.isnan(value):
            return phrase.get("missing", phrase["other"])
        template = phrase.get({0.0: "zero", 1.0: "one"}.get(value, "other"), phrase["other"])
        known = {name: (others or {}).get(name) for name in phrase.get("and", {}) if value}
        return self.filled(template, value) + "".join(
            self.filled(phrase["and"][name], float(more))
            for name, more in known.items()
            if more is not None and not math.isnan(more)
        )

    def filled(self, template: str, value: float) -> str:
        """A template with the value written into its placeholders."""
        return PLACEHOLDER.sub(lambda found: self._written(found.group(1), value), template)

    def narrative(
        self,
        prediction: float,
        base: float,
        drivers: Sequence[tuple[str, float | None, float]],
        others: Customer | None = None,
    ) -> str:
        """
        The sentences of ``customer_narratives`` without the rank among customers.

        Args:
            prediction, base: Predicted value and what the drivers start from, in the reporting currency.

            drivers: Column, value and contribution of each, strongest first.

            others: Columns of the customer that templates may go on with.
        """
        sides = {
            side: self._listed(drivers, sign, others) for side, sign in (("raised", 1), ("held_back", -1))
        }
        text = f"{self.words['unranked']}{self.filled(self.words['amount'], prediction)}."
        for side in sides if prediction >= base else reversed(sides):
            text += f"{self.words[side]}{sides[side]}." if sides[side] else ""
        return text

    def _listed(
        self, drivers: Sequence[tuple[str, float | None, float]], sign: int, others: Customer | None
    ) -> str:
        chosen = [driver for driver in drivers if sign * driver[2] >= SMALLEST and driver[0] != OTHERS][:3]
        return "; ".join(
            f"{self.phrase(name, value, others)} ({signed_amount(amount)})" for name, value, amount in chosen
        )

    def _written(self, how: str, value: float) -> str:
        if how == "money":
            return f"{self.currency} {amount_text(value)}"
        if how == "exp":
            return number_text(math.exp(value), 1)
        if how == "share":
            return f"{number_text(value * 100.0, 0)} %"
        return number_text(value, int(how[1]))


@cache
def read_language(currency: str, project: Path | None = None) -> Language:
    """
    Reads the templates of the project in this folder or above it.

    Raises:
        SettingsError: If there is no project.
    """
    phrases: dict[str, Phrase] = {}
    labels: dict[str, str] = {}
    words: dict[str, str] = {}
    for path in sorted(models_of(project or find_project()).rglob("*__models.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            meta = _meta(model)
            words |= meta.get("words", {}) if model["name"] == NARRATIVES else {}
            columns = {column["name"]: _meta(column) for column in model.get("columns", [])}
            phrases |= {name: column["phrase"] for name, column in columns.items() if "phrase" in column}
            labels |= {name: column["label"] for name, column in columns.items() if "label" in column}
    return Language(phrases, labels, words, currency)


def number_text(number: float, decimals: int) -> str:
    """Its double times a power of ten, rounded half away from zero, as the macro of this name does it."""
    rounded = Decimal(float(number) * 10**decimals).quantize(Decimal(1), ROUND_HALF_UP).scaleb(-decimals)
    return f"{rounded if rounded else abs(rounded):f}"


def amount_text(amount: float) -> str:
    """Money without its currency: whole and grouped by commas from 100 on, with cents below."""
    return f"{int(number_text(amount, 0)):,}" if abs(amount) >= 100 else number_text(amount, 2)


def signed_amount(amount: float) -> str:
    """The same with a plus sign where it adds."""
    return f"{'+' if amount >= 0 else ''}{amount_text(amount)}"


def _meta(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return (entry.get("config") or {}).get("meta") or {}
