"""One open stream: what waits to be sent, and how it is spelled."""

import asyncio
import time
from collections import deque
from typing import NamedTuple

from .opening import Opening, event_id
from .store import END

# What may wait for a reader that is slow. Beyond it the stream is cut off, so that it costs nobody else anything.
BACKLOG = 1000  # messages
BACKLOG_BYTES = 8 * 1024 * 1024
STALLED = 60.0  # seconds in which a reader has taken nothing of what waits


class Waiting(NamedTuple):
    """A line, one and the same for all the streams that it waits in. Without a `key` it is nothing to resume from."""

    line: bytes
    key: str = ""
    number: int = 0


class Stream:
    """Lives in one event loop. `positions` says, by key, up to which message its reader has been told."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.user_id = opening.user_id
        self.positions = dict(opening.positions)
        self.over = asyncio.Event()
        self.is_cut_off = False
        self._last_sent = time.monotonic()
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    def put(self, waiting: Waiting) -> None:
        size = len(waiting.line)
        # A single one is let through, however large.
        if len(self._waiting) >= BACKLOG or (self._waiting and self._bytes + size > BACKLOG_BYTES):
            self.cut_off()
        elif not self.over.is_set():
            self._waiting.append(waiting)
            self._bytes += size
            self._more.set()

    def end(self) -> None:
        self.over.set()

    def cut_off(self) -> None:
        """End it without waiting for what its reader does not take."""
        self.is_cut_off = True
        self._waiting.clear()
        self.end()

    def look_after(self, now: float, keep_alive: float) -> None:
        """Break a silence; cut off who takes nothing."""
        silence = now - self._last_sent
        if self._waiting and silence > STALLED:
            self.cut_off()
        elif not self._waiting and silence >= keep_alive:
            self.put(Waiting(b""))

    async def next(self) -> bytes:
        """What is to be sent now. Call `sent` when it is."""
        while True:
            while not self._waiting:
                self._more.clear()
                await self._more.wait()
            waiting = self._waiting[0]
            if not waiting.line:
                return self.sign_of_life
            if not waiting.key:
                return self._spell(waiting.line)
            if waiting.number > self.positions.get(waiting.key, 0):
                return self.spell(waiting.key, waiting.number, waiting.line)
            self._drop()  # it was among what was missed

    def taken(self) -> None:
        """The reader goes on reading."""
        self._last_sent = time.monotonic()

    def sent(self) -> None:
        self._drop()
        self.taken()

    def _drop(self) -> None:
        if self._waiting:
            self._bytes -= len(self._waiting.popleft().line)

    @property
    def sign_of_life(self) -> bytes:
        return b":\n\n" if self.opening.as_events else b"\n"

    def spell(self, key: str, number: int, line: bytes) -> bytes:
        """The message as the stream's format has it, with the id to resume from: it is told from here on."""
        self.positions[key] = number
        if not self.opening.as_events:
            return line
        return b"id: " + event_id(self.positions).encode() + b"\n" + self._spell(line)

    def _spell(self, line: bytes) -> bytes:
        return b"data: " + line.removesuffix(END) + b"\n\n" if self.opening.as_events else line
