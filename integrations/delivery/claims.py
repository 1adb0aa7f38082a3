"""Claims: deliveries that a worker has leased, so that no other worker posts them."""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Subquery
from django.db.models.functions import Now

from integrations.models import Delivery, DeliveryQuerySet, Integration, Origin

from .attempts import Attempt, Posting

logger = logging.getLogger(__name__)

MAX_DELIVERIES = 20  # of one thread, in one claim
UNUSABLE = "the stored data of this delivery cannot be read or written"


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Deliveries of one thread, in order; the first is leased. The sender adds its attempts.

    The lease ends at `lease` by the database's clock, and not before `expires` by `time.monotonic()` of this process.
    """

    deliveries: tuple[Posting, ...]
    lease: dt.datetime
    expires: float
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def integration(self) -> Integration:
        return self.deliveries[0].integration

    def is_safe(self, now: float) -> bool:
        """Whether there is time to post a delivery, before another worker may take the thread over."""
        return now + lease_length().total_seconds() / 2 <= self.expires


def lease_length() -> dt.timedelta:
    """Enough for a claim to wait for a sender and to be posted. After a crash, its thread waits as long."""
    return dt.timedelta(seconds=2 * settings.FLOWDOCK_TIMEOUT + 5)


def claim(ids: Sequence[int], limit: int = MAX_DELIVERIES) -> list[Claim]:
    """Lease these deliveries, except those that another worker has leased, and add the ones that each of them blocks.

    A claim holds `limit` deliveries at most. Call it in a transaction.
    """
    due = Delivery.objects.due().filter(id__in=ids)
    # Locked first, so that the rows which are read then are those of this claim.
    leased = Delivery.objects.filter(id__in=list(due.select_for_update(skip_locked=True).values_list("id", flat=True)))
    expires = time.monotonic() + lease_length().total_seconds()
    leased.update(next_attempt_at=Now() + lease_length())
    # A join on Exists might read the whole outbox for each head, if the statistics are of quieter times.
    next_blocked = Subquery(Delivery.objects.blocked().in_same_thread().values("id")[:1])
    leased = leased.annotate(blocks=next_blocked).order_by("next_attempt_at", "id")
    heads, unreadable = load(leased, "next_attempt_at", "blocks")
    for pk in unreadable:
        logger.error("delivery %s is marked as failed: %s", pk, UNUSABLE)
        give_up(pk, UNUSABLE)
    integrations = Integration.objects.in_bulk({row.integration for row in heads})
    claims = []
    for head in heads:
        rows = [head]
        if head.blocks and limit > 1:
            thread = Delivery.objects.blocked().filter(integration=head.integration, thread_id=head.thread_id)
            blocked, unreadable = load(thread.order_by("id"), limit=limit - 1)
            # An unreadable one is given up when it is the first of its thread; those after it wait until then.
            rows += [each for each in blocked if each.id < min(unreadable, default=math.inf)]
        claims.append(Claim(tuple(_posting(row, integrations) for row in rows), head.next_attempt_at, expires))
    return claims


def _posting(row: Any, integrations: Mapping[int, Integration]) -> Posting:
    return Posting(
        pk=row.id,
        event_id=row.event,
        created_at=row.created_at,
        uuid=row.uuid,
        integration=integrations[row.integration],
        thread_id=row.thread_id,
        attempts=row.attempts,
        activity=row.event__activity,
    )


def load(deliveries: DeliveryQuerySet, *more: str, limit: int | None = None) -> tuple[list[Any], list[int]]:
    """Rows with what a Posting has and `more`, and the ids of the deliveries whose JSON cannot be read."""
    columns = ("id", "event", "created_at", "uuid", "integration", "thread_id", "attempts", "event__activity", *more)
    rows: Any = deliveries.values_list(*columns, named=True)
    try:
        return list(rows[:limit]), []
    except (ValueError, RecursionError):
        readable, unreadable = [], []
    for pk in list(deliveries.values_list("pk", flat=True)[:limit]):
        try:
            readable.append(rows.get(pk=pk))
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
