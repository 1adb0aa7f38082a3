"""Issues and other work items, merge requests, milestones and what is said about them, worded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations.activity import Status
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, IN_REVIEW, short_sha
from integrations.services.wording import Entity, Link, Told, Unposted, Words

from . import threads
from .changes import ISSUE_CHANGES, MERGE_REQUEST_CHANGES, draft_changed, reviewers_changed, updated
from .payload import Hook
from .people import all_called
from .wording import not_worded, told

SYSTEM_NOTE = "it is GitLab’s own note of a change, and the change is posted"
# The button Test sends the newest issue or merge request as "open", whatever became of it.
TESTED = "it tests the webhook: GitLab sends what is over as if it had just been opened"


def issue(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action, noun = thing.maybe_text("action"), threads.noun_of(thing)
    if action == "update":
        return updated(hook, "issue", ISSUE_CHANGES, lambda: threads.issue(hook, thing))
    if action == "open" and threads.is_over(thing):
        return Unposted(TESTED)
    entity = threads.issue(hook, thing)
    if action == "close":
        how = {"duplicate": " as a duplicate", "moved": " as it was moved"}
        why = how.get(entity.thread.status.value, "") if entity.thread.status else ""
        return told(hook, "issue.closed", f"closed {noun}{why}", entity, about=":" if why else "")
    if action in ISSUES:
        return told(hook, f"issue.{ISSUES[action]}", f"{ISSUES[action]} {noun}", entity)
    return not_worded(hook.kind, action)


ISSUES = {"open": "opened", "reopen": "reopened"}


@dataclass(frozen=True, slots=True)
class Action:
    """What is done to a merge request: the filter's word, the words, and the state it makes where that is open."""

    word: str
    did: str
    about: str = ""
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


def merge_request(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action = thing.maybe_text("action")
    if action == "update":
        return updated(hook, "merge_request", MERGE_REQUEST_CHANGES, lambda: _updated_merge_request(hook))
    if action not in MERGE_REQUEST:
        return not_worded("merge_request", action)
    if action == "open" and threads.is_over(thing):
        return Unposted(TESTED)
    what = MERGE_REQUEST[action]
    did, about = what.did, what.about
    if action == "open" and threads.is_draft(thing):
        did = "opened draft merge request"
    if what.word == "unapproved" and thing.maybe_text("system_action") in RESET:
        did, about = RESET[thing.maybe_text("system_action")], "to"
    asked = any(True for _ in hook.objects("reviewers"))
    entity = threads.merge_request(hook, thing, decided=what.decided, starts=what.starts, is_asked=asked)
    return told(hook, f"merge_request.{what.word}", did, entity, about=about)


def _updated_merge_request(hook: Hook) -> Entity:
    """What the update makes of an open review: somebody is asked, changes are asked for, or it begins anew."""
    words = {clause.word for change in (reviewers_changed, draft_changed) for clause in change(hook)}
    decided = None
    if "changes_requested" in words:
        decided = CHANGES_REQUESTED
    elif "review_requested" in words:
        decided = IN_REVIEW
    asked = bool(all_called(hook, "reviewers"))
    return threads.merge_request(hook, hook.attributes, decided=decided, starts="ready" in words, is_asked=asked)


def note(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action = thing.maybe_text("action") or "create"
    if thing.flag("system"):
        return Unposted(SYSTEM_NOTE)
    if action not in {"create", "update"}:
        return not_worded("note", action)
    found = noted(hook)
    if found is None:
        return Unposted("GitLab does not say what the comment is on")
    word, entity = found
    url = thing.maybe_url("url") or entity.thread.external_url
    body = threads.markdown(hook, thing.maybe_text("note"), url)
    if action == "update":
        did = Words("edited ", Link("a comment", url))
        return told(hook, "note.edited", did, entity, about="on", body=body)
    if where := _place_in_diff(thing):
        did, about = Words("commented on ", Link(where, url)), "in"
    elif word == "commit":
        did, about = Words("commented on ", Link(short_sha(hook.text("commit.id")), url)), "in"
    else:
        did, about = Words(Link("commented", url)), "on"
    return told(hook, f"note.{word}", did, entity, about=about, body=body, said=True)


def noted(hook: Hook) -> tuple[str, Entity] | None:
    """What a comment or a reaction is on, by the filter's word; None where GitLab sends nothing of it."""
    for name, word, entity in NOTED:
        if name in hook:
            return word, entity(hook, hook.object(name))
    design = DESIGN.fullmatch(hook.maybe_text("object_attributes.position.new_path"))
    return ("issue", threads.numbered_issue(hook, int(design["issue"]))) if design else None


NOTED: tuple[tuple[str, str, Callable[[Hook, Payload], Entity]], ...] = (
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


def emoji(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action = thing.maybe_text("action") or hook.maybe_text("event_type")
    if action == "revoke":
        return Unposted("a reaction taken back is left unsaid")
    if action != "award":
        return not_worded("emoji", action)
    found = noted(hook)
    if found is None:
        return Unposted("GitLab does not say what the reaction is to")
    name = TONE.sub("", thing.text("name"))
    did: Words | str = f"reacted with {EMOJI.get(name, f':{name}:')}"
    about = "to"
    if "note" in hook:
        url = thing.maybe_url("awarded_on_url") or hook.maybe_url("note.url")
        did, about = Words(f"{did} to ", Link("a comment", url)), "on"
    return told(hook, "emoji", did, found[1], about=about)


MILESTONE = {
    "create": ("created", "changed"),
    "close": ("closed", "closed"),
    "reopen": ("reopened", "changed"),
    "update": ("edited", "changed"),
    "delete": ("deleted", "changed"),
}


def milestone(hook: Hook) -> Told | Unposted:
    action = hook.maybe_text("action") or hook.attributes.maybe_text("action")
    if action not in MILESTONE:
        return not_worded("milestone", action)
    did, word = MILESTONE[action]
    entity = threads.milestone(hook, deleted=action == "delete")
    return told(hook, f"milestone.{word}", f"{did} milestone", entity)
