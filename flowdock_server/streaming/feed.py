"""The streams of one process. A message is read once, made JSON once, and handed to all who may read it.

Notes from `live` only wake a channel, which then reads what is new since the last message that it told. So nothing is
missed when notes are lost, and nothing is told twice when they come twice.
"""

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import Error as DatabaseTrouble

from flowdock_server.live import Note, Topic, hub

from . import presence, store, transient_events
from .opening import conversation_id_of, conversation_key, flow_key, is_conversation
from .store import in_thread
from .stream import Stream, Waiting

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
# How often the database is asked whether there are messages that no note told of, and whether readers may still read.
LOOK = 5.0

Out = Callable[[bytes], Awaitable[None]]


class Gap(NamedTuple):
    """Messages of a channel that a stream has not been told, and that come by the channel no more."""

    channel: "Channel"
    key: str
    up_to: int | None


class Channel(ABC):
    """The streams of one topic. Listens to the hub for them."""

    def __init__(self, topic: Topic, positions: dict[str, int]) -> None:
        self.loop = asyncio.get_running_loop()
        self.topic = topic
        self.positions = positions
        self.streams: set[Stream] = set()
        self._is_due = False
        self._task: asyncio.Task[None] | None = None

    def end(self) -> None:
        for stream in tuple(self.streams):
            stream.end()

    def catch_up(self) -> None:
        self.wake()

    def wake(self) -> None:
        """See to it that what is new is told, soon."""
        self._is_due = True
        if self._task is None:
            self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._is_due and self.streams:
                self._is_due = False
                try:
                    await self.tell()
                except DatabaseTrouble:
                    log.exception("Streams wait for the database")
                    self._is_due = True
                    await asyncio.sleep(1)
        finally:
            self._task = None

    def hand_out(self, key: str, told: store.Told, may_hear: set[int]) -> None:
        number, line = told
        self.positions[key] = number
        waiting = Waiting(line, key, number)
        for stream in tuple(self.streams):
            if stream.user_id in may_hear:
                stream.put(waiting)

    @abstractmethod
    def put(self, note: Note) -> None:
        """What the hub says of the topic."""

    @abstractmethod
    async def tell(self) -> None:
        """Read what is new and hand it out."""

    @abstractmethod
    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.Told]:
        """The next page of what `stream` has missed, empty where its user may not read it."""


def put_in_all(events: Iterable[dict[str, Any]], streams: Iterable[Stream], may_hear: set[int]) -> None:
    """Hand out what is not stored."""
    listeners = [stream for stream in streams if stream.user_id in may_hear]
    for event in events:
        waiting = Waiting(store.line(event))
        for stream in listeners:
            stream.put(waiting)


class FlowChannel(Channel):
    """What happens in one flow."""

    def __init__(self, flow_id: UUID, position: int) -> None:
        self.key = flow_key(flow_id)
        self.flow_id = flow_id
        self._seen_there: dict[int, int] = {}
        self._changes: list[tuple[str, int]] = []
        super().__init__(flow_id, {self.key: position})

    def put(self, note: Note) -> None:
        if note.kind == "message":
            self.wake()
        elif note.kind == "presence" and note.user_id is not None and note.at is not None:
            self._seen_there[note.user_id] = note.at
            self.wake()
        elif note.kind in ("join", "leave", "user-edit") and note.user_id is not None:
            self._changes.append((note.kind, note.user_id))
            self.wake()

    async def tell(self) -> None:
        asked = {stream.user_id for stream in self.streams}
        if present := self._seen_there:
            self._seen_there = {}
            self._tell_presence(present, await in_thread(store.allowed, self.flow_id, asked))
        if changes := self._changes:
            self._changes = []
            events = await in_thread(transient_events.changes_in, self.flow_id, changes)
            put_in_all(events, self.streams, await in_thread(store.allowed, self.flow_id, asked))
        news, may_hear = await in_thread(store.flow_news, self.flow_id, self.positions[self.key], asked)
        # A stream may have been opened while that was read.
        while news and (others := {stream.user_id for stream in self.streams} - asked):
            asked |= others
            may_hear |= await in_thread(store.allowed, self.flow_id, others)
        for told in news:
            self.hand_out(self.key, told, may_hear)
            await asyncio.sleep(0)  # let it be sent before the next one waits behind it
        if len(news) == store.PAGE:
            self.wake()

    def _tell_presence(self, present: dict[int, int], may_hear: set[int]) -> None:
        curious = [each for each in self.streams if each.opening.presence and each.user_id in may_hear]
        if curious:
            events = [transient_events.activity(self.flow_id, user_id, at) for user_id, at in present.items()]
            put_in_all(events, curious, may_hear)

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.Told]:
        if not await in_thread(store.allowed, self.flow_id, [stream.user_id]):
            return []
        return await in_thread(store.flow_messages, self.flow_id, stream.positions[key], up_to)


class Mailbox(Channel):
    """What is said to one person in private, and by them."""

    def __init__(self, user_id: int, positions: dict[str, int]) -> None:
        self.user_id = user_id
        self._due: set[int] = set()
        self._is_to_look = False
        super().__init__(user_id, positions)

    def put(self, note: Note) -> None:
        if note.kind == "private" and note.conversation_id is not None:
            self._due.add(note.conversation_id)
            self.wake()

    def catch_up(self) -> None:
        self._is_to_look = True
        self.wake()

    async def tell(self) -> None:
        if self._is_to_look:
            self._is_to_look = False
            self._due |= {row[0] for row in await in_thread(store.conversations, [self.user_id]) if self.lacks(row)}
        while self._due:
            conversation_id = next(iter(self._due))
            key = conversation_key(conversation_id)
            after = self.positions.get(key, 0)
            page = await in_thread(store.private_messages, self.user_id, conversation_id, after)
            may_hear = {self.user_id} - await in_thread(store.blocked, [self.user_id])
            for told in page:
                self.hand_out(key, told, may_hear)
                await asyncio.sleep(0)
            if len(page) < store.PAGE:
                self._due.discard(conversation_id)

    def lacks(self, row: tuple[int, int, int, int]) -> bool:
        """Whether the conversation, as `store.conversations` has it, has more than was told."""
        conversation_id, _, _, number = row
        return number > self.positions.get(conversation_key(conversation_id), 0)

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.Told]:
        after = stream.positions.get(key, 0)
        return await in_thread(store.private_messages, self.user_id, conversation_id_of(key), after, up_to)


class PlacesChannel(Channel):
    """Which flows one person is in: told to all their streams, whatever else these hold."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._changes: list[tuple[str, str]] = []
        super().__init__(user_id, {})

    def put(self, note: Note) -> None:
        if note.kind in ("flow-add", "flow-remove") and note.about:
            self._changes.append((note.kind, note.about))
            self.wake()

    async def tell(self) -> None:
        changes, self._changes = self._changes, []
        if changes:
            events = await in_thread(transient_events.changes_of, self.user_id, changes)
            may_hear = {self.user_id} - await in_thread(store.blocked, [self.user_id])
            put_in_all(events, self.streams, may_hear)
        if any(kind == "flow-remove" for kind, _ in changes):
            Feed.of_this_loop().check_soon()

    async def read(self, stream: Stream, key: str, up_to: int | None) -> list[store.Told]:
        return []


class Feed:
    """Every stream of one event loop."""

    _of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, "Feed"] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.channels: dict[Topic, Channel] = {}
        self.places: dict[int, PlacesChannel] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._check_is_due = False

    @classmethod
    def of_this_loop(cls) -> "Feed":
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    def join(self, stream: Stream) -> list[Gap]:
        """From here on `stream` is told what its channels tell, and has to be told the gaps that are returned."""
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
            gaps += self._join_mailbox(stream)
        if stream.user_id not in self.places:
            self.places[stream.user_id] = PlacesChannel(stream.user_id)
            hub.join(stream.user_id, self.places[stream.user_id])
        self.places[stream.user_id].streams.add(stream)
        for channel in self._channels_of(stream):
            channel.catch_up()
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        return gaps

    def _join_mailbox(self, stream: Stream) -> list[Gap]:
        channel = self.channels.get(stream.user_id)
        if channel is None:
            conversations = {key: number for key, number in stream.positions.items() if is_conversation(key)}
            channel = self._open(Mailbox(stream.user_id, conversations))
        channel.streams.add(stream)
        behind = [key for key, number in channel.positions.items() if number > stream.positions.get(key, 0)]
        return [Gap(channel, key, channel.positions[key]) for key in behind]

    def missed(self, stream: Stream) -> list[Gap]:
        """All that a stream has missed while it was not there."""
        flows = stream.opening.flows
        gaps = [Gap(FlowChannel(flow_id, stream.positions[key]), key, None) for key, flow_id in flows.items()]
        mailbox = Mailbox(stream.user_id, {})
        return gaps + [Gap(mailbox, key, None) for key in stream.positions if is_conversation(key)]

    def _open(self, channel: Channel) -> Channel:
        self.channels[channel.topic] = channel
        hub.join(channel.topic, channel)
        return channel

    def leave(self, stream: Stream) -> None:
        self.streams.discard(stream)
        for channel in self._channels_of(stream):
            channel.streams.discard(stream)
            if not channel.streams:
                hub.leave(channel.topic, channel)
                del self.channels[channel.topic]
        if places := self.places.get(stream.user_id):
            places.streams.discard(stream)
            if not places.streams:
                hub.leave(stream.user_id, places)
                del self.places[stream.user_id]
        if not self.streams and self._ticking:
            self._ticking.cancel()
            self._ticking = None

    def _channels_of(self, stream: Stream) -> list[Channel]:
        topics: list[Topic] = [*stream.opening.flows.values(), *([stream.user_id] if stream.opening.private else [])]
        return [self.channels[topic] for topic in topics if topic in self.channels]

    async def _tick(self) -> None:
        began = time.monotonic()
        due = dict.fromkeys((self._look, self._check, self._touch), began)
        keep_alive = settings.STREAM_KEEP_ALIVE
        every = {self._look: LOOK, self._check: min(LOOK, keep_alive), self._touch: presence.REFRESH}
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for stream in tuple(self.streams):
                stream.look_after(now, keep_alive)
            for task, last in due.items():
                if now - last >= every[task]:
                    due[task] = now
                    with contextlib.suppress(DatabaseTrouble):  # it is asked again
                        await task()

    async def _look(self) -> None:
        """Wake the channels that have more than was told."""
        flows = {topic for topic in self.channels if isinstance(topic, UUID)}
        for flow_id, number in (await in_thread(store.latest_numbers, flows)).items():
            channel = self.channels.get(flow_id)
            if channel and number > channel.positions[flow_key(flow_id)]:
                channel.wake()
        people = {topic for topic in self.channels if isinstance(topic, int)}
        for row in await in_thread(store.conversations, people) if people else ():
            for user_id in row[1:3]:
                mailbox = self.channels.get(user_id)
                if isinstance(mailbox, Mailbox) and mailbox.lacks(row):
                    mailbox.catch_up()

    def check_soon(self) -> None:
        """Look now, rather than at the next LOOK, whether readers may still read."""
        self._check_is_due = True
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_now())

    async def _check_now(self) -> None:
        try:
            while self._check_is_due:
                self._check_is_due = False
                with contextlib.suppress(DatabaseTrouble):  # it is asked again
                    await self._check()
        finally:
            self._checking = None

    async def _check(self) -> None:
        """End the streams whose key was revoked, whose user was blocked, or whose flows their user has all left."""
        gone = await in_thread(store.gone, {stream.opening.key for stream in self.streams})
        blocked = await in_thread(store.blocked, {stream.user_id for stream in self.streams})
        asked = tuple(self.streams)
        places = await in_thread(
            store.places,
            {flow_id for stream in asked for flow_id in stream.opening.flows.values()},
            {stream.user_id for stream in asked},
        )
        for stream in asked:
            may_read = stream.opening.private or any(
                (flow_id, stream.user_id) in places for flow_id in stream.opening.flows.values()
            )
            if stream.opening.key in gone or stream.user_id in blocked or not may_read:
                stream.end()

    async def _touch(self) -> None:
        await presence.refresh({(stream.user_id, stream.opening.active) for stream in self.streams})
