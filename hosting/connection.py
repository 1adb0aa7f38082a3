"""A connection that cannot hold the server: its head, body and answers have deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hosting.addresses import forwarded_for, network_of
from hosting.gate import Gate

RETRY_AFTER = 10  # seconds


class Connection(HttpToolsProtocol):
    """uvicorn's, within the limits of a `Gate`.

    The extension "hosting.abort" of the ASGI scope closes it at once, without waiting for what its reader does not
    take.
    """

    def __init__(self, *arguments: Any, gate: Gate, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._gate = gate
        self._application = self.app
        self._address = ""  # that it is counted by; empty where it is not
        self._head_bytes = 0
        # Since when there is no complete head, and whether there is a part of one. None while a request is in progress.
        self._waiting_since: float | None = None
        self._has_begun = True  # a new connection has to send its head as soon as one that has begun to
        self._body_since: float | None = None
        self._body_bytes = 0
        self._trailer_bytes = 0  # since the last part of the body: extensions of chunks, and trailers
        self._sent = 0  # bytes of answers, from the first on
        self._is_stream = False
        # Since when something waits to be taken, and how much had been taken by then.
        self._untaken_since: float | None = None
        self._taken_before = 0

    # What uvicorn and its parser call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        address = network_of(self.client[0] if self.client else "")
        if not self._gate.admit(self, address):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        elif not self._gate.trusts_forwarded_for:
            self._address = address

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.leave(self, self._address)
        self._address = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._trailer_bytes += len(data)
        super().data_received(data)
        # Looked at afterwards: a head may have ended within these bytes, and the rest of them is a body.
        if self._waiting_since is not None and self._has_begun:
            self._head_bytes += len(data)
            if self._head_bytes > self._gate.limits.head_bytes:
                self.transport.abort()
        elif self._body_since is not None and self._trailer_bytes > self._gate.limits.head_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._waiting_since, self._has_begun, self._head_bytes = self.loop.time(), True, 0
        self.scope["extensions"] = {"hosting.abort": {"abort": self.transport.abort}}

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser also reports trailers, which follow a body in chunks. Among the headers, they would replace what a
        # trusted proxy has written there.
        if self._waiting_since is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._waiting_since, self._has_begun = None, False
        self._body_since, self._body_bytes, self._trailer_bytes = self.loop.time(), 0, 0
        # Python's gateways spell a hyphen and an underscore alike: X_Forwarded_For would pass for the real header.
        self.headers[:] = [header for header in self.headers if b"_" not in header[0]]
        self.app = self._application if self._may_ask() else unavailable
        super().on_headers_complete()
        self.cycle.send = partial(self._send, self.cycle)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._trailer_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_since = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._gate.trusts_forwarded_for:
            self._gate.discount(self._address)
            self._address = ""
        now = self.loop.time()
        if not self.pipeline:
            self._waiting_since = now
        elif self._body_since is not None:
            self._body_since = now  # it was not read while the request before it was in progress
        super().on_response_complete()

    # The limits

    def end_if_overdue(self, now: float) -> None:
        limits = self._gate.limits
        if (self.transport.is_closing() and not self.transport.get_write_buffer_size()) or self._has_stalled(now):
            self.transport.abort()
        elif self.pipeline:
            pass  # what is sent ahead is not read before the request in progress is answered
        elif self._body_since is not None:
            if now - self._body_since > limits.body_seconds + self._body_bytes / limits.bytes_per_second:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        elif self._waiting_since is not None and self._untaken_since is None and not self._is_answering:
            if self._has_begun and now - self._waiting_since > limits.head_seconds:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
            elif now - self._waiting_since > limits.idle_seconds:
                self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _has_stalled(self, now: float) -> bool:
        """Whether the reader has taken too little of what was sent, for too long."""
        untaken = self.transport.get_write_buffer_size()
        if not untaken:
            self._untaken_since = None
            return False
        taken = self._sent - untaken
        if self._untaken_since is None or (self._is_stream and taken > self._taken_before):
            self._untaken_since, self._taken_before = now, taken
        limits = self._gate.limits
        allowed = limits.stalled_stream_seconds
        if not self._is_stream:
            allowed = limits.answer_seconds + (taken - self._taken_before) / limits.bytes_per_second
        return now - self._untaken_since > allowed

    def _may_ask(self) -> bool:
        """Count the request by the address that the trusted proxy names; False where that has too many in progress."""
        if not self._gate.trusts_forwarded_for:
            return True
        self._gate.discount(self._address)
        self._address = ""
        address = forwarded_for(self.headers) or network_of(self.client[0] if self.client else "")
        if not self._gate.count(address):
            return False
        self._address = address
        return True

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why and close, without asking the application; at once where an answer has begun."""
        if self._is_answering and self.cycle.response_started:
            self.transport.abort()
            return
        text = f"{status.phrase}\n".encode()
        retry = f"retry-after: {RETRY_AFTER}\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\n{retry}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + text)
        self.transport.close()

    async def _send(self, cycle: RequestResponseCycle, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            has_length = any(name.lower() == b"content-length" for name, _ in message["headers"])
            self._is_stream = not has_length and cycle.scope["method"] != "HEAD"
            # HTTP/1.0 knows no chunks: what has no length ends with the connection.
            if not has_length and cycle.scope["http_version"] == "1.0":
                cycle.chunked_encoding = False
        else:
            self._sent += len(message.get("body", b""))
            if cycle.scope["http_version"] == "1.0" and self._is_stream and cycle.expected_content_length == 0:
                cycle.expected_content_length = len(message.get("body", b""))
        await RequestResponseCycle.send(cycle, message)  # type: ignore[arg-type]


async def unavailable(scope: Any, receive: Any, send: Any) -> None:
    """The answer to an address that has too many requests in progress."""
    text = b"Too many requests of yours are in progress. Try again later.\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"retry-after", str(RETRY_AFTER).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": text})
