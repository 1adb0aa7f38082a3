"""Server-sent events for open pages of a flow.

A `change` carries ids and no content: the page fetches what changed, with its own filters and its user's rights.
A `beat` carries the number of the flow's latest message. It is sent after every connection and after SILENCE seconds
without a change, so a page that missed changes, such as during a lost connection, fetches them then.
Access is checked again after SILENCE seconds, and at once when a member is removed or blocked, so the stream ends for
them and for a user who has signed out.
The stream of a flow's page includes changes of the user's private messages; that of a conversation has only these.
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Sum
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from flowdock_server.live import Broadcast, Topic, hub
from flowdock_server.live.broadcasts import STREAM_ONLY
from flowdock_server.models import Conversation, Flow, User

from .access import SignedInRequest, open_flow

SILENCE = 15.0  # seconds between two beats
RETRY = 2000  # milliseconds before a browser reconnects


@require_GET
async def events(request: SignedInRequest, organization: str, flow: str) -> HttpResponseBase:
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    opened = await sync_to_async(open_flow)(user, organization, flow)
    return _streamed(request, user, (opened.pk, user.pk), lambda: _latest_number(opened.pk, user))


@require_GET
async def personal(request: SignedInRequest, user_id: int) -> HttpResponseBase:
    """The changes that concern the user and not a flow: private messages."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    return _streamed(request, user, (user.pk,), lambda: _latest_private(user))


def _streamed(
    request: SignedInRequest, user: User, topics: tuple[Topic, ...], latest: Callable[[], int | None]
) -> StreamingHttpResponse:
    """`latest` returns the number for a beat, or None if the user no longer has access."""
    session_key = request.session.session_key or ""

    def latest_if_signed_in() -> int | None:
        try:
            is_signed_in = request.session.exists(session_key) and _has_same_session_hash(user)
            return latest() if is_signed_in else None
        finally:
            # A page may stay open all day; it must not keep a database connection that it uses four times a minute.
            connections.close_all()

    response = StreamingHttpResponse(_stream(user, topics, latest_if_signed_in), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy that buffers the stream would never deliver it
    return response


async def _stream(user: User, topics: tuple[Topic, ...], latest: Callable[[], int | None]) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n\n"
    checked = time.monotonic()
    async for broadcast in hub.listen(*topics, keep_alive=SILENCE):
        is_removed = broadcast is not None and broadcast.kind == "leave" and broadcast.user_id == user.pk
        # Also in a flow that is always busy: the broadcast that the member was removed may have been lost.
        if broadcast is None or is_removed or time.monotonic() - checked >= SILENCE:
            number = await sync_to_async(latest)()
            checked = time.monotonic()
            if number is None:
                return
            if broadcast is None:
                yield f"event: beat\ndata: {number}\n\n"
        if broadcast is not None and broadcast.kind not in STREAM_ONLY:
            yield f"event: change\ndata: {json.dumps(_ids(broadcast))}\n\n"


def _ids(broadcast: Broadcast) -> dict[str, Any]:
    return {
        "kind": broadcast.kind,
        "number": broadcast.number,
        "thread": broadcast.thread_id,
        "conversation": broadcast.conversation_id,
    }


def _has_same_session_hash(user: User) -> bool:
    """Whether sessions that began with this state of `user` are still valid; False also for a closed account."""
    present = User.objects.filter(pk=user.pk, is_active=True).first()
    return present is not None and present.get_session_auth_hash() == user.get_session_auth_hash()


def _latest_number(flow_id: UUID, user: User) -> int | None:
    """The number of the flow's latest message; None if the user is no longer a member."""
    opened = Flow.objects.open_to(user).filter(pk=flow_id)
    return opened.values_list("last_number", flat=True).first()


def _latest_private(user: User) -> int | None:
    """The number of private messages that the user has sent and received."""
    return Conversation.objects.of(user).aggregate(total=Sum("last_number"))["total"] or 0
