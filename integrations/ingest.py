"""What comes in: verify it, read it, store it. Webhook requests, own apps and commands all use it.

Which flows an event is posted to is decided later, by a worker: see `deciding`.
"""

from __future__ import annotations

import hashlib
import html
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.utils import timezone

from . import telemetry
from .activity import Activity
from .models import Event, Integration, Origin
from .services.base import ACTIVITY, SignatureMismatch, WebhookService, shorten
from .signals import happened
from .storable import storable, storable_json
from .transactions import write_statement, write_transaction

logger = logging.getLogger(__name__)

# Of a header with one of these in its name, only the name is stored: it may contain a secret.
SECRET_WORDS = re.compile(r"auth|cookie|credential|hmac|key|passw|secret|session|sign|token", re.IGNORECASE)
HIDDEN = "hidden"
MAX_HEADERS = 60
MAX_HEADER_LENGTH = 1000
TAG = re.compile(r"<[^<>]*>")


class NotConnected(Exception):
    """The origin is not connected to a flow, or no longer."""


class UnknownWebhook(Exception):
    """The origin's service sends no webhook requests, so its webhook address is not in use."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The stored event. If `is_new` is False it was stored before, under this id or another, and nothing was added."""

    event: Event
    is_new: bool


def accept(origin: Origin, body: bytes, headers: Mapping[str, str]) -> Accepted:
    """Accept a webhook request of the origin. On return its event is stored durably, and the workers are woken.

    Raises UnknownWebhook, SignatureMismatch, UndecipherableSecret, UnreadablePayload or NotConnected; then nothing is
    stored, not even the request id.
    """
    service = origin.webhook_service
    if service is None:
        raise UnknownWebhook
    _verify(service, origin, body, headers)
    request_id = _storable(service.request_id(body, headers), 200)
    parsed = service.read(body, headers)
    if not origin.is_connected:
        raise NotConnected(f"{origin} is not connected to a flow")
    event = Event(
        origin=origin,
        request_id=request_id,
        headers=_redacted(origin, headers),
        body=body,
        body_size=len(body),
        body_digest=hashlib.sha256(body).hexdigest()[:32] if parsed.is_dated else None,
        kind=_storable(parsed.kind, 100),
        action=_storable(parsed.action, 100),
        actor=_storable(parsed.actor, 255),
        summary=_storable(parsed.summary, 500),
        subject=_storable(parsed.subject, 500),
        why_not=_storable(parsed.why_not, 255),
        thread_id=_storable(parsed.activity.thread_id, 255) if parsed.activity else "",
        awaits_decision=True,
    )
    with write_statement():
        return Accepted(event, is_new=Event.objects.store(event))


def post(
    origin: Origin,
    activity: Activity | Callable[[], Activity],
    idempotency_key: str = "",
    integration: Integration | None = None,
    kind: str = ACTIVITY,
) -> Accepted:
    """Accept an activity from an own app or a command, for all flows of the origin or for this one integration.

    A function that returns one is called once its turn has come: see `signals`. The same `idempotency_key` again adds
    nothing; without one, each call is another activity. Raises NotConnected.
    """
    with write_transaction():
        # One function of an origin after the other, so that each thread ends with the latest state.
        Origin.objects.lock([origin.pk])
        receivers = Integration.objects.connected().of(origin)
        if integration:
            receivers = receivers.filter(pk=integration.pk)
        if not receivers.exists():
            raise NotConnected(f"{origin} is not connected to a flow")
        event = _event_of(origin, activity() if callable(activity) else activity, kind)
        event.request_id = _storable(idempotency_key, 200) or str(uuid.uuid4())
        event.only_for = integration.pk if integration else None
        is_new = Event.objects.store(event)
    stored = event if is_new else Event.objects.same_as(event).get()
    telemetry.accepted(origin, stored.pk, is_new=is_new, kind=stored.kind_and_action)
    return Accepted(stored, is_new)


def _event_of(origin: Origin, activity: Activity, kind: str) -> Event:
    return Event(
        origin=origin,
        kind=_storable(kind, 100),
        actor=_line(activity.author.name, 255),
        summary=_line(f"{activity.author.name} {_plain(activity.title)}", 500),
        subject=_line(_plain(activity.thread.title), 500),
        thread_id=_storable(activity.thread_id, 255),
        activity=storable_json(activity.as_json()),
        awaits_decision=True,
    )


def _verify(service: WebhookService, origin: Origin, body: bytes, headers: Mapping[str, str]) -> None:
    *others, last = origin.secrets(timezone.now())
    for secret in others:
        try:
            return service.verify(body, headers, secret)
        except SignatureMismatch:
            continue
    return service.verify(body, headers, last)


def _redacted(origin: Origin, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers to store: enough to read the body again, without secrets."""
    secrets = origin.secrets(timezone.now())
    kept = {}
    for name, value in list(headers.items())[:MAX_HEADERS]:
        is_secret = SECRET_WORDS.search(name) or any(secret in value for secret in secrets)
        kept[_storable(name, 200)] = HIDDEN if is_secret else _storable(value, MAX_HEADER_LENGTH)
    return kept


def _storable(text: str, length: int) -> str:
    """`text` as a column of this length can hold it."""
    return storable(text)[:length]


def _line(text: str, length: int) -> str:
    """`text` on one line, as ParsedEvent shortens those of services."""
    return _storable(shorten(text, length), length)


def _plain(markup: str) -> str:
    """The plain text of a title, which may contain links."""
    return html.unescape(TAG.sub("", markup))


def post_what_happened(
    sender: object,
    *,
    service: str,
    origin: str,
    activity: Activity | Callable[[], Activity],
    organization: str = "",
    kind: str = ACTIVITY,
    idempotency_key: str = "",
    **_: object,
) -> None:
    """The receiver of `signals.happened`: post after the app's transaction, and raise nothing in the app."""

    # Not a partial: if it fails, Django logs the name of the function, and a partial has none.
    def post_what_happened() -> None:
        _post_quietly(service, origin, organization, activity, kind, idempotency_key)

    transaction.on_commit(post_what_happened, robust=True)


def _post_quietly(
    service: str,
    name: str,
    organization: str,
    activity: Activity | Callable[[], Activity],
    kind: str,
    idempotency_key: str,
) -> None:
    try:
        origins = list(Origin.objects.named(service, name, organization).order_by("pk"))
    except DatabaseError:
        logger.exception("an activity of %s of %s was not posted", name, service)
        return
    for origin in origins:
        try:
            post(origin, activity, idempotency_key, kind=kind)
        except NotConnected:
            logger.debug("%s of %s is connected to no flow", name, service)
        except DatabaseError:
            logger.exception("an activity of %s of %s was not posted", name, service)


happened.connect(post_what_happened, dispatch_uid="integrations.ingest")
