"""The same orders as ten shops write them: encodings, delimiters, numbers, dates, orders of columns."""

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

COLUMNS = {"order_id": "Order ID", "customer_id": "Customer", "occurred_at": "Ordered", "amount": "Sum"}
"""What the columns of the contract are called in each."""


@dataclass(frozen=True)
class Order:
    order_id: str
    customer_id: str
    occurred_at: datetime
    amount: Decimal


@dataclass(frozen=True)
class Dialect:
    """How one shop writes: ``time`` as strftime has it, ``money`` of an amount, ``above`` the header."""

    file: str
    time: str = "%Y-%m-%d %H:%M:%S"
    money: Callable[[Decimal], str] = str
    delimiter: str = ","
    encoding: str = "utf-8"
    end: str = "\r\n"
    above: str = ""
    columns: tuple[str, ...] = tuple(COLUMNS)
    pack: Callable[[bytes], bytes] = bytes

    def written(self, orders: Sequence[Order]) -> bytes:
        """The bytes of the file."""
        text = io.StringIO(newline="")
        text.write(self.above)
        rows = csv.writer(text, delimiter=self.delimiter, lineterminator=self.end)
        rows.writerow(COLUMNS[name] for name in self.columns)
        for order in orders:
            values = {
                "order_id": order.order_id,
                "customer_id": order.customer_id,
                "occurred_at": order.occurred_at.strftime(self.time),
                "amount": self.money(order.amount),
            }
            rows.writerow(values[name] for name in self.columns)
        return self.pack(text.getvalue().encode(self.encoding))


def german(amount: Decimal) -> str:
    """1.234,50"""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def swiss(amount: Decimal) -> str:
    """1'234.50"""
    return f"{amount:,.2f}".replace(",", "'")


REORDERED = ("amount", "occurred_at", "customer_id", "order_id")
DIALECTS = {
    "plain": Dialect("a.csv"),
    "utf-16": Dialect("b.txt", encoding="utf-16"),
    "windows-1252, comma": Dialect("c.csv", "%d.%m.%Y %H:%M:%S", german, ";", "cp1252"),
    "titles above, sep= line": Dialect(
        "d.csv", "%d.%m.%Y %H:%M:%S", german, ";", "utf-8-sig", above="sep=;\r\nAll orders\r\n\r\n"
    ),
    "american": Dialect("e.csv", "%m/%d/%Y %I:%M:%S %p", lambda amount: f"£{amount:,.2f}"),
    "swiss, LF": Dialect("f.csv", "%d/%m/%Y %H:%M:%S", swiss, end="\n"),
    "iso basic, gzip": Dialect("g.csv.gz", "%Y%m%dT%H%M%S", pack=gzip.compress),
    "slashes, commas in seconds": Dialect("h.csv", "%Y/%m/%d %H:%M:%S,000"),
    "reordered, tabs": Dialect("i.tsv", "%Y-%m-%dT%H:%M:%SZ", delimiter="\t", columns=REORDERED),
    "words": Dialect("j.csv", "%b %d, %Y %H:%M:%S", lambda amount: f"{amount:,.2f} GBP"),
}
