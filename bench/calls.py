"""How long the bridge's calls take over one database: `python -m bench.calls COUNT`, as JSON in milliseconds.

It is run in turns over an empty database and one with a past, so that what else the machine does affects both alike. A
time is that of the lower quartile, which other work affects less than the median.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import threading
import time
import uuid
from urllib.parse import parse_qs, urlsplit

import django
import responses

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
django.setup()

# ruff: noqa: E402  models can be imported only now

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone

from bench.payloads import headers, issue
from integrations import ingest, periodic_tasks, retention
from integrations.activity import Activity, Author, Thread
from integrations.deciding import decide_waiting
from integrations.delivery.attempts import Attempt, Outcome
from integrations.delivery.claims import Claim, claim
from integrations.delivery.dispatcher import Dispatcher
from integrations.delivery.outcomes import record
from integrations.models import Delivery, Event, Integration, Origin
from integrations.transactions import write_transaction
from tests.integrations.pages.flowdock_double import MAIN, FlowdockDouble

COUNT = int(sys.argv[1])  # of calls of each kind
WAITING = 50 * COUNT
BACKLOG = 100 * COUNT


def usual(taken: list[float]) -> float:
    """The lower quartile of the seconds, in milliseconds."""
    return sorted(taken)[len(taken) // 4] * 1000


def accept_and_decide_times(origin: Origin) -> tuple[float, float]:
    """A webhook verified, read and stored; and an event decided, when COUNT of them wait."""
    taken = []
    for number in range(COUNT):
        body = issue(number)
        signed = headers(body, origin.secret, str(uuid.uuid4()))
        began = time.perf_counter()
        ingest.accept(origin, body, signed)
        taken.append(time.perf_counter() - began)
    began = time.perf_counter()
    decide_waiting()
    decided = (time.perf_counter() - began) / COUNT * 1000
    empty_outbox()
    return usual(taken), decided


def claim_time(origin: Origin) -> float:
    """One activity found, leased and recorded by a dispatcher, without the post itself."""
    dispatcher = Dispatcher(1)
    taken = []
    for number in range(COUNT):
        ingest.post(origin, activity(f"timed:{number}"))
        decide_waiting()
        began = time.perf_counter()
        claims = claim_due(dispatcher)
        for claimed in claims:
            claimed.attempts.extend(
                Attempt(each, Outcome.DELIVERED, "posted", timezone.now()) for each in claimed.deliveries
            )
        with write_transaction():
            record(claims, {})
        taken.append(time.perf_counter() - began)
    return usual(taken)


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


def wide_accept_times(one: Origin, many: Origin) -> tuple[float, float]:
    """Accepts at an origin with one integration and, in turns, at an origin with many."""
    taken: dict[int, list[float]] = {one.pk: [], many.pk: []}
    for number in range(COUNT // 4):
        for origin in (one, many):
            body = issue(number)
            signed = headers(body, origin.secret, str(uuid.uuid4()))
            began = time.perf_counter()
            ingest.accept(origin, body, signed)
            taken[origin.pk].append(time.perf_counter() - began)
    empty_outbox()
    return usual(taken[one.pk]), usual(taken[many.pk])


def prune_time() -> float:
    """A batch of expired events deleted."""
    integration = Integration.objects.get(flowdock_id=1)
    old = timezone.now() - dt.timedelta(days=settings.EVENT_RETENTION_DAYS + 1)
    with write_transaction():
        events = Event.objects.bulk_create(
            Event(origin=integration.origin, request_id=str(uuid.uuid4()), kind="issues", received_at=old)
            for _ in range(retention.BATCH)
        )
        Delivery.objects.bulk_create(
            Delivery(event=event, integration=integration, state="filtered", next_attempt_at=None) for event in events
        )
    began = time.perf_counter()
    if sum(retention.prune()) != len(events):
        raise SystemExit("not all expired events were deleted")
    return (time.perf_counter() - began) * 1000


def page_times() -> dict[str, float]:
    """The main pages, as a person who is signed in with Flowdock gets them. The Flowdock is a double."""
    integration = Integration.objects.get(flowdock_id=1)
    page = f"/integrations/{integration.pk}/"
    latest = Delivery.objects.filter(integration=integration).latest("pk")
    pages = {
        "home": "/",
        "integration": page,
        "integration, filtered events": f"{page}?verdict=filtered",
        "event": f"{page}events/{latest.pk}/",
        "set-up": f"/flowdock/setup?flow={MAIN}",
    }
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        FlowdockDouble(mock)
        browser = Client(SERVER_NAME="bridge.test")
        state = parse_qs(urlsplit(browser.get("/sign-in/")["Location"]).query)["state"][0]
        browser.get("/complete/flowdock/", {"code": "demo", "state": state})
        return {f"page: {name}": page_time(browser, path) for name, path in pages.items()}


def admin_times() -> dict[str, float]:
    """The admin's overview and lists, as staff get them."""
    staff = get_user_model().objects.filter(is_superuser=True).first()
    staff = staff or get_user_model().objects.create_superuser("staff", "staff@example.com", "not needed")
    browser = Client(SERVER_NAME="bridge.test")
    browser.force_login(staff, backend="integrations.passwords.PasswordBackend")
    lists = {f"{name} list": f"/admin/integrations/{name}/" for name in ("origin", "integration", "event", "delivery")}
    return {f"admin: {name}": page_time(browser, path) for name, path in {"overview": "/admin/", **lists}.items()}


def page_time(browser: Client, path: str) -> float:
    taken = []
    browser.get(path)  # warm
    for _ in range(max(COUNT // 10, 3)):
        began = time.perf_counter()
        answer = browser.get(path)
        taken.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code} {answer.get('Location', '')}")
    return usual(taken)


def activity(thread_id: str) -> Activity:
    return Activity(Author("Lea Cohen"), "opened issue", thread_id, Thread("It breaks"))


def empty_outbox() -> None:
    decide_waiting()
    Delivery.objects.pending().update(state="delivered", next_attempt_at=None, delivered_at=timezone.now())


def connected(name: str, flowdock_id: int, integrations: int = 1) -> Origin:
    """An origin with so many integrations, the first of which has this id in Flowdock."""
    known = Integration.objects.filter(flowdock_id=flowdock_id).select_related("origin").first()
    if known:
        return known.origin
    origin = Origin.objects.create(service="github", name=name)
    Integration.objects.bulk_create(
        Integration(
            origin=origin,
            name=name,
            flow_token="bench",
            flowdock_id=flowdock_id + number,
            flow_id=MAIN if not number and flowdock_id == 1 else f"{name}:{number}",
        )
        for number in range(integrations)
    )
    return origin


def main() -> None:
    timed, wide = connected("octo/timed", 1), connected("octo/wide", 1000, 1000)
    connected("octo/crowd", 2)
    taken = dict(zip(("accept", "decide"), accept_and_decide_times(timed), strict=True))
    taken["claim"] = claim_time(timed)
    taken["one integration"], taken["1,000 integrations"] = wide_accept_times(timed, wide)
    taken |= page_times() | admin_times() | {"prune": prune_time()}
    taken["claim beside a crowd"] = claim_time_beside_a_crowd(timed)
    taken["schedule_stranded"], taken["slowest accept meanwhile"] = search_times()
    print(json.dumps(taken))


main()
