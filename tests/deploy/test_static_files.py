"""Static files before and after `collectstatic`, and after an upgrade without it; and the file of settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import Stack

ADDRESS = "from django.templatetags.static import static; print(static('look.css'))"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


@pytest.mark.parametrize(("project", "folder"), [("bridge", "static"), ("flowdock", "flowdock-static")])
def test_pages_link_to_collected_files_only_if_they_are_of_the_installed_version(
    stack: Stack, project: str, folder: str
) -> None:
    command: Callable[..., object] = stack.manage if project == "bridge" else stack.serve

    def linked() -> str:
        return command("shell", "--no-imports", "--command", ADDRESS).stdout.strip()  # type: ignore[attr-defined]

    assert linked() == "/static/look.css"

    command("collectstatic", "--noinput", "--verbosity", "0")
    hashed = Path(linked())
    assert hashed.name.startswith("look.")
    assert len(hashed.name.split(".")[1]) == 12
    assert (stack.data_dir / folder / f"{hashed.name}.gz").exists()

    (stack.data_dir / folder / "look.css").write_text("/* of an older version */")
    assert linked() == "/static/look.css"


def test_env_file_has_the_settings(stack: Stack, tmp_path: Path) -> None:
    settings = tmp_path / "bridge.env"
    settings.write_text("EVENT_RETENTION_DAYS=77\nBRIDGE_URL=https://not-this.example\n")
    stack.env["ENV_FILE"] = str(settings)
    show = "from django.conf import settings; print(settings.EVENT_RETENTION_DAYS, settings.BRIDGE_URL)"

    assert stack.manage("shell", "--no-imports", "--command", show).stdout.split() == ["77", stack.bridge]


@pytest.mark.parametrize("project", ["bridge", "flowdock"])
def test_env_file_that_is_missing_stops_the_start_and_says_so(stack: Stack, project: str) -> None:
    stack.env["ENV_FILE"] = "/nonexistent/bridge.env"

    with pytest.raises(AssertionError, match=r"ENV_FILE is /nonexistent/bridge\.env, which this user cannot read"):
        (stack.manage if project == "bridge" else stack.serve)("check")
