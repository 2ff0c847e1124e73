"""
Pictures of the report for the docs: of the simulated demo shop, never of real customers. Run it to write
them.
"""

import tempfile
from pathlib import Path

from browser import CHROMIUM, browse
from markdown_pages import DOCS
from PIL import Image
from shops import report_of, settings_for

from clv_ml import pipeline
from clv_ml.operate.steps import no_steps

FOLDER = DOCS / "pictures"
WIDE, PHONE = 1280, 390
VIEWS = {
    # name: width, height, and what of the page is at the top
    "report-wide": (WIDE, 940, ""),
    "report-segments": (WIDE, 840, "#groups"),
    "report-phone": (PHONE, 1500, ""),
    "report-phone-customers": (PHONE, 1500, "#customers"),
}
QUALITY = 70


def write_pictures(place: Path) -> None:
    """Makes the demo shop's report in a folder and pictures of it in docs/pictures."""
    settings = settings_for(place, horizon_days=365)
    pipeline.demo(settings, 2000, 7, no_steps)
    report = report_of(settings).path
    for name, (width, height, anchor) in VIEWS.items():
        # a window is never as narrow as a phone: a frame is
        frame = place / f"{name}.html"
        frame.write_text(
            f'<body style="margin:0"><iframe src="{report.name}{anchor}" '
            f'style="border:0;width:{width}px;height:{height}px"></iframe>',
            encoding="utf-8",
        )
        shot = place / f"{name}.png"
        browse(
            frame.as_uri(),
            place / "profile",
            "--hide-scrollbars",
            f"--window-size={max(width, 500)},{height}",
            f"--screenshot={shot}",
        )
        Image.open(shot).crop((0, 0, width, height)).save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    assert CHROMIUM is not None, "install chromium first"
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder))
