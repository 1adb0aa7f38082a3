"""The event stream of an open page: who receives it, what it contains, and when it ends."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from flowdock_server.live import Broadcast, hub
from flowdock_server.models import FlowMembership, Membership, User
from flowdock_server.pages import events
from flowdock_server.people import members
from flowdock_server.streaming import feed
from flowdock_server.streaming.opening import Opening, flow_key
from flowdock_server.streaming.store import password_key
from flowdock_server.streaming.stream import Stream

from .pages import browser, post_activity

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


def leave_the_flow_elsewhere(world) -> None:
    """Leave the flow without a broadcast, as if that of another process was lost."""
    memberships = FlowMembership.objects.filter(flow=world.main, user=world.ines)
    memberships._raw_delete(memberships.db)


def close_the_account(world) -> None:
    User.objects.filter(pk=world.ines.pk).update(is_active=False)


def test_only_members_receive_the_events_of_a_flow(world):
    async def statuses():
        return [(await listen(user)).status_code for user in (world.otto, world.sam, None)]

    assert asyncio.run(statuses()) == [404, 404, 401]


def test_a_connection_begins_with_the_number_of_the_latest_message(world, connect):
    source, _ = connect()
    number = post_activity(source).number

    async def begin():
        response = await listen(world.ines)
        assert response["Content-Type"] == "text/event-stream"
        assert response["Cache-Control"] == "no-store"
        stream = aiter(response)
        retry, beat = await hear(stream), await hear(stream)
        await stream.aclose()
        return retry, beat

    assert asyncio.run(begin()) == ({"retry": "2000"}, {"event": "beat", "data": str(number)})


def test_events_have_no_content_of_messages(world, connect):
    source, _ = connect()

    async def read_on():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        message = await sync_to_async(post_activity)(source)
        change = await hear(stream)
        await stream.aclose()
        return message, change

    message, change = asyncio.run(read_on())
    assert change["event"] == "change"
    told = {"kind": "message", "number": message.number, "thread": message.thread_id, "conversation": None}
    assert json.loads(change["data"]) == told


def test_an_idle_flow_sends_beats_with_the_latest_number(world, monkeypatch):
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
def test_events_end_for_a_member_who_leaves(world, monkeypatch, leaves):
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
    assert hub.count_subscribers(world.main.pk) == 0


def sign_out_everywhere(world) -> None:
    browser(world.ines).post("/account/sign-out-everywhere")


@pytest.mark.parametrize("path", [PATH, "/app/private/{otto}/events"])
@pytest.mark.parametrize("where", ["here", "everywhere"])
def test_events_end_after_sign_out(world, monkeypatch, path, where):
    monkeypatch.setattr(events, "SILENCE", 0.01)

    async def sign_out():
        client = AsyncClient()
        await client.aforce_login(world.ines)
        stream = aiter(await client.get(path.format(otto=world.otto.pk)))
        await hear(stream)
        await hear(stream)
        if where == "here":
            await client.post("/account/sign-out")
        else:  # in another browser
            await sync_to_async(sign_out_everywhere)(world)
        return [chunk async for chunk in stream]

    heard = asyncio.run(asyncio.wait_for(sign_out(), 5))
    assert len(heard) <= 2  # what was on its way


def block(world) -> None:
    members.block(world.main.memberships.get(user=world.ines), by=world.otto)


def remove_from_the_flow(world) -> None:
    browser(world.otto).post(f"/app/acme/main/settings/people/{world.ines.pk}/remove")


def remove_from_the_organization(world) -> None:
    browser(world.otto).post(f"/app/acme/_people/{world.ines.pk}/remove")


def leave(world) -> None:
    browser(world.ines).post("/app/acme/main/settings/people/leave")


@pytest.fixture
def otto_manages(world):
    FlowMembership.objects.create(flow=world.main, user=world.otto)
    Membership.objects.filter(user=world.otto).update(admin=True)


REMOVALS = [block, remove_from_the_flow, remove_from_the_organization, leave]


@pytest.mark.parametrize("removed", REMOVALS)
def test_events_end_at_once_for_a_removed_member(world, connect, otto_manages, removed):
    source, _ = connect()

    async def hear_the_end():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        await sync_to_async(removed)(world)
        for _ in range(3):
            await sync_to_async(post_activity)(source)
        return [read(chunk) async for chunk in stream]

    heard = asyncio.run(asyncio.wait_for(hear_the_end(), 10))
    # The flow is told that somebody was blocked; nothing that happened after it is heard.
    assert len(heard) <= (1 if removed is block else 0), heard


def test_events_of_a_busy_flow_end_for_a_removed_member_too(world, connect, monkeypatch):
    monkeypatch.setattr(events, "SILENCE", 0.2)
    source, _ = connect()

    async def hear_the_end():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        await sync_to_async(leave_the_flow_elsewhere)(world)
        for _ in range(200):
            await sync_to_async(post_activity)(source)
            await asyncio.sleep(0.01)
            try:
                await asyncio.wait_for(anext(stream), 5)
            except StopAsyncIteration:
                return True
        return False

    assert asyncio.run(asyncio.wait_for(hear_the_end(), 60))


@pytest.mark.parametrize("removed", REMOVALS)
def test_a_stream_ends_at_once_for_a_removed_member(world, otto_manages, monkeypatch, settings, removed):
    monkeypatch.setattr(feed, "POLL_INTERVAL", 3600.0)  # nothing but the change makes it look
    settings.STREAM_KEEP_ALIVE = 3600.0
    key = flow_key(world.main.pk)
    opening = Opening(
        user_id=world.ines.pk, key=password_key(world.ines), flows={key: world.main.pk}, private=False,
        positions={key: 0}, resumed=False, as_events=False, presence=False, active="",
    )  # fmt: skip

    async def end() -> None:
        stream, streams = Stream(opening), feed.Feed.of_this_loop()
        streams.join(stream)
        try:
            await sync_to_async(removed)(world)
            await asyncio.wait_for(stream.over.wait(), 10)
        finally:
            streams.leave(stream)

    asyncio.run(end())


def test_a_closed_page_is_unsubscribed(world):
    async def close():
        stream = aiter(await listen(world.ines))
        await hear(stream)
        await hear(stream)
        open_pages = hub.count_subscribers(world.main.pk)
        await stream.aclose()
        await asyncio.sleep(0)
        hub.publish(Broadcast(world.main.pk, "source"))
        return open_pages

    assert asyncio.run(close()) == 1
    assert hub.count_subscribers(world.main.pk) == 0
