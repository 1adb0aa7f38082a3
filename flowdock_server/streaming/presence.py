"""Presence: people are online while they have a stream open."""

import asyncio
from collections.abc import Collection

from django.utils import timezone

from flowdock_server.live import Broadcast, hub
from flowdock_server.models import FlowMembership, User

from .store import in_thread

REFRESH = 60.0  # seconds between two updates


async def refresh(present: Collection[tuple[int, str]]) -> None:
    """Store and publish that users have a stream open: (user id, `active`), where `active` is "true", "idle" or ""."""
    online = {user_id for user_id, active in present if active}
    active_users = {user_id for user_id, active in present if active == "true"}
    if not online:
        return
    for broadcast in await in_thread(_store, online, active_users):
        hub.publish(broadcast)
        await asyncio.sleep(0)


def _store(online: set[int], active_users: set[int]) -> list[Broadcast]:
    now = timezone.now()
    at = round(now.timestamp() * 1000)
    User.objects.filter(pk__in=online).update(last_ping_at=now)
    if not active_users:
        return []
    User.objects.filter(pk__in=active_users).update(last_activity_at=now)
    flows = FlowMembership.objects.filter(user_id__in=active_users, disabled=False).values_list("flow_id", "user_id")
    return [Broadcast(flow_id, "presence", user_id=user_id, at=at) for flow_id, user_id in flows]
