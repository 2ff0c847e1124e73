"""
What the product survives, as one table of figures (``make soak``). Everything happens in a temporary folder.

Name parts to run only those, and ``--quick`` to run a tenth of each: ``python benchmarks/soak.py kills
feeds``. A figure that fails stays in the table as it is, and the exit code is 1.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import duckdb
import kills as killed
import life_parts
import readers
import repeats
import shop_life
from bad_feeds import BAD_FEEDS, judge
from ingestion_helpers import empty_warehouse
from payloads import PLAIN_NAMES, crafted_vars
from rich.console import Console
from rich.table import Table
from scoring import call, fill, trained_shop
from shops import ROOT, copy_project, query, report_of, settings_for
from tampering import scored_with

from clv_ml import pipeline
from clv_ml.model.registry import load
from clv_ml.operate.erased_files import count_bytes
from clv_ml.operate.erasure import forget
from clv_ml.serve.dbt_plugin import register
from clv_ml.settings import Settings, setting_macros, setting_rules
from clv_ml.simulate.simulator import Shop, write_simulation

SMALL = Shop(customers=250, seed=3, start=date(2024, 1, 1), end=date(2024, 10, 16))
MOST_GROWTH = 0.05
"""Of memory over a thousand scorings."""


@dataclass(frozen=True)
class Figure:
    """A row of the table. ``passed`` is whether it is what is promised."""

    part: str
    found: str
    passed: bool
    faults: tuple[str, ...] = ()


def main() -> None:
    """Run the parts asked for, print the table, and fail where a figure does."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="those to run; all of them if none is named"
    )
    arguments.add_argument("--quick", action="store_true", help="a tenth of each")
    arguments.add_argument("--seed", type=int, help="the only life to live")
    asked = arguments.parse_args()
    if asked.seed is not None:
        PARTS["lives"] = partial(lives, first_seed=asked.seed, count=1)
    console, figures = Console(width=140, soft_wrap=True), []
    os.environ["DBT_WRITE_JSON"] = "false"
    for name in asked.parts or PARTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"clv-soak-{name}-") as folder:
            for figure in PARTS[name](Path(folder), 0.1 if asked.quick else 1.0):
                figures.append(figure)
                console.print(
                    f"{figure.part}: {figure.found}",
                    *sorted(set(figure.faults))[:10],
                    sep="\n  ",
                    markup=False,
                )
        console.print(f"({name}: {time.monotonic() - began:,.0f} s)", style="dim")
    table = Table("what", "figure", "", title="Soak")
    for figure in figures:
        table.add_row(figure.part, figure.found, "as promised" if figure.passed else "FAILS")
    console.print(table)
    sys.exit(not all(figure.passed for figure in figures))


def kills(folder: Path, share: float) -> Iterator[Figure]:
    """kill -9 in every phase; what is checked stands in tests/kills.py."""
    bench = killed.Bench(folder, ROOT, SMALL)
    made, bad, runs, failed = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    faults: list[str] = []
    for outcome in killed.outcomes(bench, share):
        made[outcome.phase] += outcome.kills
        bad[outcome.phase] += outcome.bad_kills
        runs[outcome.phase] += 1
        failed[outcome.phase] += not outcome.recovered
        faults += outcome.faults
        print(f"  {sum(made.values())} kills, {sum(bad.values())} bad, now {outcome}", file=sys.stderr)
    for phase, kills in {**made, "every phase": made.total()}.items():
        wrong, again, lost = (
            (count[phase] if phase in made else count.total()) for count in (bad, runs, failed)
        )
        found = f"{kills - wrong} of {kills}; next run succeeded {again - lost} of {again}"
        mine = tuple(fault for fault in faults if fault.startswith(phase))
        yield Figure(f"kills survived: {phase}", found, not (wrong or lost), mine)


def feeds(folder: Path, share: float) -> Iterator[Figure]:
    """Malformed feeds, each refused by name or quarantined row by row; always all of them."""
    with empty_warehouse() as connection:
        wrong = [f"{bad.name}: {fault}" for bad in BAD_FEEDS if (fault := judge(connection, bad))]
    found = f"{len(BAD_FEEDS) - len(wrong)} of {len(BAD_FEEDS)}"
    yield Figure("malformed feeds refused or quarantined", found, not wrong, tuple(wrong))


def publishes(folder: Path, share: float) -> Iterator[Figure]:
    """Eight processes read while a thousand versions are published."""
    count = round(1000 * share)
    seen = readers.read_while_publishing(readers.made_by_hand(folder), count, readers=8)
    found = (
        f"{count:,} publishes, {seen.reads:,} reads by 8 processes, "
        f"{len(seen.errors)} errors, {seen.mixed} mixed versions"
    )
    yield Figure("publishes and reads", found, not (seen.errors or seen.mixed), seen.errors)


def determinism(folder: Path, share: float) -> Iterator[Figure]:
    """Features, model and scores, bit by bit; always all circumstances."""
    outcomes = list(repeats.differing(_small_trained(folder), folder / "again"))
    wrong = tuple(f"{name}: {', '.join(parts)} differ" for name, parts in outcomes if parts)
    found = f"{len(outcomes) - len(wrong)} of {len(outcomes)} ({', '.join(name for name, _ in outcomes)})"
    yield Figure("same bytes again", found, not wrong, wrong)


def tampering(folder: Path, share: float) -> Iterator[Figure]:
    """Changed model folders, every second one with true hashes."""
    count = round(1000 * share)
    loaded, forged, _ = scored_with(folder, count)
    found = f"{count - loaded:,} of {count:,}, {forged:,} of them with recomputed hashes"
    yield Figure("tampered models refused", found, not loaded)


def payloads(folder: Path, share: float) -> Iterator[Figure]:
    """Crafted settings, asked of the rule that dbt and clv ask; always all hundred."""
    rules, ask, now = setting_rules(ROOT), setting_macros().setting_fault, datetime.now(UTC)
    tried = list(crafted_vars(100))
    passed = tuple(
        f"{name}: {payload!r}"
        for name, payload in tried
        if not ask(name, payload, rules[name]["allowed"], now)
        and not (name == "model_version" and payload in PLAIN_NAMES)
    )
    yield Figure(
        "injection payloads refused", f"{len(tried) - len(passed)} of {len(tried)}", not passed, passed
    )


def erasure(folder: Path, share: float) -> Iterator[Figure]:
    """
    People are forgotten, one after the other, then everything is fed, run and reported again: nobody may be
    found in any cell of the warehouse and the published copy, nor in a byte of any file but the feed.
    """
    settings, feed = _small_trained(folder), folder / "feed"
    count = round(100 * share)
    people = [
        name for (name,) in query(settings, f"select customer_id from customer_clv order by 1 limit {count}")
    ]
    pages = 0
    for name in people:
        report_of(settings)
        pages += forget(settings, name).report is not None
    left = _found(settings, people)
    pipeline.run(settings, "simulator", data_dir=feed)
    report_of(settings)
    back = _found(settings, people)
    yield Figure(
        "erased ids found", f"{len(left)} of {count} ({pages} report pages removed)", not left, tuple(left)
    )
    yield Figure("erased ids found after feeding again", f"{len(back)} of {count}", not back, tuple(back))


def memory(folder: Path, share: float) -> Iterator[Figure]:
    """Scorings of 2,000 customers in one process, each on a connection of its own, as a service would."""
    settings = trained_shop(folder)
    model = load(settings.models)
    assert model is not None
    warm, count = 50, round(1000 * share)
    for number in range(warm + count):
        with duckdb.connect() as connection:
            register(connection, settings)
            fill(connection, model, 2000)
            connection.execute(
                f"select sum(s.clv_predicted) from (select {call(model)} as s from customers)"
            ).fetchall()
        if number + 1 == warm:
            before = _resident_bytes()
    growth = _resident_bytes() / before - 1
    found = f"{growth:+.1%} over {count:,} scorings, {before / 2**20:,.0f} MB at first"
    yield Figure("memory growth", found, growth < MOST_GROWTH)


def lives(folder: Path, share: float, first_seed: int = 0, count: int = 100) -> Iterator[Figure]:
    """Lives of a shop, one a seed; what is done and checked stands in tests/shop_life.py."""
    count = max(1, round(count * share))
    done, faults = Counter[str](), list[str]()
    first = life_parts.make_first(folder / "first", copy_project(ROOT, folder / "project"))
    began = time.monotonic()
    for seed in range(first_seed, first_seed + count):
        try:
            done += shop_life.live(first, seed)
        except Exception as error:
            traceback.print_exc()
            faults.append(f"seed {seed}: {error}")
    per_minute = done["steps"] * 60 / (time.monotonic() - began)
    kinds = ", ".join(f"{number:,} {what}" for what, number in done.most_common() if what != "steps")
    found = f"{count - len(faults)} of {count}: {done['steps']:,} steps, {per_minute:,.0f} a minute ({kinds})"
    yield Figure("lives as the ledger says", found, not faults, tuple(faults))


PARTS: dict[str, Callable[[Path, float], Iterator[Figure]]] = {
    "feeds": feeds,
    "tampering": tampering,
    "payloads": payloads,
    "memory": memory,
    "publishes": publishes,
    "erasure": erasure,
    "determinism": determinism,
    "kills": kills,
    "lives": lives,
}


def _small_trained(folder: Path) -> Settings:
    """A small shop, run once from its feed to the published scores."""
    settings = settings_for(folder / "shop", copy_project(ROOT, folder / "project"))
    write_simulation(SMALL, folder / "feed")
    pipeline.run(settings, "simulator", data_dir=folder / "feed")
    return settings


def _found(settings: Settings, people: list[str]) -> list[str]:
    """Those who stand in a cell of a database, or in the bytes of a file."""
    found: Counter[str] = Counter()
    files = [path for path in settings.warehouse.parent.rglob("*") if path.is_file()]
    for path in files:
        found.update(name for name in people if count_bytes(path, [name]))
        if path.suffix == ".duckdb":
            with duckdb.connect(path, read_only=True) as connection:
                tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                for schema, table in tables:
                    query = (
                        "select person from unnest($1) as given(person) where exists ("
                        f'select 1 from "{schema}"."{table}" as t where regexp_matches(cast(t as varchar), '
                        "'(^|[^A-Za-z0-9])' || given.person || '([^A-Za-z0-9]|$)'))"
                    )
                    found.update(name for (name,) in connection.execute(query, [people]).fetchall())
    return sorted(found)


def _resident_bytes() -> int:
    with suppress(ValueError), open("/proc/self/statm", encoding="ascii") as status:
        return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    raise OSError("/proc/self/statm does not say how much memory this process has.")


if __name__ == "__main__":
    main()
