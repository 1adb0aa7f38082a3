"""One open stream: its queue and its format."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable

from hosting.parts import Parts

from .opening import Opening, event_id
from .store import END

# What may be queued for a slow client. If it is more, the stream is cut off, so that it does not slow down others.
QUEUE_LIMIT = 1000  # messages
QUEUE_LIMIT_BYTES = 8 * 1024 * 1024
WRITE_SIZE = 64 * 1024  # bytes that are sent at a time, or one message if it is larger
STALLED_AFTER = 60.0  # seconds in which a client has read nothing although its queue is not empty


class Group:
    """Lines that are sent together, shared by all streams in which they are queued.

    `numbers` are those of their messages. Without a `key`, a stream cannot be resumed from them. A group without lines
    is a keep-alive.
    """

    def __init__(self, lines: Iterable[bytes], key: str = "", numbers: Iterable[int] = ()) -> None:
        self.lines = Parts(lines)
        self.key = key
        self.numbers = tuple(numbers)
        self.size = sum(map(len, self.lines.parts))


_SILENCE = Group(())


class Stream:
    """Belongs to one event loop. `positions` has, by key, the number of the last message that was sent."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.user_id = opening.user_id
        self.positions = dict(opening.positions)
        self.over = asyncio.Event()
        self.is_cut_off = False
        self._last_sent = time.monotonic()
        self._queue: deque[Group] = deque()
        self._messages = 0
        self._bytes = 0
        self._more = asyncio.Event()

    def enqueue(self, group: Group) -> None:
        # The bytes limit does not apply to a single group, which is a single line if it is large.
        if self._messages >= QUEUE_LIMIT or (self._queue and self._bytes + group.size > QUEUE_LIMIT_BYTES):
            self.cut_off()
        elif not self.over.is_set():
            self._queue.append(group)
            self._messages += len(group.lines.parts)
            self._bytes += group.size
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
            self.enqueue(_SILENCE)

    async def next(self) -> Parts:
        """Wait for the next messages to send, each a part. Call `sent` afterwards."""
        while True:
            while not self._queue:
                self._more.clear()
                await self._more.wait()
            parts = self._formatted(self._queue[0])
            if parts.parts:
                return parts
            self._drop()  # already sent to fill a gap

    def _formatted(self, group: Group) -> Parts:
        """What has to be sent of `group`, which is recorded as sent."""
        if group is _SILENCE:
            return Parts([self.keep_alive])
        if not group.key:
            return Parts(map(self._format, group.lines.parts))
        after = self.positions.get(group.key, 0)
        if not self.opening.as_events and group.numbers[0] > after:
            self.positions[group.key] = group.numbers[-1]
            return group.lines
        found = zip(group.numbers, group.lines.parts, strict=True)
        return Parts([self.format(group.key, number, line) for number, line in found if number > after])

    def progressed(self) -> None:
        """Record that the client has read something."""
        self._last_sent = time.monotonic()

    def sent(self) -> None:
        self._drop()
        self.progressed()

    def _drop(self) -> None:
        if self._queue:
            group = self._queue.popleft()
            self._messages -= len(group.lines.parts)
            self._bytes -= group.size

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
