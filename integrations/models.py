"""What origins, integrations, events and deliveries are, and what they can do.

Origin ──< Event ──< Delivery >── Integration >── Origin: an origin's event becomes one delivery for each of its
integrations. One table of deliveries is both the outbox (the pending ones) and the log (all of them).
"""

from __future__ import annotations

import datetime as dt
import functools
import secrets
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Case, Count, Max, Min, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import CaseInsensitiveMapping

from . import notifications, services, statements
from .activity import Activity
from .fields import CompressedBinaryField, EncryptedTextField, UndecipherableSecret
from .ids import parse_id
from .services.base import BRIDGE_KINDS, TEST, ParsedEvent, Service, WebhookService
from .transactions import write_transaction

PREVIOUS_SECRET_VALID_FOR = dt.timedelta(hours=1)
# A placeholder this old belongs to a process that has ended: three calls to Flowdock do not take so long.
UNFINISHED_AFTER = dt.timedelta(minutes=2)
MAX_THREADS_LOCKED = 200  # scheduled in one transaction, which locks their origin
# For people to read and type: no letter that looks like a digit. 12 of 31 characters are 59 bits.
HOOK_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_hook_id() -> str:
    """The random part of a webhook address, such as b7k2-9qx4-t6mv."""
    characters = "".join(secrets.choice(HOOK_ID_ALPHABET) for _ in range(12))
    return "-".join((characters[:4], characters[4:8], characters[8:]))


def new_hook_secret() -> str:
    return f"fdb_{secrets.token_urlsafe(24)}"


class OriginQuerySet(models.QuerySet["Origin"]):
    def named(self, service: str, name: str, organization: str | None = None) -> OriginQuerySet:
        """Those of this name at a service; several people may each have one for the same repository."""
        origins = self.filter(service=service, name=name)
        return origins if organization is None else origins.filter(organization=organization)

    def at(self, hook_id: str) -> Origin | None:
        """The origin with this webhook address, with what accepting a request needs: its secrets and `is_connected`."""
        found = list(self.raw(statements.ORIGIN_AT, [hook_id]))  # all of it: an open cursor would keep the table locked
        return found[0] if found else None

    def connected_before_by(self, person: Any, service: str) -> OriginQuerySet:
        """The origins of a service that the person has connected, latest first, with their integrations."""
        return self.filter(created_by=person, service=service).order_by("-pk").prefetch_related("integrations")

    def lock(self, ids: Iterable[int]) -> None:
        """Until the transaction ends, keep other transactions from changing the outbox of these origins.

        Lock the origins before you add, end or pause deliveries. Otherwise two transactions could both find a thread
        empty and schedule a delivery, or both leave that to the other. SQLite has only one writer at any time.
        """
        if connection.features.has_select_for_update:
            # In the order of their ids, which prevents deadlocks.
            list(self.filter(pk__in=set(ids)).order_by("pk").select_for_update(no_key=True).values_list("pk"))

    def lock_unlocked(self, ids: Iterable[int]) -> dict[int, Origin]:
        """Lock those of these origins that no other transaction has locked, and return them by id."""
        wanted = self.filter(pk__in=set(ids)).order_by("pk")
        if connection.features.has_select_for_update_skip_locked:
            wanted = wanted.select_for_update(no_key=True, skip_locked=True)
        return {origin.pk: origin for origin in wanted}


class Origin(models.Model):
    """An external entity that sends events: the address and the secret of its webhook belong to it."""

    hook_id = models.CharField("webhook ID", max_length=20, unique=True, default=new_hook_id, editable=False)
    service = models.CharField(max_length=40, choices=services.choices)
    name = models.CharField(max_length=255, help_text="Its name at the service, such as octo/hello")
    external_url = models.URLField(max_length=500, blank=True)
    # The organization whose flows an own app's origin can reach (its parameterized_name in Flowdock). Empty for all
    # other origins: their secret decides who may send, and whoever connected them which flows they reach.
    organization = models.CharField(max_length=100, blank=True, default="", editable=False)
    secret = EncryptedTextField(default=new_hook_secret, editable=False)
    previous_secret = EncryptedTextField(blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="origins"
    )
    # Who last replaced the secret and so has seen the current one; null: it is still the one that `created_by` saw.
    secret_replaced_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OriginQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # A repository that one person connects to several flows has one webhook. Other people's have other secrets.
            models.UniqueConstraint(
                fields=["service", "name", "organization", "created_by"], name="origin_unique_for_person"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def service_object(self) -> Service:
        return services.named(self.service)

    @property
    def webhook_service(self) -> WebhookService | None:
        """The service, if it sends webhook requests."""
        service = self.service_object
        return service if isinstance(service, WebhookService) else None

    @property
    def kinds_not_from_service(self) -> tuple[str, ...]:
        """The kinds of events that do not come from the service itself. Those of an own app without a kind do."""
        return BRIDGE_KINDS if self.webhook_service else (TEST,)

    @functools.cached_property
    def is_connected(self) -> bool:
        """Whether it is connected to a flow. `at` has looked already."""
        return Integration.objects.connected().of(self).exists()

    @property
    def hook_url(self) -> str:
        return f"{settings.BRIDGE_URL}{reverse('integrations:hook', args=[self.hook_id])}"

    def secrets(self, now: dt.datetime) -> list[str]:
        """The secrets that are valid: the current one and, for an hour after a rotation, the previous one.

        Raises UndecipherableSecret.
        """
        valid = [self.secret]
        if self.previous_secret and self.previous_secret_until and now < self.previous_secret_until:
            valid.append(self.previous_secret)
        return valid

    @property
    def is_rotating(self) -> bool:
        """Whether the previous secret is still valid."""
        return bool(self.previous_secret and self.previous_secret_until and timezone.now() < self.previous_secret_until)

    @property
    def secret_known_by_id(self) -> int | None:
        """The user who has seen the current secret: whoever last replaced it, or else created the origin."""
        return self.secret_replaced_by_id or self.created_by_id

    def rotate_secret(self, by: Any = None) -> None:
        """Set a new secret. The previous one works for another hour, so no webhook request is refused meanwhile."""
        try:
            self.previous_secret = self.secret
        except UndecipherableSecret:
            self.previous_secret = ""  # a new secret is the only repair
        self.secret = new_hook_secret()
        self.previous_secret_until = timezone.now() + PREVIOUS_SECRET_VALID_FOR
        self.secret_replaced_by = by
        self.save(update_fields=["secret", "previous_secret", "previous_secret_until", "secret_replaced_by"])

    def cut_off_previous_secret(self) -> None:
        """Make the previous secret invalid now, not after its hour."""
        self.previous_secret, self.previous_secret_until = "", None
        self.save(update_fields=["previous_secret", "previous_secret_until"])


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def connected(self) -> IntegrationQuerySet:
        """Those that have a source in Flowdock: it has been created, and not been removed."""
        return self.filter(removed_at=None).exclude(flow_token="")

    def of(self, origin: Origin) -> IntegrationQuerySet:
        return self.filter(origin=origin)

    def of_service(self, service: str) -> IntegrationQuerySet:
        return self.filter(origin__service=service)

    def of_origins_named(self, service: str, name: str) -> IntegrationQuerySet:
        """Those of origins of this name at a service, whoever connected them."""
        return self.filter(origin__service=service, origin__name=name)

    def in_flow(self, flow_id: str) -> IntegrationQuerySet:
        return self.filter(flow_id=flow_id)

    def in_flows(self, flow_ids: Iterable[str]) -> IntegrationQuerySet:
        return self.filter(flow_id__in=list(flow_ids))

    def count_connected(self, origin_ids: Iterable[int]) -> dict[int, int]:
        """How many connected integrations each of these origins has; none is left out."""
        connected = self.connected().filter(origin__in=list(origin_ids)).order_by()
        return dict(connected.values_list("origin").annotate(Count("pk")))

    def with_log(self) -> IntegrationQuerySet:
        """Those that are connected, and those that were removed so recently that their log is still stored."""
        stored_since = timezone.now() - dt.timedelta(days=settings.EVENT_RETENTION_DAYS)
        return self.filter(Q(removed_at__gte=stored_since) | Q(removed_at=None) & ~Q(flow_token=""))

    def with_last_event_at(self) -> IntegrationQuerySet:
        """Each with `last_event_at`, the time of its latest event, or None."""
        latest = Delivery.objects.filter(integration=OuterRef("pk")).order_by("-id").values("created_at")[:1]
        return self.annotate(last_event_at=Subquery(latest))

    def unfinished(self, now: dt.datetime) -> IntegrationQuerySet:
        """Placeholders whose source was never created: the process that was connecting them has ended."""
        return self.filter(flow_token="", removed_at=None, created_at__lt=now - UNFINISHED_AFTER)

    def in_state(self, state: Integration.State) -> IntegrationQuerySet:
        """Those in this state: the same rules as the property `state`, in SQL."""
        matching = self
        for candidate, condition in _state_conditions().items():
            if candidate == state:
                return matching.filter(condition)
            matching = matching.exclude(condition)
        raise ValueError(f"{state!r} is not a state of an integration")

    def count_by_state(self) -> dict[str, int]:
        """How many are in each state; states without any are left out."""
        whens = [When(condition, then=Value(state.value)) for state, condition in _state_conditions().items()]
        state = Case(*whens, output_field=models.CharField())
        return dict(self.order_by().values_list(state).annotate(Count("pk")))


def _state_conditions() -> dict[Integration.State, Q]:
    """Each state with its condition, the most urgent first: the first that applies is the state."""
    states = Integration.State
    return {
        states.REMOVED: Q(removed_at__isnull=False),
        states.CONNECTING: Q(flow_token=""),
        states.PAUSED: Q(paused_at__isnull=False),
        states.ATTENTION: ~Q(problem=""),
        states.ACTIVE: Q(first_event_at__isnull=False),
        states.WAITING: Q(first_event_at__isnull=True),
    }


class Integration(models.Model):
    """An origin connected to a flow, with filters. Flowdock calls it a source.

    It is first connecting (no token yet: its source is being created), then active or paused, and finally removed (the
    token is erased).
    """

    class State(models.TextChoices):
        CONNECTING = "connecting", "Connecting"
        WAITING = "waiting", "Waiting for first event"
        ACTIVE = "active", "Active"
        ATTENTION = "attention", "Needs attention"
        PAUSED = "paused", "Paused"
        REMOVED = "removed", "Removed"

    origin = models.ForeignKey(Origin, on_delete=models.PROTECT, related_name="integrations")
    name = models.CharField(max_length=255, help_text="The source's name in Flowdock")
    filters = models.JSONField(default=dict, blank=True)

    # As Flowdock knows it. Blank if the integration was made from a pasted flow token and nobody has opened it yet.
    flowdock_id = models.BigIntegerField(null=True, blank=True, help_text="The source's id in Flowdock")
    source_url = models.URLField(max_length=500, blank=True, help_text="The source's address in Flowdock's API")
    flow_token = EncryptedTextField(blank=True, default="", editable=False)
    flow_id = models.CharField(max_length=100, blank=True, db_index=True)
    flow_name = models.CharField(max_length=255, blank=True)
    flow_web_url = models.URLField(max_length=500, blank=True)
    organization = models.CharField(
        max_length=100, blank=True, default="", help_text="The organization's parameterized_name, such as acme"
    )
    organization_name = models.CharField(max_length=255, blank=True)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="integrations"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    first_event_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    # What a person has to repair; empty if nothing. The worker and `check_integrations` report it to Flowdock.
    problem = models.TextField(blank=True, default="", editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["flowdock_id"], name="integration_unique_in_flowdock"),
            # An origin is connected to a flow once, even after a double click or by two people at the same moment.
            models.UniqueConstraint(
                fields=["origin", "flow_id"],
                condition=Q(removed_at=None) & ~Q(flow_id=""),
                name="integration_unique_origin_in_flow",
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(flow_token=""), name="integration_removed_has_no_token"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.flow_name or 'a flow'}"

    def get_absolute_url(self) -> str:
        return reverse("integrations:integration", args=[self.pk])

    @property
    def has_token(self) -> bool:
        """Whether it has a source in Flowdock, even if no key decrypts the token any more."""
        try:
            return bool(self.flow_token)
        except UndecipherableSecret:
            return True

    @property
    def state(self) -> Integration.State:
        """The state that pages and admin show; if several apply, the most urgent one."""
        if self.removed_at:
            return self.State.REMOVED
        if not self.has_token:
            return self.State.CONNECTING
        if self.paused_at:
            return self.State.PAUSED
        if self.problem:
            return self.State.ATTENTION
        return self.State.ACTIVE if self.first_event_at else self.State.WAITING

    @property
    def siblings(self) -> IntegrationQuerySet:
        """The other connected integrations of its origin."""
        return Integration.objects.connected().filter(origin=self.origin_id).exclude(pk=self.pk)

    def first_delivery_from_service(self) -> Delivery | None:
        """The delivery of the first event that the service itself sent, not a command or a test."""
        return (
            self.deliveries.exclude(event__kind__in=self.origin.kinds_not_from_service)
            .select_related("event")
            .only(
                "id", "created_at", "integration", "event__kind", "event__received_at", "event__summary",
                "event__subject",
            )
            .order_by("id")
            .first()
        )  # fmt: skip

    def count_awaiting(self, limit: int) -> int:
        """How many accepted events have not been decided for it yet; `limit` at most."""
        events = Event.objects.awaiting_decision().of(self.origin).filter(Q(only_for=None) | Q(only_for=self.pk))
        return len(events.order_by().values_list("pk")[:limit])

    def awaits_first_event(self) -> bool:
        """Whether an event has come from the service, and has not been decided yet."""
        return Event.objects.awaiting_decision().of(self.origin).exclude(kind__in=BRIDGE_KINDS).exists()

    @transaction.atomic
    def pause(self, by: Any = None) -> None:
        """Post nothing until resumed. Events are still received and stored; pending deliveries wait."""
        Origin.objects.lock([self.origin_id])
        self.paused_at, self.paused_by = timezone.now(), by
        self.save(update_fields=["paused_at", "paused_by"])
        # Not scheduled, so that no claim has to skip them, however many wait.
        self.deliveries.scheduled().update(next_attempt_at=None)

    def resume(self) -> None:
        """Post again, the oldest deliveries of each thread first.

        Events that arrive before all threads are scheduled still wait for the older ones of their thread. If this
        process is interrupted, a worker's periodic task schedules the rest.
        """
        with transaction.atomic():
            Origin.objects.lock([self.origin_id])
            self.paused_at, self.paused_by = None, None
            self.save(update_fields=["paused_at", "paused_by"])
        Delivery.objects.filter(integration=self).schedule_stranded()
        notifications.notify_workers()

    @transaction.atomic
    def remove(self) -> None:
        """End the integration: the token is erased, pending deliveries are dropped, the log stays."""
        Origin.objects.lock([self.origin_id])
        self.deliveries.pending().update(
            state=Delivery.State.DROPPED, reason="the source was removed in Flowdock", next_attempt_at=None
        )
        self.flow_token, self.removed_at, self.problem = "", self.removed_at or timezone.now(), ""
        self.save(update_fields=["flow_token", "removed_at", "problem"])


def facts_of_kind(kind: str) -> dict[str, tuple[str, ...]]:
    """The facts that filters check in an event without a payload: the kind that its app has given it."""
    return {} if kind in BRIDGE_KINDS else {"events": (kind,)}


UUID_NAMESPACE = UUID("6a3c1a51-1c1b-4f0e-9f27-2f7f2a1f5a60")  # random, and never changed


class EventQuerySet(models.QuerySet["Event"]):
    """Events are stored first and decided later: a worker makes the deliveries of those that await a decision."""

    def awaiting_decision(self) -> EventQuerySet:
        return self.filter(awaits_decision=True)

    def of(self, origin: Origin) -> EventQuerySet:
        return self.filter(origin=origin)

    def known_as(self, number_or_request_id: str) -> EventQuerySet:
        """The event with this number, and those with this request id, which several origins may have."""
        pk = parse_id(number_or_request_id)
        return self.filter(Q(pk=pk) | Q(request_id=number_or_request_id)).order_by("pk")

    def same_as(self, event: Event) -> EventQuerySet:
        """Those that were stored under the same request id or, if it is dated, with the same body."""
        same = Q(request_id=event.request_id)
        if event.body_digest:
            same |= Q(body_digest=event.body_digest)
        return self.filter(same, origin=event.origin_id)

    def still_awaiting(self, ids: Iterable[int]) -> set[int]:
        return set(self.awaiting_decision().filter(pk__in=list(ids)).values_list("pk", flat=True))

    def mark_decided(self, decided: Iterable[tuple[int, Any, str]]) -> None:
        """Store what was decided: for each event its id, its activity as JSON or None, and why it is not posted."""
        activity = Event._meta.get_field("activity")
        statements.mark_decided([(pk, activity.get_db_prep_save(json, connection), why) for pk, json, why in decided])

    def store(self, event: Event) -> bool:
        """Store the new event, and wake the workers. False if it was stored before: see `same_as`.

        One statement, which is durable at once if no transaction has begun.
        """
        fields = [field for field in Event._meta.concrete_fields if not field.primary_key]
        values = {field.attname: field.get_db_prep_save(field.pre_save(event, True), connection) for field in fields}
        pk = statements.insert_event(values)
        if pk is None:
            return False
        event.pk = pk
        event._state.adding, event._state.db = False, self.db
        if connection.vendor != "postgresql":  # there, the statement has notified them
            notifications.notify_workers()
        return True


class Event(models.Model):
    """One thing that happened at an origin, as received; stored for EVENT_RETENTION_DAYS."""

    origin = models.ForeignKey(Origin, on_delete=models.CASCADE, related_name="events", db_index=False)
    request_id = models.CharField(
        max_length=200, help_text="The sender's id of the webhook request, or an app's idempotency key"
    )
    # Set if the same body means the same event, whichever id it is sent under (see ParsedEvent.is_dated); else null.
    body_digest = models.CharField(max_length=32, null=True, default=None, editable=False)  # noqa: DJ001  unique
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    # As received, so that it can be read again; empty if an own app or a command posted an activity.
    headers = models.JSONField(default=dict, blank=True, help_text="Without signatures and tokens")
    body = CompressedBinaryField(blank=True, default=b"")
    body_size = models.PositiveIntegerField(default=0, db_default=0, editable=False, help_text="Bytes, as received")
    # Accepted, but its deliveries do not exist yet: see `deciding`.
    awaits_decision = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Accepted. A worker will decide for each integration whether it is posted",
    )
    # The id of the integration, if only one of the origin's gets this event. A foreign key would need an index.
    only_for = models.BigIntegerField(null=True, default=None, editable=False)
    # As the service read it: see ParsedEvent.
    kind = models.CharField(max_length=100)
    action = models.CharField(max_length=100, blank=True)
    actor = models.CharField(max_length=255, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    activity = models.JSONField(null=True, blank=True, help_text="What is posted; null if the event is not posted")
    why_not = models.CharField("reason", max_length=255, blank=True)
    thread_id = models.CharField(max_length=255, blank=True, default="")

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["origin", "request_id"], name="event_unique_request_id"),
            models.UniqueConstraint(
                fields=["origin", "body_digest"], condition=Q(body_digest__isnull=False), name="event_unique_dated_body"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["origin", "-id"], name="event_latest"),
            # To find the previous event of a thread: one that contains only a part of the state is merged with it.
            models.Index(fields=["origin", "thread_id", "-id"], name="event_thread"),
            models.Index(fields=["origin", "id"], condition=Q(awaits_decision=True), name="event_awaiting_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.summary} {self.subject}".strip() or f"{self.kind} {self.action}".strip()

    @property
    def kind_and_action(self) -> str:
        return f"{self.kind}.{self.action}" if self.action else self.kind

    def read_activity(self) -> Activity | None:
        """The activity that is posted, or None. Raises InvalidActivity if the stored one has an unknown shape."""
        return Activity.from_json(self.activity) if self.activity is not None else None

    def read_again(self) -> ParsedEvent:
        """Read the stored payload again, with the facts that filters check. Raises UnreadablePayload."""
        service = self.origin.webhook_service
        if not self.body or service is None:
            return ParsedEvent(
                kind=self.kind,
                action=self.action,
                actor=self.actor,
                summary=self.summary,
                subject=self.subject,
                facts=facts_of_kind(self.kind),
                activity=self.read_activity(),
                why_not=self.why_not,
            )
        return service.read(bytes(self.body), CaseInsensitiveMapping(self.headers))


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The outbox. At most one pending delivery of each thread is scheduled, the oldest: it has a `next_attempt_at`.

    The others have none and are blocked by it; whoever ends a delivery schedules the next one of its thread. So a claim
    reads the scheduled deliveries from the front and skips nothing: no thread of ten thousand, no paused integration.

    `next_attempt_at` is set by, and compared with, the database's clock alone (`Now()`: on PostgreSQL the time at which
    the statement started). The clocks of the machines that write to it may differ.
    """

    def pending(self) -> DeliveryQuerySet:
        return self.filter(state=Delivery.State.PENDING)

    def scheduled(self) -> DeliveryQuerySet:
        return self.pending().filter(next_attempt_at__isnull=False)

    def blocked(self) -> DeliveryQuerySet:
        """Pending, but not scheduled: another delivery of the thread comes first, or the integration is paused."""
        return self.pending().filter(next_attempt_at__isnull=True)

    def due(self) -> DeliveryQuerySet:
        """Those whose next attempt is due, the longest waiting first. One that is postponed blocks only its thread."""
        return self.pending().filter(next_attempt_at__lte=Now()).order_by("next_attempt_at", "id")

    def newest_first(self) -> DeliveryQuerySet:
        return self.order_by("-id")

    def matching(self, text: str) -> DeliveryQuerySet:
        """Those with each word of `text` in what happened, to what, or by whom; or with this request id."""
        words = Q()
        for word in text.split():
            words &= (
                Q(event__summary__icontains=word) | Q(event__subject__icontains=word) | Q(event__actor__icontains=word)
            )
        return self.filter(words | Q(event__request_id=text))

    def with_event_summaries(self) -> DeliveryQuerySet:
        """With their events, but without payloads and activities: for lists."""
        return self.select_related("event").defer("event__body", "event__headers", "event__activity")

    def count_by_state(self) -> dict[str, int]:
        return dict(self.order_by().values_list("state").annotate(Count("id")))

    def id_before(self, pk: int) -> int | None:
        """The id of the latest delivery that is older than this one."""
        return self.filter(pk__lt=pk).order_by("-id").values_list("pk", flat=True).first()

    def id_after(self, pk: int) -> int | None:
        """The id of the oldest delivery that is newer than this one."""
        return self.filter(pk__gt=pk).order_by("id").values_list("pk", flat=True).first()

    def with_activity(self) -> DeliveryQuerySet:
        """With the activities of their events, but without the payloads that those were read from."""
        return self.select_related("event").defer("event__body", "event__headers")

    def in_same_thread(self) -> DeliveryQuerySet:
        """For a subquery: the deliveries in the thread of the outer query's delivery."""
        return self.filter(integration=OuterRef("integration"), thread_id=OuterRef("thread_id"))

    def threads_that_wait(self, threads: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
        """Those of these threads, as integration id and thread id, that have a pending delivery, scheduled or not."""
        return set(statements.threads_that_wait(sorted(threads)))

    def schedule_next(self) -> int:
        """In the threads of these deliveries, schedule the oldest pending one if none is scheduled; returns how many.

        Call it in a transaction that has locked the origins. For many deliveries, use `schedule_stranded`.
        """
        first = Delivery.objects.pending().in_same_thread().order_by("id").values("id")[:1]
        oldest = (
            self.filter(integration__paused_at=None, integration__removed_at=None)
            .order_by()
            .annotate(first=Subquery(first))
            .exclude(first=None)
            .values_list("first", flat=True)
        )
        if not (ids := set(oldest)):
            return 0
        # A subquery for each row, not Exists: PostgreSQL would turn that into a join and, with the statistics of an
        # empty outbox, into one that reads all scheduled deliveries for each blocked one.
        scheduled = Delivery.objects.scheduled().in_same_thread().values("id")[:1]
        blocked = Delivery.objects.blocked().filter(id__in=ids)
        stranded = blocked.annotate(scheduled=Subquery(scheduled)).filter(scheduled=None)
        return Delivery.objects.filter(id__in=list(stranded.values_list("id", flat=True))).update(next_attempt_at=Now())

    def schedule_stranded(self) -> int:
        """Do the same for all threads of these deliveries in which none is scheduled; returns how many there were.

        Finding them takes no lock, however many wait. Then each origin is locked for MAX_THREADS_LOCKED threads at a
        time, so that its webhook requests are still answered.
        """
        heads: dict[int, list[int]] = {}
        for origin, head in self._stranded():
            heads.setdefault(origin, []).append(head)
        found = 0
        for origin, ids in heads.items():
            for start in range(0, len(ids), MAX_THREADS_LOCKED):
                with write_transaction():
                    Origin.objects.lock([origin])
                    batch = Delivery.objects.filter(pk__in=ids[start : start + MAX_THREADS_LOCKED])
                    found += batch.schedule_next()
        return found

    def _stranded(self) -> Iterable[tuple[int, int]]:
        """For each thread in which no delivery is scheduled: its origin, and its oldest delivery."""
        running = self.pending().filter(integration__paused_at=None, integration__removed_at=None).order_by()
        threads = running.values("integration__origin", "integration", "thread_id")
        return (
            threads.annotate(head=Min("id"), due=Max("next_attempt_at"))
            .filter(due=None)
            .values_list("integration__origin", "head")
        )


class Delivery(models.Model):
    """What becomes of one event at one integration: one activity on its way, or the reason why there is none.

    `reason` says why in words: which rule refused it, what Flowdock answered, until when it waits.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        DELIVERED = "delivered", "Posted"
        FAILED = "failed", "Failed"
        FILTERED = "filtered", "Filtered"
        UNPOSTED = "unposted", "Not supported"
        DROPPED = "dropped", "Dropped"

    # Those that can be put back in the outbox. A pending one is then tried at once.
    RETRIABLE: ClassVar = (State.PENDING, State.FAILED, State.DROPPED)

    # The constraint and indexes below start with these two: indexes of their own would only slow down accepting.
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=500, blank=True, default="")
    rule = models.CharField(max_length=40, blank=True, default="", help_text="The filter rule that blocked it")
    thread_id = models.CharField(max_length=255, blank=True, default="")
    # Flowdock recognizes a repetition by it, so a retry after a crash posts nothing twice.
    # `uuid_of` makes it, so this also holds for what is decided or sent again after a back-up was restored.
    # Not indexed: no query uses it, and random keys make an index slower the larger it grows.
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When it is tried next or, while a worker has claimed it, when the lease ends. Null if it is not scheduled: another
    # of its thread comes first, its integration is paused, or it is no longer pending.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # [{"at": ISO 8601, "status": 201 or null, "outcome": text, "ms": 84}, ...], the latest last.
    attempts = models.JSONField(default=list, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    flowdock_thread_id = models.CharField(max_length=100, blank=True, default="", editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "integration"], name="delivery_unique_for_event"),
            # Keeps a thread in order: no two of its deliveries can be claimed at the same time.
            models.UniqueConstraint(
                fields=["integration", "thread_id"],
                condition=Q(state="pending", next_attempt_at__isnull=False),
                name="delivery_one_in_line",
            ),
            models.CheckConstraint(
                condition=Q(state="pending") | Q(next_attempt_at__isnull=True), name="delivery_has_no_time_when_ended"
            ),
            models.CheckConstraint(
                condition=~Q(state="delivered") | Q(delivered_at__isnull=False), name="delivery_delivered_has_its_time"
            ),
        ]
        indexes: ClassVar = [
            # The outbox: these contain pending deliveries only, so a million past ones do not slow down a claim.
            models.Index(
                fields=["next_attempt_at", "id", "integration"],
                condition=Q(state="pending", next_attempt_at__isnull=False),
                name="outbox_line",
            ),
            # Includes the state, although it is constant here: without it SQLite, lacking statistics, prefers
            # `log_by_state`. The state comes after the thread, because PostgreSQL drops a condition that the index
            # implies, and could then not use the columns after it.
            models.Index(
                fields=["integration", "thread_id", "state", "id"], condition=Q(state="pending"), name="outbox_thread"
            ),
            # The log of an integration: all of it, and by state.
            models.Index(fields=["integration", "-id"], name="log_all"),
            models.Index(fields=["integration", "state", "-id"], name="log_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.integration}"

    @staticmethod
    def uuid_of(event: Event, integration: Integration) -> UUID:
        """The uuid of the event's message at the integration: the same if both are stored or decided once more."""
        name = f"{event.origin_id}/{integration.pk}/{event.request_id}"
        return uuid5(UUID_NAMESPACE, name)

    @transaction.atomic
    def retry(self) -> None:
        """Try it again now if it failed, was dropped or waits; if another of its thread comes first, after that one.

        Raises DoesNotExist if it was deleted meanwhile, as `prune_events` deletes expired events.
        """
        Origin.objects.lock([self.integration.origin_id])
        Delivery.objects.filter(pk=self.pk, state__in=self.RETRIABLE, integration__removed_at=None).update(
            state=self.State.PENDING, reason="", next_attempt_at=None
        )
        Delivery.objects.filter(pk=self.pk).schedule_next()
        notifications.notify_workers()
        self.refresh_from_db(fields=["state", "reason", "next_attempt_at"])

    @transaction.atomic
    def drop(self, reason: str) -> None:
        """Give up a pending or failed delivery; its thread goes on without it."""
        Origin.objects.lock([self.integration.origin_id])
        Delivery.objects.filter(pk=self.pk, state__in=(self.State.PENDING, self.State.FAILED)).update(
            state=self.State.DROPPED, reason=reason[:500], next_attempt_at=None
        )
        Delivery.objects.filter(pk=self.pk).schedule_next()
        notifications.notify_workers()
        self.refresh_from_db(fields=["state", "reason", "next_attempt_at"])


# An unchanged answer is stored again only once the stored one is this old, so that most page views write nothing.
ORGANIZATIONS_STORED_EVERY = dt.timedelta(minutes=5)


class SignInQuerySet(models.QuerySet["SignIn"]):
    def current(self, pk: object, user: Any) -> SignInQuerySet:
        """The sign-in that a session names, if it belongs to this user and has not ended. Old cookies name none."""
        return self.filter(pk=pk, user_id=user) if isinstance(pk, str) else self.none()

    def end(self, pk: object) -> None:
        if isinstance(pk, str):
            self.filter(pk=pk).delete()

    def remember_organizations(self, pk: object, organizations: list[list[str]], now: dt.datetime) -> None:
        """Store Flowdock's answer: at once if it has changed, otherwise every few minutes."""
        if not isinstance(pk, str) or (sign_in := self.filter(pk=pk).first()) is None:
            return
        stored_at = sign_in.organizations_at
        if sign_in.organizations != organizations or stored_at is None or now - stored_at > ORGANIZATIONS_STORED_EVERY:
            self.filter(pk=pk).update(organizations=organizations, organizations_at=now)

    def forget_organizations(self, pk: object) -> None:
        if isinstance(pk, str):
            self.filter(pk=pk).update(organizations=[], organizations_at=None)

    def with_organizations_since(self, pk: object, since: dt.datetime) -> SignIn | None:
        """The sign-in, if Flowdock's answer about its organizations is no older than `since`."""
        return self.filter(organizations_at__gte=since, pk=pk).first() if isinstance(pk, str) else None

    def expired(self) -> SignInQuerySet:
        """Those older than SESSION_COOKIE_AGE: a sign-in ends then, even if it is in use."""
        return self.filter(created_at__lt=timezone.now() - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE))


class SignIn(models.Model):
    """A browser in which somebody is signed in. Its session is valid while this row exists: see `sessions`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    # The organizations that Flowdock last listed for this person, as [key, name], and when. No token is stored.
    organizations = models.JSONField(default=list, editable=False)
    organizations_at = models.DateTimeField(null=True, editable=False)

    objects = SignInQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class PasswordFailures(models.Model):
    """How often in a row a password was wrong: for an account, from an address, or for an account from an address.

    `key` is a digest of the account, the address or both. Used by `passwords` only.
    """

    key = models.CharField(primary_key=True, max_length=64, editable=False)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)
    is_known_place = models.BooleanField(default=False, help_text="The account has signed in from this address before")

    def __str__(self) -> str:
        return f"{self.count} until {self.last_at}"


# A worker that has not been seen for this long is considered gone. Cron may run `deliver_activities` once a minute.
WORKER_PRESENT_FOR = dt.timedelta(minutes=2)


class WorkerQuerySet(models.QuerySet["Worker"]):
    def with_presence(self) -> WorkerQuerySet:
        """Each with `age`, for how long it has not been seen, and `is_present`, by the database's clock."""
        is_present = Q(seen_at__gt=Now() - WORKER_PRESENT_FOR)
        return self.annotate(
            age=models.ExpressionWrapper(Now() - models.F("seen_at"), models.DurationField()),
            is_present=models.ExpressionWrapper(is_present, models.BooleanField()),
        )


class Worker(models.Model):
    """A process that delivers, by its heartbeats: see `workers`. Removed when it ends, or an hour after it died."""

    name = models.CharField(max_length=200, unique=True, help_text="Its machine and process")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField("last seen")
    is_breaker_open = models.BooleanField(
        "circuit breaker", default=False, help_text="Whether it only sends probes, because Flowdock does not respond"
    )

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
