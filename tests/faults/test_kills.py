"""Processes and database connections that are killed at random, and a Flowdock that fails now and then."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from . import settings
from .bridges import Bridge, check_all_arrived, running
from .receiver import Behaviour, Receiver
from .senders import Senders

# How often the receiver does each, if it fails.
FAILURES = {
    Behaviour.ERROR: 3,
    Behaviour.LIMIT: 2,
    Behaviour.GARBAGE: 1,
    Behaviour.HALF: 2,
    Behaviour.CUT_AFTER_TAKING: 3,
    Behaviour.CUT: 2,
    Behaviour.TAKE_SLOWLY: 1,
}


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_killed_processes_and_connections_lose_nothing(database: str, tmp_path: Path) -> None:
    for seed in settings.rounds():
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_at_random(database, folder, seed)


def kill_at_random(database: str, folder: Path, seed: int) -> None:
    print(f"FAULTS_SEED={seed}")
    faults, kills = random.Random(seed), random.Random(seed + 1)

    def choose(token: str) -> Behaviour:
        if faults.random() >= settings.FAULT_RATE:
            return Behaviour.TAKE
        return faults.choices(list(FAILURES), list(FAILURES.values()))[0]

    # Several workers over one SQLite file are a mistake that must do no harm.
    workers = 2 if database == "sqlite" else 3
    with (
        Receiver(choose).running() as receiver,
        running(database, folder, receiver, origins=4, integrations=2, workers=workers) as (bridge, created),
    ):
        senders = Senders(bridge.port, bridge.origins)
        with senders.sending(settings.EVENTS) as sending:
            interval = settings.EVENTS // settings.KILLS
            for kill in range(1, settings.KILLS):
                while len(senders.accepted) < kill * interval and not all(each.done() for each in sending):
                    time.sleep(0.005)
                kill_something(bridge, kills)
        check_all_arrived(bridge, created, receiver, senders)


def kill_something(bridge: Bridge, kills: random.Random) -> None:
    """Kill one of what serves, decides and delivers; it is started again at once."""
    what = ["web process", "all of web", "worker", "worker"]
    if not bridge.is_sqlite:
        what += ["connections", "connections"]
    match kills.choice(what):
        case "web process":
            bridge.kill_web_process(kills)
        case "all of web":
            bridge.kill_web()
        case "worker":
            bridge.kill_worker(kills.randrange(len(bridge.workers)))
        case "connections":
            bridge.terminate_connections(kills.randint(1, 5))
