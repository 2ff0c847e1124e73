"""
The audit notices another version than the locked one and a file that was changed after it was installed.
"""

import base64
import hashlib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from audit import LOCK, changed_files, licence, locked_versions


def test_the_lock_pins_what_is_declared():
    """Names as registries compare them; extras and markers are no part of a version."""
    pins = locked_versions(
        "Dbt_Core==1.11.16 \\\n    --hash=sha256:0\n"
        'uvicorn[std]==0.1 ; x == "y"\n# a==b\nb==1 ; x\nb==2 ; y\n'
    )

    assert pins == {"dbt-core": {"1.11.16"}, "uvicorn": {"0.1"}, "b": {"1", "2"}}
    assert "duckdb" in locked_versions(LOCK.read_text(encoding="utf-8"))


def test_a_changed_and_a_missing_file_are_found(tmp_path: Path):
    """Against the package's own record, which is what the installer checked the lock's hash for."""
    folder = tmp_path / "thing-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"good").digest()).rstrip(b"=").decode()
    names = ("whole.py", "changed.py", "gone.py")
    (folder / "RECORD").write_text("".join(f"{name},sha256={digest},4\n" for name in names) + "thing.pyc,,\n")
    (tmp_path / "whole.py").write_bytes(b"good")
    (tmp_path / "changed.py").write_bytes(b"evil")

    found = changed_files([Distribution.at(folder)])

    assert [path.name for path in found] == ["changed.py", "gone.py"]
    assert licence(distribution("duckdb")) != "not stated"
