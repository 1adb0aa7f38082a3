"""What happens to the repository as such: who watches and forks it, who may write to it, how it is kept. Worded."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.activity import Author, Status
from integrations.services.base import Payload
from integrations.services.code_hosts import ARCHIVED, DELETED
from integrations.services.wording import Link, Told, Unposted, Words, paragraph

from . import threads
from .people import called, login, person_facts
from .work import not_worded, told

# What builds a site is not who pushed to it.
PAGES = Author("GitHub Pages")


def star(payload: Payload) -> Told | Unposted:
    if payload.text("action") != "created":
        return Unposted("a star taken back is left unsaid")
    return told(payload, "star", "starred", threads.repository(payload))


def fork(payload: Payload) -> Told:
    forkee = Link(payload.text("forkee.full_name"), payload.url("forkee.html_url"))
    return told(payload, "fork", Words("forked to ", forkee), threads.repository(payload), about="from")


def public(payload: Payload) -> Told:
    return told(payload, "repository", "made the repository public", threads.repository(payload), about=":")


REPOSITORY: Mapping[str, tuple[str, Status | None]] = {
    "created": ("created the repository", None),
    "deleted": ("deleted the repository", DELETED),
    "archived": ("archived the repository", ARCHIVED),
    "unarchived": ("took the repository out of the archive", None),
    "privatized": ("made the repository private", None),
    "transferred": ("took over the repository", None),
}


def repository(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    if action == "publicized":
        return Unposted("GitHub reports the repository as public as well")
    if action == "renamed":
        did = f"renamed the repository from {payload.text('changes.repository.name.from')}"
        return told(payload, "repository", did, threads.repository(payload), about="to")
    if action == "edited":
        changed = ", ".join(CHANGED[name] for name in CHANGED if f"changes.{name}" in payload) or "settings"
        did = f"changed the repository’s {changed}"
        return told(payload, "repository", did, threads.repository(payload), about=":")
    if action not in REPOSITORY:
        return not_worded("repository", action)
    did, status = REPOSITORY[action]
    return told(payload, "repository", did, threads.repository(payload, status), about=":")


CHANGED = {
    "default_branch": "main branch",
    "description": "description",
    "homepage": "homepage",
    "topics": "topics",
}


def member(payload: Payload) -> Told | Unposted:
    who = called(payload, "member")
    themselves = login(payload, "member") == login(payload)
    did, about = {
        "added": ("accepted the invitation" if themselves else f"gave {who} access", "to"),
        "removed": ("gave up their access", "to") if themselves else (f"took {who}’s access away", ":"),
        "edited": (f"changed {who}’s access", "to"),
    }.get(payload.text("action"), ("", ""))
    if not did:
        return not_worded("member", payload.text("action"))
    return told(payload, "member", did, threads.repository(payload), about=about)


def branch_protection_rule(payload: Payload) -> Told | Unposted:
    name = payload.text("rule.name")
    did = {
        "created": f"protected branch {name}",
        "edited": f"changed the protection of branch {name}",
        "deleted": f"removed the protection of branch {name}",
    }.get(payload.text("action"))
    if did is None:
        return not_worded("branch_protection_rule", payload.text("action"))
    entity = threads.repository(payload)
    worded = told(payload, "branch_protection_rule", did, entity, about="in")
    # A rule's name is a pattern; as long as it names one branch, the filter on branches can ask for it.
    return worded if "*" in name else worded.with_facts(branches=(name,))


def page_build(payload: Payload) -> Told | Unposted:
    if payload.text("build.status") != "errored":
        return Unposted("only builds that failed are posted")
    pusher = payload.maybe_text("build.pusher.login")
    return Told(
        word="page_build",
        did=Words("could not build the site", f", started by {pusher}" if pusher else ""),
        entity=threads.repository(payload),
        author=PAGES,
        about="in",
        body=paragraph(payload.maybe_text("build.error.message")),
        facts=person_facts(payload, "build.pusher" if pusher else "sender"),
    )
