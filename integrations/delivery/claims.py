"""Claims: deliveries that a worker has leased, so that no other worker posts them."""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Subquery
from django.db.models.functions import Now

from integrations.models import Delivery, DeliveryQuerySet, Integration, Origin

from .attempts import Attempt

logger = logging.getLogger(__name__)

MAX_DELIVERIES = 20  # of one thread, in one claim
UNUSABLE = "the stored data of this delivery cannot be read or written"


@dataclass(frozen=True, slots=True)
class Claim:
    """Deliveries of one thread, in order; the first is leased. The sender adds its attempts.

    The lease ends at `lease` by the database's clock, and not before `expires` by `time.monotonic()` of this process.
    """

    deliveries: tuple[Delivery, ...]
    lease: dt.datetime
    expires: float
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def integration(self) -> Integration:
        return self.deliveries[0].integration


def lease_length() -> dt.timedelta:
    """Enough for a claim to wait for a sender and to be posted. After a crash, its thread waits as long."""
    return dt.timedelta(seconds=2 * settings.FLOWDOCK_TIMEOUT + 5)


def claim(ids: Sequence[int], limit: int = MAX_DELIVERIES) -> list[Claim]:
    """Lease these deliveries, except those that another worker has leased, and add the ones that each of them blocks.

    A claim holds `limit` deliveries at most. Call it in a transaction.
    """
    # A join on Exists might read the whole outbox for each head, if the statistics are of quieter times.
    next_blocked = Subquery(Delivery.objects.blocked().in_same_thread().values("id")[:1])
    due = Delivery.objects.with_activity().due().filter(id__in=ids)
    heads, unreadable = load(due.select_for_update(skip_locked=True, of=("self",)))
    for pk in unreadable:
        logger.error("delivery %s is marked as failed: %s", pk, UNUSABLE)
        give_up(pk, UNUSABLE)
    expires = time.monotonic() + lease_length().total_seconds()
    leased = Delivery.objects.filter(id__in=[head.pk for head in heads])
    leased.update(next_attempt_at=Now() + lease_length())
    rows = leased.values_list("id", "next_attempt_at", next_blocked)
    leases = {pk: (lease, blocks_others) for pk, lease, blocks_others in rows}
    integrations = Integration.objects.in_bulk({head.integration_id for head in heads})
    claims = []
    for head in heads:
        deliveries = [head]
        lease, blocks_others = leases[head.pk]
        if blocks_others and limit > 1:
            thread = Delivery.objects.with_activity().blocked()
            thread = thread.filter(integration=head.integration_id, thread_id=head.thread_id)
            blocked, unreadable = load(thread.order_by("id")[: limit - 1])
            # An unreadable one is given up when it is the first of its thread; those after it wait until then.
            deliveries += [each for each in blocked if each.pk < min(unreadable, default=math.inf)]
        for delivery in deliveries:
            delivery.integration = integrations[delivery.integration_id]
        claims.append(Claim(tuple(deliveries), lease, expires))
    return claims


def load(deliveries: DeliveryQuerySet) -> tuple[list[Delivery], list[int]]:
    """The deliveries that can be read, and the ids of those whose JSON cannot be."""
    try:
        return list(deliveries), []
    except (ValueError, RecursionError):
        readable, unreadable = [], []
    for pk in list(deliveries.values_list("pk", flat=True)):
        try:
            readable.append(Delivery.objects.with_activity().get(pk=pk))
        except (ValueError, RecursionError):
            unreadable.append(pk)
    return readable, unreadable


def give_up(pk: int, reason: str) -> None:
    """Mark a pending delivery as failed without reading it, so that its thread goes on. Call it in a transaction."""
    Origin.objects.lock(Delivery.objects.filter(pk=pk).values_list("integration__origin", flat=True))
    Delivery.objects.pending().filter(pk=pk).update(
        state=Delivery.State.FAILED, reason=reason[:500], next_attempt_at=None
    )
    Delivery.objects.filter(pk=pk).schedule_next()
