"""Who did it: GitHub's accounts as authors, and as the words that the filters on people look at."""

from __future__ import annotations

from integrations.activity import Author
from integrations.services.base import Payload
from integrations.services.code_hosts import is_bot

# What GitHub itself shows in place of an account that is gone; payloads then have null.
GHOST = "ghost"


def login(payload: Payload, path: str = "sender") -> str:
    return payload.maybe_text(f"{path}.login") or GHOST


def author(payload: Payload, path: str = "sender") -> Author:
    """The account at `path`. GitHub sends the login; where it sends a name too, people read that."""
    name = payload.maybe_text(f"{path}.name").strip() or login(payload, path)
    return Author(name, avatar=payload.maybe_url(f"{path}.avatar_url"))


def person_facts(payload: Payload, path: str = "sender") -> dict[str, tuple[str, ...]]:
    name = login(payload, path)
    return {
        "authors": (name,),
        "bots": ("bot" if is_bot(name, payload.maybe_text(f"{path}.type")) else "person",),
    }


def logins(payload: Payload, path: str) -> list[str]:
    """The logins of the list at `path`; teams have a name instead."""
    return [person.maybe_text("login") or person.maybe_text("name") or GHOST for person in payload.objects(path)]
