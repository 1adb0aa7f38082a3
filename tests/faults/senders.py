"""Threads that send webhook requests as GitHub would, and send them again if they are not accepted."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import payloads

TIMEOUT = 10.0  # seconds that GitHub waits for an answer
PAUSE = 0.1  # seconds until a request is sent again


@dataclass(frozen=True)
class Origin:
    hook_id: str
    secret: str
    tokens: tuple[str, ...]  # of its integrations


@dataclass(frozen=True)
class Accepted:
    """An event that was answered 2xx, with the status of the last answer."""

    origin: Origin
    issue: int  # its thread
    number: int  # in the thread, which is also in its title
    status: int
    at: float  # time.monotonic()
    seconds: float  # that the last request took


@dataclass
class Senders:
    """Send events to all origins, of `threads` threads each. A thread's events come from one sender, in order."""

    port: int
    origins: Sequence[Origin]
    threads: int = 5
    senders: int = 8
    pause: float = 0.0  # seconds between two events of a sender
    accepted: list[Accepted] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    no_answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def sending(self, events: int) -> Iterator[list[Future[None]]]:
        """Send so many events during the block; it ends when all of them are accepted."""
        places = [(origin, issue) for issue in range(1, self.threads + 1) for origin in self.origins]
        number = 1 + max((each.number for each in self.accepted), default=0)
        with ThreadPoolExecutor(self.senders) as pool:
            futures = [
                pool.submit(self._send_all, places[first :: self.senders], number, events, len(places), first)
                for first in range(min(self.senders, len(places)))
            ]
            try:
                yield futures
            except BaseException:
                self.stopping.set()
                raise
        for future in futures:
            future.result()

    def _send_all(
        self, places: Sequence[tuple[Origin, int]], number: int, events: int, of_all: int, first: int
    ) -> None:
        """Send to these places of all in turn, from this number on."""
        for turn in range(-(-events // of_all)):
            for index, (origin, issue) in enumerate(places):
                if turn * of_all + first + index * self.senders >= events or self.stopping.is_set():
                    break
                self._send(origin, issue, number + turn)
                time.sleep(self.pause)

    def _send(self, origin: Origin, issue: int, number: int) -> None:
        """Send one event until it is accepted, always with the same ID."""
        body = payloads.issue(issue, f"number {number}")
        headers = payloads.headers(body, origin.secret, f"{issue}-{number}")
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                status = self._post(origin, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self.no_answers[type(error).__name__] += 1
                time.sleep(PAUSE)
                continue
            now = time.monotonic()
            self.answers[status] += 1
            if status in {200, 202}:
                self.accepted.append(Accepted(origin, issue, number, status, now, now - began))
                return
            if status != 503:
                self.wrong.append(f"number {number} of issue {issue} was answered {status}")
            time.sleep(PAUSE)

    def _post(self, origin: Origin, body: bytes, headers: dict[str, str]) -> int:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            link.request("POST", f"/hooks/{origin.hook_id}/", body, headers)
            response = link.getresponse()
            response.read()
            return response.status
        finally:
            link.close()
