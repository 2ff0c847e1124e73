"""
What a mapping's columns hold, as SQL: each field's text, its tidy form, and its value as plain text.

A field of the contract may stand in one column or in several; numbers and times are read in the file's style.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clv_ml.ingest.mapping import Mapping, Source
from clv_ml.ingest.minor_units import parts_of_unit
from clv_ml.ingest.month_names import with_months
from clv_ml.ingest.presets import column_key, same_column
from clv_ml.warehouse.input_contract import contract
from clv_ml.warehouse.quoting import quoted_name, quoted_text

NUMBERS = ("amount", "quantity", "refund amount")
TIMES = ("occurred_at", "recorded_at", "refund time")
GUESTS = ("guest", "undefined", "anonymous", "00000000-0000-0000-0000-000000000000")
"""Ids that shops write for people who have none, in small letters."""
EPOCH = ("epoch",)
"""In place of formats: times are numbers since 1970."""
SERIAL = ("serial",)
"""The same: times are days as spreadsheets count them."""


@dataclass(frozen=True)
class Style:
    """
    How the file writes numbers and times, the currency where no column says it, and what the texts of a
    column of zones, several signs beside amounts, and words for months mean. ``is_grouped``: lines that name
    no order belong to the one above.
    """

    decimal: str = "."
    formats: tuple[str, ...] = ()
    currency: str = ""
    zones: tuple[tuple[str, str], ...] = ()
    signs: tuple[tuple[str, str], ...] = ()
    months: tuple[tuple[str, str], ...] = ()
    is_grouped: bool = False


def found_column(name: str, columns: tuple[str, ...]) -> str | None:
    """
    The file's column of that name; ``a|b`` is the first there is, and a question mark says that there may be
    none.
    """
    alternatives = (same_column(each, columns) for each in name.removesuffix("?").split("|"))
    return next((column for column in alternatives if column), None)


def raw(source: Source, columns: tuple[str, ...], none: Sequence[str] = ()) -> str:
    """
    The source's text as SQL, from columns that the file has; texts that are ``none`` (in small letters) are
    as good as empty.
    """
    if source.value:
        return quoted_text(source.value)
    found = [found_column(name, columns) for name in source.columns]
    nothing = f"[{', '.join(map(quoted_text, none))}]"
    cleaned = [
        f"known_id({quoted_name(name)}, {nothing})" if none else f"clean_id({quoted_name(name)})"
        for name in found
        if name
    ]
    if not cleaned:
        return "cast(null as varchar)"
    if source.together:
        return f"nullif(concat_ws(' ', {', '.join(cleaned)}), '')"
    return cleaned[0] if len(cleaned) == 1 else f"coalesce({', '.join(cleaned)})"


def _plain(sql: str) -> str:
    """A value as it is compared: as column_key does."""
    return f"regexp_replace(lower({sql}), '[^\\pL\\pN]', '', 'g')"


def among(sql: str, values: Sequence[str]) -> str:
    return f"{_plain(sql)} in ({', '.join(quoted_text(column_key(value)) for value in values)})"


def told_values(
    mapping: Mapping, columns: tuple[str, ...], fields: tuple[str, ...], without: tuple[str, ...] = ()
) -> str:
    """SQL for all texts of the fields' columns, each with its row; factors of a product may be left out."""
    sources = [source for name, source in mapping.sources().items() if name in fields and not source.value]
    each = [
        f"select feed_row, plain_digits({raw(one, columns)}) as value from feed"
        for source in sources
        for one in _apart(source)
        if not (source.product and one.first_of[0] in without)
    ]
    return " union all ".join(each) or "select 0 as feed_row, null::varchar as value where false"


def _apart(source: Source) -> list[Source]:
    return [Source(first_of=(name,)) for name in source.product] or [source]


def texts(mapping: Mapping, columns: tuple[str, ...], style: Style) -> dict[str, str]:
    """
    What the file's columns hold for each purpose; the factors of a product apart, numbers and times in plain
    digits, and months as numbers.
    """
    found = {}
    for purpose, source in mapping.sources().items():
        for number, part in enumerate(_apart(source)):
            none = (*GUESTS, *map(str.lower, mapping.guests)) if purpose == "customer_id" else ()
            text = raw(part, columns, none)
            if purpose in (*NUMBERS, *TIMES):
                text = f"plain_digits({text})"
            found[text_of(purpose, number)] = with_months(text, style.months) if purpose in TIMES else text
    return found


def text_of(purpose: str, part: int = 0) -> str:
    return f"{purpose} text {part}"


def tidied(mapping: Mapping, style: Style) -> dict[str, str]:
    """The texts of numbers without sign and currency, those of times for strptime."""
    found = {"no text": "null"}
    for purpose, source in mapping.sources().items():
        for part in range(max(1, len(source.product))):
            told = text_of(purpose, part)
            if purpose in NUMBERS:
                found[f"{told} tidy"] = f"number_body({quoted_name(told)})"
            elif purpose in TIMES and style.formats not in ((), EPOCH, SERIAL):
                found[f"{told} tidy"] = f"tidy_time({quoted_name(told)})"
    return found


def values(mapping: Mapping, style: Style) -> dict[str, str]:
    """The contract's fields, still text, and what decides on the row."""
    own = {name: _field(mapping, name, style) for name in contract()["events"]}
    return own | {
        "refund_amount": _refund_amount(mapping, style),
        "refunded_at": _refund_time(mapping, style),
        "state": value_of(mapping, "status"),
        "kind_told": value_of(mapping, "kind"),
    }


def value_of(mapping: Mapping, purpose: str) -> str:
    return quoted_name(text_of(purpose)) if purpose in mapping.sources() else "cast(null as varchar)"


def _field(mapping: Mapping, name: str, style: Style) -> str:
    if name == "event_id" and name not in mapping.columns and "line_id" in mapping.columns:
        line = value_of(mapping, "line_id")
        return f"{value_of(mapping, 'order_id')} || '/' || {line}" if "order_id" in mapping.columns else line
    if name == "order_id" and name not in mapping.columns:
        # no order number: what a customer buys on one day is one order
        day = f"substr(cast(utc_instant({_time(mapping, 'occurred_at', style)}) as varchar), 1, 10)"
        return f"{value_of(mapping, 'customer_id')} || '-' || {day}"
    if name == "currency":
        return _currency(mapping, style)
    if name == "customer_id":
        return _customer(mapping)
    if name in TIMES:
        return _time(mapping, name, style)
    return _number(mapping, name, style) if name in NUMBERS else value_of(mapping, name)


def _currency(mapping: Mapping, style: Style) -> str:
    known = [value_of(mapping, "currency"), _by_sign(mapping, style)]
    known += [quoted_text(style.currency)] if style.currency else []
    return f"coalesce({', '.join(known)})"


def _by_sign(mapping: Mapping, style: Style) -> str:
    """The currency of the sign beside the row's amount, where the file has several."""
    source = mapping.sources().get("amount")
    if not style.signs or not source:
        return "cast(null as varchar)"
    texts = ", ".join(quoted_name(text_of("amount", part)) for part in range(max(1, len(source.product))))
    codes = " ".join(f"when {quoted_text(sign)} then {quoted_text(code)}" for sign, code in style.signs)
    return f"case sign_beside(concat({texts})) {codes} end"


def _customer(mapping: Mapping) -> str:
    """Who bought; case does not count in e-mail addresses, nor in ids that are to be compared plainly."""
    told = value_of(mapping, "customer_id")
    if mapping.kind and mapping.kind.refunded_to:
        is_refund = among(value_of(mapping, "kind"), mapping.kind.refund)
        told = f"case when {is_refund} then {value_of(mapping, 'refunded_to')} else {told} end"
    if mapping.plain_ids:
        return f"plain_id({told})"
    if any("mail" in column_key(name) for name in mapping.columns["customer_id"].columns):
        return f"case when contains({told}, '@') then lower({told}) else {told} end"
    return told


def _number(mapping: Mapping, purpose: str, style: Style) -> str:
    source = mapping.sources().get(purpose)
    if source is None:
        return "cast(null as varchar)"
    read = [
        f"shop_number({quoted_name(told)}, {quoted_name(told + ' tidy')}, {quoted_text(style.decimal)})"
        for told in (text_of(purpose, part) for part in range(max(1, len(source.product))))
    ]
    is_cents = mapping.amounts == "cents" and purpose != "quantity"
    if len(read) == 1 and not is_cents:
        return read[0]
    factors = [f"try_cast({factor} as decimal(18, 6))" for factor in read]
    parts = f" / {parts_of_unit(_currency(mapping, style))}" if is_cents else ""
    units = f"cast(round({' * '.join(factors)}{parts}, 2) as varchar)"
    return f"coalesce({units}, {read[0]})" if is_cents else units


def _time(mapping: Mapping, purpose: str, style: Style) -> str:
    read = _clock_time(mapping, purpose, style)
    if not style.zones or purpose not in mapping.sources():
        return read
    zones = " ".join(f"when {quoted_text(text)} then {quoted_text(zone)}" for text, zone in style.zones)
    return f"zoned_time({read}, case {value_of(mapping, 'timezone')} {zones} end)"


def _clock_time(mapping: Mapping, purpose: str, style: Style) -> str:
    told = value_of(mapping, purpose)
    if not style.formats or purpose not in mapping.sources():
        return told
    if style.formats == EPOCH:
        return f"epoch_time({told})"
    if style.formats == SERIAL:
        return f"serial_time({told})"
    formats = ", ".join(map(quoted_text, style.formats))
    return f"shop_time({told}, {quoted_name(text_of(purpose) + ' tidy')}, [{formats}])"


def _refund_amount(mapping: Mapping, style: Style) -> str:
    """
    What was given back, negative; NULL where nothing was. What cannot be read stays, for the check to name.
    """
    if mapping.refund is None:
        return "cast(null as varchar)"
    given = _number(mapping, "refund amount", style)
    return (
        f"case when try_cast({given} as decimal(38, 6)) = 0 then null "
        f"when try_cast({given} as decimal(38, 6)) is null then {given} else '-' || ltrim({given}, '-') end"
    )


def _refund_time(mapping: Mapping, style: Style) -> str:
    own = _time(mapping, "occurred_at", style)
    return f"refund_time({_time(mapping, 'refund time', style)}, {own})" if mapping.refund else own


def row_label(mapping: Mapping, columns: tuple[str, ...]) -> str:
    """
    What a row says of itself that has no time, or is the last: its first cell that says it is a total, or
    nothing where all its cells are empty. A product may be called ``Total Care``.
    """
    time = raw(mapping.sources()["occurred_at"], columns)
    products = mapping.columns["product_id"].columns if "product_id" in mapping.columns else ()
    named_so = {found_column(name, columns) for name in products}
    texts_of = {column: f"clean_text({quoted_name(column)})" for column in columns}
    cells = ", ".join(texts_of.values())
    labels = ", ".join(
        f"total_alone({text})" if column in named_so else text for column, text in texts_of.items()
    )
    filled = f"list_filter([{cells}], lambda cell: cell is not null)"
    label = f"list_filter([{labels}], lambda cell: is_total_label(cell))[1]"
    is_looked_at = f"{time} is null or is_total_label({time}) or feed_row = (select max(feed_row) from feed)"
    return f"case when {is_looked_at} then case when len({filled}) = 0 then '' else {label} end end"
