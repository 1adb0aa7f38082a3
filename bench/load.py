"""Webhooks at a hook over so many connections: `python -m bench.load ADDRESS SECRET CONNECTIONS SECONDS`, as JSON."""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

from bench.payloads import headers, issue


def send(address: str, secret: str, until: float, number: int, taken: list[float]) -> None:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    while time.perf_counter() < until:
        body = issue(number * 100_000 + len(taken))
        signed = headers(body, secret, str(uuid.uuid4()))
        began = time.perf_counter()
        connection.request("POST", parts.path, body, signed)
        answer = connection.getresponse()
        answer.read()
        taken.append(time.perf_counter() - began)
        if answer.status != 202:
            raise SystemExit(f"the bridge answered {answer.status}")
    connection.close()


def main(address: str, secret: str, connections: int, seconds: float) -> None:
    began = time.perf_counter()
    taken: list[list[float]] = [[] for _ in range(connections)]
    threads = [
        threading.Thread(target=send, args=(address, secret, began + seconds, number, each))
        for number, each in enumerate(taken)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_taken = sorted(time for each in taken for time in each)
    print(
        json.dumps(
            {
                "per_second": len(all_taken) / (time.perf_counter() - began),
                "median_ms": statistics.median(all_taken) * 1000,
                "p99_ms": all_taken[int(len(all_taken) * 0.99)] * 1000,
            }
        )
    )


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
