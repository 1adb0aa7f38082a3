"""Issues and other work items, merge requests, milestones and what is said about them, worded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from integrations.activity import Author, Status
from integrations.services.base import Payload, readable
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, IN_REVIEW, short_sha
from integrations.services.telling import Entity, Link, Told, Unposted, Words

from . import threads
from .hook import Hook
from .people import all_called, author, called, person, person_facts

CONFIDENTIAL = "confidential"
INTERNAL = "internal"
SYSTEM_NOTE = "it is GitLab’s own note of a change, and the change is posted"
NOT_SAID = "GitLab does not say what changed"
NOTHING_SAID = "GitLab does not say what was done"


def told(
    hook: Hook,
    word: str,
    did: Words | str,
    entity: Entity,
    *,
    about: str = "",
    body: str = "",
    said: bool = False,
    by: Author | None = None,
) -> Told:
    """A happening whose author is the one who did it, where GitLab tells."""
    secret = secrecy(hook)
    return Told(
        word=word,
        did=did if isinstance(did, Words) else Words(did),
        entity=entity,
        author=by or author(hook),
        about=about,
        body=body,
        said=said,
        facts={**person_facts(hook), "confidential": secret or None},
    )


def not_worded(kind: str, action: str) -> Unposted:
    return Unposted(f"GitLab's {kind} {action} is not a kind we post" if action else NOTHING_SAID)


def secrecy(hook: Hook) -> tuple[str, ...]:
    """What GitLab shows to fewer people than see the project: confidential work items, internal notes."""
    things = ("issue", "work_item", "epic", *(("object_attributes",) if hook.kind in {"issue", "work_item"} else ()))
    confidential = any(hook.flag(f"{path}.{CONFIDENTIAL}") for path in things)
    # `confidential` is what internal notes were called before.
    notes = ("object_attributes", "note") if hook.kind == "note" else ("note",) if hook.kind == "emoji" else ()
    internal = any(hook.flag(f"{path}.{name}") for path in notes for name in (INTERNAL, CONFIDENTIAL))
    marked = hook.maybe_text("event_type").startswith("confidential") or hook.trigger.startswith("Confidential")
    words = [CONFIDENTIAL] if confidential or (marked and not internal) else []
    return (*words, *([INTERNAL] if internal else []))


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the changes that an update brings.

    `word` is its filter's, without the kind. `about` leads to the title where this is the only change: "added label
    bug" "to".
    """

    word: str
    did: Words
    about: str = ""


Change = Callable[[Hook], Iterable[Clause]]


def title_changed(hook: Hook) -> Iterator[Clause]:
    before, after = hook.maybe_text("changes.title.previous"), hook.maybe_text("changes.title.current")
    # A merge request turns into a draft, and back, by the beginning of its title.
    if before and _without_draft(before) != _without_draft(after or hook.attributes.maybe_text("title")):
        yield Clause("edited", Words(f"changed the title from “{before}”"), "to")


def _without_draft(title: str) -> str:
    first, _, rest = title.partition(":")
    return rest.strip() if first.strip().lower() in {"draft", "wip"} else title.strip()


def description_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.description" in hook:
        yield Clause("edited", Words("edited the description"), "of")


def labels_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.labels" not in hook:
        return
    before, after = ([label.text("title") for label in hook.objects(f"changes.labels.{end}")] for end in ENDS)
    if added := [title for title in after if title not in before]:
        yield Clause("labeled", Words(f"added {_labels(added)}"), "to")
    if removed := [title for title in before if title not in after]:
        yield Clause("unlabeled", Words(f"removed {_labels(removed)}"), "from")


ENDS = ("previous", "current")


def _labels(titles: list[str]) -> str:
    return f"label{'s' if len(titles) > 1 else ''} {_and(titles)}"


def _and(words: list[str]) -> str:
    return Words.listed(words, last=" and ").whole


def _came_and_went(hook: Hook, name: str) -> tuple[list[str], list[str]]:
    """The people whom the change of the list `name` added and took away; who did it is "themselves"."""
    ends = []
    doer = person(hook)
    for end in ENDS:
        people = {}
        for each in hook.objects(f"changes.{name}.{end}"):
            login = each.maybe_text("username") or called(each)
            people[login] = "themselves" if doer and login == doer.login else called(each)
        ends.append(people)
    before, after = ends
    came = [name for login, name in after.items() if login not in before]
    return came, [name for login, name in before.items() if login not in after]


def assignees_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.assignees" in hook:
        came, went = _came_and_went(hook, "assignees")
        if came:
            yield Clause("assigned", Words(f"assigned {_and(came)}"), "to")
        if went:
            yield Clause("assigned", Words(f"unassigned {_and(went)}"), "from")
    elif "changes.assignee_id" in hook:
        # Old versions tell the numbers of accounts, and beside them who is assigned now.
        if hook.maybe_number("changes.assignee_id.current") is None:
            yield Clause("assigned", Words("removed the assignee"), "from")
        else:
            now = called(hook.object("assignee")) if "assignee" in hook else "somebody"
            yield Clause("assigned", Words(f"assigned {now}"), "to")


def milestone_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.milestone_id" not in hook:
        return
    if hook.maybe_number("changes.milestone_id.current") is None:
        yield Clause("milestoned", Words("removed the milestone"), "from")
    else:
        title = hook.attributes.maybe_text("milestone.title")
        yield Clause("milestoned", Words(f"set milestone {title}" if title else "set a milestone"), "for")


def locked(hook: Hook) -> Iterator[Clause]:
    if "changes.discussion_locked" in hook:
        verb = "locked" if hook.flag("changes.discussion_locked.current") else "unlocked"
        yield Clause("locked", Words(f"{verb} the conversation"), "of")


def confidence_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.confidential" in hook:
        how = "confidential" if hook.flag("changes.confidential.current") else "visible to all who see the project"
        yield Clause("edited", Words(f"made {threads.noun_of(hook.attributes)} {how}"), ":")


def due_date_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.due_date" in hook:
        date = hook.maybe_text("changes.due_date.current")[:10]
        did = f"set the due date {date}" if date else "removed the due date"
        yield Clause("edited", Words(did), "for" if date else "from")


def severity_changed(hook: Hook) -> Iterator[Clause]:
    before, after = (hook.maybe_text(f"changes.severity.{end}") for end in ENDS)
    if before or after:
        yield Clause("edited", Words(f"changed the severity from {before or 'none'} to {after or 'none'}"), "for")


def weight_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.weight" in hook:
        weight = hook.maybe_number("changes.weight.current")
        did = "removed the weight" if weight is None else f"set the weight {weight}"
        yield Clause("edited", Words(did), "from" if weight is None else "for")


def health_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.health_status" in hook:
        health = hook.maybe_text("changes.health_status.current").replace("_", " ")
        did = f"set the health “{health}”" if health else "removed the health"
        yield Clause("edited", Words(did), "for" if health else "from")


def type_changed(hook: Hook) -> Iterator[Clause]:
    for name in ("type", "issue_type"):
        before, after = (hook.maybe_text(f"changes.{name}.{end}").replace("_", " ").lower() for end in ENDS)
        if before and after:
            yield Clause("edited", Words(f"turned the {before} into the {after}"), ":")
            return


ISSUE_CHANGES: tuple[Change, ...] = (
    confidence_changed,
    type_changed,
    title_changed,
    severity_changed,
    health_changed,
    assignees_changed,
    labels_changed,
    milestone_changed,
    due_date_changed,
    weight_changed,
    locked,
    description_changed,
)


def updated(hook: Hook, kind: str, changes: Iterable[Change], entity: Callable[[], Entity]) -> Told | Unposted:
    """An update in one line. The filters know it by the first of its changes, which is the weightiest."""
    clauses = [clause for change in changes for clause in change(hook)]
    if not clauses:
        return _nothing_said(hook)
    first, *others = clauses
    did = joined([clause.did for clause in clauses])
    return told(hook, f"{kind}.{first.word}", did, entity(), about=":" if others else first.about)


# They change with everything else.
ALWAYS_CHANGED = {"updated_at", "updated_by_id", "last_edited_at", "last_edited_by_id"}


def _nothing_said(hook: Hook) -> Unposted:
    changes = hook.object("changes").data if "changes" in hook else {}
    names = [readable(name).replace("_", " ") for name in changes if name not in ALWAYS_CHANGED]
    return Unposted(f"nothing is posted of what changed: {', '.join(sorted(names))}" if names else NOT_SAID)


def joined(words: list[Words]) -> Words:
    """ "added label bug, assigned Ines Rao and set a milestone"."""
    parts: list[str | Link] = []
    for index, each in enumerate(words):
        if index:
            parts.append(" and " if index == len(words) - 1 else ", ")
        parts += each.parts
    return Words(*parts)


def action_on(thing: Payload) -> str:
    """Old versions leave it out, and only what has come to an end tells what was done."""
    return thing.maybe_text("action") or {"closed": "close", "merged": "merge"}.get(threads.state_of(thing), "")


def issue(hook: Hook) -> Told | Unposted:
    thing = hook.attributes
    action, noun = action_on(thing), threads.noun_of(thing)
    if action == "update":
        return updated(hook, "issue", ISSUE_CHANGES, lambda: threads.issue(hook, thing))
    entity = threads.issue(hook, thing)
    if action == "close":
        how = {"duplicate": " as a duplicate", "moved": " as it was moved"}
        why = how.get(entity.thread.status.value, "") if entity.thread.status else ""
        return told(hook, "issue.closed", f"closed {noun}{why}", entity, about=":" if why else "")
    if action in ISSUES:
        word, did = ISSUES[action]
        return told(hook, f"issue.{word}", f"{did} {noun}", entity)
    return not_worded(hook.kind, action)


ISSUES = {"open": ("opened", "opened"), "reopen": ("reopened", "reopened")}


def commits_pushed(hook: Hook) -> Iterator[Clause]:
    """GitLab does not tell how many commits; the push itself does, in the branch's thread."""
    thing = hook.attributes
    before, after = thing.maybe_text("oldrev"), thing.maybe_text("last_commit.id")
    if not before:
        return
    address = hook.place.page(f"compare/{before}...{after}") if after else ""
    yield Clause("pushed", Words("pushed ", Link("new commits", address)), "to")


def draft_changed(hook: Hook) -> Iterator[Clause]:
    """Old versions tell it by the title alone."""
    before, after = (hook.maybe_text(f"changes.title.{end}") for end in ENDS)
    by_title = bool(before and after) and (before != _without_draft(before)) != (after != _without_draft(after))
    if "changes.draft" in hook or "changes.work_in_progress" in hook or by_title:
        if threads.is_draft(hook.attributes):
            yield Clause("draft", Words("turned back into a draft"), ":")
        else:
            yield Clause("ready", Words("marked as ready for review"), ":")


def reviewers_changed(hook: Hook) -> Iterator[Clause]:
    if "changes.reviewers" not in hook:
        return
    came, went = _came_and_went(hook, "reviewers")
    if came:
        did = "took on a review" if came == ["themselves"] else f"asked {_and(came)} for a review"
        yield Clause("review_requested", Words(did), "of")
    if went:
        yield Clause("review_request_removed", Words(f"no longer asks {_and(went)} for a review"), "of")
    before = {
        each.maybe_text("username"): each.maybe_text("state") for each in hook.objects("changes.reviewers.previous")
    }
    for each in hook.objects("changes.reviewers.current"):
        login, state = each.maybe_text("username"), each.maybe_text("state")
        if login not in before:
            continue
        if each.flag("re_requested"):
            yield Clause("review_requested", Words(f"asked {called(each)} for another review"), "of")
        elif state != before[login] and state in REVIEWS:
            yield Clause(REVIEWS[state], Words(REVIEWED[state]), "in" if state == "requested_changes" else "")


# What a reviewer's state says that no event of its own does: approvals have one.
REVIEWS = {"requested_changes": "changes_requested", "reviewed": "reviewed"}
REVIEWED = {"requested_changes": "asked for changes", "reviewed": "reviewed"}


def target_changed(hook: Hook) -> Iterator[Clause]:
    if before := hook.maybe_text("changes.target_branch.previous"):
        after = hook.maybe_text("changes.target_branch.current") or hook.attributes.text("target_branch")
        yield Clause("edited", Words(f"changed the target from {before} to {after}"), "for")


def auto_merge_changed(hook: Hook) -> Iterator[Clause]:
    for name in ("merge_when_pipeline_succeeds", "auto_merge_enabled"):
        if f"changes.{name}" in hook:
            verb = "enabled" if hook.flag(f"changes.{name}.current") else "disabled"
            yield Clause("auto_merge", Words(f"{verb} auto-merge"), "for")
            return


MERGE_REQUEST_CHANGES: tuple[Change, ...] = (
    reviewers_changed,
    draft_changed,
    commits_pushed,
    target_changed,
    title_changed,
    auto_merge_changed,
    assignees_changed,
    labels_changed,
    milestone_changed,
    locked,
    description_changed,
)


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
    action = action_on(thing)
    if action == "update":
        return updated(hook, "merge_request", MERGE_REQUEST_CHANGES, lambda: _updated_merge_request(hook))
    if action not in MERGE_REQUEST:
        return not_worded("merge_request", action)
    what = MERGE_REQUEST[action]
    did = f"opened draft {what.did[7:]}" if action == "open" and threads.is_draft(thing) else what.did
    about = what.about
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
        did, about = Words("commented"), "on"
    return told(hook, f"note.{word}", did, entity, about=about, body=body, said=True)


def noted(hook: Hook) -> tuple[str, Entity] | None:
    """What a comment or a reaction is on, by the filter's word; None where GitLab sends nothing of it."""
    for name, word, entity in NOTED:
        if name in hook:
            return word, entity(hook, hook.object(name))
    return None


NOTED: tuple[tuple[str, str, Callable[[Hook, Payload], Entity]], ...] = (
    ("merge_request", "merge_request", threads.merge_request),
    ("issue", "issue", threads.issue),
    ("work_item", "issue", threads.issue),
    ("epic", "issue", threads.epic),
    ("commit", "commit", threads.commit),
    ("snippet", "snippet", threads.snippet),
    ("wiki_page", "wiki_page", threads.wiki_page),
)


def _place_in_diff(thing: Payload) -> str:
    """The file that a comment is on, with the line where GitLab tells it."""
    path = thing.maybe_text("position.new_path") or thing.maybe_text("st_diff.new_path")
    line = thing.maybe_number("position.new_line")
    return f"{path}:{line}" if path and line else path


EMOJI = {
    "thumbsup": "👍", "thumbsdown": "👎", "heart": "❤️", "rocket": "🚀", "eyes": "👀", "tada": "🎉", "smile": "😄",
    "confused": "😕", "white_check_mark": "✅", "fire": "🔥", "clap": "👏", "100": "💯", "pray": "🙏", "star": "⭐",
}  # fmt: skip


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
    name = thing.text("name")
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
