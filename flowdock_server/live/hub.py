"""Who listens in this process, and how a note reaches them."""

import asyncio
import contextlib
import signal
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any, Protocol

from .broadcasts import Note, Topic

# Notes a reader may lag behind. One that is slower is cut off, and catches up from the database when it reconnects.
BACKLOG = 256
KEEP_ALIVE = 25.0  # seconds of silence after which `listen` yields None


class Listener(Protocol):
    """Whoever has joined a topic. Its methods are called in its own event loop."""

    loop: asyncio.AbstractEventLoop

    def put(self, note: Note) -> None:
        """Take a note, without waiting."""

    def catch_up(self) -> None:
        """Notes may have been lost: read from the database what is new."""

    def end(self) -> None:
        """The server stops."""


class Relay(Protocol):
    """What carries notes to the other processes, and theirs here."""

    def send(self, note: Note) -> None: ...

    def listen(self) -> None: ...


class Reader:
    """One open page: a bounded queue that lives in its event loop. None in it is a sign of life."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Note | None] = asyncio.Queue(BACKLOG)
        self.cut_off = False

    def put(self, note: Note | None) -> None:
        if self.cut_off:
            return
        try:
            self.queue.put_nowait(note)
        except asyncio.QueueFull:
            self.cut_off = True

    def catch_up(self) -> None:
        self.put(None)

    def end(self) -> None:
        """Nothing comes after what waits in the queue."""
        self.put(None)
        self.cut_off = True


class Hub:
    """The listeners of one process. `relay` makes what connects it with other processes, or None where it is alone."""

    def __init__(self, relay: Callable[["Hub"], Relay | None] = lambda hub: None) -> None:
        self._lock = threading.Lock()
        # By event loop, of which a server has one: a note costs its sender one call, however many listen.
        self._listeners: dict[Topic, dict[asyncio.AbstractEventLoop, set[Listener]]] = defaultdict(dict)
        self._make_relay = relay
        self._relay: Relay | None = None
        self._has_relay = False
        self._ended = False
        self._watches_signals = False

    def publish(self, note: Note) -> None:
        """Hand `note` to those who listen to its topic, here and elsewhere. Never waits for one, nor fails for one."""
        self.hand_out(note)
        if relay := self._connection():
            relay.send(note)

    def hand_out(self, note: Note) -> None:
        """To those in this process only."""
        with self._lock:
            loops = tuple(self._listeners.get(note.topic, ()))
        for loop in loops:
            # RuntimeError: it has closed, and its listeners with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._put, loop, note)

    def _put(self, loop: asyncio.AbstractEventLoop, note: Note) -> None:
        with self._lock:
            listeners = tuple(self._listeners.get(note.topic, {}).get(loop, ()))
        for listener in listeners:
            listener.put(note)

    def catch_up(self) -> None:
        """Tell everybody that notes may have been lost."""
        self._tell_all(lambda listener: listener.catch_up())

    def end(self) -> None:
        """End every listener, for good."""
        self._ended = True
        self._tell_all(lambda listener: listener.end())

    def _tell_all(self, tell: Callable[[Listener], None]) -> None:
        with self._lock:
            listeners = [one for loops in self._listeners.values() for group in loops.values() for one in group]
        for listener in listeners:
            with contextlib.suppress(RuntimeError):
                listener.loop.call_soon_threadsafe(tell, listener)

    def join(self, topic: Topic, listener: Listener) -> None:
        """From here on `listener` hears `topic`. Call in its event loop."""
        self._end_with_the_server()
        if relay := self._connection():
            relay.listen()
        with self._lock:
            self._listeners[topic].setdefault(listener.loop, set()).add(listener)
        if self._ended:
            listener.end()

    def leave(self, topic: Topic, listener: Listener) -> None:
        with self._lock:
            loops = self._listeners[topic]
            group = loops.get(listener.loop, set())
            group.discard(listener)
            if not group:
                loops.pop(listener.loop, None)
            if not loops:
                del self._listeners[topic]

    async def listen(self, *topics: Topic, keep_alive: float = KEEP_ALIVE) -> AsyncIterator[Note | None]:
        """The topics' notes as they come; None after `keep_alive` seconds of silence, to be sent as a sign of life.

        The first is None: from there on nothing is missed, so what was stored before can be read then. So can it at
        every other None, which also comes where notes may have been lost on their way from another process. Ends
        when the reader has fallen behind by more than BACKLOG notes, and when the server stops.
        """
        reader = Reader()
        for topic in topics:
            self.join(topic, reader)
        try:
            yield None
            while not (self._ended or (reader.cut_off and reader.queue.empty())):
                try:
                    note = await asyncio.wait_for(reader.queue.get(), keep_alive)
                except TimeoutError:
                    note = None
                if self._ended:
                    return
                yield note
        finally:
            for topic in topics:
                self.leave(topic, reader)

    def _connection(self) -> Relay | None:
        """Made when it is first needed, and so by the process that needs it: servers fork after loading."""
        if not self._has_relay:
            with self._lock:
                if not self._has_relay:  # another thread may have come first
                    self._relay, self._has_relay = self._make_relay(self), True
        return self._relay

    def _end_with_the_server(self) -> None:
        """See to it that listeners end on SIGINT and SIGTERM: a server waits for its open answers before it stops.

        Python's handler runs beside the event loop's own, which hears of signals by another way. It is installed
        by the first listener, since servers install theirs after they have loaded the application.
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

    def readers(self, topic: Topic) -> int:
        """How many are listening to it now."""
        with self._lock:
            return sum(len(group) for group in self._listeners.get(topic, {}).values())
