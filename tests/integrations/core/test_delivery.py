"""From the outbox to Flowdock: in order, once, and what happens when something goes wrong."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from integrations.delivery import breaker
from integrations.delivery.attempts import TOKEN_REFUSED
from integrations.delivery.claims import lease_length
from integrations.delivery.dispatcher import Dispatcher
from integrations.models import Delivery, Event, Integration
from integrations.workers import Heartbeat

from .conftest import issue


def deliver(code: int = 0, **options) -> None:
    if not code:
        call_command("deliver_activities", **options)
        return
    with pytest.raises(SystemExit) as exit:
        call_command("deliver_activities", **options)
    assert exit.value.code == code


def seconds_until_due(delivery: Delivery) -> float:
    delivery.refresh_from_db()
    wait = Delivery.objects.values_list(F("next_attempt_at") - Now(), flat=True).get(pk=delivery.pk)
    return wait.total_seconds()


def test_accepted_event_is_posted(send, integration, flowdock):
    send(integration.origin, issue(7))

    deliver()

    (message,) = flowdock.posts
    delivery = Delivery.objects.get()
    assert message["flow_token"] == "token-1"
    assert message["thread_id"] == "issue:7"
    assert message["uuid"] == str(delivery.uuid)
    assert delivery.state == "delivered"
    assert delivery.flowdock_thread_id == "T-issue:7"
    assert delivery.next_attempt_at is None
    assert [(entry["status"], entry["outcome"]) for entry in delivery.attempts] == [(201, "posted")]


def test_delivered_activity_is_not_posted_again(send, integration, flowdock):
    send(integration.origin, issue())

    deliver()
    deliver()

    assert len(flowdock.tries) == 1


def test_thread_is_posted_in_the_order_of_its_events(send, connect, flowdock):
    integrations = [connect(f"octo/{name}") for name in "abc"]
    for number in range(60):
        send(integrations[number % 3].origin, issue(number % 2, title=str(number)))

    deliver()

    for integration in integrations:
        for thread in ("issue:0", "issue:1"):
            titles = [
                int(message["thread"]["title"])
                for message in flowdock.posts
                if (message["flow_token"], message["thread_id"]) == (integration.flow_token, thread)
            ]
            assert titles == sorted(titles)
    assert len(flowdock.posts) == 60


def test_long_thread_is_posted_completely(send, integration, flowdock):
    for number in range(45):
        send(integration.origin, issue(1, title=str(number)))

    deliver()

    assert flowdock.titles == [str(number) for number in range(45)]


def test_server_error_delays_only_its_thread(send, integration, flowdock, log):
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    flowdock.by_thread["issue:1"] = (500, {}, "{}")

    deliver()

    assert log() == [("pending", "issue:1"), ("pending", "issue:1"), ("delivered", "issue:2")]
    first = Delivery.objects.first()
    assert 0 < seconds_until_due(first) <= 1
    assert first.reason == "Flowdock answered 500"


def test_postponed_delivery_is_posted_before_the_rest_of_its_thread(send, integration, flowdock, pass_time):
    for title in "abc":
        send(integration.origin, issue(1, title=title))
    flowdock.fail(503)
    deliver()
    assert flowdock.titles == []

    pass_time(2)
    deliver()

    assert flowdock.titles == ["a", "b", "c"]
    first, again = flowdock.tries[0], flowdock.tries[1]
    assert first["uuid"] == again["uuid"]


def test_failure_in_the_middle_of_a_claim_postpones_the_rest_of_the_thread(send, integration, flowdock, pass_time, log):
    for title in "abcd":
        send(integration.origin, issue(1, title=title))
    flowdock.answers += [(201, {}, "{}"), (500, {}, "{}")]
    deliver()

    assert [state for state, _ in log()] == ["delivered", "pending", "pending", "pending"]
    second = Delivery.objects.order_by("id")[1]
    assert 0 < seconds_until_due(second) <= 1
    assert len(second.attempts) == 1
    pass_time(2)
    deliver()
    assert flowdock.titles == ["a", "b", "c", "d"]


def test_backoff_grows_with_each_attempt_up_to_fifteen_minutes(send, integration, flowdock, pass_time):
    send(integration.origin, issue())
    flowdock.by_thread["issue:7"] = (500, {}, "{}")
    delivery = Delivery.objects.get()
    waits = []
    for _ in range(25):
        deliver()
        waits.append(seconds_until_due(delivery))
        pass_time(901)

    assert all(0.4 * 2**number <= wait <= 2**number for number, wait in enumerate(waits[:9]))
    assert all(445 <= wait <= 900 for wait in waits[11:])
    assert len(set(waits[11:])) > 1
    assert len(delivery.attempts) == 20


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_respected(send, integration, flowdock, as_date):
    send(integration.origin, issue())
    date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120), usegmt=True)
    flowdock.fail(429, Retry_After=date if as_date else "120")

    deliver()

    delivery = Delivery.objects.get()
    assert 115 <= seconds_until_due(delivery) <= 135
    assert delivery.reason == "Flowdock limits the rate of requests"
    assert delivery.attempts[0]["status"] == 429


def test_retry_after_of_years_is_limited(send, integration, flowdock):
    send(integration.origin, issue())
    flowdock.fail(503, Retry_After="999999999")

    deliver()

    assert seconds_until_due(Delivery.objects.get()) <= 3600 * 1.1


@pytest.mark.parametrize("is_cut", [True, False])
def test_message_without_an_answer_is_retried_and_shows_no_token(send, integration, flowdock, unreachable, is_cut):
    send(integration.origin, issue())
    flowdock.cuts_connections = is_cut
    unreachable(not is_cut)

    deliver()

    delivery = Delivery.objects.get()
    assert delivery.state == "pending"
    assert delivery.attempts[0]["status"] is None
    assert "token-1" not in f"{delivery.reason}{delivery.attempts}"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_message_fails_with_the_reason_and_its_thread_continues(send, integration, flowdock, status, log):
    send(integration.origin, issue(1))
    send(integration.origin, issue(1))
    flowdock.answers.append((status, {}, '{"message": "Validation error", "errors": {"title": ["is too long"]}}'))

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered"]
    failed = Delivery.objects.get(state="failed")
    assert "title is too long" in failed.reason
    assert failed.attempts[0]["status"] == status


def test_removed_source_ends_the_integration(send, connect, integration, flowdock, log):
    other = connect("octo/other")
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    send(other.origin, issue(3))
    flowdock.by_token[integration.flow_token] = (410, {}, "{}")

    deliver()

    integration.refresh_from_db()
    assert integration.removed_at
    assert integration.flow_token == ""
    assert [state for state, _ in log()] == ["dropped", "dropped", "dropped", "delivered"]
    assert send(integration.origin, issue()).status_code == 410


def test_integration_with_a_refused_token_needs_attention_and_waits(send, connect, integration, flowdock, log):
    other = connect("octo/other")
    for number in range(40):
        send(integration.origin, issue(number))
    send(other.origin, issue())
    flowdock.by_token[integration.flow_token] = (401, {}, "{}")

    deliver()

    integration.refresh_from_db()
    assert integration.problem == TOKEN_REFUSED
    assert integration.state == Integration.State.ATTENTION
    assert [state for state, _ in log()] == ["pending"] * 40 + ["delivered"]
    # Not each of them had to find out.
    assert len(flowdock.tries) < 25
    assert min(seconds_until_due(delivery) for delivery in Delivery.objects.pending()) > 600


def test_problem_is_cleared_here_and_in_flowdock_once_a_message_is_posted(send, integration, flowdock, pass_time):
    for number in range(3):
        send(integration.origin, issue(number))
    flowdock.by_token[integration.flow_token] = (401, {}, "{}")
    deliver()
    flowdock.by_token.clear()
    pass_time(901)

    deliver()

    integration.refresh_from_db()
    assert integration.problem == ""
    assert len(flowdock.posts) == 3
    assert [told["error_message"] for told in flowdock.told] == [TOKEN_REFUSED, ""]


def test_problem_that_cannot_be_reported_to_flowdock_does_not_stop_deliveries(send, integration, flowdock):
    send(integration.origin, issue())
    flowdock.by_token[integration.flow_token] = (401, {}, "{}")
    flowdock.mock.replace("PUT", f"{flowdock.url}/sources", status=401)

    deliver()

    integration.refresh_from_db()
    assert integration.problem


def test_delivery_with_an_unreadable_activity_fails_with_the_reason(send, integration, flowdock, log):
    send(integration.origin, issue(1))
    Event.objects.update(activity={"title": "of another time"})
    send(integration.origin, issue(1))

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered"]
    assert "author is missing" in Delivery.objects.get(state="failed").reason


def test_bug_in_the_bridge_fails_only_its_message(send, integration, flowdock, log, caplog):
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    Event.objects.filter(deliveries=Delivery.objects.first()).update(activity=1)

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered", "delivered"]
    assert "error in the bridge" in Delivery.objects.first().reason
    assert any(record.exc_info for record in caplog.records)


def test_paused_integration_posts_nothing_until_it_is_resumed(send, connect, integration, flowdock, log):
    send(integration.origin, issue(1))
    integration.pause()
    send(integration.origin, issue(1))
    send(connect("octo/other").origin, issue(5))
    deliver()
    assert [state for state, _ in log()] == ["pending", "pending", "delivered"]

    integration.resume()
    deliver()

    assert [state for state, _ in log()] == ["delivered"] * 3


def test_retried_delivery_waits_for_earlier_ones_of_its_thread(send, integration, flowdock, pass_time):
    for title in "abc":
        send(integration.origin, issue(1, title=title))
    flowdock.fail(422)
    flowdock.fail(500)
    deliver()

    failed = Delivery.objects.get(state="failed")
    failed.retry()
    assert (failed.state, failed.next_attempt_at) == ("pending", None)
    pass_time(2)
    deliver()

    assert flowdock.titles == ["b", "a", "c"]


def test_thread_continues_after_a_dropped_delivery(send, integration, flowdock, log):
    send(integration.origin, issue(1, title="a"))
    send(integration.origin, issue(1, title="b"))

    Delivery.objects.first().drop("dropped by sam")
    deliver()

    assert flowdock.titles == ["b"]
    assert [state for state, _ in log()] == ["dropped", "delivered"]


def test_ended_deliveries_are_neither_dropped_nor_retried(send, integration, flowdock, log):
    send(integration.origin, issue())
    deliver()

    delivery = Delivery.objects.get()
    delivery.drop("too late")
    delivery.retry()

    assert [state for state, _ in log()] == ["delivered"]


def test_deliveries_of_a_removed_integration_are_not_retried(send, integration, flowdock, log):
    send(integration.origin, issue())
    integration.remove()

    Delivery.objects.get().retry()

    assert [state for state, _ in log()] == ["dropped"]


def test_open_breaker_limits_attempts_while_flowdock_does_not_respond(
    send, connect, flowdock, unreachable, log, pass_time, caplog
):
    caplog.set_level(logging.INFO)
    for number in range(100):
        send(connect(f"octo/{number}").origin, issue(number))
    unreachable(True)

    deliver(code=1, senders=16)

    assert {state for state, _ in log()} == {"pending"}
    assert sum(bool(delivery.attempts) for delivery in Delivery.objects.all()) <= 32
    assert "Flowdock is not responding" in caplog.text

    unreachable(False)
    pass_time(5)
    deliver()
    assert {state for state, _ in log()} == {"delivered"}


def test_integration_without_answers_is_held_back_after_some_threads(
    send, integration, flowdock, unreachable, log, pass_time
):
    for number in range(100):
        send(integration.origin, issue(number))
    unreachable(True)

    deliver(code=1)

    assert {state for state, _ in log()} == {"pending"}
    assert sum(bool(delivery.attempts) for delivery in Delivery.objects.all()) <= 16

    unreachable(False)
    pass_time(5)
    deliver()
    assert {state for state, _ in log()} == {"delivered"}


def test_rate_limit_delays_only_its_integration(send, connect, integration, flowdock, pass_time):
    other = connect("octo/other")
    for number in range(100):
        send(integration.origin, issue(number))
    flowdock.by_token[integration.flow_token] = (429, {"Retry-After": "120"}, "{}")

    deliver()
    tried = len(flowdock.tries)
    send(other.origin, issue(1))
    deliver()

    assert [message["flow_token"] for message in flowdock.posts] == [other.flow_token]
    assert tried <= 16
    assert min(seconds_until_due(delivery) for delivery in Delivery.objects.pending()) > 110
    pass_time(60)
    deliver()
    assert len(flowdock.tries) == tried + 1


@pytest.mark.parametrize(("seconds", "are_put_off"), [("1", False), ("60", True)])
def test_short_hold_is_not_written_to_waiting_deliveries(send, integration, flowdock, seconds, are_put_off):
    for number in range(10):
        send(integration.origin, issue(number))
    flowdock.fail(429, Retry_After=seconds)

    deliver()

    untried = Delivery.objects.pending().filter(attempts=[])
    assert len(flowdock.tries) == 1
    assert untried.count() == 9
    assert {delivery.next_attempt_at > timezone.now() for delivery in untried} == {are_put_off}


def test_undecipherable_token_needs_attention_and_stops_no_other_integration(
    send, connect, integration, flowdock, settings, pass_time
):
    send(integration.origin, issue(1))
    keys, settings.FIELD_KEYS = settings.FIELD_KEYS, [Fernet.generate_key().decode()]
    send(connect("octo/other").origin, issue(2))

    deliver()

    assert [message["thread_id"] for message in flowdock.posts] == ["issue:2"]
    locked = Integration.objects.get(pk=integration.pk)
    assert locked.state == Integration.State.ATTENTION
    assert "FIELD_KEYS" in locked.problem
    assert flowdock.told == []

    settings.FIELD_KEYS = [*settings.FIELD_KEYS, *keys]
    pass_time(901)
    deliver()

    assert [message["thread_id"] for message in flowdock.posts] == ["issue:2", "issue:1"]
    assert Integration.objects.get(pk=integration.pk).problem == ""


@pytest.mark.parametrize("words", ["\\ud800", "\\u0000", "a\\udfff\\u0000b"])
def test_refusal_with_unstorable_text_fails_only_its_message(send, connect, integration, flowdock, log, words):
    send(integration.origin, issue(1))
    send(connect("octo/other").origin, issue(2))
    flowdock.by_thread["issue:1"] = (400, {}, f'{{"message": "no: {words}"}}')

    deliver()

    assert log() == [("failed", "issue:1"), ("delivered", "issue:2")]
    assert "no: " in Delivery.objects.get(state="failed").reason


@pytest.mark.parametrize("column", ["activity", "attempts"])
def test_unreadable_row_fails_alone_and_its_thread_continues(send, connect, integration, flowdock, log, column):
    for title in "abc":
        send(integration.origin, issue(1, title=title))
    send(connect("octo/other").origin, issue(2, title="d"))
    middle = Delivery.objects.order_by("id")[1]
    table, pk = ("event", middle.event_id) if column == "activity" else ("delivery", middle.pk)
    with connection.cursor() as cursor:
        # A number that Python refuses to read, and JSON allows.
        cursor.execute(f"UPDATE integrations_{table} SET {column} = %s WHERE id = %s", [f"[{'7' * 5000}]", pk])  # noqa: S608

    deliver()

    assert sorted(flowdock.titles) == ["a", "c", "d"]
    assert log() == [
        ("delivered", "issue:1"), ("failed", "issue:1"), ("delivered", "issue:1"), ("delivered", "issue:2"),
    ]  # fmt: skip
    assert "cannot be read" in Delivery.objects.defer("attempts").get(pk=middle.pk).reason


@pytest.fixture
def trigger(db) -> Callable[[Delivery, str], None]:
    """Have the database refuse each update of a delivery that fulfills a condition about NEW."""

    def make(delivery: Delivery, condition: str) -> None:
        on = f"BEFORE UPDATE ON integrations_delivery FOR EACH ROW WHEN (NEW.id = {delivery.pk} AND {condition})"
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f"CREATE TRIGGER odd {on} BEGIN SELECT RAISE(ABORT, 'odd'); END")
            else:
                cursor.execute("CREATE FUNCTION odd() RETURNS trigger AS $$ BEGIN RAISE 'odd'; END $$ LANGUAGE plpgsql")
                cursor.execute(f"CREATE TRIGGER odd {on} EXECUTE FUNCTION odd()")

    return make


def test_outcome_that_the_database_refuses_fails_only_its_delivery(send, connect, integration, flowdock, log, trigger):
    for title in "abc":
        send(integration.origin, issue(1, title=title))
    send(connect("octo/other").origin, issue(2, title="d"))
    trigger(Delivery.objects.order_by("id")[1], "NEW.state = 'delivered'")

    deliver()

    assert sorted(flowdock.titles) == ["a", "b", "c", "d"]
    assert [state for state, _ in log()] == ["delivered", "failed", "delivered", "delivered"]
    assert "cannot be read or written" in Delivery.objects.get(state="failed").reason


def test_row_that_cannot_be_updated_is_skipped(send, connect, integration, flowdock, log, trigger):
    send(integration.origin, issue(1))
    send(connect("octo/other").origin, issue(2))
    trigger(Delivery.objects.first(), "TRUE")

    deliver()

    assert log() == [("pending", "issue:1"), ("delivered", "issue:2")]


@pytest.mark.parametrize(
    "error", [OperationalError("server closed the connection"), InterfaceError("connection already closed")]
)
def test_dispatcher_waits_until_the_database_is_available_again(
    send, integration, flowdock, log, error, transactional_db
):
    send(integration.origin, issue(1))
    dispatcher = Dispatcher()
    errors = [error]

    def fail(execute, *arguments):
        if errors:
            dispatcher.wake()  # it would wait for some seconds
            raise errors.pop()
        return execute(*arguments)

    flowdock.before_answer = dispatcher.stop
    with connection.execute_wrapper(fail):
        dispatcher.run()

    assert log() == [("delivered", "issue:1")]


@pytest.mark.parametrize("end", [lambda delivery: delivery.drop("dropped by sam"), lambda d: d.integration.remove()])
def test_delivery_dropped_while_it_is_posted_is_shown_as_posted(
    send, integration, flowdock, log, end, transactional_db
):
    send(integration.origin, issue())
    delivery = Delivery.objects.get()
    dispatcher = Dispatcher()

    # SQLite in memory does not wait for a lock, as it does in a file: both threads try again.
    def end_it() -> None:
        for _ in range(100):
            try:
                end(delivery)
                break
            except OperationalError:
                time.sleep(0.02)
        # The sender's, which else has none. Django leaves one to a database in memory open, here it is one of several.
        BaseDatabaseWrapper.close(connection)
        dispatcher.stop()

    flowdock.before_answer = end_it

    dispatcher.run()

    assert log() == [("delivered", "issue:7")]


def test_one_failing_message_does_not_stop_other_threads(send, integration, flowdock, pass_time, log):
    send(integration.origin, issue(1))
    flowdock.by_thread["issue:1"] = (503, {}, "{}")
    for _ in range(12):
        deliver()
        pass_time(901)
    send(integration.origin, issue(2))

    deliver()

    assert log() == [("pending", "issue:1"), ("delivered", "issue:2")]


def test_backlog_of_one_integration_does_not_delay_another(send, connect, integration, flowdock):
    for number in range(120):
        send(integration.origin, issue(number))
    small = connect("octo/small")
    send(small.origin, issue(1))

    deliver(senders=2)

    place = [message["flow_token"] for message in flowdock.tries].index(small.flow_token)
    assert place < 20


def test_deliver_dry_run_posts_nothing(send, integration, flowdock, capsys):
    send(integration.origin, issue(1))
    send(integration.origin, issue(1))
    send(integration.origin, issue(1), decide=False)

    deliver(dry_run=True)

    assert flowdock.tries == []
    assert capsys.readouterr().out == (
        "3 waiting: 1 events to check against the filters, 2 activities to post; "
        "1 threads have an activity that is due\n"
    )


def test_claim_of_a_killed_worker_is_posted_again_with_the_same_uuids(send, integration, flowdock, pass_time):
    send(integration.origin, issue(1, title="a"))
    send(integration.origin, issue(1, title="b"))
    deliver()
    # As if the worker had been killed between Flowdock's answers and its own mark.
    Delivery.objects.update(state="pending", delivered_at=None, attempts=[])
    Delivery.objects.filter(pk=Delivery.objects.first().pk).update(next_attempt_at=timezone.now() + lease_length())

    deliver()
    assert flowdock.titles == ["a", "b"]
    pass_time(30)
    deliver()

    assert flowdock.titles == ["a", "b", "a", "b"]
    uuids = [message["uuid"] for message in flowdock.posts]
    assert uuids[:2] == uuids[2:]
    assert not Delivery.objects.pending().exists()


@pytest.fixture
def _no_heartbeat(monkeypatch) -> None:
    """A worker says every ten seconds that it works; that is not counted."""
    monkeypatch.setattr(Heartbeat, "beat", lambda self, *, is_breaker_open: None)
    monkeypatch.setattr(Heartbeat, "end", lambda self: None)


@pytest.mark.usefixtures("_no_heartbeat")
def test_empty_outbox_takes_two_queries(integration, flowdock, django_assert_num_queries):
    with django_assert_num_queries(2):  # what awaits a decision, and what is due
        deliver()


@pytest.mark.usefixtures("_no_heartbeat")
def test_one_message_takes_two_short_transactions(send, integration, flowdock, django_assert_max_num_queries):
    send(integration.origin, issue())

    # What awaits a decision, before each look at what is due.
    # What is due; savepoint, claim, behind, lease, integrations, release; what is due, and when, if the sender is not
    # that quick; savepoint, the origin's lock, mark, next in the thread, release; what is due. On PostgreSQL
    # the lock, and the timeouts of both transactions.
    with django_assert_max_num_queries(22 if connection.vendor == "postgresql" else 19):
        deliver()


@pytest.fixture
def wait(monkeypatch) -> Callable[[float], None]:
    """Move the breaker's clock on by so many seconds; it stands still otherwise."""
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: clock.seconds))

    def wait(seconds: float) -> None:
        clock.seconds += seconds

    return wait


def test_breaker_opens_for_several_integrations_and_closes_at_the_first_answer(wait):
    trip = breaker.Breaker()
    for _ in range(10):
        for integration in range(breaker.MIN_INTEGRATIONS - 1):
            trip.record_unreachable(integration, "away", None)
    assert not trip.is_open
    trip.record_unreachable(77, "away", None)
    assert trip.is_open
    first = trip.open_until
    trip.record_unreachable(78, "one that was on its way", None)
    assert trip.open_until == first

    wait(3)  # the pause is over, and the one that goes out to see finds nobody
    assert not trip.is_open
    trip.record_unreachable(77, "away", None)
    assert trip.open_until > first
    trip.record_answer()

    assert not trip.is_open
    assert not trip.is_probing


def test_breaker_stays_closed_while_flowdock_answers_any_integration(wait):
    trip = breaker.Breaker()
    for integration in range(20):
        trip.record_answer()
        wait(0.9)
        trip.record_unreachable(integration, "away", None)
        trip.record_unreachable(integration + 100, "away", None)
        trip.record_unreachable(integration + 200, "away", None)

    assert not trip.is_probing


def test_probes_go_to_each_integration_in_turn(wait):
    trip = breaker.Breaker()
    for integration in (1, 2, 3):
        trip.record_unreachable(integration, "away", None)
    assert trip.not_to_probe() == {1, 2, 3}  # another one may find out at once

    probed = []
    for _ in range(6):
        wait(120)
        candidates = {1, 2, 3} - trip.not_to_probe()
        if not candidates:
            trip.start_round()
            candidates = {1, 2, 3}
        probed.append(min(candidates))
        trip.record_probe(probed[-1])
        trip.record_unreachable(probed[-1], "away", None)

    assert probed == [1, 2, 3, 1, 2, 3]
