"""Payloads of GitLab that are incomplete or misleading: nothing untrue is posted, and nothing is rejected.

Sources: GitLab's own lib/gitlab/data_builder, lib/gitlab/hook_data and app/services/concerns/integrations.
"""

from __future__ import annotations

from typing import Any

import pytest

from integrations.activity import Activity
from integrations.services import SERVICES
from integrations.services.base import ParsedEvent
from tests.integrations.services.recorded import HERE, Recorded

GITLAB = SERVICES["gitlab"]
WEB = "https://gitlab.com/octo/website"


def variant(name: str, changes: dict[str, Any], **headers: str) -> ParsedEvent:
    return Recorded(GITLAB, HERE / "gitlab" / f"{name}.json").changed(changes, **headers)


def activity_of(event: ParsedEvent) -> Activity:
    assert event.activity is not None, event.why_not
    return event.activity


def line(event: ParsedEvent) -> str:
    return event.summary.removeprefix(f"{event.actor} ")


def status_of(event: ParsedEvent) -> str:
    status = activity_of(event).thread.status
    return f"{status.value} {status.color}" if status else "-"


@pytest.mark.parametrize(
    ("name", "state"),
    [("issue.open", "closed"), ("work_item.open.task", "closed"), ("merge_request.open", "merged")],
)
def test_a_test_request_with_a_closed_item_is_not_posted(name: str, state: str) -> None:
    """GitLab's Test button sends the newest item as opened, whatever its state."""
    event = variant(name, {"object_attributes.state": state})

    assert event.activity is None
    assert event.why_not == "this is a test request: GitLab sent a closed item as if it had just been opened"


def test_a_merged_merge_request_that_is_still_locked_is_merged() -> None:
    assert status_of(variant("merge_request.merge", {"object_attributes.state": "locked"})) == "merged purple"


@pytest.mark.parametrize("before", ["Draft: Keep", "WIP: Keep", "Keep"])
def test_the_draft_prefix_is_not_part_of_the_old_title(before: str) -> None:
    event = variant("merge_request.update.title", {"changes": {"title": [before, "Hold"]}})

    assert "changed the title from “Keep”" in event.summary


@pytest.mark.parametrize(
    ("after", "turned"),
    [("Incident", "converted the issue to an incident:"), ("Task", "converted the issue to a task:")],
)
def test_an_issue_can_be_converted_to_another_type(after: str, turned: str) -> None:
    assert line(variant("issue.update.title", {"changes": {"type": ["Issue", after]}})) == turned


@pytest.mark.parametrize("ref", ["refs/merge-requests/31/head", "refs/merge-requests/31/merge"])
def test_a_failed_job_is_posted_in_its_merge_request_s_thread_without_changing_it(ref: str) -> None:
    """A job only contains the number of its merge request, in its ref."""
    opened = activity_of(variant("merge_request.open", {})).thread

    event = variant("build.failed", {"ref": ref})

    assert activity_of(event).thread_id == "project:4242/mr:31"
    assert activity_of(event).thread.title == "Merge request !31"
    assert activity_of(event).thread.external_url == f"{WEB}/-/merge_requests/31"
    assert activity_of(event).thread.over(opened) == opened
    assert "branches" not in event.facts, "its target branch is not known"


def test_a_pipeline_with_only_a_ref_is_posted_in_its_merge_request_s_thread() -> None:
    changes = {"object_attributes.ref": "refs/merge-requests/31/head", "merge_request": None}

    assert activity_of(variant("pipeline.failed.merge_request", changes)).thread_id == "project:4242/mr:31"


def test_pipelines_of_a_tag_and_of_a_branch_with_the_same_name_are_separate() -> None:
    branch = activity_of(variant("pipeline.success", {"object_attributes.ref": "v3.2.0"}))

    assert activity_of(variant("pipeline.success.tag", {})).thread_id == "project:4242/pipeline:tag:v3.2.0"
    assert branch.thread_id == "project:4242/pipeline:v3.2.0"


ADDRESSES = ["review.octo.example", "shopapp://open/31", "https://e.example/" + "a" * 3000, "https://[half", ""]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_deployment_to_an_address_that_is_not_a_web_page_is_not_linked(address: str) -> None:
    """An environment's address can have any scheme and any length."""
    activity = activity_of(variant("deployment.success", {"environment_external_url": address, "commit_url": address}))

    assert activity.title == "deployed main to production"
    assert {field.label: field.value for field in activity.thread.fields}["Commit"].startswith("045d203 ")


def test_a_deployment_without_a_ref_names_its_commit() -> None:
    assert line(variant("deployment.success", {"ref": None})) == "deployed 045d203 to production for"


def test_a_push_without_a_list_of_commits_shows_their_number() -> None:
    """System hooks do not list commits."""
    activity = activity_of(variant("push", {"commits": []}))

    assert ">2 commits</a> to main" in activity.title
    assert activity.body == ""


def test_a_reaction_to_a_snippet_is_posted_in_its_thread() -> None:
    snippet = {"id": 620, "title": "Rates of the day", "url": f"{WEB}/-/snippets/620"}

    activity = activity_of(variant("emoji.award.issue", {"issue": None, "project_snippet": snippet}))

    assert activity.thread_id == "project:4242/snippet:620"


@pytest.mark.parametrize(
    ("name", "shown"), [("thumbsup_tone3", "👍"), ("party_parrot", ":party_parrot:"), ("tone3", ":tone3:")]
)
def test_a_reaction_is_shown_without_its_skin_tone(name: str, shown: str) -> None:
    assert activity_of(variant("emoji.award.issue", {"object_attributes.name": name})).title == f"reacted with {shown}"


def test_an_upcoming_release_is_announced() -> None:
    event = variant("release.create", {"released_at": "2027-01-15 14:31:09 UTC"})

    assert line(event) == "announced the release for 2027-01-15:"
    assert status_of(event) == "upcoming blue"
    assert {field.label: field.value for field in activity_of(event).thread.fields}["Release date"] == "2027-01-15"


@pytest.mark.parametrize(
    "released",
    [
        "2026-01-15 14:31:09 UTC",
        "2026-01-15T14:31:10Z",
        "2015-01-15 14:31:09 UTC",
        "15 January 2027",
        "2027-01-15",
        None,
    ],
)
def test_a_release_is_published_unless_its_date_is_in_the_future(released: str | None) -> None:
    event = variant("release.create", {"released_at": released})

    assert line(event) == "published the release"
    assert status_of(event) == "released cyan"


TIMES = ["2026-01-12 08:14:09 UTC", "2026-01-12T08:14:09Z", "2015-04-08T21: 00:25-07:00", "yesterday"]


@pytest.mark.parametrize("time", TIMES)
def test_times_in_any_format_are_accepted(time: str) -> None:
    created = {"object_attributes.created_at": time, "object_attributes.last_commit.timestamp": time}
    activity_of(variant("merge_request.open", created))
    activity_of(variant("pipeline.failed", {"object_attributes.finished_at": time, "commit.timestamp": time}))
    activity_of(variant("deployment.success", {"status_changed_at": time}))
    activity_of(variant("release.create", {"created_at": time, "released_at": time}))


@pytest.mark.parametrize(
    ("role", "joined", "changed"),
    [
        ("Developer", "joined as Developer in", "was given the role Developer in"),
        ("Minimal Access", "joined as Minimal Access in", "was given the role Minimal Access in"),
        (None, "joined as member in", "was given the role member in"),
    ],
)
def test_membership_events_name_the_role(role: str | None, joined: str, changed: str) -> None:
    assert line(variant("user_add_to_group", {"group_access": role})) == joined
    assert line(variant("user_update_for_group", {"group_access": role})) == changed


def test_gitlab_duo_is_a_bot() -> None:
    assert variant("note.merge_request", {"user.username": "GitLabDuo"}).facts["bots"] == ("bot",)


def test_a_group_and_a_project_with_the_same_id_have_separate_threads() -> None:
    group = activity_of(variant("milestone.create.group", {"object_attributes.iid": 4, "group.group_id": 4242}))

    assert group.thread_id != activity_of(variant("milestone.create", {})).thread_id
