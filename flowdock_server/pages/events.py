"""A flow's open page hears at once what happens there: server-sent events.

A note carries ids and no content: the page fetches what changed, with the filters it has, as the person who looks.
So a lost connection loses nothing either. The first event after every connection, and one whenever the flow is
silent, is a `beat` with the number of the flow's latest message: a page that has seen less fetches what it missed.
"""

import json
from collections.abc import AsyncIterator
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from flowdock_server.live import hub
from flowdock_server.models import Flow, User

from .access import open_flow

SILENCE = 15.0  # seconds between two beats
RETRY = 2000  # milliseconds that a browser waits before it connects again


@require_GET
async def events(request: HttpRequest, organization: str, flow: str) -> HttpResponseBase:
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    opened = await sync_to_async(open_flow)(user, organization, flow)
    response = StreamingHttpResponse(_stream(opened.pk, user), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy that collects the stream would hold it back for ever
    return response


async def _stream(flow_id: UUID, user: User) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n\n"
    async for note in hub.listen(flow_id, SILENCE):
        if note is not None:
            yield f"event: note\ndata: {json.dumps({'kind': note.kind, 'thread': note.thread_id})}\n\n"
            continue
        number = await sync_to_async(_latest_number)(flow_id, user)
        if number is None:
            return
        yield f"event: beat\ndata: {number}\n\n"


def _latest_number(flow_id: UUID, user: User) -> int | None:
    """The number of the flow's latest message; None to somebody who is in it no longer."""
    try:
        opened = Flow.objects.filter(pk=flow_id, memberships__user=user, memberships__user__is_active=True)
        return opened.values_list("last_number", flat=True).first()
    finally:
        # A page may stay open all day, and must not hold a connection that it uses four times a minute.
        connections.close_all()
