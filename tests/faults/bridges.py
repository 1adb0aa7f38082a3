"""The bridge's processes over a database of their own, as an operator runs them; each can be killed and restarted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import requests

from bench import systems
from bench.processes import memory, tree
from launcher.environment import ROOT

from .receiver import Receiver
from .senders import Origin, Senders

T = TypeVar("T")

CONNECT = Path(__file__).with_name("connect.py")
PATIENCE = 120.0  # seconds
FLOWDOCK_TIMEOUT = 0.5  # seconds; what a killed worker was posting is tried again after twice as many and five
POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL") or os.environ.get("TEST_DATABASE_URL", "")


def databases(name: str, folder: Path) -> contextlib.AbstractContextManager[systems.Databases]:
    """Where databases are created. Without PostgreSQL its tests are skipped, or fail where CI=true."""
    if name == "sqlite":
        return contextlib.nullcontext(systems.SQLite(folder))
    if not POSTGRESQL.startswith("postgres"):
        reason = "TEST_DATABASE_URL or TEST_POSTGRESQL_URL must be the URL of a PostgreSQL server"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return systems.postgresql(POSTGRESQL)


class Bridge(systems.Bridge):
    """Web processes and workers, their logs in `folder`."""

    def __init__(self, folder: Path, database: str, flowdock_url: str, **settings: str) -> None:
        super().__init__(
            folder,
            database,
            FLOWDOCK_API_URL=flowdock_url,
            FLOWDOCK_TIMEOUT=str(FLOWDOCK_TIMEOUT),
            PYTHONPATH=str(ROOT),
            DJANGO_SETTINGS_MODULE="flowdock_bridge.settings",
            LOG_LEVEL="INFO",
            **settings,
        )
        self.folder = folder
        self.origins: list[Origin] = []
        self.web: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        # More than one process that serves needs PostgreSQL.
        self.web_processes = 1 if self.is_sqlite else 2

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite")

    def connect_origins(self, origins: int, integrations: int) -> list[Origin]:
        found = self.run_script(str(CONNECT), str(origins), str(integrations))
        self.origins = [Origin(each["hook_id"], each["secret"], tuple(each["tokens"])) for each in found]
        return self.origins

    def run_script(self, *arguments: str) -> list[dict[str, str]]:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout.splitlines()[-1]))

    def start(self, workers: int) -> None:
        self.start_web()
        for _ in range(workers):
            self.start_worker()
        until(self.answers, "the bridge to answer")

    def start_web(self) -> None:
        self.web = self._start("web", self.serve(self.web_processes))

    def start_worker(self) -> None:
        self.workers.append(self._start("worker", [sys.executable, "manage.py", "worker"]))

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/hooks/x/", timeout=2).status_code > 0
        except requests.RequestException:
            return False

    @property
    def web_pids(self) -> list[int]:
        """The processes that answer, without the one that starts them."""
        assert self.web
        return [pid for pid in tree(self.web.pid) if pid != self.web.pid and b"resource_tracker" not in command(pid)]

    def kill_web(self) -> None:
        """Kill all web processes, and start them again."""
        assert self.web
        os.killpg(self.web.pid, signal.SIGKILL)
        self.web.wait()
        self.start_web()

    def kill_web_process(self, chosen: random.Random) -> None:
        """Kill one of the processes that answer: `serve` replaces it."""
        if pids := self.web_pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chosen.choice(pids), signal.SIGKILL)

    def kill_worker(self, number: int) -> None:
        """Kill a worker, and start another one."""
        worker = self.workers.pop(number)
        worker.kill()
        worker.wait()
        self.start_worker()

    def terminate_connections(self, count: int) -> None:
        """Have PostgreSQL end so many connections of the bridge."""
        name = self.database.rpartition("/")[2]
        with psycopg.connect(POSTGRESQL, autocommit=True) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM"
                " (SELECT pid FROM pg_stat_activity WHERE datname = %s ORDER BY random() LIMIT %s) AS chosen",
                [name, count],
            )

    def stop(self) -> None:
        for process in [*self.workers, *filter(None, [self.web])]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def worker_memory(self) -> float:
        return memory(each.pid for each in self.workers)

    def web_memory(self) -> float:
        return memory(self.web_pids)

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in self.folder.glob("*.log"))


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextlib.contextmanager
def running(
    database: str, folder: Path, receiver: Receiver, *, origins: int, integrations: int, workers: int, **settings: str
) -> Iterator[tuple[Bridge, systems.Databases]]:
    """A bridge with connected origins, serving and delivering to the receiver; its logs are printed on failure."""
    with databases(database, folder) as created:
        bridge = Bridge(folder, created.create("faults"), receiver.address, **settings)
        try:
            bridge.connect_origins(origins, integrations)
            bridge.start(workers)
            yield bridge, created
        except BaseException:
            print(bridge.logs())
            raise
        finally:
            bridge.stop()


def until(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.05)
    return answer


def check_all_arrived(
    bridge: Bridge, created: systems.Databases, receiver: Receiver, senders: Senders, gone: frozenset[str] = frozenset()
) -> None:
    """Wait until the outbox is empty; then everything accepted must have arrived, once and in order, and nothing else.

    `gone`: tokens of integrations that ended meanwhile.
    """
    wanted: dict[tuple[str, int], list[int]] = {}
    for each in senders.accepted:
        for token in each.origin.tokens:
            if token not in gone:
                wanted.setdefault((token, each.issue), []).append(each.number)
    count = sum(map(len, wanted.values()))
    try:
        until(
            lambda: (
                sum(len(each.numbers) for (token, _), each in list(receiver.arrivals.items()) if token not in gone)
                >= count
            ),
            f"{count} messages",
        )
        until(lambda: waiting(bridge, created) == 0, "an empty outbox")
    finally:
        print(
            f"{len(senders.accepted)} events accepted, answers {dict(senders.answers)}, without an answer"
            f" {dict(senders.no_answers)}; of {count} messages {receiver.taken()} taken,"
            f" {sum(each.repetitions for each in receiver.arrivals.values())} repeated under their uuid;"
            f" { ({each.name: n for each, n in receiver.behaved.items()}) };"
            f" {receiver.most_in_flight} in flight at most"
        )
    assert senders.wrong == []
    assert receiver.wrong == []
    arrived = {
        (token, issue_of(thread)): list(each.numbers.values())
        for (token, thread), each in receiver.arrivals.items()
        if token not in gone
    }
    assert arrived == {place: sorted(numbers) for place, numbers in wanted.items()}
    assert created.count(bridge.database, "integrations_event") == len(senders.accepted), "each event is stored once"


def waiting(bridge: Bridge, created: systems.Databases) -> int:
    """How many events await a decision, and deliveries wait to be posted."""
    events = created.count(bridge.database, "integrations_event", "awaits_decision")
    return events + created.count(bridge.database, "integrations_delivery", "state = 'pending'")


def delays(receiver: Receiver, senders: Senders) -> dict[str, list[float]]:
    """For each integration, the seconds from the answer to a webhook request until its message was taken."""
    found: dict[str, list[float]] = {}
    accepted = {(token, each.issue, each.number): each.at for each in senders.accepted for token in each.origin.tokens}
    for (token, thread), arrivals in list(receiver.arrivals.items()):
        for number, at in list(arrivals.times.items()):
            since = accepted.get((token, issue_of(thread), number))
            if since is not None:
                found.setdefault(token, []).append(at - since)
    return found


def issue_of(thread: str) -> int:
    return int(thread.rpartition("/")[2].rpartition(":")[2].rpartition("#")[2])
