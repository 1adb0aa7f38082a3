"""What happens in a flow, told at once to the pages and streams that are open on it.

`publish` is called by whoever stored something, from any thread, once it is committed; `listen` is what an open page
reads. A note carries ids only: the reader fetches what it may see from the database. That is also the seam for
several processes, since such a note fits PostgreSQL's NOTIFY or a Redis channel: replace `hub`.
"""

import asyncio
import contextlib
import signal
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import FrameType
from typing import Any
from uuid import UUID

# Notes a reader may lag behind. One that is slower is cut off, and catches up from the database when it reconnects.
BACKLOG = 256
KEEP_ALIVE = 25.0  # seconds of silence after which `listen` yields None


@dataclass(frozen=True)
class Note:
    """Something changed in a flow.

    `kind` is "message" (number and, for a threaded one, thread_id are set), "thread" (its state changed without
    a message) or "source" (connected, changed or removed).
    """

    flow_id: UUID
    kind: str
    number: int | None = None
    thread_id: str | None = None


class Reader:
    """One open page: a bounded queue that lives in its event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Note | None] = asyncio.Queue(BACKLOG)
        self.cut_off = False

    def end(self) -> None:
        """Nothing comes after what waits in the queue."""
        self.cut_off = True
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)

    def put(self, note: Note) -> None:
        if self.cut_off:
            return
        try:
            self.queue.put_nowait(note)
        except asyncio.QueueFull:
            self.cut_off = True


class Hub:
    """The readers of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[UUID, set[Reader]] = defaultdict(set)
        self._ended = False
        self._watches_signals = False

    def publish(self, note: Note) -> None:
        """Hand `note` to the flow's readers. Never waits for one, and never fails for one."""
        with self._lock:
            readers = tuple(self._readers.get(note.flow_id, ()))
        for reader in readers:
            # RuntimeError: its event loop has closed, and the reader with it.
            with contextlib.suppress(RuntimeError):
                reader.loop.call_soon_threadsafe(reader.put, note)

    async def listen(self, flow_id: UUID, keep_alive: float = KEEP_ALIVE) -> AsyncIterator[Note | None]:
        """The flow's notes as they come; None after `keep_alive` seconds of silence, to be sent as a sign of life.

        The first is None: from there on nothing is missed, so what was stored before can be read then. Ends when the
        reader has fallen behind by more than BACKLOG notes, and when the server stops.
        """
        self._end_with_the_server()
        reader = Reader()
        with self._lock:
            self._readers[flow_id].add(reader)
        try:
            yield None
            while not (self._ended or (reader.cut_off and reader.queue.empty())):
                try:
                    note = await asyncio.wait_for(reader.queue.get(), keep_alive)
                except TimeoutError:
                    yield None
                    continue
                if note is None:
                    return
                yield note
        finally:
            with self._lock:
                self._readers[flow_id].discard(reader)
                if not self._readers[flow_id]:
                    del self._readers[flow_id]

    def end(self) -> None:
        """End every reader, for good."""
        self._ended = True
        with self._lock:
            readers = [reader for group in self._readers.values() for reader in group]
        for reader in readers:
            with contextlib.suppress(RuntimeError):
                reader.loop.call_soon_threadsafe(reader.end)

    def _end_with_the_server(self) -> None:
        """See to it that readers end on SIGINT and SIGTERM: a server waits for its open answers before it stops.

        Python's handler runs beside the event loop's own, which hears of signals by another way. It is installed
        by the first reader, since servers install theirs after they have loaded the application.
        """
        if self._watches_signals or threading.current_thread() is not threading.main_thread():
            return
        self._watches_signals = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            former = signal.getsignal(number)

            def end(signum: int, frame: FrameType | None, former: Any = former) -> None:
                # Not here and now: the signal may have come while this very thread holds the lock.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self.end)
                if callable(former):
                    former(signum, frame)

            signal.signal(number, end)

    def readers(self, flow_id: UUID) -> int:
        """How many are listening to the flow now."""
        with self._lock:
            return len(self._readers.get(flow_id, ()))


hub = Hub()
