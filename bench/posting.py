"""Posting to the Flowdock server, beside its limit: `python -m bench.posting [--database ADDRESS] [--before FOLDER]`.

The server as `python -m flowdock_server serve` runs it, and the bare view of `bench.bare_post` on the same web server
and database, take turns in each round. With `--before`, an earlier checkout of this repository takes its turn too.
Prints a table with posts a second at 1, 8 and 32 connections, percentiles, CPU seconds of the server (and of its
PostgreSQL connections) for 1,000 posts, and the same with 500 open streams.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.server import MAIN, PATIENCE, STREAMS, Served, activity, free_port, memory

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = (1, 8, 32)
PATHS = ("/activities", "/messages")
THREADS_OF_ACTIVITIES = 50


@dataclass
class Taken:
    """What one load measured: seconds of each post, posts a second, CPU seconds for 1,000 posts."""

    seconds: list[float]
    rate: float
    cpu: float
    database_cpu: float


@dataclass
class Rounds:
    """The same load of all rounds."""

    all: list[Taken] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(each.rate for each in self.all)

    def __str__(self) -> str:
        seconds = sorted(second for each in self.all for second in each.seconds)
        cpu, database_cpu = (
            statistics.median(getattr(each, name) for each in self.all) for name in ("cpu", "database_cpu")
        )
        shown = f"{self.rate:.0f}/s, p50 {seconds[len(seconds) // 2] * 1000:.1f}"
        shown += f" p99 {seconds[int(len(seconds) * 0.99)] * 1000:.1f} ms, CPU {cpu:.2f}"
        return shown + (f" + {database_cpu:.2f}" if database_cpu else "")


@dataclass
class Target:
    """A server that is posted to: what it is called, and its ports and process."""

    name: str
    port: int
    stream_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[None]:
        module = ["bench.bare_post", str(self.port)]
        if self.stream_port:
            module = ["flowdock_server", "serve", "--port", str(self.port), "--stream-port", str(self.stream_port)]
        environ = {**os.environ, "PYTHONPATH": str(folder)}
        # Each server finds the streaming API by its own port.
        environ["STREAM_PORT"] = str(self.stream_port or 1)
        environ["FLOWDOCK_STREAM_URL"] = f"http://127.0.0.1:{self.stream_port or 1}"
        environ["FLOWDOCK_SERVER_URL"] = f"http://127.0.0.1:{self.port}"
        if not self.stream_port:
            environ["DJANGO_SETTINGS_MODULE"] = "bench.bare_settings"
        self.process = subprocess.Popen([sys.executable, "-m", *module], cwd=folder, env=environ)
        try:
            deadline = time.monotonic() + PATIENCE
            while socket.socket().connect_ex(("127.0.0.1", self.port)):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} does not start")
                time.sleep(0.1)
            yield
        finally:
            self.process.terminate()
            self.process.wait()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def connections_of_database() -> list[int]:
    """The process ids of the database's connections, on this machine; none on SQLite."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return [pid for (pid,) in cursor.fetchall()]


def request(port: int, path: str, token: str, number: int) -> bytes:
    if path == "/activities":
        body = {"flow_token": token, **activity(number % THREADS_OF_ACTIVITIES)}
    else:
        body = {
            "flow_token": token,
            "event": "message",
            "content": f"Is build {number} green again? https://ci.test",
            "external_user_name": "Lea",
        }
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def load(target: Target, path: str, token: str, links: int, seconds: float) -> Taken:
    """Post over `links` connections, each one post after the other; one thread with a selector for all of them."""
    selector = selectors.DefaultSelector()
    requests = [request(target.port, path, token, number) for number in range(THREADS_OF_ACTIVITIES)]
    taken: list[float] = []
    began_at: dict[socket.socket, float] = {}
    answers: dict[socket.socket, bytes] = {}
    sent = 0

    def send(link: socket.socket) -> None:
        nonlocal sent
        answers[link], began_at[link] = b"", time.perf_counter()
        link.sendall(requests[sent % len(requests)])
        sent += 1

    for _ in range(links):
        link = socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(link, selectors.EVENT_READ, link)
    databases = connections_of_database()
    cpu, database_cpu = cpu_seconds([target.pid]), cpu_seconds(databases)
    began = time.perf_counter()
    for key in list(selector.get_map().values()):
        send(key.data)
    while began_at:
        for key, _ in selector.select(PATIENCE):
            link = key.data
            answers[link] += link.recv(65536)
            head, found, body = answers[link].partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) if found else 1
            if not found or len(body) < length:
                continue
            if not head.startswith(b"HTTP/1.1 201"):
                raise SystemExit(f"{target.name} {path}: {answers[link][:2000]!r}")
            now = time.perf_counter()
            taken.append(now - began_at.pop(link))
            if now - began < seconds:
                send(link)
    lasted = time.perf_counter() - began
    cpu, database_cpu = cpu_seconds([target.pid]) - cpu, cpu_seconds(databases) - database_cpu
    for key in list(selector.get_map().values()):
        key.data.close()
    each = 1000 / len(taken)
    return Taken(taken, len(taken) / lasted, cpu * each, database_cpu * each)


READER = """
import selectors, socket, sys, threading
port, path, header, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
selector, buffer, links, got = selectors.DefaultSelector(), memoryview(bytearray(1 << 20)), [], 0
for _ in range(count):
    link = socket.create_connection(("127.0.0.1", port), timeout=60)
    link.sendall(f"GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n{header}\\r\\n\\r\\n".encode())
    if not link.recv(65536).startswith(b"HTTP/1.1 200"):
        raise SystemExit("refused")
    selector.register(link, selectors.EVENT_READ, link)
print("open", flush=True)
def read():
    global got
    while True:
        for key, _ in selector.select():
            size = key.data.recv_into(buffer)
            if not size:
                raise SystemExit("a stream ended")
            got += buffer[:size].tobytes().count(b'"sent":')
threading.Thread(target=read, daemon=True).start()
for _ in sys.stdin:
    print(got, flush=True)
"""


@contextlib.contextmanager
def streams(target: Target, key: str) -> Iterator[subprocess.Popen[str]]:
    """STREAMS open streams, read by a process of their own. A line on its input asks how many messages it has read."""
    command = [sys.executable, "-c", READER, str(target.stream_port), MAIN, f"Authorization: {key}", str(STREAMS)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdout
    try:
        if reader.stdout.readline() != "open\n":
            raise SystemExit(f"{target.name}: streams were refused")
        time.sleep(1)
        yield reader
    finally:
        reader.kill()
        reader.wait()


def received(reader: subprocess.Popen[str]) -> int:
    assert reader.stdin
    assert reader.stdout
    reader.stdin.write("\n")
    reader.stdin.flush()
    return int(reader.stdout.readline())


def all_received(reader: subprocess.Popen[str], expected: int) -> float:
    """Seconds until the streams have `expected` messages. Exits if they do not get them."""
    began = time.perf_counter()
    while (got := received(reader)) < expected:
        if time.perf_counter() - began > PATIENCE:
            raise SystemExit(f"streams received {got} of {expected} messages")
        time.sleep(0.01)
    return time.perf_counter() - began


Found = dict[tuple[str, int, str], Rounds]


def take(
    folder: Path, database: str, before: Path | None, seconds: float, rounds: int, crowd: bool
) -> tuple[Found, dict[str, tuple[float, float, float]]]:
    """What was measured, by path, connections and server; and what the streams took, by server."""
    served = Served(folder, database or f"sqlite:///{folder}/flowdock.sqlite3")
    targets = [Target("server", served.port, served.stream_port), Target("bare view", free_port())]
    folders = [ROOT, ROOT]
    if before:
        targets.insert(0, Target("before", free_port(), free_port()))
        folders.insert(0, before)
    found: dict[tuple[str, int, str], Rounds] = defaultdict(Rounds)
    sizes: dict[str, tuple[float, float, float]] = {}
    with contextlib.ExitStack() as running:
        for target, place in zip(targets, folders, strict=True):
            running.enter_context(target.running(place))
        for target in targets:
            for path in PATHS:
                load(target, path, served.flow_token, 8, 1.0)  # warm up
        for _ in range(rounds):
            for path in PATHS:
                for links in CONNECTIONS:
                    for target in targets:
                        taken = load(target, path, served.flow_token, links, seconds)
                        found[path, links, target.name].all.append(taken)
        for target in targets if crowd else []:
            if not target.stream_port:
                continue
            empty = memory(target.pid)
            with streams(target, served.key) as reader:
                full, late = memory(target.pid), 0.0
                for _ in range(rounds):
                    for path in PATHS:
                        got = received(reader)
                        taken = load(target, path, served.flow_token, 8, seconds)
                        late = max(late, all_received(reader, got + STREAMS * len(taken.seconds)))
                        found[f"{path}, {STREAMS} streams", 8, target.name].all.append(taken)
                sizes[target.name] = empty, full, late
    return found, sizes


def as_json(found: Found) -> str:
    """By path and connections, for each server a list of its rounds, for `python -m bench posting`."""
    tree: dict[str, dict[str, list[dict[str, float]]]] = {}
    for (path, links, name), result in found.items():
        tree.setdefault(f"{path}, {links} connection{'s' if links > 1 else ''}", {})[name] = [
            {
                "per_second": each.rate,
                "p50": sorted(each.seconds)[len(each.seconds) // 2] * 1000,
                "p99": sorted(each.seconds)[int(len(each.seconds) * 0.99)] * 1000,
                "cpu": each.cpu + each.database_cpu,
            }
            for each in result.all
        ]
    return json.dumps(tree)


def measure(
    folder: Path, database: str, before: Path | None, seconds: float, rounds: int, crowd: bool
) -> Iterator[tuple[str, str, str]]:
    """Rows: what, the server, what was measured."""
    found, sizes = take(folder, database, before, seconds, rounds, crowd)
    for (path, links, name), result in found.items():
        text = str(result)
        plain = path.partition(",")[0]
        if name == "server":
            text += f"; {result.rate / found[plain, links, 'bare view'].rate:.2f} of the bare view"
            if plain != path:
                text += f", {result.rate / found[plain, links, name].rate:.2f} of without"
            if before:
                text += f", {result.rate / found[path, links, 'before'].rate:.2f} times before"
        yield f"{path}, {links} connections" if links > 1 else f"{path}, 1 connection", name, text
    for name, (empty, full, late) in sizes.items():
        yield (
            f"{STREAMS} streams",
            name,
            f"memory {full:.0f} MB against {empty:.0f} MB without; "
            f"last message read {late:.2f} s after the last answer",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.posting", description=__doc__)
    parser.add_argument("--database", default="", help="the address of an empty PostgreSQL (default: SQLite)")
    parser.add_argument("--before", type=Path, help="the folder of an earlier checkout to compare with")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-streams", action="store_true")
    parser.add_argument("--json", action="store_true", help="print each round, as JSON, instead of a table")
    options = parser.parse_args()
    streams = not options.without_streams
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asked = (Path(folder), options.database, options.before, options.seconds, options.rounds, streams)
        if options.json:
            print(as_json(take(*asked)[0]))
            return
        rows = list(measure(*asked))
    print("| what | server | measured (CPU: seconds for 1,000 posts, server + its PostgreSQL connections) |")
    print("| --- | --- | --- |")
    for row in sorted(rows, key=lambda row: list(dict.fromkeys(each[0] for each in rows)).index(row[0])):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
