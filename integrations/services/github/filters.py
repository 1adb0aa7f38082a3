"""What people can choose of GitHub's events, and the choices to begin with."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.services.base import Preset
from integrations.services.code_hosts import BOTS, authors, branches, drafts, events, labels

# A heading; then the words of `Told.word` with the titles that boxes and verdicts have: "issue labelled is excluded".
EVENTS: dict[str, dict[str, str]] = {
    "Issues": {
        "issues.opened": "Issue opened",
        "issues.closed": "Issue closed",
        "issues.reopened": "Issue reopened",
        "issues.labeled": "Issue labelled",
        "issues.unlabeled": "Label removed from issue",
        "issues.assigned": "Issue assigned or unassigned",
        "issues.milestoned": "Milestone of issue changed",
        "issues.edited": "Issue edited",
        "issues.locked": "Issue locked or unlocked",
        "issues.pinned": "Issue pinned or unpinned",
        "issues.transferred": "Issue moved to another repository",
        "issues.deleted": "Issue deleted",
    },
    "Pull requests": {
        "pull_request.opened": "Pull request opened",
        "pull_request.merged": "Pull request merged",
        "pull_request.closed": "Pull request closed without merging",
        "pull_request.reopened": "Pull request reopened",
        "pull_request.ready_for_review": "Pull request ready for review",
        "pull_request.converted_to_draft": "Pull request turned back into a draft",
        "pull_request.synchronize": "New commits in pull request",
        "pull_request.labeled": "Pull request labelled",
        "pull_request.unlabeled": "Label removed from pull request",
        "pull_request.assigned": "Pull request assigned or unassigned",
        "pull_request.milestoned": "Milestone of pull request changed",
        "pull_request.edited": "Pull request edited",
        "pull_request.locked": "Pull request locked or unlocked",
        "pull_request.auto_merge": "Auto-merge switched on or off",
        "pull_request.queued": "Pull request into or out of the merge queue",
    },
    "Reviews": {
        "pull_request.review_requested": "Review requested",
        "pull_request.review_request_removed": "Request for review taken back",
        "pull_request_review.approved": "Pull request approved",
        "pull_request_review.changes_requested": "Changes asked for",
        "pull_request_review.commented": "Review without a decision",
        "pull_request_review.dismissed": "Review dismissed",
        "pull_request_review_thread.resolved": "Conversation resolved or reopened",
    },
    "Comments": {
        "issue_comment.created": "Comment on issue or pull request",
        "issue_comment.edited": "Comment edited",
        "issue_comment.deleted": "Comment deleted",
        "pull_request_review_comment.created": "Comment on lines of a pull request",
        "pull_request_review_comment.edited": "Comment on lines edited",
        "pull_request_review_comment.deleted": "Comment on lines deleted",
        "commit_comment.created": "Comment on a commit",
    },
    "Discussions": {
        "discussion.created": "Discussion started",
        "discussion.answered": "Answer chosen or taken back",
        "discussion.closed": "Discussion closed",
        "discussion.reopened": "Discussion reopened",
        "discussion.labeled": "Discussion labelled",
        "discussion.unlabeled": "Label removed from discussion",
        "discussion.edited": "Discussion edited",
        "discussion.locked": "Discussion locked or unlocked",
        "discussion.pinned": "Discussion pinned or unpinned",
        "discussion.deleted": "Discussion deleted or moved",
        "discussion_comment.created": "Comment on a discussion",
        "discussion_comment.edited": "Comment on a discussion edited",
        "discussion_comment.deleted": "Comment on a discussion deleted",
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
        "workflow_run.waiting": "Workflow run waiting for somebody",
        "workflow_run.cancelled": "Workflow run cancelled",
        "check_run.failed": "Check failed",
        "check_run.passed": "Check passed",
        "check_run.waiting": "Check waiting for somebody",
        "check_run.cancelled": "Check cancelled",
        "check_suite.failed": "Set of checks failed",
        "check_suite.passed": "Set of checks passed",
        "check_suite.waiting": "Set of checks waiting for somebody",
        "check_suite.cancelled": "Set of checks cancelled",
        "status.failed": "Commit status failed",
        "status.passed": "Commit status passed",
        "deployment_status.failed": "Deployment failed",
        "deployment_status.passed": "Deployment done",
        "page_build": "Pages site failed to build",
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
        "member": "Access given or taken away",
        "branch_protection_rule": "Branch protection changed",
        "repository": "Repository renamed, moved or changed",
    },
}

RULES = (
    events(EVENTS),
    branches("pull request"),
    labels("issue, pull request or discussion"),
    authors("login: lea-cohen, dependabot[bot]"),
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
    Preset("everything", "Everything", "Whatever happens in the repository, as it happens."),
    Preset(
        "decisions",
        "Decisions and failures",
        "What was opened, approved, merged, closed and released, and what failed. No chatter.",
        {"events": {"any_of": (*DECISIONS, *failures(), "page_build")}},
    ),
    Preset(
        "releases", "Releases only", "Releases and packages as they are published.", {"events": {"any_of": RELEASES}}
    ),
)
