"""Live updates: broadcasts reach the subscribers of a flow."""

import asyncio
import threading
from uuid import uuid4

import pytest
from django.db import connection

from flowdock_server.live import BACKLOG, Broadcast, Hub, hub

from .conftest import activity, post

FLOW, OTHER = uuid4(), uuid4()


def test_subscriber_receives_broadcasts_of_its_flow_only_from_any_thread():
    async def read():
        own = Hub()
        broadcasts = own.listen(FLOW)
        assert await anext(broadcasts) is None
        for broadcast in (
            Broadcast(OTHER, "message", 1),
            Broadcast(FLOW, "message", 2, "t"),
            Broadcast(FLOW, "source"),
        ):
            thread = threading.Thread(target=own.publish, args=(broadcast,))
            thread.start()
            thread.join()
        return [await anext(broadcasts), await anext(broadcasts)]

    assert asyncio.run(read()) == [Broadcast(FLOW, "message", 2, "t"), Broadcast(FLOW, "source")]


def test_none_is_yielded_after_a_silence():
    async def read():
        broadcasts = Hub().listen(FLOW, keep_alive=0.01)
        return [await anext(broadcasts) for _ in range(3)]

    assert asyncio.run(read()) == [None, None, None]


def test_slow_subscriber_gets_its_queue_and_is_cut_off():
    async def read():
        own = Hub()
        broadcasts = own.listen(FLOW)
        quick = own.listen(FLOW)
        await anext(broadcasts)
        await anext(quick)
        received = 0
        for number in range(BACKLOG + 10):
            own.publish(Broadcast(FLOW, "message", number))
            await anext(quick)
            received += 1
        late = [broadcast.number async for broadcast in broadcasts]
        return late, received, own.count_subscribers(FLOW)

    late, received, subscribers = asyncio.run(read())
    assert late == list(range(BACKLOG))
    assert received == BACKLOG + 10
    assert subscribers == 1


def test_none_is_yielded_when_broadcasts_may_be_lost():
    async def read():
        own = Hub()
        broadcasts = own.listen(FLOW)
        await anext(broadcasts)
        own.catch_up()
        own.publish(Broadcast(FLOW, "message", 1))
        return [await asyncio.wait_for(anext(broadcasts), 5) for _ in range(2)]

    assert asyncio.run(read()) == [None, Broadcast(FLOW, "message", 1)]


def test_stopping_ends_current_and_later_subscribers():
    async def read():
        own = Hub()
        broadcasts = own.listen(FLOW)
        await anext(broadcasts)
        own.end()
        before = [broadcast async for broadcast in broadcasts]
        return before, [broadcast async for broadcast in own.listen(FLOW)]

    assert asyncio.run(read()) == ([], [None])


@pytest.mark.parametrize(
    "broadcast",
    [
        Broadcast(FLOW, "message", 7, "thread"),
        Broadcast(FLOW, "presence", user_id=3, at=1_416_000_000_000),
        Broadcast(None, "private", 2, conversation_id=5, user_id=9),
    ],
)
def test_broadcast_is_the_same_after_to_json_and_from_json(broadcast):
    assert Broadcast.from_json(broadcast.to_json()) == broadcast
    assert len(broadcast.to_json()) < 1000  # PostgreSQL takes 8000


def test_closed_subscriber_is_unsubscribed():
    async def read():
        own = Hub()
        broadcasts = own.listen(FLOW)
        await anext(broadcasts)
        before = own.count_subscribers(FLOW)
        await broadcasts.aclose()
        own.publish(Broadcast(FLOW, "message", 1))
        return before, own.count_subscribers(FLOW)

    assert asyncio.run(read()) == (1, 0)


def test_publishing_ignores_closed_event_loops():
    own = Hub()

    async def begin():
        await anext(own.listen(FLOW))

    loop = asyncio.new_event_loop()
    broadcasts = own.listen(FLOW)
    loop.run_until_complete(anext(broadcasts))
    loop.close()

    own.publish(Broadcast(FLOW, "message", 1))


@pytest.mark.django_db(transaction=True)
def test_changes_are_published_after_the_commit(world, connect, client):
    def happen():
        source, token = connect()
        post(client, "/messages", activity(flow_token=token, uuid="u"))
        post(client, "/messages", activity(flow_token=token, uuid="u"))
        post(client, "/messages", activity(flow_token=token, thread=None, external_thread_id="new"))
        source.change(error_message="gone")
        source.remove()
        connection.close()

    async def read():
        broadcasts = hub.listen(world.main.pk, keep_alive=1)
        await anext(broadcasts)
        await asyncio.to_thread(happen)
        received = []
        while (broadcast := await anext(broadcasts)) is not None:
            received.append((broadcast.kind, broadcast.number))
        await broadcasts.aclose()
        return received

    assert asyncio.run(read()) == [("source", None), ("message", 1), ("source", None), ("source", None)]
