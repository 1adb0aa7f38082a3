"""The bridge beside the Celery design: the same requests, receiver and machine, on PostgreSQL, in turns.

Celery is not among the bridge's requirements: it is installed into build/bench-celery.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.accept import Side, granian
from bench.payloads import BARE_HOOK_ID
from bench.processes import PATIENCE, Failed, call, cpu_seconds, free_port, memory, python, running
from bench.results import Goal, Row, row
from bench.systems import Bridge, PostgreSQL
from launcher.environment import ROOT

PACKAGES = ("celery==5.6.*", "redis==6.*")
FOLDER = ROOT / "build" / "bench-celery"
WORKERS = 8  # processes of Celery
CONNECTIONS = 8
DELIVER = Goal("≥", 3.0)


@dataclass
class Queue:
    """Where a side keeps what it has to deliver, and what delivers it."""

    worker: list[str]
    env: dict[str, str]
    port: int  # of the receiver
    table: str
    time: str  # the column of the time when it was posted


def install() -> None:
    """Raises OSError or Failed if the design cannot be measured here."""
    if not shutil.which("redis-server"):
        raise OSError("redis-server is not installed")
    if not (FOLDER / "celery").is_dir():
        command = ["pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(FOLDER), *PACKAGES]
        try:
            subprocess.run(python("-m", *command), check=True, cwd=ROOT)
        except subprocess.CalledProcessError as error:
            raise OSError("Celery cannot be installed") from error


def measure(folder: Path, databases: PostgreSQL, seconds: float, rounds: int, processes: int) -> Iterator[Row]:
    install()
    with contextlib.ExitStack() as stack:
        redis = free_port()
        command = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        stack.enter_context(running(command, os.environ))
        receiver, other = free_port(), free_port()
        bridge = Bridge(folder, databases.create("bridge"), FLOWDOCK_API_URL=f"http://127.0.0.1:{receiver}")
        origin = bridge.connect()
        process = stack.enter_context(running(bridge.serve(processes), bridge.env, bridge.port))
        address = f"{bridge.env['BRIDGE_URL']}/hooks/{origin.hook_id}/"
        ours = Side(process, address, origin.secret, databases, bridge.database, bridge.env)
        our_queue = Queue(bridge.command("worker"), bridge.env, receiver, "integrations_delivery", "delivered_at")

        env = bridge.env | {
            "DATABASE_URL": databases.create("celery"),
            "CELERY_BROKER": f"redis://127.0.0.1:{redis}/0",
            "FLOWDOCK_API_URL": f"http://127.0.0.1:{other}",
            "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}",
        }
        secret = call(python("-c", "from bench import bare; print(bare.create_tables())"), env).split()[-1]
        port = free_port()
        process = stack.enter_context(running(granian("bench.celery_design:application", port, processes), env, port))
        address = f"http://127.0.0.1:{port}/hooks/{BARE_HOOK_ID}/"
        theirs = Side(process, address, secret, databases, env["DATABASE_URL"], env)
        options = ["--concurrency", str(WORKERS), "--loglevel", "WARNING"]
        worker = python("-m", "celery", "-A", "bench.celery_design", "worker", *options)
        their_queue = Queue(worker, env, other, "bare_delivery", "next_attempt_at")
        yield from rows([(ours, our_queue), (theirs, their_queue)], seconds, rounds)


def rows(sides: list[tuple[Side, Queue]], seconds: float, rounds: int) -> Iterator[Row]:
    taken: dict[int, list[list[dict[str, float]]]] = {0: [], 20: []}
    for _ in range(rounds):
        for delay, each in taken.items():
            for side, _ in sides:
                side.measure(CONNECTIONS, seconds)
            each.append([drain(side, queue, delay) for side, queue in sides])
    ours, theirs = (side for side, _ in sides)
    for key, name, unit in (("per_second", "accepts", "/s"), ("p99", "p99", "ms"), ("cpu", "CPU for 1,000", "s")):
        figures = ours.values(CONNECTIONS, key), theirs.values(CONNECTIONS, key)
        yield row(f"{CONNECTIONS} connections: {name}", *figures, unit)
    for delay, found in taken.items():
        where = f"receiver answers after {delay} ms"
        for key, name, unit in (("per_second", "deliveries", "/s"), ("cpu", "CPU for 1,000 deliveries", "s")):
            goal = DELIVER if key == "per_second" else None
            figures = [both[0][key] for both in found], [both[1][key] for both in found]
            yield row(f"{where}: {name}", *figures, unit, goal)
    megabytes = [[statistics.median(both[side]["memory"] for both in taken[20])] for side in (0, 1)]
    yield row("memory of the worker", *megabytes, "MB")


def drain(side: Side, queue: Queue, delay: int) -> dict[str, float]:
    """Start a worker and wait until it has delivered all that was accepted; the rate from the first to the last."""
    since = f"state = 'delivered' AND {queue.time} > to_timestamp({time.time()})"
    databases: PostgreSQL = side.databases  # type: ignore[assignment]
    before = databases.count(side.database, queue.table, "state = 'delivered'")
    receiver = python("-m", "bench.receiver", str(queue.port), str(delay / 1000))
    with running(receiver, queue.env), running(queue.worker, queue.env) as worker:
        deadline = time.monotonic() + 2 * PATIENCE
        at_start = 0.0
        while (delivered := databases.count(side.database, queue.table, "state = 'delivered'")) < side.requests:
            if delivered == before:
                at_start = cpu_seconds(worker.pids)
            if time.monotonic() > deadline:
                raise Failed(f"{queue.table} does not get empty\n{worker.last_lines()}")
            time.sleep(0.1)
        spent, used = cpu_seconds(worker.pids) - at_start, memory(worker.pids)
    count = databases.count(side.database, queue.table, "state = 'delivered'") - before
    return {
        "per_second": count / databases.span(side.database, queue.table, queue.time, since),
        "cpu": spent / count * 1000,
        "memory": used,
    }
