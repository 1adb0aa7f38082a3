"""docs/architecture.md and the import rules in pyproject.toml cover every module, also those that are added later."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "integrations"
PACKAGES = ("delivery", "flowdock", "services", "templatetags", "views")
DOCUMENTED = (ROOT / "docs" / "architecture.md").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def modules_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.py") if path.name != "__init__.py"}


def packages_in(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py") if path.parent.name != "migrations"}


def documented_below(folder: str) -> str:
    """The lines of the documented layout that belong to `folder`, which is directly below integrations/."""
    match = re.search(rf"^    {folder}/.*\n(?:         *.*\n)*", DOCUMENTED, re.MULTILINE)
    assert match, f"docs/architecture.md does not name integrations/{folder}/"
    return match[0]


def contract(name: str) -> dict[str, list[str]]:
    return next(each for each in CONTRACTS if each["name"].startswith(name))


def test_architecture_page_names_every_module_of_the_app() -> None:
    layout = DOCUMENTED.split("\nintegrations/")[1].split("\npolls/")[0]
    names = modules_in(APP) | {f"{package}/" for package in packages_in(APP)}

    assert len(names) > 25
    assert {name for name in names if not re.search(rf"(?<![\w/]){re.escape(name)}", layout)} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_architecture_page_names_every_module_of_a_package(package: str) -> None:
    lines = documented_below(package)

    assert {name for name in modules_in(APP / package) if not re.search(rf"\b{re.escape(name)}", lines)} == set()


def test_services_may_import_nothing_of_the_app_but_activities() -> None:
    forbidden = set(contract("Services know nothing")["forbidden_modules"])
    modules = {f"integrations.{name.removesuffix('.py')}" for name in modules_in(APP) | packages_in(APP)}

    assert modules - forbidden == {"integrations.activity", "integrations.services"}


def test_every_service_is_independent_of_the_others() -> None:
    services = {f"integrations.services.{name}" for name in packages_in(APP / "services")}

    assert services == set(contract("Services do not know each other")["modules"])
