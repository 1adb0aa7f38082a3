"""docs/server-architecture.md names the server's packages and modules, and no others, in the order of their layers."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "flowdock_server"
PAGE = (ROOT / "docs/server-architecture.md").read_text()
PACKAGES = {path.parent.name for path in SERVER.glob("*/__init__.py")} - {"migrations"}


def sections(text: str) -> dict[str, str]:
    """The parts of the page below `### heading`, by their headings."""
    return dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))


def named(section: str) -> list[str]:
    """The modules in the first column of a table."""
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_page_has_a_section_and_a_row_for_every_package():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)

    assert sorted(rows) == sorted(PACKAGES)
    assert sections(PAGE).keys() == PACKAGES | {SERVER.name}


def modules(package: str) -> list[str]:
    folder = SERVER if package == SERVER.name else SERVER / package
    files = folder.glob("*.py") if folder == SERVER else folder.rglob("*.py")
    return [str(path.relative_to(folder)) for path in files if path.name != "__init__.py"]


def test_page_names_every_module_and_no_other():
    listed = {f"{package}/{name}" for package, section in sections(PAGE).items() for name in named(section)}
    existing = {f"{package}/{name}" for package in sections(PAGE) for name in modules(package)}

    assert existing - listed == set(), "add these to docs/server-architecture.md"
    assert listed - existing == set(), "remove these from docs/server-architecture.md"


def test_page_has_the_layers_that_import_linter_checks():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [contract] = [each for each in contracts if each.get("containers") == [SERVER.name]]
    [section] = re.findall(r"^## Layers\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    [block] = re.findall(r"```\n(.*?)```", section, re.DOTALL)

    assert block.splitlines() == contract["layers"]
    assert named_in_text(section) == set(contract["exhaustive_ignores"])


def named_in_text(section: str) -> set[str]:
    [line] = [line for line in section.splitlines() if line.startswith("`") and "in no layer" in line]
    return set(re.findall(r"`([^`]+)`", line))
