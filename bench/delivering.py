"""How fast one worker delivers, beside loops of `bench.deliver` that only post to the same receiver."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.processes import call, free_port, python, running
from bench.results import Goal, Row, row
from bench.systems import Bridge, Databases

DELAYS = (0, 20)  # of the receiver, in milliseconds
CONNECTIONS = (8, 32)
LOOPS = ("worker", "requests", "pycurl")
CEILING = Goal("≥", 0.85)  # where most is in flight


def measure(folder: Path, databases: Databases, rounds: int, count: int) -> Iterator[Row]:
    """`count` activities in each round, each in a thread of its own."""
    bridge = Bridge(folder, databases.create("deliver"))
    for delay in DELAYS:
        for connections in CONNECTIONS:
            found: dict[str, list[dict[str, float]]] = defaultdict(list)
            for number in range(rounds):
                for loop in LOOPS[number % 3 :] + LOOPS[: number % 3]:
                    found[loop].append(measure_loop(bridge, loop, delay, connections, count))
            yield from rows(f"{databases.name}, receiver answers after {delay} ms, {connections} at once", found)
            if delay:
                ceiling = connections / delay * 1000
                yield row(
                    f"{databases.name}, receiver answers after {delay} ms, {connections} at once: deliveries, beside"
                    " the ceiling (in flight divided by latency)",
                    [each["per_second"] for each in found["worker"]],
                    [ceiling] * rounds,
                    "/s",
                    CEILING if connections == max(CONNECTIONS) else None,
                )


def measure_loop(bridge: Bridge, loop: str, delay: int, connections: int, count: int) -> dict[str, float]:
    if loop == "worker":
        call(python("-m", "bench.deliver", "fill", str(count), "1", str(count)), bridge.env)
    port = free_port()
    with running(python("-m", "bench.receiver", str(port), str(delay / 1000)), bridge.env, port):
        arguments = [loop, f"http://127.0.0.1:{port}", str(connections), str(count)]
        printed = call(python("-m", "bench.deliver", "measure", *arguments), bridge.env)
    return dict(json.loads(printed.splitlines()[-1]))


def rows(where: str, found: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    def of(loop: str, key: str) -> list[float]:
        return [each[key] for each in found[loop]]

    yield row(
        f"{where}: deliveries, beside libcurl alone", of("worker", "per_second"), of("pycurl", "per_second"), "/s"
    )
    yield row(
        f"{where}: deliveries, beside `requests` alone", of("worker", "per_second"), of("requests", "per_second"), "/s"
    )
    yield row(f"{where}: CPU for 1,000, beside `requests` alone", of("worker", "cpu"), of("requests", "cpu"), "s")
