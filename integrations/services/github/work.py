"""Issues, pull requests, reviews, discussions and what is said about them, worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from integrations.activity import Status, escape
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, DELETED, IN_REVIEW, TRANSFERRED
from integrations.services.wording import Entity, Link, Unposted, Wording, Words

from . import threads
from .people import author, display_name, login, person_facts

Handler = Callable[[Payload], "Wording | Unposted"]

HUNK_LINES = 4


def worded(
    payload: Payload,
    event_type: str,
    title: Words | str,
    entity: Entity,
    *,
    joiner: str = "",
    body: str = "",
    is_comment: bool = False,
) -> Wording:
    """A happening whose author is the sender of the delivery."""
    return Wording(
        event_type=event_type,
        title=title if isinstance(title, Words) else Words(title),
        entity=entity,
        author=author(payload),
        joiner=joiner,
        body=body,
        is_comment=is_comment,
        facts=person_facts(payload),
    )


def place_of(comment: Payload) -> str:
    """The file that a comment is on, with its line where it is on one; empty where it is on no file.

    A comment on lines that a later push changed has the line it had then, and one on a whole file has none.
    """
    path, line = comment.maybe_text("path"), comment.maybe_number("line") or comment.maybe_number("original_line")
    return f"{path}:{line}" if path and line else path


def comment_body(payload: Payload, path: str = "comment") -> str:
    thing = payload.object(path)
    return threads.markdown(payload, thing.maybe_text("body"), thing.url("html_url"))


# What issues and pull requests have in common. `kind` is GitHub's event, `noun` what people call the thing.


def labeled(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.labeled", f"added {label_of(payload)}", entity, joiner="to")


def unlabeled(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.unlabeled", f"removed {label_of(payload)}", entity, joiner="from")


def label_of(payload: Payload) -> str:
    """Without a name where the label itself was deleted: GitHub then sends none."""
    name = payload.maybe_text("label.name")
    return f"label {name}" if name else "a label"


def assigned(kind: str, payload: Payload, entity: Entity) -> Wording:
    who = "themselves" if login(payload, "assignee") == login(payload) else display_name(payload, "assignee")
    return worded(
        payload,
        f"{kind}.assigned",
        f"assigned {who}",
        entity,
        joiner="to",
    )


def unassigned(kind: str, payload: Payload, entity: Entity) -> Wording:
    who = "themselves" if login(payload, "assignee") == login(payload) else display_name(payload, "assignee")
    return worded(
        payload,
        f"{kind}.assigned",
        f"unassigned {who}",
        entity,
        joiner="from",
    )


def locked(kind: str, payload: Payload, entity: Entity) -> Wording:
    reason = payload.maybe_text(f"{THING[kind]}.active_lock_reason")
    title = f"locked the conversation as {reason}" if reason else "locked the conversation"
    return worded(payload, f"{kind}.locked", title, entity, joiner="in")


def unlocked(kind: str, payload: Payload, entity: Entity) -> Wording:
    return worded(payload, f"{kind}.locked", "unlocked the conversation", entity, joiner="in")


def milestoned(kind: str, payload: Payload, entity: Entity) -> Wording:
    name = payload.maybe_text("milestone.title") or payload.maybe_text(f"{THING[kind]}.milestone.title")
    return worded(payload, f"{kind}.milestoned", f"set milestone {name}".strip(), entity, joiner="for")


def demilestoned(kind: str, payload: Payload, entity: Entity) -> Wording:
    name = payload.maybe_text("milestone.title")
    title = f"removed milestone {name}" if name else "removed the milestone"
    return worded(payload, f"{kind}.milestoned", title, entity, joiner="from")


def edited(kind: str, payload: Payload, entity: Entity) -> Wording | Unposted:
    if before := payload.maybe_text("changes.title.from"):
        return worded(payload, f"{kind}.edited", f"changed the title from “{before}”", entity, joiner="to")
    if before := payload.maybe_text("changes.base.ref.from"):
        into = payload.text("pull_request.base.ref")
        return worded(payload, f"{kind}.edited", f"changed the target from {before} to {into}", entity, joiner="for")
    return worded(payload, f"{kind}.edited", "edited the description", entity, joiner="of")


Planning = Callable[[str, Payload, Entity], "Wording | Unposted"]

# What has left the repository is told with the state it had before.
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
        return worded(payload, "issues.closed", f"closed issue{why}", entity, joiner=":" if why else "")
    if action == "transferred":
        to = payload.maybe_text("changes.new_repository.full_name") or "another repository"
        link = Link(to, payload.maybe_text("changes.new_issue.html_url"))
        return worded(payload, "issues.transferred", Words("moved issue to ", link), entity, joiner=":")
    if action in {"pinned", "unpinned"}:
        return worded(payload, "issues.pinned", f"{action} issue", entity)
    if action == "opened" and "changes.old_issue" in payload:
        return worded(payload, "issues.opened", Words("moved issue here from ", _former(payload)), entity, joiner=":")
    if action in {"opened", "reopened", "deleted"}:
        return worded(payload, f"issues.{action}", f"{action} issue", entity)
    return not_supported("issues", action)


def _former(payload: Payload) -> Link:
    """Where an issue stood before it was transferred here."""
    number, name = payload.number("changes.old_issue.number"), payload.maybe_text("changes.old_repository.full_name")
    return Link(f"{name}#{number}", payload.maybe_text("changes.old_issue.html_url"))


def not_supported(kind: str, action: str) -> Unposted:
    return Unposted(f"GitHub's {kind} {action}".rstrip() + " is not a kind we post")


def issue_comment(payload: Payload) -> Wording | Unposted:
    return commented("issue_comment", payload, threads.issue(payload))


def commented(kind: str, payload: Payload, entity: Entity, where: str | Link = "") -> Wording | Unposted:
    """Something said about `entity`, or what became of it; `where` narrows the place: a file, a commit."""
    action = payload.text("action")
    if action == "created":
        plain = Words(Link("commented", payload.url("comment.html_url")))
        title, joiner = (Words("commented on ", where), "in") if where else (plain, "on")
        return worded(
            payload, f"{kind}.created", title, entity, joiner=joiner, body=comment_body(payload), is_comment=True
        )
    if action == "edited":
        if payload.maybe_text("changes.body.from") == payload.maybe_text("comment.body"):
            return Unposted("the text of the comment did not change")
        title = Words("edited ", Link("a comment", payload.url("comment.html_url")))
        return worded(payload, f"{kind}.edited", title, entity, joiner="on", body=comment_body(payload))
    if action == "deleted":
        own = login(payload, "comment.user") == login(payload)
        of_whom = "" if own else f" of {display_name(payload, 'comment.user')}"
        return worded(payload, f"{kind}.deleted", f"deleted a comment{of_whom}", entity, joiner="on")
    return not_supported(kind, action)


def pull_request(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    wording = PULL_REQUEST.get(action)
    return wording(payload) if wording else not_supported("pull_request", action)


def plain_pull_request(
    title: str, event_type: str, payload: Payload, *, joiner: str = "", starts: bool = False
) -> Wording:
    return worded(
        payload, f"pull_request.{event_type}", title, threads.pull_request(payload, starts=starts), joiner=joiner
    )


def planned_pull_request(planning: Planning, payload: Payload) -> Wording | Unposted:
    return planning("pull_request", payload, threads.pull_request(payload))


# Why a pull request left the merge queue, by GitHub's `reason`, which other tools write in small letters.
DEQUEUED: Mapping[str, str] = {
    "ci_failure": "a required check failed",
    "ci_timeout": "its checks took too long",
    "merge_conflict": "it has a conflict",
    "queue_cleared": "the queue was cleared",
    "roll_back": "the queue was rolled back",
    "branch_protections": "the branch’s protection forbids the merge",
    "git_tree_invalid": "its merge could not be made",
    "invalid_merge_commit": "its merge could not be made",
}


def pull_request_dequeued(payload: Payload) -> Wording | Unposted:
    reason = payload.maybe_text("reason").lower()
    if reason in {"merge", "already_merged"}:
        return Unposted("it was merged, and GitHub reports that as well")
    why = f" because {DEQUEUED[reason]}" if reason in DEQUEUED else ""
    return plain_pull_request(f"removed from the merge queue{why}", "queued", payload, joiner=":")


def pull_request_opened(payload: Payload) -> Wording:
    title = "opened draft pull request" if payload.flag("pull_request.draft") else "opened pull request"
    return plain_pull_request(title, "opened", payload, starts=True)


def pull_request_closed(payload: Payload) -> Wording:
    if payload.flag("pull_request.merged"):
        return plain_pull_request("merged pull request", "merged", payload)
    return plain_pull_request("closed pull request", "closed", payload)


def pull_request_pushed(payload: Payload) -> Wording:
    """GitHub does not tell how many commits; the push itself does, in the branch's thread."""
    before, after = payload.maybe_text("before"), payload.maybe_text("after")
    commits: str | Link = "new commits"
    if before and after:
        commits = Link("new commits", threads.page(payload, f"compare/{before}...{after}"))
    title = Words("pushed ", commits)
    return worded(payload, "pull_request.synchronize", title, threads.pull_request(payload), joiner="to")


def reviewer_of(payload: Payload) -> str:
    """Who is asked: a person, or a team with its name."""
    return payload.maybe_text("requested_team.name") or display_name(payload, "requested_reviewer")


def review_requested(payload: Payload) -> Wording:
    entity = threads.pull_request(payload, decided=IN_REVIEW)
    title = f"asked {reviewer_of(payload)} for a review"
    return worded(payload, "pull_request.review_requested", title, entity, joiner="of")


def review_request_removed(payload: Payload) -> Wording:
    entity = threads.pull_request(payload, removed=True)
    title = f"no longer asks {reviewer_of(payload)} for a review"
    return worded(payload, "pull_request.review_request_removed", title, entity, joiner="of")


PULL_REQUEST: Mapping[str, Handler] = {
    "opened": pull_request_opened,
    "closed": pull_request_closed,
    "reopened": partial(plain_pull_request, "reopened pull request", "reopened", starts=True),
    "ready_for_review": partial(
        plain_pull_request, "marked as ready for review", "ready_for_review", joiner=":", starts=True
    ),
    "converted_to_draft": partial(plain_pull_request, "turned back into a draft", "converted_to_draft", joiner=":"),
    "synchronize": pull_request_pushed,
    "review_requested": review_requested,
    "review_request_removed": review_request_removed,
    "auto_merge_enabled": partial(plain_pull_request, "enabled auto-merge", "auto_merge", joiner="for"),
    "auto_merge_disabled": partial(plain_pull_request, "disabled auto-merge", "auto_merge", joiner="for"),
    "enqueued": partial(plain_pull_request, "added to the merge queue", "queued", joiner=":"),
    "dequeued": pull_request_dequeued,
    **{action: partial(planned_pull_request, planning) for action, planning in PLANNING.items()},
}

# A review's state: the filter's word, what the reviewer did, how it leads to the title, the status it makes.
REVIEWS: Mapping[str, tuple[str, str, str, Status | None]] = {
    "approved": ("approved", "approved", "", APPROVED),
    "changes_requested": ("changes_requested", "asked for changes", "in", CHANGES_REQUESTED),
    "commented": ("commented", "reviewed", "", None),
}


def pull_request_review(payload: Payload) -> Wording | Unposted:
    action, state = payload.text("action"), payload.text("review.state").lower()
    if action == "dismissed":
        entity = threads.pull_request(payload, decided=IN_REVIEW)
        own = login(payload, "review.user") == login(payload)
        title = (
            "dismissed their own review" if own else f"dismissed the review of {display_name(payload, 'review.user')}"
        )
        return worded(payload, "pull_request_review.dismissed", title, entity, joiner="in")
    if action != "submitted":
        return Unposted("an edited review changes no decision")
    if state not in REVIEWS:
        return not_supported("pull_request_review", state)
    body = comment_body(payload, "review")
    event_type, verb, joiner, decided = REVIEWS[state]
    if state == "commented" and not body:
        return Unposted("it has no words of its own, and its comments on lines are posted one by one")
    reviewed = Words(Link(verb, payload.url("review.html_url")))
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
    title = Words("resolved " if action == "resolved" else "reopened ", conversation)
    return worded(payload, "pull_request_review_thread.resolved", title, threads.pull_request(payload), joiner="in")


def discussion(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    entity = threads.discussion(payload, GONE.get(action))
    if action in PLANNING:
        return PLANNING[action]("discussion", payload, entity)
    if action == "answered":
        answer = Link(f"the answer of {display_name(payload, 'answer.user')}", payload.maybe_text("answer.html_url"))
        body = comment_body(payload, "answer")
        return worded(payload, "discussion.answered", Words("chose ", answer), entity, joiner="to", body=body)
    if action == "category_changed":
        category = payload.text("discussion.category.name")
        return worded(payload, "discussion.edited", f"moved discussion to {category}", entity, joiner=":")
    if action in DISCUSSION:
        event_type, title = DISCUSSION[action]
        return worded(payload, f"discussion.{event_type}", title, entity, joiner="to" if action == "unanswered" else "")
    return not_supported("discussion", action)


DISCUSSION = {
    "created": ("created", "started discussion"),
    "closed": ("closed", "closed discussion"),
    "reopened": ("reopened", "reopened discussion"),
    "deleted": ("deleted", "deleted discussion"),
    "transferred": ("deleted", "moved discussion to another repository"),
    "pinned": ("pinned", "pinned discussion"),
    "unpinned": ("pinned", "unpinned discussion"),
    "unanswered": ("answered", "took back the chosen answer"),
}


def discussion_comment(payload: Payload) -> Wording | Unposted:
    return commented("discussion_comment", payload, threads.discussion(payload))


def milestone(payload: Payload) -> Wording | Unposted:
    action = payload.text("action")
    title = {"created": "created", "opened": "reopened", "closed": "closed", "edited": "edited", "deleted": "deleted"}
    if action not in title:
        return not_supported("milestone", action)
    entity = threads.milestone(payload, deleted=action == "deleted")
    event_type = "closed" if action == "closed" else "changed"
    return worded(payload, f"milestone.{event_type}", f"{title[action]} milestone", entity)
