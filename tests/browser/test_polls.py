"""A poll with two people, each in their own browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from demo import connect
from tests.stack import Stack

from .conftest import Person

pytestmark = pytest.mark.browser


def open_poll(person: Person, address: str) -> None:
    page = person.page
    page.goto(address)
    page.wait_for_url(re.compile(r"/polls/|/oauth/authorize"))
    allow = page.get_by_role("button", name="Allow")
    if allow.count():
        allow.click()
    page.wait_for_url(address)


def option(person: Person, label: str) -> object:
    return person.page.locator(".poll-option", has=person.page.get_by_role("heading", name=label))


def test_a_vote_appears_on_another_persons_page_without_a_reload(
    stack: Stack, life: str, somebody: Callable[..., Person]
) -> None:
    one, other = somebody(), somebody(account=connect.OTHER)
    open_poll(one, life)
    open_poll(other, life)
    one.page.get_by_label("Another option").fill("Wednesd")

    other.page.get_by_role("button", name="Vote for Tuesday").click()
    expect(option(other, "Tuesday").get_by_text("Your vote", exact=True)).to_be_visible()

    expect(option(one, "Tuesday").get_by_text("Tom Okafor")).to_be_visible()
    assert one.page.get_by_label("Another option").input_value() == "Wednesd", "what is being typed stays"
    other.page.get_by_role("button", name="Remove vote for Tuesday").click()
    expect(option(one, "Tuesday").get_by_text("Tom Okafor")).to_be_hidden()
    assert one.complaints + other.complaints == []


def test_voting_by_keyboard_keeps_the_focus(stack: Stack, life: str, somebody: Callable[..., Person]) -> None:
    person = somebody()
    open_poll(person, life)

    person.page.get_by_role("button", name="Vote for Tuesday").focus()
    person.page.keyboard.press("Enter")

    back = person.page.get_by_role("button", name="Remove vote for Tuesday")
    expect(back).to_be_focused()
    # For some milliseconds the new button is there and htmx has not taken it up: no hand is that fast.
    person.page.wait_for_function("document.activeElement.form['htmx-internal-data']?.listenerInfos?.length")
    person.page.keyboard.press("Enter")
    expect(person.page.get_by_role("button", name="Vote for Tuesday")).to_be_focused()
    assert person.complaints == []
