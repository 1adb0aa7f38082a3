"""Issues and other work items, merge requests, milestones and what is said about them, worded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations.activity import Status
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, IN_REVIEW, short_sha
from integrations.services.wording import Entity, Link, Unposted, Wording, Words

from . import threads
from .changes import ISSUE_CHANGES, MERGE_REQUEST_CHANGES, draft_changed, reviewers_changed, updated
from .payload import GitLabPayload
from .people import display_names
from .wording import not_supported, worded

SYSTEM_NOTE = "it is GitLab’s own note of a change, and the change is posted"
# The button Test sends the newest issue or merge request as "open", whatever became of it.
TESTED = "it tests the webhook: GitLab sends what is over as if it had just been opened"


def issue(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action, noun = thing.maybe_text("action"), threads.noun_of(thing)
    if action == "update":
        return updated(payload, "issue", ISSUE_CHANGES, lambda: threads.issue(payload, thing))
    if action == "open" and threads.is_over(thing):
        return Unposted(TESTED)
    entity = threads.issue(payload, thing)
    if action == "close":
        how = {"duplicate": " as a duplicate", "moved": " as it was moved"}
        why = how.get(entity.thread.status.value, "") if entity.thread.status else ""
        return worded(payload, "issue.closed", f"closed {noun}{why}", entity, joiner=":" if why else "")
    if action in ISSUES:
        return worded(payload, f"issue.{ISSUES[action]}", f"{ISSUES[action]} {noun}", entity)
    return not_supported(payload.kind, action)


ISSUES = {"open": "opened", "reopen": "reopened"}


@dataclass(frozen=True, slots=True)
class Action:
    """What is done to a merge request: the filter's word, the words, and the state it makes where that is open."""

    event_type: str
    title: str
    joiner: str = ""
    decided: Status | None = None
    starts: bool = False


MERGE_REQUEST: Mapping[str, Action] = {
    "open": Action("opened", "opened merge request", starts=True),
    "close": Action("closed", "closed merge request"),
    "reopen": Action("reopened", "reopened merge request", starts=True),
    "merge": Action("merged", "merged merge request"),
    "ready": Action("ready", "marked as ready for review", ":", starts=True),
    "draft": Action("draft", "turned back into a draft", ":"),
    "approved": Action("approved", "approved", decided=APPROVED),
    "approval": Action("approved", "approved, and more approvals are needed", ":"),
    "unapproved": Action("unapproved", "took back the approval", "of", IN_REVIEW),
    "unapproval": Action("unapproved", "took back an approval", "of"),
}
# Approvals that GitLab itself takes back.
RESET = {
    "approvals_reset_on_push": "reset the approvals by a push",
    "code_owner_approvals_reset_on_push": "reset the code owners’ approvals by a push",
}


def merge_request(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action")
    if action == "update":
        return updated(payload, "merge_request", MERGE_REQUEST_CHANGES, lambda: _updated_merge_request(payload))
    if action not in MERGE_REQUEST:
        return not_supported("merge_request", action)
    if action == "open" and threads.is_over(thing):
        return Unposted(TESTED)
    what = MERGE_REQUEST[action]
    title, joiner = what.title, what.joiner
    if action == "open" and threads.is_draft(thing):
        title = "opened draft merge request"
    if what.event_type == "unapproved" and thing.maybe_text("system_action") in RESET:
        title, joiner = RESET[thing.maybe_text("system_action")], "to"
    asked = any(True for _ in payload.objects("reviewers"))
    entity = threads.merge_request(payload, thing, decided=what.decided, starts=what.starts, is_asked=asked)
    return worded(payload, f"merge_request.{what.event_type}", title, entity, joiner=joiner)


def _updated_merge_request(payload: GitLabPayload) -> Entity:
    """What the update makes of an open review: somebody is asked, changes are asked for, or it begins anew."""
    words = {clause.event_type for change in (reviewers_changed, draft_changed) for clause in change(payload)}
    decided = None
    if "changes_requested" in words:
        decided = CHANGES_REQUESTED
    elif "review_requested" in words:
        decided = IN_REVIEW
    asked = bool(display_names(payload, "reviewers"))
    return threads.merge_request(payload, payload.attributes, decided=decided, starts="ready" in words, is_asked=asked)


def note(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action") or "create"
    if thing.flag("system"):
        return Unposted(SYSTEM_NOTE)
    if action not in {"create", "update"}:
        return not_supported("note", action)
    found = noted(payload)
    if found is None:
        return Unposted("GitLab does not say what the comment is on")
    event_type, entity = found
    url = thing.maybe_url("url") or entity.thread.external_url
    body = threads.markdown(payload, thing.maybe_text("note"), url)
    if action == "update":
        title = Words("edited ", Link("a comment", url))
        return worded(payload, "note.edited", title, entity, joiner="on", body=body)
    if where := _place_in_diff(thing):
        title, joiner = Words("commented on ", Link(where, url)), "in"
    elif event_type == "commit":
        title, joiner = Words("commented on ", Link(short_sha(payload.text("commit.id")), url)), "in"
    else:
        title, joiner = Words(Link("commented", url)), "on"
    return worded(payload, f"note.{event_type}", title, entity, joiner=joiner, body=body, is_comment=True)


def noted(payload: GitLabPayload) -> tuple[str, Entity] | None:
    """What a comment or a reaction is on, by the filter's word; None where GitLab sends nothing of it."""
    for name, event_type, entity in NOTED:
        if name in payload:
            return event_type, entity(payload, payload.object(name))
    design = DESIGN.fullmatch(payload.maybe_text("object_attributes.position.new_path"))
    return ("issue", threads.numbered_issue(payload, int(design["issue"]))) if design else None


NOTED: tuple[tuple[str, str, Callable[[GitLabPayload, Payload], Entity]], ...] = (
    ("merge_request", "merge_request", threads.merge_request),
    ("issue", "issue", threads.issue),
    ("work_item", "issue", threads.issue),
    ("epic", "issue", threads.epic),
    ("commit", "commit", threads.commit),
    ("snippet", "snippet", threads.snippet),
    # A reaction names it after its class.
    ("project_snippet", "snippet", threads.snippet),
    ("wiki_page", "wiki_page", threads.wiki_page),
)


# Where GitLab keeps the designs of issue 7. With a comment on one it sends no issue beside it.
DESIGN = re.compile(r"designs/issue-(?P<issue>[1-9]\d{0,9})/(?P<file>[^/]+)", re.ASCII)


def _place_in_diff(thing: Payload) -> str:
    """The file that a comment is on, with the line where GitLab tells it."""
    path = thing.maybe_text("position.new_path") or thing.maybe_text("st_diff.new_path")
    if design := DESIGN.fullmatch(path):
        return f"design {design['file']}"
    line = thing.maybe_number("position.new_line")
    return f"{path}:{line}" if path and line else path


EMOJI = {
    "thumbsup": "👍", "thumbsdown": "👎", "heart": "❤️", "rocket": "🚀", "eyes": "👀", "tada": "🎉", "smile": "😄",
    "confused": "😕", "white_check_mark": "✅", "fire": "🔥", "clap": "👏", "100": "💯", "pray": "🙏", "star": "⭐",
}  # fmt: skip


# The colour of a skin: thumbsup_tone3.
TONE = re.compile(r"_tone[1-5]$")


def emoji(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action") or payload.maybe_text("event_type")
    if action == "revoke":
        return Unposted("a reaction taken back is left unsaid")
    if action != "award":
        return not_supported("emoji", action)
    found = noted(payload)
    if found is None:
        return Unposted("GitLab does not say what the reaction is to")
    name = TONE.sub("", thing.text("name"))
    title: Words | str = f"reacted with {EMOJI.get(name, f':{name}:')}"
    joiner = "to"
    if "note" in payload:
        url = thing.maybe_url("awarded_on_url") or payload.maybe_url("note.url")
        title, joiner = Words(f"{title} to ", Link("a comment", url)), "on"
    return worded(payload, "emoji", title, found[1], joiner=joiner)


MILESTONE = {
    "create": ("created", "changed"),
    "close": ("closed", "closed"),
    "reopen": ("reopened", "changed"),
    "update": ("edited", "changed"),
    "delete": ("deleted", "changed"),
}


def milestone(payload: GitLabPayload) -> Wording | Unposted:
    action = payload.maybe_text("action") or payload.attributes.maybe_text("action")
    if action not in MILESTONE:
        return not_supported("milestone", action)
    title, event_type = MILESTONE[action]
    entity = threads.milestone(payload, deleted=action == "delete")
    return worded(payload, f"milestone.{event_type}", f"{title} milestone", entity)
