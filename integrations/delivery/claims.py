"""Deliveries that a worker has claimed, and the lease that it has on them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.conf import settings

from integrations.models import Delivery, DeliveryQuerySet, Integration

from .attempts import Outcome


@dataclass(frozen=True, slots=True)
class Hand:
    """Deliveries of one thread, in order; the first is leased. The sender adds the outcomes.

    The lease ends at `lease` by the database's clock, and not before `expires` by `time.monotonic()` of this process.
    """

    deliveries: tuple[Delivery, ...]
    lease: dt.datetime
    expires: float
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def integration(self) -> Integration:
        return self.deliveries[0].integration


def lease_length() -> dt.timedelta:
    """Enough for a hand to wait for its sender and to be posted. After a crash its thread waits as long."""
    return dt.timedelta(seconds=2 * settings.FLOWDOCK_TIMEOUT + 5)


def read(deliveries: DeliveryQuerySet) -> tuple[list[Delivery], list[int]]:
    """Those of the deliveries that can be read, and the ids of those whose JSON cannot be."""
    try:
        return list(deliveries), []
    except (ValueError, RecursionError):
        readable, damaged = [], []
    for pk in list(deliveries.values_list("pk", flat=True)):
        try:
            readable.append(_to_post().get(pk=pk))
        except (ValueError, RecursionError):
            damaged.append(pk)
    return readable, damaged


def _to_post() -> DeliveryQuerySet:
    """With what is posted of their events, and without the payloads those were read from."""
    return Delivery.objects.select_related("event").defer("event__body", "event__headers")
