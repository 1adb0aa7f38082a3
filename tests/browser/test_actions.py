"""The actions of a thread in the browser: the service's answer is shown, and a typed comment is kept."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Page, expect

from demo import connect
from tests.stack import Stack

from .conftest import Person
from .test_live_inbox import LOBBY

pytestmark = pytest.mark.browser


class Service(ThreadingHTTPServer):
    """A service that answers an action by its path and counts the requests. `/slow` waits until it is released."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def button(self, name: str, path: str) -> dict[str, object]:
        address = f"http://127.0.0.1:{self.server_port}/{path}"
        target = {"@type": "EntryPoint", "urlTemplate": address, "httpMethod": "POST"}
        return {"@type": "UpdateAction", "name": name, "target": target}


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if self.path == "/slow":
            self.server.let_go.wait(9)
        self.send_response({"/refuse": 409, "/challenge": 401}.get(self.path, 200))
        if self.path == "/challenge":
            self.send_header("WWW-Authenticate", 'Flowdock-Token url="https://lamps.example/sign-in"')
        self.end_headers()
        says = {"/close": "The lamp is closed.", "/slow": "Closed at last.", "/refuse": "The lamp is on <fire>."}
        self.wfile.write(json.dumps({"message": says.get(self.path, "")}).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.let_go.set()
        service.shutdown()


@pytest.fixture(scope="session")
def flow_token(stack: Stack, browser: object) -> Callable[[Page], str]:
    """Creates a source in Lobby manually, as the developer of an application."""
    options = ["--owner", connect.ACCOUNT, "--json"]
    made = stack.serve("create_application", "Lamps", "https://lamps.example/callback", *options)
    number = json.loads(made.stdout)["id"]

    def connected(page: Page) -> str:
        page.goto(f"{stack.flowdock}/account/applications/{number}")
        form = page.get_by_role("region", name="Create a source manually")
        form.get_by_label("Flow").select_option(label="Acme / Lobby")
        form.get_by_label("Name").fill("Lamp shop")
        form.get_by_role("button", name="Create source").click()
        return page.locator("#flow-token").input_value()

    return connected


@pytest.fixture
def opened(
    stack: Stack, service: Service, flow_token: Callable[[Page], str], somebody: Callable[..., Person]
) -> Person:
    """A person with a thread open that has an action of each kind, and with a half-typed comment."""
    person = somebody()
    page = person.page
    names = {"Close it": "close", "Break it": "refuse", "Claim it": "challenge", "Take long": "slow"}
    activity = {
        "flow_token": flow_token(page),
        "event": "activity",
        "external_thread_id": uuid4().hex,
        "title": "opened issue",
        "author": {"name": "Priya Desai"},
        "thread": {
            "title": "A lamp with buttons",
            "actions": [service.button(name, path) for name, path in names.items()],
        },
    }
    with requests.Session() as session:
        session.trust_env = False
        session.post(f"{stack.flowdock}/messages", json=activity, timeout=30).raise_for_status()
    page.goto(f"{stack.flowdock}{LOBBY}")
    page.get_by_role("link", name=re.compile("A lamp with buttons")).first.click()
    page.get_by_role("textbox", name="Comment in Lobby").fill("half a sentence")
    return person


@pytest.mark.parametrize(
    ("button", "css", "words"),
    [
        ("Close it", "notice-ok", "The lamp is closed."),
        ("Break it", "notice-danger", "The lamp is on <fire>."),
        ("Claim it", "notice-warn", "The service does not know you yet."),
    ],
)
def test_an_actions_outcome_is_shown_and_a_typed_comment_stays(
    opened: Person, button: str, css: str, words: str
) -> None:
    page = opened.page

    page.get_by_role("button", name=button).click()

    notice = page.locator(".thread .notice")
    expect(notice).to_contain_text(words)
    expect(notice).to_have_class(re.compile(css))
    expect(page.get_by_role("textbox", name="Comment in Lobby")).to_have_value("half a sentence")
    if button == "Claim it":
        link = notice.get_by_role("link", name="Sign in there")
        expect(link).to_have_attribute("href", "https://lamps.example/sign-in")
    assert opened.complaints == []


def test_pressing_an_action_twice_sends_one_request(opened: Person, service: Service) -> None:
    page = opened.page

    page.get_by_role("button", name="Take long").dblclick()
    service.let_go.set()

    expect(page.locator(".thread .notice")).to_have_text("Closed at last.")
    assert service.asked == ["/slow"]


def test_actions_work_without_javascript(opened: Person) -> None:
    browser = opened.context.browser
    assert browser
    context = browser.new_context(java_script_enabled=False, storage_state=opened.context.storage_state())
    page = context.new_page()
    page.goto(opened.page.url)

    page.get_by_role("button", name="Close it").click()

    expect(page.locator(".thread .notice")).to_have_text("The lamp is closed.")
    context.close()
