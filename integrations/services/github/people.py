"""Who did it: GitHub's accounts as authors, and as the words that the filters on people look at."""

from __future__ import annotations

from integrations.activity import Author
from integrations.services import code_hosts
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import LONGEST_NAME

# What GitHub itself shows in place of an account that is gone; payloads then have null.
GHOST = "ghost"


def login(payload: Payload, path: str = "sender") -> str:
    return payload.maybe_text(f"{path}.login") or GHOST


def display_name(payload: Payload, path: str = "sender") -> str:
    """What people read. GitHub sends the login, and seldom a name too, which its schema allows; teams have a name."""
    return shorten(payload.maybe_text(f"{path}.name").strip() or login(payload, path), LONGEST_NAME)


def author(payload: Payload, path: str = "sender") -> Author:
    return Author(display_name(payload, path), avatar=payload.maybe_url(f"{path}.avatar_url"))


def person_facts(payload: Payload, path: str = "sender") -> dict[str, tuple[str, ...]]:
    name = login(payload, path)
    is_bot = payload.maybe_text(f"{path}.type") == "Bot" or name.endswith("[bot]")
    return code_hosts.person_facts(name, bot=is_bot)


def display_names(payload: Payload, path: str) -> list[str]:
    """The people and teams of the list at `path`."""
    return [
        person.maybe_text("name").strip() or person.maybe_text("login") or GHOST for person in payload.objects(path)
    ]
