"""
Crafted values for settings: what somebody would pass as ``--vars`` to reach SQL, Jinja, a path or the shell.
"""

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from shops import ROOT

from clv_ml.settings import setting_rules

PROOF = "pwned"
"""The table that a payload makes where it gets through."""
SQL = f"create table {PROOF} as select 1"
PAYLOADS: tuple[Any, ...] = (
    f"x'; {SQL}; --",
    f'x"; {SQL}; --',
    f"1; {SQL}",
    f"1); {SQL}; --",
    f"UTC')); {SQL}; select (('",
    f"2024-01-01'; {SQL}; --",
    f"GBP'\n; {SQL}; --",
    f"raw.events; {SQL}; --",
    f'raw"."events"; {SQL}; --',
    f"raw--\n; {SQL}",
    "1 or true",
    "1 /* */ + 1",
    "1e309",
    "1_000",
    "-1",
    "0x10",
    "٣٦٥",
    "365\n",
    "365\0",
    "(select max(1) from raw.events)",
    "$$x$$",
    f"{{{{ run_query('{SQL}') }}}}",
    "{% do adapter.drop_schema('main') %}",
    "read_text('/etc/passwd')",
    "../../../../etc/passwd",
    "/etc/passwd",
    "$(touch /tmp/pwned)",
    ["rfm'; " + SQL + "; --"],
    {"rfm": f"'; {SQL}; --"},
    [["rfm"]],
    None,
    "x" * 10_000,
)
PLAIN_NAMES = ("1e309", "1_000", "0x10")
"""Those that a model version may have for a name."""


def crafted_vars(count: int | None = None) -> Iterator[tuple[str, Any]]:
    """Pairs of a setting and a payload: every one, or the first so many, each setting in turn."""
    names = list(setting_rules(ROOT))
    if count is None:
        return ((name, payload) for name in names for payload in PAYLOADS)
    # the two lengths have no common factor that would pair the same ones again and again
    pairs = (
        (name, PAYLOADS[(number + number // len(names)) % len(PAYLOADS)])
        for number, name in enumerate(cycle(names))
    )
    return islice(pairs, count)
