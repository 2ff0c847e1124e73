"""
Charts of the report: each draws rows, as a query returns them, into the chart that a template has named and
described. Shapes say the same as colours.
"""

import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter

from clv_ml.serve.narrative import amount_text
from clv_ml.show.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SCALE,
    VERMILLION,
    WIDE,
    Chart,
    Rows,
    drawn,
    short,
    words,
)

STROKES, MARKS = ("-", "--", "-.", ":"), "os^Dv"
"""So that lines differ without colour."""


def revenue_chart(chart: Chart, months: Rows, horizons: Rows, currency: str) -> Chart:
    """
    Net revenue of each month, then what is expected a month in the days that each horizon adds, with bounds.
    """
    with drawn(chart, 2.6, WIDE) as (_, axes):
        starts = np.array([row["month"] for row in months], dtype="datetime64[D]")
        for row, start in zip(months, starts, strict=True):
            axes.bar(
                start,
                float(row["revenue"]),
                np.timedelta64(25, "D"),
                align="edge",
                color=BLUE,
                alpha=1.0 if row["is_whole"] else 0.4,
            )
        for row in horizons:
            ends = np.array([row["from_day"], row["to_day"]], dtype="datetime64[D]")
            level = row["revenue_a_month"]
            axes.plot(ends, [level, level], color=VERMILLION, linewidth=3, solid_capstyle="butt")
            if row["low_share"] is not None:
                low, high = level * row["low_share"], level * row["high_share"]
                axes.fill_between(ends, low, high, color=ORANGE, alpha=0.35, linewidth=0)
        axes.set_ylabel(f"{currency} a month")
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
        axes.grid(axis="x", visible=False)
    return chart


def growth_chart(chart: Chart, rows: Rows, currency: str) -> Chart:
    """A line per year that customers were won in: what each has brought so far, on average, by month."""
    with drawn(chart, 3.0) as (_, axes):
        years = sorted({row["cohort_year"] for row in rows})
        for year, style, mark in zip(years, itertools.cycle(STROKES), itertools.cycle(MARKS)):
            line = [row for row in rows if row["cohort_year"] == year]
            axes.plot(
                [row["months_since"] for row in line],
                [row["revenue_mean"] for row in line],
                style,
                marker=mark,
                markevery=0.2,
                label=f"won in {year}",
            )
        axes.set(xlabel="months since the first order", ylabel=f"brought so far, {currency} each")
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.legend(loc="upper left")
    return chart


def tenths_chart(chart: Chart, rows: Rows) -> Chart:
    """Share of the value that each tenth of the buyers brings, the most valuable first."""
    with drawn(chart, 3.0) as (_, axes):
        places = np.arange(1, len(rows) + 1)
        bars = axes.bar(places, [row["estimate_share"] for row in rows], color=BLUE, width=0.92)
        axes.bar_label(bars, [f"{row['estimate_share']:.0%}" for row in rows], padding=2)
        axes.set_xticks(places)
        axes.set(xlabel="tenth of the buyers, 1 the most valuable", ylabel="share of the value")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="x", visible=False)
    return chart


def deciles_chart(chart: Chart, rows: Rows, currency: str) -> Chart:
    """Mean predicted next to mean actual of each tenth, lowest first."""
    with drawn(chart, 3.4) as (_, axes):
        places = np.arange(1, len(rows) + 1)
        axes.bar(places - 0.2, [row["predicted_mean"] for row in rows], 0.4, color=BLUE, label="predicted")
        hatched = {"color": ORANGE, "hatch": "///", "edgecolor": "#7a5200", "linewidth": 0.5}
        axes.bar(places + 0.2, [row["actual_mean"] for row in rows], 0.4, label="actual", **hatched)
        axes.set_xticks(places)
        axes.set(xlabel="tenth of customers by prediction, 10 the highest", ylabel=f"mean, {currency}")
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.legend(loc="upper left")
        axes.grid(axis="x", visible=False)
    return chart


def confidence_chart(chart: Chart, rows: Rows) -> Chart:
    """Stated confidence against the share that came true, a point per tenth."""
    with drawn(chart, 3.4) as (_, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        axes.plot(
            [row["confidence"] for row in rows], [row["came_true"] for row in rows], "o", color=BLUE, ms=7
        )
        top = max(0.1, *(max(row["confidence"], row["came_true"]) for row in rows)) * 1.1
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="confidence stated", ylabel="share that came true")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return chart


def coverage_chart(chart: Chart, rows: Rows, nominal: float) -> Chart:
    """Share of actual values inside the interval, a point per tenth, and the share that was promised."""
    with drawn(chart, 3.4) as (_, axes):
        axes.axhline(nominal, color=VERMILLION, linestyle="--", linewidth=1.5)
        label, below = f"promised {nominal:.0%}", (0, -5)
        axes.annotate(label, (1, nominal), below, textcoords="offset points", va="top", ha="left")
        axes.plot(range(1, len(rows) + 1), [row["coverage"] for row in rows], "o-", color=BLUE, ms=7)
        axes.set(
            ylim=(0, 1.05),
            xlabel="tenth of customers by prediction, 10 the highest",
            ylabel="inside the interval",
        )
        axes.set_xticks(range(1, len(rows) + 1))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return chart


def importance_chart(chart: Chart, rows: Rows, currency: str) -> Chart:
    """Mean absolute contribution of each driver, largest on top."""
    with drawn(chart, 0.9 + 0.42 * len(rows)) as (_, axes):
        lowest_first = rows[::-1]
        bars = axes.barh(
            [words(row["driver_name"]) for row in lowest_first],
            [row["mean_effect"] for row in lowest_first],
            color=BLUE,
        )
        axes.bar_label(bars, [amount_text(row["mean_effect"]) for row in lowest_first], padding=3)
        axes.margins(x=0.18)
        axes.set_xlabel(f"mean effect, {currency}")
        axes.grid(axis="y", visible=False)
    return chart


def beeswarm_chart(chart: Chart, rows: Rows, currency: str) -> Chart:
    """A point per customer and driver: what it added or took, coloured by the rank of the driver's value."""
    names = list(dict.fromkeys(row["driver_name"] for row in rows))
    with drawn(chart, 1.3 + 0.55 * len(names)) as (figure, axes):
        spread = max(1.0, float(np.quantile([abs(row["contribution"]) for row in rows], 0.8)))
        lines = {name: len(names) - 1 - number for number, name in enumerate(names)}
        x = np.array([row["contribution"] for row in rows])
        place = np.array([np.nan if row["place"] is None else row["place"] for row in rows])
        line = np.array([lines[row["driver_name"]] for row in rows])
        y = line.astype(float)
        for number in lines.values():
            y[line == number] += _swarm(np.arcsinh(x[line == number] / spread))
        colours = matplotlib.colormaps[SCALE].with_extremes(bad=GREY)
        # thousands of points as a picture inside the SVG keep the page small
        look = {"s": 9, "cmap": colours, "vmin": 0, "vmax": 1, "linewidths": 0}
        shown = axes.scatter(x, y, c=place, rasterized=True, plotnonfinite=True, **look)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(range(len(names)), [words(name) for name in reversed(names)])
        axes.set_xscale(
            "function", functions=(lambda v: np.arcsinh(v / spread), lambda v: np.sinh(v) * spread)
        )
        _few_ticks(axes, [row["contribution"] for row in rows], spread)
        axes.set_xlabel(f"effect on the prediction, {currency}")
        bar = figure.colorbar(shown, ax=axes, location="top", aspect=40, shrink=0.7, pad=0.01)
        bar.set_ticks([0, 1], labels=["low value", "high value"])
        bar.outline.set_visible(False)
    return chart


def segments_chart(chart: Chart, rows: Rows, currency: str) -> Chart:
    """Total of each group with its interval, where a model gives one."""
    with drawn(chart, 0.9 + 0.45 * len(rows)) as (_, axes):
        lowest_first = rows[::-1]
        places = np.arange(len(rows))
        axes.barh(places, [float(row["estimate_total"]) for row in lowest_first], color=BLUE, height=0.7)
        for place, row in zip(places, lowest_first, strict=True):
            if row["predicted_total_low"] is not None:
                low, high = row["predicted_total_low"], row["predicted_total_high"]
                axes.plot([low, high], [place, place], color=ORANGE, linewidth=3, marker="|", ms=9, mew=2)
        axes.set_yticks(places, [words(row["segment"]) for row in lowest_first])
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.set_xlabel(f"total, {currency}")
        axes.grid(axis="y", visible=False)
    return chart


def _swarm(x: np.ndarray) -> np.ndarray:
    """Offsets across the line, at most 0.35 to either side, wider where points lie close. Shape (n,)."""
    if not x.size or np.ptp(x) == 0:
        return np.linspace(-0.35, 0.35, x.size)
    group = np.floor((x - x.min()) / np.ptp(x) * 60).astype(int)
    offsets = np.zeros(x.size)
    fullest = np.bincount(group).max()
    for number in np.unique(group):
        inside = np.flatnonzero(group == number)
        reach = 0.35 * inside.size / fullest
        offsets[inside] = np.linspace(-reach, reach, inside.size) if inside.size > 1 else 0.0
    return offsets


def _few_ticks(axes: Axes, values: Sequence[float], spread: float) -> None:
    """Ticks at 0 and at powers of ten well apart, on a scale that is linear near 0, logarithmic beyond."""
    largest = max(abs(value) for value in values)
    powers = [10.0**power for power in range(-2, 9) if spread <= 10.0**power <= largest]
    ends = powers if len(powers) < 3 else powers[:: len(powers) // 2]
    ticks = (
        [-end for end in ends if -end >= min(values)] + [0.0] + [end for end in ends if end <= max(values)]
    )
    axes.set_xticks(ticks, [short(tick) for tick in ticks])
    axes.minorticks_off()
