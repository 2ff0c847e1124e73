"""
A project of the user's own: settings, mappings and presets. The product's SQL stays in the installed package,
which dbt finds by a link, so that an upgrade touches no file of theirs.
"""

import re
from pathlib import Path

from clv_ml.errors import SettingsError
from clv_ml.folders import PACKAGE_FOLDER
from clv_ml.settings import PACKAGE_NAME, package_of
from clv_ml.warehouse.safe_files import replace_file

STARTER = Path(__file__).with_name("starter")
"""What a new project holds; ``{name}`` in a text is the project's."""
PACKAGES = "dbt_packages"
LOCK = "package-lock.yml"
"""Where dbt 1.12 reads which packages there should be; it runs with no other."""


def create_project(folder: Path) -> tuple[Path, ...]:
    """
    Makes a project in a folder, which may hold other files.

    Returns:
        The files that were written.

    Raises:
        SettingsError: If a file is there already, or the folder's name has no letter to begin with.
    """
    name = re.sub(r"\W+", "_", folder.resolve().name, flags=re.ASCII).strip("_")
    if not re.match("[A-Za-z]", name) or name.lower() == PACKAGE_NAME:
        raise SettingsError(
            f"A project cannot be called {folder.resolve().name!r}: dbt wants a letter first, "
            f"and {PACKAGE_NAME} is the product's own. Give the folder another name, such as my_shop."
        )
    texts = {path.relative_to(STARTER): path.read_text(encoding="utf-8") for path in STARTER.rglob("*.*")}
    texts[Path("profiles.yml")] = (PACKAGE_FOLDER / "profiles.yml").read_text(encoding="utf-8")
    if present := sorted(str(folder / path) for path in texts if (folder / path).exists()):
        raise SettingsError(
            f"{', '.join(present)} is there already, and nothing was written. Name another folder."
        )
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        replace_file(folder / path, text.replace("{name}", name).encode())
    link_package(folder)
    return tuple(sorted(folder / path for path in texts))


def link_package(project: Path) -> None:
    """
    Leads dbt to the installed package by a link and a lock file, unless ``dbt deps`` gives the project one. A
    link to another installation is turned.

    Raises:
        SettingsError: If the link cannot be made.
    """
    link = project / PACKAGES / PACKAGE_NAME
    if package_of(project) == project or (project / "packages.yml").exists():
        return
    if link.is_symlink() and link.resolve() == PACKAGE_FOLDER and (project / LOCK).exists():
        return
    try:
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(PACKAGE_FOLDER, target_is_directory=True)
        lock = f"packages:\n  - local: {PACKAGES}/{PACKAGE_NAME}\n    name: {PACKAGE_NAME}\n"
        replace_file(project / LOCK, lock.encode())
    except OSError as error:
        raise SettingsError(
            f"{link} must be a link to {PACKAGE_FOLDER}, and cannot be made ({error.strerror}). Make it by "
            f"hand, or write packages.yml with '- local: {PACKAGE_FOLDER}' and run dbt deps."
        ) from error
