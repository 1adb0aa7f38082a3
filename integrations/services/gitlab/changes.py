"""Wording of updates of an issue or a merge request, which can have several changes in one event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from integrations.services.base import sanitize
from integrations.services.wording import Entity, Link, RichText, Unposted, Wording

from . import threads
from .payload import GitLabPayload
from .people import display_name, person
from .wording import worded

NO_CHANGES = "the event does not say what changed"
# They change in every update.
ALWAYS_CHANGED = {"updated_at", "updated_by_id", "last_edited_at", "last_edited_by_id"}
ENDS = ("previous", "current")


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the changes of an update.

    `event_type` lacks the kind. `joiner` connects `title` with the entity's title if this is the only change: "added
    the label bug" "to".
    """

    event_type: str
    title: RichText
    joiner: str = ""


Change = Callable[[GitLabPayload], Iterable[Clause]]


def title_changed(payload: GitLabPayload) -> Iterator[Clause]:
    before, after = payload.maybe_text("changes.title.previous"), payload.maybe_text("changes.title.current")
    # A prefix of its title makes a merge request a draft.
    if before and _without_draft(before) != _without_draft(after or payload.attributes.maybe_text("title")):
        yield Clause("edited", RichText(f"changed the title from “{_without_draft(before)}”"), "to")


def _without_draft(title: str) -> str:
    first, _, rest = title.partition(":")
    return rest.strip() if first.strip().lower() in {"draft", "wip"} else title.strip()


def description_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.description" in payload:
        yield Clause("edited", RichText("edited the description"), "of")


def labels_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.labels" not in payload:
        return
    before, after = ([label.text("title") for label in payload.objects(f"changes.labels.{end}")] for end in ENDS)
    if added := [title for title in after if title not in before]:
        yield Clause("labeled", RichText(f"added {_labels(added)}"), "to")
    if removed := [title for title in before if title not in after]:
        yield Clause("unlabeled", RichText(f"removed {_labels(removed)}"), "from")


def _labels(titles: list[str]) -> str:
    return f"the label{'s' if len(titles) > 1 else ''} {_and(titles)}"


def _and(names: list[str]) -> str:
    return RichText.join(names, last=" and ").text


def _added_and_removed(payload: GitLabPayload, name: str) -> tuple[list[str], list[str]]:
    """The people that the change of the list `name` added and removed; "themselves" is whoever made the change."""
    ends = []
    actor = person(payload)
    for end in ENDS:
        people = {}
        for each in payload.objects(f"changes.{name}.{end}"):
            login = each.maybe_text("username") or display_name(each)
            people[login] = "themselves" if actor and login == actor.login else display_name(each)
        ends.append(people)
    before, after = ends
    added = [who for login, who in after.items() if login not in before]
    return added, [who for login, who in before.items() if login not in after]


def assignees_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.assignees" in payload:
        added, removed = _added_and_removed(payload, "assignees")
        if added:
            yield Clause("assigned", RichText(f"assigned {_and(added)}"), "to")
        if removed:
            yield Clause("assigned", RichText(f"unassigned {_and(removed)}"), "from")
    elif "changes.assignee_id" in payload:
        # Old versions send the ids of accounts, and elsewhere who is assigned now.
        if payload.maybe_number("changes.assignee_id.current") is None:
            yield Clause("assigned", RichText("removed the assignee"), "from")
        else:
            now = display_name(payload.object("assignee")) if "assignee" in payload else "somebody"
            yield Clause("assigned", RichText(f"assigned {now}"), "to")


def milestone_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.milestone_id" not in payload:
        return
    if payload.maybe_number("changes.milestone_id.current") is None:
        yield Clause("milestoned", RichText("removed the milestone"), "from")
    else:
        title = payload.attributes.maybe_text("milestone.title")
        yield Clause("milestoned", RichText(f"set the milestone to {title}" if title else "set a milestone"), "for")


def locked(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.discussion_locked" in payload:
        verb = "locked" if payload.flag("changes.discussion_locked.current") else "unlocked"
        yield Clause("locked", RichText(f"{verb} the conversation"), "in")


def confidentiality_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.confidential" in payload:
        how = (
            "confidential"
            if payload.flag("changes.confidential.current")
            else "visible to everyone with access to the project"
        )
        yield Clause("edited", RichText(f"made the {threads.noun_of(payload.attributes)} {how}"), ":")


def due_date_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.due_date" in payload:
        date = payload.maybe_text("changes.due_date.current")[:10]
        title = f"set the due date to {date}" if date else "removed the due date"
        yield Clause("edited", RichText(title), "for" if date else "from")


def severity_changed(payload: GitLabPayload) -> Iterator[Clause]:
    before, after = (payload.maybe_text(f"changes.severity.{end}") for end in ENDS)
    if before or after:
        yield Clause("edited", RichText(f"changed the severity from {before or 'none'} to {after or 'none'}"), "for")


def weight_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.weight" in payload:
        weight = payload.maybe_number("changes.weight.current")
        title = "removed the weight" if weight is None else f"set the weight to {weight}"
        yield Clause("edited", RichText(title), "from" if weight is None else "for")


def health_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.health_status" in payload:
        health = payload.maybe_text("changes.health_status.current").replace("_", " ")
        title = f"set the health status to {health}" if health else "removed the health status"
        yield Clause("edited", RichText(title), "for" if health else "from")


def type_changed(payload: GitLabPayload) -> Iterator[Clause]:
    for name in ("type", "issue_type"):
        before, after = (payload.maybe_text(f"changes.{name}.{end}").replace("_", " ").lower() for end in ENDS)
        if before and after:
            article = "an" if after[0] in "aeiou" else "a"
            yield Clause("edited", RichText(f"converted the {before} to {article} {after}"), ":")
            return


def commits_pushed(payload: GitLabPayload) -> Iterator[Clause]:
    """GitLab does not send the number of commits here; the push event has it."""
    thing = payload.attributes
    before, after = thing.maybe_text("oldrev"), thing.maybe_text("last_commit.id")
    if not before:
        return
    address = payload.place.page(f"compare/{before}...{after}") if after else ""
    yield Clause("pushed", RichText("pushed ", Link("new commits", address)), "to")


def draft_changed(payload: GitLabPayload) -> Iterator[Clause]:
    """Old versions mark drafts only by their title."""
    before, after = (payload.maybe_text(f"changes.title.{end}") for end in ENDS)
    by_title = bool(before and after) and (before != _without_draft(before)) != (after != _without_draft(after))
    if "changes.draft" in payload or "changes.work_in_progress" in payload or by_title:
        if threads.is_draft(payload.attributes):
            yield Clause("draft", RichText("converted the merge request to a draft"), ":")
        else:
            yield Clause("ready", RichText("marked the merge request as ready for review"), ":")


def reviewers_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.reviewers" not in payload:
        return
    added, removed = _added_and_removed(payload, "reviewers")
    if added:
        title = f"requested a review from {_and(added)}"
        yield Clause("review_requested", RichText(title), "for")
    if removed:
        yield Clause("review_request_removed", RichText(f"removed the review request for {_and(removed)}"), "from")
    before = {
        each.maybe_text("username"): each.maybe_text("state") for each in payload.objects("changes.reviewers.previous")
    }
    for each in payload.objects("changes.reviewers.current"):
        login, state = each.maybe_text("username"), each.maybe_text("state")
        if login not in before:
            continue
        if each.flag("re_requested"):
            yield Clause("review_requested", RichText(f"requested another review from {display_name(each)}"), "for")
        elif state != before[login] and state in REVIEWS:
            yield REVIEWS[state]


# States of a reviewer that, unlike approvals, have no event of their own.
REVIEWS = {
    "requested_changes": Clause("changes_requested", RichText("requested changes"), "in"),
    "reviewed": Clause("reviewed", RichText("reviewed the merge request")),
}


def target_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if before := payload.maybe_text("changes.target_branch.previous"):
        after = payload.maybe_text("changes.target_branch.current") or payload.attributes.text("target_branch")
        yield Clause("edited", RichText(f"changed the target branch from {before} to {after}"), "for")


def auto_merge_changed(payload: GitLabPayload) -> Iterator[Clause]:
    for name in ("merge_when_pipeline_succeeds", "auto_merge_enabled"):
        if f"changes.{name}" in payload:
            verb = "enabled" if payload.flag(f"changes.{name}.current") else "disabled"
            yield Clause("auto_merge", RichText(f"{verb} auto-merge"), "for")
            return


# The most important first.
ISSUE_CHANGES: tuple[Change, ...] = (
    confidentiality_changed,
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
MERGE_REQUEST_CHANGES: tuple[Change, ...] = (
    draft_changed,
    reviewers_changed,
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


def updated(
    payload: GitLabPayload, kind: str, changes: Iterable[Change], entity: Callable[[], Entity]
) -> Wording | Unposted:
    """All changes of an update in one line. Its event type is that of the first change, the most important one."""
    clauses = [clause for change in changes for clause in change(payload)]
    if not clauses:
        return _unsupported_changes(payload)
    first, *others = clauses
    title = join_clauses([clause.title for clause in clauses])
    return worded(payload, f"{kind}.{first.event_type}", title, entity(), joiner=":" if others else first.joiner)


def _unsupported_changes(payload: GitLabPayload) -> Unposted:
    changes = payload.object("changes").data if "changes" in payload else {}
    names = [sanitize(name).replace("_", " ") for name in changes if name not in ALWAYS_CHANGED]
    return Unposted(f"changes of these properties are not posted: {', '.join(sorted(names))}" if names else NO_CHANGES)


def join_clauses(clauses: list[RichText]) -> RichText:
    """ "added the label bug, assigned Ines Rao and set a milestone"."""
    parts: list[str | Link] = []
    for index, each in enumerate(clauses):
        if index:
            parts.append(" and " if index == len(clauses) - 1 else ", ")
        parts += each.parts
    return RichText(*parts)
