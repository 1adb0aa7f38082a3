"""Other kinds of origins in the running product: your own app with a signal, and all services with a recorded day.

The tests of this module share one stack and run in this order.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from demo import connect, polls, story
from demo.replay import days
from demo.visitor import Visitor
from tests.stack import Stack, until

from .flow import Flow

pytestmark = pytest.mark.loop


@pytest.fixture(scope="module")
def flow(stack: Stack) -> Flow:
    return Flow(stack)


@pytest.fixture(scope="module")
def one(stack: Stack) -> Visitor:
    """A person who has connected all polls to the flow and creates one."""
    visitor = polls.somebody(stack.env, connect.ACCOUNT)
    polls.follow_polls(visitor, stack.env)
    polls.ask(visitor, stack.env)
    return visitor


@pytest.fixture(scope="module")
def other(stack: Stack, one: Visitor) -> Visitor:
    """Another person who looks at the same poll."""
    visitor = polls.somebody(stack.env, connect.OTHER)
    visitor.open(one.page.url)
    return visitor


def counts(flow: Flow, question: str = polls.QUESTION) -> dict[str, str]:
    """The options in the inbox thread."""
    thread = flow.threads().get(question)
    return {field["label"]: field["value"] for field in thread["fields"]} if thread else {}


def titles(flow: Flow, question: str = polls.QUESTION) -> list[str]:
    return [re.sub(r"<[^>]+>", "", message["title"]) for message in flow.messages(flow.threads()[question])]


def test_votes_change_the_counts_in_the_inbox(flow: Flow, one: Visitor, other: Visitor) -> None:
    until(lambda: counts(flow).get("Pizza") == "no votes", "the new poll in the inbox")
    assert [source["name"] for source in flow.sources()] == ["All polls"]

    one.send("Vote for Pizza")
    until(lambda: counts(flow)["Pizza"] == "1 vote", "the first vote")
    other.send("Vote for Pizza")
    until(lambda: counts(flow)["Pizza"] == "2 votes", "the second vote")
    other.send("Remove vote for Pizza")
    until(lambda: counts(flow)["Pizza"] == "1 vote", "the vote to be taken back")

    thread = flow.threads()[polls.QUESTION]
    assert thread["status"] == {"value": "open", "color": "green"}
    assert thread["external_url"] == one.page.url
    assert titles(flow) == ["created the poll", "voted for Pizza", "voted for Pizza", "removed their vote for Pizza"]
    assert [message["author"]["name"] for message in flow.messages(thread)][2] == "Tom Okafor"


def test_votes_count_while_flowdock_is_down_and_are_posted_later(
    stack: Stack, flow: Flow, one: Visitor, other: Visitor
) -> None:
    stack.stop("flowdock")

    other.send("Vote for Sushi")
    other.send("Comment", text="Nobody has to know in time.")
    seen = one.open(one.page.url).text
    assert seen.count("1 vote 50 %") == 2
    assert "Nobody has to know in time." in seen

    stack.start("flowdock")
    until(lambda: counts(flow)["Sushi"] == "1 vote", "the vote once Flowdock is back", patience=60)
    until(lambda: titles(flow)[-1] == "commented", "the comment after it", patience=60)
    said = flow.messages(flow.threads()[polls.QUESTION])[-1]
    assert (said["event"], said["body"]) == ("discussion", "Nobody has to know in time.")


def test_closing_a_poll_posts_its_result_or_a_tie(flow: Flow, one: Visitor) -> None:
    one.open(one.page.url)
    one.send("Close poll")

    until(lambda: flow.threads()[polls.QUESTION]["status"]["value"] == "closed", "the poll to be closed")

    assert flow.threads()[polls.QUESTION]["status"]["color"] == "grey"
    assert titles(flow)[-1] == "closed the poll: a tie between Pizza and Sushi, 1 vote each"
    assert counts(flow)["Pizza"] == "1 vote, tied"


def test_filters_by_kind_are_changed_from_the_flow(stack: Stack, flow: Flow, one: Visitor) -> None:
    one.open(f"{stack.flowdock}/app/acme/main/settings")
    one.follow("Configure All polls")
    one.send("Save filters", boxes={"voted": False})

    polls.run(stack.env)

    closing = "closed the poll: Soup and bread wins with 2 of 2 votes"
    until(lambda: titles(flow)[-1] == closing, "the second poll to be over")
    assert not [title for title in titles(flow) if title.startswith("voted")]
    # Its votes are not posted one by one, but the thread has them.
    assert counts(flow)["Soup and bread"] == "2 votes, wins"


@pytest.mark.parametrize("day", days(), ids=lambda day: day.service)
def test_recorded_day_of_every_service_reaches_the_inbox(stack: Stack, flow: Flow, day: Any) -> None:
    before = len(flow.threads())

    assert story.replay_day(stack.env, day) == 0

    until(lambda: stack.manage("deliver_activities", "--dry-run").stdout.startswith("0 "), "the outbox to be empty")
    threads = flow.threads()
    new = [thread for thread in threads.values() if thread["source"]["name"] == day.origin]
    assert len(threads) >= before + 6
    assert len(new) >= 6
    assert {thread["status"]["value"] for thread in new if thread["status"]} & {"merged", "closed"}


def test_processes_logged_only_errors_about_flowdock_being_down(stack: Stack) -> None:
    assert "Traceback" not in stack.logs()
