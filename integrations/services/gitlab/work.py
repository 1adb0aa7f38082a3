"""Wording of issues and other work items, merge requests, milestones, comments and reactions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations.activity import Status
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, IN_REVIEW, short_sha
from integrations.services.wording import Entity, Link, RichText, Unposted, Wording

from . import threads
from .changes import ISSUE_CHANGES, MERGE_REQUEST_CHANGES, draft_changed, reviewers_changed, updated
from .payload import GitLabPayload
from .people import display_names
from .wording import not_supported, worded

SYSTEM_NOTE = "GitLab wrote this comment about a change, which is posted itself"
# GitLab's Test button sends the newest issue or merge request as "open", even if it is closed.
TESTED = "this is a test request: GitLab sent a closed item as if it had just been opened"


def issue(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action, noun = thing.maybe_text("action"), threads.noun_of(thing)
    if action == "update":
        return updated(payload, "issue", ISSUE_CHANGES, lambda: threads.issue(payload, thing))
    if action == "open" and threads.is_over(thing):
        return Unposted(TESTED)
    entity = threads.issue(payload, thing)
    if action == "close":
        reasons = {"duplicate": " as a duplicate", "moved": " as moved"}
        reason = reasons.get(entity.thread.status.value, "") if entity.thread.status else ""
        return worded(payload, "issue.closed", f"closed the {noun}{reason}", entity, joiner=":" if reason else "")
    if action in ISSUES:
        return worded(payload, f"issue.{ISSUES[action]}", f"{ISSUES[action]} the {noun}", entity)
    return not_supported(payload.kind, action)


ISSUES = {"open": "opened", "reopen": "reopened"}


@dataclass(frozen=True, slots=True)
class Action:
    """What GitLab's action on a merge request means; `decided` is the status that it gives to an open one."""

    event_type: str
    title: str
    joiner: str = ""
    decided: Status | None = None
    starts: bool = False


MERGE_REQUEST: Mapping[str, Action] = {
    "open": Action("opened", "opened the merge request", starts=True),
    "close": Action("closed", "closed the merge request"),
    "reopen": Action("reopened", "reopened the merge request", starts=True),
    "merge": Action("merged", "merged the merge request"),
    "ready": Action("ready", "marked the merge request as ready for review", ":", starts=True),
    "draft": Action("draft", "converted the merge request to a draft", ":"),
    "approved": Action("approved", "approved the merge request", decided=APPROVED),
    "approval": Action("approved", "approved the merge request; more approvals are required", ":"),
    "unapproved": Action("unapproved", "revoked the approval", "of", IN_REVIEW),
    "unapproval": Action("unapproved", "revoked an approval", "of"),
}
# Approvals that GitLab revokes automatically.
RESET = {
    "approvals_reset_on_push": "reset the approvals by pushing",
    "code_owner_approvals_reset_on_push": "reset the code owners’ approvals by pushing",
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
        title = "opened the draft merge request"
    if what.event_type == "unapproved" and thing.maybe_text("system_action") in RESET:
        title, joiner = RESET[thing.maybe_text("system_action")], "to"
    asked = any(True for _ in payload.objects("reviewers"))
    entity = threads.merge_request(payload, thing, decided=what.decided, starts=what.starts, is_asked=asked)
    return worded(payload, f"merge_request.{what.event_type}", title, entity, joiner=joiner)


def _updated_merge_request(payload: GitLabPayload) -> Entity:
    """The merge request with the status of its review after an update: requested, changes requested or restarted."""
    event_types = {clause.event_type for change in (reviewers_changed, draft_changed) for clause in change(payload)}
    decided = None
    if "changes_requested" in event_types:
        decided = CHANGES_REQUESTED
    elif "review_requested" in event_types:
        decided = IN_REVIEW
    asked = bool(display_names(payload, "reviewers"))
    return threads.merge_request(
        payload, payload.attributes, decided=decided, starts="ready" in event_types, is_asked=asked
    )


def note(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action") or "create"
    if thing.flag("system"):
        return Unposted(SYSTEM_NOTE)
    if action not in {"create", "update"}:
        return not_supported("note", action)
    found = find_subject(payload)
    if found is None:
        return Unposted("the event does not say what the comment is on")
    event_type, entity = found
    url = thing.maybe_url("url") or entity.thread.external_url
    body = threads.markdown(payload, thing.maybe_text("note"), url)
    if action == "update":
        title = RichText("edited ", Link("a comment", url))
        return worded(payload, "note.edited", title, entity, joiner="on", body=body)
    if where := _place_in_diff(thing):
        title, joiner = RichText("commented on ", Link(where, url)), "in"
    elif event_type == "commit":
        title, joiner = RichText("commented on ", Link(short_sha(payload.text("commit.id")), url)), "in"
    else:
        title, joiner = RichText(Link("commented", url)), "on"
    return worded(payload, f"note.{event_type}", title, entity, joiner=joiner, body=body, is_comment=True)


def find_subject(payload: GitLabPayload) -> tuple[str, Entity] | None:
    """What a comment or a reaction is on, with its event type; None if GitLab does not send it."""
    for name, event_type, entity in SUBJECTS:
        if name in payload:
            return event_type, entity(payload, payload.object(name))
    design = DESIGN.fullmatch(payload.maybe_text("object_attributes.position.new_path"))
    return ("issue", threads.numbered_issue(payload, int(design["issue"]))) if design else None


SUBJECTS: tuple[tuple[str, str, Callable[[GitLabPayload, Payload], Entity]], ...] = (
    ("merge_request", "merge_request", threads.merge_request),
    ("issue", "issue", threads.issue),
    ("work_item", "issue", threads.issue),
    ("epic", "issue", threads.epic),
    ("commit", "commit", threads.commit),
    ("snippet", "snippet", threads.snippet),
    # In reactions, the key is the name of GitLab's class.
    ("project_snippet", "snippet", threads.snippet),
    ("wiki_page", "wiki_page", threads.wiki_page),
)


# The path of a design of an issue. Comments on designs come without the issue itself.
DESIGN = re.compile(r"designs/issue-(?P<issue>[1-9]\d{0,9})/(?P<file>[^/]+)", re.ASCII)


def _place_in_diff(thing: Payload) -> str:
    """The file that a comment is on, with the line if GitLab sends it."""
    path = thing.maybe_text("position.new_path") or thing.maybe_text("st_diff.new_path")
    if design := DESIGN.fullmatch(path):
        return f"the design {design['file']}"
    line = thing.maybe_number("position.new_line")
    return f"{path}:{line}" if path and line else path


EMOJI = {
    "thumbsup": "👍", "thumbsdown": "👎", "heart": "❤️", "rocket": "🚀", "eyes": "👀", "tada": "🎉", "smile": "😄",
    "confused": "😕", "white_check_mark": "✅", "fire": "🔥", "clap": "👏", "100": "💯", "pray": "🙏", "star": "⭐",
}  # fmt: skip


# The skin tone of an emoji: thumbsup_tone3.
TONE = re.compile(r"_tone[1-5]$")


def emoji(payload: GitLabPayload) -> Wording | Unposted:
    thing = payload.attributes
    action = thing.maybe_text("action") or payload.maybe_text("event_type")
    if action == "revoke":
        return Unposted("removed reactions are not posted")
    if action != "award":
        return not_supported("emoji", action)
    found = find_subject(payload)
    if found is None:
        return Unposted("the event does not say what the reaction is to")
    name = TONE.sub("", thing.text("name"))
    title: RichText | str = f"reacted with {EMOJI.get(name, f':{name}:')}"
    joiner = "to"
    if "note" in payload:
        url = thing.maybe_url("awarded_on_url") or payload.maybe_url("note.url")
        title, joiner = RichText(f"{title} to ", Link("a comment", url)), "on"
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
    return worded(payload, f"milestone.{event_type}", f"{title} the milestone", entity)
