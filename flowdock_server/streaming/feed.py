"""The streams of one process. A message is read and turned into JSON once, then delivered to all who may read it.

A broadcast from `live` only wakes a channel, which reads the messages after the last one that it delivered. So a lost
broadcast loses no message, and a repeated one repeats none.
"""

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import Error as AnyDatabaseError

from flowdock_server.live import Broadcast, Topic, hub

from . import presence, store, transient_events
from .opening import conversation_id_of, conversation_key, flow_key, is_conversation
from .store import in_thread
from .stream import WRITE_SIZE, Group, Stream

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
# How often to look in the database for messages whose broadcasts were lost, and for streams that have to end.
POLL_INTERVAL = 5.0  # seconds
# A channel that has delivered rests for so many times the time that it took, so that many streams leave time for posts.
# Messages that are posted meanwhile are then delivered together, with one write for each stream.
REST = 3.0
LONGEST_REST = 1.0  # seconds
AT_A_TIME = 50  # streams that send before other work of the event loop continues


class Gap(NamedTuple):
    """Messages that a channel delivered before a stream joined, and that the stream still needs."""

    channel: "Channel"
    key: str
    up_to: int | None


class Channel(ABC):
    """The streams of one topic. Subscribes to the topic for all of them."""

    def __init__(self, topic: Topic, positions: dict[str, int]) -> None:
        self.loop = asyncio.get_running_loop()
        self.topic = topic
        self.positions = positions
        self.streams: set[Stream] = set()
        self._is_due = False
        self._rests_until = 0.0
        self._task: asyncio.Task[None] | None = None

    def end(self) -> None:
        for stream in tuple(self.streams):
            stream.end()

    def catch_up(self) -> None:
        self.wake()

    def wake(self) -> None:
        """Deliver what is new, soon."""
        self._is_due = True
        if self._task is None:
            self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._is_due and self.streams:
                if (rest := self._rests_until - self.loop.time()) > 0:
                    await asyncio.sleep(rest)
                self._is_due = False
                try:
                    await self.deliver_new()
                except AnyDatabaseError:
                    log.exception("Streams wait until the database is available")
                    self._is_due = True
                    await asyncio.sleep(1)
        finally:
            self._task = None

    async def deliver(self, key: str, page: list[store.NumberedLine], allowed_users: set[int]) -> None:
        """Queue a page of messages for the streams of `allowed_users`, and let them send it."""
        began = self.loop.time()
        for some in _in_writes(page):
            group = Group((line for _, line in some), key, (number for number, _ in some))
            self.positions[key] = group.numbers[-1]
            allowed = [stream for stream in self.streams if stream.user_id in allowed_users]
            for start in range(0, len(allowed), AT_A_TIME):
                for stream in allowed[start : start + AT_A_TIME]:
                    stream.enqueue(group)
                await asyncio.sleep(0)  # let streams send it, and let requests in
        now = self.loop.time()
        self._rests_until = now + min(REST * (now - began), LONGEST_REST)

    @abstractmethod
    def receive(self, broadcast: Broadcast) -> None:
        """Accept a broadcast of the topic."""

    @abstractmethod
    async def deliver_new(self) -> None:
        """Read what is new and deliver it."""

    @abstractmethod
    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.NumberedLine]:
        """The next page of the messages that `stream` has missed; empty if its user may not read them."""


def _in_writes(page: list[store.NumberedLine]) -> Iterator[list[store.NumberedLine]]:
    """The messages of a page, in groups that a stream sends at a time."""
    group: list[store.NumberedLine] = []
    size = 0
    for message in page:
        group.append(message)
        size += len(message[1])
        if size >= WRITE_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


def deliver_unstored(events: Iterable[dict[str, Any]], streams: Iterable[Stream], allowed_users: set[int]) -> None:
    """Deliver events that are not stored."""
    allowed = [stream for stream in streams if stream.user_id in allowed_users]
    for event in events:
        group = Group([store.line(event)])
        for stream in allowed:
            stream.enqueue(group)


class FlowChannel(Channel):
    """The streams of a flow."""

    def __init__(self, flow_id: UUID, position: int) -> None:
        self.key = flow_key(flow_id)
        self.flow_id = flow_id
        self._last_active: dict[int, int] = {}
        self._changes: list[tuple[str, int]] = []
        super().__init__(flow_id, {self.key: position})

    def receive(self, broadcast: Broadcast) -> None:
        if broadcast.kind == "message":
            self.wake()
        elif broadcast.kind == "presence" and broadcast.user_id is not None and broadcast.at is not None:
            self._last_active[broadcast.user_id] = broadcast.at
            self.wake()
        elif broadcast.kind in ("join", "leave", "user-edit") and broadcast.user_id is not None:
            self._changes.append((broadcast.kind, broadcast.user_id))
            self.wake()

    async def deliver_new(self) -> None:
        users = {stream.user_id for stream in self.streams}
        if last_active := self._last_active:
            self._last_active = {}
            self._deliver_presence(last_active, await in_thread(store.readers_of_flow, self.flow_id, users))
        if changes := self._changes:
            self._changes = []
            events = await in_thread(transient_events.changes_in, self.flow_id, changes)
            deliver_unstored(events, self.streams, await in_thread(store.readers_of_flow, self.flow_id, users))
        page, allowed_users = await in_thread(store.new_flow_messages, self.flow_id, self.positions[self.key], users)
        # A stream may have joined in the meantime.
        while page and (others := {stream.user_id for stream in self.streams} - users):
            users |= others
            allowed_users |= await in_thread(store.readers_of_flow, self.flow_id, others)
        await self.deliver(self.key, page, allowed_users)
        if len(page) == store.PAGE:
            self.wake()

    def _deliver_presence(self, last_active: dict[int, int], allowed_users: set[int]) -> None:
        interested = [each for each in self.streams if each.opening.presence and each.user_id in allowed_users]
        if interested:
            events = [transient_events.activity(self.flow_id, user_id, at) for user_id, at in last_active.items()]
            deliver_unstored(events, interested, allowed_users)

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.NumberedLine]:
        if not await in_thread(store.readers_of_flow, self.flow_id, [stream.user_id]):
            return []
        return await in_thread(store.flow_messages, self.flow_id, stream.positions[key], up_to)


class PrivateChannel(Channel):
    """The streams of one person's private messages, sent and received."""

    def __init__(self, user_id: int, positions: dict[str, int]) -> None:
        self.user_id = user_id
        self._due: set[int] = set()
        self._is_check_due = False
        super().__init__(user_id, positions)

    def receive(self, broadcast: Broadcast) -> None:
        if broadcast.kind == "private" and broadcast.conversation_id is not None:
            self._due.add(broadcast.conversation_id)
            self.wake()

    def catch_up(self) -> None:
        self._is_check_due = True
        self.wake()

    async def deliver_new(self) -> None:
        if self._is_check_due:
            self._is_check_due = False
            self._due |= {row[0] for row in await in_thread(store.conversations, [self.user_id]) if self.lacks(row)}
        while self._due:
            conversation_id = next(iter(self._due))
            key = conversation_key(conversation_id)
            after = self.positions.get(key, 0)
            page = await in_thread(store.private_messages, self.user_id, conversation_id, after)
            allowed_users = {self.user_id} - await in_thread(store.inactive_users, [self.user_id])
            await self.deliver(key, page, allowed_users)
            if len(page) < store.PAGE:
                self._due.discard(conversation_id)

    def lacks(self, row: tuple[int, int, int, int]) -> bool:
        """Whether a conversation, a row of `store.conversations`, has messages that were not delivered yet."""
        conversation_id, _, _, number = row
        return number > self.positions.get(conversation_key(conversation_id), 0)

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.NumberedLine]:
        after = stream.positions.get(key, 0)
        return await in_thread(store.private_messages, self.user_id, conversation_id_of(key), after, up_to)


class MembershipChannel(Channel):
    """All streams of one person, which are notified when the person joins or leaves a flow."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._changes: list[tuple[str, str]] = []
        super().__init__(user_id, {})

    def receive(self, broadcast: Broadcast) -> None:
        if broadcast.kind in ("flow-add", "flow-remove") and broadcast.about:
            self._changes.append((broadcast.kind, broadcast.about))
            self.wake()

    async def deliver_new(self) -> None:
        changes, self._changes = self._changes, []
        if changes:
            events = await in_thread(transient_events.changes_of, self.user_id, changes)
            allowed_users = {self.user_id} - await in_thread(store.inactive_users, [self.user_id])
            deliver_unstored(events, self.streams, allowed_users)
        if any(kind == "flow-remove" for kind, _ in changes):
            Feed.of_this_loop().check_soon()

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.NumberedLine]:
        return []


class Feed:
    """All streams of one event loop."""

    _of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, "Feed"] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.channels: dict[Topic, Channel] = {}
        self.memberships: dict[int, MembershipChannel] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._check_is_due = False

    @classmethod
    def of_this_loop(cls) -> "Feed":
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    def join(self, stream: Stream) -> list[Gap]:
        """Deliver to `stream` from now on. Returns gaps: older messages that it still has to be sent."""
        self.streams.add(stream)
        gaps = []
        for key, flow_id in stream.opening.flows.items():
            channel = self.channels.get(flow_id)
            if channel is None:
                channel = self._open(FlowChannel(flow_id, stream.positions[key]))
            elif channel.positions[key] > stream.positions[key]:
                gaps.append(Gap(channel, key, channel.positions[key]))
            channel.streams.add(stream)
        if stream.opening.private:
            gaps += self._join_private(stream)
        if stream.user_id not in self.memberships:
            self.memberships[stream.user_id] = MembershipChannel(stream.user_id)
            hub.subscribe(stream.user_id, self.memberships[stream.user_id])
        self.memberships[stream.user_id].streams.add(stream)
        for channel in self._channels_of(stream):
            channel.catch_up()
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        return gaps

    def _join_private(self, stream: Stream) -> list[Gap]:
        channel = self.channels.get(stream.user_id)
        if channel is None:
            conversations = {key: number for key, number in stream.positions.items() if is_conversation(key)}
            channel = self._open(PrivateChannel(stream.user_id, conversations))
        channel.streams.add(stream)
        behind = [key for key, number in channel.positions.items() if number > stream.positions.get(key, 0)]
        return [Gap(channel, key, channel.positions[key]) for key in behind]

    def missed(self, stream: Stream) -> list[Gap]:
        """The messages since the positions that `stream` resumes from, as gaps."""
        flows = stream.opening.flows
        gaps = [Gap(FlowChannel(flow_id, stream.positions[key]), key, None) for key, flow_id in flows.items()]
        private_channel = PrivateChannel(stream.user_id, {})
        return gaps + [Gap(private_channel, key, None) for key in stream.positions if is_conversation(key)]

    def _open(self, channel: Channel) -> Channel:
        self.channels[channel.topic] = channel
        hub.subscribe(channel.topic, channel)
        return channel

    def leave(self, stream: Stream) -> None:
        self.streams.discard(stream)
        for channel in self._channels_of(stream):
            channel.streams.discard(stream)
            if not channel.streams:
                hub.unsubscribe(channel.topic, channel)
                del self.channels[channel.topic]
        if memberships := self.memberships.get(stream.user_id):
            memberships.streams.discard(stream)
            if not memberships.streams:
                hub.unsubscribe(stream.user_id, memberships)
                del self.memberships[stream.user_id]
        if not self.streams and self._ticking:
            self._ticking.cancel()
            self._ticking = None

    def _channels_of(self, stream: Stream) -> list[Channel]:
        topics: list[Topic] = [*stream.opening.flows.values(), *([stream.user_id] if stream.opening.private else [])]
        return [self.channels[topic] for topic in topics if topic in self.channels]

    async def _tick(self) -> None:
        began = time.monotonic()
        due = dict.fromkeys((self._poll, self._check, self._refresh_presence), began)
        keep_alive = settings.STREAM_KEEP_ALIVE
        every = {
            self._poll: POLL_INTERVAL,
            self._check: min(POLL_INTERVAL, keep_alive),
            self._refresh_presence: presence.REFRESH,
        }
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for stream in tuple(self.streams):
                stream.check_silence(now, keep_alive)
            for task, last in due.items():
                if now - last >= every[task]:
                    due[task] = now
                    with contextlib.suppress(AnyDatabaseError):  # the next check tries again
                        await task()

    async def _poll(self) -> None:
        """Wake the channels that have messages which were not delivered yet."""
        flows = {topic for topic in self.channels if isinstance(topic, UUID)}
        for flow_id, number in (await in_thread(store.latest_numbers, flows)).items():
            channel = self.channels.get(flow_id)
            if channel and number > channel.positions[flow_key(flow_id)]:
                channel.wake()
        people = {topic for topic in self.channels if isinstance(topic, int)}
        for row in await in_thread(store.conversations, people) if people else ():
            for user_id in row[1:3]:
                private_channel = self.channels.get(user_id)
                if isinstance(private_channel, PrivateChannel) and private_channel.lacks(row):
                    private_channel.catch_up()

    def check_soon(self) -> None:
        """Check now instead of after POLL_INTERVAL which streams have to end."""
        self._check_is_due = True
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_now())

    async def _check_now(self) -> None:
        try:
            while self._check_is_due:
                self._check_is_due = False
                with contextlib.suppress(AnyDatabaseError):  # the next check tries again
                    await self._check()
        finally:
            self._checking = None

    async def _check(self) -> None:
        """End streams whose key was revoked, whose user was deactivated, or whose user can read none of their flows."""
        revoked = await in_thread(store.revoked_keys, {stream.opening.key for stream in self.streams})
        inactive = await in_thread(store.inactive_users, {stream.user_id for stream in self.streams})
        checked = tuple(self.streams)
        memberships = await in_thread(
            store.memberships,
            {flow_id for stream in checked for flow_id in stream.opening.flows.values()},
            {stream.user_id for stream in checked},
        )
        for stream in checked:
            may_read = stream.opening.private or any(
                (flow_id, stream.user_id) in memberships for flow_id in stream.opening.flows.values()
            )
            if stream.opening.key in revoked or stream.user_id in inactive or not may_read:
                stream.end()

    async def _refresh_presence(self) -> None:
        await presence.refresh({(stream.user_id, stream.opening.active) for stream in self.streams})
