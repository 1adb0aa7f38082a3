"""How long things are kept: events with what became of them, and sign-ins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from social_django.models import Nonce

from .flowdock.oauth import FlowdockOAuth2
from .models import Delivery, Event, Origin, SignIn
from .passwords import forget_old_failures
from .transactions import writing

BATCH = 200  # events; their origins are locked for as long as a batch takes


def expired() -> QuerySet[Event]:
    """Events past EVENT_RETENTION_DAYS, but for those that still wait to be posted: nothing accepted is lost."""
    cutoff = timezone.now() - dt.timedelta(days=settings.EVENT_RETENTION_DAYS)
    waiting = Delivery.objects.pending().filter(event=OuterRef("pk"))
    return Event.objects.filter(~Exists(waiting), received_at__lt=cutoff)


def prune() -> Iterator[int]:
    """Delete what has expired with its deliveries, a batch at a time; yields how many events each batch had.

    Between two batches others get to write, and whoever goes through them may stop.
    """
    while True:
        with writing():
            found = dict(expired().order_by("received_at").values_list("pk", "origin")[:BATCH])
            Origin.objects.lock(found.values())
            # Again, now that nobody can put one of their deliveries back in the outbox: see Delivery.retry.
            ids = list(expired().filter(pk__in=found).values_list("pk", flat=True))
            Delivery.objects.filter(event__in=ids).delete()
            # Django reads what it deletes: the payloads need not come along.
            Event.objects.filter(pk__in=ids).only("pk").delete()
        if not found:
            return
        yield len(ids)


def forget_sign_ins() -> None:
    """Delete sign-ins whose time is over, failed attempts that no longer count, and what begun sign-ins left."""
    SignIn.objects.expired().delete()
    forget_old_failures()
    # social-auth remembers the state of each sign-in that is begun until it is finished, and many never are.
    begun_before = timezone.now() - dt.timedelta(seconds=FlowdockOAuth2.STATE_LIFETIME)
    Nonce.objects.filter(timestamp__lt=begun_before.timestamp()).delete()
