"""Events that streams send and the server does not store: who is active, joins, leaves or has a new name.

Flowdock documented only `activity.user`. The others have the format that its clients expect: a bot starts again when
it receives `flow-add`, `flow-remove` or `backend.user.join` for itself, or `backend.user.block` with its id as content.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils import timezone

from flowdock_server.api.shapes import user_shape
from flowdock_server.models import Flow, User


def activity(flow_id: UUID, user_id: int, at: int) -> dict[str, Any]:
    """The event for a user who was active at `at`, in milliseconds since 1970."""
    return _event("activity.user", {"last_activity": at}, flow_id, user_id, at)


def changes_in(flow_id: UUID, changes: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """The events for a flow's streams about its people. Each change is the kind of a broadcast and a user's id."""
    changes = list(changes)
    flow = Flow.objects.filter(pk=flow_id).first()
    users = User.objects.in_bulk([user_id for _, user_id in changes])
    events = []
    for kind, user_id in changes:
        user = users.get(user_id)
        if kind == "leave":
            events.append(_event("backend.user.block", str(user_id), flow_id, user_id))
        elif flow and user:
            shape = user_shape(user, with_email=False)
            if kind == "join":
                content = {"id": str(flow.pk), "name": flow.name, "user": shape}
                events.append(_event("backend.user.join", content, flow_id, user_id))
            else:
                events.append(_event("user-edit", {"user": shape}, flow_id, user_id))
    return events


def changes_of(user_id: int, changes: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """The events for a person's own streams. Each change is `flow-add` or `flow-remove` and a flow's id."""
    changes = list(changes)
    flows = Flow.objects.in_bulk([UUID(flow_id) for _, flow_id in changes])
    return [
        _event(kind, {"id": str(flow.pk), "name": flow.name}, flow.pk, user_id)
        for kind, flow_id in changes
        if (flow := flows.get(UUID(flow_id)))
    ]


def _event(kind: str, content: Any, flow_id: UUID, user_id: int, at: int | None = None) -> dict[str, Any]:
    """A message without an id, since it is not stored."""
    return {
        "event": kind,
        "content": content,
        "flow": str(flow_id),
        "user": str(user_id),
        "sent": round(timezone.now().timestamp() * 1000) if at is None else at,
        "tags": [],
        "uuid": None,
        "attachments": [],
        "app": None,
    }
