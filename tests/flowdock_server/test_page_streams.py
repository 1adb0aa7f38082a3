"""The streams of open pages over HTTP: which addresses have one, and that large bodies to them are refused."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

import pytest

from .serving import PATIENCE, Server

LARGE = 300_000  # bytes, more than the server takes

# One process of pytest-xdist runs the whole module, so that its servers start once.
pytestmark = pytest.mark.xdist_group("page_streams")

MAKE_A_FLOW_CALLED_EVENTS = """
from flowdock_server.models import *
ines = User.objects.get(email="ines@example.com")
flow = Flow.objects.create(
    organization=Organization.objects.get(parameterized_name="acme"), name="Events", parameterized_name="events")
FlowMembership.objects.create(flow=flow, user=ines)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("server"), FLOWDOCK_SERVER_MAX_BODY_BYTES="200000")


@pytest.fixture(scope="module")
def ines(server: Server) -> str:
    """Her token."""
    token: str = server.seed()["ines"]
    server.manage("shell", "-v0", program=MAKE_A_FLOW_CALLED_EVENTS)
    return token


@pytest.fixture(scope="module")
def running(server: Server, ines: str) -> Iterator[Server]:
    with server.running():
        yield server


@contextlib.contextmanager
def asked(
    running: Server, method: str, path: str, body: bytes = b"", **headers: str
) -> Iterator[http.client.HTTPResponse]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)) as link:
        link.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
        with link.getresponse() as answer:
            yield answer


def sign_in(running: Server) -> str:
    """The cookies of somebody who reads pages."""
    with asked(running, "GET", "/login") as page:
        token = page.read().decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        csrf = cookies(page)
    form = f"csrfmiddlewaretoken={token}&username=ines@example.com&password=a+password".encode()
    headers = {"Cookie": csrf, "Content-Type": "application/x-www-form-urlencoded"}
    with asked(running, "POST", "/login", form, **headers) as answer:
        assert answer.status == 302
        return cookies(answer)


def cookies(answer: http.client.HTTPResponse) -> str:
    return "; ".join(value.split(";")[0] for value in answer.headers.get_all("Set-Cookie") or [])


def test_a_flow_named_events_has_its_page_and_both_streams(running: Server, ines: str) -> None:
    cookie = sign_in(running)
    with asked(running, "GET", "/app/acme/events", Cookie=cookie) as page:
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"Events" in page.read()
    with asked(running, "GET", "/app/acme/events/events", Cookie=cookie) as stream:
        assert (stream.status, stream.headers["Content-Type"]) == (200, "text/event-stream")
        assert stream.readline() == b"retry: 2000\n"
    with running.stream("/flows/acme/events", ines) as api_stream:
        assert running.say("Hello", ines, "acme/events") == api_stream.next()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/app/acme/main/events", "/anything/events"])
def test_a_large_body_to_a_stream_is_refused(running: Server, method: str, path: str) -> None:
    with asked(running, method, path, b"x" * LARGE) as answer:
        assert answer.status == 413


def test_a_stream_opens_despite_a_request_body(running: Server) -> None:
    with asked(running, "GET", "/app/acme/main/events", b"x" * 100_000, Cookie=sign_in(running)) as stream:
        assert stream.status == 200
        assert stream.readline() == b"retry: 2000\n"
