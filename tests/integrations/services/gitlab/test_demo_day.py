"""The demonstration's day of octo/website: the state of each thread is right after every event."""

from __future__ import annotations

import pytest

from tests.integrations.services.demo_days import Day, fields, statuses, threads_of

ISSUE, MERGE_REQUEST, MAIN = "project:4242/issue:57", "project:4242/mr:131", "project:4242/pipeline:main"
RELEASE = "project:4242/release:v3.2.0"


@pytest.fixture(scope="module")
def day() -> Day:
    return threads_of("gitlab")


STATUSES = {
    ISSUE: ["open", "closed"],
    # Pipelines, comments and pushes in between do not change the status of the review.
    MERGE_REQUEST: ["draft", "in review", "approved", "merged"],
    "project:4242/mr:132": ["open"],
    MAIN: ["passed"],
    RELEASE: ["tagged", "released"],
    "project:4242/environment:production": ["deployed"],
    "project:4242/milestone:4": ["closed"],
    "project:4242/branch:57-basket-follows-the-country": ["", "deleted"],
}


@pytest.mark.parametrize(("thread_id", "expected"), STATUSES.items())
def test_statuses_follow_each_other_as_expected(day: Day, thread_id: str, expected: list[str]) -> None:
    assert statuses(day, thread_id) == expected


def test_activities_of_a_thread_have_their_authors_in_order(day: Day) -> None:
    assert [activity.author.name for activity, _ in day[ISSUE]] == [
        "Mira Okafor",
        "Lea Cohen",
        "Ines Rao",
        "Lea Cohen",
    ]
    assert [activity.author.name for activity, _ in day[MERGE_REQUEST]] == [
        "Ines Rao",
        "Pipeline #780411",
        "Lea Cohen",
        "Ines Rao",
        "Pipeline #780427",
        "Ines Rao",
        "Lea Cohen",
        "Lea Cohen",
        "Lea Cohen",
    ]


def test_pipelines_are_posted_in_the_thread_of_their_merge_request(day: Day) -> None:
    activities = [activity for activity, _ in day[MERGE_REQUEST] if activity.author.name.startswith("Pipeline #")]

    assert ["failed" in activities[0].title, "passed" in activities[1].title] == [True, True]
    assert "rspec" in activities[0].body


def test_a_merge_request_keeps_its_body_and_fields_after_every_event(day: Day) -> None:
    states = [thread for _, thread in day[MERGE_REQUEST]]

    assert {thread.body for thread in states} == {states[0].body}
    assert "a switch of the country reaches every price" in states[0].body
    assert states[-1].title == "Let the basket follow the country"
    for thread in states:
        assert set(fields(thread)) >= {"Merge request", "Branch", "Assignees", "Labels"}
    assert fields(states[-1])["Labels"] == "bug, checkout"
    assert fields(states[-1])["Reviewers"] == "Lea Cohen"
    assert "!131" in fields(states[-1])["Merge request"]


def test_an_issue_shows_its_final_assignees_and_labels(day: Day) -> None:
    _, last = day[ISSUE][-1]

    assert fields(last)["Assignees"] == "Ines Rao"
    assert fields(last)["Labels"] == "bug, checkout"
    assert last.external_url == "https://gitlab.com/octo/website/-/issues/57"


def test_a_release_is_posted_in_the_thread_of_its_tag(day: Day) -> None:
    assert len(day[RELEASE]) == 2
    _, last = day[RELEASE][-1]
    assert last.title == "3.2: prices that follow the country"
    assert last.external_url == "https://gitlab.com/octo/website/-/releases/v3.2.0"


def test_the_day_has_many_threads_and_discussions(day: Day) -> None:
    assert len(day) >= 9
    assert any(activity.event == "discussion" for activities in day.values() for activity, _ in activities)
