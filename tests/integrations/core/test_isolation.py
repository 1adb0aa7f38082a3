"""Twenty-six integrations, each with another kind of trouble, and a healthy one that notices nothing of it."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import DATABASES, PATIENCE, Bridge, bridge_over

SCRIPT = Path(__file__).with_name("isolation_script.py")
HEALTHY, LOCKED, UNREADABLE = "healthy", "a token that no key opens", "an activity that cannot be read"
TIMEOUT = 3.0  # seconds; FLOWDOCK_TIMEOUT
AT_ONCE = 1.0  # seconds; what is promised to the healthy one

Answer = Callable[[socket.socket], None]


def answer(status: int, body: bytes = b"{}", head: bytes = b"") -> Answer:
    def send(connection: socket.socket) -> None:
        length = str(len(body)).encode()
        connection.sendall(b"HTTP/1.1 %d Odd\r\nContent-Length: %s\r\n%s\r\n%s" % (status, length, head, body))

    return send


def trickle(before: bytes) -> Answer:
    """`before`, and then a byte at a time without end: each arrives before any timeout of a socket."""

    def send(connection: socket.socket) -> None:
        connection.sendall(before)
        for _ in range(600):
            connection.sendall(b"x")
            time.sleep(0.1)

    return send


def silence(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side gives up


def cut(before: bytes) -> Answer:
    def send(connection: socket.socket) -> None:
        connection.sendall(before)
        connection.close()

    return send


def megabytes(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


HEAD = b"HTTP/1.1 200 OK\r\n"
AT_THE_RECEIVER: dict[str, Answer] = {
    "429 with Retry-After": answer(429, head=b"Retry-After: 60\r\n"),
    "429 without": answer(429),
    "401": answer(401),
    "403": answer(403),
    "404": answer(404),
    "410": answer(410),
    "400 with a half of a surrogate pair": answer(400, rb'{"message": "\ud800"}'),
    "400 with NUL": answer(400, rb'{"message": "\u0000"}'),
    "422": answer(422, b'{"errors": {"title": ["is odd"]}}'),
    "500": answer(500),
    "502": answer(502, b"<html>Bad gateway</html>"),
    "503": answer(503),
    "504": answer(504, head=b"Retry-After: soon\r\n"),
    "slow head": trickle(HEAD + b"X-Slow: "),
    "slow status line": trickle(b""),
    "slow body": trickle(HEAD + b"Content-Length: 1000\r\n\r\n"),
    "no answer": silence,
    "half an answer": cut(HEAD + b"Content-Length: 1000\r\n\r\n{"),
    "cut before it answers": cut(b""),
    "garbage": cut(b"\x15\x03\x01\x00\x02\x02\x16" * 10),
    "megabytes": megabytes,
    "redirect": answer(302, head=b"Location: http://127.0.0.1:1/\r\n"),
    "cookies": answer(200, head=b"Set-Cookie: " + b"x" * 60000 + b"=1\r\n"),
    "200 with odd JSON": answer(200, b'{"id": [[[]]], "thread_id": "\\u0000\\udfff", "thread": 7}'),
}
TROUBLED = [*AT_THE_RECEIVER, LOCKED, UNREADABLE]


class Receiver(socketserver.ThreadingTCPServer):
    """Flowdock's side: answers each integration in its own way, and notes when the healthy one's messages arrive."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived: dict[str, float] = {}
        self.tries: Counter[str] = Counter()
        self.longest_head = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the bridge gave up, as it should


class Handler(socketserver.StreamRequestHandler):
    server: Receiver

    def handle(self) -> None:
        while message := self._read():
            name = message["flow_token"]
            self.server.tries[name] += 1
            if name == HEALTHY:
                self.server.arrived.setdefault(message.get("title", ""), time.time())
            AT_THE_RECEIVER.get(name, answer(201, b'{"id": 1, "thread_id": "T"}'))(self.connection)

    def _read(self) -> dict[str, Any] | None:
        """The next request's body."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return None
            head += line
        self.server.longest_head = max(self.server.longest_head, len(head))
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        return json.loads(self.rfile.read(int(length.partition(b":")[2])))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=DATABASES)
def bridge(request, tmp_path, receiver) -> Iterator[Bridge]:
    with bridge_over(request.param, tmp_path, receiver.url) as bridge:
        bridge.env["FLOWDOCK_TIMEOUT"] = str(TIMEOUT)
        yield bridge


def test_failing_integrations_do_not_delay_a_healthy_one(bridge, receiver, capfd):
    troubled = "|".join(TROUBLED)
    bridge.script(SCRIPT, "connect", f"{troubled}|{HEALTHY}")
    bridge.script(SCRIPT, "fill", troubled, "12")
    worker = bridge.start_worker()

    posted = bridge.script(SCRIPT, "drip", troubled, "100", "0.1")

    deadline = time.monotonic() + PATIENCE
    while posted.keys() - receiver.arrived.keys() and time.monotonic() < deadline:
        time.sleep(0.05)
    took = sorted(receiver.arrived[title] - at for title, at in posted.items() if title in receiver.arrived)
    assert worker.poll() is None, "the worker has ended"
    assert not posted.keys() - receiver.arrived.keys()
    assert took[-1] < AT_ONCE, took[-10:]
    assert receiver.longest_head < 2000, "cookies of one went out with messages of another"

    shown = bridge.script(SCRIPT, "shown")
    assert shown[HEALTHY] == {"problem": "", "is_removed": False, "states": ["delivered"]}
    assert "FIELD_KEYS" in shown[LOCKED]["problem"]
    assert shown[UNREADABLE]["states"] == ["failed"]
    assert shown["410"]["is_removed"]
    assert shown["401"]["problem"]
    for name in ("400 with a half of a surrogate pair", "400 with NUL", "422"):
        assert shown[name]["states"] == ["failed"]
    assert shown["200 with odd JSON"]["states"] == ["delivered"]
    assert receiver.tries["429 with Retry-After"] <= 2
    assert receiver.tries["no answer"] > 2, "it was tried again"
    assert "Flowdock is not responding" not in capfd.readouterr().err
    print(f"posted to arrived: median {took[len(took) // 2] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
