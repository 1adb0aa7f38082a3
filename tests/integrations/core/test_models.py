"""What the database promises, whoever writes to it, and what models do that no page shows."""

from __future__ import annotations

import gc
import io
import re
import threading
import time
import warnings
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import periodic_tasks
from integrations.models import Delivery, Event, Integration, Origin, new_hook_id

from .conftest import issue


def refused() -> pytest.RaisesContext[IntegrityError]:
    return pytest.raises(IntegrityError)


def test_source_belongs_to_one_integration(connect):
    connect("octo/a", flowdock_id=5)

    with refused(), transaction.atomic():
        connect("octo/b", flowdock_id=5)


def test_origin_is_connected_to_a_flow_only_once(connect, integration):
    with refused(), transaction.atomic():
        connect(origin=integration.origin, flow_id=integration.flow_id)
    integration.remove()

    assert connect(origin=integration.origin, flow_id=integration.flow_id).pk


def test_each_person_has_their_own_origin_of_a_repository(integration, django_user_model):
    lea, sam = (django_user_model.objects.create(username=name) for name in ("lea", "sam"))
    for person in (lea, sam):
        Origin.objects.create(service="github", name="octo/hello", created_by=person)

    with refused(), transaction.atomic():
        Origin.objects.create(service="github", name="octo/hello", created_by=lea)


def test_removed_integration_cannot_have_a_token(integration):
    with refused(), transaction.atomic():
        Integration.objects.update(removed_at=timezone.now())


def test_event_has_one_delivery_for_each_integration(send, integration):
    send(integration.origin, issue())

    with refused(), transaction.atomic():
        Delivery.objects.create(event=Event.objects.get(), integration=integration, state="filtered")


@pytest.mark.parametrize("columns", [{"state": "filtered"}, {"state": "delivered", "next_attempt_at": None}])
def test_ended_delivery_is_not_scheduled_and_posted_one_has_its_time(send, integration, columns):
    send(integration.origin, issue())

    with refused(), transaction.atomic():
        Delivery.objects.update(**columns)


def test_hook_id_is_easy_to_read_and_random():
    ids = {new_hook_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch(r"([a-km-np-z2-9]{4}-){2}[a-km-np-z2-9]{4}", each) for each in ids)


def test_pausing_a_removed_integration_restores_no_deliveries(send, integration, flowdock, log):
    send(integration.origin, issue())
    integration.remove()

    integration.pause()
    integration.resume()

    assert log() == [("dropped", "issue:7")]


def test_stranded_thread_is_scheduled_by_the_periodic_task(send, integration, flowdock, log):
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    Delivery.objects.update(next_attempt_at=None)  # as somebody's own SQL might

    periodic_tasks.schedule_stranded(threading.Event())
    call_command("deliver_activities", stdout=io.StringIO())

    assert {state for state, _ in log()} == {"delivered"}


def test_deliveries_of_a_paused_integration_are_not_scheduled(send, integration):
    send(integration.origin, issue(1))
    integration.pause()

    periodic_tasks.schedule_stranded(threading.Event())

    assert Delivery.objects.get().next_attempt_at is None


def test_new_event_does_not_overtake_a_stranded_thread(send, integration, flowdock):
    send(integration.origin, issue(1, title="older"))
    Delivery.objects.update(next_attempt_at=None)  # as while many threads are being scheduled after a pause

    send(integration.origin, issue(1, title="younger"))
    periodic_tasks.schedule_stranded(threading.Event())
    call_command("deliver_activities", stdout=io.StringIO())

    assert flowdock.titles == ["older", "younger"]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in time: {what}"
        time.sleep(0.02)


def back_up(integration: Integration, deliveries: int, threads: int) -> None:
    """A backlog in which the oldest delivery of each thread is scheduled."""
    now = timezone.now()
    events = [
        Event(origin=integration.origin, request_id=str(number), kind="issues", thread_id=f"issue:{number % threads}")
        for number in range(deliveries)
    ]
    Event.objects.bulk_create(events, batch_size=500)
    waiting = [
        Delivery(
            event=event,
            integration=integration,
            thread_id=event.thread_id,
            next_attempt_at=now if number < threads else None,
        )
        for number, event in enumerate(events)
    ]
    Delivery.objects.bulk_create(waiting, batch_size=500)


@pytest.mark.parametrize("paused", [False, True])
def test_search_for_stranded_threads_locks_nothing_if_there_are_none(integration, paused):
    back_up(integration, 100, threads=10)
    if paused:
        integration.pause()

    with CaptureQueriesContext(connection) as queries:
        periodic_tasks.schedule_stranded(threading.Event())

    assert len(queries) == 1
    assert queries[0]["sql"].startswith("SELECT")
    assert "FOR NO KEY UPDATE" not in queries[0]["sql"]


def test_many_threads_are_scheduled_in_several_short_transactions(integration, monkeypatch):
    monkeypatch.setattr("integrations.models.MAX_THREADS_LOCKED", 10)
    back_up(integration, 100, threads=50)
    integration.pause()

    with CaptureQueriesContext(connection) as queries:
        integration.resume()

    assert sum(query["sql"].startswith("UPDATE") and "next_attempt_at" in query["sql"] for query in queries) == 5
    assert Delivery.objects.scheduled().count() == 50


@pytest.mark.skipif(connection.vendor != "sqlite", reason="what SQLite takes for the best index")
def test_sqlite_finds_the_oldest_delivery_of_a_thread_in_the_outboxs_index(integration):
    waiting = Delivery.objects.pending().filter(integration=integration, thread_id="issue:1")

    plan = waiting.order_by("id").values("id")[:1].explain()

    assert "COVERING INDEX outbox_thread (integration_id=? AND thread_id=? AND state=?)" in plan
    assert "TEMP B-TREE" not in plan


def blocks_read() -> int:
    """How many blocks of the deliveries and their indexes this transaction has looked at."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_blocks_fetched(indexrelid)) + min(pg_stat_get_xact_blocks_fetched(indrelid))"
            " FROM pg_index WHERE indrelid = 'integrations_delivery'::regclass"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL counts the blocks that it reads")
@pytest.mark.postgresql
@pytest.mark.parametrize("threads", [10, 1000])
def test_postgresql_schedules_a_thread_without_reading_the_backlog(integration, threads):
    back_up(integration, 5000, threads)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE integrations_delivery")
    delivery = Delivery.objects.scheduled().order_by("id").last()
    before = blocks_read()

    delivery.drop("by somebody")

    assert blocks_read() - before < 150


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL counts the blocks that it reads")
@pytest.mark.postgresql
@pytest.mark.parametrize("threads", [10, 1000])
def test_postgresql_reads_a_backlog_once_to_find_stranded_threads(integration, threads):
    back_up(integration, 5000, threads)
    Delivery.objects.filter(thread_id="issue:1").update(next_attempt_at=None)
    before = blocks_read()

    periodic_tasks.schedule_stranded(threading.Event())

    assert blocks_read() - before < 10_000
    assert Delivery.objects.scheduled().count() == threads


@pytest.mark.django_db(transaction=True)
def test_periodic_tasks_go_on_after_any_error(send, integration, flowdock, settings, monkeypatch, caplog):
    monkeypatch.setattr(periodic_tasks, "MINUTE", 0.05)
    monkeypatch.setattr(periodic_tasks, "HOUR", 0.05)
    flowdock.mock.get(
        f"{flowdock.url}/sources", json=[{"id": 51, "name": "octo/hello", "url": f"{flowdock.url}/sources/51"}]
    )
    send(integration.origin, issue(), kind="ping")
    settings.EVENT_RETENTION_DAYS = None  # an error of ours: it cannot be counted with

    with periodic_tasks.run():
        until(lambda: "prune_events failed" in caplog.text, "the error")
        settings.EVENT_RETENTION_DAYS = -1
        until(lambda: not Event.objects.exists(), "the next run of prune_events")
    with warnings.catch_warnings():
        # Django leaves the connection of the tasks' thread open if the database is in memory.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

    assert "Traceback" in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans without statistics")
@pytest.mark.postgresql
def test_postgresql_analyzes_the_outbox_often(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'integrations_delivery'")
        (options,) = cursor.fetchone()

    assert "autovacuum_analyze_scale_factor=0" in options
