"""What a feed lost: the money of refused rows, earlier ones that it admits, a warning where it is much."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clv_ml.ingest.feeds import sql_text
from clv_ml.ingest.refusals import Refusal
from clv_ml.wording import count_of

NO_LOSS = ("duplicate", "erased", "no_customer_id")
"""Reasons of rows that are not lost: they count once, are not wanted, or are told apart as guests."""
MOST_NAMED = 3
"""Reasons that a warning names."""


@dataclass(frozen=True)
class Limits:
    """What the project says of rows: attributes that hold numbers, and the share that may be refused."""

    number_attributes: tuple[str, ...] = ()
    quarantine_share: float = 0.05


USUAL = Limits()


@dataclass(frozen=True)
class Loss:
    """Shares of the feed's rows and of its money, None where it has none."""

    rows: float
    money: float | None

    def __str__(self) -> str:
        money = f" and {self.money:.1%} of the money" if self.money is not None else ""
        return f"{self.rows:.1%} of the rows{money}"


def keep_refused(connection: duckdb.DuckDBPyConnection, table: str, schema: str, feed_id: str) -> None:
    """Writes down the money of the feed's refused rows, and which earlier refused rows it admits."""
    of_events = table == "events"
    money = sql_text("refused_money") if of_events else "select * from known_refused_money limit 0"
    keys = "row_key(event_type, order_id, product_id)" if of_events else "null"
    kept = "event_type in ('purchase', 'refund')" if of_events else "false"
    columns = "currency, amount" if of_events else "null as currency, null as amount"
    for name, sql in {
        "refused_money": money,
        "kept_keys": f"select distinct {keys} as row_key from checked where reason is null",
        "kept_money": f"select {columns} from checked where reason is null and {kept}",
    }.items():
        connection.execute(f"create or replace temp table {name} as {sql}")
    connection.execute(
        f"insert into {schema}.refused_money by name select * from refused_money "
        "where quarantine_id not in (select quarantine_id from known_refused_money)"
    )
    # the text of every row is made anew for this, so only where something may be found
    if connection.execute("select 1 from known_quarantine limit 1").fetchall():
        connection.execute(
            f"insert into {schema}.admitted by name select *, ? as feed_id from ({sql_text('admitted')})",
            [feed_id],
        )


def loss_warnings(
    connection: duckdb.DuckDBPyConnection, path: Path, allowed: float, refused: tuple[Refusal, ...]
) -> tuple[str, ...]:
    """What to say where more of the feed's rows or of its money was lost than is allowed."""
    losses = _losses(connection)
    shares = [loss.money for loss in losses.values() if loss.money is not None]
    total = Loss(sum(loss.rows for loss in losses.values()), sum(shares) if shares else None)
    if max(total.rows, total.money or 0.0) <= allowed:
        return ()
    head = f"{path.name} lost {total}, more than quarantine_share ({allowed:.0%}) allows."
    by_reason = {refusal.reason: refusal for refusal in refused}
    named = [
        f"{one.reason}, {loss}: {count_of(one.rows, 'row')}. {one.sample}. {one.remedy}"
        for one, loss in [(by_reason[reason], loss) for reason, loss in losses.items()][:MOST_NAMED]
    ]
    return ("\n".join([head, *named]),)


def _losses(connection: duckdb.DuckDBPyConnection) -> Mapping[str, Loss]:
    """By reason, the one that cost most first."""
    return {
        reason: Loss(rows, money)
        for reason, rows, money in connection.execute(sql_text("losses")).fetchall()
        if reason not in NO_LOSS
    }
