"""A WSGI application in a few threads behind an ASGI server.

A request takes a thread only when its body has arrived, so a client that sends slowly holds up nobody else.
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

BATCH = 256 * 1024  # bytes of an answer that wait for their reader at a time
RETRY_AFTER = 10  # seconds
FAREWELL = 2.0  # seconds in which the rest of a refused body is read and dropped


class Disconnected(Exception):
    """The client has left, or was sent away, before its request was complete."""


class TooLarge(Exception):
    """The body is larger than is accepted."""


@dataclass
class Answer:
    """What the application answered: its first bytes, and where the rest of them comes from if there are more."""

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
    """The ASGI application that runs `application`, with at most `threads` requests at the same time.

    `largest_body` says how many bytes a request with this scope may have. It is asked before the body is read.
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
            words = "There is no room for large bodies at the moment. Try again later."
            await self.refuse(Answer.text(503, words, retry), receive, send)
            return
        try:
            answer = await self._in_thread(self._answer, scope, file, size)
            await self.respond(scope, receive, send, answer)
        finally:
            if body:
                body.close()

    def too_large(self, scope: Scope) -> Answer:
        """The answer to a body that is larger than is accepted. Runs in one of the threads."""
        return Answer.text(413, f"More than {self.largest_body(scope)} bytes are not taken.")

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
                # The reader is waited for without a thread.
                batch, is_last = await self._in_thread(_batch, answer.rest)
            await send({"type": "http.response.body", "body": batch})
        finally:
            await self._in_thread(answer.close)

    async def read(self, scope: Scope, receive: Receive) -> tuple[IO[bytes], int, Body | None]:
        """The whole body as a file, its size, and what is to be closed afterwards.

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
        """Ask the application. Runs in one of the threads."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [int(status.split(" ", 1)[0]), headers]

        result = self.application(environ_of(scope, file, size), start_response)
        try:
            chunks = iter(result)
            start, is_last = _batch(chunks)
        except BaseException:
            # PEP 3333: also where the answer breaks off. Files and database connections are let go there.
            if hasattr(result, "close"):
                result.close()
            raise
        status, headers = started
        spelled = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in headers]
        answer = Answer(status, spelled, result, start, None if is_last else chunks)
        if is_last:
            answer.close()
        return answer

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def refuse(self, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer a request whose body is not read, and close the connection."""
        headers = [*answer.headers, (b"connection", b"close")]
        if all(name != b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(answer.start)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.start, "more_body": True})
        # A connection that is closed while bytes arrive is reset, and then the client may never see the answer.
        with contextlib.suppress(TimeoutError, Disconnected):
            async with asyncio.timeout(FAREWELL):
                while (await _part(receive))[1]:
                    await asyncio.sleep(0)  # else a sender whose next part is always there outruns the deadline
        await send({"type": "http.response.body", "body": b""})


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more. Raises Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _batch(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """The next chunks, BATCH bytes or more where there are as many, and whether they are the last."""
    batch = bytearray()
    for chunk in chunks:
        batch += chunk
        if len(batch) >= BATCH:
            return bytes(batch), False
    return bytes(batch), True


def environ_of(scope: Scope, file: IO[bytes], size: int) -> Environ:
    """The request as WSGI has it (PEP 3333), where texts are bytes read as Latin-1."""
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
    environ["CONTENT_LENGTH"] = str(size)  # a body in chunks has not announced it
    return environ
