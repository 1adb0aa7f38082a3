"""The bundled Flowdock server by itself: `python -m bench server`, which starts it on free ports with data of its own.

Runs as a process with the server's settings, so apart from the bridge's measurements: it prints [[what, measured]].
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "flowdock_server.settings"

Row = tuple[str, str]
ROUNDS = 3
STREAMS = 500
PATIENCE = 60.0
MAIN = "/flows/acme/main"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def percentiles(taken: list[float]) -> str:
    taken = sorted(taken)
    return f"median {statistics.median(taken) * 1000:.1f} ms, p99 {taken[int(len(taken) * 0.99)] * 1000:.1f} ms"


class Served:
    """The server, and this process beside it on the same database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port, self.stream_port = free_port(), free_port()
        os.environ |= {
            "FLOWDOCK_SERVER_SECRET_KEY": "only for measurements",
            "FLOWDOCK_SERVER_DATABASE_URL": database,
            "FLOWDOCK_SERVER_LIVE_URL": "",
            "FLOWDOCK_SERVER_ALLOWED_HOSTS": "127.0.0.1,testserver",
            "FLOWDOCK_SERVER_URL": f"http://127.0.0.1:{self.port}",
            "FLOWDOCK_STREAM_URL": f"http://127.0.0.1:{self.stream_port}",
            "STREAM_PORT": str(self.stream_port),
            "FLOWDOCK_SERVER_LOG_LEVEL": "WARNING",
            "DATA_DIR": str(folder),
        }
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from flowdock_server import models

        self.user = models.User.objects.create_user("lea@example.com", "Lea Cohen")
        organization = models.Organization.objects.create(name="Acme", parameterized_name="acme")
        self.flow = models.Flow.objects.create(organization=organization, name="Main", parameterized_name="main")
        models.FlowMembership.objects.create(flow=self.flow, user=self.user)
        application = models.Application.objects.create(
            name="Bridge", client_id="bridge", user=self.user, redirect_uris="https://bridge.test/"
        )
        self.source, self.flow_token = models.Source.connect(
            flow=self.flow, application=application, creator=self.user, name="octo/hello"
        )
        _, token = models.ApiToken.issue(self.user, "bench")
        self.key = "Basic " + base64.b64encode(f"{token}:".encode()).decode()

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Its process id."""
        command = [sys.executable, "-m", "flowdock_server", "serve", "--port", str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while any(socket.socket().connect_ex(("127.0.0.1", port)) for port in (self.port, self.stream_port)):
                if time.monotonic() > deadline:
                    raise SystemExit("the server does not start")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            process.wait()

    def link(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, link: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Authorization": self.key}
        link.request("POST", path, json.dumps(body), headers)
        answer = link.getresponse()
        answer.read()
        if answer.status != 201:
            raise SystemExit(f"{path} answered {answer.status}")

    def say(self, link: http.client.HTTPConnection) -> None:
        self.post(
            link, f"{MAIN}/messages", {"event": "message", "content": "Is the build green again? https://ci.test"}
        )

    def tell(self, link: http.client.HTTPConnection) -> None:
        self.post(link, "/activities", {"flow_token": self.flow_token, **activity(time.perf_counter_ns() % 50)})


def activity(number: int) -> dict[str, Any]:
    return {
        "event": "activity",
        "title": "opened pull request",
        "external_thread_id": f"pr:{number}",
        "author": {"name": "Lea Cohen", "email": "lea@example.com", "avatar": "https://pictures.test/lea.png"},
        "thread": {
            "title": f"Warn before low tide {number}",
            "body": "<p>" + "It was <strong>late</strong>, and the tide was low. " * 10 + "</p>",
            "external_url": f"https://git.test/octo/hello/pull/{number}",
            "status": {"value": "open", "color": "green"},
            "fields": [{"label": "Branch", "value": '<a href="https://git.test/b">low-tide</a>'}],
        },
    }


def rate(work: Callable[[], None], seconds: float) -> float:
    """How often a second `work` is done, one after the other."""
    work()
    began, count = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        work()
        count += 1
    return count / took


def rate_at_once(
    served: Served, post: Callable[[http.client.HTTPConnection], None], links: int, seconds: float
) -> float:
    counts = []

    def go() -> None:
        link = served.link()
        counts.append(rate(lambda: post(link), seconds))

    threads = [threading.Thread(target=go) for _ in range(links)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def posting(served: Served, seconds: float) -> Iterator[Row]:
    from flowdock_server.posting.drafts import Draft
    from flowdock_server.posting.messages import post

    chat = Draft(event="message", content="Is the build green again? https://ci.test")
    bare = {
        "messages": lambda: post(chat, flow=served.flow, user=served.user),
        "activities": lambda: post(
            Draft.model_validate(activity(time.perf_counter_ns() % 50)), flow=served.flow, source=served.source
        ),
    }
    for name, work in bare.items():
        measured = statistics.median(rate(work, seconds) for _ in range(ROUNDS))  # type: ignore[arg-type]
        yield f"posts a second, {name}, the bare call", f"{measured:.0f}"
    with served.running():
        for links in (1, 8):
            for name, say in (("/messages", served.say), ("/activities", served.tell)):
                measured = statistics.median(rate_at_once(served, say, links, seconds) for _ in range(ROUNDS))
                told = "1 connection" if links == 1 else f"{links} connections"
                yield f"posts a second, {name} over HTTP, {told}", f"{measured:.0f}"


class Readers:
    """Open streams or pages, read by one selector."""

    def __init__(self, port: int, path: str, header: str, count: int) -> None:
        self.sockets = []
        self.selector = selectors.DefaultSelector()
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n\r\n".encode())
            self.sockets.append(link)
        for link in self.sockets:
            got = b""
            while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
                got += link.recv(65536)
            if not got.startswith(b"HTTP/1.1 200"):
                raise SystemExit(got.decode(errors="replace"))
        time.sleep(1)  # what a page is told at its beginning is told
        for link in self.sockets:
            link.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                link.recv(65536)
            self.selector.register(link, selectors.EVENT_READ)

    def heard(self, say: Callable[[], None], sign: bytes) -> list[float]:
        """The seconds from before the post until each of them has it."""
        posting = threading.Thread(target=say)
        waiting = dict.fromkeys(self.sockets, b"")
        taken = []
        began = time.perf_counter()
        posting.start()
        while waiting:
            for key, _ in self.selector.select(PATIENCE) or [exit_in_silence()]:
                link = key.fileobj
                data = waiting.pop(link, b"") + link.recv(65536)  # type: ignore[arg-type, union-attr]
                if sign in data:
                    taken.append(time.perf_counter() - began)
                else:
                    waiting[link] = data  # type: ignore[index]
        posting.join()
        return taken

    def close(self) -> None:
        for link in self.sockets:
            link.close()


def exit_in_silence() -> Any:
    raise SystemExit("nothing came")


def hearing(served: Served) -> Iterator[Row]:
    from django.test import Client

    browser = Client()
    browser.force_login(served.user)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    ways = (
        ("a stream", served.stream_port, MAIN, f"Authorization: {served.key}", b'"event":"message"'),
        ("an open inbox page", served.port, "/app/acme/main/events", f"Cookie: {cookies}", b"event: change"),
    )
    with served.running():
        link = served.link()
        for name, port, path, header, sign in ways:
            readers = Readers(port, path, header, 1)
            for _ in range(20):
                readers.heard(lambda: served.say(link), sign)
            taken = [readers.heard(lambda: served.say(link), sign)[0] for _ in range(200)]
            readers.close()
            yield f"from a post over HTTP to {name}", percentiles(taken)


def memory(pid: int) -> float:
    """MB that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def crowded(served: Served, seconds: float) -> Iterator[Row]:
    with served.running() as pid:
        link = served.link()
        rate(lambda: served.say(link), seconds)
        alone, empty = statistics.median(rate(lambda: served.say(link), seconds) for _ in range(ROUNDS)), memory(pid)
        began = time.perf_counter()
        readers = Readers(served.stream_port, MAIN, f"Authorization: {served.key}", STREAMS)
        opened = time.perf_counter() - began - 1
        full = memory(pid)
        firsts, lasts, all_taken = [], [], []
        for _ in range(30):
            taken = readers.heard(lambda: served.say(link), b'"event":"message"')
            firsts.append(taken[0])
            lasts.append(taken[-1])
            all_taken += taken
            time.sleep(0.1)
        drain = threading.Event()

        def read_on() -> None:
            while not drain.is_set():
                for key, _ in readers.selector.select(0.1):
                    key.fileobj.recv(65536)  # type: ignore[union-attr]

        reading = threading.Thread(target=read_on)
        reading.start()
        with_streams = statistics.median(rate(lambda: served.say(link), seconds) for _ in range(ROUNDS))
        drain.set()
        reading.join()
        readers.close()
    yield (
        f"{STREAMS} open streams: memory of the process",
        f"{full:.0f} MB against {empty:.0f} MB without: {full / empty:.2f} times,"
        f" {(full - empty) * 1024 / STREAMS:.0f} KB each",
    )
    yield f"{STREAMS} open streams: opened in", f"{opened:.1f} s"
    yield f"{STREAMS} open streams: from a post over HTTP to each of them", percentiles(all_taken)
    yield (
        f"{STREAMS} open streams: to the first and to the last of them",
        f"median {statistics.median(firsts) * 1000:.0f} ms and {statistics.median(lasts) * 1000:.0f} ms",
    )
    yield (
        f"{STREAMS} open streams: posts a second, 1 connection",
        f"{with_streams:.0f} against {alone:.0f} without: {with_streams / alone:.2f} times",
    )


def fill(served: Served, past: int) -> None:
    """A past of `past` messages, of which a tenth are in 10,000 threads; each word of a body is in some of them."""
    from datetime import timedelta

    from django.db import transaction
    from django.utils import timezone

    from flowdock_server.models import Flow, Message, Tag, Thread
    from flowdock_server.posting import search

    words = ["tide", "build", "branch", "harbour", "deploy", "review", "merge", "test"]
    words += ["light", "anchor", "wave", "storm", "crane", "cargo", "pilot", "buoy"]
    first = Flow.objects.get(pk=served.flow.pk).last_number + 1
    start = timezone.now() - timedelta(days=1000)
    threads = [
        Thread(
            flow=served.flow,
            source=served.source,
            external_thread_id=f"past:{first + number}",
            title=f"Thread {number}",
            status_value="open",
            status_color="green",
            activities=10,
            last_event="activity",
            updated_at=start + timedelta(seconds=number),
        )
        for number in range(max(past // 100, 1))
    ]
    Thread.objects.bulk_create(threads, batch_size=5000)
    size = 10_000
    for begin in range(0, past, size):
        messages = []
        for number in range(begin, min(begin + size, past)):
            text = " ".join(words[(number * step) % len(words)] for step in (1, 3, 7, 11))
            in_thread = number % 10 == 0
            messages.append(
                Message(
                    flow=served.flow,
                    number=first + number,
                    thread=threads[number // 10 % len(threads)] if in_thread else None,
                    source=served.source if in_thread else None,
                    user=None if in_thread else served.user,
                    event="activity" if in_thread else "message",
                    title=text if in_thread else "",
                    content="" if in_thread else f"{text} number{number}",
                    author_name="Lea" if in_thread else "",
                    tags=["seldom"] if number % 1000 == 0 else ["often"] if number % 2 else [],
                    created_at=start + timedelta(seconds=number),
                )
            )
        with transaction.atomic():  # in the index each row would be one of its own
            Message.objects.bulk_create(messages, batch_size=1000)
            tags = [Tag(message=each, name=name) for each in messages for name in each.tags]
            Tag.objects.bulk_create(tags, batch_size=1000)
            search.add(messages)
    Flow.objects.filter(pk=served.flow.pk).update(last_number=first + past - 1)


def reading(served: Served, past: int) -> Iterator[Row]:
    from django.db import connection

    calls = {
        "the newest 30": "?limit=30",
        "100 from the middle": f"?limit=100&until_id={past // 2}",
        "30 activities": "?event=activity",
        "a tag that half of them have": "?tags=often",
        "a tag that a thousandth have": "?tags=seldom",
        "search, a word that many have": "?search=harbour",
        "search, two words": "?search=harbour+anchor",
        "search, a word that one has": f"?search=number{past // 3}",
        "search, a word that none has": "?search=elephant",
    }
    where = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"

    def times() -> dict[str, list[float]]:
        taken: dict[str, list[float]] = {}
        with served.running():
            link = served.link()
            for name, query in calls.items():
                for turn in range(25):
                    began = time.perf_counter()
                    link.request("GET", f"{MAIN}/messages{query}", headers={"Authorization": served.key})
                    answer = link.getresponse()
                    answer.read()
                    if answer.status != 200:
                        raise SystemExit(f"{query} answered {answer.status}")
                    if turn >= 5:
                        taken.setdefault(name, []).append(time.perf_counter() - began)
        return taken

    few = 1000
    fill(served, few)
    before = times()
    fill(served, past)
    if connection.vendor == "postgresql":
        # As it does by itself within minutes. SQLite never does unless it is asked.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    after = times()
    for name in calls:
        old, new = statistics.median(before[name]) * 1000, statistics.median(after[name]) * 1000
        yield (
            f"{name}, of {past:,} messages, {where}",
            f"{percentiles(after[name])}; {old:.1f} ms of {few:,}: {new / old:.2f} times",
        )


def furnish(served: Served, name: str, threads: int, activities: int) -> str:
    """A flow with so many threads, half of them read or done, one of them with so many activities: that one's id."""
    from datetime import timedelta

    from django.utils import timezone

    from flowdock_server.models import Flow, FlowMembership, Message, Source, Thread, ThreadMark

    application, organization = served.source.application, served.flow.organization
    last = threads + activities
    flow = Flow.objects.create(organization=organization, name=name, parameterized_name=name, last_number=last)
    FlowMembership.objects.create(flow=flow, user=served.user)
    FlowMembership.objects.filter(flow=flow).update(inbox_read_number=0)
    sources = [
        Source.connect(flow=flow, application=application, creator=served.user, name=f"octo/{name}-{number}")[0]
        for number in range(10)
    ]
    now, statuses = timezone.now(), ["open", "merged", "closed", "passed", ""]
    made = [
        Thread(
            flow=flow,
            source=sources[number % 10],
            external_thread_id=str(number),
            title=f"Warn before low tide {number}",
            body="<p>" + "It was <strong>late</strong>, and the tide was low. " * 10 + "</p>",
            status_value=statuses[number % 5],
            status_color="green" if number % 5 != 4 else "",
            activities=1,
            initial_number=number + 1,
            last_number=number + 1,
            last_event="activity",
            last_author="Lea Cohen",
            last_title="pushed three commits",
            updated_at=now - timedelta(seconds=threads - number),
        )
        for number in range(threads)
    ]
    Thread.objects.bulk_create(made, batch_size=1000)
    ThreadMark.objects.bulk_create(
        [
            ThreadMark(
                user=served.user, thread=thread, read_number=thread.last_number, done_at=now if number % 4 else None
            )
            for number, thread in enumerate(made)
            if number % 2
        ],
        batch_size=1000,
    )
    Message.objects.bulk_create(
        Message(
            flow=flow,
            number=threads + number + 1,
            thread=made[0],
            source=sources[0],
            event="activity",
            title="pushed to <a href='https://git.test/b'>low-tide</a>",
            body="<p>" + "It was <strong>late</strong>, and the tide was low. " * 5 + "</p>",
            author_name="Lea Cohen",
        )
        for number in range(activities)
    )
    Thread.objects.filter(pk=made[0].pk).update(activities=activities, last_number=last, updated_at=now)
    return str(made[0].pk)


def paging(served: Served) -> Iterator[Row]:
    """What pages take: of a flow with many threads against one with few, and a long thread against a short one."""
    from django.db import connection
    from django.test import Client

    small, large = (100, 10), (10_000, 1000)
    few = furnish(served, "few", *small)
    many = furnish(served, "many", *large)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    browser = Client()
    browser.force_login(served.user)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    pages = {
        "the inbox": ("", ""),
        "its list alone, as open pages fetch it": ("/list", "/list"),
        "the inbox, of one status": ("?status=open", "?status=open"),
        "the inbox, with words that many have": ("?q=tide", "?q=tide"),
        "the inbox, with words that none has": ("?q=elephant", "?q=elephant"),
        "the thread, in its page": (f"/threads/{few}", f"/threads/{many}"),
        "the thread alone": (f"/threads/{few}/pane", f"/threads/{many}/pane"),
    }
    taken: dict[tuple[str, str], list[float]] = {}
    with served.running():
        link = served.link()
        for turn in range(25):
            for name, paths in pages.items():
                for flow, path in zip(("few", "many"), paths, strict=True):
                    began = time.perf_counter()
                    link.request("GET", f"/app/acme/{flow}{path}", headers={"Cookie": cookies})
                    answer = link.getresponse()
                    answer.read()
                    if answer.status != 200:
                        raise SystemExit(f"{flow}{path} answered {answer.status}")
                    if turn >= 5:
                        taken.setdefault((name, flow), []).append(time.perf_counter() - began)
    where = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    for name in pages:
        at = 1 if "thread" in name else 0
        old, new = (statistics.median(taken[name, flow]) * 1000 for flow in ("few", "many"))
        noun = "activities" if at else "threads"
        yield (
            f"{name}, of {large[at]:,} {noun}, {where}",
            f"{percentiles(taken[name, 'many'])}; {old:.1f} ms of {small[at]:,}: {new / old:.2f} times",
        )


def measure(past: int, seconds: float, database: str, parts: str) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        served = Served(Path(folder), database or f"sqlite:///{folder}/flowdock.sqlite3")
        rows: list[Row] = []
        if "p" in parts:
            rows += [*posting(served, seconds), *hearing(served), *crowded(served, seconds)]
        if "r" in parts:
            rows += reading(served, past)
        if "i" in parts:
            rows += paging(served)
        return rows


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4])))
