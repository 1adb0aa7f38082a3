"""What people can choose of GitLab's events, and the choices to begin with."""

from __future__ import annotations

from integrations.services.base import Preset
from integrations.services.code_hosts import BOTS, authors, branches, drafts, events, labels
from integrations.services.filters import Choice, Rule

# A heading; then the words of `Told.word` with the titles that boxes and verdicts have: "issue labelled is excluded".
EVENTS: dict[str, dict[str, str]] = {
    "Issues and other work items": {
        "issue.opened": "Issue opened",
        "issue.closed": "Issue closed",
        "issue.reopened": "Issue reopened",
        "issue.labeled": "Issue labelled",
        "issue.unlabeled": "Label removed from issue",
        "issue.assigned": "Issue assigned or unassigned",
        "issue.milestoned": "Milestone of issue changed",
        "issue.edited": "Issue edited",
        "issue.locked": "Issue locked or unlocked",
    },
    "Merge requests": {
        "merge_request.opened": "Merge request opened",
        "merge_request.merged": "Merge request merged",
        "merge_request.closed": "Merge request closed without merging",
        "merge_request.reopened": "Merge request reopened",
        "merge_request.ready": "Merge request ready for review",
        "merge_request.draft": "Merge request turned back into a draft",
        "merge_request.pushed": "New commits in merge request",
        "merge_request.labeled": "Merge request labelled",
        "merge_request.unlabeled": "Label removed from merge request",
        "merge_request.assigned": "Merge request assigned or unassigned",
        "merge_request.milestoned": "Milestone of merge request changed",
        "merge_request.edited": "Merge request edited",
        "merge_request.locked": "Merge request locked or unlocked",
        "merge_request.auto_merge": "Auto-merge switched on or off",
    },
    "Reviews": {
        "merge_request.review_requested": "Review requested",
        "merge_request.review_request_removed": "Request for review taken back",
        "merge_request.approved": "Merge request approved",
        "merge_request.unapproved": "Approval taken back",
        "merge_request.changes_requested": "Changes asked for",
        "merge_request.reviewed": "Review without a decision",
    },
    "Comments": {
        "note.issue": "Comment on issue",
        "note.merge_request": "Comment on merge request",
        "note.commit": "Comment on a commit",
        "note.snippet": "Comment on a snippet",
        "note.wiki_page": "Comment on a wiki page",
        "note.edited": "Comment edited",
        "emoji": "Reaction",
    },
    "Code": {
        "push": "Push",
        "branch.created": "Branch created",
        "branch.deleted": "Branch deleted",
        "tag.created": "Tag created",
        "tag.moved": "Tag moved",
        "tag.deleted": "Tag deleted",
    },
    "Pipelines and deployments": {
        "pipeline.failed": "Pipeline failed",
        "pipeline.passed": "Pipeline passed",
        "pipeline.waiting": "Pipeline waiting for somebody",
        "pipeline.cancelled": "Pipeline cancelled",
        "build.failed": "Job failed",
        "deployment.failed": "Deployment failed",
        "deployment.passed": "Deployment done",
        "deployment.waiting": "Deployment waiting for approval",
        "deployment.approved": "Deployment approved or rejected",
        "deployment.cancelled": "Deployment cancelled",
        "feature_flag": "Feature flag switched on or off",
    },
    "Releases": {
        "release.published": "Release published",
        "release.changed": "Release edited or deleted",
        "milestone.closed": "Milestone closed",
        "milestone.changed": "Milestone created, reopened, edited or deleted",
    },
    "Project and group": {
        "wiki_page": "Wiki page changed",
        "member": "Member added, changed, removed or asking for access",
        "project": "Project created, renamed, moved or deleted",
        "group": "Group created, renamed or deleted",
        "token.expiring": "Token about to expire",
    },
}

CONFIDENTIAL = Rule(
    "confidential",
    "Confidential",
    "",
    hint="Issues and notes that GitLab shows to fewer people than see the project. In the flow everybody reads them.",
    choices=(
        Choice("confidential", "Confidential work"),
        Choice("internal", "Internal note"),
    ),
)
RULES = (
    events(EVENTS),
    CONFIDENTIAL,
    branches("merge request"),
    labels("issue or merge request"),
    authors("username: lea-cohen, project_4242_bot*"),
    BOTS,
    drafts("merge request"),
)

# In every preset: what is not for everybody is posted only where a person has asked for it.
IN_PUBLIC = {"confidential": {"none_of": tuple(choice.value for choice in CONFIDENTIAL.choices)}}
DECISIONS = (
    "issue.opened",
    "issue.closed",
    "issue.reopened",
    "merge_request.opened",
    "merge_request.merged",
    "merge_request.closed",
    "merge_request.reopened",
    "merge_request.approved",
    "merge_request.unapproved",
    "merge_request.changes_requested",
    "release.published",
    "deployment.passed",
    "deployment.approved",
    "feature_flag",
    "milestone.closed",
    "project",
)
FAILURES = tuple(
    event_type for words in EVENTS.values() for event_type in words if event_type.endswith((".failed", ".waiting"))
)

PRESETS = (
    Preset("everything", "Everything", "Whatever happens, as it happens, save what is confidential.", IN_PUBLIC),
    Preset(
        "decisions",
        "Decisions and failures",
        "What was opened, approved, merged, closed and released, and what failed. No chatter.",
        {"events": {"any_of": (*DECISIONS, *FAILURES, "token.expiring")}, **IN_PUBLIC},
    ),
    Preset(
        "releases",
        "Releases only",
        "Releases as they are published.",
        {"events": {"any_of": ("release.published",)}, **IN_PUBLIC},
    ),
)
