"""What operators see of the bridge's work: for everything that happens, the metrics and a line in the log.

The functions are called where it happens, once its transaction has committed. They use no database and raise nothing.
The metrics are documented in docs/monitoring.md. What is read from the database is in `monitoring`.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import logging
import threading
from collections.abc import Iterable
from typing import Protocol

from django.http import HttpRequest, HttpResponse
from django.utils.log import log_response
from prometheus_client import CollectorRegistry, Counter, Histogram

from hosting import logs

from . import metric_files, services
from .client_addresses import client_address
from .models import Delivery, Origin

logger = logging.getLogger(__name__)

PREFIX = "flowdock_bridge"
ACCEPT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
POST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
HOOK_TO_INBOX_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200)


class Refusal(enum.StrEnum):
    """Why a webhook request was not accepted."""

    UNKNOWN_ADDRESS = "unknown_address"  # 404
    WRONG_SIGNATURE = "wrong_signature"  # 403
    UNREADABLE = "unreadable"  # 400: the body is not what its service sends
    INCOMPLETE = "incomplete"  # 400: the connection ended before the body did
    TOO_LARGE = "too_large"  # 413
    NOT_CONNECTED = "not_connected"  # 410
    KEY_MISSING = "key_missing"  # 503: no key decrypts the origin's secret
    DATABASE = "database"  # 503


class Outcome(enum.StrEnum):
    """What came of one attempt to post a delivery: named as in `delivery.attempts`, valued as in the metrics."""

    DELIVERED = "delivered"
    FAILED = "failed"  # Flowdock will never take it
    RETRY = "retried"  # it is tried again later
    REFUSED = "refused"  # Flowdock takes nothing of this integration: a person has to repair it
    SOURCE_REMOVED = "source_removed"  # Flowdock has ended the integration


VERDICTS = {
    str(Delivery.State.PENDING): "post",
    str(Delivery.State.FILTERED): "filtered",
    str(Delivery.State.UNPOSTED): "not_supported",
}
LEVELS = {Outcome.FAILED: logging.WARNING, Outcome.REFUSED: logging.WARNING}


class Metrics:
    """The metrics that are counted as things happen. Each of them exists from the start, with 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = self._counter("events_accepted", "Events that were stored.", "service")
        self.repeated = self._counter("events_repeated", "Webhook requests whose event was stored before.", "service")
        self.refused = self._counter("hooks_refused", "Webhook requests that were not accepted.", "reason")
        self.decided = self._counter("deliveries_decided", "Verdicts on an event for an integration.", "verdict")
        self.attempts = self._counter("delivery_attempts", "Attempts to post a delivery to Flowdock.", "outcome")
        self.accept_seconds = self._histogram(
            "accept_seconds", "Time from the start of an accepted webhook request to its answer.", ACCEPT_BUCKETS
        )
        self.post_seconds = self._histogram("post_seconds", "Duration of a call that posts to Flowdock.", POST_BUCKETS)
        self.hook_to_inbox_seconds = self._histogram(
            "hook_to_inbox_seconds",
            "Time from receiving an event until Flowdock has taken its activity.",
            HOOK_TO_INBOX_BUCKETS,
        )
        for service, _ in services.choices():
            self.accepted.labels(service)
            self.repeated.labels(service)
        for refusal in Refusal:
            self.refused.labels(refusal.value)
        for verdict in VERDICTS.values():
            self.decided.labels(verdict)
        for outcome in Outcome:
            self.attempts.labels(outcome.value)

    def _counter(self, name: str, help_text: str, label: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_text, [label], registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", help_text, buckets=buckets, registry=self.registry)


_lock = threading.Lock()


def metrics() -> Metrics:
    """The metrics of this process, created when something first happens: most commands count nothing."""
    with _lock:
        return _metrics()


@functools.cache
def _metrics() -> Metrics:
    metric_files.share()
    return Metrics()


def accepted(
    origin: Origin, event_id: int | None, *, is_new: bool, size: int = 0, seconds: float | None = None, kind: str = ""
) -> None:
    """A webhook request of `size` bytes was accepted within `seconds`, or an own app or a command has posted (None).

    `is_new` is False if its event was stored before; then a webhook request does not look for its id.
    """
    counted = metrics()
    (counted.accepted if is_new else counted.repeated).labels(origin.service).inc()
    if seconds is not None:
        counted.accept_seconds.observe(seconds)
    if logger.isEnabledFor(logging.INFO):
        fields = logs.fields(
            event_id=event_id,
            origin_id=origin.pk,
            origin=origin.name,
            service=origin.service,
            kind=kind,
            bytes=size,
            ms=None if seconds is None else round(seconds * 1000, 1),
        )
        logger.info("accepted an event" if is_new else "received an event again", extra=fields)


def refused(
    request: HttpRequest, response: HttpResponse, reason: Refusal, detail: str = "", origin: Origin | None = None
) -> HttpResponse:
    """A webhook request was answered `response` and not accepted; returns the response. `detail` is for the log."""
    metrics().refused.labels(reason.value).inc()
    with logs.context(
        reason=reason.value,
        status=response.status_code,
        address=client_address(request),
        origin_id=origin and origin.pk,
        origin=origin and origin.name,
    ):
        # Django's own function: it marks the response as logged, so that Django adds no line of its own.
        log_response(
            "refused a webhook request to %s%s",
            request.path,
            f": {detail}" if detail else "",
            response=response,
            request=request,
            logger=logger,
            level="error" if response.status_code >= 500 else "info",
        )
    return response


def decided(states: Iterable[str]) -> None:
    """Deliveries were created in these states: the verdicts on an event, or on many, for each integration."""
    counter = metrics().decided
    for state in states:
        counter.labels(VERDICTS[str(state)]).inc()


class Attempted(Protocol):
    """What is shown of a delivery that was attempted."""

    @property
    def pk(self) -> int: ...
    @property
    def event_id(self) -> int: ...
    @property
    def integration_id(self) -> int: ...
    @property
    def created_at(self) -> dt.datetime: ...


def attempted(
    delivery: Attempted, outcome: Outcome, message: str, *, at: dt.datetime, ms: int, status: int | None
) -> None:
    """An attempt to post the delivery began `at` and took `ms`; `status` is Flowdock's HTTP status, if it answered."""
    counted = metrics()
    counted.attempts.labels(outcome.value).inc()
    counted.post_seconds.observe(ms / 1000)
    if outcome is Outcome.DELIVERED:
        waited = (at - delivery.created_at).total_seconds() + ms / 1000
        counted.hook_to_inbox_seconds.observe(max(waited, 0.0))
    level = LEVELS.get(outcome, logging.INFO)
    if logger.isEnabledFor(level):
        fields = logs.fields(
            delivery_id=delivery.pk,
            event_id=delivery.event_id,
            integration_id=delivery.integration_id,
            outcome=outcome.value,
            status=status,
            ms=ms,
        )
        logger.log(level, "delivery %s: %s", outcome.value.replace("_", " "), message, extra=fields)


def log_problems_only() -> None:
    """Log no line for what went well: for commands that cron runs, which sends whatever they print."""
    logger.setLevel(logging.WARNING)
