"""One customer's drivers as a picture."""

import textwrap
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from clv_ml.errors import InputError, SettingsError
from clv_ml.operate.customers import CustomerExplanation
from clv_ml.serve.narrative import OTHERS, amount_text, signed_amount
from clv_ml.show.drawing import BLUE, GREY, STYLE, VERMILLION
from clv_ml.warehouse.safe_files import replace_file

PICTURES = (".png", ".svg", ".pdf")


def plot_customer(explanation: CustomerExplanation, path: Path) -> None:
    """
    Writes the drivers as a waterfall from the base to the prediction: .png, .svg or .pdf.

    Raises:
        SettingsError: If the file's ending is another one.
        InputError: If no model scored the customer, so that there is nothing to show; or the folder is
            absent.
    """
    if path.suffix.lower() not in PICTURES:
        raise SettingsError(f"{path} must end in {', '.join(PICTURES)}.")
    if not explanation.drivers:
        raise InputError(f"No model scored {explanation.customer_id!r}, so there are no drivers to draw.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Create it first.")
    # what is no driver of its own comes last, however much it is together
    named = sorted(explanation.drivers, key=lambda driver: driver.name == OTHERS)
    title = f"Customer {explanation.customer_id}: what moved the prediction, {explanation.currency}"
    steps = [(driver.phrase, driver.contribution) for driver in named]
    replace_file(path, waterfall(title, explanation.base or 0.0, steps, path.suffix.lower()[1:]))


def waterfall(title: str, base: float, steps: Sequence[tuple[str, float]], kind: str) -> bytes:
    """
    From the base at the bottom to the prediction on top, by steps of words and money, the first the
    uppermost. Returns a picture of the kind matplotlib knows by that name.
    """
    upwards = list(reversed(steps))
    ends = base + np.cumsum([amount for _, amount in upwards])
    bars = [("starts from", 0.0, base, GREY, amount_text(base))]
    for (words, amount), end in zip(upwards, ends, strict=True):
        bars.append((words, end - amount, end, BLUE if amount >= 0 else VERMILLION, signed_amount(amount)))
    bars.append(("prediction", 0.0, ends[-1], GREY, amount_text(ends[-1])))
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a script that the font lacks is drawn as boxes, which the picture shows by itself
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(9, 1.2 + 0.42 * len(bars)), layout="constrained")
        axes = figure.subplots()
        for place, (_, start, end, colour, label) in enumerate(bars):
            axes.barh(place, end - start, left=start, color=colour)
            # a line to where the next step begins
            axes.vlines(end, place, min(place + 1, len(bars) - 1), color=GREY, linewidth=0.8)
            axes.annotate(label, (max(start, end), place), (5, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(bars)), [textwrap.fill(words, 48) for words, *_ in bars])
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
        figure.suptitle(textwrap.fill(title, 90))
        written = BytesIO()
        figure.savefig(written, format=kind, dpi=120)
    return written.getvalue()
