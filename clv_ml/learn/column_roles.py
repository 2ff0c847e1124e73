"""What each column of ``training_rows`` is for: ``meta.role`` beside its description, as a table of dbt's."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class MadeOf:
    """
    Columns that an anchor is made of: level x (addends + product + what is the same for all), the product
    being the factors times a rest. Without a column for it the anchor is the product; ``rest`` is the fact
    that the rest stands for.
    """

    factors: tuple[str, ...]
    rest: str
    addends: tuple[str, ...] = ()
    level: str | None = None
    product: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.factors, *self.addends, *(name for name in (self.level, self.product) if name))


@dataclass(frozen=True)
class ColumnRoles:
    """
    ``features`` may be read by a model, ``anchor`` is what it multiplies. ``baselines`` holds columns by the
    estimator's name, ``made_of`` what the columns are made of that a recipe may multiply.
    """

    features: frozenset[str]
    anchor: str
    baselines: Mapping[str, str]
    made_of: Mapping[str, MadeOf]

    @property
    def components(self) -> tuple[str, ...]:
        """What the anchor and the baselines are made of, each column once."""
        return tuple(dict.fromkeys(name for anchor in self.made_of.values() for name in anchor.columns))


def read_column_roles(connection: duckdb.DuckDBPyConnection) -> ColumnRoles:
    """From ``column_roles``, in the order of its columns' descriptions."""
    rows = connection.sql(
        "select column_name, role, estimator, factors, rest_driver, addends, level_column, product_column "
        "from column_roles order by column_number"
    ).fetchall()
    (anchor,) = [name for name, role, *_ in rows if role == "anchor"]
    return ColumnRoles(
        features=frozenset(name for name, role, *_ in rows if role == "feature"),
        anchor=anchor,
        baselines={estimator: name for name, role, estimator, *_ in rows if role == "baseline"},
        made_of={
            name: MadeOf(_names(factors), rest, _names(addends), level, product)
            for name, _, _, factors, rest, addends, level, product in rows
            if factors
        },
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(", ")) if text else ()
