"""Builds the wheel: the dbt package goes into ``clv_ml``, so that an installation holds the SQL too."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PARTS = ("dbt_project.yml", "profiles.yml", "dbt_project", "models_sql")
"""What dbt reads, at the root of the repository."""


class BuildWithDbtPackage(build_py):
    """Copies the dbt package beside the modules, unless they stay where they are (an editable install)."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / "clv_ml" / "dbt_package"
        shutil.rmtree(package, ignore_errors=True)
        package.mkdir(parents=True)
        for part in map(Path, PARTS):
            if part.is_dir():
                shutil.copytree(part, package / part)
            else:
                shutil.copy2(part, package / part)


setup(cmdclass={"build_py": BuildWithDbtPackage})
