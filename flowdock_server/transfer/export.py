"""A flow as records, read in constant memory from one snapshot of the database."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.files.storage import storages
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from flowdock_server.models import Application, Flow, Membership, Source, ThreadMark, User
from flowdock_server.posting.files import THUMBNAIL_ENDING

from . import FORMAT
from .record_types import (
    APPLICATION,
    ATTACHMENT,
    FLOW,
    FLOW_MEMBER,
    INVITATION,
    MESSAGE,
    ORGANIZATION,
    ORGANIZATION_MEMBER,
    SOURCE,
    THREAD,
    THREAD_MARK,
    USER,
    Record,
)

PART = 512 * 1024  # bytes of a file in one record


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction that sees one state of the database while others go on writing.

    Django's own transaction would be IMMEDIATE on SQLite, and block every post until its end.
    """
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if connection.vendor == "postgresql" else "BEGIN DEFERRED"
        )
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def records(flow: Flow, *, passwords: bool = False, files: bool = True) -> Iterator[Record]:
    """The records of `flow`, in the order in which they can be imported.

    `passwords` adds the digests of people's passwords, `files` the contents of attachments.
    """
    with snapshot():
        messages = flow.messages.count()
        yield {
            "type": "export",
            "format": FORMAT,
            "server": settings.SERVER_URL,
            "exported_at": timezone.now().isoformat(),
            "messages": messages,
        }
        yield from ORGANIZATION.records(type(flow.organization).objects.filter(pk=flow.organization_id))
        yield from FLOW.records(Flow.objects.filter(pk=flow.pk))
        users = User.objects.filter(pk__in=_user_ids(flow)).order_by("pk")
        digests = dict(users.values_list("pk", "password")) if passwords else {}
        for record in USER.records(users):
            yield record | ({"password": digests[record["id"]]} if passwords else {})
        members = Membership.objects.filter(organization=flow.organization_id, user__in=users)
        yield from ORGANIZATION_MEMBER.records(members.order_by("pk"))
        yield from FLOW_MEMBER.records(flow.memberships.order_by("pk"))
        applications = Source.objects.filter(flow=flow).values("application")
        yield from APPLICATION.records(Application.objects.filter(pk__in=applications).order_by("pk"))
        yield from SOURCE.records(flow.sources.order_by("pk"))
        yield from INVITATION.records(flow.invitations.order_by("pk"))
        yield from THREAD.records(flow.threads.order_by("created_at", "pk"))
        yield from MESSAGE.records(flow.messages.order_by("number"))
        for record in ATTACHMENT.records(flow.attachments.order_by("pk")):
            yield record
            if files:
                yield from _content(record["key"])
                yield from _content(record["key"] + THUMBNAIL_ENDING)
        yield from THREAD_MARK.records(ThreadMark.objects.filter(thread__flow=flow).order_by("pk"))
        yield {"type": "end", "messages": messages}


def _user_ids(flow: Flow) -> set[int]:
    """The members of the flow, and all others that a record refers to: messages of former members stay."""
    referenced = (
        flow.memberships.values_list("user"),
        flow.messages.exclude(user=None).order_by().values_list("user").distinct(),
        flow.sources.exclude(creator=None).order_by().values_list("creator"),
        flow.invitations.exclude(invited_by=None).order_by().values_list("invited_by"),
        flow.attachments.exclude(uploaded_by=None).order_by().values_list("uploaded_by"),
        ThreadMark.objects.filter(thread__flow=flow).values_list("user").distinct(),
        Application.objects.filter(Q(sources__flow=flow), user__isnull=False).values_list("user").distinct(),
    )
    return {pk for rows in referenced for (pk,) in rows}


def _content(key: str) -> Iterator[Record]:
    storage = storages["attachments"]
    if not storage.exists(key):
        return
    with storage.open(key) as file:
        while part := file.read(PART):
            yield {"type": "bytes", "key": key, "data": base64.b64encode(part).decode()}
