"""
What is installed here, against what was locked (``make audit``). Works offline, so it knows no vulnerability
by itself.

Fails if a package lacks one that it needs, has another version than the lock, or a file that differs from the
hash that was recorded when it was installed. Where ``pip-audit`` is installed and may reach its service, it
is run as well.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from rich.console import Console
from rich.table import Table

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
NOT_LOCKED = {"clv-ml", "pip", "setuptools", "wheel"}
"""Ours, and what the environment came with."""


def main() -> None:
    """Print a row per package and what is wrong; exit 1 if anything is."""
    console, locked = Console(width=110), locked_versions(LOCK.read_text(encoding="utf-8"))
    installed = {normal(found.name): found for found in distributions()}
    table, faults = Table("package", "version", "licence", title="Installed"), []
    for name, found in sorted(installed.items()):
        table.add_row(name, found.version, licence(found))
        if name not in NOT_LOCKED and found.version not in locked.get(name, set()):
            faults.append(f"{name} {found.version} is installed; the lock says {locked.get(name, 'nothing')}")
    faults += [f"{path} is not the file that was installed" for path in changed_files(installed.values())]
    console.print(table)
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    faults += check.stdout.splitlines() if check.returncode else []
    if shutil.which("pip-audit"):
        audit = subprocess.run(["pip-audit", "-r", str(LOCK)], capture_output=True, text=True)
        faults += [audit.stdout + audit.stderr] if audit.returncode else []
    else:
        console.print("Known vulnerabilities were not looked up: pip-audit is not installed.")
    console.print(*(faults or [f"{len(installed)} packages as locked, every file as installed."]), sep="\n")
    sys.exit(bool(faults))


def locked_versions(text: str) -> dict[str, set[str]]:
    """Versions by package; Pythons may have one each."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, flags=re.MULTILINE)
    versions: dict[str, set[str]] = {}
    for name, version in pins:
        versions.setdefault(normal(name), set()).add(version)
    return versions


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: Distribution) -> str:
    """As the package states it, in one line."""
    classifiers = [
        text.rsplit(" :: ")[-1] for text in found.metadata.get_all("Classifier", []) if "License ::" in text
    ]
    stated = (
        found.metadata.get("License-Expression") or ", ".join(classifiers) or found.metadata.get("License")
    )
    return (stated or "not stated").splitlines()[0][:60]


def changed_files(packages: Iterable[Distribution]) -> list[Path]:
    """Files that differ from the hashes in the packages' own records (two may claim one), or are gone."""
    recorded: dict[Path, dict[str, str]] = {}
    for file in (file for package in packages for file in package.files or () if file.hash):
        recorded.setdefault(Path(str(file.locate())), {})[file.hash.value] = file.hash.mode
    return [path for path, hashes in recorded.items() if not _has_one_of(path, hashes)]


def _has_one_of(path: Path, hashes: Mapping[str, str]) -> bool:
    """Whether a file's hash is one of these, given with their kinds."""
    content = path.read_bytes() if path.is_file() else None
    return content is not None and any(
        base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode() == value
        for value, kind in hashes.items()
    )


if __name__ == "__main__":
    main()
