"""What is due by the clock while a worker runs: where there is none, cron calls the commands of the same names."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from django.db import DatabaseError, InterfaceError, connection

from . import retention, source_checks
from .flowdock.client import Flowdock
from .flowdock.errors import FlowdockUnavailable
from .models import Delivery
from .outages import outage

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0  # seconds


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Do what is due in a thread of its own, beside the deliveries."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(stop,), name="clock")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(stop: threading.Event) -> None:
    tasks: list[tuple[float, Callable[[threading.Event], None]]] = [
        (MINUTE, line_up),
        (HOUR, check_integrations),
        (HOUR, forget_sign_ins),
        (24 * HOUR, prune_events),
    ]
    # A start has enough to do, and of several workers that start at once none is the only one to do it.
    due = [time.monotonic() + MINUTE] * len(tasks)
    while not stop.wait(max(min(due) - time.monotonic(), 0.0)):
        for number, (period, task) in enumerate(tasks):
            if due[number] > time.monotonic() or stop.is_set():
                continue
            due[number] = time.monotonic() + period
            try:
                task(stop)
            # The last stop of any error: one that ended the thread would end all that is due later, unnoticed.
            except Exception as error:
                reason = outage(error) if isinstance(error, DatabaseError | InterfaceError) else ""
                if reason:
                    logger.warning("%s was not done: %s", task.__name__, reason)
                else:
                    logger.exception("%s failed, and is tried again in %.0f s", task.__name__, period)
                connection.close()
    connection.close()


def line_up(stop: threading.Event) -> None:
    """Find threads in which nobody is in line though somebody waits: whatever changed the table by another way."""
    found = Delivery.objects.all().line_up_stranded()
    if found:
        logger.warning("%d threads had nobody in line", found)


def check_integrations(stop: threading.Event) -> None:
    try:
        with Flowdock() as flowdock:
            for integration, finding in source_checks.check_all(flowdock):
                if finding is not source_checks.Finding.WELL:
                    logger.info("%s: %s", integration, finding.value)
                if stop.is_set():
                    return
    except FlowdockUnavailable as error:
        logger.warning("integrations are checked later, because Flowdock is away: %s", error)
    source_checks.abandoned().delete()


def forget_sign_ins(stop: threading.Event) -> None:
    retention.forget_sign_ins()


def prune_events(stop: threading.Event) -> None:
    count = 0
    for batch in retention.prune():
        count += batch
        if stop.is_set():
            break
    logger.info("%d expired events were deleted", count)
