"""Tasks that a worker runs periodically. Without a worker, cron calls the commands of the same names."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from . import retention, source_checks
from .flowdock.client import Flowdock
from .flowdock.errors import FlowdockUnavailable
from .models import Delivery, Integration
from .outages import outage_reason

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0  # seconds


@contextlib.contextmanager
def run() -> Iterator[None]:
    """Run the tasks in a thread of their own, while the caller delivers."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(stop,), name="periodic tasks")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(stop: threading.Event) -> None:
    tasks: list[tuple[float, Callable[[threading.Event], None]]] = [
        (MINUTE, schedule_stranded),
        (HOUR, check_integrations),
        (HOUR, delete_old_sign_ins),
        (24 * HOUR, prune_events),
    ]
    # Not at once: a starting worker delivers first. Every worker runs the tasks, so none depends on another.
    due = [time.monotonic() + MINUTE] * len(tasks)
    while not stop.wait(max(min(due) - time.monotonic(), 0.0)):
        for number, (period, task) in enumerate(tasks):
            if due[number] > time.monotonic() or stop.is_set():
                continue
            due[number] = time.monotonic() + period
            try:
                task(stop)
            # Every error ends here: one that ended the thread would silently end all later tasks too.
            except Exception as error:
                reason = outage_reason(error) if isinstance(error, DatabaseError | InterfaceError) else ""
                if reason:
                    logger.warning("%s was not done: %s", task.__name__, reason)
                else:
                    logger.exception("%s failed, and is tried again in %.0f s", task.__name__, period)
                connection.close()
    connection.close()


def schedule_stranded(stop: threading.Event) -> None:
    """Schedule threads in which deliveries wait and none is scheduled, as after SQL that somebody ran by hand."""
    found = Delivery.objects.all().schedule_stranded()
    if found:
        logger.warning("%d threads had waiting deliveries and none that was scheduled", found)


def check_integrations(stop: threading.Event) -> None:
    try:
        with Flowdock() as flowdock:
            for integration, finding in source_checks.check_all(flowdock):
                if finding is not source_checks.Finding.WELL:
                    logger.info("%s: %s", integration, finding.value)
                if stop.is_set():
                    return
    except FlowdockUnavailable as error:
        logger.warning("integrations are checked later, because Flowdock is not responding: %s", error)
    Integration.objects.unfinished(timezone.now()).delete()


def delete_old_sign_ins(stop: threading.Event) -> None:
    retention.delete_old_sign_ins()


def prune_events(stop: threading.Event) -> None:
    count = 0
    for batch in retention.prune():
        count += batch
        if stop.is_set():
            break
    logger.info("%d expired events were deleted", count)
