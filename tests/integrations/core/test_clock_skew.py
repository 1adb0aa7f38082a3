"""Workers and web processes on machines whose clocks differ by ten minutes, over one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .processes import DATABASES, Bridge, bridge_over, until
from .test_processes import Receiver, receiver

__all__ = ["receiver"]

TEN_MINUTES = 600
# A lease of 65 seconds: nothing that these tests do takes as long.
LONG = {"FLOWDOCK_TIMEOUT": "30", "WORKER_SENDERS": "1"}
# On SQLite all processes are on one machine, with one clock.
POSTGRESQL = [database for database in DATABASES if database != "sqlite"]


@pytest.fixture(params=POSTGRESQL)
def bridge(request, tmp_path, receiver) -> Iterator[Bridge]:
    with bridge_over(request.param, tmp_path, receiver.url) as bridge:
        yield bridge


def is_delivered(bridge: Bridge) -> bool:
    return {each["state"] for each in bridge.deliveries()} == {"delivered"}


@pytest.mark.parametrize(("first", "second"), [(0, TEN_MINUTES), (-TEN_MINUTES, 0)])
def test_worker_with_a_fast_clock_does_not_take_leased_deliveries(
    bridge: Bridge, receiver: type[Receiver], first: int, second: int
) -> None:
    receiver.gate.clear()
    bridge.start_worker(clock=first, **LONG)
    bridge.race("post", "leased")
    until(lambda: receiver.got, "the first post")

    bridge.start_worker(clock=second, **LONG)
    bridge.race("post-elsewhere", "free")
    # The first worker's only sender is busy, so the second takes this one. It stands behind the leased one.
    until(lambda: len(receiver.got) > 1, "the second post")
    receiver.gate.set()
    until(lambda: is_delivered(bridge), "the deliveries")

    assert [message["title"] for message in receiver.got] == ["leased", "free"]


def test_lease_of_a_killed_worker_with_a_fast_clock_ends_in_time(bridge: Bridge, receiver: type[Receiver]) -> None:
    receiver.gate.clear()
    worker = bridge.start_worker(clock=TEN_MINUTES)
    bridge.race("post", "a")
    until(lambda: receiver.got, "the post")
    worker.kill()
    worker.wait()
    receiver.gate.set()

    bridge.start_worker()

    until(lambda: is_delivered(bridge), "the delivery after the lease")


def test_event_accepted_by_a_machine_with_a_fast_clock_is_posted_at_once(
    bridge: Bridge, receiver: type[Receiver]
) -> None:
    bridge.start_worker()

    bridge.race("post", "a", clock=TEN_MINUTES)

    until(lambda: is_delivered(bridge), "the delivery")
