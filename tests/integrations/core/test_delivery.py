"""From the outbox to Flowdock: in order, once, and what happens when something goes wrong."""

from __future__ import annotations

import datetime as dt
import logging
from email.utils import format_datetime

import pytest
import requests
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from integrations import breaker
from integrations.delivery import TOKEN_REFUSED, lease_length
from integrations.models import Delivery, Event, Integration

from .conftest import API, issue


def deliver(code: int = 0, **options) -> None:
    if not code:
        call_command("deliver_activities", **options)
        return
    with pytest.raises(SystemExit) as exit:
        call_command("deliver_activities", **options)
    assert exit.value.code == code


def seconds_until_due(delivery: Delivery) -> float:
    delivery.refresh_from_db()
    return (delivery.next_attempt_at - timezone.now()).total_seconds()


def test_what_was_accepted_is_posted(send, integration, flowdock):
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


def test_nothing_is_posted_twice(send, integration, flowdock):
    send(integration.origin, issue())

    deliver()
    deliver()

    assert len(flowdock.tries) == 1


def test_a_thread_arrives_in_the_order_of_its_events(send, connect, flowdock):
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


def test_a_long_thread_is_posted_whole(send, integration, flowdock):
    for number in range(45):
        send(integration.origin, issue(1, title=str(number)))

    deliver()

    assert flowdock.titles == [str(number) for number in range(45)]


def test_a_server_error_holds_back_its_own_thread_only(send, integration, flowdock, log):
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    flowdock.by_thread["issue:1"] = (500, {}, "{}")

    deliver()

    assert log() == [("pending", "issue:1"), ("pending", "issue:1"), ("delivered", "issue:2")]
    first = Delivery.objects.first()
    assert 0 < seconds_until_due(first) <= 1
    assert first.reason == "Flowdock answered 500"


def test_what_was_put_off_goes_first_when_its_time_has_come(send, integration, flowdock, pass_time):
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


def test_one_in_the_middle_of_a_hand_that_fails_is_put_off_with_those_behind_it(
    send, integration, flowdock, pass_time, log
):
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


def test_waiting_grows_with_each_attempt_up_to_a_quarter_of_an_hour(send, integration, flowdock, pass_time):
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
def test_flowdock_says_when_to_come_again(send, integration, flowdock, as_date):
    send(integration.origin, issue())
    date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=120), usegmt=True)
    flowdock.fail(429, Retry_After=date if as_date else "120")

    deliver()

    delivery = Delivery.objects.get()
    assert 115 <= seconds_until_due(delivery) <= 135
    assert delivery.reason == "Flowdock asks to wait"
    assert delivery.attempts[0]["status"] == 429


def test_a_wish_to_wait_for_years_is_not_granted(send, integration, flowdock):
    send(integration.origin, issue())
    flowdock.fail(503, Retry_After="999999999")

    deliver()

    assert seconds_until_due(Delivery.objects.get()) <= 3600 * 1.1


@pytest.mark.parametrize("error", [requests.ConnectionError("token-1"), requests.Timeout("token-1")])
def test_no_answer_is_put_off_and_tells_no_token(send, integration, flowdock, error):
    send(integration.origin, issue())
    flowdock.mock.replace("POST", f"{API}/activities", body=error)

    deliver()

    delivery = Delivery.objects.get()
    assert delivery.state == "pending"
    assert delivery.attempts[0]["status"] is None
    assert "token-1" not in f"{delivery.reason}{delivery.attempts}"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_message_that_is_refused_fails_with_the_reason_and_its_thread_goes_on(
    send, integration, flowdock, status, log
):
    send(integration.origin, issue(1))
    send(integration.origin, issue(1))
    flowdock.answers.append((status, {}, '{"message": "Validation error", "errors": {"title": ["is too long"]}}'))

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered"]
    failed = Delivery.objects.get(state="failed")
    assert "title is too long" in failed.reason
    assert failed.attempts[0]["status"] == status


def test_a_removed_source_ends_the_integration(send, connect, integration, flowdock, log):
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


def test_a_refused_token_needs_a_person_and_everything_waits(send, connect, integration, flowdock, log):
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


def test_a_problem_ends_when_a_message_gets_through_and_flowdock_is_told(send, integration, flowdock, pass_time):
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


def test_flowdock_that_cannot_be_told_of_a_problem_does_no_harm(send, integration, flowdock):
    send(integration.origin, issue())
    flowdock.by_token[integration.flow_token] = (401, {}, "{}")
    flowdock.mock.replace("PUT", f"{API}/sources", status=401)

    deliver()

    integration.refresh_from_db()
    assert integration.problem


def test_an_activity_that_cannot_be_read_back_fails_visibly(send, integration, flowdock, log):
    send(integration.origin, issue(1))
    Event.objects.update(activity={"title": "of another time"})
    send(integration.origin, issue(1))

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered"]
    assert "author is missing" in Delivery.objects.get(state="failed").reason


def test_an_error_of_ours_fails_its_message_and_no_other(send, integration, flowdock, log, caplog):
    for number in (1, 1, 2):
        send(integration.origin, issue(number))
    Event.objects.filter(deliveries=Delivery.objects.first()).update(activity=1)

    deliver()

    assert [state for state, _ in log()] == ["failed", "delivered", "delivered"]
    assert "error in the bridge" in Delivery.objects.first().reason
    assert any(record.exc_info for record in caplog.records)


def test_a_paused_integration_posts_nothing_until_it_is_resumed(send, connect, integration, flowdock, log):
    send(integration.origin, issue(1))
    integration.pause()
    send(integration.origin, issue(1))
    send(connect("octo/other").origin, issue(5))
    deliver()
    assert [state for state, _ in log()] == ["pending", "pending", "delivered"]

    integration.resume()
    deliver()

    assert [state for state, _ in log()] == ["delivered"] * 3


def test_a_failed_delivery_that_is_retried_waits_for_its_turn(send, integration, flowdock, pass_time):
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


def test_a_dropped_delivery_lets_its_thread_go_on(send, integration, flowdock, log):
    send(integration.origin, issue(1, title="a"))
    send(integration.origin, issue(1, title="b"))

    Delivery.objects.first().drop("dropped by sam")
    deliver()

    assert flowdock.titles == ["b"]
    assert [state for state, _ in log()] == ["dropped", "delivered"]


def test_what_ended_is_neither_dropped_nor_retried(send, integration, flowdock, log):
    send(integration.origin, issue())
    deliver()

    delivery = Delivery.objects.get()
    delivery.drop("too late")
    delivery.retry()

    assert [state for state, _ in log()] == ["delivered"]


def test_of_a_removed_integration_nothing_is_retried(send, integration, flowdock, log):
    send(integration.origin, issue())
    integration.remove()

    Delivery.objects.get().retry()

    assert [state for state, _ in log()] == ["dropped"]


def test_while_flowdock_is_away_not_everything_is_tried(send, integration, flowdock, log, pass_time, caplog):
    caplog.set_level(logging.INFO)
    for number in range(100):
        send(integration.origin, issue(number))
    flowdock.mock.replace("POST", f"{API}/activities", body=requests.ConnectionError())

    deliver(code=1)

    assert {state for state, _ in log()} == {"pending"}
    assert sum(bool(delivery.attempts) for delivery in Delivery.objects.all()) <= 16
    assert "Flowdock is away" in caplog.text

    flowdock.mock.replace("POST", f"{API}/activities", json={"id": 1}, status=201)
    pass_time(5)
    deliver()
    assert {state for state, _ in log()} == {"delivered"}


def test_a_single_message_in_trouble_does_not_stop_the_others(send, integration, flowdock, pass_time, log):
    send(integration.origin, issue(1))
    flowdock.by_thread["issue:1"] = (503, {}, "{}")
    for _ in range(12):
        deliver()
        pass_time(901)
    send(integration.origin, issue(2))

    deliver()

    assert log() == [("pending", "issue:1"), ("delivered", "issue:2")]


def test_no_integration_starves_behind_another_with_thousands(send, connect, integration, flowdock):
    for number in range(120):
        send(integration.origin, issue(number))
    small = connect("octo/small")
    send(small.origin, issue(1))

    deliver(senders=2)

    place = [message["flow_token"] for message in flowdock.tries].index(small.flow_token)
    assert place < 20


def test_dry_run_tries_nothing(send, integration, flowdock, capsys):
    send(integration.origin, issue(1))
    send(integration.origin, issue(1))

    deliver(dry_run=True)

    assert flowdock.tries == []
    assert "1 threads have an activity that is due; 2 activities wait" in capsys.readouterr().out


def test_what_a_killed_worker_had_in_hand_is_posted_again_under_the_same_uuid(send, integration, flowdock, pass_time):
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


def test_looking_at_an_empty_outbox_is_one_query(integration, flowdock, django_assert_num_queries):
    with django_assert_num_queries(1):
        deliver()


def test_one_message_costs_two_short_transactions(send, integration, flowdock, django_assert_max_num_queries):
    send(integration.origin, issue())

    # What is due; savepoint, claim, behind, lease, integrations, release; what is due, and when, if the sender is not
    # that quick; savepoint, the origin's lock, mark, next in the thread, release; what is due.
    with django_assert_max_num_queries(16 if connection.vendor == "postgresql" else 15):
        deliver()


def test_the_breaker_opens_for_several_threads_and_closes_at_the_first_answer():
    trip = breaker.Breaker()
    for _ in range(2):
        for thread in range(breaker.THREADS - 1):
            trip.away(thread, "away", None)
    assert not trip.is_open
    trip.away("another", "away", None)
    assert trip.is_open
    first = trip.until
    trip.away("one that was on its way", "away", None)
    assert trip.until == first

    trip.until = 0.0  # the pause is over, and the one that goes out to see finds nobody
    trip.away("another", "away", None)
    assert trip.until > first
    trip.answered()

    assert not trip.is_open
    assert not trip.is_probing
