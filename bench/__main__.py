"""Measure this machine's bridge and write bench/RESULTS.md. Takes some minutes; nothing else should run meanwhile."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from honcho.environ import parse_procfile

from bench.payloads import headers, issue
from demo.connect import connect
from launcher.environment import ROOT, SECRETS, for_one_machine

if TYPE_CHECKING:
    from integrations.models import Origin

RESULTS = Path(__file__).with_name("RESULTS.md")
ROUNDS = 3
INTEGRATIONS = 10_000  # of the past
PATIENCE = 60.0  # seconds

Row = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["bridge", "growth", "server"],
        default="bridge",
        help="the bridge, how the bridge grows on PostgreSQL, or the Flowdock server alone",
    )
    parser.add_argument(
        "--parts", default="pri", help="of the server: p, posting and streams; r, reading; i, pages (default: all)"
    )
    parser.add_argument(
        "--database",
        default="",
        help="server: an empty PostgreSQL (default: SQLite); growth: a PostgreSQL in which two more can be made",
    )
    parser.add_argument("--past", type=int, default=1_000_000, help="how many past deliveries (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load lasts (default: %(default)s)")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    if options.what == "server":
        write_server(options, busy)
        return
    if options.what == "growth":
        write_growth(options, busy)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder))
        rows = [
            *bench.accepting(options.seconds),
            *bench.delivering(),
            *bench.from_hook_to_inbox(),
            *bench.growing(options.past, bench.sqlite),
        ]
    text = report(rows, busy)
    print(text)
    _, *growth = sections()[0].split(GROWTH)
    RESULTS.write_text(SERVER.join([GROWTH.join([text, *growth]), *sections()[1:]]))


GROWTH = "\n## The bridge on PostgreSQL\n"
SERVER = "\n## The Flowdock server"


def sections() -> list[str]:
    """What RESULTS.md has of the bridge, and then of the Flowdock server, a part for each measurement."""
    return RESULTS.read_text().split(SERVER) if RESULTS.exists() else [""]


def write_growth(options: argparse.Namespace, busy: float) -> None:
    """Measure how accept, claim and the clock grow on PostgreSQL, and put that behind the rest about the bridge."""
    if not options.database.startswith("postgres"):
        raise SystemExit("growth needs --database postgres://...")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, postgresql(options.database) as address:
        rows = list(Bench(Path(folder)).growing(options.past, address))
    text = report(rows, busy).replace("# Measurements\n", "", 1).replace("`make bench`", "`python -m bench growth`")
    print(text)
    bridge, *servers = sections()
    RESULTS.write_text(SERVER.join([bridge.partition(GROWTH)[0] + GROWTH + text, *servers]))


@contextlib.contextmanager
def postgresql(database: str) -> Iterator[Callable[[str], str]]:
    """A function that makes a database beside this one, and returns its address; they are dropped at the end."""
    import psycopg

    made: list[str] = []
    with psycopg.connect(database, autocommit=True) as server:

        def make(name: str) -> str:
            made.append(f"bench_{name}_{uuid.uuid4().hex[:8]}")
            server.execute(f"CREATE DATABASE {made[-1]}")
            return f"{database.rpartition('/')[0]}/{made[-1]}"

        try:
            yield make
        finally:
            for name in made:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def write_server(options: argparse.Namespace, busy: float) -> None:
    """Measure the Flowdock server and put its section in the place of the one with the same name."""
    name = f": {'PostgreSQL' if options.database else 'SQLite'}, " + {"p": "posting", "r": "reading", "i": "pages"}.get(
        options.parts, "all"
    )
    arguments = [str(options.past), str(options.seconds), options.database, options.parts]
    done = subprocess.run(
        [sys.executable, "-m", "bench.server", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    text = report(json.loads(done.stdout.splitlines()[-1]), busy).replace("# Measurements", "", 1)
    text = text.replace("`make bench`", "`python -m bench server`")
    print(text)
    bridge, *others = sections()
    others = [each for each in others if not each.startswith(f"{name}\n")]
    RESULTS.write_text(SERVER.join([bridge, *others, f"{name}\n{text.strip()}\n".replace("\n", "\n\n", 1)]))


def report(rows: list[Row], busy: float) -> str:
    width = max(len(name) for name, _ in rows)
    facts = (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores ({processor()}), {memory()} of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()},\n"
        f"SQLite {sqlite3.sqlite_version} (WAL, synchronous=FULL)."
    )
    table = "\n".join(f"| {name:<{width}} | {value} |" for name, value in rows)
    return (
        "# Measurements\n\n"
        f"Made by `make bench`: {facts} Load, receiver and everything measured share the machine; medians of {ROUNDS} "
        f"rounds.\nThe machine's load was {busy:.1f} at the start. Trust the ratios more than the rates.\n\n"
        f"| {'what':<{width}} | measured |\n| {'-' * width} | --- |\n{table}\n"
    )


def processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def median_of_rounds(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(ROUNDS))


class Bench:
    """A bridge with data of its own, whose processes are started as each measurement needs them."""

    def __init__(self, folder: Path) -> None:
        bridge, flowdock, streams = str(free_port()), str(free_port()), str(free_port())
        given = {name: make() for name, make in SECRETS.items()}
        given |= {"BRIDGE_PORT": bridge, "FLOWDOCK_PORT": flowdock, "STREAM_PORT": streams}
        given |= {"DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}
        os.environ.pop("DATABASE_URL", None)
        os.environ.update(given)
        self.env = for_one_machine({})
        os.environ.update(self.env)
        self.commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        self.run("manage.py", "migrate", "--verbosity", "0")

        import django

        # Of this process only: the Flowdock server has settings of its own.
        os.environ["DJANGO_SETTINGS_MODULE"] = "flowdock_bridge.settings"
        django.setup()
        from integrations.models import Integration, Origin

        self.origin = Origin.objects.create(service="github", name="octo/hello")
        self.integration = Integration.objects.create(origin=self.origin, name="octo/hello", flow_token="bench")

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=env or self.env, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    @contextlib.contextmanager
    def running(self, *commands: str, answering: str = "") -> Iterator[None]:
        processes = [
            subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command.removeprefix('exec ')}"],
                cwd=ROOT,
                env=self.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            if answering:
                await_answer(answering)
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()

    def accepting(self, seconds: float) -> Iterator[Row]:
        with self.running(self.commands["bridge"], answering=self.env["BRIDGE_URL"]):
            address = f"{self.env['BRIDGE_URL']}/hooks/{self.origin.hook_id}/"
            for connections in (1, 8):
                load = ["-m", "bench.load", address, self.origin.secret, str(connections), str(seconds)]
                self.run(*load[:-1], "1")  # warm
                rounds = [json.loads(self.run(*load)) for _ in range(ROUNDS)]
                said = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
                yield (
                    f"accepted events a second, {connections} connection{'s' if connections > 1 else ''}, 11 KB each",
                    f"{said['per_second']:.0f} (median {said['median_ms']:.1f} ms, p99 {said['p99_ms']:.1f} ms)",
                )
        self.empty_outbox()

    def delivering(self) -> Iterator[Row]:
        for delay in (0, 20):
            rate = median_of_rounds(lambda delay=delay: self.deliver(delay / 1000, threads=1000))  # type: ignore[misc]
            yield f"delivered activities a second, receiver answers after {delay} ms, a thread each", f"{rate:.0f}"
        rate = median_of_rounds(lambda: self.deliver(0.0, threads=10))
        yield "delivered activities a second, receiver answers at once, all in 10 threads", f"{rate:.0f}"

    def deliver(self, delay: float, threads: int, count: int = 1000) -> float:
        """Activities a second, by one worker with WORKER_SENDERS senders."""
        self.fill_outbox(self.origin, count, threads)
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        with self.running(f"{sys.executable} -m bench.receiver {port} {delay}", answering=address):
            return self.drain(address, count)

    def drain(self, flowdock: str, count: int) -> float:
        from django.conf import settings

        from integrations.delivery.attempts import Outcome
        from integrations.delivery.dispatcher import Dispatcher

        settings.FLOWDOCK_API_URL = flowdock
        dispatcher = Dispatcher()
        began = time.perf_counter()
        dispatcher.run(until_idle=True)
        took = time.perf_counter() - began
        if dispatcher.tally[Outcome.DELIVERED] != count:
            raise SystemExit(f"not all of {count} were delivered: {dispatcher.tally}")
        return count / took

    def fill_outbox(self, origin: Origin, count: int, threads: int) -> None:
        from django.db import transaction

        from integrations import ingest
        from integrations.activity import Activity, Author, Thread

        with transaction.atomic():
            for number in range(count):
                activity = Activity(Author("Lea"), f"did {number}", f"issue:{number % threads}", Thread("It breaks"))
                ingest.post(origin, activity)

    def empty_outbox(self) -> None:
        from django.utils import timezone

        from integrations.models import Delivery

        Delivery.objects.pending().update(state="delivered", next_attempt_at=None, delivered_at=timezone.now())

    def from_hook_to_inbox(self) -> Iterator[Row]:
        """Through bridge, worker and the bundled Flowdock server, each a process of its own, one event at a time."""
        self.run("-m", "flowdock_server", "migrate", "--verbosity", "0")
        self.run("-m", "flowdock_server", "seed_demo", "--verbosity", "0")
        commands = [self.commands[name] for name in ("bridge", "flowdock", "worker")]
        with self.running(*commands, answering=self.env["BRIDGE_URL"]):
            await_answer(self.env["FLOWDOCK_SERVER_URL"])
            hook = connect(self.env)
            from integrations.models import Origin

            origin = Origin.objects.get(hook_id=hook)
            sent: dict[str, float] = {}
            with requests.Session() as session:
                session.trust_env = False
                for number in range(120):
                    title = f"Timed {number}"
                    body = issue(number, title)
                    signed = headers(body, origin.secret, str(uuid.uuid4()))
                    sent[title] = time.time() * 1000
                    answer = session.post(
                        f"{self.env['BRIDGE_URL']}/hooks/{hook}/", data=body, headers=signed, timeout=30
                    )
                    answer.raise_for_status()
                    time.sleep(0.05)
                arrived = self.arrivals(session, sent)
            taken = sorted(arrived[title] - sent[title] for title in list(sent)[20:])
        yield (
            "from hook to inbox, one event at a time, bundled Flowdock server",
            f"median {statistics.median(taken):.0f} ms, p95 {taken[int(len(taken) * 0.95)]:.0f} ms",
        )

        with self.running(self.commands["flowdock"], answering=self.env["FLOWDOCK_SERVER_URL"]):
            self.fill_outbox(origin, 500, threads=50)
            rate = self.drain(self.env["FLOWDOCK_SERVER_URL"], 500)
        yield "delivered activities a second to the bundled Flowdock server, in 50 threads", f"{rate:.0f}"

    def arrivals(self, session: requests.Session, sent: dict[str, float]) -> dict[str, float]:
        """When the inbox has got each: its `sent`, in milliseconds of this machine's own clock."""
        deadline = time.monotonic() + PATIENCE
        address = f"{self.env['FLOWDOCK_SERVER_URL']}/flows/acme/main/messages"
        while time.monotonic() < deadline:
            found: dict[str, float] = {}
            until = ""
            while True:
                query = {"limit": "100", "event": "activity"} | ({"until_id": until} if until else {})
                messages = session.get(address, params=query, auth=("demo@example.com", "demo"), timeout=30).json()
                found |= {message["thread"]["title"]: message["sent"] for message in messages}
                if len(messages) < 100:
                    break
                until = str(messages[0]["id"])
            if found.keys() >= sent.keys():
                return found
            time.sleep(0.2)
        raise SystemExit(f"{len(sent.keys() - found.keys())} events did not arrive")

    def sqlite(self, name: str) -> str:
        return f"sqlite:///{Path(self.env['DATA_DIR']) / name}.sqlite3"

    def growing(self, past: int, make_database: Callable[[str], str]) -> Iterator[Row]:
        """How accept and claim change with a long past and a long outbox, measured over two databases in turns."""
        with_past = {**self.env, "DATABASE_URL": make_database("past")}
        without = {**self.env, "DATABASE_URL": make_database("empty")}
        for env in (with_past, without):
            self.run("manage.py", "migrate", "--verbosity", "0", env=env)
        self.run("-m", "bench.past", str(past), str(INTEGRATIONS), env=with_past)
        rounds = [
            [json.loads(self.run("-m", "bench.growth", env=env)) for env in (without, with_past)] for _ in range(ROUNDS)
        ]
        told = f"{past:,} past deliveries of {INTEGRATIONS:,} integrations"
        for key, name in (("accept", "accept"), ("claim", "claim and mark")):
            old = statistics.median(before[key] for before, _ in rounds)
            new = statistics.median(after[key] for _, after in rounds)
            ratio = statistics.median(after[key] / before[key] for before, after in rounds)
            yield f"{name}, with {told}", f"{new:.2f} ms against {old:.2f} ms without: {ratio:.2f} times"
        alone = statistics.median(before["claim"] for before, _ in rounds)
        crowded = statistics.median(before["crowded"] for before, _ in rounds)
        yield (
            "claim and mark, while 10,000 wait in another thread",
            f"{crowded:.2f} ms against {alone:.2f} ms without: {crowded / alone:.2f} times",
        )
        for key, name in (
            ("schedule_stranded", "the clock's look for stuck threads, while 20,000 wait"),
            ("slowest", "the slowest of 100 accepts meanwhile, at the origin of those that wait"),
        ):
            yield name, f"{statistics.median(after[key] for _, after in rounds):.0f} ms"


def await_answer(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException), requests.Session() as session:
            session.trust_env = False
            session.get(address, timeout=1, allow_redirects=False)
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers at {address}")


if __name__ == "__main__":
    if not shutil.which("sh"):
        raise SystemExit("the Procfile's commands need a shell")
    main()
