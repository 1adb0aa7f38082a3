from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from demo import connect, polls, story
from demo.replay import DAY, day_of
from launcher.environment import ROOT
from tests.stack import Stack, running

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# As root Chromium has no sandbox to offer; the rest keeps it from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ARTIFACTS = ROOT / "artifacts"
SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"Chromium is not at {CHROMIUM}, and in CI it is required")
        pytest.skip(f"Chromium is not at {CHROMIUM}: install Debian's package chromium, or name it in CHROMIUM")
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def hook(stack: Stack) -> str:
    """The ID of octo/hello's webhook, connected to Main, after a recorded day."""
    hook = connect.connect(stack.env)
    stack.manage("replay", hook, str(DAY))
    return hook


@pytest.fixture(scope="session")
def life(stack: Stack, hook: str) -> str:
    """Creates everything else that the demo has, and an open poll. Returns the poll's address."""
    story.replay_day(stack.env, day_of("gitlab"))
    polls.run(stack.env)
    asking = polls.somebody(stack.env, connect.ACCOUNT)
    polls.ask(asking, stack.env, question="Which day suits the retrospective?", options=("Tuesday", "Thursday"))
    asking.send("Vote for Thursday")
    return asking.page.url


@pytest.fixture(scope="session")
def browser(stack: Stack) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Person:
    """A person with a browser. `complaints` are the errors of the console and of the pages' scripts."""

    context: BrowserContext
    page: Page
    complaints: list[str]


@pytest.fixture
def somebody(browser: Browser, stack: Stack) -> Iterator[Callable[..., Person]]:
    """Opens a browser for a person, signed in to Flowdock as `account` unless it is None."""
    opened: list[Person] = []

    def open_browser(account: str | None = connect.ACCOUNT, size: str = "wide", scheme: str = "light") -> Person:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        person = Person(context, page, complaints)
        opened.append(person)
        if account:
            page.goto(f"{stack.flowdock}/login")
            page.locator("input[name=username]:not([type=hidden])").fill(account)
            page.locator("input[name=password]:not([type=hidden])").fill(connect.PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.wait_for_url(re.compile("/app"))
        return person

    yield open_browser
    for person in opened:
        person.context.close()
