"""What streams tell and nobody stores: who is active, who joins and leaves, and who has another name.

Flowdock's documents name `activity.user` only. The others are as its clients read them: a bot starts anew when it
hears `flow-add`, `flow-remove` or `backend.user.join` of itself, or `backend.user.block` with its own id as content.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils import timezone

from flowdock_server.api.shapes import user_shape
from flowdock_server.models import Flow, User


def activity(flow_id: UUID, user_id: int, at: int) -> dict[str, Any]:
    """A user was active, at a time in milliseconds since 1970."""
    return _event("activity.user", {"last_activity": at}, flow_id, user_id, at)


def changes_in(flow_id: UUID, changes: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """What a flow's streams are told of its people: each change is a kind of note with a user's id."""
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
    """What a person's own streams are told: each change is `flow-add` or `flow-remove` with a flow's id."""
    changes = list(changes)
    flows = Flow.objects.in_bulk([UUID(flow_id) for _, flow_id in changes])
    return [
        _event(kind, {"id": str(flow.pk), "name": flow.name}, flow.pk, user_id)
        for kind, flow_id in changes
        if (flow := flows.get(UUID(flow_id)))
    ]


def _event(kind: str, content: Any, flow_id: UUID, user_id: int, at: int | None = None) -> dict[str, Any]:
    """A message that is not stored and so has no id."""
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
