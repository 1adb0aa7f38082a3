"""`granian --interface asgi flowdock_server.asgi:application`

Pages and API are ordinary synchronous code. Each request runs through Django's WSGI handler in one of a few threads,
which keep their database connections: through Django's ASGI handler it would get a thread and a connection of its own
and hop between threads at every middleware, at two to three times the cost. Streams stay in the event loop: those of
pages, and those of the streaming API once such a call has opened them.
"""

import asyncio
import io
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_server.settings")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_streams = get_asgi_application()
_requests = get_wsgi_application()

# They need what the lines above have set up.
from django.conf import settings  # noqa: E402

from flowdock_server.api.middleware import too_large  # noqa: E402
from flowdock_server.live import hub  # noqa: E402
from flowdock_server.streaming.opening import Opening  # noqa: E402
from flowdock_server.streaming.respond import respond  # noqa: E402

# Status, headers, body, and the stream that begins instead of a body.
Answer = tuple[int, Headers, bytes, Opening | None]

_threads = ThreadPoolExecutor(settings.THREADS, thread_name_prefix="request")


class BodyTooLarge(Exception):
    """More than MAX_BODY_BYTES."""


class Disconnected(Exception):
    """Nobody waits for an answer any more."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["path"].endswith("/events"):
        await _streams(scope, receive, send)
    else:
        try:
            # Read before a thread is taken: somebody who sends slowly holds up nobody else.
            body = await _body(receive)
        except Disconnected:
            return
        except BodyTooLarge:
            status, headers, answer, opening = _too_large(scope)
        else:
            loop = asyncio.get_running_loop()
            status, headers, answer, opening = await loop.run_in_executor(_threads, _respond, scope, body)
        head = {"type": "http.response.start", "status": status, "headers": headers}
        if opening and scope["method"] == "GET":
            if not await respond(opening, head, receive, send):
                await _abort(scope)
        else:
            await send(head)
            await send({"type": "http.response.body", "body": answer})


async def _abort(scope: Scope) -> None:
    """Close the connection at once where the server can: what waits in its buffers has no reader."""
    if abort := scope.get("extensions", {}).get("flowdock.abort"):
        abort["abort"]()
        await asyncio.sleep(0)  # so that the server knows, and does not wonder at an answer without an end


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body"):
            return bytes(body)


def _respond(scope: Scope, sent: bytes) -> Answer:
    """What Django answers. Runs in one of the threads."""
    return _sent(_requests(_environ(scope, sent), lambda status, headers, exc_info=None: None))


def _sent(response: Any) -> Answer:
    try:
        headers = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in response.items()]
        headers += [(b"set-cookie", cookie.OutputString().encode("latin1")) for cookie in response.cookies.values()]
        body, opening = b"".join(response), getattr(response, "opening", None)
        if opening is None and "Content-Length" not in response:
            headers.append((b"content-length", str(len(body)).encode()))
        return response.status_code, headers, body, opening
    finally:
        response.close()


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The request as WSGI has it (PEP 3333), where texts are bytes read as Latin-1."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
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
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin1").upper().replace("-", "_"), raw_value.decode("latin1")
        if name != "CONTENT_TYPE":
            name = f"HTTP_{name}"
        if name in environ:
            value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    environ["CONTENT_LENGTH"] = str(len(body))  # a body in chunks has not announced it
    return environ


def _too_large(scope: Scope) -> Answer:
    return _sent(too_large(WSGIRequest(_environ(scope, b""))))


async def _live(receive: Receive, send: Send) -> None:
    """Nothing is to be done when the process starts; when it ends, so do the streams."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    hub.end()
    await send({"type": "lifespan.shutdown.complete"})
