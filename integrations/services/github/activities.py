"""The handlers of GitHub's events, and the reasons why other events are stored but not posted."""

from __future__ import annotations

from collections.abc import Mapping

from . import checks, code, repository_events, work
from .wording import Handler

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

ALERTS = "security alerts are visible to fewer people than a flow"
APPS = "this event is about a GitHub App, not about the repository"
BOARDS = "project boards are not posted, changes of their issues are"
ORGANIZATION = "this event is about the organization, not about a repository"
TEAMS = "this event is about the organization’s teams, not about a repository"

UNPOSTED: Mapping[str, str] = {
    "code_scanning_alert": ALERTS,
    "custom_property": ORGANIZATION,
    "custom_property_values": ORGANIZATION,
    "dependabot_alert": ALERTS,
    "deploy_key": "deploy keys concern only the admins of the repository",
    "deployment": "the result of the deployment is posted",
    "deployment_protection_rule": "this event is for the app that approves the deployment",
    "deployment_review": "the result of the deployment is posted",
    "github_app_authorization": APPS,
    "installation": APPS,
    "installation_repositories": APPS,
    "installation_target": APPS,
    "label": "a label is posted when it is added to an issue or a pull request",
    "marketplace_purchase": APPS,
    "membership": TEAMS,
    "merge_group": "results of the merge queue are posted with its pull requests",
    "meta": "this event is about the webhook itself",
    "org_block": ORGANIZATION,
    "organization": ORGANIZATION,
    "personal_access_token_request": ORGANIZATION,
    "ping": "a ping only confirms that the webhook works",
    "project": BOARDS,
    "project_card": BOARDS,
    "project_column": BOARDS,
    "projects_v2": BOARDS,
    "projects_v2_item": BOARDS,
    "projects_v2_status_update": BOARDS,
    "registry_package": "GitHub sends a separate package event",
    "repository_advisory": ALERTS,
    "repository_dispatch": "the workflow run that it starts is posted",
    "repository_import": "the progress of an import is not posted",
    "repository_ruleset": "rulesets concern only the admins of the repository",
    "repository_vulnerability_alert": ALERTS,
    "secret_scanning_alert": ALERTS,
    "secret_scanning_alert_location": ALERTS,
    "secret_scanning_scan": ALERTS,
    "security_advisory": "the advisory is about all of GitHub, not about this repository",
    "security_and_analysis": ALERTS,
    "sponsorship": "this event is about the account, not about the repository",
    "team": TEAMS,
    "team_add": TEAMS,
    "watch": "GitHub sends a separate star event",
    "workflow_dispatch": "the workflow run that it starts is posted",
    "workflow_job": "the result of its workflow run is posted",
}
