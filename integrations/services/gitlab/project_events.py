"""Wording of events about projects and groups themselves: members, names, creation, deletion, expiring tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from integrations.activity import Author
from integrations.services.base import shorten
from integrations.services.code_hosts import DELETED, LONGEST_NAME
from integrations.services.wording import Wording

from . import threads
from .payload import GitLabPayload
from .wording import Handler, worded

GITLAB = Author("GitLab")


def member(title: str, joiner: str, payload: GitLabPayload) -> Wording:
    """The author is the member, because GitLab does not say who changed the membership. `{}` is the role."""
    role = payload.maybe_text("group_access") or payload.maybe_text("access_level") or "member"
    wording = worded(payload, "member", title.format(shorten(role, 40)), threads.place(payload), joiner=joiner)
    return wording.with_facts(authors=None, bots=None)


def place_event(event_type: str, title: str, joiner: str, payload: GitLabPayload) -> Wording:
    return worded(payload, event_type, title, threads.place(payload), joiner=joiner, by=parent_author(payload))


def removed(event_type: str, title: str, payload: GitLabPayload) -> Wording:
    return worded(payload, event_type, title, threads.place(payload, DELETED), joiner=":", by=parent_author(payload))


def renamed(event_type: str, title: str, joiner: str, payload: GitLabPayload) -> Wording:
    before = payload.maybe_text("old_path_with_namespace") or payload.maybe_text("old_full_path")
    return worded(
        payload, event_type, f"{title} {before}", threads.place(payload), joiner=joiner, by=parent_author(payload)
    )


def parent_author(payload: GitLabPayload) -> Author:
    """The parent group, or else the GitLab instance, because GitLab does not say who caused the event."""
    parent = payload.place.name.rpartition("/")[0] or payload.host
    return Author(shorten(parent, LONGEST_NAME)) if parent else GITLAB


def expiring(noun: str, project_page: str, group_page: str, payload: GitLabPayload) -> Wording:
    is_group = payload.project is None
    entity = threads.token(payload, noun, group_page if is_group else project_page)
    date = payload.attributes.maybe_text("expires_at")[:10]
    when = f" on {date}" if date else " soon"
    article = "an" if noun[0] in "aeiou" else "a"
    return worded(payload, "token.expiring", f"has {article} {noun} that expires{when}", entity, joiner=":")


JOINED = partial(member, "joined as {}", "in")
CHANGED = partial(member, "was given the role {}", "in")
LEFT = partial(member, "is no longer a member", "of")
ASKED = partial(member, "requested access", "to")

MEMBERS: dict[str, Callable[[GitLabPayload], Wording]] = {
    "user_add_to_group": JOINED,
    "user_add_to_team": JOINED,
    "user_update_for_group": CHANGED,
    "user_update_for_team": CHANGED,
    "user_remove_from_group": LEFT,
    "user_remove_from_team": LEFT,
    "user_access_request_to_group": ASKED,
    "user_access_request_to_project": ASKED,
}
PLACES: dict[str, Handler] = {
    "group_create": partial(place_event, "group", "has a new group", ":"),
    "group_destroy": partial(removed, "group", "deleted the group"),
    "group_rename": partial(renamed, "group", "renamed the group from", "to"),
    "project_create": partial(place_event, "project", "has a new project", ":"),
    "project_destroy": partial(removed, "project", "deleted the project"),
    "project_rename": partial(renamed, "project", "renamed the project from", "to"),
    "project_transfer": partial(renamed, "project", "transferred the project from", "to"),
    "subgroup_create": partial(place_event, "group", "has a new subgroup", ":"),
    "subgroup_destroy": partial(removed, "group", "deleted the subgroup"),
}
TOKENS: dict[str, Handler] = {
    "access_token": partial(expiring, "access token", "settings/access_tokens", "settings/access_tokens"),
    "deploy_token": partial(expiring, "deploy token", "settings/repository", "settings/repository"),
}
