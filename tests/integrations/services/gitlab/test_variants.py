"""Actions that differ in little from a recorded payload, and what other versions of GitLab send or leave out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.services import SERVICES
from integrations.services.base import ParsedEvent, UnreadablePayload, WebhookService
from tests.integrations.services.recorded import HERE, Recorded

GITLAB = SERVICES["gitlab"]
assert isinstance(GITLAB, WebhookService)
PROJECT = "https://gitlab.com/octo/website"
LEA = {"id": 501, "name": "Lea Cohen", "username": "lea-cohen"}
INES = {"id": 502, "name": "Ines Rao", "username": "ines-rao"}
MIRA = {"id": 503, "name": "Mira Okafor", "username": "mira-okafor"}
ATTRIBUTES = "object_attributes"


def variant(name: str, changes: dict[str, Any], **headers: str) -> ParsedEvent:
    """The recorded payload `name` with `changes` by dotted path; None takes away."""
    recorded = Recorded(GITLAB, HERE / "gitlab" / f"{name}.json")
    data = recorded.data
    for path, value in changes.items():
        *way, last = path.split(".")
        place = data
        for key in way:
            place = place[key]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return recorded.read(json.dumps(data).encode(), **headers)


def read(data: dict[str, Any], **headers: str) -> ParsedEvent:
    return GITLAB.read(json.dumps(data).encode(), headers)


def status_of(event: ParsedEvent) -> str:
    assert event.activity is not None, event.why_not
    status = event.activity.thread.status
    return f"{status.value} {status.color}" if status else "-"


def fields_of(event: ParsedEvent) -> dict[str, str]:
    assert event.activity is not None, event.why_not
    return {field.label: field.value for field in event.activity.thread.fields}


def changed(name: str, before: Any, after: Any) -> dict[str, Any]:
    return {"changes": {name: {"previous": before, "current": after}}}


# The payload, its changes, the line in the log, the thread's status, the event type.
WORDED: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("issue.close", {f"{ATTRIBUTES}.moved_to_id": 9}, "closed the issue as moved:", "moved grey", "issue.closed"),
    ("issue.open", {f"{ATTRIBUTES}.type": "Incident"}, "opened the incident", "open green", "issue.opened"),
    ("issue.open", {f"{ATTRIBUTES}.type": "Voyage"}, "opened the work item", "open green", "issue.opened"),
    (
        "issue.update.milestone",
        changed("milestone_id", 9, None),
        "removed the milestone from",
        "open green",
        "issue.milestoned",
    ),
    (
        "issue.update.milestone",
        {f"{ATTRIBUTES}.milestone": {"title": "3.2"}},
        "set the milestone to 3.2 for",
        "open green",
        "issue.milestoned",
    ),
    (
        "issue.update.due_date",
        changed("due_date", "2026-01-23", None),
        "removed the due date from",
        "open green",
        "issue.edited",
    ),
    (
        "issue.update.title",
        changed("discussion_locked", False, True),
        "locked the conversation in",
        "open green",
        "issue.locked",
    ),
    (
        "issue.update.title",
        changed("discussion_locked", True, None),
        "unlocked the conversation in",
        "open green",
        "issue.locked",
    ),
    ("issue.update.title", changed("weight", None, 3), "set the weight to 3 for", "open green", "issue.edited"),
    ("issue.update.title", changed("weight", 3, None), "removed the weight from", "open green", "issue.edited"),
    (
        "issue.update.title",
        changed("health_status", None, "at_risk"),
        "set the health status to at risk for",
        "open green",
        "issue.edited",
    ),
    (
        "issue.update.title",
        changed("health_status", "at_risk", None),
        "removed the health status from",
        "open green",
        "issue.edited",
    ),
    (
        "issue.update.title",
        changed("type", "Issue", "Incident"),
        "converted the issue to an incident:",
        "open green",
        "issue.edited",
    ),
    (
        "issue.update.made_confidential",
        {f"{ATTRIBUTES}.confidential": False, "event_type": "issue", **changed("confidential", True, False)},
        "made the issue visible to everyone with access to the project:",
        "open green",
        "issue.edited",
    ),
    (
        "issue.update.assignees",
        changed("assignees", [MIRA], [INES, LEA]),
        "assigned Ines Rao and themselves and unassigned Mira Okafor:",
        "open green",
        "issue.assigned",
    ),
    (
        "issue.update.title",
        {
            "changes": {
                "labels": {"previous": [], "current": [{"title": "a"}, {"title": "b"}, {"title": "c"}]},
                "title": {"previous": "Prices", "current": "Prices <b>jump</b> when the country is switched"},
                "description": {"previous": "", "current": "More"},
            }
        },
        "changed the title from “Prices”, added the labels a, b and c and edited the description:",
        "open green",
        "issue.edited",
    ),
    (
        "merge_request.open",
        {f"{ATTRIBUTES}.action": "ready"},
        "marked the merge request as ready for review:",
        "in review yellow",
        "merge_request.ready",
    ),
    (
        "merge_request.open.draft",
        {f"{ATTRIBUTES}.action": "draft"},
        "converted the merge request to a draft:",
        "draft grey",
        "merge_request.draft",
    ),
    (
        "merge_request.update.auto_merge",
        changed("merge_when_pipeline_succeeds", True, False),
        "disabled auto-merge for",
        "open green",
        "merge_request.auto_merge",
    ),
    (
        "merge_request.update.reviewers",
        changed("reviewers", [], [INES]),
        "requested a review from themselves for",
        "in review yellow",
        "merge_request.review_requested",
    ),
    (
        "merge_request.update.changes_requested",
        changed("reviewers", [{**LEA, "state": "unreviewed"}], [{**LEA, "state": "reviewed"}]),
        "reviewed the merge request",
        "open green",
        "merge_request.reviewed",
    ),
    (
        "merge_request.update.labels",
        {f"{ATTRIBUTES}.detailed_merge_status": "requested_changes"},
        "added the label checkout to",
        "changes requested orange",
        "merge_request.labeled",
    ),
    (
        "merge_request.update.commits",
        changed("draft", True, False),
        "marked the merge request as ready for review and pushed new commits:",
        "in review yellow",
        "merge_request.ready",
    ),
    (
        "merge_request.unapproved.by_push",
        {f"{ATTRIBUTES}.system_action": "code_owner_approvals_reset_on_push"},
        "reset the code owners’ approvals by pushing to",
        "in review yellow",
        "merge_request.unapproved",
    ),
    (
        "deployment.running",
        {"status": "blocked"},
        "is waiting for approval to deploy main to production for",
        "-",
        "deployment.waiting",
    ),
    (
        "build.failed",
        {"build_failure_reason": "runner_system_failure", "build_duration": None},
        "failed (runner system failure) for",
        "failed red",
        "build.failed",
    ),
    (
        "pipeline.success",
        {f"{ATTRIBUTES}.duration": 3725},
        "passed in 1 h 2 min for",
        "passed lime",
        "pipeline.passed",
    ),
    (
        "pipeline.failed",
        {f"{ATTRIBUTES}.source": "parent_pipeline"},
        "failed after 2 min 23 s for",
        "failed red",
        "pipeline.failed",
    ),
    ("milestone.close", {"action": "update"}, "edited the milestone", "closed black", "milestone.changed"),
    ("emoji.award.issue", {f"{ATTRIBUTES}.name": "sunny"}, "reacted with :sunny: to", "open green", "emoji"),
    ("note.issue", {f"{ATTRIBUTES}.action": None}, "commented on", "open green", "note.issue"),
    ("push", {"ref": "refs/tags/v1", "before": "0" * 40}, "created the tag v1 in", "tagged grey", "tag.created"),
]


@pytest.mark.parametrize(("name", "changes", "line", "status", "word"), WORDED)
def test_variant_is_worded(name: str, changes: dict[str, Any], line: str, status: str, word: str) -> None:
    event = variant(name, changes)

    assert status_of(event) == status
    assert event.summary.removeprefix(event.actor).strip() == line
    assert event.facts["events"] == (word,)


UNSAID = "the event has no action, like GitLab’s test requests"
KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("issue.open", {f"{ATTRIBUTES}.action": "snooze"}, "the GitLab event issue.snooze is not supported"),
    ("issue.open", {f"{ATTRIBUTES}.action": None}, UNSAID),
    # The item in a test request may be long closed.
    ("issue.close", {f"{ATTRIBUTES}.action": None}, UNSAID),
    ("merge_request.merge", {f"{ATTRIBUTES}.action": None}, UNSAID),
    ("work_item.open.task", {f"{ATTRIBUTES}.action": "promote"}, "the GitLab event work_item.promote is not supported"),
    (
        "merge_request.open",
        {f"{ATTRIBUTES}.action": "rebase"},
        "the GitLab event merge_request.rebase is not supported",
    ),
    ("note.issue", {f"{ATTRIBUTES}.action": "resolve"}, "the GitLab event note.resolve is not supported"),
    ("note.issue", {"issue": None}, "the event does not say what the comment is on"),
    ("emoji.award.issue", {"issue": None}, "the event does not say what the reaction is to"),
    ("emoji.award.issue", {f"{ATTRIBUTES}.action": "swap"}, "the GitLab event emoji.swap is not supported"),
    ("milestone.close", {"action": "archive"}, "the GitLab event milestone.archive is not supported"),
    ("release.create", {"action": "archive"}, "the GitLab event release.archive is not supported"),
    ("wiki_page.create", {f"{ATTRIBUTES}.action": "archive"}, "the GitLab event wiki_page.archive is not supported"),
    ("deployment.success", {"status": "paused"}, "the GitLab event deployment.paused is not supported"),
    ("pipeline.success", {f"{ATTRIBUTES}.status": "waiting_for_resource"}, "only finished pipelines are posted"),
    (
        "pipeline.success",
        {f"{ATTRIBUTES}.source": "parent_pipeline"},
        "the pipeline passed, and the pipeline that started it is posted",
    ),
    (
        "issue.update.title",
        changed("time_estimate", 0, 3600),
        "changes of these properties are not posted: time estimate",
    ),
    ("issue.update.title", {"changes": None}, "the event does not say what changed"),
]


@pytest.mark.parametrize(("name", "changes", "why_not"), KEPT)
def test_variant_is_stored_but_not_posted_for_a_reason(name: str, changes: dict[str, Any], why_not: str) -> None:
    event = variant(name, changes)

    assert event.activity is None
    assert event.why_not == why_not


USER = {"name": "Lea Cohen", "username": "lea-cohen"}
OLD_REPOSITORY = {
    "name": "Website",
    "url": "git@git.acme.example:octo/website.git",
    "homepage": "https://git.acme.example/octo/website",
}
OLD = "https://git.acme.example/octo/website"


def test_old_versions_send_the_repository_instead_of_the_project_of_a_push() -> None:
    commit = {"id": "b" * 40, "message": "Fix", "url": f"{OLD}/commit/b", "author": {"name": "Ines Rao"}}
    event = read(
        {
            "object_kind": "push", "before": "a" * 40, "after": "b" * 40, "ref": "refs/heads/master", "user_id": 4,
            "user_name": "Lea Cohen", "project_id": 15, "repository": OLD_REPOSITORY, "commits": [commit],
            "total_commits_count": 1,
        }
    )  # fmt: skip

    assert (event.summary, event.subject) == ("Lea Cohen pushed 1 commit to master in", "octo/website")
    assert event.activity is not None
    assert event.activity.thread_id == "project:15/branch:master"
    assert event.activity.thread.external_url == f"{OLD}/-/tree/master"
    assert event.facts["authors"] == ("Lea Cohen",)


def test_issue_of_an_old_version_may_lack_project_address_labels_and_avatar() -> None:
    event = read(
        {
            "object_kind": "issue", "user": USER, "repository": OLD_REPOSITORY, "assignee": INES,
            ATTRIBUTES: {"iid": 23, "title": "Old", "state": "reopened", "action": "reopen", "project_id": 14},
        }
    )  # fmt: skip

    assert event.summary == "Lea Cohen reopened the issue"
    assert status_of(event) == "open green"
    assert event.activity is not None
    assert event.activity.thread_id == "project:14/issue:23"
    assert event.activity.thread.external_url == f"{OLD}/-/issues/23"
    assert fields_of(event)["Assignees"] == "Ines Rao"
    assert "labels" not in event.facts


@pytest.mark.parametrize(
    ("state", "title", "action", "line", "status"),
    [
        ("opened", "WIP: Old", "open", "opened the draft merge request", "draft grey"),
        ("merged", "Old", "merge", "merged the merge request", "merged purple"),
        ("closed", "Old", "close", "closed the merge request", "closed red"),
        ("locked", "Old", "approved", "approved the merge request", "approved lime"),
    ],
)
def test_merge_request_of_an_old_version_is_worded(state: str, title: str, action: str, line: str, status: str) -> None:
    event = read(
        {
            "object_kind": "merge_request", "user": USER, "repository": OLD_REPOSITORY,
            ATTRIBUTES: {
                "iid": 1, "title": title, "state": state, "action": action, "target_project_id": 14,
                "source_project_id": 14, "source_branch": "fix", "target_branch": "master",
            },
        }
    )  # fmt: skip

    assert event.summary == f"Lea Cohen {line}"
    assert status_of(event) == status
    assert event.activity is not None
    assert event.activity.thread_id == "project:14/mr:1"


@pytest.mark.parametrize(
    ("before", "after", "did"),
    [
        ("WIP: Old", "Old", "marked the merge request as ready for review:"),
        ("Old", "Draft: Old", "converted the merge request to a draft:"),
    ],
)
def test_old_versions_mark_drafts_by_their_title(before: str, after: str, did: str) -> None:
    event = variant(
        "merge_request.update.title",
        {f"{ATTRIBUTES}.title": after, f"{ATTRIBUTES}.draft": None, f"{ATTRIBUTES}.work_in_progress": None}
        | {"changes": {"title": [before, after], "updated_at": ["2017-09-15 16:50:55 UTC", "2017-09-15 16:52:00 UTC"]}},
    )

    assert event.summary == f"Ines Rao {did}"


@pytest.mark.parametrize(
    ("change", "assignee", "did"),
    [
        ({"previous": None, "current": 502}, INES, "assigned Ines Rao to"),
        ([None, 502], INES, "assigned Ines Rao to"),
        ({"previous": 502, "current": 503}, None, "assigned somebody to"),
        ({"previous": 502, "current": None}, None, "removed the assignee from"),
    ],
)
def test_old_versions_send_assignees_by_id(change: Any, assignee: Any, did: str) -> None:
    event = variant(
        "issue.update.assignees", {"changes": {"assignee_id": change}, "assignees": None, "assignee": assignee}
    )

    assert event.summary == f"Lea Cohen {did}"


def test_job_of_an_old_version_may_lack_project_and_username() -> None:
    event = variant("build.failed", {"project": None, "user": {"name": "Ines Rao"}, "repository": OLD_REPOSITORY})

    assert event.activity is not None
    assert event.activity.thread_id == "project:4242/pipeline:main"
    assert event.activity.title.startswith(f'<a href="{OLD}/-/jobs/90222">')
    assert event.facts["authors"] == ("Ines Rao",)


def test_the_name_of_a_project_is_not_used_as_an_address() -> None:
    event = variant("build.failed", {"project": None, "repository": None})

    assert event.activity is not None
    assert event.activity.title.startswith("failed")
    assert event.activity.thread.title == "Octo / website: pipeline for main"
    assert event.activity.thread.external_url == ""


def test_pipeline_of_an_old_merge_request_is_in_the_thread_of_its_number() -> None:
    event = variant("pipeline.success", {f"{ATTRIBUTES}.ref": "refs/merge-requests/31/head", f"{ATTRIBUTES}.url": None})

    assert event.activity is not None
    assert event.activity.thread_id == "project:4242/mr:31"
    assert "!31" in fields_of(event)["Merge request"]
    assert "branches" not in event.facts


def test_pipeline_of_a_merge_request_into_another_project_is_in_its_branch_s_thread() -> None:
    event = variant("pipeline.failed.merge_request", {"merge_request.target_project_id": 5151})

    assert event.activity is not None
    assert event.activity.thread_id == "project:4242/pipeline:7-keep-the-currency"


@pytest.mark.parametrize("duration", [0, -1, 1e300, 1e12, None])
def test_a_nonsensical_duration_is_left_out(duration: float | None) -> None:
    assert variant("build.failed", {"build_duration": duration}).summary == "Job rspec <3.4> failed for"


def test_an_infinite_duration_is_left_out() -> None:
    body = Recorded(GITLAB, HERE / "gitlab" / "build.failed.json").body.replace(b"41.5", b"1e999")

    assert GITLAB.read(body, {}).summary == "Job rspec <3.4> failed for"


def test_system_hooks_send_the_kind_as_event_name() -> None:
    event = variant("push", {"object_kind": None, "project.id": None})

    assert (event.kind, event.summary) == ("push", "Ines Rao pushed 2 commits to main in")
    assert event.activity is not None
    assert event.activity.thread_id == "project:4242/branch:main"


def test_the_project_of_a_system_hook_is_found_by_the_instance_header() -> None:
    recorded = Recorded(GITLAB, HERE / "gitlab" / "project_create.json")

    activity = recorded.read(**{"X-Gitlab-Instance": "https://git.acme.example/gitlab/"}).activity
    assert activity is not None
    assert activity.thread.external_url == "https://git.acme.example/gitlab/octo/fonts"
    for instance in ("", "git.acme.example", "javascript:alert(1)", "https://" + "x" * 5000):
        activity = recorded.read(**{"X-Gitlab-Instance": instance}).activity
        assert activity is not None
        assert activity.thread.external_url == ""


AVATARS = {
    "/uploads/-/system/user/avatar/1/a.png": "https://gitlab.com/uploads/-/system/user/avatar/1/a.png",
    "https://secure.gravatar.com/avatar/1": "https://secure.gravatar.com/avatar/1",
    "//evil.example/a.png": "",
    "a.png": "",
    "http://": "",
    "https://[": "",
    "": "",
}


@pytest.mark.parametrize(("given", "shown"), AVATARS.items())
def test_an_avatar_that_is_not_an_address_is_left_out(given: str, shown: str) -> None:
    for event in (variant("issue.open", {"user.avatar_url": given}), variant("push", {"user_avatar": given})):
        assert event.activity is not None
        assert event.activity.author.avatar == shown


@pytest.mark.parametrize(
    ("login", "kind"),
    [
        ("project_4242_bot", "bot"),
        ("project_4242_bot_9f3a2c", "bot"),
        ("group_77_bot1", "bot"),
        ("service_account_group_77_9f3a", "bot"),
        ("renovate-bot", "bot"),
        ("Renovate_Bot", "bot"),
        ("dependabot[bot]", "bot"),
        ("bot", "bot"),
        ("abbot", "person"),
        ("project_manager", "person"),
        ("botanist", "person"),
    ],
)
def test_bots_are_recognized_by_their_usernames(login: str, kind: str) -> None:
    assert variant("issue.open", {"user.username": login}).facts["bots"] == (kind,)


def test_a_deleted_account_is_ghost_user_and_without_a_user_the_project_is_the_author() -> None:
    assert variant("issue.open", {"user": {}}).actor == "Ghost User"
    assert variant("issue.open", {"user": None}).actor == "octo/website"


def test_without_a_user_the_project_s_avatar_is_used() -> None:
    event = variant("release.create", {"project.avatar_url": "/uploads/-/system/project/avatar/4242/logo.png"})

    assert event.activity is not None
    assert event.activity.author.avatar == "https://gitlab.com/uploads/-/system/project/avatar/4242/logo.png"


def test_a_comment_on_an_epic_is_in_the_group_s_thread() -> None:
    event = variant(
        "note.issue",
        {
            "issue": None, "project": None, "project_id": None, f"{ATTRIBUTES}.project_id": None,
            f"{ATTRIBUTES}.noteable_type": "Epic", "repository": None,
            "epic": {"iid": 3, "title": "The new shop front"},
            "group": {"group_name": "Octo", "full_path": "octo", "group_id": 77},
            f"{ATTRIBUTES}.note": "See #4 and @lea-cohen.",
        },
    )  # fmt: skip

    assert event.activity is not None
    assert event.activity.thread_id == "group:77/epic:3"
    assert event.activity.thread.external_url == "https://gitlab.com/groups/octo/-/epics/3"
    # In a group, a number does not refer to an issue.
    assert event.activity.body == '<p>See #4 and <a href="https://gitlab.com/lea-cohen">@lea-cohen</a>.</p>'


def test_a_comment_without_the_state_keeps_the_status() -> None:
    event = variant("note.issue.closed", {"issue.state": None, "issue.state_id": None})

    assert event.activity is not None
    assert "status" in event.activity.thread.keeps


def test_a_comment_on_a_wiki_page_is_in_the_page_s_thread() -> None:
    page = {"title": "How we ship", "slug": "How-we-ship"}
    event = variant("note.issue", {"issue": None, "wiki_page": page, f"{ATTRIBUTES}.noteable_type": "WikiPage::Meta"})

    assert event.activity is not None
    assert event.activity.thread_id == "project:4242/wiki:How-we-ship"
    assert event.facts["events"] == ("note.wiki_page",)


def test_references_link_to_pages_of_the_instance() -> None:
    text = "#4 !5 @octo/design, @lea.cohen. lea@octo.example a!6 `!7` other/project#8 ##9"
    event = variant("note.issue", {f"{ATTRIBUTES}.note": text})

    assert event.activity is not None
    assert event.activity.body == (
        f'<p><a href="{PROJECT}/-/issues/4">#4</a> <a href="{PROJECT}/-/merge_requests/5">!5</a> '
        '<a href="https://gitlab.com/octo/design">@octo/design</a>, '
        '<a href="https://gitlab.com/lea.cohen">@lea.cohen</a>. lea@octo.example '
        "a!6 <code>!7</code> other/project#8 ##9</p>"
    )


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("/uploads/9f3a/screen.png", f"{PROJECT}/uploads/9f3a/screen.png"),
        ("/octo/fonts/-/issues/2", "https://gitlab.com/octo/fonts/-/issues/2"),
        ("https://octo.example/a", "https://octo.example/a"),
    ],
)
def test_an_address_without_a_host_is_completed(written: str, address: str) -> None:
    event = variant(
        "note.issue", {f"{ATTRIBUTES}.note": f"![Screen]({written}){{width=900 height=600}} and [page]({written})"}
    )

    assert event.activity is not None
    assert event.activity.body == f'<p><a href="{address}">Screen</a> and <a href="{address}">page</a></p>'


def test_an_upload_of_a_group_links_to_the_group() -> None:
    event = variant("work_item.open.epic", {f"{ATTRIBUTES}.description": "![Plan](/uploads/9f3a/plan.png)"})

    assert event.activity is not None
    assert '<a href="https://gitlab.com/groups/octo/-/uploads/9f3a/plan.png">Plan</a>' in event.activity.thread.body


@pytest.mark.parametrize("written", ["docs/page.md", "#usage", "//evil.example/a"])
def test_an_address_that_cannot_be_resolved_is_not_linked(written: str) -> None:
    event = variant("note.issue", {f"{ATTRIBUTES}.note": f"[page]({written})"})

    assert event.activity is not None
    assert event.activity.body == "<p>page</p>"


def test_a_mention_links_to_an_instance_below_a_path() -> None:
    event = variant(
        "note.issue",
        {f"{ATTRIBUTES}.note": "@lea-cohen"},
        **{"X-Gitlab-Instance": "https://acme.example/gitlab"},
    )

    assert event.activity is not None
    assert event.activity.body == '<p><a href="https://acme.example/gitlab/lea-cohen">@lea-cohen</a></p>'


def test_a_renamed_project_keeps_its_threads() -> None:
    before = variant("issue.open", {})
    after = variant(
        "issue.close", {"project.path_with_namespace": "acme/shop", "project.web_url": "https://gitlab.com/acme/shop"}
    )

    assert before.activity is not None
    assert after.activity is not None
    assert before.activity.thread_id == after.activity.thread_id


def test_a_project_without_an_id_is_identified_by_its_path() -> None:
    event = variant("wiki_page.create", {"project.id": None})

    assert event.activity is not None
    assert event.activity.thread_id == "project:octo/website/wiki:How-we-ship"


def test_old_versions_call_internal_notes_confidential() -> None:
    event = variant("note.issue.internal", {f"{ATTRIBUTES}.internal": None})

    assert event.facts["confidential"] == ("internal",)


@pytest.mark.parametrize(
    ("name", "path", "value", "named"),
    [
        ("issue.open", f"{ATTRIBUTES}.iid", "7", "object_attributes.iid is not an integer"),
        ("issue.open", f"{ATTRIBUTES}.labels", {"title": "bug"}, "object_attributes.labels is not a list"),
        ("issue.open", f"{ATTRIBUTES}.labels", ["bug"], "object_attributes.labels.0 is not an object"),
        ("issue.update.title", "changes", [1], "changes is not an object"),
        ("issue.update.title", "changes", {"title": "x"}, "changes.title is not an object"),
        ("issue.open", "project", "octo/website", "project is not an object"),
        ("issue.open", f"{ATTRIBUTES}.confidential", "yes", "object_attributes.confidential is not true or false"),
        ("build.failed", "build_duration", "41 s", "build_duration is not a number"),
        ("build.failed", "build_duration", True, "build_duration is not a number"),
        ("push", "commits", [[1]], "commits.0 is not an object"),
        ("push", "commits", [{"id": 7}], "commits.0.id is not a string"),
        ("issue.open", f"{ATTRIBUTES}.title", None, "object_attributes.title is missing"),
        ("issue.open", ATTRIBUTES, None, "object_attributes is missing"),
    ],
)
def test_an_error_names_the_path_of_a_wrong_type(name: str, path: str, value: Any, named: str) -> None:
    with pytest.raises(UnreadablePayload) as refused:
        variant(name, {path: value})

    assert named in str(refused.value)


LEFT_OUT: list[tuple[str, tuple[str, ...]]] = [
    ("push", ("user_username", "user_avatar", "project.default_branch", "checkout_sha", "total_commits_count")),
    ("push", ("project", "commits", "before")),
    ("tag_push.created", ("message", "user_username", "commits", "before", "project")),
    (
        "issue.open",
        ("project", "repository", "assignees", "labels", f"{ATTRIBUTES}.labels", f"{ATTRIBUTES}.url", "changes"),
    ),
    (
        "merge_request.open",
        (f"{ATTRIBUTES}.last_commit", f"{ATTRIBUTES}.source", "labels", "reviewers", "changes", "user"),
    ),
    ("note.merge_request", ("merge_request.labels", "merge_request.description", f"{ATTRIBUTES}.url", "event_type")),
    ("note.commit", ("commit.url", "commit.message", f"{ATTRIBUTES}.url")),
    (
        "pipeline.failed",
        ("builds", "commit", "user", f"{ATTRIBUTES}.url", f"{ATTRIBUTES}.sha", f"{ATTRIBUTES}.duration"),
    ),
    ("build.failed", ("commit", "user", "sha", "pipeline_id", "build_failure_reason")),
    ("deployment.success", ("ref", "short_sha", "commit_url", "commit_title", "environment_external_url", "user")),
    ("release.create", ("description", "name", "assets", "commit", "url")),
    ("wiki_page.create", (f"{ATTRIBUTES}.message", f"{ATTRIBUTES}.slug", f"{ATTRIBUTES}.url", "wiki")),
    ("milestone.close", (f"{ATTRIBUTES}.description", f"{ATTRIBUTES}.due_date", "project")),
    ("feature_flag.on", (f"{ATTRIBUTES}.description", "user")),
    ("access_token.expiring.project", (f"{ATTRIBUTES}.expires_at", f"{ATTRIBUTES}.id")),
    ("user_add_to_group", ("group_access", "user_username", "group_path", "expires_at")),
    ("project_create", ("owners", "project_visibility")),
    ("group_rename", ("full_path", "old_full_path")),
]


@pytest.mark.parametrize(("name", "paths"), LEFT_OUT)
def test_values_that_some_versions_leave_out_are_optional(name: str, paths: tuple[str, ...]) -> None:
    event = variant(name, dict.fromkeys(paths))

    assert event.activity is not None, event.why_not
    assert "None" not in event.activity.title
    assert "  " not in event.summary


def test_a_tag_push_without_checkout_sha_is_a_deletion() -> None:
    recorded = Recorded(GITLAB, HERE / "gitlab" / "tag_push.created.json")
    data = {**recorded.data, "checkout_sha": None}

    event = recorded.read(json.dumps(data).encode())

    assert event.facts["events"] == ("tag.deleted",)
    assert status_of(event) == "tag deleted grey"


def test_a_comment_on_a_design_is_in_the_issue_s_thread_and_names_the_file() -> None:
    position = {"new_path": "designs/issue-7/basket.png", "position_type": "image"}
    changes = {
        "issue": None,
        f"{ATTRIBUTES}.noteable_type": "DesignManagement::Design",
        f"{ATTRIBUTES}.position": position,
    }

    event = variant("note.issue", changes)
    in_issue = variant("note.issue", {})

    assert event.summary == "Ines Rao commented on the design basket.png in"
    assert event.activity is not None
    assert in_issue.activity is not None
    assert event.activity.thread_id == in_issue.activity.thread_id
    # Nothing else is known of the issue, so it keeps its earlier state.
    full_url = event.activity.thread.over(in_issue.activity.thread)
    assert (full_url.title, full_url.status) == (in_issue.activity.thread.title, in_issue.activity.thread.status)


@pytest.mark.parametrize(("status", "verb"), [("approved", "approved"), ("rejected", "rejected")])
def test_the_approver_is_the_author_of_a_deployment_approval(status: str, verb: str) -> None:
    changes = {"status": status, "approver": MIRA, "approval": {"status": status, "comment": "Looks <b>good</b>"}}

    event = variant("deployment.success", changes)

    assert event.summary == f"Mira Okafor {verb} the deployment of main to production for"
    assert event.facts["events"] == ("deployment.approved",)
    assert event.facts["authors"] == ("mira-okafor",)
    assert event.activity is not None
    assert event.activity.body == "<p>Looks &lt;b&gt;good&lt;/b&gt;</p>"
    assert "deployment.approved" in {choice.value for choice in GITLAB.rules[0].choices}


def test_a_failed_deployment_links_to_its_job() -> None:
    activity = variant("deployment.failed", {"deployable_url": f"{PROJECT}/-/jobs/9"}).activity

    assert activity is not None
    assert activity.title.startswith(f'<a href="{PROJECT}/-/jobs/9">failed to deploy</a> ')


@pytest.mark.parametrize(
    ("name", "trigger", "kind"),
    [
        ("push", "Push Hook", "push"),
        ("tag_push.created", "Tag Push Hook", "tag_push"),
        ("issue.open", "Issue Hook", "issue"),
        ("note.issue.confidential", "Confidential Note Hook", "note"),
        ("build.failed", "Job Hook", "build"),
        ("merge_request.open", "Merge Request Hook", "merge_request"),
    ],
)
def test_a_body_without_a_kind_has_the_kind_of_its_header(name: str, trigger: str, kind: str) -> None:
    full_url = variant(name, {}, **{"X-Gitlab-Event": trigger})
    event = variant(name, {"object_kind": None, "event_name": None}, **{"X-Gitlab-Event": trigger})

    assert event.kind == kind
    assert event.activity == full_url.activity


@pytest.mark.parametrize("trigger", ["System Hook", "Member Hook", "Push", ""])
def test_a_body_without_a_kind_is_rejected_if_its_header_names_none(trigger: str) -> None:
    with pytest.raises(UnreadablePayload, match="event_name is missing"):
        variant("push", {"object_kind": None, "event_name": None}, **{"X-Gitlab-Event": trigger})


def test_the_title_links_to_the_comment() -> None:
    activity = variant("note.issue", {f"{ATTRIBUTES}.url": f"{PROJECT}/-/issues/7#note_9"}).activity

    assert activity is not None
    assert activity.title == f'<a href="{PROJECT}/-/issues/7#note_9">commented</a>'


def test_a_removed_reaction_is_logged_with_its_subject() -> None:
    assert variant("emoji.revoke.issue", {}).subject == variant("emoji.award.issue", {}).subject


def test_an_issue_with_an_invalid_address_is_linked_by_its_number() -> None:
    activity = variant("issue.open", {f"{ATTRIBUTES}.url": "ftp://x"}).activity

    assert activity is not None
    assert activity.thread.external_url == f"{PROJECT}/-/issues/7"
