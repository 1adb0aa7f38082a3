"""The metrics as Prometheus collects them: what all processes of this machine count, and what the database shows.

The counts are those of `telemetry`. The database is read at most every FRESH_FOR, however often somebody asks.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, F, Min
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hosting.health import Timed

from . import metric_files, readiness, telemetry
from .models import Delivery, Event, Integration, Worker
from .outages import outage_reason

logger = logging.getLogger(__name__)

PATIENCE = 3.0  # seconds until the metrics are sent without those of the database
FRESH_FOR = 5.0  # seconds


@dataclass
class Reading:
    """What the database shows. Ages are in seconds, by the database's clock."""

    pending: int = 0
    paused: int = 0  # of deliveries of paused integrations
    oldest_pending_age: float = 0.0
    undecided: int = 0
    oldest_undecided_age: float = 0.0
    workers: int = 0
    worker_age: float | None = None
    breakers_open: int = 0
    integrations: Counter[str] = field(default_factory=Counter)


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics in the format that the header Accept asks for, and its content type."""
    telemetry.metrics()  # so that they exist, with 0, before anything has happened
    registry = CollectorRegistry()
    metric_files.collect(registry)
    registry.register(_FromDatabase())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _FromDatabase(Collector):
    def collect(self) -> Iterator[Metric]:
        found = readiness.check()
        yield _gauge("ready", "Whether a check of /readyz is passed (1) or not (0).", ["check"], [
            ([name], float(result == readiness.OK)) for name, result in found.checks.items()
        ])  # fmt: skip
        reading = _read_in_time()
        yield _gauge("database_read", "Whether the metrics of the database could be read (1) or not (0).", [], [
            ([], float(reading is not None))
        ])  # fmt: skip
        if reading is not None:
            yield from _families(reading)


def _families(reading: Reading) -> Iterator[Metric]:
    yield _gauge("deliveries_pending", "Deliveries that wait to be posted.", ["paused"], [
        (["no"], reading.pending), (["yes"], reading.paused)
    ])  # fmt: skip
    yield _gauge("oldest_pending_age_seconds", "Age of the oldest waiting delivery that is not paused; 0: none.", [], [
        ([], reading.oldest_pending_age)
    ])  # fmt: skip
    yield _gauge("events_undecided", "Accepted events that no worker has decided yet.", [], [([], reading.undecided)])
    yield _gauge("oldest_undecided_age_seconds", "Age of the oldest undecided event; 0: there is none.", [], [
        ([], reading.oldest_undecided_age)
    ])  # fmt: skip
    yield _gauge("workers", "Workers that were seen in the last two minutes.", [], [([], reading.workers)])
    if reading.worker_age is not None:
        yield _gauge("worker_last_seen_age_seconds", "Time since a worker was last seen.", [], [
            ([], reading.worker_age)
        ])  # fmt: skip
    yield _gauge("breakers_open", "Workers that only send probes, because Flowdock does not respond.", [], [
        ([], reading.breakers_open)
    ])  # fmt: skip
    yield _gauge("integrations", "Integrations by state.", ["state"], [
        ([state.value], reading.integrations[state.value]) for state in Integration.State
    ])  # fmt: skip


def _gauge(name: str, help_text: str, labels: list[str], samples: Iterable[tuple[list[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"{telemetry.PREFIX}_{name}", help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _read() -> Reading | None:
    try:
        reading = Reading()
        _read_deliveries(reading)
        _read_undecided(reading)
        _read_workers(reading)
        reading.integrations.update(Integration.objects.count_by_state())
        return reading
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the metrics of the database were not read: %s", outage_reason(error) or error)
        return None
    finally:
        connection.close()


_read_in_time = Timed(_read, seconds=PATIENCE, fresh_for=FRESH_FOR)


def _read_deliveries(reading: Reading) -> None:
    """Reads the partial index of pending deliveries once; no other row, but for the oldest of them."""
    paused = set(Integration.objects.filter(paused_at__isnull=False).values_list("pk", flat=True))
    by_integration = Delivery.objects.pending().order_by().values_list("integration")
    oldest: int | None = None
    for integration, count, first in by_integration.annotate(Count("id"), Min("id")):
        if integration in paused:
            reading.paused += count
        else:
            reading.pending += count
            oldest = first if oldest is None else min(first, oldest)
    if oldest is not None:
        ages = Delivery.objects.filter(pk=oldest).values_list(Now() - F("created_at"), flat=True)
        reading.oldest_pending_age = _seconds(ages.first())


def _read_undecided(reading: Reading) -> None:
    """Reads the partial index of events that await a decision."""
    found = Event.objects.awaiting_decision().aggregate(count=Count("id"), oldest=Min("id"))
    reading.undecided, oldest = found["count"], found["oldest"]
    if oldest is not None:
        ages = Event.objects.filter(pk=oldest).values_list(Now() - F("received_at"), flat=True)
        reading.oldest_undecided_age = _seconds(ages.first())


def _read_workers(reading: Reading) -> None:
    latest_first: list[Any] = list(Worker.objects.with_presence().order_by("-seen_at"))
    present = [worker for worker in latest_first if worker.is_present]
    reading.workers = len(present)
    reading.breakers_open = sum(worker.is_breaker_open for worker in present)
    reading.worker_age = _seconds(latest_first[0].age) if latest_first else None


def _seconds(age: dt.timedelta | None) -> float:
    """An age; 0 if it is negative, as by a difference between two clocks."""
    return max(age.total_seconds(), 0.0) if age else 0.0
