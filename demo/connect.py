"""Connecting an origin to Acme's main flow along the real path: sign in, Add, consent, set-up, confirm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .visitor import NotOnThePage, Visitor

ACCOUNT, OTHER, PASSWORD = "demo@example.com", "other@example.com", "demo"
ORIGIN = "octo/hello"


def connect(env: Mapping[str, str], service: str = "github", origin: str = ORIGIN) -> str:
    """The id of the origin's hook. The flow and the account are those that the demo server is seeded with.

    An origin that is connected once more keeps its hook, whose address the page does not show again. Raises
    NotOnThePage where the way is another one, as for a repository that somebody has connected by hand.
    """
    visitor = Visitor()
    sign_in(visitor, env)
    set_up(visitor, env, service, origin)
    if address := visitor.page.inputs.get("address"):
        return hook_id(address)
    if hook := remembered(env, service):
        return hook
    raise NotOnThePage(f"no address of a hook on {visitor.page.url}")


def set_up(visitor: Visitor, env: Mapping[str, str], service: str, origin: str) -> None:
    """From the flow's settings to the page that says what is left to do, everything posted."""
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/app/acme/main/settings")
    visitor.follow("Add Flowdock Bridge")
    if visitor.page.url.startswith(env["FLOWDOCK_SERVER_URL"]):
        visitor.send("Allow")
    # Pressing the service's card changes what is asked below it.
    visitor.open(f"{visitor.page.url}&service={service}")
    visitor.send("Continue", service=service, origin=origin, preset="everything")
    visitor.send(f"Connect {origin} to Main")


def sign_in(visitor: Visitor, env: Mapping[str, str], account: str = ACCOUNT) -> None:
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/login")
    visitor.send("Sign in", username=account, password=PASSWORD)


def hook_id(address: str) -> str:
    return urlsplit(address).path.strip("/").rpartition("/")[2]


def remembered(env: Mapping[str, str], service: str) -> str:
    """The hook that an earlier demonstration connected, or nothing."""
    return _hooks(env).get(service, "")


def remember(env: Mapping[str, str], service: str, hook: str) -> None:
    _file(env).write_text(json.dumps({**_hooks(env), service: hook}) + "\n")


def _hooks(env: Mapping[str, str]) -> dict[str, str]:
    try:
        hooks = json.loads(_file(env).read_text())
    except FileNotFoundError:
        return {}
    # Earlier there was one, and it was GitHub's.
    return {"github" if service == "hook_id" else str(service): str(hook) for service, hook in hooks.items()}


def _file(env: Mapping[str, str]) -> Path:
    return Path(env["DATA_DIR"]) / "demo.json"
