"""Where the files are that come with the package."""

from pathlib import Path

DBT_FOLDER = Path(__file__).resolve().parents[1] / "dbt_project"
"""SQL that is no dbt model: presets, ingestion, queries, macros."""
MODELS_FOLDER = DBT_FOLDER.with_name("models_sql")
"""The dbt models, and the YAML that describes them and their sources."""
