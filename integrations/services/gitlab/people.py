"""GitLab's accounts as authors, and as facts for the filters on people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.activity import Author
from integrations.services import code_hosts
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import LONGEST_NAME

from .payload import GitLabPayload

# GitLab's own name for deleted accounts.
GHOST = "Ghost User"
# Access tokens have accounts such as project_4242_bot_1 and group_77_bot_9f3a; other bots' names end in -bot or _bot.
BOT = re.compile(
    r"(?:project|group)_\d+_bot(?:_?\w+)?|service_account_\w+|(?:.*[-_])?bot|.*\[bot\]|GitLabDuo", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    login: str
    avatar: str = ""


def person(payload: GitLabPayload) -> Person | None:
    """Who caused the event, if GitLab says so: at the top level in pushes and member events, else in an object."""
    # Events of approvals have both the approver and the user who started the deployment.
    path = "approver" if "approver" in payload else "user"
    if path in payload:
        user = payload.object(path)
        login = user.maybe_text("username")
        name, avatar = user.maybe_text("name").strip() or login or GHOST, user.maybe_text("avatar_url")
    else:
        login = payload.maybe_text("user_username")
        name, avatar = payload.maybe_text("user_name").strip() or login, payload.maybe_text("user_avatar")
    return Person(shorten(name, LONGEST_NAME), login or name, payload.absolute(avatar)) if name.strip() else None


def author(payload: GitLabPayload) -> Author:
    """The person, or the project or group itself if GitLab sends nobody, as with releases and milestones."""
    if someone := person(payload):
        return Author(someone.name, avatar=someone.avatar)
    return Author(shorten(payload.place.name, LONGEST_NAME), avatar=payload.place.avatar)


def person_facts(payload: GitLabPayload) -> dict[str, tuple[str, ...]]:
    someone = person(payload)
    return code_hosts.person_facts(someone.login, bot=bool(BOT.fullmatch(someone.login))) if someone else {}


def display_name(thing: Payload) -> str:
    """The name of the account `thing`, as people read it."""
    return shorten(thing.maybe_text("name").strip() or thing.maybe_text("username") or GHOST, LONGEST_NAME)


def display_names(thing: Payload, path: str) -> list[str]:
    return [display_name(each) for each in thing.objects(path)]
