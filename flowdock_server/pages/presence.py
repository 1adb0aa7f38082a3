"""The members of a flow, and which of them are online."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from flowdock_server.models import Flow, User

ONLINE_FOR = timedelta(minutes=5)  # since a person's last activity


@dataclass(frozen=True)
class Person:
    """A member of the flow; `is_online` is whether they were active within the last minutes."""

    user: User
    is_online: bool


def people_in(flow: Flow) -> list[Person]:
    memberships = flow.memberships.active()
    return [
        Person(each.user, is_online(each.user)) for each in memberships.select_related("user").order_by("user__name")
    ]


def is_online(user: User) -> bool:
    return user.last_activity_at is not None and timezone.now() - user.last_activity_at < ONLINE_FOR
