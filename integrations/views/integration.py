"""One integration: its state, what came in, what became of it and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render

from integrations import payload_display
from integrations.access import can_open, may_replace_secret, open_integration, signed_in, watch_integration
from integrations.activity import Activity, InvalidActivity
from integrations.history import histories
from integrations.ids import parse_id
from integrations.models import Delivery, Event, Integration
from integrations.storable import storable

from .buttons import button

PAGE = 50
MAX_AWAITING = 1000  # counted
FLOWS_NAMED = 5  # each is a question to Flowdock

State = Delivery.State
VERDICTS: dict[str, tuple[str, tuple[Delivery.State, ...]]] = {
    "posted": ("Posted", (State.DELIVERED,)),
    "filtered": ("Filtered", (State.FILTERED,)),
    "waiting": ("Waiting", (State.PENDING,)),
    "failed": ("Failed", (State.FAILED,)),
    "not-posted": ("Not posted", (State.UNPOSTED, State.DROPPED)),
}


@dataclass(frozen=True, slots=True)
class Segment:
    title: str
    query: str
    number: int
    is_current: bool


@dataclass(frozen=True, slots=True)
class Log:
    """A page of the event log, newest first. `version` changes with whatever the page shows of its rows."""

    deliveries: list[Delivery]
    segments: list[Segment]
    older: str
    verdict: str
    sought: str
    is_latest: bool
    version: str
    total: int
    awaiting: int  # accepted events that have no row yet, at most max_awaiting
    max_awaiting: int = MAX_AWAITING


def integration(request: HttpRequest, pk: int) -> HttpResponse:
    subject = open_integration(request, pk)
    log = _log(subject, request.GET)
    return render(
        request,
        "integrations/integration.html",
        _shared_context(request, subject)
        | {"log": log, "history": histories([pk])[pk], "is_untried": not request.GET and _is_untried(subject, log)},
    )


def updates(request: HttpRequest, pk: int) -> HttpResponse:
    """The changing parts of an open page; 204 if nothing has changed."""
    subject = watch_integration(request, pk)
    log = _log(subject, request.GET)
    if log.version == request.GET.get("version"):
        return HttpResponse(status=204)
    return render(
        request,
        "integrations/_updates.html",
        {
            "integration": subject,
            "service": subject.origin.service_object,
            "log": log,
            "history": histories([pk])[pk],
        },
    )


def event(request: HttpRequest, pk: int, delivery_pk: int) -> HttpResponse:
    """One event opened: as the flow shows it, how it got there, and as it was received."""
    subject = open_integration(request, pk)
    delivery = get_object_or_404(subject.deliveries.select_related("event").defer("event__body"), pk=delivery_pk)
    delivery.integration = subject
    return render(
        request,
        "integrations/event.html",
        _shared_context(request, subject)
        | {
            "delivery": delivery,
            "activity": _activity(delivery.event),
            "payload": payload_display.show(delivery.event),
            "newer": subject.deliveries.id_after(delivery_pk),
            "older": subject.deliveries.id_before(delivery_pk),
        },
    )


@button
def retry(request: HttpRequest, pk: int, delivery_pk: int) -> HttpResponse:
    """Try a failed delivery again."""
    subject = open_integration(request, pk)
    delivery = get_object_or_404(subject.deliveries, pk=delivery_pk)
    if subject.removed_at:
        messages.warning(request, "This integration was removed, so its events can no longer be posted.")
    elif delivery.state in {State.FAILED, State.DROPPED}:
        try:
            delivery.retry()
        except Delivery.DoesNotExist:
            messages.warning(request, "This event was deleted because it is too old. It cannot be retried.")
            return redirect("integrations:integration", pk)
        messages.success(request, "Retrying now.")
    return redirect("integrations:event", pk, delivery_pk)


def _shared_context(request: HttpRequest, subject: Integration) -> dict[str, Any]:
    """The context that all pages of an integration share."""
    names, unnamed = _other_flows(request, list(subject.siblings.only("flow_id", "flow_name")))
    return {
        "integration": subject,
        "service": subject.origin.service_object,
        "may_replace_secret": may_replace_secret(signed_in(request), subject),
        "other_flows": listed(names, unnamed),
        "retention_days": settings.EVENT_RETENTION_DAYS,
        "page": "integrations",
    }


def _other_flows(request: HttpRequest, others: list[Integration]) -> tuple[list[str], int]:
    """The other flows of the origin: the names of those that the person can open, and how many others there are."""
    asked = others[:FLOWS_NAMED]
    names = [other.flow_name for other in asked if other.flow_id and can_open(request, other.flow_id)]
    return names, len(others) - len(names)


def listed(names: list[str], unnamed: int) -> str:
    """ "Lobby, Main and 2 other flows"; with nothing to name, "2 other flows"."""
    if not unnamed:
        return ", ".join(names)
    rest = f"{unnamed} other flow{'' if unnamed == 1 else 's'}"
    return f"{', '.join(names)} and {rest}" if names else rest


def _log(subject: Integration, query: QueryDict) -> Log:
    verdict = query.get("verdict", "")
    sought = storable(query.get("q", "").strip())
    before = parse_id(query.get("before", ""))
    numbers = subject.deliveries.count_by_state()
    awaiting = subject.count_awaiting(MAX_AWAITING)
    deliveries = subject.deliveries.newest_first()
    if sought:
        deliveries = deliveries.matching(sought)
    if verdict in VERDICTS:
        deliveries = deliveries.filter(state__in=VERDICTS[verdict][1])
    if before is not None:
        deliveries = deliveries.filter(pk__lt=before)
    page = list(deliveries.with_event_summaries()[: PAGE + 1])
    shown = page[:PAGE]
    for delivery in shown:
        delivery.integration = subject
    return Log(
        deliveries=shown,
        segments=_segments(numbers, verdict, sought),
        older=_query(verdict, sought, before=shown[-1].pk) if len(page) > PAGE else "",
        verdict=verdict if verdict in VERDICTS else "",
        sought=sought,
        is_latest=before is None,
        version=f"{_version(subject, numbers, shown)}-{awaiting}",
        total=sum(numbers.values()),
        awaiting=awaiting,
    )


def _is_untried(subject: Integration, log: Log) -> bool:
    """Whether no event has come from the service yet. A test activity does not count."""
    return not log.older and all(
        delivery.event.kind in subject.origin.kinds_not_from_service for delivery in log.deliveries
    )


def _segments(numbers: dict[str, int], verdict: str, sought: str) -> list[Segment]:
    everything = Segment("All", _query("", sought), sum(numbers.values()), verdict not in VERDICTS)
    return [everything] + [
        Segment(title, _query(name, sought), sum(numbers.get(state, 0) for state in states), verdict == name)
        for name, (title, states) in VERDICTS.items()
    ]


def _query(verdict: str, sought: str, before: int | None = None) -> str:
    chosen = {"verdict": verdict, "q": sought, "before": before}
    return urlencode({name: value for name, value in chosen.items() if value})


def _version(subject: Integration, numbers: dict[str, int], shown: list[Delivery]) -> str:
    """A text that changes when an event arrives, is posted or tried, or the integration's state changes."""
    tried = sum(len(delivery.attempts) for delivery in shown)
    counted = "-".join(f"{state}{number}" for state, number in sorted(numbers.items()))
    return f"{subject.state}-{counted}-{shown[0].pk if shown else 0}-{tried}"


def _activity(event: Event) -> Activity | None:
    """The activity, or None: its kind is not posted, or another version stored it with unknown fields."""
    try:
        return event.read_activity()
    except InvalidActivity:
        return None
