"""
How work is measured side by side: a process for each run, contenders in turn, round after round.

A contender is a generator. Up to its first ``yield`` it loads, up to the second it works, and only that is
timed; what it yields third are figures by name, which are compared between contenders.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Figures = Mapping[str, float]
Steps = Iterator[Figures]
Size = int | str
ROUNDS = 5
LONG_SECONDS, LONG_ROUNDS = 60, 3
"""A run above so many seconds is repeated less often."""
LIMIT_SECONDS = 180
"""Who would take longer, by the time at the size before, is left out."""


@dataclass(frozen=True)
class Contender:
    """Who does the work; ``needs`` are libraries; ``computes`` says what, where it is less than ours."""

    name: str
    steps: Callable[[Path], Steps]
    needs: tuple[str, ...] = ()
    computes: str = ""


@dataclass(frozen=True)
class Mark:
    """What is to be reached: the contender takes at least so many times our clock or processor time."""

    against: str
    times: float
    of: str = "seconds"


@dataclass(frozen=True)
class Work:
    """
    A section of the page. ``prepare`` writes what a size needs into a folder. The first contender is ours.
    Figures named in ``equal`` must agree between contenders, to one in a million; those in ``shown`` stand
    beside time. ``notes`` say why a mark was missed, where that is known.
    """

    key: str
    title: str
    about: str
    unit: str
    sizes: tuple[Size, ...]
    prepare: Callable[[Path, Any], None]
    contenders: tuple[Contender, ...]
    marks: tuple[Mark, ...] = ()
    equal: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    not_run: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> str:
        """The name of our own contender."""
        return self.contenders[0].name


@dataclass(frozen=True)
class Run:
    """One run: clock and processor seconds of the work, peak memory of its process in MB if it is known."""

    seconds: float
    processor: float
    peak_mb: float | None
    figures: Figures


def measured(contender: Contender, folder: Path) -> Run:
    """The contender's run, in this process."""
    steps = contender.steps(folder)
    next(steps)
    clock, used = time.perf_counter(), _processor_seconds()
    next(steps)
    clock, used = time.perf_counter() - clock, _processor_seconds() - used
    return Run(clock, used, peak_mb(), dict(next(steps)))


def peak_mb() -> float | None:
    """
    Of this process alone, in MB; None where the kernel keeps no record of it. ``ru_maxrss`` would not do: it
    is handed on from whoever started the process.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def _processor_seconds() -> float:
    """Of this process and of what it started, such as a compiler."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def in_child(command: Path, work: Work, contender: Contender, folder: Path) -> Run:
    """The same in a process of its own, so that its peak of memory is its own."""
    arguments = ["--one", work.key, contender.name, str(folder)]
    environment = os.environ | {"POLARS_MAX_THREADS": str(threads())}
    done = subprocess.run(
        [sys.executable, str(command), *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{contender.name} failed at {work.title}:\n{done.stderr[-3000:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def threads() -> int:
    """Threads of every engine that has them."""
    return min(2, os.cpu_count() or 1)


def missing(contender: Contender) -> tuple[str, ...]:
    """The libraries that it needs and that are not installed."""
    return tuple(name for name in contender.needs if find_spec(name) is None)


def contest(
    work: Work, size: Size, folder: Path, left_out: Mapping[str, str], run: Callable[[Contender], Run]
) -> dict[str, Any]:
    """All runs of a size, as the page reads them; ``left_out`` names contenders and why they do not run."""
    begun = time.perf_counter()
    work.prepare(folder, size)
    prepared, load = time.perf_counter() - begun, [os.getloadavg()[0]]
    runs: dict[str, list[Run]] = {one.name: [] for one in work.contenders if one.name not in left_out}
    for number in range(ROUNDS):
        for contender in work.contenders:
            mine = runs.get(contender.name)
            if mine is None or (number >= LONG_ROUNDS and mine[0].seconds > LONG_SECONDS):
                continue
            mine.append(run(contender))
            print(
                f"{work.key} {size} {contender.name}: {mine[-1].seconds:.2f} s", file=sys.stderr, flush=True
            )
    check(work, runs)
    return {
        "size": size,
        "prepared": prepared,
        "load": [*load, os.getloadavg()[0]],
        "runs": {name: [asdict(one) for one in mine] for name, mine in runs.items()},
        "left_out": dict(left_out),
    }


def check(work: Work, runs: Mapping[str, list[Run]]) -> None:
    """Speed alone proves nothing: whoever yields a figure that must be equal has ours."""
    ours = runs[work.ours][0].figures
    for name, mine in runs.items():
        for figure in work.equal:
            found, expected = mine[0].figures.get(figure), ours[figure]
            if found is not None and abs(found - expected) > 1e-6 * max(1, abs(expected)):
                raise AssertionError(f"{name} has {figure} {found}, we have {expected}")


def to_leave_out(work: Work, size: Size, before: Mapping[str, Any] | None) -> dict[str, str]:
    """Who cannot run, for want of a library or of time."""
    left_out = {
        one.name: f"not installed: {', '.join(missing(one))}" for one in work.contenders if missing(one)
    }
    if before and isinstance(size, int):
        left_out |= {name: why for name, why in before["left_out"].items() if why.startswith("would")}
        for name, runs in before["runs"].items():
            expected = median(runs, "seconds") * size / before["size"]
            if expected > LIMIT_SECONDS:
                left_out[name] = f"would take about {expected / 60:.0f} minutes a run"
    return left_out


def median(runs: list[dict[str, Any]], what: str) -> float:
    """Of the runs of one contender."""
    return statistics.median(run[what] for run in runs)
