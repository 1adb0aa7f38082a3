"""Connect an origin to Acme's main flow as a person would: sign in, Add, consent, set-up, confirm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .visitor import NotOnThePage, Visitor

ACCOUNT, OTHER, PASSWORD = "demo@example.com", "other@example.com", "demo"
ORIGIN = "octo/hello"


def connect(env: Mapping[str, str], service: str = "github", origin: str = ORIGIN) -> str:
    """Connect the origin and return the ID of its webhook. Flow and account are those of the demo server.

    An origin that is connected again keeps its webhook, whose address the page does not show again. Raises NotOnThePage
    if the pages lead elsewhere, as for a repository that somebody has connected by hand.
    """
    visitor = Visitor()
    sign_in(visitor, env)
    set_up(visitor, env, service, origin)
    if address := visitor.page.inputs.get("address"):
        return hook_id(address)
    if hook := remembered(env, service):
        return hook
    raise NotOnThePage(f"no webhook address on {visitor.page.url}")


def set_up(visitor: Visitor, env: Mapping[str, str], service: str, origin: str) -> None:
    """Connect the origin, with no events filtered, starting from the flow's settings."""
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/app/acme/main/settings")
    visitor.follow("Add Flowdock Bridge")
    if visitor.page.url.startswith(env["FLOWDOCK_SERVER_URL"]):
        visitor.send("Allow")
    # In a browser, choosing a service changes the fields below it.
    visitor.open(f"{visitor.page.url}&service={service}")
    visitor.send("Continue", service=service, origin=origin, preset="everything")
    visitor.send(f"Connect {origin} to Main")


def sign_in(visitor: Visitor, env: Mapping[str, str], account: str = ACCOUNT) -> None:
    visitor.open(f"{env['FLOWDOCK_SERVER_URL']}/login")
    visitor.send("Sign in", username=account, password=PASSWORD)


def hook_id(address: str) -> str:
    return urlsplit(address).path.strip("/").rpartition("/")[2]


def remembered(env: Mapping[str, str], service: str) -> str:
    """The ID of the webhook that an earlier demonstration connected, or an empty text."""
    return _hooks(env).get(service, "")


def remember(env: Mapping[str, str], service: str, hook: str) -> None:
    _file(env).write_text(json.dumps({**_hooks(env), service: hook}) + "\n")


def _hooks(env: Mapping[str, str]) -> dict[str, str]:
    try:
        hooks = json.loads(_file(env).read_text())
    except FileNotFoundError:
        return {}
    # Older files have only GitHub's webhook, under this key.
    return {"github" if service == "hook_id" else str(service): str(hook) for service, hook in hooks.items()}


def _file(env: Mapping[str, str]) -> Path:
    return Path(env["DATA_DIR"]) / "demo.json"
