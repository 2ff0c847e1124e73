"""Months that a file writes as words of another language than English, such as ``5. März 2024``."""

import re
import unicodedata
from functools import cache

import duckdb

from clv_ml.ingest.mapping import MONTHS_IN
from clv_ml.warehouse.quoting import quoted_text

LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "ru", "uk", "cs", "sk", "hu", "ro", "el", "bg"),
    *("hr", "sl", "sr_Latn", "sv", "da", "nb", "fi", "is", "et", "lv", "lt", "ca", "id", "ar", "he"),
)
"""Tried in this order where a word is a month in several."""
ALSO = {"de": {"mrz": 3}, "fr": {"fevr": 2}, "tr": {"agu": 8}, "es": {"set": 9}}
"""What spreadsheets write that is no beginning of a name."""
FEWEST_LETTERS = 3
SAMPLE = 2000


def words_of_months(
    connection: duckdb.DuckDBPyConnection, values: str, said: str, unread: str, notes: list[str]
) -> tuple[tuple[str, str], ...]:
    """
    The words for months in the texts of ``values`` (SQL), each with the month's number; none where every time
    is read without (``unread`` is SQL that is true of one that is not). ``said`` names the language.
    """
    if not connection.execute(
        f"select 1 from ({values}) as told where regexp_matches(value, '[\\pL\\pM]{{3}}') limit 1"
    ).fetchall():
        return ()
    rows = connection.execute(
        f"select lower(month_word(value)) as word, min(value), count(*) filter ({unread}) from (select value "
        f"from ({values}) as told where value is not null and month_word(value) <> '' limit {SAMPLE}) "
        "as sample group by word order by count(*) desc, word"
    ).fetchall()
    if not any(count for *_, count in rows):
        return ()
    words = [word for word, *_ in rows]
    asked = re.fullmatch(MONTHS_IN, said)
    known = {
        language: {word: month for word in words if (month := _month(word, language))}
        for language in ([asked.group(1)] if asked else LANGUAGES)
    }
    language = max(known, key=lambda each: len(known[each]))
    if not known[language]:
        return ()
    example = next(value for word, value, _ in rows if word in known[language])
    others = [
        each
        for each, months in known.items()
        if len(months) == len(known[language]) and months != known[language]
    ]
    choice = f"--date-format 'months in {others[0]}' for {_spelt(others[0])}" if others else ""
    notes.append(
        f"dates: {example!r} names its month in {_spelt(language)}" + (f" ({choice})" if choice else "")
    )
    return tuple((word, f"{month:02}") for word, month in sorted(known[language].items()))


def with_months(text: str, words: tuple[tuple[str, str], ...]) -> str:
    """SQL for the text with its month as a number."""
    if not words:
        return text
    names, numbers = (", ".join(map(quoted_text, each)) for each in zip(*words, strict=True))
    return f"named_month({text}, map([{names}], [{numbers}]))"


def _month(word: str, language: str) -> int:
    """The month that the word names or begins, 0 where it is none or may be several."""
    plain = _plain(word)
    names = _names(language)
    if plain in names:
        return names[plain]
    months = {month for name, month in names.items() if name.startswith(plain)}
    return months.pop() if len(months) == 1 and len(plain) >= FEWEST_LETTERS else 0


@cache
def _names(language: str) -> dict[str, int]:
    """A language's names of months, in full and short, as they stand alone and in dates."""
    from babel import Locale, UnknownLocaleError

    try:
        months = Locale.parse(language).months
    except (UnknownLocaleError, ValueError):
        return {}
    found = {
        _plain(name): number
        for use in ("format", "stand-alone")
        for width in ("wide", "abbreviated")
        for number, name in months[use][width].items()
    }
    return found | ALSO.get(language, {})


def _plain(word: str) -> str:
    """Without case, accents and points."""
    parts = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter) and letter != ".")


def _spelt(language: str) -> str:
    from babel import Locale

    return Locale.parse(language).get_language_name("en") or language
