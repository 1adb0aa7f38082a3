"""Variants of recorded payloads: other actions and results, and values that GitHub sometimes leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.services import SERVICES
from integrations.services.base import ParsedEvent
from tests.integrations.services.recorded import HERE, Recorded

GITHUB = SERVICES["github"]
LEA = {"login": "lea-cohen", "type": "User"}
BUG = {"name": "bug"}


def variant(name: str, changes: dict[str, Any], **headers: str) -> ParsedEvent:
    return Recorded(GITHUB, HERE / "github" / f"{name}.json").changed(changes, **headers)


def status_of(event: ParsedEvent) -> str:
    assert event.activity is not None, event.why_not
    status = event.activity.thread.status
    return f"{status.value} {status.color}" if status else "-"


# The payload, its changes, the line in the log, the thread's status, the event type.
WORDED: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("issues.assigned", {"action": "unassigned"}, "unassigned tomas-brandt from", "open green", "issues.assigned"),
    ("issues.assigned", {"assignee": LEA}, "assigned themselves to", "open green", "issues.assigned"),
    (
        "issues.assigned",
        {"action": "unassigned", "assignee": LEA},
        "unassigned themselves from",
        "open green",
        "issues.assigned",
    ),
    ("issues.locked", {"action": "unlocked"}, "unlocked the conversation in", "open green", "issues.locked"),
    (
        "issues.milestoned",
        {"action": "demilestoned"},
        "removed the milestone 2.4 from",
        "open green",
        "issues.milestoned",
    ),
    (
        "issues.milestoned",
        {"action": "demilestoned", "milestone": None},
        "removed the milestone from",
        "open green",
        "issues.milestoned",
    ),
    (
        "issues.locked",
        {"issue.active_lock_reason": "too heated"},
        "locked the conversation as too heated in",
        "open green",
        "issues.locked",
    ),
    (
        "issues.opened",
        {
            "changes": {
                "old_issue": {"number": 4, "html_url": "https://github.com/octo/docs/issues/4"},
                "old_repository": {"full_name": "octo/docs"},
            }
        },
        "transferred the issue here from octo/docs#4:",
        "open green",
        "issues.opened",
    ),
    ("issues.pinned", {"action": "unpinned"}, "unpinned the issue", "open green", "issues.pinned"),
    (
        "issues.edited",
        {"changes": {"body": {"from": "Before"}}},
        "edited the description of",
        "open green",
        "issues.edited",
    ),
    # If the label itself was deleted, GitHub sends no name.
    ("issues.unlabeled", {"label": None}, "removed a label from", "open green", "issues.unlabeled"),
    (
        "pull_request.labeled",
        {"action": "unlabeled", "label": None},
        "removed a label from",
        "open green",
        "pull_request.unlabeled",
    ),
    (
        "pull_request.auto_merge_enabled",
        {"action": "auto_merge_disabled"},
        "disabled auto-merge for",
        "open green",
        "pull_request.auto_merge",
    ),
    (
        "pull_request.enqueued",
        {"action": "dequeued"},
        "removed the pull request from the merge queue:",
        "open green",
        "pull_request.queued",
    ),
    (
        "pull_request.enqueued",
        {"action": "dequeued", "reason": "CI_FAILURE"},
        "removed the pull request from the merge queue because a required check failed:",
        "open green",
        "pull_request.queued",
    ),
    (
        "pull_request.enqueued",
        {"action": "dequeued", "reason": "merge_conflict"},
        "removed the pull request from the merge queue because it has a merge conflict:",
        "open green",
        "pull_request.queued",
    ),
    (
        "pull_request_review_comment.created",
        {"comment.line": 12},
        "commented on greet.py:12 in",
        "open green",
        "pull_request_review_comment.created",
    ),
    # The lines were changed by a later push.
    (
        "pull_request_review_comment.created",
        {"comment.line": None, "comment.original_line": 9},
        "commented on greet.py:9 in",
        "open green",
        "pull_request_review_comment.created",
    ),
    (
        "pull_request_review_thread.resolved",
        {"thread.comments.0.line": 12},
        "resolved a conversation on greet.py:12 in",
        "open green",
        "pull_request_review_thread.resolved",
    ),
    (
        "pull_request_review.dismissed",
        {"sender": LEA},
        "dismissed their own review in",
        "in review yellow",
        "pull_request_review.dismissed",
    ),
    (
        "pull_request_review_thread.resolved",
        {"action": "unresolved"},
        "reopened a conversation on greet.py in",
        "open green",
        "pull_request_review_thread.resolved",
    ),
    # A review after the pull request was closed does not change its status.
    (
        "pull_request_review.submitted.changes_requested",
        {"pull_request.state": "closed", "pull_request.merged_at": "2026-01-15T10:00:00Z"},
        "requested changes in",
        "merged purple",
        "pull_request_review.changes_requested",
    ),
    (
        "pull_request_review.submitted.approved",
        {"pull_request.state": "closed"},
        "approved the pull request",
        "closed red",
        "pull_request_review.approved",
    ),
    (
        "pull_request_review_comment.created",
        {"pull_request.state": "closed"},
        "commented on greet.py in",
        "closed red",
        "pull_request_review_comment.created",
    ),
    (
        "pull_request_review_comment.created",
        {"action": "deleted"},
        "deleted a comment on",
        "open green",
        "pull_request_review_comment.deleted",
    ),
    (
        "discussion.created",
        {"action": "labeled", "label": BUG},
        "added the label bug to",
        "open green",
        "discussion.labeled",
    ),
    (
        "discussion.created",
        {"action": "unlabeled", "label": BUG},
        "removed the label bug from",
        "open green",
        "discussion.unlabeled",
    ),
    (
        "discussion.created",
        {"action": "closed", "discussion.state": "closed"},
        "closed the discussion",
        "closed grey",
        "discussion.closed",
    ),
    ("discussion.created", {"action": "reopened"}, "reopened the discussion", "open green", "discussion.reopened"),
    ("discussion.created", {"action": "pinned"}, "pinned the discussion", "open green", "discussion.pinned"),
    (
        "discussion.created",
        {"action": "unanswered"},
        "unmarked the answer to",
        "open green",
        "discussion.answered",
    ),
    (
        "discussion.created",
        {"action": "category_changed"},
        "moved the discussion to the category Q&A:",
        "open green",
        "discussion.edited",
    ),
    # GitHub sends the state from before.
    ("discussion.created", {"action": "deleted"}, "deleted the discussion", "deleted grey", "discussion.deleted"),
    ("discussion.answered", {"action": "deleted"}, "deleted the discussion", "deleted grey", "discussion.deleted"),
    (
        "discussion.created",
        {"action": "transferred"},
        "transferred the discussion to another repository:",
        "transferred grey",
        "discussion.deleted",
    ),
    ("milestone.closed", {"action": "deleted"}, "deleted the milestone", "deleted grey", "milestone.changed"),
    (
        "milestone.closed",
        {"action": "opened", "milestone.state": "open"},
        "reopened the milestone",
        "open green",
        "milestone.changed",
    ),
    ("push.forced", {"commits": []}, "force-pushed the branch release/2.4 to 0000000 in", "-", "push"),
    (
        "release.published",
        {"action": "unpublished", "release.draft": True},
        "unpublished the release",
        "draft grey",
        "release.changed",
    ),
    ("release.published", {"action": "edited"}, "edited the release", "released cyan", "release.changed"),
    ("member.added", {"member": LEA}, "accepted the invitation to", "-", "member"),
    ("member.added", {"action": "removed"}, "removed tomas-brandt as a collaborator from", "-", "member"),
    ("member.added", {"action": "removed", "member": LEA}, "left the repository:", "-", "member"),
    ("member.added", {"action": "edited"}, "changed tomas-brandt’s permissions for", "-", "member"),
    (
        "branch_protection_rule.edited",
        {"action": "created"},
        "added a branch protection rule for main in",
        "-",
        "branch_protection_rule",
    ),
    (
        "branch_protection_rule.edited",
        {"action": "deleted"},
        "deleted the branch protection rule for main in",
        "-",
        "branch_protection_rule",
    ),
    (
        "repository.renamed",
        {"action": "edited", "changes": {"description": {"from": ""}, "topics": {"from": []}}},
        "changed the repository’s description, topics:",
        "-",
        "repository",
    ),
    (
        "repository.renamed",
        {"action": "edited", "changes": {}},
        "changed the repository’s settings:",
        "-",
        "repository",
    ),
    (
        "repository.archived",
        {"action": "unarchived", "repository.archived": False},
        "unarchived the repository:",
        "-",
        "repository",
    ),
    ("repository.archived", {"action": "deleted"}, "deleted the repository:", "deleted grey", "repository"),
]


@pytest.mark.parametrize(("name", "changes", "line", "status", "word"), WORDED)
def test_variant_is_worded(name: str, changes: dict[str, Any], line: str, status: str, word: str) -> None:
    event = variant(name, changes)

    assert event.summary.removeprefix(f"{event.actor} ") == line
    assert status_of(event) == status
    assert event.facts["events"] == (word,)
    assert word in {choice.value for choice in GITHUB.rules[0].choices}, "people can filter it"


# The conclusion, the title, the thread's status, and the end of the event type.
OUTCOMES = [
    ("failure", "failed after 6 min 12 s", "failed red", "failed"),
    ("timed_out", "timed out after 6 min 12 s", "timed out red", "failed"),
    ("cancelled", "was canceled after 6 min 12 s", "canceled grey", "cancelled"),
    # Nothing ran, so the time between start and end means nothing.
    ("startup_failure", "could not start", "failed red", "failed"),
    ("action_required", "is waiting for manual action", "waiting yellow", "waiting"),
]


@pytest.mark.parametrize(("conclusion", "words", "status", "word"), OUTCOMES)
def test_a_run_says_how_it_ended(conclusion: str, words: str, status: str, word: str) -> None:
    event = variant("workflow_run.completed.success", {"workflow_run.conclusion": conclusion})

    assert event.summary == f"Workflow Build #1187 {words} for"
    assert status_of(event) == status
    assert event.facts["events"] == (f"workflow_run.{word}",)


@pytest.mark.parametrize(
    ("end", "time"),
    [
        ("2026-01-15T10:00:07Z", " in 7 s"),
        ("2026-01-15T12:05:30Z", " in 2 h 5 min"),
        # Clocks differ, and a duration of 0 is left out.
        ("2026-01-15T10:00:00Z", ""),
        ("2026-01-15T09:59:00Z", ""),
        ("2026-01-15T10:00:07", ""),
    ],
)
def test_a_run_says_how_long_it_took(end: str, time: str) -> None:
    times = {"workflow_run.run_started_at": "2026-01-15T10:00:00Z", "workflow_run.updated_at": end}

    assert variant("workflow_run.completed.success", times).summary == f"Workflow Build #1187 passed{time} for"


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out"])
def test_a_check_suite_that_did_not_pass_says_so(conclusion: str) -> None:
    event = variant("check_suite.completed.success", {"check_suite.conclusion": conclusion})

    assert event.summary == "Jenkins ran 3 checks; not all passed for 6f2a8c1 in"


KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("check_suite.completed.success", {"action": "requested"}, "only completed check suites are posted"),
    (
        "check_suite.completed.success",
        {"check_suite.conclusion": "skipped"},
        "checks with the conclusion skipped are not posted",
    ),
    ("workflow_run.completed.success", {"workflow_run.conclusion": None}, "the conclusion is missing"),
    (
        "pull_request_review.submitted.approved",
        {"action": "edited"},
        "edited reviews are not posted",
    ),
    (
        "deployment_status.created.success",
        {"deployment_status.state": "inactive"},
        "a later deployment replaced it",
    ),
    ("gollum", {"pages": []}, "the event names no page"),
    (
        "pull_request.enqueued",
        {"action": "dequeued", "reason": "MERGE"},
        "GitHub sends a separate event for the merge",
    ),
    (
        "issue_comment.edited",
        {"changes": {"body": {"from": "Same as before."}}, "comment.body": "Same as before."},
        "the text of the comment did not change",
    ),
    ("create.branch", {"ref_type": "repository"}, "the GitHub event create.repository is not supported"),
]


@pytest.mark.parametrize(("name", "changes", "why_not"), KEPT)
def test_variant_is_stored_but_not_posted_for_a_reason(name: str, changes: dict[str, Any], why_not: str) -> None:
    assert variant(name, changes).why_not == why_not


QUEUE = "gh-readonly-queue/main/pr-42-6f2a8c1"
OF_THE_QUEUE: list[tuple[str, dict[str, Any]]] = [
    ("create.branch", {"ref": QUEUE}),
    ("delete.branch", {"ref": QUEUE}),
    ("push", {"ref": f"refs/heads/{QUEUE}"}),
    ("check_run.completed.branch", {"check_run.check_suite.head_branch": QUEUE}),
    ("check_suite.completed.failure", {"check_suite.head_branch": QUEUE}),
    ("workflow_run.completed.failure", {"workflow_run.head_branch": QUEUE}),
    ("status.success", {"branches": [{"name": QUEUE}]}),
]


@pytest.mark.parametrize(("name", "changes"), OF_THE_QUEUE)
def test_temporary_branches_of_the_merge_queue_are_not_posted(name: str, changes: dict[str, Any]) -> None:
    assert variant(name, changes).why_not == "the branch is a temporary one of the merge queue"


def test_a_commit_status_on_a_branch_and_in_the_merge_queue_belongs_to_the_branch() -> None:
    event = variant("status.success", {"branches": [{"name": QUEUE}, {"name": "greet"}]})

    assert event.activity is not None
    assert event.activity.thread_id == "branch:greet"
    assert event.facts["branches"] == ("greet",)


def test_a_commit_by_an_author_without_an_account_names_the_author() -> None:
    commit = {
        "id": 40 * "c",
        "message": "Greet in Danish",
        "url": "https://github.com/octo/hello/commit/ccc",
        "author": {"name": "Mira Okafor", "email": "mira@example.com"},
    }

    activity = variant("push", {"commits": [commit], "sender.name": None, "pusher.name": None}).activity

    assert activity is not None
    assert "Greet in Danish, Mira Okafor</li>" in activity.body


ADDRESS = "https://github.com/octo/hello/issues/7#issuecomment-9"
LINKED: list[tuple[str, dict[str, Any], str]] = [
    ("issue_comment.created", {"comment.html_url": ADDRESS}, f'<a href="{ADDRESS}">commented</a>'),
    ("discussion_comment.created", {"comment.html_url": ADDRESS}, f'<a href="{ADDRESS}">commented</a>'),
    (
        "pull_request_review.submitted.approved",
        {"review.html_url": ADDRESS},
        f'<a href="{ADDRESS}">approved the pull request</a>',
    ),
    (
        "check_run.completed.branch",
        {},
        'for <a href="https://github.com/octo/hello/commit/6f2a8c1e0b7d4935a1c2e3f405162738495a6b7c">6f2a8c1</a>',
    ),
    (
        "status.success",
        {},
        'for <a href="https://github.com/octo/hello/commit/6f2a8c1e0b7d4935a1c2e3f405162738495a6b7c">6f2a8c1</a>',
    ),
    (
        "deployment_status.created.failure",
        {"deployment_status.log_url": "https://github.com/octo/hello/actions/runs/9/job/8"},
        '<a href="https://github.com/octo/hello/actions/runs/9/job/8">failed to deploy</a>',
    ),
]


@pytest.mark.parametrize(("name", "changes", "linked"), LINKED)
def test_the_title_links_to_the_comment_commit_or_job(name: str, changes: dict[str, Any], linked: str) -> None:
    activity = variant(name, changes).activity

    assert activity is not None
    assert linked in activity.title


def test_a_check_in_a_commit_s_thread_does_not_repeat_the_commit() -> None:
    activity = variant("check_run.completed.fork", {}).activity

    assert activity is not None
    assert activity.title.endswith("failed</a> after 1 min 5 s")


def test_a_failed_pages_build_names_who_started_it() -> None:
    event = variant("page_build.errored", {"build.pusher": {"login": "tomas-brandt", "type": "User"}})

    assert event.summary == "GitHub Pages could not build the site (started by tomas-brandt) in"
    assert event.facts["authors"] == ("tomas-brandt",)


ACTIONS_ALONE = [
    "branch_protection_rule.edited",
    "discussion.created",
    "discussion_comment.created",
    "issue_comment.created",
    "issues.opened",
    "member.added",
    "milestone.closed",
    "package.published",
    "pull_request.opened",
    "pull_request_review_comment.created",
    "pull_request_review_thread.resolved",
    "release.published",
    "repository.archived",
]


@pytest.mark.parametrize("name", ACTIONS_ALONE)
def test_an_unknown_action_is_stored_as_not_supported(name: str) -> None:
    event = variant(name, {"action": "teleported"})

    assert event.activity is None
    assert event.why_not == f"the GitHub event {event.kind}.teleported is not supported"


def test_a_branch_that_is_created_again_is_no_longer_deleted() -> None:
    deleted = variant("delete.branch", {}).activity
    created = variant("create.branch", {}).activity
    assert deleted is not None
    assert created is not None
    assert deleted.thread_id == created.thread_id

    assert deleted.thread.status is not None
    assert created.thread.over(deleted.thread).status is None


def test_a_new_branch_keeps_the_commit_of_its_push() -> None:
    pushed = variant("push", {"ref": "refs/heads/greet"}).activity
    created = variant("create.branch", {}).activity
    assert pushed is not None
    assert created is not None

    assert created.thread.over(pushed.thread).fields == pushed.thread.fields


def test_a_package_of_an_organization_belongs_to_no_repository() -> None:
    organization = {"X-GitHub-Hook-Installation-Target-Type": "organization"}

    activity = variant("package.published", {"repository": None}, **organization).activity

    assert activity is not None
    assert activity.thread_id == "package:pypi:hello"


def test_of_many_wiki_pages_some_are_named() -> None:
    page = {"title": "Home", "action": "edited", "html_url": "https://github.com/octo/hello/wiki/Home"}

    event = variant("gollum", {"pages": [page] * 7})

    assert event.summary == "lea-cohen edited the wiki pages Home, Home, Home, Home, Home and 2 more in"


@pytest.mark.parametrize("bad", ["javascript:alert(1)", "not an address", 7, {"a": 1}])
def test_an_invalid_avatar_or_comparison_is_left_out(bad: Any) -> None:
    activity = variant("push", {"sender.avatar_url": bad, "compare": bad}).activity

    assert activity is not None
    assert activity.author.avatar == ""
    assert '<a href="https://github.com/octo/hello/commits/' in activity.title
