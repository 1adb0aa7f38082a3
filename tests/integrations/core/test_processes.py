"""The worker as a process of its own, killed and stopped as processes are, and many that accept at once."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from integrations.delivery.dispatcher import POLL_INTERVAL

from .processes import DATABASES, PATIENCE, Bridge, bridge_over, until


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


@pytest.fixture(params=DATABASES)
def bridge(request, tmp_path, receiver) -> Iterator[Bridge]:
    with bridge_over(request.param, tmp_path, receiver.url) as bridge:
        yield bridge


def test_idle_worker_posts_at_once_and_stops_on_sigterm(bridge, receiver):
    worker = bridge.start_worker()
    time.sleep(0.5)  # it has polled, found nothing, and waits for a notification

    bridge.race("post", "a")

    (delivery,) = bridge.deliveries()
    until(lambda: bridge.deliveries()[0]["state"] == "delivered", "the delivery")
    (delivery,) = bridge.deliveries()
    assert delivery["took"] < POLL_INTERVAL, "the notification was lost: the worker found it when it polled"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0


def test_stopped_worker_finishes_what_it_is_sending(bridge, receiver):
    receiver.gate.clear()
    worker = bridge.start_worker(FLOWDOCK_TIMEOUT="30")  # the answer comes when the test lets it
    bridge.race("post", "a")
    until(lambda: receiver.got, "the post")

    worker.send_signal(signal.SIGINT)
    receiver.gate.set()

    assert worker.wait(PATIENCE) == 0
    assert [delivery["state"] for delivery in bridge.deliveries()] == ["delivered"]
    assert len(receiver.got) == 1


def test_message_of_a_killed_worker_is_posted_again_with_the_same_uuid(bridge, receiver):
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


def test_two_workers_share_the_outbox_and_post_nothing_twice(bridge, receiver):
    bridge.race("post", *[str(number) for number in range(150)])

    for _ in range(2):
        bridge.start_worker(FLOWDOCK_TIMEOUT="30")  # a slow machine is no reason to post again
    until(lambda: {each["state"] for each in bridge.deliveries()} == {"delivered"}, "the deliveries")

    assert [int(message["title"]) for message in receiver.got] == list(range(150))


def test_concurrent_repetitions_of_a_webhook_request_are_stored_once(bridge):
    raced = bridge.race("same")

    assert sorted(raced["answers"]) == [200] * 7 + [202]
    assert len(bridge.deliveries()) == 1


def test_concurrent_requests_are_all_stored_and_each_thread_has_one_scheduled(bridge):
    raced = bridge.race("many")

    assert raced["answers"] == [202] * 200
    deliveries = bridge.deliveries()
    assert len(deliveries) == 200
    assert sorted(each["thread_id"] for each in deliveries if each["is_scheduled"]) == ["issue:0", "issue:1", "issue:2"]
    assert [each["id"] for each in deliveries if each["is_scheduled"]] == [
        min(other["id"] for other in deliveries if other["thread_id"] == each["thread_id"])
        for each in deliveries
        if each["is_scheduled"]
    ]
