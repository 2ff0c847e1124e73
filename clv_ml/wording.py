"""Words that a number decides on."""


def count_of(number: int, one: str, more: str = "") -> str:
    """``1 order``, ``1,234 orders``; ``more`` where the words of several are others than with an s."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
