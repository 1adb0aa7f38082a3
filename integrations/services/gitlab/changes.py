"""What an update of an issue or of a merge request changed, worded: GitLab tells several changes in one event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from integrations.services.base import readable
from integrations.services.wording import Entity, Link, Unposted, Wording, Words

from . import threads
from .payload import GitLabPayload
from .people import display_name, person
from .wording import worded

NOT_SAID = "GitLab does not say what changed"
# They change with everything else.
ALWAYS_CHANGED = {"updated_at", "updated_by_id", "last_edited_at", "last_edited_by_id"}
ENDS = ("previous", "current")


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the changes that an update brings.

    `word` is its filter's, without the kind. `about` leads to the title where this is the only change: "added label
    bug" "to".
    """

    event_type: str
    title: Words
    joiner: str = ""


Change = Callable[[GitLabPayload], Iterable[Clause]]


def title_changed(payload: GitLabPayload) -> Iterator[Clause]:
    before, after = payload.maybe_text("changes.title.previous"), payload.maybe_text("changes.title.current")
    # A merge request turns into a draft, and back, by the beginning of its title.
    if before and _without_draft(before) != _without_draft(after or payload.attributes.maybe_text("title")):
        yield Clause("edited", Words(f"changed the title from “{_without_draft(before)}”"), "to")


def _without_draft(title: str) -> str:
    first, _, rest = title.partition(":")
    return rest.strip() if first.strip().lower() in {"draft", "wip"} else title.strip()


def description_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.description" in payload:
        yield Clause("edited", Words("edited the description"), "of")


def labels_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.labels" not in payload:
        return
    before, after = ([label.text("title") for label in payload.objects(f"changes.labels.{end}")] for end in ENDS)
    if added := [title for title in after if title not in before]:
        yield Clause("labeled", Words(f"added {_labels(added)}"), "to")
    if removed := [title for title in before if title not in after]:
        yield Clause("unlabeled", Words(f"removed {_labels(removed)}"), "from")


def _labels(titles: list[str]) -> str:
    return f"label{'s' if len(titles) > 1 else ''} {_and(titles)}"


def _and(words: list[str]) -> str:
    return Words.listed(words, last=" and ").whole


def _came_and_went(payload: GitLabPayload, name: str) -> tuple[list[str], list[str]]:
    """The people whom the change of the list `name` added and took away; who did it is "themselves"."""
    ends = []
    doer = person(payload)
    for end in ENDS:
        people = {}
        for each in payload.objects(f"changes.{name}.{end}"):
            login = each.maybe_text("username") or display_name(each)
            people[login] = "themselves" if doer and login == doer.login else display_name(each)
        ends.append(people)
    before, after = ends
    came = [who for login, who in after.items() if login not in before]
    return came, [who for login, who in before.items() if login not in after]


def assignees_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.assignees" in payload:
        came, went = _came_and_went(payload, "assignees")
        if came:
            yield Clause("assigned", Words(f"assigned {_and(came)}"), "to")
        if went:
            yield Clause("assigned", Words(f"unassigned {_and(went)}"), "from")
    elif "changes.assignee_id" in payload:
        # Old versions tell the numbers of accounts, and beside them who is assigned now.
        if payload.maybe_number("changes.assignee_id.current") is None:
            yield Clause("assigned", Words("removed the assignee"), "from")
        else:
            now = display_name(payload.object("assignee")) if "assignee" in payload else "somebody"
            yield Clause("assigned", Words(f"assigned {now}"), "to")


def milestone_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.milestone_id" not in payload:
        return
    if payload.maybe_number("changes.milestone_id.current") is None:
        yield Clause("milestoned", Words("removed the milestone"), "from")
    else:
        title = payload.attributes.maybe_text("milestone.title")
        yield Clause("milestoned", Words(f"set milestone {title}" if title else "set a milestone"), "for")


def locked(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.discussion_locked" in payload:
        verb = "locked" if payload.flag("changes.discussion_locked.current") else "unlocked"
        yield Clause("locked", Words(f"{verb} the conversation"), "in")


def confidence_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.confidential" in payload:
        how = "confidential" if payload.flag("changes.confidential.current") else "visible to all who see the project"
        yield Clause("edited", Words(f"made {threads.noun_of(payload.attributes)} {how}"), ":")


def due_date_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.due_date" in payload:
        date = payload.maybe_text("changes.due_date.current")[:10]
        title = f"set the due date {date}" if date else "removed the due date"
        yield Clause("edited", Words(title), "for" if date else "from")


def severity_changed(payload: GitLabPayload) -> Iterator[Clause]:
    before, after = (payload.maybe_text(f"changes.severity.{end}") for end in ENDS)
    if before or after:
        yield Clause("edited", Words(f"changed the severity from {before or 'none'} to {after or 'none'}"), "for")


def weight_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.weight" in payload:
        weight = payload.maybe_number("changes.weight.current")
        title = "removed the weight" if weight is None else f"set the weight {weight}"
        yield Clause("edited", Words(title), "from" if weight is None else "for")


def health_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.health_status" in payload:
        health = payload.maybe_text("changes.health_status.current").replace("_", " ")
        title = f"set the health “{health}”" if health else "removed the health"
        yield Clause("edited", Words(title), "for" if health else "from")


def type_changed(payload: GitLabPayload) -> Iterator[Clause]:
    for name in ("type", "issue_type"):
        before, after = (payload.maybe_text(f"changes.{name}.{end}").replace("_", " ").lower() for end in ENDS)
        if before and after:
            article = "an" if after[0] in "aeiou" else "a"
            yield Clause("edited", Words(f"turned the {before} into {article} {after}"), ":")
            return


def commits_pushed(payload: GitLabPayload) -> Iterator[Clause]:
    """GitLab does not tell how many commits; the push itself does, in the branch's thread."""
    thing = payload.attributes
    before, after = thing.maybe_text("oldrev"), thing.maybe_text("last_commit.id")
    if not before:
        return
    address = payload.place.page(f"compare/{before}...{after}") if after else ""
    yield Clause("pushed", Words("pushed ", Link("new commits", address)), "to")


def draft_changed(payload: GitLabPayload) -> Iterator[Clause]:
    """Old versions tell it by the title alone."""
    before, after = (payload.maybe_text(f"changes.title.{end}") for end in ENDS)
    by_title = bool(before and after) and (before != _without_draft(before)) != (after != _without_draft(after))
    if "changes.draft" in payload or "changes.work_in_progress" in payload or by_title:
        if threads.is_draft(payload.attributes):
            yield Clause("draft", Words("turned back into a draft"), ":")
        else:
            yield Clause("ready", Words("marked as ready for review"), ":")


def reviewers_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if "changes.reviewers" not in payload:
        return
    came, went = _came_and_went(payload, "reviewers")
    if came:
        title = "took on a review" if came == ["themselves"] else f"asked {_and(came)} for a review"
        yield Clause("review_requested", Words(title), "of")
    if went:
        yield Clause("review_request_removed", Words(f"no longer asks {_and(went)} for a review"), "of")
    before = {
        each.maybe_text("username"): each.maybe_text("state") for each in payload.objects("changes.reviewers.previous")
    }
    for each in payload.objects("changes.reviewers.current"):
        login, state = each.maybe_text("username"), each.maybe_text("state")
        if login not in before:
            continue
        if each.flag("re_requested"):
            yield Clause("review_requested", Words(f"asked {display_name(each)} for another review"), "of")
        elif state != before[login] and state in REVIEWS:
            yield REVIEWS[state]


# A reviewer's states that have no event of their own, as approvals have.
REVIEWS = {
    "requested_changes": Clause("changes_requested", Words("asked for changes"), "in"),
    "reviewed": Clause("reviewed", Words("reviewed")),
}


def target_changed(payload: GitLabPayload) -> Iterator[Clause]:
    if before := payload.maybe_text("changes.target_branch.previous"):
        after = payload.maybe_text("changes.target_branch.current") or payload.attributes.text("target_branch")
        yield Clause("edited", Words(f"changed the target from {before} to {after}"), "for")


def auto_merge_changed(payload: GitLabPayload) -> Iterator[Clause]:
    for name in ("merge_when_pipeline_succeeds", "auto_merge_enabled"):
        if f"changes.{name}" in payload:
            verb = "enabled" if payload.flag(f"changes.{name}.current") else "disabled"
            yield Clause("auto_merge", Words(f"{verb} auto-merge"), "for")
            return


# The weightiest first.
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
    """An update in one line. The filters know it by the first of its changes, which is the weightiest."""
    clauses = [clause for change in changes for clause in change(payload)]
    if not clauses:
        return _nothing_said(payload)
    first, *others = clauses
    title = joined([clause.title for clause in clauses])
    return worded(payload, f"{kind}.{first.event_type}", title, entity(), joiner=":" if others else first.joiner)


def _nothing_said(payload: GitLabPayload) -> Unposted:
    changes = payload.object("changes").data if "changes" in payload else {}
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
