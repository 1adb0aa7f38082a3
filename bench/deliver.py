"""How fast one worker delivers, beside loops that only post: `python -m bench.deliver`, as a table.

Each round measures, one after the other and in processes of their own, over the same receiver: `requests` in as many
threads as connections, pycurl's multi interface with as many handles, and the worker over the database DATABASE_URL.
The rate of the receiver alone is that of pycurl without a delay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ACTIVITY = {
    "author": {"name": "Lea Lind", "avatar": "https://avatars.example.com/u/7?v=4", "email": ""},
    "title": 'commented on <a href="https://github.com/octo/hello/issues/7#issuecomment-1">issue #7</a>',
    "thread_id": "",
    "thread": {
        "title": "Emoji don't render in the sidebar &amp; elsewhere",
        "external_url": "https://github.com/octo/hello/issues/7",
        "status": {"value": "open", "color": "green"},
        "body": "<p>It <strong>breaks</strong> when the window is narrow.</p>",
        "fields": [
            {"label": "Repository", "value": '<a href="https://github.com/octo/hello">octo/hello</a>'},
            {"label": "Assignee", "value": "nobody"},
            {"label": "Labels", "value": "bug, help wanted"},
        ],
        "actions": [],
        "keeps": [],
    },
    "body": "<p>I can see it too, with <code>42.0.1</code> on three machines.</p>" * 3,
    "event": "discussion",
}


def usage() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


# The loops that are measured; each prints a line of JSON


def bare_requests(address: str, connections: int, count: int) -> None:
    import requests

    body = json.dumps(ACTIVITY).encode()

    def post(times: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(times):
                session.post(address, data=body, headers={"Content-Type": "application/json"}, timeout=30).json()

    threads = [threading.Thread(target=post, args=(count // connections,)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bare_pycurl(address: str, connections: int, count: int) -> None:
    import pycurl

    body = json.dumps(ACTIVITY).encode()
    multi = pycurl.CurlMulti()
    answers: dict[pycurl.Curl, list[bytes]] = {}

    def post(handle: pycurl.Curl) -> None:
        answers[handle] = []
        handle.setopt(pycurl.POSTFIELDS, body)
        handle.setopt(pycurl.WRITEFUNCTION, answers[handle].append)
        multi.add_handle(handle)

    for _ in range(min(connections, count)):
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, address)
        handle.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json", "Expect:"])
        post(handle)
    done, started = 0, len(answers)
    while done < count:
        multi.perform()
        while True:
            queued, good, bad = multi.info_read()
            if bad:
                raise SystemExit(f"pycurl failed: {bad}")
            for handle in good:
                multi.remove_handle(handle)
                json.loads(b"".join(answers[handle]))
                done += 1
                if started < count:
                    started += 1
                    post(handle)
            if not queued:
                break
        if done < count:
            multi.select(1.0)


def worker(address: str, connections: int, count: int) -> None:
    from django.conf import settings

    from integrations.delivery.attempts import Outcome
    from integrations.delivery.dispatcher import Dispatcher

    settings.FLOWDOCK_API_URL = address
    dispatcher = Dispatcher(connections)
    dispatcher.run(until_idle=True)
    if dispatcher.tally[Outcome.DELIVERED] != count:
        raise SystemExit(f"not all of {count} were delivered: {dispatcher.tally}")


LOOPS = {"requests": bare_requests, "pycurl": bare_pycurl, "worker": worker}


def fill_outbox(count: int, integrations: int, threads: int) -> None:
    """Fill the outbox as accepting would have: the oldest delivery of each of `threads` threads is scheduled."""
    from django.db import transaction
    from django.utils import timezone

    from integrations.models import Delivery, Event, Integration, Origin

    Event.objects.all().delete()
    origins = [Origin.objects.get_or_create(service="github", name=f"octo/{n}")[0] for n in range(integrations)]
    connected = [
        Integration.objects.get_or_create(origin=each, name=each.name, defaults={"flow_token": f"token-{each.pk}"})[0]
        for each in origins
    ]
    now = timezone.now()
    with transaction.atomic():
        for start in range(0, count, 5000):
            numbers = range(start, min(start + 5000, count))
            events = Event.objects.bulk_create(
                Event(
                    origin=origins[number % integrations],
                    request_id=f"{now.timestamp()}-{number}",
                    kind="issues",
                    thread_id=f"issue:{number % threads}",
                    activity=ACTIVITY | {"thread_id": f"issue:{number % threads}"},
                )
                for number in numbers
            )
            Delivery.objects.bulk_create(
                Delivery(
                    event=event,
                    integration=connected[number % integrations],
                    thread_id=event.thread_id,
                    next_attempt_at=now if number < threads else None,
                )
                for number, event in zip(numbers, events, strict=True)
            )


def measure(loop: str, address: str, connections: int, count: int) -> None:
    began, spent = time.perf_counter(), usage()
    LOOPS[loop](address, connections, count)
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"per_second": count / took, "cpu": (usage() - spent) / count * 1000, "memory": memory}))


@contextlib.contextmanager
def receiving(delay: float) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), str(delay)], cwd=ROOT)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def run(*arguments: object) -> str:
    command = [sys.executable, "-m", "bench.deliver", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.deliver", description=__doc__)
    parser.add_argument("--delays", default="0,20", help="of the receiver, in milliseconds (default: %(default)s)")
    parser.add_argument("--connections", default="8,32", help="in flight at the same time (default: %(default)s)")
    parser.add_argument("--loops", default="requests,pycurl,worker", help="(default: %(default)s)")
    parser.add_argument("--count", type=int, default=4000, help="activities in each round (default: %(default)s)")
    parser.add_argument("--integrations", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of activities (default: one for each)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    print("| delay ms | connections | loop | per second | of the ceiling | CPU s per 1,000 | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for delay in map(int, options.delays.split(",")):
        for connections in map(int, options.connections.split(",")):
            found: dict[str, list[dict[str, float]]] = {}
            for _ in range(options.rounds):
                for loop in options.loops.split(","):
                    if loop == "worker":
                        run("fill", options.count, options.integrations, options.threads or options.count)
                    with receiving(delay / 1000) as address:
                        said = json.loads(run("measure", loop, address, connections, options.count).splitlines()[-1])
                    found.setdefault(loop, []).append(said)
            for loop, rounds in found.items():
                rate, cpu, memory = (
                    statistics.median(each[key] for each in rounds) for key in ("per_second", "cpu", "memory")
                )
                ceiling = f"{rate * delay / 1000 / connections:.2f}" if delay else "–"
                print(f"| {delay} | {connections} | {loop} | {rate:.0f} | {ceiling} | {cpu:.2f} | {memory:.0f} |")


def set_up() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
    django.setup()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", loop, address, connections, count]:
            if loop == "worker":
                set_up()
            measure(loop, f"{address}{'' if loop == 'worker' else '/activities'}", int(connections), int(count))
        case ["fill", count, integrations, threads]:
            set_up()
            fill_outbox(int(count), int(integrations), int(threads))
        case _:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                given = {"SECRET_KEY": "bench", "FIELD_KEYS": "YmVuY2hlcyBvbmx5LCBiZW5jaGVzIG9ubHksIGJlbmM="}
                given |= {"DATA_DIR": folder, "LOG_LEVEL": "WARNING", "FLOWDOCK_API_URL": "http://127.0.0.1:1"}
                given |= {"FLOWDOCK_WEB_URL": "http://127.0.0.1:1", "BRIDGE_URL": "http://127.0.0.1:1"}
                os.environ.update({name: os.environ.get(name) or value for name, value in given.items()})
                if "-h" not in sys.argv and "--help" not in sys.argv:
                    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, check=True)
                main()
