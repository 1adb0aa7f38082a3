"""The whole product in a real browser, with its content security policy, scripts and live updates."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from demo import connect
from demo.replay import DAY
from tests.stack import Stack

from .conftest import Person

pytestmark = pytest.mark.browser


def test_a_person_connects_a_repository_and_sees_its_activity(stack: Stack, somebody: Callable[..., Person]) -> None:
    person = somebody()
    page = person.page
    page.goto(f"{stack.flowdock}/app/acme/lobby/settings")
    page.get_by_role("link", name="Add Flowdock Bridge").click()
    allow = page.get_by_role("button", name="Allow")
    page.wait_for_url(re.compile("/oauth/authorize|/flowdock/setup"))
    if allow.count():
        allow.click()
    page.wait_for_url(re.compile("/flowdock/setup"))
    page.get_by_role("radio", name=re.compile("GitHub")).check(force=True)
    page.locator("input[name=origin]").fill("octo/clicked")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect octo/clicked to Lobby")
    page.get_by_role("button", name="Connect octo/clicked to Lobby").click()
    page.wait_for_url(re.compile(r"/connected/$"))
    hook = connect.hook_id(page.get_by_label("Payload URL").input_value())

    inbox = person.context.new_page()
    inbox.goto(f"{stack.flowdock}/app/acme/lobby")
    stack.manage("replay", hook, str(DAY))

    # Neither page was touched: the one turned green, the other filled.
    expect(page.get_by_text("It works.")).to_be_visible()
    expect(inbox.get_by_role("link", name=re.compile("Greet people in their own language"))).to_be_visible()
    assert person.complaints == []


def test_a_thread_opens_in_place_and_by_its_address(stack: Stack, hook: str, somebody: Callable[..., Person]) -> None:
    person = somebody()
    page = person.page
    page.goto(f"{stack.flowdock}/app/acme/main")

    page.get_by_role("link", name=re.compile("Greet people in their own language")).first.click()

    expect(page.get_by_role("heading", name=re.compile("Greet people in their own language"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"/app/acme/main/threads/[\w-]{27}"))
    expect(page.get_by_text("opened the pull request").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("Greet people in their own language"))).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"/app/acme/main$"))
    assert person.complaints == []


def test_a_comment_appears_in_another_persons_window(stack: Stack, hook: str, somebody: Callable[..., Person]) -> None:
    one, other = somebody(), somebody()
    one.page.goto(f"{stack.flowdock}/app/acme/main")
    one.page.get_by_role("link", name=re.compile("Greet people in their own language")).first.click()
    expect(one.page).to_have_url(re.compile("/threads/"))
    other.page.goto(one.page.url)

    one.page.get_by_role("textbox", name=re.compile("[Cc]omment")).fill("Seen from the other window")
    one.page.get_by_role("button", name="Comment").click()

    expect(other.page.get_by_text("Seen from the other window", exact=True)).to_be_visible()
    expect(one.page.get_by_text("Seen from the other window", exact=True)).to_have_count(1)
    assert one.complaints + other.complaints == []


def test_denying_consent_shows_a_page_that_says_so(stack: Stack, somebody: Callable[..., Person]) -> None:
    person = somebody(account="other@example.com")
    page = person.page
    page.goto(f"{stack.flowdock}/app/acme/lobby/settings")
    page.get_by_role("link", name="Add Flowdock Bridge").click()

    page.get_by_role("button", name="Deny").click()

    page.wait_for_url(re.compile(re.escape(stack.bridge)))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "Traceback" not in page.content()
