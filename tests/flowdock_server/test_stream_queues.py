"""The queue of one stream, and how a channel delivers to many: what is sent together, dropped, and left for others."""

import asyncio
import time
from uuid import uuid4

import pytest

from flowdock_server.streaming import feed, store
from flowdock_server.streaming.opening import Opening
from flowdock_server.streaming.stream import QUEUE_LIMIT, Group, Stream
from hosting.parts import Parts


def opened(as_events=False, flows=None, **positions):
    return Stream(
        Opening(
            user_id=1,
            key=("ApiToken", 1),
            flows=flows or {},
            private=False,
            positions=positions,
            resumed=False,
            as_events=as_events,
            presence=False,
            active="",
        )
    )


def sent(stream):
    """What the stream sends for its queue: a list of the parts of each write."""

    async def read():
        writes = []
        while stream._queue:
            writes.append((await stream.next()).parts)
            stream.sent()
        return writes

    return asyncio.run(read())


def group(*numbers, key="a"):
    return Group([f"{number}\r\n".encode() for number in numbers], key, numbers)


def test_messages_of_a_group_are_sent_in_one_write():
    stream = opened(a=3)
    stream.enqueue(group(4, 5, 6))
    stream.enqueue(group(7))

    assert sent(stream) == [(b"4\r\n", b"5\r\n", b"6\r\n"), (b"7\r\n",)]
    assert stream.positions == {"a": 7}


@pytest.mark.parametrize("as_events", [False, True])
def test_messages_that_filled_a_gap_are_not_sent_again(as_events):
    stream = opened(as_events, a=5)
    stream.enqueue(group(3, 4))
    stream.enqueue(group(5, 6))

    ((message,),) = sent(stream)

    assert message == (b"id: 6\ndata: 6\n\n" if as_events else b"6\r\n")


def test_each_event_has_the_id_to_resume_from():
    stream = opened(as_events=True, a=3, b=8)
    stream.enqueue(group(4, 5))
    stream.enqueue(group(9, key="b"))

    assert sent(stream) == [
        (b"id: a:4,b:8\ndata: 4\n\n", b"id: a:5,b:8\ndata: 5\n\n"),
        (b"id: a:5,b:9\ndata: 9\n\n",),
    ]


def test_slow_stream_is_cut_off_by_the_number_of_its_messages():
    stream = opened(a=0)
    numbers = iter(range(1, 100_000))
    for _ in range(QUEUE_LIMIT // 100):
        stream.enqueue(group(*(next(numbers) for _ in range(100))))
    assert not stream.is_cut_off

    stream.enqueue(group(next(numbers)))

    assert stream.is_cut_off
    assert not stream._queue


def test_parts_are_chunks_and_an_empty_part_ends_nothing():
    assert Parts([b"one", b"", b"x" * 20]).chunks == b"3\r\none\r\n14\r\n" + b"x" * 20 + b"\r\n"
    assert Parts([b"one", b"two"]).body == b"onetwo"


def test_streams_take_a_part_of_the_time_only_and_miss_nothing(monkeypatch):
    posted = []
    busy = 0.0

    class Slow(Stream):
        def enqueue(self, group):
            nonlocal busy
            began = time.perf_counter()
            while time.perf_counter() - began < 0.0005:
                pass
            busy += time.perf_counter() - began
            super().enqueue(group)

    def new_messages(flow_id, after, user_ids):
        return [(number, b"%d\r\n" % number) for number in posted if number > after][: store.PAGE], {1}

    async def at_once(function, *arguments):
        return function(*arguments)

    monkeypatch.setattr(store, "new_flow_messages", new_messages)
    # Not in a thread that other tests have left connected to the database, which is not for this test.
    monkeypatch.setattr(feed, "in_thread", at_once)

    async def run():
        flow_id = uuid4()
        channel = feed.FlowChannel(flow_id, 0)
        key = channel.key
        streams = [Slow(opened(flows={key: flow_id}, **{key: 0}).opening) for _ in range(20)]
        channel.streams.update(streams)
        began = time.perf_counter()
        for number in range(1, 301):
            posted.append(number)
            channel.wake()
            await asyncio.sleep(0.002)
        lasted = time.perf_counter() - began
        share = busy / lasted
        async with asyncio.timeout(30):
            while channel.positions[key] < 300:
                await asyncio.sleep(0.01)
        return share, streams

    share, streams = asyncio.run(run())

    assert share < 0.5  # each message by itself would need all of the time and more
    for stream in streams:
        numbers = [number for queued in stream._queue for number in queued.numbers]
        assert numbers == list(range(1, 301))
