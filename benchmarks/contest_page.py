"""The page of ``make bench``: a table for each section, a plot of time against size, and what fell short."""

import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib as mpl
from contest_runs import Contender, Mark, Size, Work, median, threads
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "benchmarks" / "README.md"
PICTURE = ROOT / "docs" / "pictures" / "bench.svg"
LIBRARIES = (
    "duckdb", "lightgbm", "lifetimes", "onnxruntime", "pandas", "polars", "pymc-marketing", "shap",
    "woodelf-explainer",
)  # fmt: skip
HEAD = """# Side by side

Written by `make bench` ({day}); do not edit. Each section's contenders run in one session on the same data,
each run in a process of its own, in turn, round after round. Shown is the median of the runs, with the
fastest and the slowest. **x ours** is a contender's median over ours, of the clock and of the processor's
seconds: above 1, we are faster. Only the work is timed, not starting, importing or loading. Memory is the
peak of the process, libraries and data included.
The ratios count: the machine is shared with other work, whose load stands at each section. Where others wait
for each other's threads, as LightGBM's do, a loaded machine slows them more: see the processor's seconds.

{machine}, {threads} threads for all who have them. {versions}.

![Time against size](../docs/pictures/bench.svg)
"""
OF = {"seconds": "time", "processor": "processor time"}
Found = Mapping[str, Sequence[Mapping[str, Any]]]


def write_page(works: Sequence[Work], found: Found) -> None:
    """Page and picture of what was found, by section."""
    measured = [(work, found[work.key]) for work in works if found.get(work.key)]
    PAGE.write_text(page(works, measured), encoding="utf-8")
    draw([(work, sizes) for work, sizes in measured if len(sizes) > 1 and isinstance(work.sizes[0], int)])


def page(works: Sequence[Work], measured: Sequence[tuple[Work, Sequence[Mapping[str, Any]]]]) -> str:
    """The whole page as Markdown."""
    head = HEAD.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}",
        threads=threads(),
        versions=", ".join(_versions()),
    )
    sections = [_section(work, sizes) for work, sizes in measured]
    short = [line for work, sizes in measured for line in _short(work, sizes)]
    done = {work.key for work, _ in measured}
    short += [f"- {work.title}: not run." for work in works if work.key not in done]
    return "\n".join([head, *sections, "## What fell short\n", *(short or ["Nothing."]), ""])


def _versions() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def _section(work: Work, sizes: Sequence[Mapping[str, Any]]) -> str:
    loads = [load for found in sizes for load in found["load"]]
    prepared = ", ".join(f"{found['prepared']:.0f}" for found in sizes)
    figures = _figure_names(sizes, work)
    heads = [work.unit, "who", "runs", "seconds", "x ours", "processor s", "x ours", "peak MB", *figures]
    rows = [row for found in sizes for row in _rows(work, found, figures)]
    table = [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
    table += [f"| {' | '.join(row)} |" for row in rows]
    load = f"Load average {min(loads):.1f} to {max(loads):.1f}; data prepared in {prepared} s, not counted."
    return "\n".join([f"## {work.title}\n", f"{work.about} {load}\n", *table, "", *_left_out(work, sizes)])


def _figure_names(sizes: Sequence[Mapping[str, Any]], work: Work) -> list[str]:
    """What is shown of accuracy beside time: figures that need not be equal and that ours has too."""
    ours = sizes[0]["runs"][work.ours][0]["figures"]
    return [name for name in ours if name in work.shown]


def _rows(work: Work, found: Mapping[str, Any], figures: Sequence[str]) -> Iterator[list[str]]:
    clock, processor = (median(found["runs"][work.ours], what) for what in ("seconds", "processor"))
    for contender in work.contenders:
        runs = found["runs"].get(contender.name)
        if runs:
            seconds = [run["seconds"] for run in runs]
            yield [
                _size(found["size"]),
                _who(contender),
                str(len(runs)),
                f"{_short_number(statistics.median(seconds))} "
                f"({_short_number(min(seconds))} to {_short_number(max(seconds))})",
                f"{statistics.median(seconds) / clock:.2f}",
                _short_number(median(runs, "processor")),
                f"{median(runs, 'processor') / processor:.2f}",
                _peak(runs),
                *(_short_number(runs[0]["figures"].get(name)) for name in figures),
            ]


def _peak(runs: Sequence[Mapping[str, Any]]) -> str:
    known = [run["peak_mb"] for run in runs if run["peak_mb"] is not None]
    if not known:
        return "not measured"
    fewer = f" ({len(known)} of {len(runs)} runs)" if len(known) < len(runs) else ""
    return f"{statistics.median(known):,.0f}{fewer}"


def _who(contender: Contender) -> str:
    return f"{contender.name} ({contender.computes})" if contender.computes else contender.name


def _size(size: Size) -> str:
    return f"{size:,}" if isinstance(size, int) else size


def _short_number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _left_out(work: Work, sizes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Who did not run, and why."""
    lines = [f"- {name}: {why}." for name, why in work.not_run.items()]
    done = {found["size"] for found in sizes}
    lines += [f"- {_size(size)} {work.unit}: not run." for size in work.sizes if size not in done]
    lines += [
        f"- {name} at {_size(found['size'])}: {why}."
        for found in sizes
        for name, why in found["left_out"].items()
    ]
    if lines:
        yield from ("Not run:\n", *lines, "")


def _short(work: Work, sizes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Marks that were missed, and whoever is not there to be judged."""
    for mark in work.marks:
        for found in sizes:
            if mark.against not in found["runs"]:
                yield f"- {work.title}, {_size(found['size'])}: {mark.against} did not run."
                continue
            times = _times(work, mark, found)
            if times < mark.times:
                yield (
                    f"- {work.title}, {_size(found['size'])}: {mark.against} takes "
                    f"{times:.2f} times our {OF[mark.of]}; to be reached is {mark.times:.3g}."
                )
    yield from (f"- {work.title}: {note}" for note in work.notes)


def _times(work: Work, mark: Mark, found: Mapping[str, Any]) -> float:
    runs = found["runs"]
    return median(runs[mark.against], mark.of) / median(runs[work.ours], mark.of)


def draw(measured: Sequence[tuple[Work, Sequence[Mapping[str, Any]]]]) -> None:
    """Time against size, one panel a section."""
    mpl.rcParams["svg.hashsalt"] = "clv"
    figure = Figure(figsize=(4.5 * max(1, len(measured)), 4), layout="constrained")
    for number, (work, sizes) in enumerate(measured, 1):
        axes = figure.add_subplot(1, len(measured), number)
        for contender in work.contenders:
            points = [
                (found["size"], median(found["runs"][contender.name], "seconds"))
                for found in sizes
                if contender.name in found["runs"]
            ]
            if points:
                width = 2.5 if contender.name == work.ours else 1
                axes.plot(*zip(*points, strict=True), marker="o", linewidth=width, label=contender.name)
        axes.set(xscale="log", yscale="log", xlabel=work.unit, ylabel="seconds", title=work.title)
        axes.legend(fontsize=7)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})
