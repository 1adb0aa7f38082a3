"""What happens to projects and groups as such: who belongs to them, how they are named, what expires. Worded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from integrations.activity import Author
from integrations.services.base import shorten
from integrations.services.code_hosts import DELETED, LONGEST_NAME
from integrations.services.wording import Told

from . import threads
from .payload import Hook, Wording
from .wording import told

GITLAB = Author("GitLab")


def member(did: str, about: str, hook: Hook) -> Told:
    """GitLab does not tell who gave or took it: the line is about who has it. `{}` stands for the role."""
    role = hook.maybe_text("group_access") or hook.maybe_text("access_level") or "a member"
    told_of = told(hook, "member", did.format(shorten(role, 40)), threads.standing(hook), about=about)
    return told_of.with_facts(authors=None, bots=None)


def standing(word: str, did: str, about: str, hook: Hook) -> Told:
    return told(hook, word, did, threads.standing(hook), about=about, by=keeper(hook))


def removed(word: str, did: str, hook: Hook) -> Told:
    return told(hook, word, did, threads.standing(hook, DELETED), about=":", by=keeper(hook))


def renamed(word: str, did: str, about: str, hook: Hook) -> Told:
    before = hook.maybe_text("old_path_with_namespace") or hook.maybe_text("old_full_path")
    return told(hook, word, f"{did} {before}", threads.standing(hook), about=about, by=keeper(hook))


def keeper(hook: Hook) -> Author:
    """What it is part of, as GitLab does not tell who did it: the group around it, else the GitLab itself."""
    around = hook.place.name.rpartition("/")[0] or hook.host
    return Author(shorten(around, LONGEST_NAME)) if around else GITLAB


def expiring(noun: str, project_page: str, group_page: str, hook: Hook) -> Told:
    is_group = hook.project is None
    entity = threads.token(hook, noun, group_page if is_group else project_page)
    date = hook.attributes.maybe_text("expires_at")[:10]
    when = f" on {date}" if date else " soon"
    article = "an" if noun[0] in "aeiou" else "a"
    return told(hook, "token.expiring", f"has {article} {noun} that expires{when}", entity, about=":")


JOINED = partial(member, "joined as {}", "in")
CHANGED = partial(member, "is now {}", "of")
LEFT = partial(member, "is no longer a member", "of")
ASKED = partial(member, "asked for access", "to")

MEMBERS: dict[str, Callable[[Hook], Told]] = {
    "user_add_to_group": JOINED,
    "user_add_to_team": JOINED,
    "user_update_for_group": CHANGED,
    "user_update_for_team": CHANGED,
    "user_remove_from_group": LEFT,
    "user_remove_from_team": LEFT,
    "user_access_request_to_group": ASKED,
    "user_access_request_to_project": ASKED,
}
STANDING: dict[str, Wording] = {
    "group_create": partial(standing, "group", "has a new group", ":"),
    "group_destroy": partial(removed, "group", "deleted the group"),
    "group_rename": partial(renamed, "group", "renamed the group from", "to"),
    "project_create": partial(standing, "project", "has a new project", ":"),
    "project_destroy": partial(removed, "project", "deleted the project"),
    "project_rename": partial(renamed, "project", "renamed the project from", "to"),
    "project_transfer": partial(renamed, "project", "took over the project from", "as"),
    "subgroup_create": partial(standing, "group", "has a new subgroup", ":"),
    "subgroup_destroy": partial(removed, "group", "deleted the subgroup"),
}
TOKENS: dict[str, Wording] = {
    "access_token": partial(expiring, "access token", "settings/access_tokens", "settings/access_tokens"),
    "deploy_token": partial(expiring, "deploy token", "settings/repository", "settings/repository"),
}
