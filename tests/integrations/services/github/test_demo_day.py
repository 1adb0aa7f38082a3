"""The demonstration's day: the state of each thread is right after every event."""

from __future__ import annotations

import pytest

from integrations.services import SERVICES
from tests.integrations.services.demo_days import Day, fields, statuses, threads_of
from tests.integrations.services.recorded import recorded


@pytest.fixture(scope="module")
def day() -> Day:
    return threads_of("github")


STATUSES = {
    # Checks, comments and pushes in between do not change the status of the review.
    "pr:42": ["open", "in review", "changes requested", "approved", "merged"],
    "pr:43": ["open", "merged"],
    "pr:45": ["draft", "open"],
    "issue:38": ["open", "closed"],
    "issue:44": ["open", "not planned"],
    "workflow:build.yml:main": ["failed", "passed"],
    "release:v2.4.0": ["tagged", "released"],
    "discussion:46": ["open", "answered"],
    "branch:greet-in-french": ["", "deleted"],
}


@pytest.mark.parametrize(("thread_id", "expected"), STATUSES.items())
def test_statuses_follow_each_other_as_expected(day: Day, thread_id: str, expected: list[str]) -> None:
    assert statuses(day, thread_id) == expected


def test_checks_are_posted_in_the_thread_of_their_pull_request(day: Day) -> None:
    activities = [activity.author.name for activity, _ in day["pr:42"]]

    assert sum(name.startswith(("Check ", "Workflow ")) for name in activities) == 5


def test_a_pull_request_keeps_its_title_body_and_fields_after_every_event(day: Day) -> None:
    states = [thread for _, thread in day["pr:42"]]

    assert {thread.title for thread in states} == {"Greet people in their own language"}
    assert {thread.body for thread in states} == {states[0].body}
    assert all(
        set(fields(thread)) >= {"Pull request", "Branch", "Changes", "Commits"} and not thread.keeps
        for thread in states
    )
    assert fields(states[-1])["Changes"] == "9 files, +214 −38"
    assert fields(states[-1])["Reviewers"] == "Ines Rao, Lea Cohen"


def test_the_day_has_many_threads_and_discussions(day: Day) -> None:
    assert len(day) >= 12
    assert any(activity.event == "discussion" for activities in day.values() for activity, _ in activities)


def test_a_new_thread_begins_with_the_values_of_the_event() -> None:
    check = next(each for each in recorded(SERVICES["github"]) if str(each) == "check_run.completed.failure")

    activity = check.read().activity

    assert activity is not None
    assert activity.thread.title == "Pull request #42: greet"
    assert activity.thread.external_url == "https://github.com/octo/hello/pull/42"
    assert fields(activity.thread)["Branch"] == "greet into main"
