"""The server as one process on two ports: the REST API with its pages, and the streaming API."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from flowdock_server.live import hub

MAX_HEAD_BYTES = 64 * 1024
# A reader that is gone without a word, or takes nothing for so long, is no longer there.
UNACKNOWLEDGED = 60_000  # milliseconds
IDLE = 75  # seconds that a connection is kept for a next request
FAREWELL = 3  # seconds that open answers have when the server stops


class Connection(HttpToolsProtocol):
    """Closes what sends a head without end, and lets a stream that is cut off close at once."""

    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        self._head = self._head + len(data) if self._in_head else 0
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self.scope["extensions"] = {"flowdock.abort": {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            self.cycle.send = partial(send_whole, self.cycle)  # type: ignore[method-assign]

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_complete()


async def send_whole(cycle: RequestResponseCycle, message: MutableMapping[str, Any]) -> None:
    """Send to a caller of HTTP/1.0, who knows no chunks: what has no length, as streams, ends with the connection."""
    if message["type"] == "http.response.start":
        if all(name.lower() != b"content-length" for name, _ in message["headers"]):
            cycle.chunked_encoding = False
    elif cycle.chunked_encoding is False and cycle.expected_content_length == 0:
        cycle.expected_content_length = len(message.get("body", b""))
    await RequestResponseCycle.send(cycle, message)  # type: ignore[arg-type]


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It waits for open answers, and those of streams have no end of their own.
        hub.end()
        await super().shutdown(sockets)
        # It would raise them again, and to have been told to stop is no failure.
        self._captured_signals.clear()


def serve(host: str, ports: list[int]) -> None:
    """Answer on `ports` of `host` until SIGINT or SIGTERM. Raises OSError for a port that cannot be had."""
    config = uvicorn.Config(
        "flowdock_server.asgi:application",
        http=Connection,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=FAREWELL,
    )
    sockets = [listening(host, port) for port in ports]
    Server(config).run(sockets)


def listening(host: str, port: int) -> socket.socket:
    family: Any = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or else asyncio does not know the connections for TCP, and lets them wait for more to send.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from the socket that they come in on
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
