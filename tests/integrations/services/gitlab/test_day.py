"""The day of octo/website, laid event over event as ingest does: every thread tells the truth at every moment."""

from __future__ import annotations

import pytest

from tests.integrations.services.days import Day, fields, laid, statuses

ISSUE, MERGE_REQUEST, MAIN = "project:4242/issue:57", "project:4242/mr:131", "project:4242/pipeline:main"
RELEASE = "project:4242/release:v3.2.0"


@pytest.fixture(scope="module")
def day() -> Day:
    return laid("gitlab")


STATUSES = {
    ISSUE: ["open", "closed"],
    # Pipelines, comments and pushes in between change nothing about where the review stands.
    MERGE_REQUEST: ["draft", "in review", "approved", "merged"],
    "project:4242/mr:132": ["open"],
    MAIN: ["passed"],
    RELEASE: ["tagged", "released"],
    "project:4242/environment:production": ["deployed"],
    "project:4242/milestone:4": ["closed"],
    "project:4242/branch:57-basket-follows-the-country": ["", "deleted"],
}


@pytest.mark.parametrize(("thread_id", "expected"), STATUSES.items())
def test_status_goes_its_way_and_never_back(day: Day, thread_id: str, expected: list[str]) -> None:
    assert statuses(day, thread_id) == expected


def test_each_thread_is_told_by_those_who_did_it_and_in_their_order(day: Day) -> None:
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


def test_pipelines_are_told_in_the_thread_of_their_merge_request(day: Day) -> None:
    told = [activity for activity, _ in day[MERGE_REQUEST] if activity.author.name.startswith("Pipeline #")]

    assert ["failed" in told[0].title, "passed" in told[1].title] == [True, True]
    assert "rspec" in told[0].body


def test_merge_request_keeps_its_body_and_fields_whoever_tells_of_it(day: Day) -> None:
    states = [thread for _, thread in day[MERGE_REQUEST]]

    assert {thread.body for thread in states} == {states[0].body}
    assert "a switch of the country reaches every price" in states[0].body
    assert states[-1].title == "Let the basket follow the country"
    for thread in states:
        assert set(fields(thread)) >= {"Merge request", "Branch", "Assignees", "Labels"}
    assert fields(states[-1])["Labels"] == "bug, checkout"
    assert fields(states[-1])["Reviewers"] == "Lea Cohen"
    assert "!131" in fields(states[-1])["Merge request"]


def test_issue_shows_what_was_made_of_it_until_the_end(day: Day) -> None:
    _, last = day[ISSUE][-1]

    assert fields(last)["Assignees"] == "Ines Rao"
    assert fields(last)["Labels"] == "bug, checkout"
    assert last.external_url == "https://gitlab.com/octo/website/-/issues/57"


def test_release_is_told_in_the_thread_of_its_tag(day: Day) -> None:
    assert len(day[RELEASE]) == 2
    _, last = day[RELEASE][-1]
    assert last.title == "3.2: prices that follow the country"
    assert last.external_url == "https://gitlab.com/octo/website/-/releases/v3.2.0"


def test_day_shows_every_part_of_the_inbox(day: Day) -> None:
    assert len(day) >= 9
    assert any(activity.event == "discussion" for told in day.values() for activity, _ in told)
