"""Issues, pull requests, reviews, discussions and what is said about them, worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from integrations.activity import Status, escape
from integrations.services.base import Payload
from integrations.services.code_hosts import APPROVED, CHANGES_REQUESTED, DELETED, IN_REVIEW, TRANSFERRED
from integrations.services.wording import Entity, Link, Told, Unposted, Words

from . import threads
from .people import author, called, login, person_facts

Wording = Callable[[Payload], "Told | Unposted"]

HUNK_LINES = 4


def told(
    payload: Payload,
    word: str,
    did: Words | str,
    entity: Entity,
    *,
    about: str = "",
    body: str = "",
    said: bool = False,
) -> Told:
    """A happening whose author is the sender of the delivery."""
    return Told(
        word=word,
        did=did if isinstance(did, Words) else Words(did),
        entity=entity,
        author=author(payload),
        about=about,
        body=body,
        said=said,
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


def labeled(kind: str, payload: Payload, entity: Entity) -> Told:
    return told(payload, f"{kind}.labeled", f"added {label_of(payload)}", entity, about="to")


def unlabeled(kind: str, payload: Payload, entity: Entity) -> Told:
    return told(payload, f"{kind}.unlabeled", f"removed {label_of(payload)}", entity, about="from")


def label_of(payload: Payload) -> str:
    """Without a name where the label itself was deleted: GitHub then sends none."""
    name = payload.maybe_text("label.name")
    return f"label {name}" if name else "a label"


def assigned(kind: str, payload: Payload, entity: Entity) -> Told:
    who = "themselves" if login(payload, "assignee") == login(payload) else called(payload, "assignee")
    return told(
        payload,
        f"{kind}.assigned",
        f"assigned {who}",
        entity,
        about="to",
    )


def unassigned(kind: str, payload: Payload, entity: Entity) -> Told:
    who = "themselves" if login(payload, "assignee") == login(payload) else called(payload, "assignee")
    return told(
        payload,
        f"{kind}.assigned",
        f"unassigned {who}",
        entity,
        about="from",
    )


def locked(kind: str, payload: Payload, entity: Entity) -> Told:
    reason = payload.maybe_text(f"{THING[kind]}.active_lock_reason")
    did = f"locked the conversation as {reason}" if reason else "locked the conversation"
    return told(payload, f"{kind}.locked", did, entity, about="in")


def unlocked(kind: str, payload: Payload, entity: Entity) -> Told:
    return told(payload, f"{kind}.locked", "unlocked the conversation", entity, about="in")


def milestoned(kind: str, payload: Payload, entity: Entity) -> Told:
    name = payload.maybe_text("milestone.title") or payload.maybe_text(f"{THING[kind]}.milestone.title")
    return told(payload, f"{kind}.milestoned", f"set milestone {name}".strip(), entity, about="for")


def demilestoned(kind: str, payload: Payload, entity: Entity) -> Told:
    name = payload.maybe_text("milestone.title")
    did = f"removed milestone {name}" if name else "removed the milestone"
    return told(payload, f"{kind}.milestoned", did, entity, about="from")


def edited(kind: str, payload: Payload, entity: Entity) -> Told | Unposted:
    if before := payload.maybe_text("changes.title.from"):
        return told(payload, f"{kind}.edited", f"changed the title from “{before}”", entity, about="to")
    if before := payload.maybe_text("changes.base.ref.from"):
        into = payload.text("pull_request.base.ref")
        return told(payload, f"{kind}.edited", f"changed the target from {before} to {into}", entity, about="for")
    return told(payload, f"{kind}.edited", "edited the description", entity, about="of")


Planning = Callable[[str, Payload, Entity], "Told | Unposted"]

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


def issues(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    entity = threads.issue(payload, GONE.get(action))
    if action in PLANNING:
        return PLANNING[action]("issues", payload, entity)
    if action == "closed":
        reason = {"not_planned": " as not planned", "duplicate": " as a duplicate"}
        why = reason.get(payload.maybe_text("issue.state_reason"), "")
        return told(payload, "issues.closed", f"closed issue{why}", entity, about=":" if why else "")
    if action == "transferred":
        to = payload.maybe_text("changes.new_repository.full_name") or "another repository"
        link = Link(to, payload.maybe_text("changes.new_issue.html_url"))
        return told(payload, "issues.transferred", Words("moved issue to ", link), entity, about=":")
    if action in {"pinned", "unpinned"}:
        return told(payload, "issues.pinned", f"{action} issue", entity)
    if action == "opened" and "changes.old_issue" in payload:
        return told(payload, "issues.opened", Words("moved issue here from ", _former(payload)), entity, about=":")
    if action in {"opened", "reopened", "deleted"}:
        return told(payload, f"issues.{action}", f"{action} issue", entity)
    return not_worded("issues", action)


def _former(payload: Payload) -> Link:
    """Where an issue stood before it was transferred here."""
    number, name = payload.number("changes.old_issue.number"), payload.maybe_text("changes.old_repository.full_name")
    return Link(f"{name}#{number}", payload.maybe_text("changes.old_issue.html_url"))


def not_worded(kind: str, action: str) -> Unposted:
    return Unposted(f"GitHub's {kind} {action}".rstrip() + " is not a kind we post")


def issue_comment(payload: Payload) -> Told | Unposted:
    return commented("issue_comment", payload, threads.issue(payload))


def commented(kind: str, payload: Payload, entity: Entity, where: str | Link = "") -> Told | Unposted:
    """Something said about `entity`, or what became of it; `where` narrows the place: a file, a commit."""
    action = payload.text("action")
    if action == "created":
        plain = Words(Link("commented", payload.url("comment.html_url")))
        did, about = (Words("commented on ", where), "in") if where else (plain, "on")
        return told(payload, f"{kind}.created", did, entity, about=about, body=comment_body(payload), said=True)
    if action == "edited":
        if payload.maybe_text("changes.body.from") == payload.maybe_text("comment.body"):
            return Unposted("the text of the comment did not change")
        did = Words("edited ", Link("a comment", payload.url("comment.html_url")))
        return told(payload, f"{kind}.edited", did, entity, about="on", body=comment_body(payload))
    if action == "deleted":
        own = login(payload, "comment.user") == login(payload)
        of_whom = "" if own else f" of {called(payload, 'comment.user')}"
        return told(payload, f"{kind}.deleted", f"deleted a comment{of_whom}", entity, about="on")
    return not_worded(kind, action)


def pull_request(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    wording = PULL_REQUEST.get(action)
    return wording(payload) if wording else not_worded("pull_request", action)


def plain_pull_request(did: str, word: str, payload: Payload, *, about: str = "", starts: bool = False) -> Told:
    return told(payload, f"pull_request.{word}", did, threads.pull_request(payload, starts=starts), about=about)


def planned_pull_request(planning: Planning, payload: Payload) -> Told | Unposted:
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


def pull_request_dequeued(payload: Payload) -> Told | Unposted:
    reason = payload.maybe_text("reason").lower()
    if reason in {"merge", "already_merged"}:
        return Unposted("it was merged, and GitHub reports that as well")
    why = f" because {DEQUEUED[reason]}" if reason in DEQUEUED else ""
    return plain_pull_request(f"removed from the merge queue{why}", "queued", payload, about=":")


def pull_request_opened(payload: Payload) -> Told:
    did = "opened draft pull request" if payload.flag("pull_request.draft") else "opened pull request"
    return plain_pull_request(did, "opened", payload, starts=True)


def pull_request_closed(payload: Payload) -> Told:
    if payload.flag("pull_request.merged"):
        return plain_pull_request("merged pull request", "merged", payload)
    return plain_pull_request("closed pull request", "closed", payload)


def pull_request_pushed(payload: Payload) -> Told:
    """GitHub does not tell how many commits; the push itself does, in the branch's thread."""
    before, after = payload.maybe_text("before"), payload.maybe_text("after")
    commits: str | Link = "new commits"
    if before and after:
        commits = Link("new commits", threads.page(payload, f"compare/{before}...{after}"))
    did = Words("pushed ", commits)
    return told(payload, "pull_request.synchronize", did, threads.pull_request(payload), about="to")


def reviewer_of(payload: Payload) -> str:
    """Who is asked: a person, or a team with its name."""
    return payload.maybe_text("requested_team.name") or called(payload, "requested_reviewer")


def review_requested(payload: Payload) -> Told:
    entity = threads.pull_request(payload, decided=IN_REVIEW)
    did = f"asked {reviewer_of(payload)} for a review"
    return told(payload, "pull_request.review_requested", did, entity, about="of")


def review_request_removed(payload: Payload) -> Told:
    entity = threads.pull_request(payload, removed=True)
    did = f"no longer asks {reviewer_of(payload)} for a review"
    return told(payload, "pull_request.review_request_removed", did, entity, about="of")


PULL_REQUEST: Mapping[str, Wording] = {
    "opened": pull_request_opened,
    "closed": pull_request_closed,
    "reopened": partial(plain_pull_request, "reopened pull request", "reopened", starts=True),
    "ready_for_review": partial(
        plain_pull_request, "marked as ready for review", "ready_for_review", about=":", starts=True
    ),
    "converted_to_draft": partial(plain_pull_request, "turned back into a draft", "converted_to_draft", about=":"),
    "synchronize": pull_request_pushed,
    "review_requested": review_requested,
    "review_request_removed": review_request_removed,
    "auto_merge_enabled": partial(plain_pull_request, "enabled auto-merge", "auto_merge", about="for"),
    "auto_merge_disabled": partial(plain_pull_request, "disabled auto-merge", "auto_merge", about="for"),
    "enqueued": partial(plain_pull_request, "added to the merge queue", "queued", about=":"),
    "dequeued": pull_request_dequeued,
    **{action: partial(planned_pull_request, planning) for action, planning in PLANNING.items()},
}

# A review's state: the filter's word, what the reviewer did, how it leads to the title, the status it makes.
REVIEWS: Mapping[str, tuple[str, str, str, Status | None]] = {
    "approved": ("approved", "approved", "", APPROVED),
    "changes_requested": ("changes_requested", "asked for changes", "in", CHANGES_REQUESTED),
    "commented": ("commented", "reviewed", "", None),
}


def pull_request_review(payload: Payload) -> Told | Unposted:
    action, state = payload.text("action"), payload.text("review.state").lower()
    if action == "dismissed":
        entity = threads.pull_request(payload, decided=IN_REVIEW)
        own = login(payload, "review.user") == login(payload)
        did = "dismissed their own review" if own else f"dismissed the review of {called(payload, 'review.user')}"
        return told(payload, "pull_request_review.dismissed", did, entity, about="in")
    if action != "submitted":
        return Unposted("an edited review changes no decision")
    if state not in REVIEWS:
        return not_worded("pull_request_review", state)
    body = comment_body(payload, "review")
    word, verb, about, decided = REVIEWS[state]
    if state == "commented" and not body:
        return Unposted("it has no words of its own, and its comments on lines are posted one by one")
    reviewed = Words(Link(verb, payload.url("review.html_url")))
    entity = threads.pull_request(payload, decided=decided, reviewer=called(payload, "review.user"))
    return told(payload, f"pull_request_review.{word}", reviewed, entity, about=about, body=body, said=bool(body))


def pull_request_review_comment(payload: Payload) -> Told | Unposted:
    place = Link(place_of(payload.object("comment")), payload.url("comment.html_url"))
    worded = commented("pull_request_review_comment", payload, threads.pull_request(payload), place)
    hunk = payload.maybe_text("comment.diff_hunk")
    if isinstance(worded, Told) and worded.said and hunk:
        lines = "\n".join(line[:200] for line in hunk[-4000:].splitlines()[-HUNK_LINES:])
        return worded.with_body(f"<pre><code>{escape(lines)}</code></pre>\n{worded.body}")
    return worded


def pull_request_review_thread(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    if action not in {"resolved", "unresolved"}:
        return not_worded("pull_request_review_thread", action)
    comment = next(payload.objects("thread.comments"), None)
    conversation: str | Link = "a conversation"
    if comment:
        conversation = Link(f"a conversation on {place_of(comment)}", comment.url("html_url"))
    did = Words("resolved " if action == "resolved" else "reopened ", conversation)
    return told(payload, "pull_request_review_thread.resolved", did, threads.pull_request(payload), about="in")


def discussion(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    entity = threads.discussion(payload, GONE.get(action))
    if action in PLANNING:
        return PLANNING[action]("discussion", payload, entity)
    if action == "answered":
        answer = Link(f"the answer of {called(payload, 'answer.user')}", payload.maybe_text("answer.html_url"))
        body = comment_body(payload, "answer")
        return told(payload, "discussion.answered", Words("chose ", answer), entity, about="to", body=body)
    if action == "category_changed":
        category = payload.text("discussion.category.name")
        return told(payload, "discussion.edited", f"moved discussion to {category}", entity, about=":")
    if action in DISCUSSION:
        word, did = DISCUSSION[action]
        return told(payload, f"discussion.{word}", did, entity, about="to" if action == "unanswered" else "")
    return not_worded("discussion", action)


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


def discussion_comment(payload: Payload) -> Told | Unposted:
    return commented("discussion_comment", payload, threads.discussion(payload))


def milestone(payload: Payload) -> Told | Unposted:
    action = payload.text("action")
    did = {"created": "created", "opened": "reopened", "closed": "closed", "edited": "edited", "deleted": "deleted"}
    if action not in did:
        return not_worded("milestone", action)
    entity = threads.milestone(payload, deleted=action == "deleted")
    word = "closed" if action == "closed" else "changed"
    return told(payload, f"milestone.{word}", f"{did[action]} milestone", entity)
