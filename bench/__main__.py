"""`make bench`: the whole product as processes, and what it does in a second. Writes bench/RESULTS.md."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from demo import connect
from demo.replay import DAY
from launcher.environment import ROOT
from tests.stack import Stack, until

TEMPLATE = json.loads(next(DAY.glob("*issues.opened.json")).read_text())
PADDING = "Lorem ipsum dolor sit amet. " * 300  # GitHub's deliveries are some 10 KB


class Hook:
    """octo/hello's hook, with the secret that signs for it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.id = connect.connect(stack.env)
        script = f"from integrations.models import Origin; print(Origin.objects.get(hook_id='{self.id}').secret)"
        self.secret = stack.manage("shell", "--no-imports", "-c", script).stdout.strip().encode()

    def delivery(self, number: int) -> tuple[bytes, dict[str, str]]:
        """A signed issue of its own, some 10 KB."""
        issue = TEMPLATE["issue"] | {"number": number, "title": f"Measured {number}", "body": PADDING}
        body = json.dumps(TEMPLATE | {"issue": issue}).encode()
        return body, {
            "Content-Type": "application/json",
            "X-GitHub-Event": "issues",
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest(),
        }

    def send(self, first: int, count: int, connections: int) -> tuple[float, list[float]]:
        """The seconds that `count` deliveries took over so many connections, and the milliseconds of each."""
        prepared = [self.delivery(first + number) for number in range(count)]
        address, taken = urlsplit(self.stack.bridge), []

        def run(mine: list[tuple[bytes, dict[str, str]]]) -> None:
            link = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
            for body, headers in mine:
                began = time.perf_counter()
                link.request("POST", f"/hooks/{self.id}/", body, headers)
                answer = link.getresponse()
                answer.read()
                taken.append((time.perf_counter() - began) * 1000)
                if answer.status != 202:
                    raise SystemExit(f"the hook answered {answer.status}")
            link.close()

        threads = [threading.Thread(target=run, args=(prepared[part::connections],)) for part in range(connections)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began, taken


def rows(stack: Stack, query: str) -> float:
    """One number out of the bridge's database, read beside the processes that write to it."""
    with sqlite3.connect(stack.data_dir / "bridge.sqlite3", timeout=30) as database:
        return float(database.execute(query).fetchone()[0] or 0)


def delivered(stack: Stack) -> float:
    return rows(stack, "SELECT count(*) FROM integrations_delivery WHERE state = 'delivered'")


@contextmanager
def stack_of_three() -> Iterator[tuple[Stack, Hook]]:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.prepare()
        stack.start()
        try:
            yield stack, Hook(stack)
        finally:
            stack.stop()


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def measure(count: int) -> list[str]:
    with stack_of_three() as (stack, hook):
        single = []
        for number in range(60):
            _, took = hook.send(number, 1, 1)
            until(lambda number=number: delivered(stack) >= number + 1, "the delivery")
            single += took
        waits = "SELECT (julianday(delivered_at) - julianday(created_at)) * 86400000 FROM integrations_delivery"
        with sqlite3.connect(stack.data_dir / "bridge.sqlite3") as database:
            loop = [float(row[0]) for row in database.execute(f"{waits} WHERE state = 'delivered'")]
        stack.stop("worker")
        lines = ["| what | a second | p50 ms | p99 ms |", "| --- | ---: | ---: | ---: |"]
        sent = 60
        for connections in (1, 8):
            rounds = [hook.send(sent + count * place, count, connections) for place in range(3)]
            sent += 3 * count
            rate = statistics.median(count / seconds for seconds, _ in rounds)
            took = [each for _, times in rounds for each in times]
            lines.append(
                f"| events accepted over {connections} connection{'s' if connections > 1 else ''} | {rate:.0f} "
                f"| {percentile(took, 0.5):.1f} | {percentile(took, 0.99):.1f} |"
            )
        before, began = delivered(stack), time.perf_counter()
        stack.start("worker")
        until(lambda: delivered(stack) >= sent, "the outbox to be empty", patience=600)
        rate = (sent - before) / (time.perf_counter() - began)
        lines.append(f"| activities delivered from a full outbox to the bundled Flowdock server | {rate:.0f} | | |")
        lines.append(
            f"| from the hook to the inbox, idle | | {percentile(loop, 0.5):.0f} | {percentile(loop, 0.99):.0f} |"
        )
        return lines


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="deliveries in each of three rounds (default: 1000)")
    parser.add_argument("--quick", action="store_true", help="100 a round, and nothing is written")
    options = parser.parse_args()
    table = "\n".join(measure(100 if options.quick else options.count))
    print(table)
    if not options.quick:
        (ROOT / "bench" / "RESULTS.md").write_text(
            "# Measurements\n\n"
            f"{machine()}. Load generator, bridge, worker and Flowdock server share the cores, each over SQLite with\n"
            "`synchronous=FULL`. Signed GitHub deliveries of 10 KB; medians of three rounds of "
            f"{options.count}. Trust the ratios, not the rates: `make bench` repeats it.\n\n{table}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
