"""What an update of an issue or of a merge request changed, worded: GitLab tells several changes in one event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from integrations.services.base import readable
from integrations.services.wording import Entity, Link, Told, Unposted, Words

from . import threads
from .payload import Hook
from .people import called, person
from .wording import told

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

    word: str
    did: Words
    about: str = ""


Change = Callable[[Hook], Iterable[Clause]]


def title_changed(hook: Hook) -> Iterator[Clause]:
    before, after = hook.maybe_text("changes.title.previous"), hook.maybe_text("changes.title.current")
    # A merge request turns into a draft, and back, by the beginning of its title.
    if before and _without_draft(before) != _without_draft(after or hook.attributes.maybe_text("title")):
        yield Clause("edited", Words(f"changed the title from “{_without_draft(before)}”"), "to")


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
    came = [who for login, who in after.items() if login not in before]
    return came, [who for login, who in before.items() if login not in after]


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
        yield Clause("locked", Words(f"{verb} the conversation"), "in")


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
            article = "an" if after[0] in "aeiou" else "a"
            yield Clause("edited", Words(f"turned the {before} into {article} {after}"), ":")
            return


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
            yield REVIEWS[state]


# A reviewer's states that have no event of their own, as approvals have.
REVIEWS = {
    "requested_changes": Clause("changes_requested", Words("asked for changes"), "in"),
    "reviewed": Clause("reviewed", Words("reviewed")),
}


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


def updated(hook: Hook, kind: str, changes: Iterable[Change], entity: Callable[[], Entity]) -> Told | Unposted:
    """An update in one line. The filters know it by the first of its changes, which is the weightiest."""
    clauses = [clause for change in changes for clause in change(hook)]
    if not clauses:
        return _nothing_said(hook)
    first, *others = clauses
    did = joined([clause.did for clause in clauses])
    return told(hook, f"{kind}.{first.word}", did, entity(), about=":" if others else first.about)


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
