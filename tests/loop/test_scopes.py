"""With `profile integration`, which Flowdock's example application requests, everything but lists of flows works."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from demo import connect
from demo.visitor import Visitor
from tests.stack import Stack

from .flow import Flow

pytestmark = pytest.mark.loop


@pytest.fixture(scope="module")
def person(stack: Stack) -> Visitor:
    visitor = Visitor()
    connect.sign_in(visitor, stack.env)
    return visitor


@pytest.fixture(scope="module")
def flow(stack: Stack) -> Flow:
    return Flow(stack)


def settings(stack: Stack) -> str:
    return f"{stack.flowdock}/app/acme/main/settings"


def is_authorized(person: Visitor, stack: Stack) -> bool:
    return "Revoke Flowdock Bridge" in person.open(f"{stack.flowdock}/account").text


def test_set_up_filters_and_removal_need_no_other_scope(stack: Stack, person: Visitor, flow: Flow) -> None:
    person.open(settings(stack))
    consent = person.follow("Add Flowdock Bridge")
    assert parse_qs(urlsplit(consent.url).query)["scope"] == ["integration profile"]
    person.send("Allow")
    person.send("Continue", service="github", origin="octo/hello", preset="everything")
    assert "Waiting for the first event" in person.send("Connect octo/hello to Main").text

    person.open(settings(stack))
    assert "octo/hello" in person.follow("Configure octo/hello").text
    page = person.send("Save", **{"authors.none_of.new": "dependabot[bot]"})
    assert "Filters saved." in page.text
    person.open(page.url.removesuffix("filters/"))
    assert "Removed." in person.send("Remove").text

    assert flow.sources() == []
    assert "could not be looked through" not in stack.logs()


def test_list_of_flows_asks_for_its_scope(stack: Stack, person: Visitor) -> None:
    page = person.open(f"{stack.bridge}/")
    assert page.status == 403
    assert "This page needs one more permission" in page.text

    consent = person.follow("Continue to Flowdock")
    assert parse_qs(urlsplit(consent.url).query)["scope"] == ["flow integration profile"]
    person.send("Allow")

    assert person.page.status == 200
    assert "Lobby" in person.page.text
    assert person.open(f"{stack.bridge}/polls/").status == 200


def test_signing_out_of_the_bridge_revokes_its_access_to_flowdock(stack: Stack) -> None:
    person = Visitor()
    connect.sign_in(person, stack.env, account="other@example.com")
    person.open(f"{stack.bridge}/sign-in/")
    person.send("Allow")
    assert is_authorized(person, stack)
    person.open(f"{stack.bridge}/account/")

    person.send("Sign out of this browser")

    assert not is_authorized(person, stack)
