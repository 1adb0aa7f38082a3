"""Where GitLab's payloads say less, or something else, than they seem to: nothing untrue is told, nothing refused.

Sources: GitLab's own lib/gitlab/data_builder, lib/gitlab/hook_data and app/services/concerns/integrations.
"""

from __future__ import annotations

from typing import Any

import pytest

from integrations.activity import Activity
from integrations.services import SERVICES
from integrations.services.base import Event

from .recorded import HERE, Recorded

GITLAB = SERVICES["gitlab"]
WEB = "https://gitlab.com/octo/website"


def variant(name: str, changes: dict[str, Any], **headers: str) -> Event:
    return Recorded(GITLAB, HERE / "gitlab" / f"{name}.json").changed(changes, **headers)


def told(event: Event) -> Activity:
    assert event.activity is not None, event.why_not
    return event.activity


def line(event: Event) -> str:
    return event.summary.removeprefix(f"{event.actor} ")


def status_of(event: Event) -> str:
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
    assert event.why_not == "it tests the webhook: GitLab sends what is over as if it had just been opened"


def test_what_was_merged_is_merged_though_it_is_locked_still() -> None:
    assert status_of(variant("merge_request.merge", {"object_attributes.state": "locked"})) == "merged purple"


@pytest.mark.parametrize("before", ["Draft: Keep", "WIP: Keep", "Keep"])
def test_mark_of_a_draft_is_no_part_of_the_old_title(before: str) -> None:
    event = variant("merge_request.update.title", {"changes": {"title": [before, "Hold"]}})

    assert "changed the title from “Keep”" in event.summary


@pytest.mark.parametrize(
    ("after", "turned"), [("Incident", "turned the issue into an incident:"), ("Task", "turned the issue into a task:")]
)
def test_issue_turns_into_something_else(after: str, turned: str) -> None:
    assert line(variant("issue.update.title", {"changes": {"type": ["Issue", after]}})) == turned
