"""Server-sent events for open pages of a flow.

A note carries ids and no content: the page fetches what changed, with the filters it has, as the person who looks.
So a lost connection loses nothing either. The first event after every connection, and one whenever the flow is
silent, is a `beat` with the number of the flow's latest message: a page that has seen less fetches what it missed.
Whoever is removed or blocked hears nothing more: a note makes their pages look at once, and all look now and then.
So a page also ends within SILENCE after its reader has signed out.
Every page also hears of the person's private messages; the page of a conversation hears of these alone.
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
RETRY = 2000  # milliseconds that a browser waits before it connects again


@require_GET
async def events(request: SignedInRequest, organization: str, flow: str) -> HttpResponseBase:
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    opened = await sync_to_async(open_flow)(user, organization, flow)
    return _streamed(request, user, (opened.pk, user.pk), lambda: _latest_number(opened.pk, user))


@require_GET
async def personal(request: SignedInRequest, user_id: int) -> HttpResponseBase:
    """What concerns the person and no flow."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    return _streamed(request, user, (user.pk,), lambda: _latest_private(user))


def _streamed(
    request: SignedInRequest, user: User, topics: tuple[Topic, ...], latest: Callable[[], int | None]
) -> StreamingHttpResponse:
    """`latest` returns the number for a beat, or None where the reader may no longer read."""
    session_key = request.session.session_key or ""

    def latest_if_signed_in() -> int | None:
        try:
            is_signed_in = request.session.exists(session_key) and _has_same_session_hash(user)
            return latest() if is_signed_in else None
        finally:
            # A page may stay open all day, and must not hold a connection that it uses four times a minute.
            connections.close_all()

    response = StreamingHttpResponse(_stream(user, topics, latest_if_signed_in), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy that collects the stream would hold it back for ever
    return response


async def _stream(user: User, topics: tuple[Topic, ...], latest: Callable[[], int | None]) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n\n"
    checked = time.monotonic()
    async for broadcast in hub.listen(*topics, keep_alive=SILENCE):
        is_removed = broadcast is not None and broadcast.kind == "leave" and broadcast.user_id == user.pk
        # Also in a flow that is never silent: the note that somebody was removed may have been lost.
        if broadcast is None or is_removed or time.monotonic() - checked >= SILENCE:
            number = await sync_to_async(latest)()
            checked = time.monotonic()
            if number is None:
                return
            if broadcast is None:
                yield f"event: beat\ndata: {number}\n\n"
        if broadcast is not None and broadcast.kind not in STREAM_ONLY:
            yield f"event: note\ndata: {json.dumps(_ids(broadcast))}\n\n"


def _ids(broadcast: Broadcast) -> dict[str, Any]:
    return {
        "kind": broadcast.kind,
        "number": broadcast.number,
        "thread": broadcast.thread_id,
        "conversation": broadcast.conversation_id,
    }


def _has_same_session_hash(user: User) -> bool:
    """Whether sessions that began with `user` as it was then still count; False also for a closed account."""
    present = User.objects.filter(pk=user.pk, is_active=True).first()
    return present is not None and present.get_session_auth_hash() == user.get_session_auth_hash()


def _latest_number(flow_id: UUID, user: User) -> int | None:
    """The number of the flow's latest message; None to somebody who is in it no longer."""
    opened = Flow.objects.filter(pk=flow_id, memberships__user=user, memberships__disabled=False)
    return opened.values_list("last_number", flat=True).first()


def _latest_private(user: User) -> int | None:
    """How many private messages the person has sent and got."""
    return Conversation.objects.of(user).aggregate(said=Sum("last_number"))["said"] or 0
