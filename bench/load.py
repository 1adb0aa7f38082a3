"""Webhook requests over so many connections: `python -m bench.load ADDRESS SECRET CONNECTIONS SECONDS [PER_SECOND]`.

Each connection sends its next request when the last one is answered or, with PER_SECOND, when its time has come. One
thread and bare sockets: `python -m bench accept` measures how many requests it can send. Prints JSON: the rate, each
response time in milliseconds, when each issue was sent (milliseconds since 1970), and the CPU seconds of this process.
Any answer but 202 ends it.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.payloads import SignedRequests


@dataclass
class Connection:
    socket: socket.socket
    began: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Whether the answer is complete. Raises SystemExit if it is not 202."""
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the server closed a connection")
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return False
        lines = bytes(self.received[:head]).lower().split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        if len(lengths) != 1:
            raise SystemExit("the server answered without a Content-Length")
        (length,) = lengths
        if len(self.received) < head + 4 + length:
            return False
        if lines[0].split()[1] != b"202":
            raise SystemExit(f"the server answered {self.received.decode(errors='replace')[:500]}")
        self.received.clear()
        return True


def load(address: str, secret: str, connections: int, seconds: float, per_second: float = 0.0) -> dict[str, object]:
    parts = urlsplit(address)
    requests = SignedRequests(parts.path, parts.netloc, secret)
    poll = select.epoll()
    links: dict[int, Connection] = {}
    for _ in range(connections):
        link = socket.create_connection((parts.hostname, parts.port or 80), timeout=60)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[link.fileno()] = Connection(link)
        poll.register(link, select.EPOLLIN)
    began = time.perf_counter()
    end = began + seconds
    idle = list(links.values())
    times = [began + number / per_second for number in range(int(seconds * per_second))] if per_second else []
    heapq.heapify(times)
    taken: list[float] = []
    late = 0.0
    sent: dict[int, float] = {}
    last = began
    while True:
        now = time.perf_counter()
        while idle and (times and times[0] <= now if per_second else now < end):
            link = idle.pop()
            if per_second:
                late = max(late, now - heapq.heappop(times))
            request = requests.next()
            sent[requests.number] = time.time() * 1000
            link.send(request)
            now = time.perf_counter()
        if len(taken) == len(sent) and not (times if per_second else now < end):
            break
        wait = max(times[0] - now, 0) if times and idle else 1.0
        for number, _ in poll.poll(wait):
            link = links[number]
            if link.receive():
                last = time.perf_counter()
                taken.append(last - link.began)
                idle.append(link)
    for link in links.values():
        link.socket.close()
    spent = os.times()
    return {
        "count": len(taken),
        "per_second": len(taken) / (last - began),
        "ms": [round(each * 1000, 3) for each in taken],
        "sent": sent,
        "late_ms": late * 1000,
        "cpu": spent.user + spent.system,
    }


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:6]))))
