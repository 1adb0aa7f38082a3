"""How fast webhook requests are accepted, beside a view that does the same input and output through the ORM."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.payloads import BARE_HOOK_ID
from bench.processes import Process, call, cpu_seconds, free_port, memory, python, running
from bench.results import Goal, Row, percentile, row
from bench.systems import Bridge, Databases

CONNECTIONS = (1, 8, 32)
DETAILED = 8  # connections, for which CPU seconds are shown in parts
THREADS = 4  # of each process
FIGURES = (
    ("per_second", "accepts", "/s"),
    ("p50", "p50", "ms"),
    ("p99", "p99", "ms"),
    ("cpu", "CPU for 1,000", "s"),
)
RATE, P99, CPU = Goal("≥", 1.0), Goal("≤", 1.5), Goal("≤", 1.5)


@dataclass
class Side:
    """A server under load, and what its rounds said, by the number of connections."""

    process: Process
    address: str
    secret: str
    databases: Databases
    database: str
    env: dict[str, str]
    rounds: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    requests: int = 0
    size_before: int = 0

    def __post_init__(self) -> None:
        self.size_before = self.databases.size(self.database)

    def cpu(self) -> tuple[float, float]:
        """Of the server and of the database."""
        return cpu_seconds(self.process.pids), self.databases.cpu(self.database)

    def measure(self, connections: int, seconds: float) -> None:
        web, database = self.cpu()
        said = load(self.address, self.secret, connections, seconds, self.env)
        web_after, database_after = self.cpu()
        thousands = said["count"] / 1000
        self.requests += said["count"]
        self.rounds.setdefault(connections, []).append(
            {
                "per_second": said["per_second"],
                "p50": percentile(said["ms"], 50),
                "p99": percentile(said["ms"], 99),
                "web": (web_after - web) / thousands,
                "database": (database_after - database) / thousands,
                "cpu": (web_after - web + database_after - database) / thousands,
                "load": said["cpu"] / thousands,
            }
        )

    def values(self, connections: int, key: str) -> list[float]:
        return [each[key] for each in self.rounds[connections]]

    def decide(self) -> dict[str, float]:
        """Decide all that the bridge has accepted: CPU seconds for 1,000 events."""
        return dict(json.loads(call(python("-m", "bench.decide"), self.env)))

    def bytes_for_each(self) -> float:
        return (self.databases.size(self.database) - self.size_before) / self.requests


def load(
    address: str, secret: str, connections: int, seconds: float, env: dict[str, str], per_second: float = 0.0
) -> dict[str, Any]:
    arguments = [address, secret, str(connections), str(seconds), str(per_second)]
    return dict(json.loads(call(python("-m", "bench.load", *arguments), env)))


def measure(
    folder: Path, databases: Databases, seconds: float, rounds: int, processes: int, connections: Sequence[int]
) -> Iterator[Row]:
    with sides(folder, databases, processes) as (ours, bare, front):
        for side in (ours, bare, front):
            load(side.address, side.secret, 8, min(seconds, 1.0), side.env)  # warm
            side.requests, side.size_before = 0, databases.size(side.database)
        for number in range(rounds):
            for count in connections:
                turns = [ours, bare, front]
                for side in turns[number % 3 :] + turns[: number % 3]:
                    side.measure(count, seconds)
        where = f"{databases.name}, "
        for count in connections:
            at = f"{where}{counted(count)}"

            def of(key: str, name: str, unit: str, goal: Goal | None = None, count: int = count, at: str = at) -> Row:
                return row(f"{at}: {name}", ours.values(count, key), bare.values(count, key), unit, goal)

            yield of("per_second", "accepts", "/s", RATE)
            yield of("p50", "p50", "ms")
            yield of("p99", "p99", "ms", P99 if count == DETAILED else None)
            yield of("cpu", "CPU for 1,000", "s", CPU)
            if count != DETAILED:
                continue
            yield of("web", "CPU for 1,000, web alone", "s")
            if any(bare.values(count, "database")):
                yield of("database", "CPU for 1,000, database alone", "s")
            yield row(
                f"{at}: the bare view behind the bridge's own server, accepts",
                front.values(count, "per_second"),
                bare.values(count, "per_second"),
                "/s",
            )
            yield row(
                f"{at}: the bare view behind the bridge's own server, CPU for 1,000",
                front.values(count, "cpu"),
                bare.values(count, "cpu"),
                "s",
            )
        yield row(
            f"{where}memory of {processes} web process{'es' if processes > 1 else ''}, under load",
            [memory(ours.process.pids)],
            [memory(bare.process.pids)],
            "MB",
        )
        decided = ours.decide()
        yield row(
            f"{where}deciding what was accepted, in a worker: CPU for 1,000, without the database's",
            [decided["cpu"]],
            (),
            "s",
        )
        yield row(f"{where}bytes for each stored event", [ours.bytes_for_each()], [bare.bytes_for_each()], "bytes")


@contextlib.contextmanager
def sides(folder: Path, databases: Databases, processes: int) -> Iterator[tuple[Side, Side, Side]]:
    """The bridge; the bare view behind granian; and the bare view behind the bridge's own server."""
    with contextlib.ExitStack() as stack:
        bridge = Bridge(folder, databases.create("bridge"), WEB_THREADS=str(THREADS))
        origin = bridge.connect()

        def side(command: list[str], port: int, hook_id: str, secret: str, database: str, env: dict[str, str]) -> Side:
            process = stack.enter_context(running(command, env, port))
            return Side(process, f"http://127.0.0.1:{port}/hooks/{hook_id}/", secret, databases, database, env)

        def bare(port: int, command: list[str]) -> Side:
            env = bridge.env | {"DATABASE_URL": databases.create("bare")}
            secret = call(python("-c", "from bench import bare; print(bare.create_tables())"), env).split()[-1]
            return side(command, port, BARE_HOOK_ID, secret, env["DATABASE_URL"], env)

        port, other = free_port(), free_port()
        yield (
            side(bridge.serve(processes), bridge.port, origin.hook_id, origin.secret, bridge.database, bridge.env),
            bare(port, granian("bench.bare:application", port, processes)),
            bare(other, python("-m", "bench.bare_behind_front", str(other), str(processes))),
        )


def counted(connections: int) -> str:
    return f"{connections} connection{'s' if connections > 1 else ''}"


def granian(application: str, port: int, processes: int) -> list[str]:
    options = ["--interface", "wsgi", "--no-ws", "--log-level", "warning", "--host", "127.0.0.1", "--port", str(port)]
    return python(
        "-m", "granian", *options, "--workers", str(processes), "--blocking-threads", str(THREADS), application
    )


def load_generator(seconds: float, connections: Sequence[int], env: dict[str, str]) -> Iterator[Row]:
    """What the load generator can send to a server that answers at once."""
    port = free_port()
    with running(python("-m", "bench.instant", str(port), "202"), env, port):
        for count in connections:
            said = load(f"http://127.0.0.1:{port}/hooks/bench/", "bench", count, seconds, env)
            yield Row(f"the load generator alone, {counted(count)}", said["per_second"], unit="/s")
