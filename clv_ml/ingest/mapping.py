"""
A mapping: which columns of a feed hold what the contract asks for, and how the feed writes them. A short YAML
file::

    columns:
      order_id: Order number                        # one column
      customer_id: [Customer ID, Email]             # the first that holds a value
      occurred_at: {together: [Date, Time]}         # joined
      amount: {product: [Quantity, Unit price]}     # multiplied, or
      currency: {value: EUR}                        # the same on every row
    refund: {amount: Refunded, occurred_at: Refunded on}   # a second event of the row, where it is not zero
    status: {column: Status, purchase: [paid], no_purchase: [void, pending]}
    kind: {column: Document, purchase: [invoice], refund: [credit note], no_purchase: [quote]}
    skip: {Mode: [test]}                            # rows that are no event
    events: {purchase: [sale], refund: [return]}    # what values of event_type mean; others are skipped
    guests: ["0"]                                   # ids under which people buy who have none
    plain_ids: true                                 # 007, 7 and 7.0 are one customer, as are Ann and "ann "
    amounts: cents                                  # 1999 is 19.99; default: units
    amount_of: order                                # the order's total, which counts once; default: line
    orders: restated                                # an order that comes again replaces its older version
    decimal: ","
    dates: day first                                # or month first, months in pl, or a format of strptime
    timezone: Europe/Berlin                         # or, under columns, the column that names it
    encoding: windows-1252
    delimiter: ";"
    sheet: Orders

Names of columns, and values under ``status``, ``kind``, ``skip`` and ``events``, are compared without case,
spaces and punctuation.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from clv_ml.errors import InputError
from clv_ml.ingest.plain_text import Reading
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.input_contract import contract

FIELDS = (*contract()["events"], "line_id", "timezone")
ORDER_OF_DAY = ("day first", "month first")
MONTHS_IN = r"months in ([A-Za-z_]{2,20})"
"""Says the language of names of months."""


@cache
def synonyms() -> dict[str, tuple[str, ...]]:
    """What shops call the fields of the contract and the states of an order, as keys, the surest first."""
    written = yaml.safe_load(Path(__file__).with_name("synonyms.yml").read_text(encoding="utf-8"))
    return {field: tuple(column_key(name) for name in names) for field, names in written.items()}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a value stands: exactly one of the four."""

    first_of: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    value: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns named."""
        return self.first_of or self.together or self.product

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """A name or a list of names is short for ``first_of``."""
        if isinstance(written, str):
            return {"first_of": (written,)}
        return {"first_of": written} if isinstance(written, (list, tuple)) else written

    @model_validator(mode="after")
    def _one(self) -> "Source":
        if bool(self.first_of) + bool(self.together) + bool(self.product) + bool(self.value) != 1:
            raise ValueError("name a column, a list of columns, or one of together, product, value")
        return self


class Refund(_Strict):
    """What was given back of the row's order; without a time of its own it counts at the row's."""

    amount: Source
    occurred_at: Source | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """A name is short for its amount."""
        return {"amount": written} if isinstance(written, str) else written


class Status(_Strict):
    """
    What the states of an order mean. A value in neither list is refused by name; without lists, the words
    that shops use for them are known.
    """

    column: Source
    purchase: tuple[str, ...] = ()
    no_purchase: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """A name is short for its column."""
        return {"column": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _usual(self) -> "Status":
        if self.purchase or self.no_purchase:
            return self
        return Status(column=self.column, **{key: synonyms()[key] for key in ("purchase", "no_purchase")})


class Kind(_Strict):
    """
    What types of documents or transactions mean. What a refund gives back counts as negative, however the
    file writes it. A value in no list is refused by name; without lists, the words that shops use are known.
    ``refunded_to`` says who got a refund in a ledger of both directions, where a purchase below zero is one
    that the shop itself made.
    """

    column: Source
    purchase: tuple[str, ...] = ()
    refund: tuple[str, ...] = ()
    no_purchase: tuple[str, ...] = ()
    refunded_to: Source | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """A name is short for its column."""
        return {"column": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _usual(self) -> "Kind":
        if self.purchase or self.refund or self.no_purchase:
            return self
        words = {key: synonyms()[f"kind_{key}"] for key in ("purchase", "refund", "no_purchase")}
        return Kind(column=self.column, **words)


class Lookup(_Strict):
    """
    A file beside the main one: the columns that tell it, the key that both share, and what is taken from it.
    """

    recognised_by: tuple[str, ...]
    key: str
    take: tuple[str, ...] = ()
    sum: tuple[str, ...] = ()


class Mapping(_Strict):
    """
    See the module. A mapping is recognised by columns that only its files have together; ``a|b`` means one of
    them. What stands in ``optional`` (fields, ``refund``, ``skip``) may lack its column.
    """

    about: str = ""
    recognised_by: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    columns: dict[str, Source] = Field(default_factory=dict)
    refund: Refund | None = None
    status: Status | None = None
    kind: Kind | None = None
    skip: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    events: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    guests: tuple[str, ...] = ()
    plain_ids: bool = False
    lookups: tuple[Lookup, ...] = ()
    amounts: Literal["units", "cents"] = "units"
    amount_of: Literal["line", "order"] = "line"
    orders: Literal["appended", "restated"] = "appended"
    decimal: Literal["", ".", ","] = ""
    dates: str = ""
    timezone: Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9_+/-]{0,63})?$")] = ""
    encoding: str = ""
    delimiter: Annotated[str, Field(max_length=1)] = ""
    sheet: str = ""

    @field_validator("columns")
    @classmethod
    def _known_fields(cls, columns: dict[str, Source]) -> dict[str, Source]:
        if unknown := [name for name in columns if name not in FIELDS]:
            raise ValueError(f"there is no {', '.join(unknown)}; known are {', '.join(FIELDS)}")
        return columns

    @field_validator("dates")
    @classmethod
    def _known_dates(cls, value: str) -> str:
        if value and value not in ORDER_OF_DAY and "%" not in value and not re.fullmatch(MONTHS_IN, value):
            raise ValueError(
                "write 'day first', 'month first', 'months in de' or a format such as %d.%m.%Y %H:%M"
            )
        return value

    @property
    def reading(self) -> Reading:
        """How the file is to be read."""
        return Reading(self.encoding, self.delimiter, self.sheet)

    def sources(self) -> dict[str, Source]:
        """Every source by what it is for."""
        found: dict[str, Source] = dict(self.columns)
        if self.refund:
            found["refund amount"] = self.refund.amount
            if self.refund.occurred_at:
                found["refund time"] = self.refund.occurred_at
        if self.status:
            found["status"] = self.status.column
        if self.kind:
            found["kind"] = self.kind.column
            if self.kind.refunded_to:
                found["refunded_to"] = self.kind.refunded_to
        return found | {f"skip {name}": Source(first_of=(name,)) for name in self.skip}

    def with_options(self, **options: Any) -> "Mapping":
        """The same with what was given as options laid over it. Columns are laid over column by column."""
        columns = {**self.columns, **options.pop("columns", {})}
        return checked_mapping({**self.model_dump(), **options, "columns": columns}, "the options")


def checked_mapping(written: Any, where: str) -> Mapping:
    """
    The mapping that was written.

    Raises:
        InputError: With the first thing that is wrong in it.
    """
    try:
        return Mapping.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the mapping"
        raise InputError(
            f"In {where}, {place} is not right: {first['msg']}. See docs/reference/feeds.md, mappings."
        ) from error
