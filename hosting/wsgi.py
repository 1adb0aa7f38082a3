"""Runs a WSGI application in a few threads behind an ASGI server.

A request uses a thread only after its body has arrived, so clients that send slowly do not block others.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any

from hosting.addresses import forwarded_for, network_of
from hosting.bodies import Bodies, Body, NoRoom
from hosting.memory import return_large_blocks

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]
WSGIApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

BATCH = 256 * 1024  # bytes of a response that are sent at a time
RETRY_AFTER = 10  # seconds
DRAIN_TIMEOUT = 2.0  # seconds in which the rest of a refused body is read and discarded


class Disconnected(Exception):
    """The connection was closed before the request was complete."""


class TooLarge(Exception):
    """The body is larger than the limit."""


@dataclass
class Answer:
    """The application's response: its first bytes in `start`, and an iterator for the rest, if there is more."""

    status: int
    headers: list[tuple[bytes, bytes]]
    result: Iterable[bytes]
    start: bytes = b""
    rest: Iterator[bytes] | None = field(default=None)

    @classmethod
    def text(cls, status: int, words: str, *headers: tuple[bytes, bytes]) -> Answer:
        return cls(status, [(b"content-type", b"text/plain; charset=utf-8"), *headers], (), f"{words}\n".encode())

    def close(self) -> None:
        if hasattr(self.result, "close"):
            self.result.close()


class Front:
    """An ASGI application that runs `application`, with at most `threads` requests at the same time.

    `largest_body` returns the maximum size in bytes for a request with this scope. It is called before the body is
    read.
    """

    def __init__(
        self,
        application: WSGIApplication,
        *,
        threads: int,
        bodies: Bodies,
        largest_body: Callable[[Scope], int],
        trusts_forwarded_for: bool = False,
    ) -> None:
        self.application = application
        self.bodies = bodies
        self.largest_body = largest_body
        self.trusts_forwarded_for = trusts_forwarded_for
        return_large_blocks()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            file, size, body = await self.read(scope, receive)
        except Disconnected:
            return
        except TooLarge:
            await self.refuse(await self._in_thread(self.too_large, scope), receive, send)
            return
        except NoRoom:
            retry = (b"retry-after", str(RETRY_AFTER).encode())
            words = "The server is receiving too many large requests. Try again later."
            await self.refuse(Answer.text(503, words, retry), receive, send)
            return
        try:
            answer = await self._in_thread(self._answer, scope, file, size)
            await self.respond(scope, receive, send, answer)
        finally:
            if body:
                body.close()

    def too_large(self, scope: Scope) -> Answer:
        """The response to a body that is too large. Runs in one of the threads."""
        return Answer.text(413, f"The request body is too large. The maximum is {self.largest_body(scope)} bytes.")

    async def respond(self, scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
        head = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        if answer.rest is None:
            if all(name != b"content-length" for name, _ in answer.headers):
                answer.headers.append((b"content-length", str(len(answer.start)).encode()))
            await send(head)
            await send({"type": "http.response.body", "body": answer.start})
            return
        try:
            await send(head)
            batch, is_last = answer.start, False
            while not is_last:
                await send({"type": "http.response.body", "body": batch, "more_body": True})
                # No thread is used while waiting for the client to read.
                batch, is_last = await self._in_thread(_batch, answer.rest)
            await send({"type": "http.response.body", "body": batch})
        finally:
            await self._in_thread(answer.close)

    async def read(self, scope: Scope, receive: Receive) -> tuple[IO[bytes], int, Body | None]:
        """Read the whole body. Returns it as a file, its size, and a Body to close afterwards.

        Raises TooLarge, NoRoom or Disconnected.
        """
        largest = self.largest_body(scope)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if announced.isdigit() and int(announced) > largest:
            raise TooLarge
        data, has_more = await _part(receive)
        if not has_more:
            if len(data) > largest:
                raise TooLarge
            return io.BytesIO(data), len(data), None
        body = self.bodies.open(self._address(scope))
        try:
            body.write(data)
            while has_more:
                data, has_more = await _part(receive)
                if body.size + len(data) > largest:
                    raise TooLarge
                body.write(data)
            body.rewind()
        except BaseException:
            body.close()
            raise
        return body.file, body.size, body

    def _address(self, scope: Scope) -> str:
        forwarded = forwarded_for(scope["headers"]) if self.trusts_forwarded_for else ""
        return forwarded or network_of((scope.get("client") or ("",))[0])

    def _answer(self, scope: Scope, file: IO[bytes], size: int) -> Answer:
        """Call the application. Runs in one of the threads."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [int(status.split(" ", 1)[0]), headers]

        result = self.application(environ_of(scope, file, size), start_response)
        try:
            chunks = iter(result)
            start, is_last = _batch(chunks)
        except BaseException:
            # PEP 3333: close it after an error too. This releases files and database connections.
            if hasattr(result, "close"):
                result.close()
            raise
        status, headers = started
        encoded = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in headers]
        answer = Answer(status, encoded, result, start, None if is_last else chunks)
        if is_last:
            answer.close()
        return answer

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def refuse(self, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer a request without having read its body, and close the connection."""
        headers = [*answer.headers, (b"connection", b"close")]
        if all(name != b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(answer.start)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.start, "more_body": True})
        # Closing a connection while bytes arrive resets it, and the client may then not see the response.
        with contextlib.suppress(TimeoutError, Disconnected):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                while (await _part(receive))[1]:
                    await asyncio.sleep(0)  # otherwise a fast sender would prevent the timeout
        await send({"type": "http.response.body", "body": b""})


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more. Raises Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _batch(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next chunks, until they have BATCH bytes or more, and whether they are the last ones."""
    batch = bytearray()
    for chunk in chunks:
        batch += chunk
        if len(batch) >= BATCH:
            return bytes(batch), False
    return bytes(batch), True


def environ_of(scope: Scope, file: IO[bytes], size: int) -> Environ:
    """The WSGI environment of the request (PEP 3333), whose strings are bytes decoded as Latin-1."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin1"),
        "QUERY_STRING": scope["query_string"].decode("latin1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": file,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # X_Forwarded_For would pass for the real header
        name, value = raw_name.decode("latin1").upper().replace("-", "_"), raw_value.decode("latin1")
        if name != "CONTENT_TYPE":
            name = f"HTTP_{name}"
        if name in environ:
            value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    environ["CONTENT_LENGTH"] = str(size)  # a chunked body has no header with its length
    return environ
