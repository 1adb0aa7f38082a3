"""Connecting octo/hello to Acme's main flow along the real path: sign in, Add, consent, set-up, confirm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .visitor import NotOnThePage, Visitor

ACCOUNT, PASSWORD = "demo@example.com", "demo"
ORIGIN = "octo/hello"


def connect(env: Mapping[str, str]) -> str:
    """The id of the origin's hook. The flow and the account are those that the demo server is seeded with.

    A repository that is connected once more keeps its hook, whose address the page does not show again. Raises
    NotOnThePage where the way is another one, as for a repository that somebody has connected by hand.
    """
    visitor = Visitor()
    sign_in(visitor, env)
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/app/acme/main/settings")
    visitor.follow("Add Flowdock Bridge")
    if visitor.page.url.startswith(env["FLOWDOCK_SERVER_URL"]):
        visitor.send("Allow")
    visitor.send("Continue", service="github", origin=ORIGIN, preset="everything")
    visitor.send(f"Connect {ORIGIN} to Main")
    if address := visitor.page.inputs.get("address"):
        return hook_id(address)
    if hook := remembered(env):
        return hook
    raise NotOnThePage(f"no address of a hook on {visitor.page.url}")


def sign_in(visitor: Visitor, env: Mapping[str, str], account: str = ACCOUNT) -> None:
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/login")
    visitor.send("Sign in", username=account, password=PASSWORD)


def hook_id(address: str) -> str:
    return urlsplit(address).path.strip("/").rpartition("/")[2]


def remembered(env: Mapping[str, str]) -> str:
    """The hook that an earlier demonstration connected, or nothing."""
    try:
        return str(json.loads(_file(env).read_text())["hook_id"])
    except FileNotFoundError:
        return ""


def remember(env: Mapping[str, str], hook: str) -> None:
    _file(env).write_text(json.dumps({"hook_id": hook}) + "\n")


def _file(env: Mapping[str, str]) -> Path:
    return Path(env["DATA_DIR"]) / "demo.json"
