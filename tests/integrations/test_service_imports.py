"""An import rule that import-linter cannot express, because it treats external packages as a whole."""

import ast
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).resolve().parents[2] / "integrations" / "services"
# A service reads bytes and headers and returns a parsed event: it may use pure functions of Django, not its requests,
# database or forms.
ALLOWED = ("django.utils",)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_services_take_only_pure_functions_from_django() -> None:
    paths = sorted(SERVICES.rglob("*.py"))
    beyond = {
        f"{path.relative_to(SERVICES)} imports {name}"
        for path in paths
        for name in imported(path)
        if name.split(".")[0] == "django" and not name.startswith(ALLOWED)
    }

    assert len(paths) > 3
    assert beyond == set()
