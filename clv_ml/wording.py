"""Words that a number decides on, and names that a file gives."""

from collections.abc import Sequence


def count_of(number: int, one: str, more: str = "") -> str:
    """``1 order``, ``1,234 orders``; ``more`` where the words of several are others than with an s."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


LONGEST_NAME, MOST_NAMES = 60, 40
"""Of names that a file gives: a header may be of megabytes, and a message is read by people."""


def names_of(names: Sequence[str]) -> str:
    """Names as a message lists them: each as long as a name is, and no more than a person reads."""
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in names[:MOST_NAMES]]
    more = [f"and {len(names) - MOST_NAMES:,} more"] * (len(names) > MOST_NAMES)
    return ", ".join([*shown, *more])
