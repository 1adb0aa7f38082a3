"""GitLab's kinds of events and how they are worded; what is not worded is kept, and here is why."""

from __future__ import annotations

from collections.abc import Mapping

from . import checks, code, project_events, work
from .payload import Handler

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
    **project_events.STANDING,
    **project_events.TOKENS,
}

ACCOUNTS = "accounts are for those who administer GitLab"
KEYS = "keys are for those who hold them and for those who administer GitLab"
REFUSED = "it stays between those who asked and those who decide"
SEATS = "it concerns the subscription’s seats, not the work"

UNPOSTED: Mapping[str, str] = {
    "gitlab_subscription_member_approval": SEATS,
    "gitlab_subscription_member_approvals": SEATS,
    "key_create": KEYS,
    "key_destroy": KEYS,
    "project_update": "GitLab does not say what of the project changed",
    "repository_update": "GitLab reports the push itself as well",
    "user_access_request_denied_for_group": REFUSED,
    "user_access_request_denied_for_project": REFUSED,
    "user_access_request_revoked_for_group": REFUSED,
    "user_access_request_revoked_for_project": REFUSED,
    "user_create": ACCOUNTS,
    "user_destroy": ACCOUNTS,
    "user_failed_login": ACCOUNTS,
    "user_rename": ACCOUNTS,
    "vulnerability": "GitLab shows vulnerabilities to fewer people than read a flow",
}
