"""An open page hears at once, and only while its reader may, that something happened in the flow."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from flowdock_server.live import Note, hub
from flowdock_server.models import FlowMembership, User
from flowdock_server.pages import events

from .pages import tell

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/app/acme/main/events"


async def listen(user, path=PATH):
    client = AsyncClient()
    if user:
        await client.aforce_login(user)
    return await client.get(path)


def read(chunk: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines())


async def hear(stream) -> dict[str, str]:
    return read(await asyncio.wait_for(anext(stream), 5))


def leave_the_flow(world) -> None:
    FlowMembership.objects.filter(flow=world.main, user=world.ines).delete()


def close_the_account(world) -> None:
    User.objects.filter(pk=world.ines.pk).update(is_active=False)


def test_only_members_hear_a_flow(world):
    async def statuses():
        return [(await listen(user)).status_code for user in (world.otto, world.sam, None)]

    assert asyncio.run(statuses()) == [404, 404, 401]


def test_a_connection_begins_with_the_number_of_the_latest_message(world, connect):
    source, _ = connect()
    number = tell(source).number

    async def begin():
        response = await listen(world.ines)
        assert response["Content-Type"] == "text/event-stream"
        assert response["Cache-Control"] == "no-store"
        stream = aiter(response)
        retry, beat = await hear(stream), await hear(stream)
        await stream.aclose()
        return retry, beat

    assert asyncio.run(begin()) == ({"retry": "2000"}, {"event": "beat", "data": str(number)})


def test_what_is_posted_is_heard_without_its_content(world, connect):
    source, _ = connect()

    async def read_on():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        message = await sync_to_async(tell)(source)
        note = await hear(stream)
        await stream.aclose()
        return message, note

    message, note = asyncio.run(read_on())
    assert note["event"] == "note"
    told = {"kind": "message", "number": message.number, "thread": message.thread_id, "conversation": None}
    assert json.loads(note["data"]) == told


def test_a_silent_flow_gives_signs_of_life_that_tell_what_was_missed(world, monkeypatch):
    monkeypatch.setattr(events, "SILENCE", 0.01)

    async def wait():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        first = await hear(stream)
        # As if another process had stored it, of which this one's hub hears nothing.
        await sync_to_async(type(world.main).objects.filter(pk=world.main.pk).update)(last_number=7)
        beats = [await hear(stream) for _ in range(3)]
        await stream.aclose()
        return first, beats[-1]

    assert asyncio.run(wait()) == ({"event": "beat", "data": "0"}, {"event": "beat", "data": "7"})


@pytest.mark.parametrize("leaves", [leave_the_flow, close_the_account])
def test_who_leaves_hears_no_more(world, monkeypatch, leaves):
    monkeypatch.setattr(events, "SILENCE", 0.01)
    FlowMembership.objects.create(flow=world.main, user=world.otto)  # who stays

    async def leave():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        await sync_to_async(leaves)(world)
        return [chunk async for chunk in stream]

    heard = asyncio.run(asyncio.wait_for(leave(), 5))
    assert len(heard) <= 2  # what was on its way
    assert hub.readers(world.main.pk) == 0


def test_a_page_that_is_closed_is_forgotten(world):
    async def close():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        open_pages = hub.readers(world.main.pk)
        await stream.aclose()
        await asyncio.sleep(0)
        hub.publish(Note(world.main.pk, "source"))
        return open_pages

    assert asyncio.run(close()) == 1
    assert hub.readers(world.main.pk) == 0
