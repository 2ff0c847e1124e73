"""An installed wheel and a project of a user's own: the product's SQL here, their settings there."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest
import yaml
from shops import ROOT

from clv_ml.errors import SettingsError
from clv_ml.folders import PACKAGE_FOLDER
from clv_ml.settings import load_settings, package_of
from clv_ml.warehouse.own_project import create_project, link_package

PARTS = ("clv_ml", "dbt_project", "models_sql")
FILES = ("dbt_project.yml", "profiles.yml", "pyproject.toml", "setup.py", "README.md")
ORDERS = (
    "order_id,customer_id,ordered_at,amount\n1,ann,2024-03-05 14:05,49.90\n2,ann,2024-04-11 09:30,25.00\n"
    "1,ann,2024-04-20 10:00,-12.50\n3,bob,2024-04-21 10:00,8.00\n"
)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel is built from, copied: a build leaves files beside it."""
    folder = tmp_path_factory.mktemp("sources")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy2(ROOT / file, folder / file)
    return folder


def wheel_of(sources: Path, folder: Path) -> Path:
    """Builds a wheel without network."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(sources)], check=True)
    return max(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)


def install(wheel: Path, site: Path) -> None:
    """Unpacks a wheel over what was there, as pip does after it has removed the former version."""
    shutil.rmtree(site, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


@pytest.fixture(scope="session")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(sources, tmp_path_factory.mktemp("wheel"))


def said(
    site: Path, folder: Path, *command: str, places: dict[str, str] | None = None, fails: bool = False
) -> str:
    """
    What a command of the installed wheel prints, run in a folder, where it must succeed unless it ``fails``.
    ``places`` is the environment; by default this one without the product's own variables.
    """
    program = {
        "clv": "from clv_ml.cli import app; app()",
        "dbt": "from dbt.cli.main import cli; cli()",
    }[command[0]]
    usual = {name: value for name, value in os.environ.items() if not name.startswith("CLV_")}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'clv'; {program}", *command[1:]],
        cwd=folder,
        env={**(places or usual), "PYTHONPATH": str(site), "COLUMNS": "200", "DBT_PROFILES_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_wheel_holds_all_sql(wheel: Path):
    """Each file that dbt or a command reads, byte for byte, and what a new project begins with."""
    read = [ROOT / file for file in ("dbt_project.yml", "profiles.yml")]
    read += [path for part in ("dbt_project", "models_sql") for path in (ROOT / part).rglob("*.*")]
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}

    assert len(read) > 200
    for path in read:
        assert held[f"clv_ml/dbt_package/{path.relative_to(ROOT)}"] == path.read_bytes()
    starter = {Path(name).name for name in held if name.startswith("clv_ml/warehouse/starter/")}
    assert starter == {"dbt_project.yml", "README.md", ".gitignore"}


@pytest.mark.long
def test_from_an_empty_folder_to_scores_and_through_an_upgrade(wheel: Path, sources: Path, tmp_path: Path):
    """
    `clv init`, `clv run`, `dbt build` with nothing but the wheel; a newer version, installed elsewhere, reads
    the same project, and not a byte of it was touched.
    """
    site, project = tmp_path / "site", tmp_path / "my_shop"
    install(wheel, site)
    said(site, tmp_path, "clv", "init", "my_shop")
    (project / "orders.csv").write_text(ORDERS)

    said(site, project, "clv", "run", "orders.csv")
    said(site, project, "dbt", "--quiet", "build")
    before = {path: path.read_bytes() for path in project.iterdir() if path.is_file()}
    newer = tmp_path / "newer"
    shutil.copytree(sources, newer)
    text = (newer / "pyproject.toml").read_text()
    (newer / "pyproject.toml").write_text(text.replace('version = "0.2.0"', 'version = "0.2.1"'))
    shutil.rmtree(site)
    install(wheel_of(newer, tmp_path / "wheels"), tmp_path / "other_site")
    said(tmp_path / "other_site", project, "clv", "run", "orders.csv")

    assert {path: path.read_bytes() for path in project.iterdir() if path.is_file()} == before
    copy = project / "warehouse" / "published" / "clv.duckdb"
    with duckdb.connect(str(copy), read_only=True) as published:
        rows = published.execute("select customer_id, total_revenue from customer_clv order by 1").fetchall()
    assert [(customer, float(money)) for customer, money in rows] == [("ann", 62.40), ("bob", 8.00)]


@pytest.mark.long
def test_the_demo_needs_nothing_but_the_wheel(wheel: Path, tmp_path: Path):
    """In an empty folder it makes a project of its own, and says where."""
    install(wheel, tmp_path / "site")
    (tmp_path / "empty").mkdir()

    printed = said(tmp_path / "site", tmp_path / "empty", "clv", "demo", "--customers", "300")

    assert "clv-demo" in printed
    assert (tmp_path / "empty/clv-demo/warehouse/published/clv.duckdb").exists()
    said(tmp_path / "site", tmp_path / "empty", "clv", "demo", "--customers", "300")


def test_a_new_project_runs_the_installed_models_under_its_own_settings(tmp_path: Path):
    """Lines under `vars: clv:` and under `vars:` both hold; the first wins. Rules come with the package."""
    project = tmp_path / "My shop, 2nd"
    create_project(project)
    (project / "dbt_project.yml").write_text(
        (project / "dbt_project.yml").read_text() + "  horizon_days: 90\n  store_timezone: Europe/Rome\n"
    )

    settings = load_settings(project=project)

    assert "name: My_shop_2nd\n" in (project / "dbt_project.yml").read_text()
    assert (settings.vars.horizon_days, settings.vars.store_timezone) == (365, "Europe/Rome")
    assert package_of(project) == PACKAGE_FOLDER == (project / "dbt_packages" / "clv").resolve()


def test_dbt_is_told_of_the_package_in_the_way_of_its_newer_versions(tmp_path: Path):
    """
    dbt 1.12 stops where the packages that lie there are not those of its lock file; who has none of an older
    project gets one. It says nothing that differs from one installation to another.
    """
    create_project(tmp_path / "shop")
    lock = tmp_path / "shop" / "package-lock.yml"
    written = lock.read_text()
    lock.unlink()

    link_package(tmp_path / "shop")

    assert lock.read_text() == written
    assert yaml.safe_load(written) == {"packages": [{"local": "dbt_packages/clv", "name": "clv"}]}


def test_a_link_to_another_installation_is_turned_and_what_dbt_deps_made_is_left(tmp_path: Path):
    """A virtual environment that moved is no error; a team that pins the package in packages.yml decides."""
    create_project(tmp_path / "shop")
    link = tmp_path / "shop" / "dbt_packages" / "clv"
    link.unlink()
    link.symlink_to(tmp_path / "gone")

    link_package(tmp_path / "shop")
    turned = link.resolve()
    link.unlink()
    (tmp_path / "shop" / "packages.yml").write_text("packages: [{local: elsewhere}]")
    link_package(tmp_path / "shop")

    assert turned == PACKAGE_FOLDER
    assert not link.exists()


@pytest.mark.parametrize("name", ["clv", "2024", "---"])
def test_a_name_that_dbt_would_refuse_is_refused_before_anything_is_written(tmp_path: Path, name: str):
    with pytest.raises(SettingsError, match="Give the folder another name, such as my_shop"):
        create_project(tmp_path / name)

    assert not list(tmp_path.iterdir())


def test_no_file_of_a_folder_is_replaced(tmp_path: Path):
    """A README that is there already stays, and nothing else is written."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "README.md").write_text("mine")

    with pytest.raises(SettingsError, match=r"README\.md is there already, and nothing was written"):
        create_project(tmp_path / "shop")

    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["README.md"]


def test_a_misspelt_setting_is_refused_and_a_larger_projects_own_vars_are_not(tmp_path: Path):
    """Under `vars: clv:` every name must be a setting; other names beside it belong to who has models too."""
    create_project(tmp_path / "shop")
    file = tmp_path / "shop" / "dbt_project.yml"
    text = file.read_text()

    file.write_text(text + "    reporting_curency: EUR\n")
    with pytest.raises(SettingsError, match=r"Did you mean reporting_currency\?"):
        load_settings(project=tmp_path / "shop")
    file.write_text(text + "  cutoff_year: 2019\n")
    with pytest.raises(SettingsError, match="Unknown setting 'cutoff_year'"):
        load_settings(project=tmp_path / "shop")
    (tmp_path / "shop" / "sql").mkdir()
    (tmp_path / "shop" / "sql" / "ours.sql").write_text("select 1")
    assert load_settings(project=tmp_path / "shop").vars.horizon_days == 365
