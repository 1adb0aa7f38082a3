"""The worker as a process of its own, killed and stopped as processes are, and many that accept at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from integrations.delivery import SWEEP

ROOT = Path(__file__).resolve().parents[3]
RACE = Path(__file__).with_name("race.py")
PATIENCE = 30.0
POSTGRESQL = os.environ.get("TEST_DATABASE_URL", "")


class Receiver(BaseHTTPRequestHandler):
    """Takes activities; while `gate` is closed, it reads them and does not answer."""

    protocol_version = "HTTP/1.1"
    got: ClassVar[list[dict[str, Any]]] = []
    gate: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.gate.wait(PATIENCE)
        body = json.dumps({"id": len(self.got), "thread_id": "T"}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[type[Receiver]]:
    kind = type("OneTestsReceiver", (Receiver,), {"got": [], "gate": threading.Event()})
    kind.gate.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        kind.url = f"http://127.0.0.1:{server.server_port}"
        yield kind
        kind.gate.set()
        server.shutdown()
        thread.join()


class Bridge:
    """The bridge's commands over a database of their own."""

    def __init__(self, data_dir: Path, database_url: str, flowdock_url: str) -> None:
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flowdock_bridge.settings",
            "PYTHONPATH": str(ROOT),
            "SECRET_KEY": "tests-only",
            "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": database_url,
            "FLOWDOCK_API_URL": flowdock_url,
            "FLOWDOCK_API_VERSION": "activities",
            "FLOWDOCK_TIMEOUT": "0.5",
        }
        self.workers: list[subprocess.Popen[bytes]] = []
        self.manage("migrate", "--verbosity", "0")
        self.race("connect")

    def manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def race(self, *arguments: str) -> Any:
        return json.loads(self._run(str(RACE), *arguments))

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(self, **settings: str) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker"], cwd=ROOT, env=self.env | settings, stdout=subprocess.PIPE
        )
        self.workers.append(worker)
        assert worker.stdout
        assert worker.stdout.readline().startswith(b"worker: ")
        return worker

    def deliveries(self) -> list[dict[str, Any]]:
        return self.race("deliveries")


DATABASES = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=[
            pytest.mark.postgresql,
            pytest.mark.skipif(not POSTGRESQL.startswith("postgres"), reason="TEST_DATABASE_URL is not PostgreSQL's"),
        ],
    ),
]


@pytest.fixture(params=DATABASES)
def bridge(request, tmp_path, receiver) -> Iterator[Bridge]:
    if request.param == "sqlite":
        bridge = Bridge(tmp_path, f"sqlite:///{tmp_path / 'bridge.sqlite3'}", receiver.url)
        yield from stopping(bridge)
        return
    name = f"bridge_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            bridge = Bridge(tmp_path, f"{POSTGRESQL.rpartition('/')[0]}/{name}", receiver.url)
            yield from stopping(bridge)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def stopping(bridge: Bridge) -> Iterator[Bridge]:
    try:
        yield bridge
    finally:
        for worker in bridge.workers:
            worker.kill()
            worker.communicate()


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_an_idle_worker_posts_at_once_and_stops_when_told(bridge, receiver):
    worker = bridge.start_worker()
    time.sleep(0.5)  # it has looked, found nothing, and waits for the bell

    bridge.race("post", "a")

    (delivery,) = bridge.deliveries()
    until(lambda: bridge.deliveries()[0]["state"] == "delivered", "the delivery")
    (delivery,) = bridge.deliveries()
    assert delivery["took"] < SWEEP, "the bell was not heard: the worker found it when it looked by itself"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_in_hand(bridge, receiver):
    receiver.gate.clear()
    worker = bridge.start_worker(FLOWDOCK_TIMEOUT="30")  # the answer comes when the test lets it
    bridge.race("post", "a")
    until(lambda: receiver.got, "the post")

    worker.send_signal(signal.SIGINT)
    receiver.gate.set()

    assert worker.wait(PATIENCE) == 0
    assert [delivery["state"] for delivery in bridge.deliveries()] == ["delivered"]
    assert len(receiver.got) == 1


def test_what_a_killed_worker_had_in_hand_comes_again_as_the_same_message(bridge, receiver):
    receiver.gate.clear()
    worker = bridge.start_worker()
    bridge.race("post", "a", "b")
    until(lambda: receiver.got, "the post")
    worker.kill()
    worker.wait()
    receiver.gate.set()

    bridge.start_worker()
    until(lambda: {each["state"] for each in bridge.deliveries()} == {"delivered"}, "the deliveries")

    titles = [message["title"] for message in receiver.got]
    uuids = {message["title"]: message["uuid"] for message in receiver.got}
    assert len(uuids) == len({message["uuid"] for message in receiver.got}) == 2
    assert titles.index("a") < titles.index("b")
    assert titles.count("a") >= 2  # more often where the first worker had the time to run out of patience


def test_two_workers_share_the_outbox_and_double_nothing(bridge, receiver):
    bridge.race("post", *[str(number) for number in range(150)])

    for _ in range(2):
        bridge.start_worker(FLOWDOCK_TIMEOUT="30")  # a slow machine is no reason to post again
    until(lambda: {each["state"] for each in bridge.deliveries()} == {"delivered"}, "the deliveries")

    assert [int(message["title"]) for message in receiver.got] == list(range(150))


def test_of_many_that_accept_the_same_delivery_one_keeps_it(bridge):
    raced = bridge.race("same")

    assert sorted(raced["answers"]) == [200] * 7 + [202]
    assert len(bridge.deliveries()) == 1


def test_many_that_accept_at_once_keep_everything_and_each_thread_has_one_in_line(bridge):
    raced = bridge.race("many")

    assert raced["answers"] == [202] * 200
    deliveries = bridge.deliveries()
    assert len(deliveries) == 200
    assert sorted(each["thread_id"] for each in deliveries if each["in_line"]) == ["issue:0", "issue:1", "issue:2"]
    assert [each["id"] for each in deliveries if each["in_line"]] == [
        min(other["id"] for other in deliveries if other["thread_id"] == each["thread_id"])
        for each in deliveries
        if each["in_line"]
    ]
