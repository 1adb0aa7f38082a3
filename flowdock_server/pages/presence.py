"""Who is in a flow, and who of them is there at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from flowdock_server.models import Flow, FlowMembership, User

HERE = timedelta(minutes=5)  # since somebody last did something


@dataclass(frozen=True)
class Person:
    """Somebody in the flow: `is_here` is whether they did something a moment ago."""

    user: User
    is_here: bool


def people_in(flow: Flow) -> list[Person]:
    memberships = FlowMembership.objects.filter(flow=flow, disabled=False, user__is_active=True)
    return [Person(each.user, is_here(each.user)) for each in memberships.select_related("user").order_by("user__name")]


def is_here(user: User) -> bool:
    return user.last_activity_at is not None and timezone.now() - user.last_activity_at < HERE
