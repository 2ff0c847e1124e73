"""Into how many parts the unit of a currency is divided, where that is not a hundred."""

from clv_ml.warehouse.quoting import quoted_text

THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""Currencies of which a unit has a thousand parts (ISO 4217)."""
WITHOUT_MINOR_UNIT = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
"""
Currencies of which a unit has no parts (ISO 4217); without ISK and UGX, which payment services write in
hundredths.
"""
WITHOUT_CENTS = frozenset(
    {"JPY", "KRW", "CLP", "VND", "IDR", "ISK", "HUF", "COP", "PYG", "UGX", "IRR", "LAK"}
)
"""Currencies whose prices have no fractions, though some are written with two decimals."""


def parts_of_unit(currency: str) -> str:
    """How many parts a unit of each row's currency has, as SQL; a hundred where nobody knows the currency."""
    one, thousand = (
        ", ".join(map(quoted_text, sorted(codes))) for codes in (WITHOUT_MINOR_UNIT, THREE_DECIMALS)
    )
    return (
        f"case when upper({currency}) in ({one}) then 1 "
        f"when upper({currency}) in ({thousand}) then 1000 else 100 end"
    )
