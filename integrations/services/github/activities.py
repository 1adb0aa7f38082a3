"""GitHub's events and how they are worded; what is not worded is kept, and here is why."""

from __future__ import annotations

from collections.abc import Mapping

from . import checks, code, repository_events, work
from .work import Handler

ACTIVITIES: Mapping[str, Handler] = {
    "branch_protection_rule": repository_events.branch_protection_rule,
    "check_run": checks.check_run,
    "check_suite": checks.check_suite,
    "commit_comment": code.commit_comment,
    "create": code.create,
    "delete": code.delete,
    "deployment_status": checks.deployment_status,
    "discussion": work.discussion,
    "discussion_comment": work.discussion_comment,
    "fork": repository_events.fork,
    "gollum": code.gollum,
    "issue_comment": work.issue_comment,
    "issues": work.issues,
    "member": repository_events.member,
    "milestone": work.milestone,
    "package": code.package,
    "page_build": repository_events.page_build,
    "public": repository_events.public,
    "pull_request": work.pull_request,
    "pull_request_review": work.pull_request_review,
    "pull_request_review_comment": work.pull_request_review_comment,
    "pull_request_review_thread": work.pull_request_review_thread,
    "push": code.push,
    "release": code.release,
    "repository": repository_events.repository,
    "star": repository_events.star,
    "status": checks.status,
    "workflow_run": checks.workflow_run,
}

ALERTS = "GitHub shows security alerts to fewer people than read a flow"
APPS = "it concerns a GitHub App, not the repository’s work"
BOARDS = "boards move all the time; what their issues go through is posted"
ORGANISATION = "it concerns the organisation, not the repository’s work"
TEAMS = "it concerns the organisation’s teams, not the repository’s work"

UNPOSTED: Mapping[str, str] = {
    "code_scanning_alert": ALERTS,
    "custom_property": ORGANISATION,
    "custom_property_values": ORGANISATION,
    "dependabot_alert": ALERTS,
    "deploy_key": "keys are for those who administer the repository",
    "deployment": "what comes of a deployment is posted",
    "deployment_protection_rule": "it is for the app that guards the deployment",
    "deployment_review": "what comes of a deployment is posted",
    "github_app_authorization": APPS,
    "installation": APPS,
    "installation_repositories": APPS,
    "installation_target": APPS,
    "label": "labels are posted where they are used",
    "marketplace_purchase": APPS,
    "membership": TEAMS,
    "merge_group": "what comes of the merge queue is posted with its pull requests",
    "meta": "it concerns the webhook itself",
    "org_block": ORGANISATION,
    "organization": ORGANISATION,
    "personal_access_token_request": ORGANISATION,
    "ping": "a ping only says that the webhook is there",
    "project": BOARDS,
    "project_card": BOARDS,
    "project_column": BOARDS,
    "projects_v2": BOARDS,
    "projects_v2_item": BOARDS,
    "projects_v2_status_update": BOARDS,
    "registry_package": "GitHub reports the package as well",
    "repository_advisory": ALERTS,
    "repository_dispatch": "it starts a workflow, whose run is posted",
    "repository_import": "it says how far an import has come",
    "repository_ruleset": "rules are for those who administer the repository",
    "repository_vulnerability_alert": ALERTS,
    "secret_scanning_alert": ALERTS,
    "secret_scanning_alert_location": ALERTS,
    "secret_scanning_scan": ALERTS,
    "security_advisory": "it concerns all of GitHub, not the repository",
    "security_and_analysis": ALERTS,
    "sponsorship": "it concerns the account, not the repository’s work",
    "team": TEAMS,
    "team_add": TEAMS,
    "watch": "GitHub reports the star as well",
    "workflow_dispatch": "it starts a workflow, whose run is posted",
    "workflow_job": "GitHub reports the whole run as well",
}
