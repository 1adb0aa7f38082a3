"""From a webhook request to the team inbox, through bridge, worker and Flowdock server, each a process of its own.

The limit is an activity that is posted directly to the Flowdock server.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from bench.accept import granian, load
from bench.payloads import headers, issue
from bench.processes import PATIENCE, Failed, Process, call, free_port, memory, python, running
from bench.results import Goal, Row, percentile, row
from bench.systems import Bridge, Databases, Origin
from demo.connect import connect

IDLE = 100  # events, one at a time
BURST_SECONDS = 2.0
P50, MEMORY = Goal("≤", 30, of="ours"), Goal("≤", 250, of="ours")
INBOX = "/flows/acme/main/messages"
ACCOUNT = ("demo@example.com", "demo")


class System:
    """A bridge that is connected to a flow of a Flowdock server that runs."""

    def __init__(self, bridge: Bridge, databases: Databases) -> None:
        self.bridge, self.databases = bridge, databases
        self.flowdock = bridge.env["FLOWDOCK_SERVER_URL"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.origin, self.flow_token = Origin(0, "", ""), ""

    def connect(self) -> None:
        hook_id = connect(self.bridge.env)
        code = (
            "import json; from integrations.models import Integration; each = Integration.objects.get();"
            "print(json.dumps([each.origin_id, each.origin.secret, each.flow_token]))"
        )
        pk, secret, self.flow_token = json.loads(self.bridge.manage("shell", "--no-imports", "-c", code))
        self.origin = Origin(pk, hook_id, secret)

    @property
    def hook(self) -> str:
        return f"{self.bridge.env['BRIDGE_URL']}/hooks/{self.origin.hook_id}/"

    def send(self, number: int) -> float:
        """Send one webhook request. Returns when, in milliseconds since 1970."""
        body = issue(number)
        signed = headers(body, self.origin.secret, str(uuid.uuid4()))
        sent = time.time() * 1000
        self.session.post(self.hook, data=body, headers=signed, timeout=PATIENCE).raise_for_status()
        return sent

    def post_directly(self, number: int) -> float:
        """Post one activity to the Flowdock server. Returns when, in milliseconds since 1970."""
        activity = {
            "flow_token": self.flow_token,
            "event": "activity",
            "author": {"name": "Lea Cohen"},
            "title": "opened the issue",
            "external_thread_id": f"direct:{number}",
            "thread": {"title": f"Issue {number}", "status": {"value": "open", "color": "green"}},
        }
        sent = time.time() * 1000
        self.session.post(f"{self.flowdock}/activities", json=activity, timeout=PATIENCE).raise_for_status()
        return sent

    def arrivals(self, numbers: Iterable[int]) -> dict[int, float]:
        """When the inbox got the issues of these numbers: `sent` of the messages, milliseconds since 1970."""
        wanted = {f"Issue {number}": number for number in numbers}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = {
                wanted[title]: message["sent"]
                for message in self.messages()
                if (title := message["thread"]["title"]) in wanted
            }
            if len(found) == len(wanted):
                return found
            time.sleep(0.3)
        raise Failed(f"{len(wanted) - len(found)} of {len(wanted)} events did not arrive in the inbox")

    def messages(self) -> Iterator[dict[str, Any]]:
        until: dict[str, str] = {}
        while True:
            query = {"limit": "100", "event": "activity"} | until
            page = self.session.get(f"{self.flowdock}{INBOX}", params=query, auth=ACCOUNT, timeout=PATIENCE).json()
            yield from page
            if len(page) < 100:
                return
            until = {"until_id": str(page[0]["id"])}

    def await_deliveries(self, count: int) -> None:
        """Wait until so many deliveries are posted."""
        deadline = time.monotonic() + PATIENCE
        while self.databases.count(self.bridge.database, "integrations_delivery", "state = 'delivered'") < count:
            if time.monotonic() > deadline:
                raise Failed(f"less than {count} deliveries are posted after {PATIENCE:.0f} s")
            time.sleep(0.05)


def measure(folder: Path, databases: Databases, seconds: float, interval: float, idle: int = IDLE) -> Iterator[Row]:
    bridge = Bridge(folder, databases.create("latency"))
    call(python("-m", "flowdock_server", "migrate", "--verbosity", "0"), bridge.env)
    call(python("-m", "flowdock_server", "seed_demo", "--verbosity", "0"), bridge.env)
    where = f"{databases.name}, "
    with running(bridge.command("flowdock"), bridge.env, int(bridge.env["FLOWDOCK_PORT"])):
        system = System(bridge, databases)
        bare, started = bare_start(bridge), Process(bridge.command("bridge"), bridge.env)
        try:
            answered = started.await_answer(bridge.port)
            yield row(f"{where}start of the web server, to its first answer", [answered], [bare], "s")
            system.connect()
            waiting = 1
            system.send(waiting)
            began = time.time() * 1000
            with running(bridge.command("worker"), bridge.env) as worker:
                first = (system.arrivals([waiting])[waiting] - began) / 1000
                yield row(f"{where}start of the worker, to its first post", [first], [setup_time(bridge)], "s")
                yield from idle_rows(where, system, idle, interval)
                yield from loaded_rows(where, system, seconds)
                megabytes = memory([*started.pids, *worker.pids])
                yield row(f"{where}memory of web and worker together, after the load", [megabytes], (), "MB", MEMORY)
        finally:
            started.stop()


def bare_start(bridge: Bridge) -> float:
    """Seconds until granian with one process answers with a Django that has no applications."""
    port = free_port()
    process = Process(granian("bench.bare:application", port, 1), bridge.env)
    try:
        return process.await_answer(port, "/nothing")
    finally:
        process.stop()


def setup_time(bridge: Bridge) -> float:
    """Seconds that `django.setup()` takes with the bridge's applications, in a process of its own."""
    began = time.perf_counter()
    call(
        python("-c", "import django; django.setup()"),
        bridge.env | {"DJANGO_SETTINGS_MODULE": "flowdock_bridge.settings"},
    )
    return time.perf_counter() - began


def idle_rows(where: str, system: System, count: int, interval: float) -> Iterator[Row]:
    """Single events with nothing else to do, in turns with activities that are posted directly."""
    sent: dict[int, float] = {}
    direct: dict[int, float] = {}
    for number in range(1000, 1000 + 2 * count, 2):
        sent[number] = system.send(number)
        time.sleep(interval / 2)
        direct[number + 1] = system.post_directly(number + 1)
        time.sleep(interval / 2)
    taken, limit = waits(system, sent), waits(system, direct)
    name = f"{where}from hook to inbox, idle (an event every {interval:g} s)"
    yield row(f"{name}: p50", [percentile(taken, 50)], [percentile(limit, 50)], "ms", P50)
    yield row(f"{name}: p99", [percentile(taken, 99)], [percentile(limit, 99)], "ms")


def loaded_rows(where: str, system: System, seconds: float) -> Iterator[Row]:
    """At half of the rate that a burst reaches from the first request to the last delivery."""
    before = system.databases.count(system.bridge.database, "integrations_delivery", "state = 'delivered'")
    began = time.perf_counter()
    burst = load(system.hook, system.origin.secret, 8, BURST_SECONDS, system.bridge.env)
    system.await_deliveries(before + burst["count"])
    most = burst["count"] / (time.perf_counter() - began)
    yield row(f"{where}from hook to inbox, the most that is possible", [most], (), "/s")
    loaded = load(system.hook, system.origin.secret, 8, max(5 * seconds, 100 / most), system.bridge.env, most / 2)
    taken = waits(system, {int(number): sent for number, sent in loaded["sent"].items()})
    name = f"{where}from hook to inbox, at half load ({most / 2:.0f}/s)"
    yield row(f"{name}: p50", [percentile(taken, 50)], (), "ms")
    yield row(f"{name}: p99", [percentile(taken, 99)], (), "ms")


def waits(system: System, sent: dict[int, float]) -> list[float]:
    """Milliseconds from sending to arriving, of each issue."""
    arrived = system.arrivals(sent)
    return [arrived[number] - at for number, at in sent.items()]
