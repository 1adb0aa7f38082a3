"""Between accepting an event and delivering it: what is decided, in which order, and what trouble stays whose."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DataError, connection

from integrations import deciding, ingest, statements
from integrations.activity import Activity, Author, Field, Thread
from integrations.deciding import Decider, decide_waiting
from integrations.models import Delivery, Event, Integration
from integrations.services import SERVICES
from integrations.services.base import UnreadablePayload

from .conftest import issue


def activity(what: str, thread_id: str = "one", **thread) -> Activity:
    return Activity(Author("Lea"), what, thread_id, Thread(**({"title": "Thread"} | thread)))


def titles() -> list[str]:
    """Of the events that have been decided, in the order of their deliveries."""
    return [each.event.subject for each in Delivery.objects.select_related("event").order_by("id")]


def test_accepted_event_awaits_its_decision(send, integration):
    send(integration.origin, issue(title="Emoji"), decide=False)

    event = Event.objects.get()
    assert event.awaits_decision
    assert (event.kind, event.action, event.subject) == ("issues", "opened", "Emoji")
    assert event.activity is None
    assert not Delivery.objects.exists()

    assert decide_waiting() == 1
    assert Delivery.objects.get().state == "pending"
    assert Event.objects.get().activity["thread"]["title"]
    assert decide_waiting() == 0


def test_events_of_an_origin_are_decided_in_the_order_of_their_arrival(send, integration, monkeypatch):
    monkeypatch.setattr(deciding, "MAX_EVENTS", 3)
    for number in range(10):
        send(integration.origin, issue(number, title=f"Number {number}"), decide=False)

    decider = Decider()
    assert [decider.decide_some() for _ in range(4)] == [3, 3, 3, 1]
    assert titles() == [f"Number {number}" for number in range(10)]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two"])
def test_thread_keeps_what_its_next_event_does_not_contain(integration, at_once):
    ingest.post(integration.origin, activity("opened", body="<p>All of it</p>", fields=(Field("Branch", "main"),)))
    if not at_once:
        decide_waiting()
    ingest.post(integration.origin, activity("checked", title="New", keeps=("body", "Branch"), fields=()))
    ingest.post(integration.origin, activity("other", "two", title="Other", keeps=("body",), body="given"))
    decide_waiting()

    _, checked, other = Event.objects.order_by("id")
    assert checked.read_activity().thread == Thread("New", body="<p>All of it</p>", fields=(Field("Branch", "main"),))
    assert other.read_activity().thread.body == "given"


def test_origin_with_many_events_does_not_make_another_wait(send, connect, integration, monkeypatch):
    monkeypatch.setattr(deciding, "MAX_EVENTS", 4)
    quiet = connect("octo/quiet")
    for number in range(20):
        send(integration.origin, issue(number), decide=False)
    send(quiet.origin, issue(1), decide=False)

    Decider().decide_some()

    assert quiet.deliveries.count() == 1
    assert integration.deliveries.count() == 2


def test_every_origin_gets_its_turn(send, connect, monkeypatch):
    monkeypatch.setattr(deciding, "ORIGINS", 2)
    monkeypatch.setattr(deciding, "MAX_EVENTS", 2)
    integrations = [connect(f"octo/{number}") for number in range(5)]
    for number in range(4):
        for each in integrations:
            send(each.origin, issue(number), decide=False)

    decider = Decider()
    for _ in range(3):
        decider.decide_some()

    assert min(each.deliveries.count() for each in integrations) == 1
    while decider.decide_some():
        pass
    assert [each.deliveries.count() for each in integrations] == [4] * 5


def test_large_bodies_are_not_read_together(send, integration, monkeypatch):
    monkeypatch.setattr(deciding, "MAX_BYTES", 10_000)
    for number in range(3):
        send(integration.origin, issue(number, padding="x" * 8000), decide=False)

    assert Decider().decide_some() == 1


def test_origin_with_many_flows_is_decided_in_small_parts(send, connect, integration, monkeypatch):
    monkeypatch.setattr(deciding, "MAX_DELIVERIES", 6)
    connect(origin=integration.origin)
    connect(origin=integration.origin)
    for number in range(5):
        send(integration.origin, issue(number), decide=False)

    assert Decider().decide_some() == 2


def break_column(column: str, pk: int) -> None:
    with connection.cursor() as cursor:
        # JSON allows such a number, and Python refuses to read it.
        cursor.execute(f"UPDATE integrations_event SET {column} = %s WHERE id = %s", [f"[{'7' * 5000}]", pk])  # noqa: S608


@pytest.mark.parametrize("column", ["headers", "activity"])
def test_event_that_cannot_be_loaded_is_not_posted_and_the_next_ones_are(send, integration, column):
    for number in range(3):
        send(integration.origin, issue(number), decide=False)
    break_column(column, Event.objects.order_by("id")[1].pk)

    assert decide_waiting() == 3
    first, broken, last = Delivery.objects.order_by("id").defer("event")
    assert (first.state, broken.state, last.state) == ("pending", "unposted", "pending")
    assert broken.reason == "the stored event can no longer be read (ValueError)"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnreadablePayload("issue.title is missing"), "the stored event can no longer be read: issue.title is missing"),
        (LookupError("secret"), "an error in the bridge: LookupError"),
    ],
)
def test_event_that_cannot_be_read_again_is_not_posted_and_the_next_ones_are(
    send, integration, monkeypatch, error, reason
):
    for number in range(3):
        send(integration.origin, issue(number), decide=False)
    read = type(SERVICES["github"]).read

    def read_all_but_one(self, body, headers):
        if b"issues/1" in body:
            raise error
        return read(self, body, headers)

    monkeypatch.setattr(type(SERVICES["github"]), "read", read_all_but_one)

    decide_waiting()
    assert list(Delivery.objects.order_by("id").values_list("state", "reason")) == [
        ("pending", ""), ("unposted", reason), ("pending", ""),
    ]  # fmt: skip


def test_event_that_the_database_refuses_to_decide_is_not_posted_and_the_next_ones_are(
    send, connect, integration, monkeypatch
):
    other = connect("octo/other")
    for number in range(3):
        send(integration.origin, issue(number), decide=False)
        send(other.origin, issue(number), decide=False)
    refused = Event.objects.filter(origin=integration.origin).order_by("id")[1].pk
    mark_decided = statements.mark_decided

    def refuse(decided):
        if refused in {pk for pk, *_ in decided}:
            raise DataError("this row does not fit")
        mark_decided(decided)

    monkeypatch.setattr(statements, "mark_decided", refuse)

    decide_waiting()
    assert list(integration.deliveries.order_by("event").values_list("state", flat=True)) == [
        "pending", "unposted", "pending",
    ]  # fmt: skip
    assert "cannot be read or written (DataError)" in integration.deliveries.get(event=refused).reason
    assert set(other.deliveries.values_list("state", flat=True)) == {"pending"}


@pytest.mark.django_db(transaction=True)
def test_what_is_interrupted_is_decided_again(send, integration, monkeypatch):
    send(integration.origin, issue(), decide=False)
    with monkeypatch.context() as patch:

        def interrupt(*arguments):
            raise KeyboardInterrupt

        patch.setattr(deciding, "_note_first_events", interrupt)
        with pytest.raises(KeyboardInterrupt):
            decide_waiting()
    assert not Delivery.objects.exists()

    assert decide_waiting() == 1
    assert Delivery.objects.get().state == "pending"


def test_flow_that_is_connected_later_does_not_get_what_waits(send, connect, integration):
    send(integration.origin, issue(), decide=False)
    Event.objects.update(received_at=integration.created_at - dt.timedelta(hours=1))
    Integration.objects.filter(pk=integration.pk).update(created_at=integration.created_at - dt.timedelta(days=1))
    later = connect(origin=integration.origin)

    decide_waiting()

    assert (integration.deliveries.count(), later.deliveries.count()) == (1, 0)


def test_event_of_a_removed_integration_has_no_delivery(send, integration):
    send(integration.origin, issue(), decide=False)
    integration.remove()

    assert decide_waiting() == 1
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("size", [0, 100, 1999, 2000, 50_000])
def test_body_is_stored_as_received_and_large_ones_compressed(send, integration, size):
    payload = issue(padding="x" * size)
    send(integration.origin, payload)

    event = Event.objects.get()
    assert event.body_size == len(event.body)
    assert event.read_again().kind == "issues"
    with connection.cursor() as cursor:
        cursor.execute("SELECT length(body) FROM integrations_event")
        (stored,) = cursor.fetchone()
    assert stored < 2010


def test_number_of_statements_does_not_grow_with_the_number_of_events(send, integration, django_assert_max_num_queries):
    for number in range(40):
        send(integration.origin, issue(number), decide=False)

    with django_assert_max_num_queries(18):
        assert decide_waiting() == 40
