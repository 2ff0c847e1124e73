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

from clv_ml.settings import find_project

SMALLEST = 0.005
"""Drivers that move less, in the reporting currency, are not spoken of."""
PLACEHOLDER = re.compile(r"\{value:([^}]*)\}")
OTHERS = "all other drivers"
"""What those are called together that have no row of their own in ``customer_drivers``."""
NARRATIVES = "customer_narratives"

Phrase = Mapping[str, str]


@dataclass(frozen=True)
class Language:
    """Templates by driver name, the words of a narrative by name, and the currency's ISO 4217 code."""

    phrases: Mapping[str, Phrase]
    words: Mapping[str, str]
    currency: str

    def phrase(self, driver: str, value: float | None) -> str:
        """The driver in words, or its name without a template. ``value`` is None or NaN where missing."""
        phrase = self.phrases.get(driver)
        if phrase is None:
            return driver.replace("_", " ")
        if value is None or math.isnan(value):
            return phrase.get("missing", phrase["other"])
        template = phrase.get({0.0: "zero", 1.0: "one"}.get(value, "other"), phrase["other"])
        return self.filled(template, value)

    def filled(self, template: str, value: float) -> str:
        """A template with the value written into its placeholders."""
        return PLACEHOLDER.sub(lambda found: self._written(found.group(1), value), template)

    def narrative(
        self, prediction: float, base: float, drivers: Sequence[tuple[str, float | None, float]]
    ) -> str:
        """
        The sentences of ``customer_narratives`` without the rank among customers.

        Args:
            prediction, base: Predicted value and what the drivers start from, in the reporting currency.

            drivers: Name, value and contribution of each, strongest first.
        """
        up, down = (self._listed(drivers, sign) for sign in (1, -1))
        first, then, second = (up, "held_back", down) if prediction >= base else (down, "raised", up)
        text = self.words["unranked"] + self.filled(self.words["amount"], prediction)
        text += f"{self.words['because']}{first}." if first else "."
        return text + (f"{self.words[then]}{second}." if second else "")

    def _listed(self, drivers: Sequence[tuple[str, float | None, float]], sign: int) -> str:
        chosen = [driver for driver in drivers if sign * driver[2] >= SMALLEST and driver[0] != OTHERS][:3]
        return "; ".join(
            f"{place}. {self.phrase(name, value)} ({signed_amount(amount)})"
            for place, (name, value, amount) in enumerate(chosen, start=1)
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
    words: dict[str, str] = {}
    for path in sorted(((project or find_project()) / "models_sql").rglob("*__models.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
            meta = _meta(model)
            phrases |= meta.get("phrases", {})
            words |= meta.get("words", {}) if model["name"] == NARRATIVES else {}
            columns = {column["name"]: _meta(column) for column in model.get("columns", [])}
            phrases |= {name: column["phrase"] for name, column in columns.items() if "phrase" in column}
    return Language(phrases, words, currency)


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
