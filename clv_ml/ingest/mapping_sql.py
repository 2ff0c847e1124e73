"""
A mapping as the SQL of a preset: what the file's columns are, rendered once for the file at hand.

Each row becomes its event (``part`` 1) and, where something was given back, a refund (``part`` 2). A row that
is no event carries ``skip``, a row that nobody can judge carries ``fault``.
"""

from collections.abc import Sequence

from clv_ml.errors import InputError
from clv_ml.ingest.grouped_lines import filled_down, names_something
from clv_ml.ingest.mapped_values import Style, among, found_column, row_label, texts, tidied, value_of, values
from clv_ml.ingest.mapping import Mapping
from clv_ml.ingest.presets import Preset
from clv_ml.warehouse.input_contract import contract
from clv_ml.warehouse.quoting import quoted_name, quoted_text

ID_SPACE = "orders"
"""One for all mappings: the same orders in another layout are the same orders."""


def missing_columns(mapping: Mapping, columns: tuple[str, ...]) -> tuple[str, ...]:
    """What the mapping names and the file does not have; of alternatives one is enough."""
    missing = []
    for purpose, source in mapping.sources().items():
        if purpose.split()[0] in mapping.optional:
            continue
        found = [found_column(name, columns) for name in source.columns]
        if source.first_of and not any(found):
            missing.append(" or ".join(source.first_of))
        if not source.first_of:
            missing += [
                name.replace("|", " or ")
                for name, column in zip(source.columns, found, strict=True)
                if not column and not name.endswith("?")
            ]
    return tuple(dict.fromkeys(missing))


def used_columns(mapping: Mapping, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The file's columns that the mapping reads, in the mapping's order."""
    named = (found_column(name, columns) for source in mapping.sources().values() for name in source.columns)
    return tuple(dict.fromkeys(name for name in named if name))


def described(mapping: Mapping, columns: tuple[str, ...]) -> dict[str, str]:
    """Where each field stands in the file, in words."""
    found = {}
    for purpose, source in mapping.sources().items():
        names = [repr(name) for name in map(lambda each: found_column(each, columns), source.columns) if name]
        between = " and " if source.together else " × " if source.product else ", else "
        if source.value or names:
            found[purpose] = f"{source.value!r} on every row" if source.value else between.join(names)
    return found


def as_preset(mapping: Mapping, name: str, columns: tuple[str, ...], style: Style) -> Preset:
    """
    The mapping as a preset for a file of these columns.

    Raises:
        InputError: If the mapping does not say who bought or when, or names a column that is not there.
    """
    if absent := [field for field in ("customer_id", "occurred_at") if field not in mapping.columns]:
        raise InputError(
            f"The mapping {name!r} says nothing of {', '.join(absent)}. Its file has: {', '.join(columns)}. "
            f'Add --map {absent[0]}="COLUMN", or let clv inspect propose a mapping.'
        )
    required = tuple((column,) for column in missing_columns(mapping, columns))
    used = used_columns(mapping, columns)
    rule = "given" if {"event_id", "line_id"} & set(mapping.columns) else "numbered copies"
    restated = mapping.orders == "restated"
    return Preset(name, "events", rule, required, used, _sql(mapping, columns, style), ID_SPACE, restated)


def _sql(mapping: Mapping, columns: tuple[str, ...], style: Style) -> str:
    """
    Four steps, so that each value is written once: texts, their tidy forms, values, and what becomes of the
    row.
    """
    names = ", ".join(name for name in contract()["events"] if name not in ("event_type", "amount"))
    lines = {**values(mapping, style), "skip_rule": _skip(mapping)}
    return f"""
with
    {_texts(mapping, columns, style)}
    tidied as materialized (select *, {_selected(tidied(mapping, style))} from texts),
    lines as materialized (select feed_row, row_label, is_further, {_selected(lines)} from tidied),
    typed as (
        select
            *, {_event_type(mapping)} as kind, {_further_line(mapping)} as further, {TOTAL} as is_total
        from lines
    ),
    -- materialised, or a filter on a value is pushed down as the whole rule behind it
    judged as materialized (
        select
            *, event_id || '/refund' as refund_event, {_skip_reason(mapping)} as skip,
            {_fault(mapping)} as fault
        from typed
    )
select feed_row, 1 as part, skip, fault, {names}, kind as event_type, {_signed()} as amount from judged
union all by name
select feed_row, 2 as part, null as skip, fault, refund_event as event_id, customer_id,
    refunded_at as occurred_at, recorded_at, order_id, currency, 'refund' as event_type,
    refund_amount as amount
from judged
where skip is null and refund_amount is not null
"""


TOTAL = """
utc_instant(occurred_at) is null and row_label is not null
and (customer_id is null or is_total_label(customer_id))
or customer_id is null and (row_label is not null or utc_instant(occurred_at) is null)
and feed_row = max(feed_row) over () and count(*) over () > 2
and 2 * try_cast(amount as decimal(18, 6)) = sum(try_cast(amount as decimal(18, 6))) over ()
"""
"""
A spreadsheet's last line: it names nobody, and says that it is a total instead of when, or is the sum of all
others.
"""


def _texts(mapping: Mapping, columns: tuple[str, ...], style: Style) -> str:
    """The texts of each row; in a report in groups, what a line leaves out is that of the line above."""
    told = (
        f"feed_row, {row_label(mapping, columns)} as row_label, {_selected(texts(mapping, columns, style))}"
    )
    if not style.is_grouped:
        return f"texts as materialized (select {told}, false as is_further from feed),"
    something = names_something(mapping, columns)
    return f"""
    all_texts as materialized (select {told}, {something} as names_something from feed),
    {filled_down(mapping)}
"""


def _selected(expressions: dict[str, str]) -> str:
    return ", ".join(f"{sql} as {quoted_name(name)}" for name, sql in expressions.items())


def _skip(mapping: Mapping) -> str:
    rules = []
    for name, states in mapping.skip.items():
        value = value_of(mapping, f"skip {name}")
        filled = [each for each in states if each]
        if filled:
            rules.append(f"when {among(value, filled)} then {quoted_text(name + ': ')} || {value}")
        if "" in states:
            rules.append(f"when {value} is null then {quoted_text(name + ': empty')}")
    return f"case {' '.join(rules)} end" if rules else "cast(null as varchar)"


def _event_type(mapping: Mapping) -> str:
    if mapping.events:
        rules = [
            f"when {among('event_type', words)} then {quoted_text(kind)}"
            for kind, words in mapping.events.items()
        ]
        return f"case {' '.join(rules)} end"
    if "event_type" in mapping.columns:
        return "lower(event_type)"
    given_back = "try_cast(amount as decimal(38, 6)) < 0"
    if mapping.kind and mapping.kind.refund:
        given_back += f" or {among('kind_told', mapping.kind.refund)}"
    return f"case when {given_back} then 'refund' else 'purchase' end"


def _signed() -> str:
    """What a row of type refund gives back counts as negative, however the file writes it."""
    is_owed = "kind = 'refund' and try_cast(amount as decimal(38, 6)) > 0"
    return f"case when {is_owed} then '-' || ltrim(amount, '+') else amount end"


def _further_line(mapping: Mapping) -> str:
    """
    Whether the row repeats, or leaves out, the total that stands on the first line of its order. The
    same number with another customer, or on another day, is another order.
    """
    if mapping.amount_of == "line" or "order_id" not in mapping.columns:
        return "false"
    order = "partition by order_id{} order by amount is null, feed_row"
    day = "cast(utc_instant(occurred_at) as date)"
    alike = order.format(f", customer_id, {day}, kind, {_is_void(mapping)}")
    return (
        "order_id is not null and kind = 'purchase' and case when amount is null "
        f"then row_number() over ({order.format('')}) > 1 "
        f"else row_number() over ({alike}) > 1 and amount = first_value(amount) over ({alike}) end"
    )


def _is_void(mapping: Mapping) -> str:
    """Whether the row is skipped, however it is an order: what it repeats may still be one."""
    rules = [f"coalesce({rule}, false)" for rule, _ in _no_purchases(mapping)]
    return f"({' or '.join(['skip_rule is not null', *rules])})"


def _no_purchases(mapping: Mapping) -> list[tuple[str, str]]:
    """What makes a row no purchase by its status or kind, and how that is said."""
    return [
        (among(value, told.no_purchase), f"{quoted_text(told.column.columns[0] + ': ')} || {value}")
        for told, value in ((mapping.status, "state"), (mapping.kind, "kind_told"))
        if told and told.no_purchase
    ] + _own_movements(mapping)


def _own_movements(mapping: Mapping) -> list[tuple[str, str]]:
    """What the shop itself bought and got back for it, in a ledger of both directions."""
    if not (mapping.kind and mapping.kind.refunded_to):
        return []
    money = "try_cast(amount as decimal(38, 6))"
    return [
        (f"{among('kind_told', mapping.kind.purchase)} and {money} < 0", quoted_text("paid by the shop")),
        (f"{among('kind_told', mapping.kind.refund)} and {money} > 0", quoted_text("given back to the shop")),
    ]


def _skip_reason(mapping: Mapping) -> str:
    rules = [
        "when row_label = '' then 'empty row'",
        "when is_total then 'total of other rows'",
        "when skip_rule is not null then skip_rule",
    ]
    rules += [f"when {rule} then {said}" for rule, said in _no_purchases(mapping)]
    rules.append("when further or is_further and amount is null then 'further line of an order'")
    if mapping.events:
        rules.append("when kind is null then 'other event: ' || event_type")
    return f"case {' '.join(rules)} end"


def _fault(mapping: Mapping) -> str:
    rules = ["when customer_id is null and occurred_at is null then 'invalid_occurred_at'"]
    if told := mapping.status:
        rules.append(_unknown("state", (*told.purchase, *told.no_purchase), "unknown_status"))
    if kind := mapping.kind:
        rules.append(_unknown("kind_told", (*kind.purchase, *kind.refund, *kind.no_purchase), "unknown_kind"))
    return f"case when further then null {' '.join(rules)} end"


def _unknown(value: str, known: Sequence[str], reason: str) -> str:
    return f"when {value} is null or not {among(value, known)} then {quoted_text(reason)}"
