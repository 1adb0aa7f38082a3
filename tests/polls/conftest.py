from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from integrations.fields import encrypt
from integrations.flowdock.oauth import TOKEN_KEY
from integrations.models import Integration, Origin
from polls.models import Poll
from tests.integrations.passing_time import pass_time  # noqa: F401 - a fixture
from tests.integrations.receiver import Answer, receiving


class Flow:
    """A fake flow that follows polls: it records what is posted to it."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.is_down = False

    def post(self, message: dict[str, Any]) -> Answer:
        if self.is_down:
            return 503, {}, "{}"
        self.posts.append(message)
        return 201, {}, json.dumps({"id": len(self.posts), "thread_id": "T"})

    @property
    def titles(self) -> list[str]:
        return [f"{post['author']['name']} {post['title']}" for post in self.posts]

    @property
    def thread(self) -> dict[str, Any]:
        """The thread as the last post left it."""
        return self.posts[-1]["thread"]

    @property
    def fields(self) -> dict[str, str]:
        return {field["label"]: field["value"] for field in self.thread["fields"]}


class Members:
    """Fake memberships at Flowdock: everybody is in Acme, unless a test says otherwise."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.organizations: dict[str, tuple[str, ...]] = {}
        self.is_down = False
        self.may_list_flows = True
        self.refusal: int | None = None
        self.asked = 0
        mock.add_callback("GET", re.compile("https?://[^/]+/flows$"), self._flows)

    def _flows(self, request: Any) -> tuple[int, dict[str, str], str]:
        self.asked += 1
        if self.is_down:
            return 503, {}, "{}"
        if self.refusal:
            return self.refusal, {}, "{}"
        if not self.may_list_flows:
            return 403, {}, json.dumps({"message": "the scope flow is missing"})
        username = request.headers["Authorization"].removeprefix("Bearer token-")
        flows = [
            {
                "id": f"{organization}-main",
                "name": "Main",
                "organization": {"name": organization.capitalize(), "parameterized_name": organization},
                "url": f"{settings.FLOWDOCK_API_URL}/flows/{organization}/main",
            }
            for organization in self.organizations.get(username, ("acme",))
        ]
        return 200, {}, json.dumps(flows)


@pytest.fixture(autouse=True)
def network() -> Iterator[responses.RequestsMock]:
    cache.clear()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture(autouse=True)
def members(network) -> Members:
    return Members(network)


@pytest.fixture
def flow(settings) -> Iterator[Flow]:
    flow = Flow()
    with receiving(settings, flow.post):
        yield flow


@pytest.fixture
def follow(db) -> Callable[..., Integration]:
    """A flow that follows a category, or all polls."""

    def make(name: str = "All polls", organization: str = "acme", **filters: Any) -> Integration:
        origin, _ = Origin.objects.get_or_create(service="polls", name=name, organization=organization)
        number = Integration.objects.count() + 1
        return Integration.objects.create(
            origin=origin,
            name=name,
            filters=filters,
            flow_token=f"token-{number}",
            flowdock_id=number,
            flow_id=f"flow-{number}",
            organization=organization,
        )

    return make


@pytest.fixture
def person(db) -> Callable[..., User]:
    def make(name: str, **fields: Any) -> User:
        first, _, last = name.partition(" ")
        return User.objects.create_user(
            first.lower(), f"{first.lower()}@acme.test", first_name=first, last_name=last, **fields
        )

    return make


@pytest.fixture
def lea(person) -> User:
    return person("Lea Cohen")


@pytest.fixture
def ola(person) -> User:
    return person("Ola Berg")


def browser_of(person: User) -> Client:
    """A browser that is signed in with Flowdock."""
    client = Client()
    client.force_login(person)
    session = client.session
    session[TOKEN_KEY] = [encrypt(f"token-{person.username}"), int(time.time()), 0]
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


@pytest.fixture
def lea_browser(lea) -> Client:
    """Lea's browser."""
    return browser_of(lea)


@pytest.fixture
def ola_browser(ola) -> Client:
    """Ola's browser."""
    return browser_of(ola)


@pytest.fixture
def poll(lea_browser) -> Poll:
    """Lea's question: pizza or sushi."""
    return ask(lea_browser)


def ask(client: Client, question: str = "What for lunch?", options: str = "Pizza\nSushi", **more: Any) -> Poll:
    """Create a poll on its page."""
    sent = {"question": question, "new_category": "Lunch", "options": options} | more
    response = client.post("/polls/new/", sent)
    assert response.status_code == 302, response.content.decode()
    return Poll.objects.get(pk=response["Location"].rstrip("/").rpartition("/")[2])


def vote(client: Client, poll: Poll, label: str, **more: Any) -> Any:
    return client.post(f"/polls/{poll.pk}/options/{poll.options.get(label=label).pk}/vote/", **more)


def remove_vote(client: Client, poll: Poll, label: str, **more: Any) -> Any:
    return client.post(f"/polls/{poll.pk}/options/{poll.options.get(label=label).pk}/remove-vote/", **more)


def text_of(response: Any) -> str:
    """The text of the page, without tags."""
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return re.sub(r" ([.,:])", r"\1", " ".join(html.unescape(text).split()))


def counts(poll: Poll) -> dict[str, int]:
    return {option.label: option.votes for option in poll.results().options}
