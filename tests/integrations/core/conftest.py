from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from django.test import Client

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Integration, Origin
from integrations.services import SERVICES
from tests.integrations.passing_time import pass_time  # noqa: F401 - a fixture
from tests.integrations.receiver import Answer, receiving


class Inbox:
    """Flowdock's side: takes every activity, unless `answers` holds another answer for its turn or its thread."""

    url: str

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.lock = threading.Lock()
        self.tries: list[dict[str, Any]] = []
        self.posts: list[dict[str, Any]] = []
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.by_thread: dict[str, tuple[int, dict[str, str], str]] = {}
        self.by_token: dict[str, tuple[int, dict[str, str], str]] = {}
        self.told: list[dict[str, Any]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.cuts_connections = False

    def post(self, message: dict[str, Any]) -> Answer:
        self.before_answer()
        with self.lock:
            return self._post(message)

    def _post(self, message: dict[str, Any]) -> Answer:
        self.tries.append(message)
        if self.cuts_connections:
            return None
        answer = self.by_token.get(message["flow_token"]) or self.by_thread.get(message["thread_id"])
        if answer is None and self.answers:
            answer = self.answers.pop(0)
        if answer is None or answer[0] < 300:
            self.posts.append(message)
            return 201, {}, json.dumps({"id": len(self.posts), "thread_id": f"T-{message['thread_id']}"})
        return answer

    def update(self, request: Any) -> tuple[int, dict[str, str], str]:
        self.told.append(json.loads(request.body))
        return 200, {}, "{}"

    def fail(self, status: int, times: int = 1, **headers: str) -> None:
        self.answers += [(status, {name.replace("_", "-"): value for name, value in headers.items()}, "{}")] * times

    @property
    def titles(self) -> list[str]:
        return [message["thread"]["title"] for message in self.posts]


@pytest.fixture
def flowdock(settings) -> Iterator[Inbox]:
    """Its server takes the activities; all other calls to the same address are answered by `mock`."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        inbox = Inbox(mock)
        with receiving(settings, inbox.post) as inbox.url:
            mock.add_callback("PUT", f"{inbox.url}/sources", inbox.update)
            yield inbox


@pytest.fixture
def unreachable(flowdock, settings) -> Callable[[bool], None]:
    """Let nobody listen at Flowdock's address, or again somebody."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"

    def set_address(is_unreachable: bool) -> None:
        settings.FLOWDOCK_API_URL = nowhere if is_unreachable else flowdock.url

    return set_address


@pytest.fixture
def connect(db) -> Callable[..., Integration]:
    """An integration of octo/hello, or of another origin, with a flow of its own."""

    def make(name: str = "octo/hello", origin: Origin | None = None, **fields: Any) -> Integration:
        origin = origin or Origin.objects.create(service="github", name=name)
        number = Integration.objects.count() + 1
        values = {"flow_token": f"token-{number}", "flowdock_id": number, "flow_id": f"flow-{number}"}
        return Integration.objects.create(origin=origin, name=name, **(values | fields))

    return make


@pytest.fixture
def integration(connect) -> Integration:
    return connect()


def issue(number: int = 7, action: str = "opened", title: str = "", **more: Any) -> dict[str, Any]:
    """GitHub's payload about an issue, as short as it can be."""
    repository = {"full_name": "octo/hello", "html_url": "https://github.com/octo/hello", "name": "hello"}
    person = {"login": "lea", "html_url": "https://github.com/lea", "type": "User"}
    return {
        "action": action,
        "issue": {
            "number": number,
            "title": title or f"Issue {number}",
            "html_url": f"https://github.com/octo/hello/issues/{number}",
            "state": "open",
            "body": "It breaks.",
            "user": person,
            "labels": [],
            "assignees": [],
        },
        "repository": repository,
        "sender": person,
        **more,
    }


@pytest.fixture
def send(client: Client) -> Callable[..., Any]:
    """Send a payload to an origin's hook as GitHub does, and decide its event as a worker would; the answer."""

    def post(
        origin: Origin,
        payload: Any,
        kind: str = "issues",
        request_id: str = "",
        secret: str | None = None,
        headers: dict[str, str] | None = None,
        *,
        decide: bool = True,
    ) -> Any:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        github = SERVICES["github"]
        sent = {
            **github.announce(kind, request_id or str(uuid.uuid4())),
            **github.sign(body, origin.secret if secret is None else secret),
            **(headers or {}),
        }
        content_type = sent.pop("Content-Type")
        answer = client.post(f"/hooks/{origin.hook_id}/", body, content_type=content_type, headers=sent)
        if decide and answer.status_code == 202:
            decide_waiting()
        return answer

    return post


@pytest.fixture
def log(db) -> Callable[[], list[tuple[str, str]]]:
    """State and thread of each delivery, in the order in which they came."""
    return lambda: list(Delivery.objects.order_by("id").values_list("state", "thread_id"))
