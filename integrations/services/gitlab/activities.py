"""The handlers of GitLab's events, and the reasons why other events are stored but not posted."""

from __future__ import annotations

from collections.abc import Mapping

from . import checks, code, project_events, work
from .wording import Handler

ACTIVITIES: Mapping[str, Handler] = {
    "build": checks.build,
    "deployment": checks.deployment,
    "emoji": work.emoji,
    "feature_flag": code.feature_flag,
    "issue": work.issue,
    "merge_request": work.merge_request,
    "milestone": work.milestone,
    "note": work.note,
    "pipeline": checks.pipeline,
    "push": code.push,
    "release": code.release,
    "tag_push": code.tag_push,
    "wiki_page": code.wiki_page,
    "work_item": work.issue,
    **project_events.MEMBERS,
    **project_events.PLACES,
    **project_events.TOKENS,
}

ACCOUNTS = "accounts concern only the administrators of GitLab"
KEYS = "keys concern only their owners and the administrators of GitLab"
REFUSED = "refused and withdrawn access requests concern only the people involved"
SEATS = "this event is about the subscription’s seats"

UNPOSTED: Mapping[str, str] = {
    "gitlab_subscription_member_approval": SEATS,
    "gitlab_subscription_member_approvals": SEATS,
    "key_create": KEYS,
    "key_destroy": KEYS,
    "project_update": "the event does not say what changed in the project",
    "repository_update": "GitLab sends a separate event for the push",
    "user_access_request_denied_for_group": REFUSED,
    "user_access_request_denied_for_project": REFUSED,
    "user_access_request_revoked_for_group": REFUSED,
    "user_access_request_revoked_for_project": REFUSED,
    "user_create": ACCOUNTS,
    "user_destroy": ACCOUNTS,
    "user_failed_login": ACCOUNTS,
    "user_rename": ACCOUNTS,
    "vulnerability": "vulnerabilities are visible to fewer people than a flow",
}
