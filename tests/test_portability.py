"""
No model on the shared path uses a construct on which DuckDB and Spark differ.

What is read is the source of the models and of the macros that they call, without the engines' own bodies
(``duckdb__...``, ``spark__...``): a difference belongs there and nowhere else. Jinja is replaced by names, so
an argument that a macro hides is judged where the macro stands. Types are not known here; contracts check
those of each result.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from shops import ROOT

NEVER_NULL = {
    "as_of_date", "changed_at", "customer_id", "day_of_week", "driver_rank", "event_id", "hour_of_day",
    "is_refund", "known_at", "occurred_at", "order_id", "ordered_at", "ordered_at)", "clv_estimate",
    "old_customer_id", "valid_from", "rate_to_reporting", "merged_at", "new_customer_id", "event_count",
    "reason", "value_decile", "count(*)",
}  # fmt: skip
"""
Columns by which a window may order without `nulls last`: their tables' tests or inner joins keep NULL out.
"""
NEVER_ZERO = {
    "anchor", "history_days", "horizon_days", "customer_count", "bayes_days", "mean_value",
    "between_variance", "rate_variance", "probabilistic_total", "buyers",
}  # fmt: skip
"""
Divisors that cannot be 0 where they stand: the line or the one above says why. Others go through ratio or
nullif.
"""


@dataclass(frozen=True)
class Rule:
    """A pattern that must not occur in SQL, and what to write instead."""

    pattern: str
    instead: str


RULES = {
    "another dialect's types": Rule(r"\b(varchar|text|hugeint|blob)\b(?!\s*=)", "string, decimal"),
    "a double-colon cast": Rule(r"::", "cast(x as type)"),
    "averages of doubles": Rule(
        r"\b(avg|stddev\w*|var_samp|var_pop|variance|corr|regr_\w+|kurtosis|skewness)\s*\(",
        "exact integer or decimal sums and one division: ratio(), sample_std()",
    ),
    "a continuous percentile": Rule(
        r"\b(percentile_cont|median|quantile_cont|quantile|percentile)\s*\(",
        "percentile_disc, or row_number and count",
    ),
    "an approximate function": Rule(r"\bapprox_\w+\s*\(", "the exact one"),
    "an arbitrary pick": Rule(
        r"\b(any_value|arbitrary|mode|max_by|min_by|arg_max|arg_min)\s*\(", "row_number in a total order"
    ),
    "an engine's own hash": Rule(r"(?<![\w.])(hash|xxhash64|crc32)\s*\(", "md5, md5_number()"),
    "qualify": Rule(r"\bqualify\b", "a subquery on row_number"),
    "a recursive query": Rule(r"\bwith\s+recursive\b", "doubling by self-join"),
    "an asof join": Rule(r"\basof\b", "a range join, and row_number where several match"),
    "distinct on": Rule(r"\bdistinct\s+on\b", "row_number"),
    "a list or struct literal": Rule(r"(?<![\w)\]}])\[|\bstruct_pack\s*\(|\{\s*'", "list_of(), struct_of"),
    "an ordered list": Rule(
        r"\b(array_agg|list|string_agg|listagg|collect_list|group_concat)\s*\(", "list_of(), without order"
    ),
    "a part of a date that differs": Rule(
        r"\bextract\s*\(\s*(dow|isodow|dayofweek|second|epoch|millisecond\w*|microsecond\w*)\b|\b(dayofweek|weekday|isodow)\s*\(",
        "epoch_seconds() and arithmetic",
    ),
    "date arithmetic by name": Rule(
        r"\b(date_?diff|date_?add|date_?sub|datesub|dateadd|datediff|months_between|age)\s*\(",
        "days_between(), interval",
    ),
    "an interval other than days": Rule(
        r"\binterval\s+(?!'\w+(\(\))? days?')(?=['\d(])", "interval 'n days'"
    ),
    "like": Rule(
        r"\b(not\s+)?i?like\b|\bsimilar\s+to\b|\bregexp\w*\b|\bglob\b", "substr() = ..., escapes differ"
    ),
    "dbt's own dialect helpers": Rule(
        r"\bdbt\.(datediff|dateadd|safe_cast|any_value|listagg)\b", "own macros"
    ),
    "a merge": Rule(r"\bmerge\s+into\b|strategy\s*=\s*\"merge\"", "a partition per date"),
    "a bare division by count": Rule(r"/\s*count\s*\(", "ratio()"),
}  # fmt: skip


def sources() -> dict[str, str]:
    """SQL by name: each model, and each shared macro without comments."""
    found = {
        path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "models_sql").rglob("*.sql"))
    }
    for path in sorted((ROOT / "dbt_project" / "macros").glob("*.sql")):
        for name, body in re.findall(
            r"{%-?\s*macro\s+(\w+)(.*?){%-?\s*endmacro\s*-?%}",
            path.read_text(encoding="utf-8"),
            flags=re.DOTALL,
        ):
            if not name.startswith(("duckdb__", "spark__")):
                found[f"{name}()"] = body[body.index("%}") + 2 :]
    return found


def plain_sql(source: str) -> str:
    """The SQL alone: comments go, and of Jinja the macros' names with the SQL texts that they are given."""
    text = re.sub(r"{#.*?#}|--[^\n]*|{%.*?%}", " ", source, flags=re.DOTALL)
    return re.sub(r"{{(.*?)}}", lambda match: _as_call(match.group(1)), text, flags=re.DOTALL).lower()


def _as_call(expression: str) -> str:
    """
    ``money("a / " ~ b)`` as ``money(a / )``; a setting as 1; a bare name as ``x``; what is not SQL as
    nothing.
    """
    called = re.match(r"\s*-?\s*(\w+)\s*\(", expression)
    if called is None or called.group(1) == "setting":
        return "x" if called is None else "1"
    if called.group(1) in ("return", "config", "ref", "source", "exceptions", "refuse_setting"):
        return " "
    # settings and engines' names within the expression are no SQL
    texts = re.findall(r'"((?:[^"])*)"', re.sub(r"setting\([^)]*\)", "", expression))
    return f"{called.group(1)}({' '.join(texts)})"


def arguments_of(sql: str, functions: str) -> Iterator[tuple[int, str]]:
    """Where each call of one of the functions begins, and what stands between its brackets."""
    for match in re.finditer(rf"(?<![\w.])({functions})\s*\(", sql):
        depth, end = 1, match.end()
        while depth and end < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        yield match.start(), sql[match.end() : end - 1]


def enclosing(sql: str, position: int) -> list[str]:
    """The functions whose brackets a position lies in, innermost first."""
    names, depth = [], 0
    for index in range(position - 1, -1, -1):
        if sql[index] == ")":
            depth += 1
        elif sql[index] == "(":
            if depth:
                depth -= 1
            else:
                name = re.search(r"(\w+)\s*$", sql[:index])
                names.append(name.group(1) if name else "")
    return names


def faults(sql: str) -> list[str]:
    """What differs between engines in a piece of SQL, each with what to write instead."""
    found = [f"{name}: {m.group(0).strip()!r}; write {rule.instead}" for name, rule in RULES.items()
             for m in re.finditer(rule.pattern, sql)]  # fmt: skip
    for position, argument in arguments_of(sql, "ln|exp|power|pow|log|log10|log2|tan|atan2"):
        if not {"round", "whole"} & set(enclosing(sql, position)):
            found.append(
                f"{sql[position : position + 40]!r} is one ulp off; write round(..., 9) ({argument[:20]})"
            )
    for _, argument in arguments_of(sql, "sum"):
        exact = "whole(" in argument or re.fullmatch(r"\s*cast\(round\(.*as bigint\)\s*", argument)
        if re.search(r"e0\b|as double|\bratio\(|\bsqrt\(", argument) and not exact:
            found.append(f"sum of doubles: {argument[:60]!r}; write sum of whole() numbers")
    for _, argument in arguments_of(sql, "cast"):
        value, _, kind = argument.rpartition(" as ")
        whole_type = re.fullmatch(r"(int|integer|bigint)", kind.strip())
        rounded = re.match(r"\s*(floor|round|greatest|least|coalesce)\s*\(", value)
        if whole_type and not rounded and re.search(r"/|e0\b|as double", value):
            found.append(f"cast of a fraction to {kind}: {value[:60]!r}; write floor() or round() first")
    for _, window in arguments_of(sql, "over"):
        found += _window_faults(window)
    for divisor in re.findall(r"/\s*([a-z_][\w.]*)(?!\s*[\w.]*\()", sql):
        if divisor.rpartition(".")[2] not in NEVER_ZERO and divisor not in ("x", "x.0e0"):
            found.append(f"division by {divisor}; write ratio() or nullif()")
    return found


def _window_faults(window: str) -> Iterator[str]:
    ordered = window.partition("order by")[2]
    if not ordered.strip():
        return
    for key in re.split(r",(?![^(]*\))", re.split(r"\brows between\b|\brange between\b", ordered)[0]):
        words = key.strip()
        column = re.sub(r"\s+(asc|desc)$", "", words)
        known = column.rpartition(".")[2] in NEVER_NULL or re.match(r"(max|abs)\s*\(", column)
        if words and not words.endswith("nulls last") and not known:
            yield f"order by {words!r} without nulls last"


@pytest.mark.parametrize("name", sources())
def test_a_model_or_macro_is_the_same_on_every_engine(name: str) -> None:
    """Nothing stands in it on which engines are known to disagree."""
    assert not faults(plain_sql(sources()[name]))


@pytest.mark.parametrize(
    "sql",
    [
        "select avg(x) from t",
        "select sum(a * 0.5e0) from t",
        "select sum(cast(a as double)) from t",
        "select ln(a) from t",
        "select cast(a / 2.0e0 as int) from t",
        "select row_number() over (order by spend) from t",
        "select a / b from t",
        "select median(a) from t",
        "select any_value(a) from t",
        "select extract(dow from a) from t",
        "select a from t qualify row_number() over (order by customer_id) = 1",
        "select date '2024-01-01' + interval '1 month'",
        "select interval 1 hour",
        "select [a, b] from t",
        "select a::int from t",
        "select cast(a as varchar) from t",
        "select a from t where a like 'x%'",
        "select distinct on (a) a from t",
        "select array_agg(a order by b) from t",
        "select hash(a) from t",
    ],
)
def test_the_lint_finds_what_differs(sql: str) -> None:
    """Each construct of the list, alone."""
    assert faults(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select round(ln(a), 9), round(exp(-abs(b)), 9) from t",
        "select cast(floor(a / 2.0e0) as int), cast(a as bigint) from t",
        "select row_number() over (partition by a order by spend desc nulls last, customer_id) from t",
        "select a / nullif(b, 0), a / 7.0e0 from t",
        "select sum(cast(round(a * 100.0e0) as bigint)) / 100.0e0 from t",
        "select a + interval '30 days', a - interval '1 days'",
        "select extract(month from a) from t",
    ],
)
def test_the_lint_lets_the_portable_form_pass(sql: str) -> None:
    """What to write instead is accepted."""
    assert not faults(sql)


def test_the_lint_reads_macros_arguments_and_skips_engine_bodies() -> None:
    """SQL handed to a macro as text is read; a dispatched macro's own dialect is not."""
    assert "money(avg(a))" in plain_sql('select {{ money("avg(a)") }}')
    assert not [name for name in sources() if name.startswith(("duckdb__", "spark__"))]
    assert Path(ROOT / "models_sql").is_dir() and len(sources()) > 50
