from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from django.core.cache import cache
from django.test import Client

from integrations.models import Delivery, Event, Integration, Origin

from .flowdock_double import MAIN, FlowdockDouble

EVENT_FIELDS = {
    "request_id",
    "kind",
    "action",
    "actor",
    "summary",
    "subject",
    "body",
    "headers",
    "activity",
    "why_not",
}


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def flowdock() -> Iterator[FlowdockDouble]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield FlowdockDouble(mock)


@pytest.fixture
def stranger() -> Client:
    """A browser in which nobody has signed in."""
    return Client(SERVER_NAME="bridge.test")


@pytest.fixture
def sign_in(flowdock, db) -> Callable[..., Client]:
    """Sign in as Flowdock's person `nick`, through the front door."""

    def through_flowdock(nick: str, client: Client | None = None) -> Client:
        client = client or Client(SERVER_NAME="bridge.test")
        consent = client.get("/sign-in/")
        state = parse_qs(urlsplit(consent["Location"]).query)["state"][0]
        answer = client.get("/complete/flowdock/", {"code": nick, "state": state})
        assert answer.status_code == 302, answer.content.decode()
        return client

    return through_flowdock


@pytest.fixture
def member(sign_in) -> Client:
    """Demo, who can open Main and Lobby."""
    return sign_in("demo")


@pytest.fixture
def outsider(sign_in) -> Client:
    """Other, who can open Lobby and not Main."""
    return sign_in("other")


@pytest.fixture
def integrate(flowdock, db) -> Callable[..., Integration]:
    """An integration of `name` in Main, as the set-up leaves it."""

    def make(name: str = "octo/hello", flow_id: str = MAIN, **fields) -> Integration:
        origin = fields.pop("origin", None) or Origin.objects.create(
            service="github", name=name, external_url=f"https://github.com/{name}"
        )
        source = flowdock.add_source(flow_id, "demo", name, origin.external_url)
        flow = flowdock.flow(flow_id)
        values = {
            "origin": origin,
            "name": name,
            "flowdock_id": source["id"],
            "source_url": source["url"],
            "flow_token": source["flow_token"],
            "flow_id": flow_id,
            "flow_name": flow["name"],
            "flow_web_url": flow["web_url"],
            "organization_name": "Acme",
        }
        return Integration.objects.create(**(values | fields))

    return make


@pytest.fixture
def integration(integrate) -> Integration:
    return integrate()


@pytest.fixture
def happen(db) -> Callable[..., Delivery]:
    """An event at the integration's origin and what became of it."""
    count = 0

    def make(integration: Integration, state: str = "delivered", **fields) -> Delivery:
        nonlocal count
        count += 1
        event_fields = {name: fields.pop(name) for name in list(fields) if name in EVENT_FIELDS}
        event = Event.objects.create(
            **(
                {
                    "origin": integration.origin,
                    "request_id": f"request-{count}",
                    "kind": "issues",
                    "action": "opened",
                    "actor": "Lea Cohen",
                    "summary": "Lea Cohen opened issue",
                    "subject": f"Emoji break the export {count}",
                    "body": b'{"action": "opened"}',
                    "headers": {"X-GitHub-Event": "issues"},
                    "body_size": len(event_fields.get("body", b'{"action": "opened"}')),
                }
                | event_fields
            )
        )
        times = {
            "delivered": {"delivered_at": event.received_at, "next_attempt_at": None},
            "pending": {"next_attempt_at": event.received_at},
        }
        return Delivery.objects.create(
            **(
                {"event": event, "integration": integration, "state": state, "next_attempt_at": None}
                | times.get(state, {})
                | fields
            )
        )

    return make


@pytest.fixture
def slow_server() -> Iterator[str]:
    """The address of a server that takes every connection and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
