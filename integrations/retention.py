"""Deleting what is old: events with their deliveries, and sign-ins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from social_django.models import Nonce

from .flowdock.oauth import FlowdockOAuth2
from .models import Delivery, Event, Origin, SignIn
from .passwords import delete_old_failures
from .transactions import write_transaction

BATCH = 200  # events; their origins are locked while a batch is deleted


def expired() -> QuerySet[Event]:
    """Events older than EVENT_RETENTION_DAYS, except those that still wait to be posted: nothing accepted is lost."""
    cutoff = timezone.now() - dt.timedelta(days=settings.EVENT_RETENTION_DAYS)
    waiting = Delivery.objects.pending().filter(event=OuterRef("pk"))
    return Event.objects.filter(~Exists(waiting), awaits_decision=False, received_at__lt=cutoff)


def prune() -> Iterator[int]:
    """Delete expired events with their deliveries, in batches; yields how many events each batch had.

    Other transactions can write between two batches, and the caller may stop after any of them.
    """
    while True:
        with write_transaction():
            found = dict(expired().order_by("received_at").values_list("pk", "origin")[:BATCH])
            Origin.objects.lock(found.values())
            # Again, because only now no delivery of theirs can be put back in the outbox: see Delivery.retry.
            ids = list(expired().filter(pk__in=found).values_list("pk", flat=True))
            Delivery.objects.filter(event__in=ids).delete()
            # Django loads the rows that it deletes; it does not need the payloads.
            Event.objects.filter(pk__in=ids).only("pk").delete()
        if not found:
            return
        yield len(ids)


def delete_old_sign_ins() -> None:
    """Delete expired sign-ins, failed attempts that no longer count, and what unfinished sign-ins left behind."""
    SignIn.objects.expired().delete()
    delete_old_failures()
    # social-auth stores the state of each sign-in that is started until it is finished, and many never are.
    started_before = timezone.now() - dt.timedelta(seconds=FlowdockOAuth2.STATE_LIFETIME)
    Nonce.objects.filter(timestamp__lt=started_before.timestamp()).delete()
