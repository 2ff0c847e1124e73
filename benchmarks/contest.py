"""
This project side by side with what people use today: one page, ``benchmarks/README.md`` (``make bench``).

Each section's contenders run in one session on the same data, in turn. Name sections to run only those; the
others keep the figures of their last run here. Who needs a library that is not installed, or a file that is
not there, is left out by name.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from contest_runs import Contender, Run, Work, contest, in_child, measured, to_leave_out

WORKS = {
    "features": "contest_features.WORK",
    "scoring": "contest_scoring.WORK",
    "one_by_one": "contest_scoring.ONE_BY_ONE",
    "drivers": "contest_drivers.WORK",
    "forecasts": "contest_forecasts.WORK",
    "whole_job": "contest_jobs.WHOLE_JOB",
    "refresh": "contest_jobs.REFRESH",
}
"""Where each section is described: a child imports its own alone, and starts quickly."""
ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "bench.json"


def main() -> None:
    """Runs sections and writes the page; or, as its own child, one contender."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("works", nargs="*", help="sections to run; all if none is named")
    arguments.add_argument("--sizes", type=int, default=99, help="only so many sizes of each, smallest first")
    arguments.add_argument("--one", nargs=3, metavar=("WORK", "CONTENDER", "FOLDER"), help="used internally")
    arguments.add_argument("--page", action="store_true", help="run nothing, write the page again")
    asked = arguments.parse_args()
    if asked.one:
        key, name, folder = asked.one
        print(json.dumps(asdict(one_run(section(key), name, Path(folder)))))
        return
    if unknown := set(asked.works) - set(WORKS):
        arguments.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    from contest_page import write_page

    for work in [] if asked.page else map(section, asked.works or WORKS):
        found = sizes_of(replace(work, sizes=work.sizes[: asked.sizes]))
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(kept() | {work.key: found}), encoding="utf-8")
    write_page([section(key) for key in WORKS], kept())


def kept() -> dict[str, Any]:
    """What the last run of each section found here."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def section(key: str) -> Work:
    """A section by its key."""
    module, _, name = WORKS[key].partition(".")
    return getattr(import_module(module), name)


def one_run(work: Work, name: str, folder: Path) -> Run:
    """A contender by its name."""
    return measured(next(one for one in work.contenders if one.name == name), folder)


def sizes_of(work: Work) -> Sequence[Mapping[str, Any]]:
    """The contest at each size."""
    found: list[Mapping[str, Any]] = []
    for size in work.sizes:
        with tempfile.TemporaryDirectory(prefix="clv-bench-") as name:
            folder = Path(name)

            def run(contender: Contender, folder: Path = folder) -> Run:
                return in_child(Path(__file__), work, contender, folder)

            print(f"{work.key} {size}: prepare, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            left_out = to_leave_out(work, size, found[-1] if found else None)
            found.append(contest(work, size, folder, left_out, run))
    return found


if __name__ == "__main__":
    main()
