"""
What the values of a status, or of a type of document, mean in an unknown file. Those that nobody knows are in
no list, so that their rows are refused until somebody says.
"""

import duckdb

from clv_ml.ingest.candidates import candidates
from clv_ml.ingest.mapping import synonyms
from clv_ml.ingest.presets import column_key
from clv_ml.warehouse.quoting import quoted_name

Connection = duckdb.DuckDBPyConnection


def meant_states(
    connection: Connection, column: str, has_refunds: bool, notes: list[str]
) -> dict[str, object]:
    """
    The states of an order. One whose money was given back is no purchase where no column says how much.
    """
    states = values_of(connection, column)
    none = [state for state in states if _is(state, "no_purchase")]
    given_back = [state for state in states if not has_refunds and _is(state, "given_back")]
    for state in given_back:
        notes.append(f"{column}: {state!r} is taken as no purchase, since no column says what was given back")
    kept = [
        state
        for state in states
        if _is(state, "purchase", "given_back") and state not in (*none, *given_back)
    ]
    none += given_back
    for state in states:
        if state not in (*kept, *none):
            notes.append(
                f"{column}: nobody knows {state!r}, so its rows are refused; write it under purchase or "
                "no_purchase"
            )
    return {"column": column, "purchase": kept, "no_purchase": none}


def meant_kinds(
    connection: Connection, columns: tuple[str, ...], notes: list[str]
) -> dict[str, object] | None:
    """
    The types of rows in the first column that tells them apart; of one whose words are no types of documents,
    a hint alone.
    """
    for column in candidates(connection, "kind", columns):
        kinds = values_of(connection, column)
        if (
            any(_is(kind, *KINDS) or _holds(kind, "kind_refund") for kind in kinds)
            or column_key(column) in synonyms()["document"]
        ):
            return _split(column, kinds, notes)
        if len(kinds) > 1:
            shown = ", ".join(map(repr, kinds[:5]))
            notes.append(
                f"{column!r} tells kinds of rows apart ({shown}): if some are no purchases, add "
                f"skip: {{{column}: [...]}} to the mapping"
            )
            return None
    return None


SHORT = 5
"""Letters of a word that is not looked for inside longer ones."""
KINDS = ("kind_purchase", "kind_refund", "kind_no_purchase", "kind_settlement")


def _split(column: str, kinds: list[str], notes: list[str]) -> dict[str, object]:
    """A payment is a purchase where nothing else is; beside invoices it settles one of them."""
    back = [kind for kind in kinds if not _is(kind, "kind_purchase") and _holds(kind, "kind_refund")]
    bought = [kind for kind in kinds if _is(kind, "kind_purchase") and kind not in back]
    paid = [kind for kind in kinds if _holds(kind, "kind_settlement") and kind not in (*bought, *back)]
    others = [kind for kind in kinds if kind not in (*bought, *paid, *back)]
    none = [kind for kind in others if _holds(kind, "kind_no_purchase") or _is(kind, "no_purchase")]
    if bought and paid:
        notes.append(f"{column}: {_listed(paid)} counts for nothing, since it pays for {_listed(bought)}")
        none += paid
    else:
        bought += paid
    if back:
        notes.append(f"{column}: {_listed(back)} gives money back, whatever the sign of its amount")
    for kind in kinds:
        if kind not in (*bought, *back, *none):
            notes.append(
                f"{column}: nobody knows {kind!r}, so its rows are refused; write it under purchase, refund "
                "or no_purchase"
            )
    return {"column": column, "purchase": bought, "refund": back, "no_purchase": none}


def values_of(connection: Connection, column: str) -> list[str]:
    """The different values of a column, the most frequent first."""
    found = connection.execute(
        f"select clean_text({quoted_name(column)}) as value from feed where value is not null "
        "group by value order by count(*) desc, value"
    ).fetchall()
    return [value for (value,) in found]


def _is(value: str, *meanings: str) -> bool:
    return any(column_key(value) in synonyms()[meaning] for meaning in meanings)


def _holds(value: str, meaning: str) -> bool:
    """Whether the value is, or holds, one of the words, such as ``Payment Refund``."""
    words = synonyms()[meaning]
    return _is(value, meaning) or any(word in column_key(value) for word in words if len(word) > SHORT)


def _listed(values: list[str]) -> str:
    return ", ".join(map(repr, values))
