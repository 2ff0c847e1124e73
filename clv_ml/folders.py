"""Where the files are that come with the package."""

from pathlib import Path


def _package_folder() -> Path:
    installed = Path(__file__).resolve().with_name("dbt_package")
    return installed if installed.is_dir() else installed.parents[1]


PACKAGE_FOLDER = _package_folder()
"""The dbt package ``clv``: beside this file where it is installed, else the root of the repository."""
DBT_FOLDER = PACKAGE_FOLDER / "dbt_project"
"""SQL that is no dbt model: presets, ingestion, queries, macros."""
MODELS_FOLDER = PACKAGE_FOLDER / "models_sql"
"""The dbt models, and the YAML that describes them and their sources."""
