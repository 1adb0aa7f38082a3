"""Flowdock's POST /activities, served by a thread of the test, with faults. It checks what arrives as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import re
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

TITLE = re.compile(r"number (\d+)")
DELAY = 0.02  # seconds until an answer; without any, messages would never meet
SLOW = 5.0  # seconds
TAKEN = b'{"id": 1, "thread_id": "T"}'


class Behaviour(enum.Enum):
    """What the receiver does with a message."""

    TAKE = "takes it and answers 201"
    TAKE_SLOWLY = "takes it and answers after SLOW seconds"
    ERROR = "answers 500"
    LIMIT = "answers 429 with Retry-After: 1"
    GONE = "answers 410"
    GARBAGE = "takes it and answers with what is not HTTP"
    HALF = "takes it and sends half of an answer"
    CUT_AFTER_TAKING = "takes it and closes the connection"
    CUT = "closes the connection without taking it"


TAKES = {
    Behaviour.TAKE, Behaviour.TAKE_SLOWLY, Behaviour.GARBAGE, Behaviour.HALF, Behaviour.CUT_AFTER_TAKING,
}  # fmt: skip
KEEPS_OPEN = {Behaviour.TAKE, Behaviour.TAKE_SLOWLY, Behaviour.ERROR, Behaviour.LIMIT, Behaviour.GONE}


def answer(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


ANSWERS = {
    Behaviour.TAKE: answer("201 Created", TAKEN),
    Behaviour.TAKE_SLOWLY: answer("201 Created", TAKEN),
    Behaviour.ERROR: answer("500 Internal Server Error", b"{}"),
    Behaviour.LIMIT: answer("429 Too Many Requests", b"{}", "Retry-After: 1"),
    Behaviour.GONE: answer("410 Gone", b"{}"),
    Behaviour.GARBAGE: b"\x00\xff no status line \r\n\r\n",
    Behaviour.HALF: answer("201 Created", TAKEN)[:-10],
    Behaviour.CUT_AFTER_TAKING: b"",
    Behaviour.CUT: b"",
}

Place = tuple[str, str]  # the token of the integration, and the id of the thread


@dataclass
class Arrivals:
    """What was taken of one thread at one integration: the number in each title, by uuid, in order; and when."""

    numbers: dict[str, int] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)  # number: time.monotonic()
    repetitions: int = 0


class Receiver:
    """Takes messages, as `choose` wants it for each token; may be down in between.

    `wrong` has what Flowdock must never see: two messages of one thread at the same time, a message again under
    another uuid, or an older one after a newer one.
    """

    def __init__(self, choose: Callable[[str], Behaviour] = lambda token: Behaviour.TAKE) -> None:
        self.choose = choose
        self.wrong: list[str] = []
        self.arrivals: dict[Place, Arrivals] = defaultdict(Arrivals)
        self.behaved: Counter[Behaviour] = Counter()
        self.requests = 0
        self.requests_of: Counter[str] = Counter()
        self.most_in_flight = 0
        self._in_flight: Counter[Place] = Counter()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receiver")
        self._server: asyncio.Server | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def go_up(self) -> None:
        async def listen() -> None:
            self._server = await self._loop.create_server(
                lambda: _Connection(self), "127.0.0.1", self.port, reuse_address=True, backlog=200
            )

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def go_down(self) -> None:
        """Refuse connections, and close the open ones."""

        async def close() -> None:
            if self._server:
                self._server.close()
            for each in list(self._connections):
                each.abort()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def taken(self) -> int:
        """How many messages were taken, without repetitions."""
        return sum(len(each.numbers) for each in list(self.arrivals.values()))

    def begin(self, thread: Place, uuid: str, number: int, behaviour: Behaviour) -> None:
        self.requests += 1
        self.requests_of[thread[0]] += 1
        self.behaved[behaviour] += 1
        self._in_flight[thread] += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight.total())
        if self._in_flight[thread] > 1:
            self.wrong.append(f"{thread}: number {number} while another one is being posted")
        if behaviour in TAKES:
            self._take(thread, uuid, number)

    def _take(self, thread: Place, uuid: str, number: int) -> None:
        arrivals = self.arrivals[thread]
        if uuid in arrivals.numbers:
            arrivals.repetitions += 1
            if arrivals.numbers[uuid] != number:
                self.wrong.append(f"{thread}: uuid {uuid} was number {arrivals.numbers[uuid]}, now {number}")
            return
        if number in arrivals.times:
            self.wrong.append(f"{thread}: number {number} again under another uuid")
        elif number < max(arrivals.times, default=0):
            self.wrong.append(f"{thread}: number {number} after {max(arrivals.times)}")
        arrivals.numbers[uuid] = number
        arrivals.times[number] = time.monotonic()

    def end(self, thread: Place) -> None:
        self._in_flight[thread] -= 1

    @contextlib.contextmanager
    def running(self) -> Iterator[Receiver]:
        self._thread.start()
        self.go_up()
        try:
            yield self
        finally:
            self.go_down()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.run_until_complete(asyncio.sleep(0))  # what was closed just now
            self._loop.close()


class _Connection(asyncio.Protocol):
    """One connection. A message is in flight until it is answered, or until its sender is gone."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.received = bytearray()
        self.thread: Place | None = None
        self.waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport
        self.receiver._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.receiver._connections.discard(self)
        if self.waiting:
            self.waiting.cancel()
        self._end()

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = bytes(self.received).partition(b"\r\n\r\n")
        lengths = re.findall(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if not found or len(rest) < sum(map(int, lengths)):
            return
        self.received.clear()
        if not head.startswith(b"POST /activities"):
            self.transport.write(answer("200 OK", b"{}"))
            return
        message = json.loads(rest)
        number = TITLE.search(message["thread"]["title"])
        assert number, message
        behaviour = self.receiver.choose(message["flow_token"])
        self.thread = (message["flow_token"], message["thread_id"])
        self.receiver.begin(self.thread, message["uuid"], int(number[1]), behaviour)
        delay = SLOW if behaviour is Behaviour.TAKE_SLOWLY else DELAY
        self.waiting = asyncio.get_running_loop().call_later(delay, self._answer, behaviour)

    def _answer(self, behaviour: Behaviour) -> None:
        self._end()  # before the answer can arrive
        self.transport.write(ANSWERS[behaviour])
        if behaviour not in KEEPS_OPEN:
            self.transport.close()

    def _end(self) -> None:
        if self.thread:
            self.receiver.end(self.thread)
            self.thread = None
