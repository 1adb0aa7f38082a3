"""One open stream: its queue and its format."""

import asyncio
import time
from collections import deque
from typing import NamedTuple

from .opening import Opening, event_id
from .store import END

# What may be queued for a slow client. If it is more, the stream is cut off, so that it does not slow down others.
QUEUE_LIMIT = 1000  # messages
QUEUE_LIMIT_BYTES = 8 * 1024 * 1024
STALLED_AFTER = 60.0  # seconds in which a client has read nothing although its queue is not empty


class QueuedLine(NamedTuple):
    """A line, shared by all streams that it is queued in. Without a `key`, a stream cannot be resumed from it."""

    line: bytes
    key: str = ""
    number: int = 0


class Stream:
    """Belongs to one event loop. `positions` has, by key, the number of the last message that was sent."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.user_id = opening.user_id
        self.positions = dict(opening.positions)
        self.over = asyncio.Event()
        self.is_cut_off = False
        self._last_sent = time.monotonic()
        self._queue: deque[QueuedLine] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    def enqueue(self, queued: QueuedLine) -> None:
        size = len(queued.line)
        # The bytes limit does not apply to a single line.
        if len(self._queue) >= QUEUE_LIMIT or (self._queue and self._bytes + size > QUEUE_LIMIT_BYTES):
            self.cut_off()
        elif not self.over.is_set():
            self._queue.append(queued)
            self._bytes += size
            self._more.set()

    def end(self) -> None:
        self.over.set()

    def cut_off(self) -> None:
        """End the stream without waiting for the client to read its queue."""
        self.is_cut_off = True
        self._queue.clear()
        self.end()

    def check_silence(self, now: float, keep_alive: float) -> None:
        """Send a keep-alive after a silence, or cut off a stream whose client has stopped reading."""
        silence = now - self._last_sent
        if self._queue and silence > STALLED_AFTER:
            self.cut_off()
        elif not self._queue and silence >= keep_alive:
            self.enqueue(QueuedLine(b""))

    async def next(self) -> bytes:
        """Wait for the next bytes to send. Call `sent` afterwards."""
        while True:
            while not self._queue:
                self._more.clear()
                await self._more.wait()
            queued = self._queue[0]
            if not queued.line:
                return self.keep_alive
            if not queued.key:
                return self._format(queued.line)
            if queued.number > self.positions.get(queued.key, 0):
                return self.format(queued.key, queued.number, queued.line)
            self._drop()  # already sent to fill a gap

    def progressed(self) -> None:
        """Record that the client has read something."""
        self._last_sent = time.monotonic()

    def sent(self) -> None:
        self._drop()
        self.progressed()

    def _drop(self) -> None:
        if self._queue:
            self._bytes -= len(self._queue.popleft().line)

    @property
    def keep_alive(self) -> bytes:
        return b":\n\n" if self.opening.as_events else b"\n"

    def format(self, key: str, number: int, line: bytes) -> bytes:
        """The message in the stream's format, with the id to resume from. Records it as sent."""
        self.positions[key] = number
        if not self.opening.as_events:
            return line
        return b"id: " + event_id(self.positions).encode() + b"\n" + self._format(line)

    def _format(self, line: bytes) -> bytes:
        return b"data: " + line.removesuffix(END) + b"\n\n" if self.opening.as_events else line
