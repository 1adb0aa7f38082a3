"""GitHub's accounts as authors, and as facts for the filters on people."""

from __future__ import annotations

from integrations.activity import Author
from integrations.services import code_hosts
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import LONGEST_NAME

# GitHub's own name for deleted accounts, which payloads give as null.
GHOST = "ghost"


def login(payload: Payload, path: str = "sender") -> str:
    return payload.maybe_text(f"{path}.login") or GHOST


def display_name(payload: Payload, path: str = "sender") -> str:
    """The name if GitHub sends one, as it does for teams and rarely for people, else the login."""
    return shorten(payload.maybe_text(f"{path}.name").strip() or login(payload, path), LONGEST_NAME)


def author(payload: Payload, path: str = "sender") -> Author:
    return Author(display_name(payload, path), avatar=payload.maybe_url(f"{path}.avatar_url"))


def person_facts(payload: Payload, path: str = "sender") -> dict[str, tuple[str, ...]]:
    name = login(payload, path)
    is_bot = payload.maybe_text(f"{path}.type") == "Bot" or name.endswith("[bot]")
    return code_hosts.person_facts(name, bot=is_bot)


def display_names(payload: Payload, path: str) -> list[str]:
    """The names of the people and teams in the list at `path`."""
    return [
        person.maybe_text("name").strip() or person.maybe_text("login") or GHOST for person in payload.objects(path)
    ]
