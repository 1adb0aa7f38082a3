"""The subscribers of this process, and the delivery of broadcasts to them."""

import asyncio
import contextlib
import signal
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Any, Protocol

from .broadcasts import Broadcast, Topic

# Broadcasts that may wait for a page. A slower page is cut off, and catches up from the database when it reconnects.
BACKLOG = 256
KEEP_ALIVE = 25.0  # seconds of silence after which `listen` yields None


class Subscriber(Protocol):
    """Subscribes to topics. Its methods are called in its own event loop."""

    loop: asyncio.AbstractEventLoop

    def receive(self, broadcast: Broadcast) -> None:
        """Accept a broadcast, without waiting."""

    def catch_up(self) -> None:
        """Read from the database what is new, since broadcasts may have been lost."""

    def end(self) -> None:
        """End, because the server stops."""


class Relay(Protocol):
    """Sends broadcasts to the other processes, and receives theirs."""

    def send(self, broadcast: Broadcast) -> None: ...

    def listen(self) -> None: ...


class PageSubscriber:
    """An open page: a bounded queue that belongs to its event loop. None in it makes the page catch up."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Broadcast | None] = asyncio.Queue(BACKLOG)
        self.cut_off = False

    def receive(self, broadcast: Broadcast | None) -> None:
        if self.cut_off:
            return
        try:
            self.queue.put_nowait(broadcast)
        except asyncio.QueueFull:
            self.cut_off = True

    def catch_up(self) -> None:
        self.receive(None)

    def end(self) -> None:
        """Accept no more; the queue is still read to its end."""
        self.receive(None)
        self.cut_off = True


class Hub:
    """The subscribers of one process. `relay` makes the connection to other processes, or None if there are none."""

    def __init__(self, relay: Callable[["Hub"], Relay | None] = lambda hub: None) -> None:
        self._lock = threading.Lock()
        # By event loop, of which a server has one: publishing costs one call, however many subscribers there are.
        self._subscribers: dict[Topic, dict[asyncio.AbstractEventLoop, set[Subscriber]]] = defaultdict(dict)
        self._make_relay = relay
        self._relay: Relay | None = None
        self._has_relay = False
        self._ended = False
        self._watches_signals = False

    def publish(self, broadcast: Broadcast) -> None:
        """Deliver to the topic's subscribers in all processes, without waiting for them."""
        self.deliver(broadcast)
        if relay := self._connection():
            relay.send(broadcast)

    def deliver(self, broadcast: Broadcast) -> None:
        """Deliver to the topic's subscribers in this process only."""
        with self._lock:
            loops = tuple(self._subscribers.get(broadcast.topic, ()))
        for loop in loops:
            # RuntimeError: the loop has closed, and its subscribers with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._deliver_in, loop, broadcast)

    def _deliver_in(self, loop: asyncio.AbstractEventLoop, broadcast: Broadcast) -> None:
        with self._lock:
            subscribers = tuple(self._subscribers.get(broadcast.topic, {}).get(loop, ()))
        for subscriber in subscribers:
            subscriber.receive(broadcast)

    def catch_up(self) -> None:
        """Make all subscribers catch up, since broadcasts may have been lost."""
        self._notify_all(lambda subscriber: subscriber.catch_up())

    def end(self) -> None:
        """End all subscribers, for good."""
        self._ended = True
        self._notify_all(lambda subscriber: subscriber.end())

    def _notify_all(self, notify: Callable[[Subscriber], None]) -> None:
        with self._lock:
            subscribers = [one for loops in self._subscribers.values() for group in loops.values() for one in group]
        for subscriber in subscribers:
            with contextlib.suppress(RuntimeError):
                subscriber.loop.call_soon_threadsafe(notify, subscriber)

    def subscribe(self, topic: Topic, subscriber: Subscriber) -> None:
        """Deliver the topic's broadcasts to `subscriber` from now on. Call this in its event loop."""
        self._end_on_signals()
        if relay := self._connection():
            relay.listen()
        with self._lock:
            self._subscribers[topic].setdefault(subscriber.loop, set()).add(subscriber)
        if self._ended:
            subscriber.end()

    def unsubscribe(self, topic: Topic, subscriber: Subscriber) -> None:
        with self._lock:
            loops = self._subscribers[topic]
            group = loops.get(subscriber.loop, set())
            group.discard(subscriber)
            if not group:
                loops.pop(subscriber.loop, None)
            if not loops:
                del self._subscribers[topic]

    async def listen(self, *topics: Topic, keep_alive: float = KEEP_ALIVE) -> AsyncIterator[Broadcast | None]:
        """Yield the topics' broadcasts as they are published, and None after `keep_alive` seconds without one.

        At every None, read from the database what is new. The first item is None: from then on no broadcast of this
        process is missed. None is also yielded when broadcasts of another process may have been lost. Ends when more
        than BACKLOG broadcasts wait to be read, and when the server stops.
        """
        page = PageSubscriber()
        for topic in topics:
            self.subscribe(topic, page)
        try:
            yield None
            while not (self._ended or (page.cut_off and page.queue.empty())):
                try:
                    broadcast = await asyncio.wait_for(page.queue.get(), keep_alive)
                except TimeoutError:
                    broadcast = None
                if self._ended:
                    return
                yield broadcast
        finally:
            for topic in topics:
                self.unsubscribe(topic, page)

    def _connection(self) -> Relay | None:
        """The relay, made at its first use: a server may fork after it has loaded this module."""
        if not self._has_relay:
            with self._lock:
                if not self._has_relay:  # another thread may have come first
                    self._relay, self._has_relay = self._make_relay(self), True
        return self._relay

    def _end_on_signals(self) -> None:
        """End the subscribers on SIGINT and SIGTERM, since a server waits for open responses before it stops.

        The signal handler does not replace the event loop's own, which is called in another way. The first subscriber
        installs it, because servers install theirs after they have loaded the application.
        """
        if self._watches_signals or threading.current_thread() is not threading.main_thread():
            return
        self._watches_signals = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            former = signal.getsignal(number)

            def end(signum: int, frame: FrameType | None, former: Any = former) -> None:
                # Later, in the event loop: this thread may hold the lock right now.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self.end)
                if callable(former):
                    former(signum, frame)

            signal.signal(number, end)

    def count_subscribers(self, topic: Topic) -> int:
        """The number of the topic's subscribers in this process."""
        with self._lock:
            return sum(len(group) for group in self._subscribers.get(topic, {}).values())
