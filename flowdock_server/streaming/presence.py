"""Who is there: told by the streams that people keep open."""

import asyncio
from collections.abc import Collection

from django.utils import timezone

from flowdock_server.live import Note, hub
from flowdock_server.models import FlowMembership, User

from .store import in_thread

REFRESH = 60.0  # seconds between two signs that somebody is still there


async def refresh(present: Collection[tuple[int, str]]) -> None:
    """Keep and tell that these users have a stream open: each with its `active`, "true", "idle" or "" for unseen."""
    there = {user_id for user_id, active in present if active}
    at_work = {user_id for user_id, active in present if active == "true"}
    if not there:
        return
    for note in await in_thread(_keep, there, at_work):
        hub.publish(note)
        await asyncio.sleep(0)


def _keep(there: set[int], at_work: set[int]) -> list[Note]:
    now = timezone.now()
    at = round(now.timestamp() * 1000)
    User.objects.filter(pk__in=there).update(last_ping_at=now)
    if not at_work:
        return []
    User.objects.filter(pk__in=at_work).update(last_activity_at=now)
    flows = FlowMembership.objects.filter(user_id__in=at_work, disabled=False).values_list("flow_id", "user_id")
    return [Note(flow_id, "presence", user_id=user_id, at=at) for flow_id, user_id in flows]
