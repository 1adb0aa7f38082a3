"""The filters for GitHub's events, and the presets."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.services.base import EVERYTHING, Preset
from integrations.services.code_hosts import BOTS, authors, branches, drafts, events, labels

# Under each heading, the values of `Wording.event_type` and their titles in check boxes and verdicts.
EVENTS: dict[str, dict[str, str]] = {
    "Issues": {
        "issues.opened": "Issue opened",
        "issues.closed": "Issue closed",
        "issues.reopened": "Issue reopened",
        "issues.labeled": "Issue labeled",
        "issues.unlabeled": "Label removed from issue",
        "issues.assigned": "Issue assigned or unassigned",
        "issues.milestoned": "Issue milestone changed",
        "issues.edited": "Issue edited",
        "issues.locked": "Issue locked or unlocked",
        "issues.pinned": "Issue pinned or unpinned",
        "issues.transferred": "Issue transferred",
        "issues.deleted": "Issue deleted",
    },
    "Pull requests": {
        "pull_request.opened": "Pull request opened",
        "pull_request.merged": "Pull request merged",
        "pull_request.closed": "Pull request closed without merging",
        "pull_request.reopened": "Pull request reopened",
        "pull_request.ready_for_review": "Pull request ready for review",
        "pull_request.converted_to_draft": "Pull request converted to draft",
        "pull_request.synchronize": "Commits pushed to pull request",
        "pull_request.labeled": "Pull request labeled",
        "pull_request.unlabeled": "Label removed from pull request",
        "pull_request.assigned": "Pull request assigned or unassigned",
        "pull_request.milestoned": "Pull request milestone changed",
        "pull_request.edited": "Pull request edited",
        "pull_request.locked": "Pull request locked or unlocked",
        "pull_request.auto_merge": "Auto-merge enabled or disabled",
        "pull_request.queued": "Pull request added to or removed from the merge queue",
    },
    "Reviews": {
        "pull_request.review_requested": "Review requested",
        "pull_request.review_request_removed": "Review request removed",
        "pull_request_review.approved": "Pull request approved",
        "pull_request_review.changes_requested": "Changes requested",
        "pull_request_review.commented": "Review without a decision",
        "pull_request_review.dismissed": "Review dismissed",
        "pull_request_review_thread.resolved": "Conversation resolved or reopened",
    },
    "Comments": {
        "issue_comment.created": "Comment on issue or pull request",
        "issue_comment.edited": "Comment edited",
        "issue_comment.deleted": "Comment deleted",
        "pull_request_review_comment.created": "Comment on lines of pull request",
        "pull_request_review_comment.edited": "Comment on lines edited",
        "pull_request_review_comment.deleted": "Comment on lines deleted",
        "commit_comment.created": "Comment on commit",
    },
    "Discussions": {
        "discussion.created": "Discussion started",
        "discussion.answered": "Answer marked or unmarked",
        "discussion.closed": "Discussion closed",
        "discussion.reopened": "Discussion reopened",
        "discussion.labeled": "Discussion labeled",
        "discussion.unlabeled": "Label removed from discussion",
        "discussion.edited": "Discussion edited",
        "discussion.locked": "Discussion locked or unlocked",
        "discussion.pinned": "Discussion pinned or unpinned",
        "discussion.deleted": "Discussion deleted or transferred",
        "discussion_comment.created": "Comment on discussion",
        "discussion_comment.edited": "Discussion comment edited",
        "discussion_comment.deleted": "Discussion comment deleted",
    },
    "Code": {
        "push": "Push",
        "create.branch": "Branch created",
        "delete.branch": "Branch deleted",
        "create.tag": "Tag created",
        "delete.tag": "Tag deleted",
    },
    "Checks and deployments": {
        "workflow_run.failed": "Workflow run failed",
        "workflow_run.passed": "Workflow run passed",
        "workflow_run.waiting": "Workflow run waiting for action",
        "workflow_run.cancelled": "Workflow run canceled",
        "check_run.failed": "Check failed",
        "check_run.passed": "Check passed",
        "check_run.waiting": "Check waiting for action",
        "check_run.cancelled": "Check canceled",
        "check_suite.failed": "Check suite failed",
        "check_suite.passed": "Check suite passed",
        "check_suite.waiting": "Check suite waiting for action",
        "check_suite.cancelled": "Check suite canceled",
        "status.failed": "Commit status failed",
        "status.passed": "Commit status passed",
        "deployment_status.failed": "Deployment failed",
        "deployment_status.passed": "Deployment succeeded",
        "page_build": "Pages build failed",
    },
    "Releases": {
        "release.published": "Release published",
        "release.prereleased": "Pre-release published",
        "release.changed": "Release edited, unpublished or deleted",
        "package.published": "Package published",
        "milestone.closed": "Milestone closed",
        "milestone.changed": "Milestone created, edited or deleted",
    },
    "Repository": {
        "star": "Star",
        "fork": "Fork",
        "gollum": "Wiki changed",
        "member": "Collaborator added, changed or removed",
        "branch_protection_rule": "Branch protection changed",
        "repository": "Repository renamed, transferred or changed",
    },
}

RULES = (
    events(EVENTS),
    branches("pull request"),
    labels("issue, pull request or discussion"),
    authors("login, such as lea-cohen or dependabot[bot]"),
    BOTS,
    drafts("pull request"),
)

DECISIONS = (
    "issues.opened",
    "issues.closed",
    "issues.reopened",
    "pull_request.opened",
    "pull_request.merged",
    "pull_request.closed",
    "pull_request.reopened",
    "pull_request_review.approved",
    "pull_request_review.changes_requested",
    "discussion.answered",
    "release.published",
    "release.prereleased",
    "deployment_status.passed",
    "milestone.closed",
    "repository",
)
RELEASES = ("release.published", "release.prereleased", "package.published")


def failures() -> Iterator[str]:
    return (
        event_type
        for titles in EVENTS.values()
        for event_type in titles
        if event_type.endswith((".failed", ".waiting"))
    )


PRESETS = (
    EVERYTHING,
    Preset(
        "decisions",
        "Decisions and failures",
        "Opened, approved, merged, closed and released work, and failures. No comments, labels or pushes.",
        {"events": {"any_of": (*DECISIONS, *failures(), "page_build")}},
    ),
    Preset("releases", "Releases only", "Published releases and packages.", {"events": {"any_of": RELEASES}}),
)
