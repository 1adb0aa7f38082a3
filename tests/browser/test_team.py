"""Two people in one flow: they chat, mention each other, send files, and use the inbox by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.stack import Stack, until

from .conftest import Person
from .test_live_inbox import LOBBY, Teller

pytestmark = pytest.mark.browser

OTHER = "other@example.com"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def test_two_people_chat_and_mention_each_other(stack: Stack, somebody: Callable[..., Person]) -> None:
    mira, tom = somebody(), somebody(account=OTHER)
    for person in (mira, tom):
        person.page.goto(f"{stack.flowdock}{LOBBY}/chat")
    box = tom.page.get_by_role("textbox", name="Message to Lobby")

    box.press_sequentially("Good morning @mi")
    expect(tom.page.get_by_role("option")).to_have_count(1)
    box.press("Enter")
    expect(box).to_have_value("Good morning @mira ")
    box.press_sequentially("about #harbour")
    box.press("Enter")

    expect(box).to_have_value("")
    expect(mira.page.locator(".names-me .mention.is-me")).to_have_text("@mira")
    expect(tom.page.locator(".line", has_text="Good morning")).to_have_count(1)
    mira.page.get_by_role("link", name="#harbour").first.click()
    expect(mira.page).to_have_url(re.compile(r"/chat\?tag=harbour$"))
    expect(mira.page.locator(".line", has_text="Good morning")).to_have_count(1)
    assert mira.complaints + tom.complaints == []


def test_a_message_is_edited_in_place(stack: Stack, somebody: Callable[..., Person]) -> None:
    mira, tom = somebody(), somebody(account=OTHER)
    for person in (mira, tom):
        person.page.goto(f"{stack.flowdock}{LOBBY}/chat")
    tom.page.get_by_role("textbox", name="Message to Lobby").fill("It is reday")
    tom.page.get_by_role("button", name="Send").click()
    line = tom.page.locator(".line", has_text="It is reday")
    line.hover()
    line.get_by_role("link", name="Edit or delete").click()

    tom.page.get_by_role("textbox", name="Message", exact=True).fill("It is ready")
    tom.page.keyboard.press("Enter")

    for person in (mira, tom):
        expect(person.page.locator(".line", has_text="It is ready")).to_have_count(1)
        expect(person.page.locator(".line", has_text="It is reday")).to_have_count(0)
    assert mira.complaints + tom.complaints == []


def test_a_sent_message_is_not_restored_as_a_draft_after_leaving_the_page(
    stack: Stack, somebody: Callable[..., Person]
) -> None:
    page = somebody().page
    page.goto(f"{stack.flowdock}{LOBBY}/chat")
    held: list[Route] = []
    page.route("**/chat/messages", lambda route: held.append(route))
    box = page.get_by_role("textbox", name="Message to Lobby")
    box.fill("Said, and gone")
    page.get_by_role("button", name="Send").dblclick()
    expect(box).to_have_value("")

    page.goto(f"{stack.flowdock}{LOBBY}")
    page.goto(f"{stack.flowdock}{LOBBY}/chat")

    expect(box).to_have_value("")
    assert len(held) == 1


def test_a_message_that_could_not_be_sent_is_restored(stack: Stack, somebody: Callable[..., Person]) -> None:
    page = somebody().page
    page.goto(f"{stack.flowdock}{LOBBY}/chat")
    page.route("**/chat/messages", lambda route: route.abort())
    box = page.get_by_role("textbox", name="Message to Lobby")
    box.fill("Not sent yet")

    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(box).to_have_value("Not sent yet")
    page.reload()
    expect(box).to_have_value("Not sent yet")


def test_the_error_for_a_large_file_disappears_when_the_file_is_removed(
    stack: Stack, somebody: Callable[..., Person]
) -> None:
    page = somebody().page
    page.goto(f"{stack.flowdock}{LOBBY}/chat")
    page.route("**/chat/messages", lambda route: route.fulfill(status=413, body="Too large"))
    film = {"name": "film.mp4", "mimeType": "video/mp4", "buffer": PIXEL}
    page.locator("#files").set_input_files([film])  # type: ignore[list-item]
    page.get_by_role("textbox", name="Message to Lobby").fill("Our harbour")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_have_text("Your message is too large. Send fewer or smaller files.")
    expect(page.get_by_role("textbox", name="Message to Lobby")).to_have_value("Our harbour")

    page.get_by_role("button", name="Remove film.mp4").click()

    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_day_of_many_pages_has_its_heading_above_its_first_message(
    stack: Stack, somebody: Callable[..., Person]
) -> None:
    teller = Teller(stack)
    say = {"event": "message", "content": "One of many"}
    for _ in range(70):
        teller.session.post(teller.address, json=say, timeout=30).raise_for_status()
    page = somebody().page
    page.goto(f"{stack.flowdock}{LOBBY}/chat")
    page.locator("#scroll").evaluate("lines => { lines.scrollTop = 0 }")
    until(lambda: page.locator(".line").count() > 60, "earlier messages to be fetched")

    teller.session.post(teller.address, json=say | {"content": "And one more"}, timeout=30).raise_for_status()

    expect(page.locator(".line", has_text="And one more")).to_have_count(1)
    expect(page.locator("#lines > li").first).to_have_class("day")
    expect(page.locator("#lines > .day")).to_have_count(1)


def test_a_sent_picture_is_shown_to_the_other_person(stack: Stack, somebody: Callable[..., Person]) -> None:
    mira, tom = somebody(), somebody(account=OTHER)
    for person in (mira, tom):
        person.page.goto(f"{stack.flowdock}{LOBBY}/chat")
    picture = {"name": "pixel.png", "mimeType": "image/png", "buffer": PIXEL}

    tom.page.locator("#files").set_input_files([picture])  # type: ignore[list-item]
    expect(tom.page.locator("#chosen-files li")).to_have_count(1)
    tom.page.get_by_role("button", name="Send").click()

    image = mira.page.get_by_role("img", name="pixel.png").last
    expect(image).to_be_visible()
    until(lambda: image.evaluate("image => image.naturalWidth") > 0, "the picture to be loaded")
    assert mira.complaints + tom.complaints == []


def test_the_inbox_can_be_used_by_keyboard(stack: Stack, somebody: Callable[..., Person]) -> None:
    teller = Teller(stack)
    for number in range(3):
        teller.tell(f"{number}", f"Keyed {number}")
    person = somebody(account=OTHER)
    page = person.page
    page.goto(f"{stack.flowdock}{LOBBY}")
    expect(page).to_have_title(re.compile(r"^\(\d+\) Lobby · Acme"))
    row = page.locator(".thread-row", has_text="Keyed 1")
    expect(row).to_have_class(re.compile("is-unread"))

    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row.get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keyed 1")
    expect(row).not_to_have_class(re.compile("is-unread"))

    page.keyboard.press("e")
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_have_count(1)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search threads")).to_be_focused()
    assert person.complaints == []


def test_the_outcome_of_an_action_stays_while_the_thread_is_updated(
    stack: Stack, somebody: Callable[..., Person]
) -> None:
    teller = Teller(stack)
    action = {
        "@type": "UpdateAction",
        "name": "Close it",
        "target": {"@type": "EntryPoint", "urlTemplate": "https://nowhere.invalid/close", "httpMethod": "POST"},
    }
    activity = {
        "event": "activity",
        "external_thread_id": f"{teller.run}:action",
        "title": "opened issue",
        "author": {"name": "Priya Desai"},
        "thread": {"title": "A lamp to close", "actions": [action]},
    }
    teller.session.post(teller.address, json=activity, timeout=30).raise_for_status()
    person = somebody(account=OTHER)
    page = person.page
    page.goto(f"{stack.flowdock}{LOBBY}")
    page.get_by_role("link", name=re.compile("A lamp to close")).click()

    page.get_by_role("button", name="Close it").click()

    expect(page.locator(".thread .notice")).to_be_visible()
    teller.session.post(teller.address, json=activity | {"title": "commented"}, timeout=30).raise_for_status()
    expect(page.locator(".timeline > li")).to_have_count(2)
    expect(page.locator(".thread .notice")).to_be_visible()


def test_an_activity_is_deleted_from_the_open_thread(stack: Stack, somebody: Callable[..., Person]) -> None:
    teller = Teller(stack)
    teller.tell("gone", "A lamp nobody needs")
    person, other = somebody(account=OTHER), somebody()
    for each in (person, other):
        each.page.goto(f"{stack.flowdock}{LOBBY}")
    person.page.get_by_role("link", name=re.compile("A lamp nobody needs")).click()

    person.page.get_by_role("link", name="Delete this activity by Priya Desai").click()
    person.page.get_by_role("button", name="Delete message").click()

    expect(person.page).to_have_url(re.compile(f"{LOBBY}$"))
    for each in (person, other):
        expect(each.page.locator(".thread-row", has_text="A lamp nobody needs")).to_have_count(0)
    assert person.complaints + other.complaints == []


def test_a_reply_by_keyboard_continues_the_thread_of_the_message(stack: Stack, somebody: Callable[..., Person]) -> None:
    mira, tom = somebody(), somebody(account=OTHER)
    for person in (mira, tom):
        person.page.goto(f"{stack.flowdock}{LOBBY}/chat")
    mira.page.get_by_role("textbox", name="Message to Lobby").fill("Shall we open the lock?")
    mira.page.keyboard.press("Enter")
    expect(tom.page.locator("#lines .line", has_text="Shall we open the lock?")).to_have_count(1)

    tom.page.locator("body").press("k")
    tom.page.keyboard.press("r")
    box = tom.page.get_by_role("textbox", name="Reply to")
    expect(box).to_be_focused()
    box.fill("Wait for the ferry")
    box.press("Enter")

    expect(tom.page.locator("#comments .line", has_text="Wait for the ferry")).to_have_count(1)
    reply = mira.page.locator("#lines .line.is-reply", has_text="Wait for the ferry")
    expect(reply.get_by_role("link", name="Shall we open the lock?")).to_be_visible()
    expect(mira.page.locator("#lines .line", has_text="Shall we open the lock?").first).to_contain_text("1 reply")
    assert mira.complaints + tom.complaints == []
