"""Who did it: GitLab's accounts as authors, and as the words that the filters on people look at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.activity import Author
from integrations.services import code_hosts
from integrations.services.base import Payload, shorten
from integrations.services.code_hosts import LONGEST_NAME

from .payload import Hook

# What GitLab itself shows in place of an account that is gone.
GHOST = "Ghost User"
# The accounts of access tokens are project_4242_bot_1 and group_77_bot_9f3a; people end a bot's name in -bot or _bot.
BOT = re.compile(
    r"(?:project|group)_\d+_bot(?:_?\w+)?|service_account_\w+|(?:.*[-_])?bot|.*\[bot\]|GitLabDuo", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    login: str
    avatar: str = ""


def person(hook: Hook) -> Person | None:
    """Who did it. Pushes and members tell it beside the rest, the others in an object; some tell nobody."""
    # Who approves a deployment is told beside the person who started it.
    path = "approver" if "approver" in hook else "user"
    if path in hook:
        user = hook.object(path)
        login = user.maybe_text("username")
        name, avatar = user.maybe_text("name").strip() or login or GHOST, user.maybe_text("avatar_url")
    else:
        login = hook.maybe_text("user_username")
        name, avatar = hook.maybe_text("user_name").strip() or login, hook.maybe_text("user_avatar")
    return Person(shorten(name, LONGEST_NAME), login or name, hook.absolute(avatar)) if name.strip() else None


def author(hook: Hook) -> Author:
    """Where GitLab tells nobody, as with releases and milestones, the project or the group itself."""
    if someone := person(hook):
        return Author(someone.name, avatar=someone.avatar)
    return Author(shorten(hook.place.name, LONGEST_NAME), avatar=hook.place.avatar)


def person_facts(hook: Hook) -> dict[str, tuple[str, ...]]:
    someone = person(hook)
    return code_hosts.person_facts(someone.login, bot=bool(BOT.fullmatch(someone.login))) if someone else {}


def called(thing: Payload) -> str:
    """What people read of the account that `thing` is."""
    return shorten(thing.maybe_text("name").strip() or thing.maybe_text("username") or GHOST, LONGEST_NAME)


def all_called(thing: Payload, path: str) -> list[str]:
    return [called(each) for each in thing.objects(path)]
