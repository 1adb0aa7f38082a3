"""Wording of events about the repository itself: stars, forks, settings, collaborators, branch protection."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.activity import Author, Status
from integrations.services.base import Payload
from integrations.services.code_hosts import ARCHIVED, DELETED
from integrations.services.wording import Link, RichText, Unposted, Wording, paragraph

from . import threads
from .people import display_name, login, person_facts
from .wording import not_supported, worded

# The author of a failed build, which is not the fault of whoever pushed.
PAGES = Author("GitHub Pages")


def star(payload: Payload) -> Wording | Unposted:
    if payload.text("action") != "created":
        return Unposted("removed stars are not posted")
    return worded(payload, "star", "starred the repository", threads.repository(payload))


def fork(payload: Payload) -> Wording:
    forkee = Link(payload.text("forkee.full_name"), payload.url("forkee.html_url"))
    return worded(
        payload, "fork", RichText("forked the repository to ", forkee), threads.repository(payload), joiner=":"
    )


def public(payload: Payload) -> Wording:
    return worded(payload, "repository", "made the repository public", threads.repository(payload), joiner=":")


REPOSITORY: Mapping[str, tuple[str, Status | None]] = {
    "created": ("created the repository", None),
    "deleted": ("deleted the repository", DELETED),
    "archived": ("archived the repository", ARCHIVED),
    "unarchived": ("unarchived the repository", None),
    "privatized": ("made the repository private", None),
    "transferred": ("transferred the repository", None),
}


def repository(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action == "publicized":
        return Unposted("GitHub sends a separate event when a repository is made public")
    if action == "renamed":
        title = f"renamed the repository from {payload.text('changes.repository.name.from')}"
        return worded(payload, "repository", title, threads.repository(payload), joiner="to")
    if action == "edited":
        changed = ", ".join(CHANGED[name] for name in CHANGED if f"changes.{name}" in payload) or "settings"
        title = f"changed the repository’s {changed}"
        return worded(payload, "repository", title, threads.repository(payload), joiner=":")
    if action not in REPOSITORY:
        return not_supported("repository", action)
    title, status = REPOSITORY[action]
    return worded(payload, "repository", title, threads.repository(payload, status), joiner=":")


CHANGED = {
    "default_branch": "default branch",
    "description": "description",
    "homepage": "homepage",
    "topics": "topics",
}


def member(payload: Payload) -> Wording | Unposted:
    who = display_name(payload, "member")
    themselves = login(payload, "member") == login(payload)
    title, joiner = {
        "added": ("accepted the invitation" if themselves else f"added {who} as a collaborator", "to"),
        "removed": ("left the repository", ":") if themselves else (f"removed {who} as a collaborator", "from"),
        "edited": (f"changed {who}’s permissions", "for"),
    }.get(payload.text("action"), ("", ""))
    if not title:
        return not_supported("member", payload.text("action"))
    return worded(payload, "member", title, threads.repository(payload), joiner=joiner)


def branch_protection_rule(payload: Payload) -> Wording | Unposted:
    name = payload.text("rule.name")
    title = {
        "created": f"added a branch protection rule for {name}",
        "edited": f"changed the branch protection rule for {name}",
        "deleted": f"deleted the branch protection rule for {name}",
    }.get(payload.text("action"))
    if title is None:
        return not_supported("branch_protection_rule", payload.text("action"))
    entity = threads.repository(payload)
    wording = worded(payload, "branch_protection_rule", title, entity, joiner="in")
    # A rule's name is a pattern. If it names a single branch, the filter on branches applies to it.
    return wording if "*" in name else wording.with_facts(branches=(name,))


def page_build(payload: Payload) -> Wording | Unposted:
    if payload.text("build.status") != "errored":
        return Unposted("only failed builds are posted")
    pusher = payload.maybe_text("build.pusher.login")
    return Wording(
        event_type="page_build",
        title=RichText("could not build the site", f" (started by {pusher})" if pusher else ""),
        entity=threads.repository(payload),
        author=PAGES,
        joiner="in",
        body=paragraph(payload.maybe_text("build.error.message")),
        facts=person_facts(payload, "build.pusher" if pusher else "sender"),
    )
