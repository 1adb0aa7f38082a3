"""What an accept and a claim take over one database: `python -m bench.growth`, as JSON in milliseconds, medians.

Run in turns over a database without a past and one with, so that what else the machine does weighs on both alike.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
import uuid

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
django.setup()

# ruff: noqa: E402  models can be imported only now

from django.db import connection
from django.utils import timezone

from bench.payloads import headers, issue
from integrations import ingest, periodic_tasks
from integrations.activity import Activity, Author, Thread
from integrations.delivery.attempts import Attempt, Outcome
from integrations.delivery.claims import Claim, claim
from integrations.delivery.dispatcher import Dispatcher
from integrations.delivery.outcomes import record
from integrations.models import Delivery, Event, Integration, Origin
from integrations.transactions import write_transaction

COUNT = 200
WAITING = 10_000
BACKLOG = 20_000


def accept_time(origin: Origin) -> float:
    """A webhook verified, read, decided and stored."""
    taken = []
    for number in range(COUNT):
        body = issue(number)
        signed = headers(body, origin.secret, str(uuid.uuid4()))
        began = time.perf_counter()
        ingest.accept(origin, body, signed)
        taken.append(time.perf_counter() - began)
    empty_outbox()
    return statistics.median(taken) * 1000


def claim_time(origin: Origin) -> float:
    """One activity found, leased and recorded by a dispatcher, without the post itself."""
    dispatcher = Dispatcher(1)
    taken = []
    for number in range(COUNT):
        ingest.post(origin, activity(f"timed:{number}"))
        began = time.perf_counter()
        claims = claim_due(dispatcher)
        for claimed in claims:
            claimed.attempts.extend(
                Attempt(each, Outcome.DELIVERED, "posted", timezone.now()) for each in claimed.deliveries
            )
        with write_transaction():
            record(claims, {})
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def claim_time_beside_a_crowd(origin: Origin) -> float:
    """The same for the others while ten thousand wait in one thread, which another worker has claimed."""
    back_up(WAITING, threads=1)
    claim_due(Dispatcher(1))
    time_beside = claim_time(origin)
    empty_outbox()
    return time_beside


def search_times() -> tuple[float, float]:
    """How long the search for stranded threads takes over a backlog, and the slowest accept while it runs."""
    back_up(BACKLOG, threads=200)
    crowd = Integration.objects.get(flowdock_id=2).origin
    began = time.perf_counter()
    periodic_tasks.schedule_stranded(threading.Event())
    took = time.perf_counter() - began
    stop = threading.Event()

    def look_again() -> None:
        while not stop.is_set():
            periodic_tasks.schedule_stranded(stop)
        connection.close()

    looking = threading.Thread(target=look_again)
    looking.start()
    accepted = []
    for number in range(100):
        body = issue(number)
        signed = headers(body, crowd.secret, str(uuid.uuid4()))
        before = time.perf_counter()
        ingest.accept(crowd, body, signed)
        accepted.append(time.perf_counter() - before)
    stop.set()
    looking.join()
    empty_outbox()
    return took * 1000, max(accepted) * 1000


def back_up(count: int, threads: int) -> None:
    """A backlog at octo/crowd: the first of each thread is scheduled, and blocks the others."""
    crowd = Integration.objects.get(flowdock_id=2)
    now = timezone.now()
    events = [
        Event(
            origin=crowd.origin,
            request_id=str(uuid.uuid4()),
            kind="issues",
            thread_id=f"crowd:{number % threads}",
            activity=activity(f"crowd:{number % threads}").as_json(),
        )
        for number in range(count)
    ]
    with write_transaction():
        Event.objects.bulk_create(events, batch_size=1000)
        Delivery.objects.bulk_create(
            [
                Delivery(
                    event=event,
                    integration=crowd,
                    thread_id=event.thread_id,
                    next_attempt_at=now if number < threads else None,
                )
                for number, event in enumerate(events)
            ],
            batch_size=1000,
        )


def claim_due(dispatcher: Dispatcher) -> list[Claim]:
    due = dispatcher._choose_due()
    with write_transaction():
        return claim(due)


def activity(thread_id: str) -> Activity:
    return Activity(Author("Lea Cohen"), "opened issue", thread_id, Thread("It breaks"))


def empty_outbox() -> None:
    Delivery.objects.pending().update(state="delivered", next_attempt_at=None, delivered_at=timezone.now())


def main() -> None:
    for number, name in ((1, "octo/timed"), (2, "octo/crowd")):
        if not Integration.objects.filter(flowdock_id=number).exists():
            origin = Origin.objects.create(service="github", name=name)
            Integration.objects.create(origin=origin, name=name, flow_token="bench", flowdock_id=number)
    origin = Integration.objects.get(flowdock_id=1).origin
    taken = {"accept": accept_time(origin), "claim": claim_time(origin), "crowded": claim_time_beside_a_crowd(origin)}
    taken["schedule_stranded"], taken["slowest"] = search_times()
    print(json.dumps(taken))


main()
