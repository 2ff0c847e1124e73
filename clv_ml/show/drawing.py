"""How pictures are drawn: SVG whose text stays text, in colours that colour-blind people tell apart."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, VERMILLION, GREY = "#0072B2", "#E69F00", "#D55E00", "#808080"
SCALE = "cividis"
WIDTH, WIDE = 5.2, 9.0
STYLE = {
    # text as text: small, selectable, and readable to a screen reader
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    # black is the default of SVG and not written, so the page's own text colour applies, light or dark
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "text.parse_math": False,
    "legend.frameon": False,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

Rows = Sequence[Mapping[str, Any]]


@dataclass
class Chart:
    """A picture: its name in the page, a title, what it shows in words, and the SVG once it is drawn."""

    name: str
    title: str
    description: str
    svg: str = field(default="", repr=False)


@contextmanager
def drawn(chart: Chart, height: float, width: float = WIDTH) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart.name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        yield figure, axes
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True, dpi=144, metadata=NO_METADATA)
    chart.svg = _inline(written.getvalue(), chart)


def _inline(svg: str, chart: Chart) -> str:
    """The element alone, with title and description for screen readers, and ids that no other chart has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{chart.name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{chart.name}-", svg)
    svg = re.sub(r'href="#', f'href="#{chart.name}-', svg)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    size = re.search(r'viewBox="[^"]*"', svg)
    assert size is not None
    opening = (
        f'<svg {size.group(0)} role="img" aria-labelledby="{chart.name}-title {chart.name}-description">'
        f'<title id="{chart.name}-title">{chart.title}</title>'
        f'<desc id="{chart.name}-description">{chart.description}</desc>'
    )
    return re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1)


def short(value: float) -> str:
    """1,200,000 as 1.2M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def words(name: str) -> str:
    return name.replace("_", " ")
