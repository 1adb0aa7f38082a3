"""Which claims are posted, wait or are given back, while Flowdock answers some integrations slowly or not at all."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.utils import timezone

from integrations.delivery import breaker, fair_share, traffic
from integrations.delivery.attempts import Attempt, Outcome, Posting
from integrations.delivery.claims import Claim
from integrations.delivery.traffic import Traffic
from integrations.models import Integration, Origin

SENDERS = 8


@pytest.fixture
def wait(monkeypatch) -> Callable[[float], None]:
    """Move the clock of traffic, fair share and breaker on by so many seconds; it stands still otherwise."""
    clock = SimpleNamespace(seconds=time.monotonic())
    for module in (breaker, fair_share, traffic):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.seconds))

    def wait(seconds: float) -> None:
        clock.seconds += seconds

    return wait


def claim_of(integration: int) -> Claim:
    connected = Integration(pk=integration, origin=Origin(pk=integration))
    posting = Posting(1, 1, timezone.now(), uuid.uuid4(), connected, "issue:7", [], None)
    return Claim((posting,), timezone.now() + dt.timedelta(hours=1), time.monotonic() + 3600)


def rows(integration: int, count: int) -> list[tuple[int, int]]:
    return [(1000 * integration + number, integration) for number in range(count)]


def take_all(posts: Traffic) -> list[Claim]:
    taken = []
    while claim := posts.take():
        taken.append(claim)
    return taken


def add(posts: Traffic, integration: int, count: int) -> None:
    posts.add([claim_of(integration) for _ in range(count)], are_probes=False)


def end(posts: Traffic, claim: Claim, outcome: Outcome = Outcome.DELIVERED, ms: int = 20, status: int = 201) -> None:
    posts.learn(Attempt(claim.deliveries[0], outcome, "", timezone.now(), ms=ms, status=status))
    posts.end(claim)
    posts.collect(claim)


def with_trusted(*integrations: int) -> Traffic:
    posts = Traffic(SENDERS)
    for integration in integrations:
        add(posts, integration, 1)
        (claim,) = take_all(posts)
        end(posts, claim)
    return posts


def test_new_integration_gets_one_claim_and_a_trusted_one_as_many_as_are_needed_ahead(wait):
    posts = with_trusted(1)

    assert len(posts.choose(rows(2, 100))) == 1
    assert len(posts.choose(rows(1, 100))) == SENDERS * (1 + traffic.AHEAD)


def test_all_senders_post_for_one_integration_and_another_still_finds_a_place(wait):
    posts = with_trusted(1)
    add(posts, 1, 20)
    assert len(take_all(posts)) == SENDERS

    assert len(posts.choose(rows(2, 5))) == 1
    add(posts, 2, 1)

    assert [claim.integration.pk for claim in take_all(posts)] == [2]


def test_integration_that_becomes_slow_leaves_half_of_the_senders_to_others(wait):
    posts = with_trusted(1, 2)
    add(posts, 1, 20)
    add(posts, 2, 0)
    take_all(posts)
    assert len(posts.choose(rows(2, 100))) > 0

    wait(1.5)
    add(posts, 2, 20)

    assert [claim.integration.pk for claim in take_all(posts)] == [2] * (SENDERS // 2)
    assert posts.choose(rows(1, 100)) == []


def test_claim_that_finds_no_sender_is_given_back(wait):
    posts = with_trusted(1)
    add(posts, 1, 20)
    take_all(posts)

    wait(3.5)
    take_all(posts)

    assert len(posts.returned()) == 12
    assert posts.waiting == 0


@pytest.mark.parametrize(
    ("outcome", "status", "are_given_back"),
    [(Outcome.RETRY, 429, True), (Outcome.RETRY, 500, False), (Outcome.DELIVERED, 201, False)],
)
def test_waiting_claims_are_given_back_once_flowdock_limits_their_integration(wait, outcome, status, are_given_back):
    posts = with_trusted(1)
    add(posts, 1, 10)
    first, *_ = take_all(posts)

    end(posts, first, outcome, status=status)
    posts.take()

    assert bool(posts.returned()) == are_given_back


def test_only_probes_are_posted_while_the_breaker_is_open(wait):
    posts = with_trusted(1)
    add(posts, 1, SENDERS + 3)
    in_flight = take_all(posts)
    wait(1.5)
    for number, claim in enumerate(in_flight[:3]):
        attempt = Attempt(claim_of(number).deliveries[0], Outcome.RETRY, "", timezone.now(), is_unreachable=True)
        posts.learn(attempt)
        posts.end(claim)
        posts.collect(claim)
    assert posts.breaker.is_probing
    assert len(posts.returned()) == 3

    add(posts, 2, 1)
    assert posts.take() is None
    posts.add([claim_of(3)], are_probes=True)

    assert [claim.integration.pk for claim in take_all(posts)] == [3]


def test_nothing_more_is_posted_when_it_stops(wait):
    posts = with_trusted(1)
    add(posts, 1, 20)
    take_all(posts)

    posts.stop()
    add(posts, 1, 1)

    assert posts.take() is None
    assert len(posts.returned()) == 13
