"""The inbox updates itself without disturbing a person who reads or writes in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Page, expect

from demo import connect
from tests.stack import Stack, until

from .conftest import Person

pytestmark = pytest.mark.browser

LOBBY = "/app/acme/lobby"


class Teller:
    """A script that posts activities to Lobby."""

    def __init__(self, stack: Stack) -> None:
        self.address = f"{stack.flowdock}/flows/acme/lobby/messages"
        self.run = uuid4().hex  # keys of its own, as tests share the server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (connect.ACCOUNT, connect.PASSWORD)

    def tell(self, key: str, title: str, did: str = "opened issue", status: str = "open", color: str = "green") -> None:
        activity = {
            "event": "activity",
            "external_thread_id": f"{self.run}:{key}",
            "title": did,
            "author": {"name": "Priya Desai"},
            "thread": {"title": title, "status": {"value": status, "color": color}},
        }
        self.session.post(self.address, json=activity, timeout=30).raise_for_status()


@pytest.fixture
def teller(stack: Stack) -> Teller:
    return Teller(stack)


def first_row(page: Page):
    return page.locator(".thread-row").first


def top_of(page: Page, words: str) -> float:
    return page.locator(".thread-row", has_text=words).evaluate("row => row.getBoundingClientRect().top")


def test_an_open_thread_is_updated_while_a_comment_is_typed(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    person = somebody()
    page = person.page
    teller.tell("1", "A lamp flickers")
    page.goto(f"{stack.flowdock}{LOBBY}")
    first_row(page).get_by_role("link").click()
    box = page.get_by_role("textbox", name="Comment in Lobby")
    box.fill("half a sentence")
    box.evaluate("box => box.setSelectionRange(2, 6)")

    teller.tell("1", "A lamp flickers no more", "closed issue", "closed", "black")

    expect(page.get_by_role("heading", level=1)).to_have_text("A lamp flickers no more")
    expect(page.locator(".thread-head .pill-black")).to_have_text("closed")
    expect(page.locator(".timeline > li")).to_have_count(2)
    expect(page).to_have_title(re.compile(r"^(\(\d+\+?\) )?A lamp flickers no more · Lobby · Acme$"))
    expect(box).to_be_focused()
    assert box.evaluate("box => [box.value, box.selectionStart, box.selectionEnd]") == ["half a sentence", 2, 6]
    assert person.complaints == []


def test_a_typed_comment_is_kept_while_another_thread_is_open(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    page = somebody().page
    teller.tell("1", "First of two")
    teller.tell("2", "Second of two")
    page.goto(f"{stack.flowdock}{LOBBY}")
    page.get_by_role("link", name=re.compile("First of two")).click()
    page.get_by_role("textbox", name="Comment in Lobby").fill("not sent yet")

    page.get_by_role("link", name=re.compile("Second of two")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second of two")
    expect(page.get_by_role("textbox", name="Comment in Lobby")).to_have_value("")
    page.go_back()

    expect(page.get_by_role("heading", level=1)).to_have_text("First of two")
    expect(page.get_by_role("textbox", name="Comment in Lobby")).to_have_value("not sent yet")


def test_new_threads_do_not_move_the_rows_in_view(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    page = somebody().page
    for number in range(30):
        teller.tell(f"{number}", f"Lamp number {number:02}.")
    page.goto(f"{stack.flowdock}{LOBBY}")
    expect(first_row(page)).to_contain_text("Lamp number 29.")
    page.locator("#threads").evaluate("list => { list.scrollTop = 700 }")
    before = top_of(page, "Lamp number 15.")

    for number in range(3):
        teller.tell(f"late {number}", f"Late lamp {number}")

    expect(page.get_by_role("button", name="3 threads have new activity")).to_be_visible()
    expect(first_row(page)).to_contain_text("Late lamp 2")
    assert abs(top_of(page, "Lamp number 15.") - before) <= 1  # pixel
    expect(page).to_have_title(re.compile(r"^\(\d+\+?\) Lobby · Acme$"))  # how many are unread

    page.get_by_role("button", name="3 threads have new activity").click()
    expect(page.locator("#moved")).to_be_hidden()
    expect(first_row(page)).to_be_in_viewport()


def test_a_thread_leaves_a_filter_that_it_no_longer_matches_and_the_counts_change(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    page = somebody().page
    teller.tell("1", "Waits for a spare part", status="waiting for parts", color="orange")
    teller.tell("2", "Waits as well", status="waiting for parts", color="orange")
    page.goto(f"{stack.flowdock}{LOBBY}")
    page.get_by_role("link", name=re.compile("^waiting for parts")).click()
    expect(page.locator(".thread-row")).to_have_count(2)

    teller.tell("1", "Waits for a spare part", "fixed it", "fixed", "purple")

    expect(page.locator(".thread-row")).to_have_count(1)
    expect(first_row(page)).to_contain_text("Waits as well")
    expect(page.locator("#filters [aria-current]", has_text="waiting for parts").locator(".count")).to_have_text("1")


def test_the_list_can_be_navigated_by_keyboard_while_it_changes(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    page = somebody().page
    for number in range(3):
        teller.tell(f"{number}", f"Walked by {number}")
    page.goto(f"{stack.flowdock}{LOBBY}")
    second = page.get_by_role("link", name=re.compile("Walked by 1"))
    first_row(page).get_by_role("link").focus()
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()

    teller.tell("1", "Walked by 1", "closed issue", "closed", "black")

    expect(first_row(page)).to_contain_text("Walked by 1")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Walked by 1")
    expect(page.locator("#thread")).to_be_focused()


def test_two_windows_of_one_browser_share_one_event_stream(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    person = somebody()
    windows = [person.page, person.context.new_page()]
    for page in windows:
        page.goto(f"{stack.flowdock}{LOBBY}")
        expect(page.locator("#connection")).to_be_hidden()

    teller.tell("1", "Heard by both")
    for page in windows:
        expect(first_row(page)).to_contain_text("Heard by both")

    # The one that listened goes; the other listens from now on.
    windows[0].close()
    teller.tell("2", "Heard by who stayed")
    expect(first_row(windows[1])).to_contain_text("Heard by who stayed", timeout=20_000)


def test_a_stopped_server_is_shown_and_nothing_is_missed_after_it_restarts(
    stack: Stack, somebody: Callable[..., Person], teller: Teller
) -> None:
    page = somebody().page
    page.goto(f"{stack.flowdock}{LOBBY}")
    # An open stream must not keep the server from stopping.
    looked = "performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/list'))"
    until(lambda: page.evaluate(looked), "the page to look at its list")
    stack.stop("flowdock")
    try:
        expect(page.get_by_text("Reconnecting")).to_be_visible(timeout=20_000)
    finally:
        stack.start("flowdock")

    teller.tell("1", "Told before the window was back")

    expect(first_row(page)).to_contain_text("Told before the window was back", timeout=20_000)
    expect(page.get_by_text("Reconnecting")).to_be_hidden()


def test_the_inbox_works_without_javascript(stack: Stack, somebody: Callable[..., Person], teller: Teller) -> None:
    teller.tell("1", "Read without a script")
    signed_in = somebody().context.storage_state()
    browser = somebody(account=None).context.browser
    assert browser
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)
    page = context.new_page()
    page.goto(f"{stack.flowdock}{LOBBY}")

    page.get_by_role("searchbox", name="Search threads").fill("without script")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("Read without a script")).click()
    page.get_by_role("textbox", name="Comment in Lobby").fill("Said without one, too")
    page.get_by_role("button", name="Comment").click()

    expect(page.locator(".bubble-flow")).to_contain_text("Said without one, too")
    expect(page).to_have_url(re.compile(r"/threads/[\w-]{27}\?q=without\+script#message-\d+$"))
    context.close()
