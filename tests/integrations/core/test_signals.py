"""The door for own apps: after their transaction, by the same way as everything else, and never to their cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import OperationalError, connection, transaction

from integrations.activity import Activity, Author, Field, Thread
from integrations.deciding import decide_waiting
from integrations.models import Delivery, Event
from integrations.signals import happened

VOTED = Activity(author=Author("Lea Cohen"), title="voted", thread_id="poll:1", thread=Thread("Lunch?"))


def say(activity: Activity | Callable[[], Activity] = VOTED, **more) -> None:
    happened.send(sender=None, service="github", origin="octo/hello", activity=activity, **more)


def test_signal_is_stored_after_the_transaction_commits(integration, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        say()
        assert not Event.objects.exists()

    decide_waiting()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.thread_id) == ("pending", "poll:1")
    assert delivery.event.read_activity() == VOTED
    assert str(delivery.event) == "Lea Cohen voted Lunch?"


@pytest.mark.django_db(transaction=True)
def test_signal_in_a_rolled_back_transaction_is_not_posted(integration):
    with transaction.atomic():
        say()
        transaction.set_rollback(True)

    assert not Event.objects.exists()


def test_signal_reaches_every_integration_of_the_origin(connect, integration, django_capture_on_commit_callbacks):
    connect(origin=integration.origin)
    connect("octo/hello")
    connect("octo/other")

    with django_capture_on_commit_callbacks(execute=True):
        say()

    decide_waiting()
    assert Delivery.objects.count() == 3


def test_signal_of_an_unconnected_origin_is_ignored(db, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        say()

    assert not Event.objects.exists()


def test_signal_with_a_known_idempotency_key_is_not_posted_again(integration, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        say(idempotency_key="vote-1")
        say(idempotency_key="vote-1")

    assert Event.objects.count() == 1


def test_activity_function_is_called_once_its_turn_has_come(integration, django_capture_on_commit_callbacks):
    votes = 0

    def counted() -> Activity:
        return replace(VOTED, thread=Thread("Lunch?", fields=(Field("Pizza", f"{votes} votes"),)))

    with django_capture_on_commit_callbacks(execute=True):
        votes = 1
        say(counted)
        votes = 2

    assert Event.objects.get().read_activity().thread.fields == (Field("Pizza", "2 votes"),)


def test_error_of_an_activity_function_is_logged_and_not_raised_in_the_app(
    integration, django_capture_on_commit_callbacks, caplog
):
    def fail() -> Activity:
        raise LookupError("the poll is gone")

    with django_capture_on_commit_callbacks(execute=True):
        say(fail)

    assert "the poll is gone" in caplog.text
    assert not Event.objects.exists()


def test_signal_with_a_kind_is_filtered_by_it(connect, django_capture_on_commit_callbacks):
    connect(filters={"events": {"none_of": ["voted"]}})

    with django_capture_on_commit_callbacks(execute=True):
        say()
        say(kind="voted")
        say(kind="closed")

    decide_waiting()
    assert list(Delivery.objects.order_by("pk").values_list("event__kind", "state")) == [
        ("activity", "pending"),
        ("voted", "filtered"),
        ("closed", "pending"),
    ]


def test_database_error_is_logged_and_not_raised_in_the_app(integration, django_capture_on_commit_callbacks, caplog):
    def fail(execute, sql, params, many, context):
        raise OperationalError("the disk is full")

    with connection.execute_wrapper(fail), django_capture_on_commit_callbacks(execute=True):
        say()

    assert "was not posted" in caplog.text
    assert not Event.objects.exists()
