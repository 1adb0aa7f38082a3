"""A server with short deadlines and a small application that echoes requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from hosting.bodies import Bodies
from hosting.gate import Gate, Limits
from hosting.server import configured, listening
from hosting.wsgi import Front, Receive, Scope, Send

PATIENCE = 30.0  # seconds; an idle machine needs a fraction of one
LARGEST = 400_000  # bytes
LIMITS = Limits(
    connections=30,
    connections_per_address=10,
    head_seconds=1.0,
    body_seconds=1.0,
    answer_seconds=1.0,
    bytes_per_second=50_000,
    stalled_stream_seconds=1.0,
    idle_seconds=3,
)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with its environment and the size of the body; /large with 40 MB, in parts."""
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(40 * 1024 * 1024))])
        return (b"x" * 65536 for _ in range(640))
    echoed = {name: value for name, value in environ.items() if isinstance(value, str)}
    echoed["size"] = str(len(environ["wsgi.input"].read()))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(echoed).encode()]


class Served:
    def __init__(self, folder: Path, **settings: Any) -> None:
        trusts = settings.pop("trusts_forwarded_for", False)
        self.gate = Gate(Limits(**{**vars(LIMITS), **settings}), trusts_forwarded_for=trusts)
        self.front = Front(
            application,
            threads=2,
            bodies=Bodies(folder, 4 * LARGEST),
            largest_body=lambda scope: LARGEST,
            trusts_forwarded_for=trusts,
        )
        listener = listening("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        config = configured("set below", self.gate)
        config.app = self
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listener],))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/stream":
            await self.front(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(8):
            await send({"type": "http.response.body", "body": f"{number}\n".encode(), "more_body": True})
            await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": b""})

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=(source, 0))

    def ask(self, request: bytes, source: str = "127.0.0.1") -> bytes:
        """Send the request. Returns everything that the server sends until it closes the connection."""
        with self.connect(source) as link:
            link.sendall(request)
            return everything(link)


def everything(link: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := link.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    served = Served(folder, **settings)
    served.thread.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while not served.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield served
    finally:
        served.server.should_exit = True
        served.thread.join(PATIENCE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("bodies")) as served:
        yield served
