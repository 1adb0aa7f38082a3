"""The overview on the first page of the admin."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import template
from django.db.models import Count, Min, Q
from django.db.models.functions import TruncHour
from django.utils import timezone

from integrations.models import Delivery, Event, Integration

register = template.Library()

HOURS = 24
BAR, GAP, HEIGHT = 14, 6, 72  # in the units of the chart's viewBox


@register.inclusion_tag("admin/_oversight.html")
def oversight() -> dict[str, Any]:
    """Events and deliveries of the last 24 hours, what waits and since when, and who needs attention."""
    now = timezone.now()
    since = now - dt.timedelta(hours=HOURS)
    received = _per_hour(Event.objects.filter(received_at__gte=since), "received_at")
    posted = _per_hour(Delivery.objects.filter(delivered_at__gte=since), "delivered_at")
    outbox = Delivery.objects.pending().aggregate(waiting=Count("id"), oldest=Min("created_at"))
    unchecked = Event.objects.awaiting_decision().aggregate(waiting=Count("id"), oldest=Min("received_at"))
    failing = Integration.objects.connected().filter(~Q(problem=""))
    return {
        "bars": bars(now, received, posted),
        "width": HOURS * (BAR + GAP) - GAP,
        "height": HEIGHT,
        "received": sum(received.values()),
        "posted": sum(posted.values()),
        "failed": Delivery.objects.filter(state=Delivery.State.FAILED, created_at__gte=since).count(),
        "unchecked": unchecked["waiting"],
        "waiting": outbox["waiting"],
        "oldest": min(filter(None, (unchecked["oldest"], outbox["oldest"])), default=None),
        "needing_attention": failing.select_related("origin").order_by("name")[:10],
    }


def _per_hour(rows: Any, column: str) -> dict[dt.datetime, int]:
    counted = rows.annotate(hour=TruncHour(column)).order_by().values_list("hour").annotate(count=Count("id"))
    return dict(counted)


def bars(now: dt.datetime, received: dict[dt.datetime, int], posted: dict[dt.datetime, int]) -> list[dict[str, Any]]:
    """One bar for each hour, oldest first, in SVG units: received, and in front of it posted."""
    this_hour = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - dt.timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    top = max([*received.values(), *posted.values(), 1])
    drawn = []
    for position, hour in enumerate(hours):
        heights = [round(HEIGHT * counts.get(hour, 0) / top, 1) for counts in (received, posted)]
        drawn.append(
            {
                "x": position * (BAR + GAP),
                "width": BAR,
                "hour": hour,
                "received": received.get(hour, 0),
                "posted": posted.get(hour, 0),
                "received_height": heights[0],
                "received_y": round(HEIGHT - heights[0], 1),
                "posted_height": heights[1],
                "posted_y": round(HEIGHT - heights[1], 1),
            }
        )
    return drawn
