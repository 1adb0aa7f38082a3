"""Where GitLab's payloads say less, or something else, than they seem to: nothing untrue is told, nothing refused.

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


def told(event: ParsedEvent) -> Activity:
    assert event.activity is not None, event.why_not
    return event.activity


def line(event: ParsedEvent) -> str:
    return event.summary.removeprefix(f"{event.actor} ")


def status_of(event: ParsedEvent) -> str:
    status = told(event).thread.status
    return f"{status.value} {status.color}" if status else "-"


@pytest.mark.parametrize(
    ("name", "state"),
    [("issue.open", "closed"), ("work_item.open.task", "closed"), ("merge_request.open", "merged")],
)
def test_what_is_over_was_not_opened_just_now(name: str, state: str) -> None:
    """The button Test sends the newest one as if it had been opened, whatever its state."""
    event = variant(name, {"object_attributes.state": state})

    assert event.activity is None
    assert event.why_not == "this is a test request: GitLab sent a closed item as if it had just been opened"


def test_what_was_merged_is_merged_though_it_is_locked_still() -> None:
    assert status_of(variant("merge_request.merge", {"object_attributes.state": "locked"})) == "merged purple"


@pytest.mark.parametrize("before", ["Draft: Keep", "WIP: Keep", "Keep"])
def test_mark_of_a_draft_is_no_part_of_the_old_title(before: str) -> None:
    event = variant("merge_request.update.title", {"changes": {"title": [before, "Hold"]}})

    assert "changed the title from “Keep”" in event.summary


@pytest.mark.parametrize(
    ("after", "turned"),
    [("Incident", "converted the issue to an incident:"), ("Task", "converted the issue to a task:")],
)
def test_issue_turns_into_something_else(after: str, turned: str) -> None:
    assert line(variant("issue.update.title", {"changes": {"type": ["Issue", after]}})) == turned


@pytest.mark.parametrize("ref", ["refs/merge-requests/31/head", "refs/merge-requests/31/merge"])
def test_failed_job_of_a_merge_request_is_told_in_its_thread_and_changes_nothing_about_it(ref: str) -> None:
    """A job says of its merge request no more than the number, and that only by the ref."""
    opened = told(variant("merge_request.open", {})).thread

    event = variant("build.failed", {"ref": ref})

    assert told(event).thread_id == "project:4242/mr:31"
    assert told(event).thread.title == "Merge request !31"
    assert told(event).thread.external_url == f"{WEB}/-/merge_requests/31"
    assert told(event).thread.over(opened) == opened
    assert "branches" not in event.facts, "which it goes into is not known"


def test_pipeline_that_names_its_merge_request_by_the_ref_alone_is_told_in_its_thread() -> None:
    changes = {"object_attributes.ref": "refs/merge-requests/31/head", "merge_request": None}

    assert told(variant("pipeline.failed.merge_request", changes)).thread_id == "project:4242/mr:31"


def test_pipelines_of_a_tag_and_of_a_branch_with_its_name_are_kept_apart() -> None:
    branch = told(variant("pipeline.success", {"object_attributes.ref": "v3.2.0"}))

    assert told(variant("pipeline.success.tag", {})).thread_id == "project:4242/pipeline:tag:v3.2.0"
    assert branch.thread_id == "project:4242/pipeline:v3.2.0"


ADDRESSES = ["review.octo.example", "shopapp://open/31", "https://e.example/" + "a" * 3000, "https://[half", ""]


@pytest.mark.parametrize("address", ADDRESSES)
def test_deployment_to_where_no_browser_goes_is_told_without_a_link(address: str) -> None:
    """An environment's address may be of any scheme, and as long as people like."""
    activity = told(variant("deployment.success", {"environment_external_url": address, "commit_url": address}))

    assert activity.title == "deployed main to production"
    assert {field.label: field.value for field in activity.thread.fields}["Commit"].startswith("045d203 ")


def test_deployment_without_a_ref_is_known_by_its_commit() -> None:
    assert line(variant("deployment.success", {"ref": None})) == "deployed 045d203 to production for"


def test_commits_that_are_not_listed_are_counted_only() -> None:
    """System hooks list none."""
    activity = told(variant("push", {"commits": []}))

    assert ">2 commits</a> to main" in activity.title
    assert activity.body == ""


def test_reaction_to_a_snippet_is_told_in_its_thread() -> None:
    snippet = {"id": 620, "title": "Rates of the day", "url": f"{WEB}/-/snippets/620"}

    activity = told(variant("emoji.award.issue", {"issue": None, "project_snippet": snippet}))

    assert activity.thread_id == "project:4242/snippet:620"


@pytest.mark.parametrize(
    ("name", "shown"), [("thumbsup_tone3", "👍"), ("party_parrot", ":party_parrot:"), ("tone3", ":tone3:")]
)
def test_reaction_is_shown_without_the_colour_of_its_skin(name: str, shown: str) -> None:
    assert told(variant("emoji.award.issue", {"object_attributes.name": name})).title == f"reacted with {shown}"


def test_release_that_is_still_to_come_is_not_said_to_be_out() -> None:
    event = variant("release.create", {"released_at": "2027-01-15 14:31:09 UTC"})

    assert line(event) == "announced the release for 2027-01-15:"
    assert status_of(event) == "upcoming blue"
    assert {field.label: field.value for field in told(event).thread.fields}["Release date"] == "2027-01-15"


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
def test_release_is_out_unless_its_time_lies_ahead(released: str | None) -> None:
    event = variant("release.create", {"released_at": released})

    assert line(event) == "published the release"
    assert status_of(event) == "released cyan"


TIMES = ["2026-01-12 08:14:09 UTC", "2026-01-12T08:14:09Z", "2015-04-08T21: 00:25-07:00", "yesterday"]


@pytest.mark.parametrize("time", TIMES)
def test_nothing_is_refused_for_the_way_a_time_is_written(time: str) -> None:
    created = {"object_attributes.created_at": time, "object_attributes.last_commit.timestamp": time}
    told(variant("merge_request.open", created))
    told(variant("pipeline.failed", {"object_attributes.finished_at": time, "commit.timestamp": time}))
    told(variant("deployment.success", {"status_changed_at": time}))
    told(variant("release.create", {"created_at": time, "released_at": time}))


@pytest.mark.parametrize(
    ("role", "joined", "changed"),
    [
        ("Developer", "joined as Developer in", "was given the role Developer in"),
        ("Minimal Access", "joined as Minimal Access in", "was given the role Minimal Access in"),
        (None, "joined as member in", "was given the role member in"),
    ],
)
def test_member_has_whatever_role_gitlab_names(role: str | None, joined: str, changed: str) -> None:
    assert line(variant("user_add_to_group", {"group_access": role})) == joined
    assert line(variant("user_update_for_group", {"group_access": role})) == changed


def test_gitlab_duo_is_no_person() -> None:
    assert variant("note.merge_request", {"user.username": "GitLabDuo"}).facts["bots"] == ("bot",)


def test_what_happened_to_a_group_is_not_taken_for_what_happened_to_a_project_of_its_number() -> None:
    group = told(variant("milestone.create.group", {"object_attributes.iid": 4, "group.group_id": 4242}))

    assert group.thread_id != told(variant("milestone.create", {})).thread_id
