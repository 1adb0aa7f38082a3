"""What comes in: verify it, read it, decide, write the outbox. Webhook requests, own apps and commands all use it."""

from __future__ import annotations

import hashlib
import html
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from . import notifications, telemetry
from .activity import Activity, InvalidActivity
from .models import Delivery, Event, Integration, Origin, facts_of_kind
from .services.base import ACTIVITY, TEST, ParsedEvent, SignatureMismatch, WebhookService
from .signals import happened
from .storable import storable, storable_json
from .transactions import write_transaction

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
    """Accept a webhook request of the origin. On return, its event is stored, with a delivery for each flow.

    Raises UnknownWebhook, SignatureMismatch, UndecipherableSecret, UnreadablePayload or NotConnected; then nothing is
    stored, not even the request id.
    """
    service = origin.webhook_service
    if service is None:
        raise UnknownWebhook
    _verify(service, origin, body, headers)
    event = Event(
        origin=origin,
        request_id=_storable(service.request_id(body, headers), 200),
        headers=_redacted(origin, headers),
        body=body,
    )
    parsed = service.read(body, headers)
    return _store(event, lambda: parsed)


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
    event = Event(origin=origin, request_id=_storable(idempotency_key, 200) or str(uuid.uuid4()))
    accepted = _store(event, partial(_parsed, kind, activity), integration)
    telemetry.accepted(origin, accepted.event.pk, is_new=accepted.is_new, kind=accepted.event.kind_and_action)
    return accepted


def _parsed(kind: str, activity: Activity | Callable[[], Activity]) -> ParsedEvent:
    if callable(activity):
        activity = activity()
    return ParsedEvent(
        kind=kind,
        actor=activity.author.name,
        summary=f"{activity.author.name} {_plain(activity.title)}",
        subject=_plain(activity.thread.title),
        facts=facts_of_kind(kind),
        activity=activity,
    )


def _verify(service: WebhookService, origin: Origin, body: bytes, headers: Mapping[str, str]) -> None:
    *others, last = origin.secrets(timezone.now())
    for secret in others:
        try:
            return service.verify(body, headers, secret)
        except SignatureMismatch:
            continue
    return service.verify(body, headers, last)


def _store(event: Event, parse: Callable[[], ParsedEvent], only: Integration | None = None) -> Accepted:
    """Store the event and its deliveries, or find that its request id was stored before."""
    try:
        with write_transaction():
            deliveries = _write(event, parse, only)
    except IntegrityError:
        same = Q(request_id=event.request_id)
        if event.body_digest:
            same |= Q(body_digest=event.body_digest)
        known = Event.objects.filter(same, origin=event.origin).first()
        if known is None:
            raise
        return Accepted(known, is_new=False)
    telemetry.decided(delivery.state for delivery in deliveries)
    return Accepted(event, is_new=True)


def _write(event: Event, parse: Callable[[], ParsedEvent], only: Integration | None) -> list[Delivery]:
    origin = event.origin
    # One event of an origin after the other, so that its threads keep the order in which the events arrived.
    Origin.objects.lock([origin.pk])
    receivers = Integration.objects.connected().of(origin)
    if only:
        receivers = receivers.filter(pk=only.pk)
    integrations = list(receivers)
    if not integrations:
        raise NotConnected(f"{origin} is not connected to a flow")
    parsed = parse()
    _describe(event, parsed)
    if parsed.activity:
        event.activity = storable_json(_with_whole_thread(event, parsed.activity).as_json())
    event.save(force_insert=True)
    now = event.received_at
    deliveries = [_decide(event, parsed, integration) for integration in integrations]
    pending = [delivery for delivery in deliveries if delivery.state == Delivery.State.PENDING]
    if pending:
        # Only if none of its thread waits already, scheduled or not: within a thread, the oldest comes first.
        ahead = Delivery.objects.pending().filter(integration=OuterRef("pk"), thread_id=event.thread_id)
        receiving = Integration.objects.filter(pk__in=[delivery.integration_id for delivery in pending])
        first_of_its_thread = set(
            receiving.annotate(ahead=Subquery(ahead.values("id")[:1])).filter(ahead=None).values_list("pk", flat=True)
        )
        for delivery in pending:
            if not delivery.integration.paused_at and delivery.integration_id in first_of_its_thread:
                delivery.next_attempt_at = Now()
    Delivery.objects.bulk_create(deliveries)
    waiting = [integration.pk for integration in integrations if not integration.first_event_at]
    if waiting and event.kind != TEST:
        Integration.objects.filter(pk__in=waiting, first_event_at=None).update(first_event_at=now)
    if pending:
        notifications.notify_workers()
    return deliveries


def _describe(event: Event, parsed: ParsedEvent) -> None:
    event.kind, event.action = _storable(parsed.kind, 100), _storable(parsed.action, 100)
    event.actor, event.summary = _storable(parsed.actor, 255), _storable(parsed.summary, 500)
    event.subject, event.why_not = _storable(parsed.subject, 500), _storable(parsed.why_not, 255)
    event.thread_id = _storable(parsed.activity.thread_id, 255) if parsed.activity else ""
    if parsed.is_dated:
        event.body_digest = hashlib.sha256(event.body).hexdigest()[:32]


def _with_whole_thread(event: Event, activity: Activity) -> Activity:
    """The activity with its thread's whole new state, if its event contains only a part and the rest is known."""
    if not activity.thread.keeps:
        return activity
    earlier = Event.objects.filter(origin=event.origin, thread_id=event.thread_id).order_by("-id")
    before = earlier.only("activity").first()
    try:
        known = before.read_activity() if before else None
    except InvalidActivity:
        known = None  # stored by another version of the bridge
    return replace(activity, thread=activity.thread.over(known.thread)) if known else activity


def _decide(event: Event, parsed: ParsedEvent, integration: Integration) -> Delivery:
    """The delivery of the event to the integration, in its first state; a pending one is not scheduled yet."""
    delivery = Delivery(event=event, integration=integration, created_at=event.received_at, next_attempt_at=None)
    if parsed.activity is None:
        delivery.state, delivery.reason = Delivery.State.UNPOSTED, event.why_not
        return delivery
    delivery.thread_id = event.thread_id
    verdict = event.origin.service_object.decide(parsed, integration.filters)
    if not verdict.passes:
        delivery.state = Delivery.State.FILTERED
        delivery.reason, delivery.rule = _storable(verdict.reason, 500), verdict.rule
    return delivery


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
