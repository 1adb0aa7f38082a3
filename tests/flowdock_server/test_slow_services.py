"""Services that do not answer when a thread's button is pressed do not block the server for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .serving import PATIENCE, Server

THREADS = 8


class SlowService(ThreadingHTTPServer):
    """Accepts a request at once, and answers when all services are released."""

    daemon_threads = True

    def __init__(self, host: str, let_go: threading.Event) -> None:
        self.let_go = let_go
        self.asked = 0
        super().__init__((host, 0), SlowHandler)
        self.address = f"http://{host}:{self.server_port}/"


class SlowHandler(BaseHTTPRequestHandler):
    server: SlowService

    def do_POST(self) -> None:
        self.server.asked += 1
        self.server.let_go.wait(PATIENCE)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[Callable[[str], SlowService]]:
    let_go = threading.Event()
    services: list[SlowService] = []

    def start(host: str) -> SlowService:
        service = SlowService(host, let_go)
        services.append(service)
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return service

    yield start
    let_go.set()
    for service in services:
        service.shutdown()
        service.server_close()


def press_all(server: Server, keys: dict[str, Any], services: list[SlowService]) -> Iterator[Any]:
    """Press a button of each service at the same time. Returns futures of status, headers and body."""
    buttons = [
        {
            "@type": "UpdateAction",
            "name": str(number),
            "target": {"@type": "EntryPoint", "urlTemplate": service.address, "httpMethod": "POST"},
        }
        for number, service in enumerate(services)
    ]
    posted = {
        "event": "activity",
        "title": "opened",
        "author": {"name": "Lea"},
        "external_thread_id": "1",
        "thread": {"title": "Slow", "actions": buttons},
    }
    status, _, message = server.call("POST", f"/messages?flow_token={keys['flow_token']}", body=posted)
    assert status == 201, message
    targets = [action["target"]["urlTemplate"] for action in message["thread"]["actions"]]
    presses = ThreadPoolExecutor(len(targets))
    for target in targets:
        path = target.removeprefix(server.env["FLOWDOCK_SERVER_URL"])
        yield presses.submit(server.call, "POST", path, keys["ines"])


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Server, dict[str, Any]]]:
    server = Server(tmp_path, FLOWDOCK_SERVER_THREADS=str(THREADS), FLOWDOCK_SERVER_CALLS_TO="loopback")
    keys = server.seed()
    with server.running():
        yield server, keys


def test_slow_services_use_at_most_half_of_the_threads(running, slow) -> None:
    server, keys = running
    services = [slow(f"127.0.0.{1 + number % 4}") for number in range(THREADS)]

    presses = list(press_all(server, keys, services))
    wait_until(lambda: sum(press.done() for press in presses) == THREADS // 2)

    assert server.call("GET", "/user", keys["ines"])[0] == 200
    refused = [press.result() for press in presses if press.done()]
    assert {(status, headers["retry-after"]) for status, headers, _ in refused} == {(503, "10")}
    assert all(body["message"].startswith("Nothing was sent") for _, _, body in refused)
    wait_until(lambda: sum(service.asked for service in services) == THREADS // 2)
    services[0].let_go.set()
    assert sorted(press.result()[0] for press in presses) == [200] * 4 + [503] * 4


def test_one_slow_host_uses_at_most_half_of_these_on_all_ports(running, slow) -> None:
    server, keys = running
    services = [slow("127.0.0.1") for _ in range(4)]

    presses = list(press_all(server, keys, services))
    wait_until(lambda: sum(press.done() for press in presses) == 2)

    (message,) = {press.result()[2]["message"] for press in presses if press.done()}
    assert message.startswith("Nothing was sent to 127.0.0.1, because it has not answered earlier requests yet.")
    services[0].let_go.set()
    assert sorted(press.result()[0] for press in presses) == [200, 200, 503, 503]
