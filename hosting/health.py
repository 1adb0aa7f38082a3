"""Probes: what load balancers and supervisors ask a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ALIVE_PATH = "/healthz"
ALIVE = b'{"status": "alive"}\n'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ALIVE)).encode()),
    (b"cache-control", b"no-store"),
]


def asks_if_alive(scope: MutableMapping[str, Any]) -> bool:
    return scope["type"] == "http" and scope["path"] == ALIVE_PATH and scope["method"] in {"GET", "HEAD"}


async def answer_alive(send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    """Answer in the event loop: threads that all wait for a database are no reason to end the process."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ALIVE})


class Timed(Generic[T]):
    """Calls `work` in a thread of its own, and waits for it `seconds` at most.

    It runs once at a time, however many ask, and its result is used for the next `fresh_for` seconds.
    """

    def __init__(self, work: Callable[[], T], *, seconds: float, fresh_for: float) -> None:
        self._work, self._seconds, self._fresh_for = work, seconds, fresh_for
        self._lock = threading.Lock()
        self._future: Future[T] | None = None
        self._done_at = 0.0

    def __call__(self) -> T | None:
        """The result, or None if it is not there in time. Raises what `work` raises."""
        with self._lock:
            if self._future is None or (self._future.done() and time.monotonic() - self._done_at > self._fresh_for):
                self._future = Future()
                threading.Thread(target=self._run, args=(self._future,), name="probe", daemon=True).start()
            future = self._future
        try:
            return future.result(self._seconds)
        except TimeoutError:
            return None

    def _run(self, future: Future[T]) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            self._done_at = time.monotonic()
            future.set_exception(error)
        else:
            self._done_at = time.monotonic()
            future.set_result(result)
