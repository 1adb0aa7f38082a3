"""The admin, where staff see everything and repair it without a shell. Nothing can be added or edited there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import ObjectDoesNotExist
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from . import payload_display, services
from .models import Delivery, Event, Integration, Origin, Worker
from .passwords import SignInForm

if TYPE_CHECKING:
    BaseAdmin = ModelAdmin[Any]
else:  # at run time the class is not generic
    BaseAdmin = ModelAdmin

admin.site.login_form = SignInForm

COUNTED = 10_000
NOTHING = SafeString("–")


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to COUNTED only: counting a million rows for page numbers would take most of the page's time."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class AgeFilter(admin.SimpleListFilter):
    """Rows of the last hours or days."""

    title = "age"
    parameter_name = "age"
    column: ClassVar[str]
    AGES: ClassVar = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1), "week": dt.timedelta(days=7)}

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(age, f"Last {age}") for age in self.AGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        age = self.AGES.get(self.value() or "")
        return queryset.filter(**{f"{self.column}__gte": timezone.now() - age}) if age else queryset


class ReceivedFilter(AgeFilter):
    column = "received_at"


class CreatedFilter(AgeFilter):
    column = "created_at"


class ServiceFilter(admin.SimpleListFilter):
    """Rows of one service. The choices come from the registry, without a query."""

    title = "service"
    parameter_name = "service"
    path = "origin__service"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return services.choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.value()}) if self.value() else queryset


class DeliveryServiceFilter(ServiceFilter):
    path = "integration__origin__service"


class StateFilter(admin.SimpleListFilter):
    """Integrations in a state."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return list(Integration.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        return queryset.in_state(Integration.State(state)) if state else queryset  # type: ignore[attr-defined]


class Overseen(BaseAdmin):
    """A read-only model: lists take one query, and changes are made by actions only."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields: Any = self.get_fields(request, obj)
        return list(fields)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        context = {"show_save": False, "show_save_and_continue": False}
        kwargs["extra_context"] = {**(kwargs.get("extra_context") or {}), **context}
        return super().change_view(request, *args, **kwargs)

    def act(
        self, request: HttpRequest, rows: QuerySet[Any], verb: str, done: str, action: Callable[[Any], None]
    ) -> None:
        """Do `action` to each row, write it to the audit log, and report how many rows were changed or are deleted."""
        count = deleted = 0
        for row in rows:
            try:
                action(row)
            except ObjectDoesNotExist:
                deleted += 1
                continue
            self.log_change(request, row, done)
            count += 1
        if deleted:
            skipped = f"{deleted} {model_ngettext(self.opts, deleted)} skipped: deleted in the meantime."
            self.message_user(request, skipped, messages.WARNING)
        if count:
            self.message_user(request, f"{count} {model_ngettext(self.opts, count)} {done}.", messages.SUCCESS)
        else:
            self.message_user(request, f"Nothing to {verb} in this selection.", messages.WARNING)


@admin.register(Origin)
class OriginAdmin(Overseen):
    list_display = ("name", "service", "hook_id", "created_by", "created_at")
    list_filter = (("service", admin.ChoicesFieldListFilter), CreatedFilter)
    list_select_related = ("created_by",)
    search_fields = ("name", "hook_id", "created_by__email")
    fields = (
        "name", "service", "external_url", "hook", "organization", "created_by", "created_at", "secret_replaced_by",
        "previous_secret_until",
    )  # fmt: skip
    actions = ("cut_off_old_secret",)

    @admin.action(description="Revoke the old secrets of selected origins", permissions=["change"])
    def cut_off_old_secret(self, request: HttpRequest, rows: QuerySet[Origin]) -> None:
        rotating = rows.filter(previous_secret_until__gt=timezone.now())
        self.act(request, rotating, "revoke", "now without an old secret", Origin.cut_off_previous_secret)

    @admin.display(description="webhook address")
    def hook(self, origin: Origin) -> str:
        return origin.hook_url if origin.webhook_service else "none: this service sends no webhooks"


@admin.register(Integration)
class IntegrationAdmin(Overseen):
    list_display = ("name", "state_in_words", "flow_name", "organization_name", "service", "problem", "created_at")
    list_filter = (StateFilter, ServiceFilter, CreatedFilter)
    list_select_related = ("origin",)
    search_fields = ("name", "origin__name", "flow_name", "organization_name", "flowdock_id")
    fields = (
        "name", "state_in_words", "problem", "origin", "flow_name", "organization_name", "flow_id", "flow_web_url",
        "flowdock_id", "source_url", "filters", "created_by", "created_at", "first_event_at", "paused_at", "paused_by",
        "removed_at",
    )  # fmt: skip
    actions = ("pause", "resume")

    @admin.display(description="state")
    def state_in_words(self, integration: Integration) -> str:
        return integration.state.label

    @admin.display(description="service")
    def service(self, integration: Integration) -> str:
        return integration.origin.get_service_display()

    @admin.action(description="Pause selected integrations", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[Integration]) -> None:
        running = rows.filter(removed_at=None, paused_at=None)
        self.act(request, running, "pause", "paused", lambda row: row.pause(request.user))

    @admin.action(description="Resume selected integrations", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Integration]) -> None:
        paused = rows.filter(removed_at=None).exclude(paused_at=None)
        self.act(request, paused, "resume", "resumed", Integration.resume)


@admin.register(Event)
class EventAdmin(Overseen):
    list_display = ("received_at", "origin", "kind", "action", "__str__", "actor", "request_id")
    list_filter = (ReceivedFilter, "awaits_decision", ServiceFilter)
    list_select_related = ("origin",)
    list_display_links = ("received_at", "__str__")
    search_fields = ("request_id", "origin__name", "actor", "subject")
    ordering = ("-id",)
    fields = (
        "origin", "received_at", "request_id", "kind", "action", "actor", "summary", "subject", "awaits_decision",
        "why_not", "posted_as", "sent_headers", "sent_body",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        rows = super().get_queryset(request).defer("body")
        # A list does not need the payloads.
        return rows.defer("headers", "activity") if self._is_list(request) else rows

    def _is_list(self, request: HttpRequest) -> bool:
        return bool(request.resolver_match and (request.resolver_match.url_name or "").endswith("_changelist"))

    @admin.display(description="activity")
    def posted_as(self, event: Event) -> SafeString:
        return in_lines(event.activity)

    @admin.display(description="headers")
    def sent_headers(self, event: Event) -> SafeString:
        return in_lines(event.headers)

    @admin.display(description="body")
    def sent_body(self, event: Event) -> SafeString:
        body = payload_display.show(event)
        if not body.size:
            return NOTHING
        rest = format_html("\n… (first part of {})", filesizeformat(body.size)) if body.is_cut else ""
        return format_html('<pre class="payload">{}{}</pre>', body.html, rest)


@admin.register(Delivery)
class DeliveryAdmin(Overseen):
    list_display = ("created_at", "state", "event", "integration", "reason", "next_attempt_at", "thread_id")
    list_filter = ("state", CreatedFilter, DeliveryServiceFilter)
    list_select_related = ("event", "integration")
    list_display_links = ("created_at", "event")
    search_fields = ("uuid", "thread_id", "event__request_id", "integration__name", "integration__flow_name")
    ordering = ("-id",)
    fields = (
        "event", "integration", "state", "reason", "rule", "thread_id", "uuid", "created_at", "next_attempt_at",
        "delivered_at", "flowdock_thread_id", "tried",
    )  # fmt: skip
    actions = ("retry", "drop")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).defer("event__body", "event__headers", "event__activity")

    @admin.display(description="attempts")
    def tried(self, delivery: Delivery) -> SafeString:
        return in_lines(delivery.attempts)

    @admin.action(description="Retry selected deliveries", permissions=["change"])
    def retry(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        retried = rows.filter(state__in=Delivery.RETRIABLE, integration__removed_at=None)
        self.act(request, retried, "retry", "queued again", Delivery.retry)

    @admin.action(description="Drop selected deliveries", permissions=["change"])
    def drop(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        dropped = rows.filter(state__in=(Delivery.State.PENDING, Delivery.State.FAILED))
        who = request.user.get_username()
        self.act(request, dropped, "drop", "dropped", lambda row: row.drop(f"dropped by {who}"))


@admin.register(Worker)
class WorkerAdmin(Overseen):
    list_display = ("name", "is_present", "seen_at", "started_at", "circuit_breaker")
    fields = list_display
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        rows: Any = super().get_queryset(request)
        return rows.with_presence()  # type: ignore[no-any-return]

    @admin.display(description="running", boolean=True)
    def is_present(self, worker: Any) -> bool:
        return bool(worker.is_present)

    @admin.display(description="circuit breaker")
    def circuit_breaker(self, worker: Worker) -> str:
        return "open: Flowdock does not respond" if worker.is_breaker_open else "closed"


def in_lines(data: object) -> SafeString:
    return format_html('<pre class="payload">{}</pre>', payload_display.show_data(data)) if data else NOTHING
