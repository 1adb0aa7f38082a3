"""What origins, integrations, events and deliveries are, and what they can do.

Origin ──< Event ──< Delivery >── Integration >── Origin: an origin's event becomes one delivery for each of its
integrations. The deliveries are the outbox (those that are pending) and the log (all of them) in one table.
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Max, Min, OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import CaseInsensitiveMapping

from . import notifications, services
from .activity import Activity
from .fields import EncryptedTextField, UndecipherableSecret
from .services.base import TEST, UNSORTED, ParsedEvent, Service, WebhookService
from .transactions import writing

OLD_SECRET_LIVES = dt.timedelta(hours=1)
LINED_UP_AT_ONCE = 200  # threads; an origin is locked for as long as they take
# Read and typed by people: no letter that looks like a digit. 12 of 31 signs are 59 bits.
HOOK_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_hook_id() -> str:
    """The random part of a hook's address, such as b7k2-9qx4-t6mv."""
    signs = "".join(secrets.choice(HOOK_ID_ALPHABET) for _ in range(12))
    return "-".join((signs[:4], signs[4:8], signs[8:]))


def new_hook_secret() -> str:
    return f"fdb_{secrets.token_urlsafe(24)}"


class OriginQuerySet(models.QuerySet["Origin"]):
    def lock(self, ids: Iterable[int]) -> None:
        """Until the transaction ends, keep all others from changing these origins' place in the outbox.

        Whoever adds, ends or parks deliveries locks their origins first, and so sees what the one before did: two that
        did not would both find a thread empty, or both find it in other hands. SQLite has one writer at any time.
        """
        if connection.features.has_select_for_update:
            # In the order of their ids, so that no two wait for each other.
            list(self.filter(pk__in=set(ids)).order_by("pk").select_for_update(no_key=True).values_list("pk"))


class Origin(models.Model):
    """An external entity that sends events: the address and the secret of its webhook belong to it."""

    hook_id = models.CharField(max_length=20, unique=True, default=new_hook_id, editable=False)
    service = models.CharField(max_length=40, choices=services.choices)
    name = models.CharField(max_length=255, help_text="Its name at the service, such as octo/hello")
    external_url = models.URLField(max_length=500, blank=True)
    # Of an own app's origin, the organization whose flows it can reach (its parameterized_name in Flowdock). Empty for
    # those that belong to none: a webhook's secret says who may send, and its person which flows it reaches.
    organization = models.CharField(max_length=100, blank=True, default="", editable=False)
    secret = EncryptedTextField(default=new_hook_secret, editable=False)
    previous_secret = EncryptedTextField(blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="origins"
    )
    # Who replaced the secret last, and so was shown the one that is valid; null: nobody has but the one who made it.
    secret_replaced_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OriginQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # One hook for a repository that a person connects to several flows. Other people's have their own secrets.
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
        """The same, if it is one that sends what happens to our hook."""
        service = self.service_object
        return service if isinstance(service, WebhookService) else None

    @property
    def unsent(self) -> tuple[str, ...]:
        """The kinds of events that its service did not send. What an own app says without a kind comes from the app."""
        return UNSORTED if self.webhook_service else (TEST,)

    @property
    def hook_url(self) -> str:
        return f"{settings.BRIDGE_URL}{reverse('integrations:hook', args=[self.hook_id])}"

    def secrets(self, now: dt.datetime) -> list[str]:
        """The secrets that are valid: the present one and, for an hour after a rotation, the one before.

        Raises UndecipherableSecret.
        """
        valid = [self.secret]
        if self.previous_secret and self.previous_secret_until and now < self.previous_secret_until:
            valid.append(self.previous_secret)
        return valid

    @property
    def is_rotating(self) -> bool:
        """Whether the secret before is still valid."""
        return bool(self.previous_secret and self.previous_secret_until and timezone.now() < self.previous_secret_until)

    def rotate_secret(self, by: Any = None) -> None:
        """A new secret at once; the old one works for another hour, so that no delivery is refused meanwhile."""
        try:
            self.previous_secret = self.secret
        except UndecipherableSecret:
            self.previous_secret = ""  # a new secret is what mends it
        self.secret = new_hook_secret()
        self.previous_secret_until = timezone.now() + OLD_SECRET_LIVES
        self.secret_replaced_by = by
        self.save(update_fields=["secret", "previous_secret", "previous_secret_until", "secret_replaced_by"])

    def cut_off_previous_secret(self) -> None:
        """End the old secret's hour now: whoever else knows it is refused from here on."""
        self.previous_secret, self.previous_secret_until = "", None
        self.save(update_fields=["previous_secret", "previous_secret_until"])


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def connected(self) -> IntegrationQuerySet:
        """Those that have a source in Flowdock: neither on their way there nor removed."""
        return self.filter(removed_at=None).exclude(flow_token="")

    def in_state(self, state: Integration.State) -> IntegrationQuerySet:
        """Those whose `state` is this one: the same ladder as the property, in SQL."""
        states = Integration.State
        conditions = {
            states.REMOVED: Q(removed_at__isnull=False),
            states.CONNECTING: Q(flow_token=""),
            states.PAUSED: Q(paused_at__isnull=False),
            states.ATTENTION: ~Q(problem=""),
            states.ACTIVE: Q(first_event_at__isnull=False),
            states.WAITING: Q(),
        }
        matching = self
        for candidate, condition in conditions.items():
            if candidate == state:
                return matching.filter(condition)
            matching = matching.exclude(condition)
        raise ValueError(f"{state!r} is no state of an integration")


class Integration(models.Model):
    """An origin connected to a flow, with filters. Flowdock calls it a source.

    Its life: connecting (no token yet: the source is being created), active or paused, removed (final, token erased).
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

    # Flowdock's side. Blank where the integration was made from a pasted flow token and nobody has opened it yet.
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
    # What a person must solve, in words; empty when all is well. `deliver` and `check_integrations` tell Flowdock.
    problem = models.TextField(blank=True, default="", editable=False)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["flowdock_id"], name="integration_unique_in_flowdock"),
            # A double click, or two people at once, connect an origin to a flow once.
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
        """Whether it has a source in Flowdock, though no key may open the token any more."""
        try:
            return bool(self.flow_token)
        except UndecipherableSecret:
            return True

    @property
    def state(self) -> Integration.State:
        """The one word that pages and admin show, the most pressing first."""
        if self.removed_at:
            return self.State.REMOVED
        if not self.has_token:
            return self.State.CONNECTING
        if self.paused_at:
            return self.State.PAUSED
        if self.problem:
            return self.State.ATTENTION
        return self.State.ACTIVE if self.first_event_at else self.State.WAITING

    @transaction.atomic
    def pause(self, by: Any = None) -> None:
        """Post nothing until resumed. Events are still received and kept; what was pending waits."""
        Origin.objects.lock([self.origin_id])
        self.paused_at, self.paused_by = timezone.now(), by
        self.save(update_fields=["paused_at", "paused_by"])
        # Out of the line: however many wait here, no claim has to step over them.
        self.deliveries.in_line().update(next_attempt_at=None)

    def resume(self) -> None:
        """Post again, what waited first.

        What comes in before all threads are lined up waits behind the older ones of its thread. What this process does
        not get to, the clock of a worker lines up.
        """
        with transaction.atomic():
            Origin.objects.lock([self.origin_id])
            self.paused_at, self.paused_by = None, None
            self.save(update_fields=["paused_at", "paused_by"])
        Delivery.objects.filter(integration=self).line_up_stranded()
        notifications.ring()

    @transaction.atomic
    def remove(self) -> None:
        """End it, as Flowdock's 410 asks: the token is erased, pending deliveries are dropped, the log stays."""
        Origin.objects.lock([self.origin_id])
        self.deliveries.pending().update(
            state=Delivery.State.DROPPED, reason="the source was removed in Flowdock", next_attempt_at=None
        )
        self.flow_token, self.removed_at, self.problem = "", self.removed_at or timezone.now(), ""
        self.save(update_fields=["flow_token", "removed_at", "problem"])


def facts_of(kind: str) -> dict[str, tuple[str, ...]]:
    """What filters look at in something that came without a payload: the kind that its app sorts it under."""
    return {} if kind in UNSORTED else {"events": (kind,)}


class Event(models.Model):
    """One thing that happened at an origin, as received, kept for EVENT_RETENTION_DAYS."""

    origin = models.ForeignKey(Origin, on_delete=models.CASCADE, related_name="events", db_index=False)
    request_id = models.CharField(
        max_length=200, help_text="The sender's id of the webhook request, or an app's idempotency key"
    )
    # Of a body that is the same happening under whichever id it is sent; null where it need not be.
    body_digest = models.CharField(max_length=32, null=True, default=None, editable=False)  # noqa: DJ001  unique
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    # As received, so that the past can be read again; empty where an own app or a command posted an activity.
    headers = models.JSONField(default=dict, blank=True, help_text="Without signatures and tokens")
    body = models.BinaryField(blank=True, default=b"")
    # As read: see services.base.ParsedEvent.
    kind = models.CharField(max_length=100)
    action = models.CharField(max_length=100, blank=True)
    actor = models.CharField(max_length=255, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    activity = models.JSONField(null=True, blank=True, help_text="What is posted; null if the event is not posted")
    why_not = models.CharField(max_length=255, blank=True)
    thread_id = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["origin", "request_id"], name="event_unique_request_id"),
            models.UniqueConstraint(
                fields=["origin", "body_digest"], condition=Q(body_digest__isnull=False), name="event_unique_dated_body"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["origin", "-id"], name="event_latest"),
            # What its thread was before: an event that tells a part of the state is laid over the one before.
            models.Index(fields=["origin", "thread_id", "-id"], name="event_thread"),
        ]

    def __str__(self) -> str:
        return f"{self.summary} {self.subject}".strip() or f"{self.kind} {self.action}".strip()

    @property
    def kind_and_action(self) -> str:
        return f"{self.kind}.{self.action}" if self.action else self.kind

    def read_activity(self) -> Activity | None:
        """What is posted, or None. Raises InvalidActivity where the stored one is of a shape that we do not know."""
        return Activity.from_json(self.activity) if self.activity is not None else None

    def read_again(self) -> ParsedEvent:
        """What the service makes of it now, with the facts that filters look at. Raises UnreadablePayload."""
        service = self.origin.webhook_service
        if not self.body or service is None:
            return ParsedEvent(
                kind=self.kind,
                action=self.action,
                actor=self.actor,
                summary=self.summary,
                subject=self.subject,
                facts=facts_of(self.kind),
                activity=self.read_activity(),
                why_not=self.why_not,
            )
        return service.read(bytes(self.body), CaseInsensitiveMapping(self.headers))


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The outbox. Of each thread one pending delivery at most is in line, the oldest: it alone has a time.

    The others stand behind it without one, and whoever ends a delivery lines up the next. So a claim reads the line
    from its front and steps over nothing: neither a thread of ten thousand nor an integration that is paused.

    `next_attempt_at` is set by, and compared with, the database's clock alone (`Now()`: on PostgreSQL the time at which
    the statement began). The clocks of the machines that write to it may differ.
    """

    def pending(self) -> DeliveryQuerySet:
        return self.filter(state=Delivery.State.PENDING)

    def in_line(self) -> DeliveryQuerySet:
        return self.pending().filter(next_attempt_at__isnull=False)

    def behind(self) -> DeliveryQuerySet:
        """Pending, but not in line: behind another of the thread, or of an integration that is paused."""
        return self.pending().filter(next_attempt_at__isnull=True)

    def next_up(self) -> DeliveryQuerySet:
        """Those whose time has come, the longest waiting first: one put off holds back its thread only."""
        return self.pending().filter(next_attempt_at__lte=Now()).order_by("next_attempt_at", "id")

    def of_the_thread(self) -> DeliveryQuerySet:
        """For a subquery: the deliveries in the thread of the outer one."""
        return self.filter(integration=OuterRef("integration"), thread_id=OuterRef("thread_id"))

    def line_up(self) -> int:
        """In the threads of these deliveries, give the oldest pending one its time where none is in line; how many.

        In a transaction that holds the origins' lock. Whose deliveries are many, calls `line_up_stranded`.
        """
        first = Delivery.objects.pending().of_the_thread().order_by("id").values("id")[:1]
        oldest = (
            self.filter(integration__paused_at=None, integration__removed_at=None)
            .order_by()
            .annotate(first=Subquery(first))
            .exclude(first=None)
            .values_list("first", flat=True)
        )
        if not (ids := set(oldest)):
            return 0
        # A subquery for each row, not Exists: PostgreSQL would join that, and with the statistics of an empty outbox it
        # would choose a join that reads all who are in line for each who is not.
        in_line = Delivery.objects.in_line().of_the_thread().values("id")[:1]
        stranded = Delivery.objects.behind().filter(id__in=ids).annotate(in_line=Subquery(in_line)).filter(in_line=None)
        return Delivery.objects.filter(id__in=list(stranded.values_list("id", flat=True))).update(next_attempt_at=Now())

    def line_up_stranded(self) -> int:
        """Do the same for all threads of these deliveries in which nobody is in line; how many those were.

        Finding them takes no lock, however many wait. Then each origin is locked for LINED_UP_AT_ONCE threads at a
        time, so that its hook goes on answering.
        """
        heads: dict[int, list[int]] = {}
        for origin, head in self._stranded():
            heads.setdefault(origin, []).append(head)
        found = 0
        for origin, ids in heads.items():
            for start in range(0, len(ids), LINED_UP_AT_ONCE):
                with writing():
                    Origin.objects.lock([origin])
                    batch = Delivery.objects.filter(pk__in=ids[start : start + LINED_UP_AT_ONCE])
                    found += batch.line_up()
        return found

    def _stranded(self) -> Iterable[tuple[int, int]]:
        """Of each thread in which nobody is in line: its origin, and its oldest delivery here."""
        running = self.pending().filter(integration__paused_at=None, integration__removed_at=None).order_by()
        threads = running.values("integration__origin", "integration", "thread_id")
        return (
            threads.annotate(head=Min("id"), due=Max("next_attempt_at"))
            .filter(due=None)
            .values_list("integration__origin", "head")
        )


class Delivery(models.Model):
    """What becomes of one event at one integration: one activity on its way, or the reason why there is none.

    `reason` is the verdict in words: which rule refused it, what Flowdock answered, until when it waits and why.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        DELIVERED = "delivered", "Posted"
        FAILED = "failed", "Failed"
        FILTERED = "filtered", "Filtered"
        UNPOSTED = "unposted", "Not supported"
        DROPPED = "dropped", "Dropped"

    # What may be put back in the outbox. A pending one may: its turn comes at once.
    RETRIABLE: ClassVar = (State.PENDING, State.FAILED, State.DROPPED)

    # Constraint and indexes below begin with these two: indexes of their own would only slow the accept down.
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=500, blank=True, default="")
    rule = models.CharField(max_length=40, blank=True, default="", help_text="The filter rule that blocked it")
    thread_id = models.CharField(max_length=255, blank=True, default="")
    # Flowdock recognises a repetition by it: a retry after a crash posts nothing twice.
    # Not indexed: nothing finds a delivery by it, and random keys make an index slower the longer it grows.
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When it is tried next; while a worker has it in hand, when that worker's lease ends. Null when it is not in line:
    # behind another of its thread, of an integration that is paused, or no longer pending.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # [{"at": ISO 8601, "status": 201 or null, "outcome": words, "ms": 84}, ...], the latest last.
    attempts = models.JSONField(default=list, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    flowdock_thread_id = models.CharField(max_length=100, blank=True, default="", editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "integration"], name="delivery_unique_for_event"),
            # What keeps a thread in order: no two of its deliveries can ever be in hand at once.
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
            # The outbox: these hold pending deliveries only, so a million past ones do not weigh on the claim.
            models.Index(
                fields=["next_attempt_at", "id", "integration"],
                condition=Q(state="pending", next_attempt_at__isnull=False),
                name="outbox_line",
            ),
            # With the state, which is the same in all of it: else SQLite, without statistics, prefers `log_by_state`.
            # After the thread: PostgreSQL drops a condition that the index implies, and cannot look behind its column.
            models.Index(
                fields=["integration", "thread_id", "state", "id"], condition=Q(state="pending"), name="outbox_thread"
            ),
            # The log of an integration: all of it, and by verdict.
            models.Index(fields=["integration", "-id"], name="log_all"),
            models.Index(fields=["integration", "state", "-id"], name="log_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.integration}"

    @transaction.atomic
    def retry(self) -> None:
        """Try it at once, where it has failed, was dropped or waits; behind another of its thread it waits its turn.

        Raises DoesNotExist where it was deleted meanwhile, as `prune_events` does with events past their time.
        """
        Origin.objects.lock([self.integration.origin_id])
        Delivery.objects.filter(pk=self.pk, state__in=self.RETRIABLE, integration__removed_at=None).update(
            state=self.State.PENDING, reason="", next_attempt_at=None
        )
        Delivery.objects.filter(pk=self.pk).line_up()
        notifications.ring()
        self.refresh_from_db(fields=["state", "reason", "next_attempt_at"])

    @transaction.atomic
    def drop(self, reason: str) -> None:
        """Give a pending or failed delivery up; its thread goes on without it."""
        Origin.objects.lock([self.integration.origin_id])
        Delivery.objects.filter(pk=self.pk, state__in=(self.State.PENDING, self.State.FAILED)).update(
            state=self.State.DROPPED, reason=reason[:500], next_attempt_at=None
        )
        Delivery.objects.filter(pk=self.pk).line_up()
        notifications.ring()
        self.refresh_from_db(fields=["state", "reason", "next_attempt_at"])


# An answer that has not changed is written again once the stored one is this old, so that most pages write nothing.
ORGANIZATIONS_WRITTEN = dt.timedelta(minutes=5)


class SignInQuerySet(models.QuerySet["SignIn"]):
    def current(self, pk: object, user: Any) -> SignInQuerySet:
        """The sign-in that a session names, if it is this person's and has not ended. Cookies of old name none."""
        return self.filter(pk=pk, user_id=user) if isinstance(pk, str) else self.none()

    def end(self, pk: object) -> None:
        if isinstance(pk, str):
            self.filter(pk=pk).delete()

    def remember_organizations(self, pk: object, organizations: list[list[str]], now: dt.datetime) -> None:
        """Keep Flowdock's answer: written at once where it differs, and otherwise every few minutes."""
        if not isinstance(pk, str) or (sign_in := self.filter(pk=pk).first()) is None:
            return
        written_at = sign_in.organizations_at
        if sign_in.organizations != organizations or written_at is None or now - written_at > ORGANIZATIONS_WRITTEN:
            self.filter(pk=pk).update(organizations=organizations, organizations_at=now)

    def forget_organizations(self, pk: object) -> None:
        if isinstance(pk, str):
            self.filter(pk=pk).update(organizations=[], organizations_at=None)

    def with_organizations_since(self, pk: object, since: dt.datetime) -> SignIn | None:
        """The sign-in, if Flowdock's answer about its organizations is no older than `since`."""
        return self.filter(organizations_at__gte=since, pk=pk).first() if isinstance(pk, str) else None

    def expired(self) -> SignInQuerySet:
        """Those whose time is over: however much it is used, a sign-in ends after SESSION_COOKIE_AGE."""
        return self.filter(created_at__lt=timezone.now() - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE))


class SignIn(models.Model):
    """A browser in which somebody is signed in. Its session counts while this row is there: see `sessions`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    # The organizations that Flowdock last listed for this person, as [key, name], and when. It holds no token.
    organizations = models.JSONField(default=list, editable=False)
    organizations_at = models.DateTimeField(null=True, editable=False)

    objects = SignInQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class PasswordFailures(models.Model):
    """How often in a row a password was wrong: for an account, from an address, or for an account from an address.

    `key` is a digest of which. Belongs to `passwords`.
    """

    key = models.CharField(primary_key=True, max_length=64, editable=False)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)
    is_known_place = models.BooleanField(default=False, help_text="The account has signed in from this address before")

    def __str__(self) -> str:
        return f"{self.count} until {self.last_at}"
