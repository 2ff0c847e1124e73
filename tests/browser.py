"""Headless Chromium, where it is installed."""

import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium")


def browse(page: str, profile: Path, *options: str) -> tuple[str, str]:
    """Opens an address with a profile of its own; what the browser printed, and what it logged."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
        *options,
        page,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr
