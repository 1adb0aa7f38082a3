"""Every page, wide and narrow, light and dark: takes a screenshot, and checks accessibility and overflow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.stack import Stack

from .conftest import ARTIFACTS, SCHEMES, SIZES, Person

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def bridge_home(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.bridge}/sign-in/?flows=1")
    if allow := page.get_by_role("button", name="Allow").all():
        allow[0].click()
    page.wait_for_url(re.compile(re.escape(stack.bridge)))
    page.goto(f"{stack.bridge}/")


def integration(stack: Stack, page: Page) -> None:
    bridge_home(stack, page)
    page.get_by_role("link", name="octo/hello", exact=True).click()
    page.wait_for_url(re.compile("/integrations/"))


def opened_event(stack: Stack, page: Page) -> None:
    integration(stack, page)
    page.locator("a.log-what").first.click()
    page.wait_for_url(re.compile("/events/"))


def filters(stack: Stack, page: Page) -> None:
    integration(stack, page)
    page.get_by_role("link", name="Filters").click()
    page.wait_for_url(re.compile("/filters/"))


def connected(stack: Stack, page: Page) -> None:
    integration(stack, page)
    page.goto(f"{page.url}connected/")


def setup(stack: Stack, page: Page) -> None:
    bridge_home(stack, page)
    page.goto(f"{stack.flowdock}/app/acme/main/settings")
    page.get_by_role("link", name="Add Flowdock Bridge").click()
    page.wait_for_url(re.compile("/flowdock/setup"))


def setup_without_flow(stack: Stack, page: Page) -> None:
    bridge_home(stack, page)
    page.goto(f"{stack.bridge}/flowdock/setup")


def confirmation(stack: Stack, page: Page) -> None:
    setup(stack, page)
    page.locator("input[name=origin]").fill("octo/new")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(re.compile("confirm"))


def consent(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.bridge}/sign-in/?flows=1")
    page.wait_for_url(re.compile("/oauth/authorize|" + re.escape(stack.bridge)))


def thread(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/app/acme/main")
    page.get_by_role("link", name=re.compile("Greet people in their own language")).first.click()
    page.wait_for_url(re.compile("/threads/"))
    page.get_by_role("heading", name=re.compile("Greet people")).wait_for()
    # A row that is cut off by scrolling would count as a small target.
    page.locator("#threads").evaluate("list => list.scrollTo(0, 0)")


def setup_of_polls(stack: Stack, page: Page) -> None:
    setup(stack, page)
    page.get_by_role("radio", name=re.compile("Polls")).check(force=True)
    page.get_by_role("radio", name=re.compile("All polls")).check(force=True)


def connected_polls(stack: Stack, page: Page) -> None:
    bridge_home(stack, page)
    page.get_by_role("link", name="All polls", exact=True).click()
    page.wait_for_url(re.compile("/integrations/"))
    page.goto(f"{page.url}connected/")


def of_polls(path: str = "") -> Callable[[Stack, Page], None]:
    def go(stack: Stack, page: Page) -> None:
        bridge_home(stack, page)
        page.goto(f"{stack.bridge}/polls/{path}")

    return go


def closed_poll(stack: Stack, page: Page) -> None:
    of_polls()(stack, page)
    page.get_by_role("link", name="What do we have for lunch on Friday?").last.click()
    page.get_by_text("Wins", exact=True).wait_for()


def open_poll(stack: Stack, page: Page) -> None:
    of_polls()(stack, page)
    page.get_by_role("link", name="Which day suits the retrospective?").first.click()
    page.get_by_role("button", name="Close poll").first.wait_for()


def poll_thread(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/app/acme/main")
    page.get_by_role("link", name=re.compile("What do we have for lunch")).first.click()
    page.get_by_text("closed the poll: Soup and bread wins").last.wait_for()


def merge_request_thread(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/app/acme/main")
    page.get_by_role("link", name=re.compile("Let the basket follow the country")).first.click()
    page.get_by_text("opened the draft merge request").first.wait_for()


def at(base: str, path: str) -> Callable[[Stack, Page], None]:
    def go(stack: Stack, page: Page) -> None:
        page.goto(f"{getattr(stack, base)}{path}")

    return go


def say(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/app/acme/main/chat")
    box = page.get_by_role("textbox", name="Message to Main")
    box.fill("The tide table for #May is ready, @everyone")
    page.get_by_role("button", name="Send").click()
    expect(box).to_have_value("")
    page.goto(f"{stack.flowdock}/app/acme/main/chat")  # what has just arrived is still fading in


def to_the_last(link: str) -> Callable[[Stack, Page], None]:
    """The address of the last link with that name in the message that was just posted."""

    def go(stack: Stack, page: Page) -> None:
        say(stack, page)
        address = page.locator(".line", has_text="The tide table").last.get_by_role("link", name=link)
        page.goto(f"{stack.flowdock}{address.get_attribute('href')}")

    return go


def deleting(stack: Stack, page: Page) -> None:
    thread(stack, page)
    page.goto(f"{stack.flowdock}{page.locator('.message-do').first.get_attribute('href')}")
    page.get_by_role("heading", name="Delete this message for everyone?").wait_for()


def private(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/app/private")
    page.locator("main a[href*='/app/private/']").first.click()
    page.get_by_role("region", name="Messages").wait_for()


def troubled(stack: Stack, page: Page) -> None:
    """A source with an error message. It is created once."""
    page.goto(f"{stack.flowdock}/app/acme/main/settings")
    if not page.get_by_text("Its key has expired.").count():
        page.goto(f"{stack.flowdock}/account/applications/1")
        form = page.get_by_role("region", name="Create a source manually")
        form.get_by_label("Flow").select_option(label="Acme / Main")
        form.get_by_label("Name").fill("Tide gauge")
        form.get_by_role("button", name="Create source").click()
        said = {"flow_token": page.locator("#flow-token").input_value(), "error_message": "Its key has expired."}
        with requests.Session() as session:
            session.trust_env = False
            session.put(f"{stack.flowdock}/sources", json=said, timeout=30).raise_for_status()
        page.goto(f"{stack.flowdock}/app/acme/main/settings")
    page.get_by_text("Its key has expired.").first.wait_for()


def account_with_keys(stack: Stack, page: Page) -> None:
    """A token that was just created, and an authorized application."""
    bridge_home(stack, page)
    page.goto(f"{stack.flowdock}/account")
    page.get_by_label("Token name").fill("Tide gauge")
    page.get_by_role("button", name="Create token").click()
    page.get_by_role("button", name="Copy").first.wait_for()


def bridge_account(stack: Stack, page: Page) -> None:
    bridge_home(stack, page)
    page.goto(f"{stack.bridge}/account/")


def signing_out_everywhere(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("heading", name="Sign out everywhere?").wait_for()


def changing_email(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.flowdock}/account")
    form = page.locator("form", has=page.get_by_role("button", name="Change e-mail address"))
    form.locator("input[type=email]").fill("demo.new@example.com")
    form.locator("input[type=password]").fill("demo")
    form.get_by_role("button", name="Change e-mail address").click()
    page.get_by_text("open the link in the e-mail").wait_for()


def joining(stack: Stack, page: Page) -> None:
    made = stack.serve("create_flow", "acme", "Quiet", "--access-mode", "organization", "--exist-ok", "--json")
    page.goto(f"{stack.flowdock}/join/{json.loads(made.stdout)['id']}")
    page.get_by_role("button", name=re.compile("Join")).wait_for()


def invited(stack: Stack, page: Page) -> None:
    """The page of an invitation for a person without an account."""
    page.goto(f"{stack.flowdock}/app/acme/main/settings/people")
    page.get_by_label("E-mail addresses").fill("nadia@example.com")
    page.get_by_role("button", name="Send invitations").click()
    page.get_by_role("heading", name="nadia@example.com").first.wait_for()
    page.context.clear_cookies()
    mail = max((stack.data_dir / "mail").iterdir(), key=lambda path: path.stat().st_mtime)
    [address] = re.findall(r"http\S+/invitations/[\w-]+", mail.read_text())
    page.goto(address)
    page.get_by_label("Password").wait_for()


def without_token(stack: Stack, page: Page) -> None:
    """A form that was sent from another site, or after the cookies were cleared."""
    page.goto(f"{stack.flowdock}/login")
    page.locator("[name=csrfmiddlewaretoken]").first.evaluate(
        "field => { field.form.noValidate = true; field.remove() }"
    )
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()


# name: who looks, and how they get there
PAGES: dict[str, tuple[str | None, Callable[[Stack, Page], None]]] = {
    "bridge-landing": (None, at("bridge", "/")),
    "bridge-home": ("demo@example.com", bridge_home),
    "bridge-integration": ("demo@example.com", integration),
    "bridge-event": ("demo@example.com", opened_event),
    "bridge-filters": ("demo@example.com", filters),
    "bridge-connected": ("demo@example.com", connected),
    "bridge-setup": ("demo@example.com", setup),
    "bridge-confirmation": ("demo@example.com", confirmation),
    "bridge-setup-polls": ("demo@example.com", setup_of_polls),
    "bridge-connected-polls": ("demo@example.com", connected_polls),
    "polls": ("demo@example.com", of_polls()),
    "polls-new": ("demo@example.com", of_polls("new/")),
    "polls-open": ("demo@example.com", open_poll),
    "polls-closed": ("demo@example.com", closed_poll),
    "bridge-not-found": (None, at("bridge", "/none-such")),
    "bridge-setup-without-flow": ("demo@example.com", setup_without_flow),
    "flowdock-sign-in": (None, at("flowdock", "/login")),
    "flowdock-consent": ("other@example.com", consent),
    "flowdock-flows": ("demo@example.com", at("flowdock", "/app")),
    "flowdock-inbox": ("demo@example.com", at("flowdock", "/app/acme/main")),
    "flowdock-thread": ("demo@example.com", thread),
    "flowdock-thread-poll": ("demo@example.com", poll_thread),
    "flowdock-thread-merge-request": ("demo@example.com", merge_request_thread),
    "flowdock-settings": ("demo@example.com", at("flowdock", "/app/acme/main/settings")),
    "flowdock-account": ("demo@example.com", at("flowdock", "/account")),
    "flowdock-applications": ("demo@example.com", at("flowdock", "/account/applications")),
    "flowdock-application": ("demo@example.com", at("flowdock", "/account/applications/1")),
    "flowdock-chat": ("demo@example.com", say),
    "flowdock-chat-thread": ("demo@example.com", to_the_last("Reply to")),
    "flowdock-edit-message": ("demo@example.com", to_the_last("Edit or delete")),
    "flowdock-delete-message": ("demo@example.com", deleting),
    "flowdock-search-nothing": ("demo@example.com", at("flowdock", "/app/acme/main?q=nothing-like-that")),
    "flowdock-private-list": ("demo@example.com", at("flowdock", "/app/private")),
    "flowdock-private": ("demo@example.com", private),
    "flowdock-people": ("demo@example.com", at("flowdock", "/app/acme/main/settings/people")),
    "flowdock-flow-settings": ("demo@example.com", at("flowdock", "/app/acme/main/settings/flow")),
    "flowdock-organization": ("demo@example.com", at("flowdock", "/app/acme")),
    "flowdock-new-application": ("demo@example.com", at("flowdock", "/account/applications/new")),
    "flowdock-bad-request": ("demo@example.com", at("flowdock", "/app/acme/main?source=none")),
    "flowdock-settings-troubled": ("demo@example.com", troubled),
    "flowdock-account-keys": ("demo@example.com", account_with_keys),
    "bridge-account": ("demo@example.com", bridge_account),
    "flowdock-sign-out-everywhere": ("demo@example.com", signing_out_everywhere),
    "flowdock-e-mail-change": ("demo@example.com", changing_email),
    "flowdock-join": ("other@example.com", joining),
    "flowdock-invitation": ("demo@example.com", invited),
    "flowdock-invitation-gone": (None, at("flowdock", "/invitations/none-such")),
    "flowdock-forbidden": (None, without_token),
    "flowdock-not-found": ("demo@example.com", at("flowdock", "/app/acme/none-such")),
}


@pytest.mark.parametrize("name", PAGES)
def test_page_looks_and_reads_well(name: str, stack: Stack, life: str, somebody: Callable[..., Person]) -> None:
    account, go = PAGES[name]
    problems = []
    for size in SIZES:
        for scheme in SCHEMES:
            person = somebody(account=account, size=size, scheme=scheme)
            person.page.emulate_media(reduced_motion="reduce")  # what fades in has too little contrast meanwhile
            go(stack, person.page)
            person.page.screenshot(path=ARTIFACTS / "screenshots" / f"{name}-{size}-{scheme}.png", full_page=True)
            problems += [f"{size} {scheme}: {problem}" for problem in violations(person.page) + overflow(person.page)]
            person.context.close()

    assert problems == []


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def overflow(page: Page) -> list[str]:
    """Whether the page is wider than its window, so that it scrolls sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{wide} px wider than its window"] if wide > 0 else []
