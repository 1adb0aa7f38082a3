"""Wording of issues, pull requests, reviews, discussions, milestones and their comments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from integrations.activity import Status, escape
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, DELETED, IN_REVIEW, TRANSFERRED
from integrations.services.wording import Entity, Link, RichText, Unposted, Wording

from . import threads
from .people import display_name, login
from .wording import Handler, not_supported, worded

HUNK_LINES = 4


def place_of(comment: Payload) -> str:
    """The file that a comment is on, with the line if there is one; empty if it is not on a file.

    If a later push changed the line, GitHub sends its original number. A comment on a whole file has no line.
    """
    path, line = comment.maybe_text("path"), comment.maybe_number("line") or comment.maybe_number("original_line")
    return f"{path}:{line}" if path and line else path


def comment_body(payload: Payload, path: str = "comment") -> str:
    thing = payload.object(path)
    return threads.markdown(payload, thing.maybe_text("body"), thing.url("html_url"))


# Shared by issues, pull requests and discussions; `kind` is GitHub's event.


def labeled(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.labeled", f"added {label_of(payload)}", entity, joiner="to")


def unlabeled(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.unlabeled", f"removed {label_of(payload)}", entity, joiner="from")


def label_of(payload: Payload) -> str:
    """Without a name if the label itself was deleted, as GitHub then sends none."""
    name = payload.maybe_text("label.name")
    return f"the label {name}" if name else "a label"


def assigned(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.assigned", f"assigned {_assignee(payload)}", entity, joiner="to")


def unassigned(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.assigned", f"unassigned {_assignee(payload)}", entity, joiner="from")


def _assignee(payload: Payload) -> str:
    return "themselves" if login(payload, "assignee") == login(payload) else display_name(payload, "assignee")


def locked(kind: str, payload: Payload, entity: Entity) -> Wording:
    reason = payload.maybe_text(f"{THING[kind]}.active_lock_reason")
    title = f"locked the conversation as {reason}" if reason else "locked the conversation"
    return worded(payload, f"{kind}.locked", title, entity, joiner="in")


def unlocked(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.locked", "unlocked the conversation", entity, joiner="in")


def milestoned(kind: str, payload: Payload, entity: Entity) -> Wording:
    name = payload.maybe_text("milestone.title") or payload.maybe_text(f"{THING[kind]}.milestone.title")
    return worded(
        payload,
        f"{kind}.milestoned",
        f"set the milestone to {name}" if name else "set a milestone",
        entity,
        joiner="for",
    )


def demilestoned(kind: str, payload: Payload, entity: Entity) -> Wording:
    name = payload.maybe_text("milestone.title")
    title = f"removed the milestone {name}" if name else "removed the milestone"
    return worded(payload, f"{kind}.milestoned", title, entity, joiner="from")


def edited(kind: str, payload: Payload, entity: Entity) -> Wording | Unposted:
    if before := payload.maybe_text("changes.title.from"):
        return worded(payload, f"{kind}.edited", f"changed the title from “{before}”", entity, joiner="to")
    if before := payload.maybe_text("changes.base.ref.from"):
        into = payload.text("pull_request.base.ref")
        return worded(
            payload, f"{kind}.edited", f"changed the target branch from {before} to {into}", entity, joiner="for"
        )
    return worded(payload, f"{kind}.edited", "edited the description", entity, joiner="of")


Planning = Callable[[str, Payload, Entity], "Wording | Unposted"]

# GitHub sends the status from before the thing was deleted or transferred.
GONE = {"deleted": DELETED, "transferred": TRANSFERRED}
THING = {"issues": "issue", "pull_request": "pull_request", "discussion": "discussion"}
PLANNING: Mapping[str, Planning] = {
    "labeled": labeled,
    "unlabeled": unlabeled,
    "assigned": assigned,
    "unassigned": unassigned,
    "locked": locked,
    "unlocked": unlocked,
    "milestoned": milestoned,
    "demilestoned": demilestoned,
    "edited": edited,
}


def issues(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    entity = threads.issue(payload, GONE.get(action))
    if action in PLANNING:
        return PLANNING[action]("issues", payload, entity)
    if action == "closed":
        reason = {"not_planned": " as not planned", "duplicate": " as a duplicate"}
        why = reason.get(payload.maybe_text("issue.state_reason"), "")
        return worded(payload, "issues.closed", f"closed the issue{why}", entity, joiner=":" if why else "")
    if action == "transferred":
        to = payload.maybe_text("changes.new_repository.full_name") or "another repository"
        link = Link(to, payload.maybe_text("changes.new_issue.html_url"))
        return worded(payload, "issues.transferred", RichText("transferred the issue to ", link), entity, joiner=":")
    if action in {"pinned", "unpinned"}:
        return worded(payload, "issues.pinned", f"{action} the issue", entity)
    if action == "opened" and "changes.old_issue" in payload:
        return worded(
            payload,
            "issues.opened",
            RichText("transferred the issue here from ", _former_issue(payload)),
            entity,
            joiner=":",
        )
    if action in {"opened", "reopened", "deleted"}:
        return worded(payload, f"issues.{action}", f"{action} the issue", entity)
    return not_supported("issues", action)


def _former_issue(payload: Payload) -> Link:
    """The issue in the repository that it was transferred from."""
    number, name = payload.number("changes.old_issue.number"), payload.maybe_text("changes.old_repository.full_name")
    return Link(f"{name}#{number}", payload.maybe_text("changes.old_issue.html_url"))


def issue_comment(payload: Payload) -> Wording | Unposted:
    return commented("issue_comment", payload, threads.issue(payload))


def commented(kind: str, payload: Payload, entity: Entity, where: str | Link = "") -> Wording | Unposted:
    """A comment on `entity` that was created, edited or deleted; `where` is the file or commit that it is on."""
    action = payload.text("action")
    if action == "created":
        plain = RichText(Link("commented", payload.url("comment.html_url")))
        title, joiner = (RichText("commented on ", where), "in") if where else (plain, "on")
        return worded(
            payload, f"{kind}.created", title, entity, joiner=joiner, body=comment_body(payload), is_comment=True
        )
    if action == "edited":
        if payload.maybe_text("changes.body.from") == payload.maybe_text("comment.body"):
            return Unposted("the text of the comment did not change")
        title = RichText("edited ", Link("a comment", payload.url("comment.html_url")))
        return worded(payload, f"{kind}.edited", title, entity, joiner="on", body=comment_body(payload))
    if action == "deleted":
        own = login(payload, "comment.user") == login(payload)
        by = "" if own else f" by {display_name(payload, 'comment.user')}"
        return worded(payload, f"{kind}.deleted", f"deleted a comment{by}", entity, joiner="on")
    return not_supported(kind, action)


def pull_request(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    handler = PULL_REQUEST.get(action)
    return handler(payload) if handler else not_supported("pull_request", action)


def plain_pull_request(
    title: str, event_type: str, payload: Payload, *, joiner: str = "", starts: bool = False
) -> Wording:
    return worded(
        payload, f"pull_request.{event_type}", title, threads.pull_request(payload, starts=starts), joiner=joiner
    )


def planned_pull_request(planning: Planning, payload: Payload) -> Wording | Unposted:
    return planning("pull_request", payload, threads.pull_request(payload))


# Why a pull request left the merge queue, by GitHub's `reason` in lower case.
DEQUEUED: Mapping[str, str] = {
    "ci_failure": "a required check failed",
    "ci_timeout": "its checks took too long",
    "merge_conflict": "it has a merge conflict",
    "queue_cleared": "the queue was cleared",
    "roll_back": "the queue was rolled back",
    "branch_protections": "a branch protection rule forbids the merge",
    "git_tree_invalid": "the merge commit could not be created",
    "invalid_merge_commit": "the merge commit could not be created",
}


def pull_request_dequeued(payload: Payload) -> Wording | Unposted:
    reason = payload.maybe_text("reason").lower()
    if reason in {"merge", "already_merged"}:
        return Unposted("GitHub sends a separate event for the merge")
    why = f" because {DEQUEUED[reason]}" if reason in DEQUEUED else ""
    return plain_pull_request(f"removed the pull request from the merge queue{why}", "queued", payload, joiner=":")


def pull_request_opened(payload: Payload) -> Wording:
    title = "opened the draft pull request" if payload.flag("pull_request.draft") else "opened the pull request"
    return plain_pull_request(title, "opened", payload, starts=True)


def pull_request_closed(payload: Payload) -> Wording:
    if payload.flag("pull_request.merged"):
        return plain_pull_request("merged the pull request", "merged", payload)
    return plain_pull_request("closed the pull request", "closed", payload)


def pull_request_pushed(payload: Payload) -> Wording:
    """GitHub does not send the number of commits here; the push event has it."""
    before, after = payload.maybe_text("before"), payload.maybe_text("after")
    commits: str | Link = "new commits"
    if before and after:
        commits = Link("new commits", threads.page(payload, f"compare/{before}...{after}"))
    title = RichText("pushed ", commits)
    return worded(payload, "pull_request.synchronize", title, threads.pull_request(payload), joiner="to")


def reviewer_of(payload: Payload) -> str:
    """The person or the team whose review is requested."""
    return payload.maybe_text("requested_team.name") or display_name(payload, "requested_reviewer")


def review_requested(payload: Payload) -> Wording:
    entity = threads.pull_request(payload, decided=IN_REVIEW)
    title = f"requested a review from {reviewer_of(payload)}"
    return worded(payload, "pull_request.review_requested", title, entity, joiner="for")


def review_request_removed(payload: Payload) -> Wording:
    entity = threads.pull_request(payload, removed=True)
    title = f"removed the review request for {reviewer_of(payload)}"
    return worded(payload, "pull_request.review_request_removed", title, entity, joiner="from")


PULL_REQUEST: Mapping[str, Handler] = {
    "opened": pull_request_opened,
    "closed": pull_request_closed,
    "reopened": partial(plain_pull_request, "reopened the pull request", "reopened", starts=True),
    "ready_for_review": partial(
        plain_pull_request, "marked the pull request as ready for review", "ready_for_review", joiner=":", starts=True
    ),
    "converted_to_draft": partial(
        plain_pull_request, "converted the pull request to a draft", "converted_to_draft", joiner=":"
    ),
    "synchronize": pull_request_pushed,
    "review_requested": review_requested,
    "review_request_removed": review_request_removed,
    "auto_merge_enabled": partial(plain_pull_request, "enabled auto-merge", "auto_merge", joiner="for"),
    "auto_merge_disabled": partial(plain_pull_request, "disabled auto-merge", "auto_merge", joiner="for"),
    "enqueued": partial(plain_pull_request, "added the pull request to the merge queue", "queued", joiner=":"),
    "dequeued": pull_request_dequeued,
    **{action: partial(planned_pull_request, planning) for action, planning in PLANNING.items()},
}

# By a review's state: the event type, the title and its joiner, and the pull request's new status.
REVIEWS: Mapping[str, tuple[str, str, str, Status | None]] = {
    "approved": ("approved", "approved the pull request", "", APPROVED),
    "changes_requested": ("changes_requested", "requested changes", "in", CHANGES_REQUESTED),
    "commented": ("commented", "reviewed the pull request", "", None),
}


def pull_request_review(payload: Payload) -> Wording | Unposted:
    action, state = payload.text("action"), payload.text("review.state").lower()
    if action == "dismissed":
        entity = threads.pull_request(payload, decided=IN_REVIEW)
        own = login(payload, "review.user") == login(payload)
        title = (
            "dismissed their own review" if own else f"dismissed the review by {display_name(payload, 'review.user')}"
        )
        return worded(payload, "pull_request_review.dismissed", title, entity, joiner="in")
    if action != "submitted":
        return Unposted("edited reviews are not posted")
    if state not in REVIEWS:
        return not_supported("pull_request_review", state)
    body = comment_body(payload, "review")
    event_type, verb, joiner, decided = REVIEWS[state]
    if state == "commented" and not body:
        return Unposted("the review has no text of its own; its comments on lines are posted separately")
    reviewed = RichText(Link(verb, payload.url("review.html_url")))
    entity = threads.pull_request(payload, decided=decided, reviewer=display_name(payload, "review.user"))
    return worded(
        payload, f"pull_request_review.{event_type}", reviewed, entity, joiner=joiner, body=body, is_comment=bool(body)
    )


def pull_request_review_comment(payload: Payload) -> Wording | Unposted:
    place = Link(place_of(payload.object("comment")), payload.url("comment.html_url"))
    wording = commented("pull_request_review_comment", payload, threads.pull_request(payload), place)
    hunk = payload.maybe_text("comment.diff_hunk")
    if isinstance(wording, Wording) and wording.is_comment and hunk:
        lines = "\n".join(line[:200] for line in hunk[-4000:].splitlines()[-HUNK_LINES:])
        return wording.with_body(f"<pre><code>{escape(lines)}</code></pre>\n{wording.body}")
    return wording


def pull_request_review_thread(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    if action not in {"resolved", "unresolved"}:
        return not_supported("pull_request_review_thread", action)
    comment = next(payload.objects("thread.comments"), None)
    conversation: str | Link = "a conversation"
    if comment:
        conversation = Link(f"a conversation on {place_of(comment)}", comment.url("html_url"))
    title = RichText("resolved " if action == "resolved" else "reopened ", conversation)
    return worded(payload, "pull_request_review_thread.resolved", title, threads.pull_request(payload), joiner="in")


def discussion(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    entity = threads.discussion(payload, GONE.get(action))
    if action in PLANNING:
        return PLANNING[action]("discussion", payload, entity)
    if action == "answered":
        answer = Link(f"the comment by {display_name(payload, 'answer.user')}", payload.maybe_text("answer.html_url"))
        body = comment_body(payload, "answer")
        return worded(
            payload,
            "discussion.answered",
            RichText("marked ", answer, " as the answer"),
            entity,
            joiner="to",
            body=body,
        )
    if action == "category_changed":
        category = payload.text("discussion.category.name")
        return worded(
            payload, "discussion.edited", f"moved the discussion to the category {category}", entity, joiner=":"
        )
    if action in DISCUSSION:
        event_type, title = DISCUSSION[action]
        return worded(payload, f"discussion.{event_type}", title, entity, joiner=DISCUSSION_JOINERS.get(action, ""))
    return not_supported("discussion", action)


DISCUSSION_JOINERS = {"unanswered": "to", "transferred": ":"}
DISCUSSION = {
    "created": ("created", "started the discussion"),
    "closed": ("closed", "closed the discussion"),
    "reopened": ("reopened", "reopened the discussion"),
    "deleted": ("deleted", "deleted the discussion"),
    "transferred": ("deleted", "transferred the discussion to another repository"),
    "pinned": ("pinned", "pinned the discussion"),
    "unpinned": ("pinned", "unpinned the discussion"),
    "unanswered": ("answered", "unmarked the answer"),
}


def discussion_comment(payload: Payload) -> Wording | Unposted:
    return commented("discussion_comment", payload, threads.discussion(payload))


def milestone(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    verbs = {"created": "created", "opened": "reopened", "closed": "closed", "edited": "edited", "deleted": "deleted"}
    if action not in verbs:
        return not_supported("milestone", action)
    entity = threads.milestone(payload, deleted=action == "deleted")
    event_type = "closed" if action == "closed" else "changed"
    return worded(payload, f"milestone.{event_type}", f"{verbs[action]} the milestone", entity)
