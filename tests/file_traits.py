"""
How real files are written, one trait each: a small made file, and what it holds, worked by hand.

The table in docs/reference/file-traits.md has a line for each, by the same name.
"""

import gzip
from dataclasses import dataclass, field
from datetime import datetime

NOON = datetime(2025, 6, 13, 14, 5)
"""When ann bought, unless the trait says otherwise."""


@dataclass(frozen=True)
class Trait:
    """
    A file, what is said of it on the command line (``maps`` for ``--map``), and what must come of it: events
    as (customer, order, type, time, amount, currency), rows by the reason they are refused for, skipped rows,
    and words that the notes or warnings must hold.
    """

    name: str
    content: bytes
    events: tuple[tuple[str, str, str, datetime, str, str], ...]
    file: str = "orders.csv"
    maps: tuple[str, ...] = ()
    reasons: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    said: str = ""
    currency: str = "GBP"
    timezone: str = "UTC"


HEADER = "order_id,customer_id,ordered_at,amount"


def sale(
    amount: str = "1234.50",
    at: datetime = NOON,
    currency: str = "GBP",
    order: str = "1",
    customer: str = "ann",
) -> tuple[str, str, str, datetime, str, str]:
    """A purchase as it is stored."""
    kind = "refund" if amount.startswith("-") else "purchase"
    return customer, order, kind, at, amount, currency


def rows(*lines: str, header: str = HEADER) -> bytes:
    """Lines under a header."""
    return "\n".join([header, *lines, ""]).encode()


def amount(written: str, *others: str) -> bytes:
    """A file with these amounts, which may hold commas."""
    return rows(*(f'{n},ann,2025-06-13 14:05,"{each}"' for n, each in enumerate((written, *others), start=1)))


def time(written: str, *others: str) -> bytes:
    """A file with these times, which may hold commas."""
    return rows(*(f'{n},ann,"{each}",5' for n, each in enumerate((written, *others), start=1)))


PLAIN = rows("1,ann,2025-06-13 14:05,1234.50")
GERMAN = "Bestellnummer;Kundennummer;Datum;Betrag\n1;Zoë;13.06.2025 14:05;1.234,50\n"
CHINESE = "订单号,客户编号,下单时间,金额\n1,张伟,2025-06-13 14:05,1234.50\n2,李娜,2025-06-13 14:05,1234.50\n"
GERMAN_MAPS = ("order_id=Bestellnummer", "customer_id=Kundennummer", "occurred_at=Datum", "amount=Betrag")
CHINESE_MAPS = ("order_id=订单号", "customer_id=客户编号", "occurred_at=下单时间", "amount=金额")
DAY = datetime(2025, 6, 13)

TRAITS = [
    # how the file is written
    Trait("semicolons between fields", PLAIN.replace(b",", b";"), (sale(),)),
    Trait("tabs, .txt", PLAIN.replace(b",", b"\t"), (sale(),), file="orders.txt"),
    Trait("a line sep=;", b"sep=;\r\n" + PLAIN.replace(b",", b";"), (sale(),)),
    Trait(
        "title lines above the header",
        b"Orders of June\n\nAll shops\n" + PLAIN,
        (sale(),),
        said="above the header",
    ),
    Trait("a byte order mark", b"\xef\xbb\xbf" + PLAIN, (sale(),)),
    Trait("UTF-16", PLAIN.decode().encode("utf-16"), (sale(),), said="read as utf-16"),
    Trait(
        "Windows-1252",
        GERMAN.encode("cp1252"),
        (sale(customer="Zoë"),),
        maps=GERMAN_MAPS,
        said="windows-1252",
    ),
    Trait(
        "GBK",
        CHINESE.encode("gbk"),
        (sale(customer="张伟"), sale(customer="李娜", order="2")),
        maps=CHINESE_MAPS,
        said="gb18030",
    ),
    Trait("gzip", gzip.compress(PLAIN), (sale(),), file="orders.csv.gz"),
    Trait(
        "mixed line ends",
        PLAIN + b"2,bob,2025-06-13 14:05,5\r\n",
        (sale(), sale("5.00", order="2", customer="bob")),
    ),
    Trait(
        "a line end inside a value",
        rows('1,ann,2025-06-13 14:05,1234.50,"a\nb"', header=f"{HEADER},note"),
        (sale(),),
    ),
    Trait(
        "names in other case and punctuation",
        rows("1,ann,2025-06-13 14:05,1234.50", header="ORDER-ID,Customer Id,Ordered_At,AMOUNT"),
        (sale(),),
    ),
    Trait(
        "a name that stands twice and nobody needs",
        rows("1,ann,2025-06-13 14:05,1234.50,x,y", header=f"{HEADER},note,note"),
        (sale(),),
    ),
    # money
    Trait(
        "1.234,50",
        amount("1.234,50", "12,5"),
        (sale(), sale("12.50", order="2")),
        said="a comma is the decimal mark",
    ),
    Trait("1,234.50", amount("1,234.50"), (sale(),)),
    Trait("1'234.50", amount("1'234.50"), (sale(),)),
    Trait(
        "₹1,23,456",
        amount("₹1,23,456.00"),
        (sale("123456.00", currency="INR"),),
        currency="INR",
        said="INR, by '₹'",
    ),
    Trait(
        "15.990 without minor units",
        amount("15.990"),
        (sale("15990.00", currency="CLP"),),
        currency="CLP",
        said="read as thousands",
    ),
    Trait(
        "15.990 of three decimals",
        amount("15.990"),
        (sale("15.99", currency="KWD"),),
        currency="KWD",
        said="read as a fraction",
    ),
    Trait(
        "thin and no-break spaces between thousands",
        amount("1\u202f234,50", "1\u00a0234,50", "1\u2009234,50"),
        (sale(), sale(order="2"), sale(order="3")),
    ),
    Trait(
        "digits of other scripts",
        rows('1,ann,٢٠٢٥-٠٦-١٣ ١٤:٠٥,"١٬٢٣٤٫٥٠ ر.س"', "2,ann,２０２５/０６/１３ １４：０５,５００"),
        (sale(currency="SAR"), sale("500.00", order="2", currency="SAR")),
        currency="SAR",
        said="SAR, by 'رس'",
    ),
    Trait("accounting brackets", amount("1234.50", "(5.00)"), (sale(), sale("-5.00", order="2"))),
    Trait("a trailing minus", amount("1234.50", "5.00-"), (sale(), sale("-5.00", order="2"))),
    Trait(
        "a sign or code beside the amount",
        amount("1234.50 €"),
        (sale(currency="EUR"),),
        currency="EUR",
        said="EUR, by '€'",
    ),
    Trait(
        "$, which many have", amount("$1,234.50"), (sale(currency="USD"),), currency="USD", said="USD, by '$'"
    ),
    Trait(
        "signs of several currencies",
        amount("1234.50 €", "£5.00", "7.00"),
        (
            sale("5.00", order="2"),
            sale("7.00", order="3"),
        ),
        reasons={"no_fx_rate": 1},
        said="EUR, by '€' beside the amounts",
    ),
    Trait(
        "a word beside the amount",
        amount("1234.50 руб."),
        (sale(currency="RUB"),),
        currency="RUB",
        said="RUB, by 'руб'",
    ),
    Trait("a word that nobody knows", amount("1234.50 gil"), (sale(),), said="nobody knows 'gil'"),
    Trait("no currency", PLAIN, (sale(),), said="none is given, so amounts are in GBP"),
    Trait(
        "a price times pieces",
        rows("1,ann,2025-06-13 14:05,3,2.50", header="order_id,customer_id,ordered_at,qty,price"),
        (sale("7.50"),),
        maps=(
            "order_id=order_id",
            "customer_id=customer_id",
            "occurred_at=ordered_at",
            "quantity=qty",
            "amount=qty*price",
        ),
    ),
    Trait(
        "pieces with a unit",
        rows(
            "1,ann,2025-06-13 14:05,2 kg,2.50",
            "2,ann,2025-06-13 14:05,x3,2.50",
            header="order_id,customer_id,ordered_at,qty,price",
        ),
        (sale("5.00"), sale("7.50", order="2")),
        maps=(
            "order_id=order_id",
            "customer_id=customer_id",
            "occurred_at=ordered_at",
            "quantity=qty",
            "amount=qty*price",
        ),
        said="none is given, so amounts are in GBP",
    ),
    Trait(
        "cents",
        rows("1,ann,2025-06-13 14:05,123450,1000", header=f"{HEADER},back"),
        (sale(), sale("-10.00")),
        maps=("amounts=cents", "refund=back"),
    ),
    Trait(
        "whole numbers, which may be cents",
        amount("1999", "2450"),
        (sale("1999.00"), sale("2450.00", order="2")),
        said="--map amounts=cents for cents",
    ),
    Trait(
        "the currency in a column's name",
        rows("1,ann,2025-06-13 14:05,5", header="order_id,customer_id,ordered_at,total_eur"),
        (sale("5.00", currency="EUR"),),
        maps=("order_id=order_id", "customer_id=customer_id", "occurred_at=ordered_at", "amount=total_eur"),
        currency="EUR",
        said="EUR, by the name of 'total_eur'",
    ),
    # times
    Trait("13.06.2025 14:05", time("13.06.2025 14:05"), (sale("5.00"),), said="the day stands first"),
    Trait("6/13/2025 2:05 PM", time("6/13/2025 2:05 PM"), (sale("5.00"),), said="the month stands first"),
    Trait(
        "01/02/2024, which may be two days",
        time("01/02/2024"),
        (sale("5.00", datetime(2024, 2, 1)),),
        said="--date-format 'month first' for the other",
    ),
    Trait("2025/06/13", time("2025/06/13 14:05"), (sale("5.00"),)),
    Trait("20250613T140500", time("20250613T140500"), (sale("5.00"),)),
    Trait("14:05:00,000", time("2025-06-13 14:05:00,000"), (sale("5.00"),)),
    Trait("Jun 13, 2025", time("Jun 13, 2025"), (sale("5.00", DAY),)),
    Trait(
        "a month's name in another language",
        time("13. Juni 2025 14:05", "1. Mai 2025", "2. Okt. 2025", "3. Mrz 2025"),
        (
            sale("5.00"),
            sale("5.00", datetime(2025, 5, 1), order="2"),
            sale("5.00", datetime(2025, 10, 2), order="3"),
            sale("5.00", datetime(2025, 3, 3), order="4"),
        ),
        said="names its month in German",
    ),
    Trait(
        "months in Spanish and French",
        time("13 de junio de 2025 14:05", "12-ene-2025"),
        (sale("5.00"), sale("5.00", datetime(2025, 1, 12), order="2")),
        said="names its month in Spanish",
    ),
    Trait(
        "a month that two languages name",
        time("13 listopada 2025"),
        (sale("5.00", datetime(2025, 11, 13)),),
        said="names its month in Polish (--date-format 'months in hr' for Croatian)",
    ),
    Trait(
        "days as spreadsheets count them",
        time("45821", "45821.5"),
        (sale("5.00", DAY), sale("5.00", datetime(2025, 6, 13, 12), order="2")),
        said="days as spreadsheets count them",
    ),
    Trait("milliseconds since 1970", time("1749823500000"), (sale("5.00"),), said="since 1970"),
    Trait("an offset", time("2025-06-13T16:05:00+02:00"), (sale("5.00"),)),
    Trait(
        "no offset, in Berlin",
        time("2025-06-13 16:05"),
        (sale("5.00"),),
        timezone="Europe/Berlin",
        said="on the clock of Europe/Berlin",
    ),
    Trait(
        "a zone on each row",
        rows("1,ann,2025-06-13 10:05,5,Eastern Time (US & Canada)", header=f"{HEADER},Time Zone"),
        (sale("5.00"),),
        maps=("timezone=Time Zone",),
        said="'Time Zone' names: America/New_York",
    ),
    Trait(
        "a zone by its letters",
        rows(
            "1,ann,2025-06-13 15:05,5,BST",
            "2,ann,2025-06-13 07:05,5,PDT",
            "3,ann,2025-01-13 06:05,5,PST",
            "4,ann,2025-06-13 16:05,5,cest",
            "5,ann,2025-06-13 14:05,5,IST",
            "6,ann,2025-06-13 14:05,5,GMT+2",
            header=f"{HEADER},Time Zone",
        ),
        tuple(
            sale("5.00", datetime(2025, 1, 13, 14, 5) if order == "3" else NOON, order=order)
            for order in "123456"
        ),
        maps=("timezone=Time Zone",),
        said="nobody knows the zone 'IST'",
    ),
    Trait(
        "day and clock in two columns",
        rows("1,ann,2025-06-13,14:05,5", header="order_id,customer_id,day,clock,amount"),
        (sale("5.00"),),
        maps=("order_id=order_id", "customer_id=customer_id", "occurred_at=day+clock", "amount=amount"),
    ),
    # what a row means
    Trait(
        "two identical lines of one order",
        rows(*["1,ann,2025-06-13 14:05,5"] * 2),
        (sale("5.00"),) * 2,
        said="5.00 counts again",
    ),
    Trait(
        "identical lines with an id of their own",
        rows(*["1,ann,2025-06-13 14:05,5,7"] * 2, header=f"{HEADER},line"),
        (sale("5.00"),),
        maps=("line_id=line",),
        reasons={"duplicate": 1},
    ),
    Trait(
        "the order's total on each line",
        rows("1,ann,2025-06-13 14:05,30", "1,ann,2025-06-13 14:05,30"),
        (sale("30.00"),),
        maps=("amount_of=order",),
        skipped=1,
    ),
    Trait(
        "a report in groups",
        rows(
            "1,ann,2025-06-13 14:05,mug,5",
            ",,,Total Care soap,7",
            ",,,Total,24",
            "2,,2025-06-13 14:05,mug,5",
            ",,,bowl,7",
            "3,bob,2025-06-13 14:05,mug,5",
            "3,,,bowl,7",
            header="order_id,customer_id,ordered_at,product_id,amount",
        ),
        (
            sale("5.00"),
            sale("7.00"),
            sale("5.00", order="3", customer="bob"),
            sale("7.00", order="3", customer="bob"),
        ),
        reasons={"no_customer_id": 2},
        skipped=1,
        said="3 lines name neither customer nor time and belong to the order above",
    ),
    Trait(
        "a sum without a word in a report in groups",
        rows(
            "1,ann,2025-06-13 14:05,mug,5",
            ",,,bowl,7",
            ",,,,12",
            "2,ann,2025-06-13 14:05,mug,5",
            header="order_id,customer_id,ordered_at,product_id,amount",
        ),
        (sale("5.00"), sale("7.00"), sale("5.00", order="2")),
        reasons={"invalid_occurred_at": 1},
        said="'ordered_at' in line 4 is empty",
    ),
    Trait(
        "a whole order twice",
        rows(
            "1,ann,2025-06-13 14:05,mug,5",
            "1,ann,2025-06-13 14:05,bowl,7",
            "2,ann,2025-06-13 14:05,mug,5",
            "2,ann,2025-06-13 14:05,mug,5",
            "1,ann,2025-06-13 14:05,mug,5",
            "1,ann,2025-06-13 14:05,bowl,7",
            header="order_id,customer_id,ordered_at,product_id,amount",
        ),
        (*[sale("5.00"), sale("7.00"), sale("5.00", order="2")] * 2,),
        said="1 order stands in it twice, line for line, such as '1': 12.00 counts again",
    ),
    Trait(
        "an order's number taken for that of a line",
        rows("1,ann,2025-06-13 14:05,5", "1,ann,2025-06-13 14:05,7", header="no,who,day,paid"),
        (sale("5.00", order="ann-2025-06-13"),),
        maps=("line_id=no", "customer_id=who", "occurred_at=day", "amount=paid"),
        reasons={"conflicting_event": 1},
        said='map it as that: --map order_id="no", without line_id',
    ),
    Trait(
        "one number and amount, two customers",
        rows("1,ann,2025-06-13 14:05,25", "1,bob,2025-06-13 14:05,25", "1,ann,2025-06-14 14:05,25"),
        (sale("25.00"), sale("25.00", customer="bob"), sale("25.00", datetime(2025, 6, 14, 14, 5))),
        maps=("amount_of=order",),
        said="1 order stands on several days with the same customer and amount, such as '1': 25.00 counts",
    ),
    Trait(
        "a negative amount",
        rows("1,ann,2025-06-13 14:05,5", "1,ann,2025-06-14,-2"),
        (sale("5.00"), sale("-2.00", datetime(2025, 6, 14))),
    ),
    Trait(
        "a column of refunds",
        rows("1,ann,2025-06-13 14:05,5,2", header=f"{HEADER},back"),
        (sale("5.00"), sale("-2.00")),
        maps=("refund=back",),
    ),
    Trait(
        "a status",
        rows("1,ann,2025-06-13 14:05,5,paid", "2,ann,2025-06-13 14:05,9,void", header=f"{HEADER},state"),
        (sale("5.00"),),
        maps=("status=state",),
        skipped=1,
    ),
    Trait(
        "a status that nobody knows",
        rows("1,ann,2025-06-13 14:05,5,odd", header=f"{HEADER},state"),
        (),
        maps=("status=state",),
        reasons={"unknown_status": 1},
        said="'state' in line 2 is 'odd'",
    ),
    Trait(
        "guests",
        rows("1,ann,2025-06-13 14:05,5", "2,guest,2025-06-13 14:05,9", "3,,2025-06-13 14:05,9"),
        (sale("5.00"),),
        reasons={"no_customer_id": 2},
        said="They are guests",
    ),
    Trait(
        "a value that cannot be read",
        rows("1,ann,2025-06-13 14:05,5", "2,ann,sometime,9"),
        (sale("5.00"),),
        reasons={"invalid_occurred_at": 1},
        said="'ordered_at' in line 3 is 'sometime'",
    ),
    Trait(
        "a total at the end",
        rows("1,ann,2025-06-13 14:05,5", "2,bob,2025-06-13 14:05,7.50", ",,,", "Grand total,,,12.50"),
        (sale("5.00"), sale("7.50", order="2", customer="bob")),
        skipped=2,
    ),
    Trait(
        "totals of groups",
        rows(
            "1,ann,2025-06-13 14:05,5",
            ",ann Total,,5",
            "2,bob,2025-06-13 14:05,7.50",
            ",bob Total,,7.50",
            "Gesamtergebnis,,,12.50",
        ),
        (sale("5.00"), sale("7.50", order="2", customer="bob")),
        skipped=3,
    ),
    Trait(
        "a total without a word",
        rows("1,ann,2025-06-13 14:05,5", "2,,2025-06-13 14:05,7.50", ",,,12.50"),
        (sale("5.00"),),
        reasons={"no_customer_id": 1},
        skipped=1,
    ),
    Trait(
        "credit notes",
        rows(
            "1,ann,2025-06-13 14:05,5,Rechnung",
            "2,ann,2025-06-14,2,Gutschrift",
            "3,ann,2025-06-14,9,Angebot",
            header=f"{HEADER},Belegart",
        ),
        (sale("5.00"), sale("-2.00", datetime(2025, 6, 14), order="2")),
        maps=("kind=Belegart",),
        skipped=1,
    ),
    Trait(
        "a type of document that nobody knows",
        rows("1,ann,2025-06-13 14:05,5,RV", header=f"{HEADER},Belegart"),
        (),
        maps=("kind=Belegart",),
        reasons={"unknown_kind": 1},
        said="'Belegart' in line 2 is 'RV'",
    ),
    Trait(
        "no order number",
        rows("ann,2025-06-13 14:05,5", "ann,2025-06-13 18:00,6", header="customer_id,ordered_at,amount"),
        (
            sale("5.00", order="ann-2025-06-13"),
            sale("6.00", datetime(2025, 6, 13, 18), order="ann-2025-06-13"),
        ),
        maps=("customer_id=customer_id", "occurred_at=ordered_at", "amount=amount"),
    ),
]
