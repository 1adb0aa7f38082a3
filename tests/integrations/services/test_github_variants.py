"""Actions and outcomes that differ in little from a recorded payload, and what GitHub now and then leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.services import SERVICES
from integrations.services.base import Event

from .recorded import HERE, Recorded

GITHUB = SERVICES["github"]
LEA = {"login": "lea-cohen", "type": "User"}
BUG = {"name": "bug"}


def variant(name: str, changes: dict[str, Any], **headers: str) -> Event:
    return Recorded(GITHUB, HERE / "github" / f"{name}.json").changed(changes, **headers)


def status_of(event: Event) -> str:
    assert event.activity is not None, event.why_not
    status = event.activity.thread.status
    return f"{status.value} {status.color}" if status else "-"


# The payload, what is different in it, the line in the log, the thread's status, the word of the filter on events.
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
    ("issues.locked", {"action": "unlocked"}, "unlocked the conversation of", "open green", "issues.locked"),
    ("issues.milestoned", {"action": "demilestoned"}, "removed the milestone from", "open green", "issues.milestoned"),
    ("issues.pinned", {"action": "unpinned"}, "unpinned issue", "open green", "issues.pinned"),
    (
        "issues.edited",
        {"changes": {"body": {"from": "Before"}}},
        "edited the description of",
        "open green",
        "issues.edited",
    ),
    # A label that was deleted is taken off without being named.
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
        "removed from the merge queue:",
        "open green",
        "pull_request.queued",
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
    # Reviewed after all was over: that changes nothing about the state.
    (
        "pull_request_review.submitted.changes_requested",
        {"pull_request.state": "closed", "pull_request.merged_at": "2026-01-15T10:00:00Z"},
        "asked for changes in",
        "merged purple",
        "pull_request_review.changes_requested",
    ),
    (
        "pull_request_review.submitted.approved",
        {"pull_request.state": "closed"},
        "approved",
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
        "added label bug to",
        "open green",
        "discussion.labeled",
    ),
    (
        "discussion.created",
        {"action": "unlabeled", "label": BUG},
        "removed label bug from",
        "open green",
        "discussion.unlabeled",
    ),
    (
        "discussion.created",
        {"action": "closed", "discussion.state": "closed"},
        "closed discussion",
        "closed grey",
        "discussion.closed",
    ),
    ("discussion.created", {"action": "reopened"}, "reopened discussion", "open green", "discussion.reopened"),
    ("discussion.created", {"action": "pinned"}, "pinned discussion", "open green", "discussion.pinned"),
    (
        "discussion.created",
        {"action": "unanswered"},
        "took back the chosen answer to",
        "open green",
        "discussion.answered",
    ),
    (
        "discussion.created",
        {"action": "category_changed"},
        "moved discussion to Q&A:",
        "open green",
        "discussion.edited",
    ),
    # GitHub sends the state that it had before.
    ("discussion.created", {"action": "deleted"}, "deleted discussion", "deleted grey", "discussion.deleted"),
    ("discussion.answered", {"action": "deleted"}, "deleted discussion", "deleted grey", "discussion.deleted"),
    (
        "discussion.created",
        {"action": "transferred"},
        "moved discussion to another repository",
        "transferred grey",
        "discussion.deleted",
    ),
    ("milestone.closed", {"action": "deleted"}, "deleted milestone", "deleted grey", "milestone.changed"),
    (
        "milestone.closed",
        {"action": "opened", "milestone.state": "open"},
        "reopened milestone",
        "open green",
        "milestone.changed",
    ),
    ("push.forced", {"commits": []}, "force-pushed release/2.4 back to 0000000 in", "-", "push"),
    (
        "release.published",
        {"action": "unpublished", "release.draft": True},
        "unpublished release",
        "draft grey",
        "release.changed",
    ),
    ("release.published", {"action": "edited"}, "edited release", "released cyan", "release.changed"),
    ("member.added", {"member": LEA}, "accepted the invitation to", "-", "member"),
    ("member.added", {"action": "removed"}, "took tomas-brandt’s access away:", "-", "member"),
    ("member.added", {"action": "removed", "member": LEA}, "gave up their access to", "-", "member"),
    ("member.added", {"action": "edited"}, "changed tomas-brandt’s access to", "-", "member"),
    (
        "branch_protection_rule.edited",
        {"action": "created"},
        "protected branch main in",
        "-",
        "branch_protection_rule",
    ),
    (
        "branch_protection_rule.edited",
        {"action": "deleted"},
        "removed the protection of branch main in",
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
        "took the repository out of the archive:",
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
    assert word in {choice.value for choice in GITHUB.rules[0].choices}, "people can switch it off"


# A conclusion, what is said of it after the run's name, the status of the thread, the word of the filter.
OUTCOMES = [
    ("failure", "failed in 6 min 12 s", "failed red", "failed"),
    ("timed_out", "timed out after 6 min 12 s", "timed out red", "failed"),
    ("cancelled", "was cancelled after 6 min 12 s", "cancelled grey", "cancelled"),
    # Nothing ran: the time between the two marks is nobody's work.
    ("startup_failure", "could not start", "failed red", "failed"),
    ("action_required", "waits for somebody to act", "waiting yellow", "waiting"),
]


@pytest.mark.parametrize(("conclusion", "words", "status", "word"), OUTCOMES)
def test_run_says_how_it_ended(conclusion: str, words: str, status: str, word: str) -> None:
    event = variant("workflow_run.completed.success", {"workflow_run.conclusion": conclusion})

    assert event.summary == f"GitHub Actions Build #1187 {words} for"
    assert status_of(event) == status
    assert event.facts["events"] == (f"workflow_run.{word}",)


@pytest.mark.parametrize(
    ("end", "time"),
    [
        ("2026-01-15T10:00:07Z", " in 7 s"),
        ("2026-01-15T12:05:30Z", " in 2 h 5 min"),
        # Clocks differ, and a run of no time has no time worth a word.
        ("2026-01-15T10:00:00Z", ""),
        ("2026-01-15T09:59:00Z", ""),
        ("2026-01-15T10:00:07", ""),
    ],
)
def test_run_says_how_long_it_took(end: str, time: str) -> None:
    times = {"workflow_run.run_started_at": "2026-01-15T10:00:00Z", "workflow_run.updated_at": end}

    assert variant("workflow_run.completed.success", times).summary == f"GitHub Actions Build #1187 passed{time} for"


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out"])
def test_checks_that_did_not_all_pass_are_counted(conclusion: str) -> None:
    event = variant("check_suite.completed.success", {"check_suite.conclusion": conclusion})

    assert event.summary == "Jenkins not all 3 checks passed for"


KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("check_suite.completed.success", {"action": "requested"}, "only what came of checks is posted"),
    (
        "check_suite.completed.success",
        {"check_suite.conclusion": "skipped"},
        "its outcome, skipped, decides nothing",
    ),
    ("workflow_run.completed.success", {"workflow_run.conclusion": None}, "GitHub does not say its outcome"),
    (
        "pull_request_review.submitted.approved",
        {"action": "edited"},
        "an edited review changes no decision",
    ),
    (
        "deployment_status.created.success",
        {"deployment_status.state": "inactive"},
        "a later deployment took its place",
    ),
    ("gollum", {"pages": []}, "it names no page"),
    ("create.branch", {"ref_type": "repository"}, "GitHub's create repository is not a kind we post"),
]


@pytest.mark.parametrize(("name", "changes", "why_not"), KEPT)
def test_variant_is_kept_for_a_reason(name: str, changes: dict[str, Any], why_not: str) -> None:
    assert variant(name, changes).why_not == why_not


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
def test_action_that_github_will_invent_is_kept_and_named(name: str) -> None:
    event = variant(name, {"action": "teleported"})

    assert event.activity is None
    assert event.why_not == f"GitHub's {event.kind} teleported is not a kind we post"


def test_branch_that_is_created_again_is_no_longer_deleted() -> None:
    deleted = variant("delete.branch", {}).activity
    created = variant("create.branch", {}).activity
    assert deleted is not None
    assert created is not None
    assert deleted.thread_id == created.thread_id

    assert deleted.thread.status is not None
    assert created.thread.over(deleted.thread).status is None


def test_new_branch_keeps_the_commit_that_its_push_has_told_before() -> None:
    pushed = variant("push", {"ref": "refs/heads/greet"}).activity
    created = variant("create.branch", {}).activity
    assert pushed is not None
    assert created is not None

    assert created.thread.over(pushed.thread).fields == pushed.thread.fields


def test_package_of_an_organisation_belongs_to_no_repository() -> None:
    organisation = {"X-GitHub-Hook-Installation-Target-Type": "organization"}

    activity = variant("package.published", {"repository": None}, **organisation).activity

    assert activity is not None
    assert activity.thread_id == "package:pypi:hello"


def test_many_wiki_pages_are_counted() -> None:
    page = {"title": "Home", "action": "edited", "html_url": "https://github.com/octo/hello/wiki/Home"}

    event = variant("gollum", {"pages": [page] * 7})

    assert event.summary == "lea-cohen edited Home, Home, Home, Home, Home and 2 more in"
