"""The filters for GitLab's events, and the presets."""

from __future__ import annotations

from integrations.services.base import Preset
from integrations.services.code_hosts import BOTS, authors, branches, drafts, events, labels
from integrations.services.filters import Choice, Rule

# Under each heading, the values of `Wording.event_type` and their titles in check boxes and verdicts.
EVENTS: dict[str, dict[str, str]] = {
    "Issues and other work items": {
        "issue.opened": "Issue opened",
        "issue.closed": "Issue closed",
        "issue.reopened": "Issue reopened",
        "issue.labeled": "Issue labeled",
        "issue.unlabeled": "Label removed from issue",
        "issue.assigned": "Issue assigned or unassigned",
        "issue.milestoned": "Issue milestone changed",
        "issue.edited": "Issue edited",
        "issue.locked": "Issue locked or unlocked",
    },
    "Merge requests": {
        "merge_request.opened": "Merge request opened",
        "merge_request.merged": "Merge request merged",
        "merge_request.closed": "Merge request closed without merging",
        "merge_request.reopened": "Merge request reopened",
        "merge_request.ready": "Merge request ready for review",
        "merge_request.draft": "Merge request converted to draft",
        "merge_request.pushed": "Commits pushed to merge request",
        "merge_request.labeled": "Merge request labeled",
        "merge_request.unlabeled": "Label removed from merge request",
        "merge_request.assigned": "Merge request assigned or unassigned",
        "merge_request.milestoned": "Merge request milestone changed",
        "merge_request.edited": "Merge request edited",
        "merge_request.locked": "Merge request locked or unlocked",
        "merge_request.auto_merge": "Auto-merge enabled or disabled",
    },
    "Reviews": {
        "merge_request.review_requested": "Review requested",
        "merge_request.review_request_removed": "Review request removed",
        "merge_request.approved": "Merge request approved",
        "merge_request.unapproved": "Approval revoked",
        "merge_request.changes_requested": "Changes requested",
        "merge_request.reviewed": "Review without a decision",
    },
    "Comments": {
        "note.issue": "Comment on issue",
        "note.merge_request": "Comment on merge request",
        "note.commit": "Comment on commit",
        "note.snippet": "Comment on snippet",
        "note.wiki_page": "Comment on wiki page",
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
        "pipeline.waiting": "Pipeline waiting for action",
        "pipeline.cancelled": "Pipeline canceled",
        "build.failed": "Job failed",
        "deployment.failed": "Deployment failed",
        "deployment.passed": "Deployment succeeded",
        "deployment.waiting": "Deployment waiting for approval",
        "deployment.approved": "Deployment approved or rejected",
        "deployment.cancelled": "Deployment canceled",
        "feature_flag": "Feature flag enabled or disabled",
    },
    "Releases": {
        "release.published": "Release published",
        "release.changed": "Release edited or deleted",
        "milestone.closed": "Milestone closed",
        "milestone.changed": "Milestone created, reopened, edited or deleted",
    },
    "Project and group": {
        "wiki_page": "Wiki page changed",
        "member": "Member added, changed or removed; access requested",
        "project": "Project created, renamed, transferred or deleted",
        "group": "Group created, renamed or deleted",
        "token.expiring": "Token expiring soon",
    },
}

CONFIDENTIAL = Rule(
    "confidential",
    "Confidential",
    "",
    hint="Issues and notes that not all project members can see. In the flow, everybody can read them.",
    choices=(
        Choice("confidential", "Confidential work item"),
        Choice("internal", "Internal note"),
    ),
)
RULES = (
    events(EVENTS),
    CONFIDENTIAL,
    branches("merge request"),
    labels("issue or merge request"),
    authors("username, such as lea-cohen or project_4242_bot*"),
    BOTS,
    drafts("merge request"),
)

# Part of every preset: confidential events are posted only if a person has chosen so.
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
    Preset("everything", "Everything", "Every event that is not confidential.", IN_PUBLIC),
    Preset(
        "decisions",
        "Decisions and failures",
        "Opened, approved, merged, closed and released work, and failures. No comments, labels or pushes.",
        {"events": {"any_of": (*DECISIONS, *FAILURES, "token.expiring")}, **IN_PUBLIC},
    ),
    Preset(
        "releases",
        "Releases only",
        "Published releases.",
        {"events": {"any_of": ("release.published",)}, **IN_PUBLIC},
    ),
)
