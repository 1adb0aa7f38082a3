"""The server's ASGI application, which `python -m flowdock_server serve` runs.

Pages and the API are synchronous code. Requests run through Django's WSGI handler in a few threads, which keep their
database connections. Django's ASGI handler would use a new thread and connection for each request and switch threads at
every middleware, at two to three times the cost. Streams run in the event loop: those of pages, and those of the
streaming API after they have been opened by an ordinary request.
"""

import asyncio
import io
import os
import re
from typing import Any, cast

from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_server.settings")

from hosting import health
from hosting.bodies import Bodies, NoRoom
from hosting.request_ids import RequestIds
from hosting.wsgi import Answer, Disconnected, Front, Message, Receive, Scope, Send, TooLarge, environ_of

_streams = get_asgi_application()
_requests = RequestIds(get_wsgi_application())

# These imports require that Django is set up.
from django.conf import settings  # noqa: E402

from flowdock_server.api.middleware import too_large  # noqa: E402
from flowdock_server.live import hub  # noqa: E402
from flowdock_server.streaming.respond import respond  # noqa: E402

# The streams of pages: of a flow, and of a private conversation (flowdock_server.pages.urls).
_PAGE_STREAM = re.compile(r"/app/[^/]+/[^/]+/events")
# The budget for bodies that are too large for memory, as a number of bodies of the maximum size.
_LARGE_BODIES = 20


class _Requests(Front):
    """Pages and the API. The response may open a stream of the streaming API."""

    def too_large(self, scope: Scope) -> Answer:
        response = too_large(WSGIRequest(environ_of(scope, io.BytesIO(), 0)))
        headers = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in response.items()]
        return Answer(response.status_code, headers, response, b"".join(response))

    async def respond(self, scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
        opening = getattr(answer.result, "opening", None)
        if opening is None or scope["method"] != "GET":
            await super().respond(scope, receive, send, answer)
            return
        head = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        if not await respond(opening, head, receive, send):
            await _abort(scope)


_front = _Requests(
    _requests,
    threads=settings.THREADS,
    bodies=Bodies(settings.DATA_DIR, _LARGE_BODIES * settings.MAX_BODY_BYTES),
    largest_body=lambda scope: settings.MAX_BODY_BYTES,
    trusts_forwarded_for=settings.TRUST_FORWARDED_FOR,
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif health.asks_if_alive(scope):
        await health.answer_alive(send)
    elif scope["method"] == "GET" and _PAGE_STREAM.fullmatch(scope["path"]):
        await _page_stream(scope, receive, send)
    else:
        await _front(scope, receive, send)


async def _page_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Run Django's ASGI handler. It would accept a body of any size, so the body is read here and discarded."""
    try:
        _, _, body = await _front.read(scope, receive)
    except Disconnected:
        return
    except (TooLarge, NoRoom):
        await _front.refuse(await asyncio.to_thread(_front.too_large, scope), receive, send)
        return
    if body:
        body.close()
    is_read = False

    async def without_body() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    await _streams(dict(scope), without_body, cast(Any, send))


async def _abort(scope: Scope) -> None:
    """Close the connection at once, if the server supports it, since the client does not read what is buffered."""
    if abort := scope.get("extensions", {}).get("hosting.abort"):
        abort["abort"]()
        await asyncio.sleep(0)  # let the server notice it, so that it does not log an incomplete response


async def _live(receive: Receive, send: Send) -> None:
    """Handle ASGI's lifespan events: end all streams when the process stops."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    hub.end()
    await send({"type": "lifespan.shutdown.complete"})
