"""A connection with deadlines for the heads and bodies of its requests and for its responses."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hosting.addresses import forwarded_for, network_of
from hosting.gate import Gate
from hosting.parts import Parts

RETRY_AFTER = 10  # seconds


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with the limits of a `Gate`.

    The extension "hosting.abort" of the ASGI scope closes it at once, even if the client has not read everything. With
    the key "hosting.parts" of "http.response.body", the `Parts` that make up its body, each of them is sent as a chunk
    of its own, and all of them in one write.
    """

    def __init__(self, *arguments: Any, gate: Gate, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._gate = gate
        self._application = self.app
        self._address = ""  # which the gate counts it by; empty if it does not count it
        self._head_bytes = 0
        # Since when it waits for a complete head. None while a request is in progress.
        self._waiting_since: float | None = None
        # Whether a part of the head has arrived. The deadline for the head also applies to a new connection.
        self._has_begun = True
        self._body_since: float | None = None
        self._body_bytes = 0
        self._trailer_bytes = 0  # bytes of chunk extensions and trailers since the last part of the body
        self._sent = 0  # bytes of all responses
        self._is_stream = False
        # Since when the client has not read everything, and how many bytes it had read by then.
        self._unread_since: float | None = None
        self._read_before = 0

    # Called by uvicorn and its parser

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
        # Checked afterwards, since the head may end within these bytes and the body follow.
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
        # The parser also reports trailers, which follow a chunked body. As headers, they would replace those of a
        # trusted proxy.
        if self._waiting_since is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._waiting_since, self._has_begun = None, False
        self._body_since, self._body_bytes, self._trailer_bytes = self.loop.time(), 0, 0
        # WSGI does not distinguish hyphens from underscores: X_Forwarded_For would pass for the real header.
        self.headers[:] = [header for header in self.headers if b"_" not in header[0]]
        self.app = self._application if self._is_admitted() else unavailable
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
            self._body_since = now  # it was not read during the request before it
        super().on_response_complete()

    # The limits

    def end_if_overdue(self, now: float) -> None:
        limits = self._gate.limits
        if (self.transport.is_closing() and not self.transport.get_write_buffer_size()) or self._has_stalled(now):
            self.transport.abort()
        elif self.pipeline:
            pass  # pipelined requests are not read before the current one is answered
        elif self._body_since is not None:
            if now - self._body_since > limits.body_seconds + self._body_bytes / limits.bytes_per_second:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        elif self._waiting_since is not None and self._unread_since is None and not self._is_answering:
            if self._has_begun and now - self._waiting_since > limits.head_seconds:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
            elif now - self._waiting_since > limits.idle_seconds:
                self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _has_stalled(self, now: float) -> bool:
        """Whether the client has read too little of what was sent, for too long."""
        unread = self.transport.get_write_buffer_size()
        if not unread:
            self._unread_since = None
            return False
        read = self._sent - unread
        if self._unread_since is None or (self._is_stream and read > self._read_before):
            self._unread_since, self._read_before = now, read
        limits = self._gate.limits
        allowed = limits.stalled_stream_seconds
        if not self._is_stream:
            allowed = limits.answer_seconds + (read - self._read_before) / limits.bytes_per_second
        return now - self._unread_since > allowed

    def _is_admitted(self) -> bool:
        """Count the request by the address from the trusted proxy. False if it has too many requests in progress."""
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
        """Answer `status` and close the connection, or abort it if a response has started."""
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
            # HTTP/1.0 has no chunks: a body without a length ends with the connection.
            if not has_length and cycle.scope["http_version"] == "1.0":
                cycle.chunked_encoding = False
        else:
            self._sent += len(message.get("body", b""))
            if cycle.scope["http_version"] == "1.0" and self._is_stream and cycle.expected_content_length == 0:
                cycle.expected_content_length = len(message.get("body", b""))
            if cycle.chunked_encoding and cycle.scope["method"] != "HEAD" and (parts := message.get("hosting.parts")):
                await _send_chunks(cycle, parts)
                return
        await RequestResponseCycle.send(cycle, message)  # type: ignore[arg-type]


async def _send_chunks(cycle: RequestResponseCycle, parts: Parts) -> None:
    """Send parts of a response that goes on, as `RequestResponseCycle.send` would send them one by one."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if not cycle.disconnected:
        cycle.transport.write(parts.chunks)


async def unavailable(scope: Any, receive: Any, send: Any) -> None:
    """The response to an address that has too many requests in progress."""
    text = b"Too many requests from your address are in progress. Try again later.\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"retry-after", str(RETRY_AFTER).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": text})
