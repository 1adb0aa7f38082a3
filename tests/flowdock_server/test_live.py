"""Pages that are open on a flow hear of what happens there."""

import asyncio
import threading
from uuid import uuid4

import pytest
from django.db import connection

from flowdock_server.live import BACKLOG, Hub, Note, hub

from .conftest import activity, post

FLOW, OTHER = uuid4(), uuid4()


def test_a_reader_hears_its_flow_from_any_thread_and_no_other():
    async def read():
        own = Hub()
        notes = own.listen(FLOW)
        assert await anext(notes) is None
        for note in (Note(OTHER, "message", 1), Note(FLOW, "message", 2, "t"), Note(FLOW, "source")):
            thread = threading.Thread(target=own.publish, args=(note,))
            thread.start()
            thread.join()
        return [await anext(notes), await anext(notes)]

    assert asyncio.run(read()) == [Note(FLOW, "message", 2, "t"), Note(FLOW, "source")]


def test_silence_is_broken_by_signs_of_life():
    async def read():
        notes = Hub().listen(FLOW, keep_alive=0.01)
        return [await anext(notes) for _ in range(3)]

    assert asyncio.run(read()) == [None, None, None]


def test_a_reader_that_falls_behind_gets_what_it_has_and_is_cut_off():
    async def read():
        own = Hub()
        notes = own.listen(FLOW)
        quick = own.listen(FLOW)
        await anext(notes)
        await anext(quick)
        heard = 0
        for number in range(BACKLOG + 10):
            own.publish(Note(FLOW, "message", number))
            await anext(quick)
            heard += 1
        late = [note.number async for note in notes]
        return late, heard, own.readers(FLOW)

    late, heard, readers = asyncio.run(read())
    assert late == list(range(BACKLOG))
    assert heard == BACKLOG + 10
    assert readers == 1


def test_a_reader_is_told_to_catch_up_where_notes_may_be_lost():
    async def read():
        own = Hub()
        notes = own.listen(FLOW)
        await anext(notes)
        own.catch_up()
        own.publish(Note(FLOW, "message", 1))
        return [await asyncio.wait_for(anext(notes), 5) for _ in range(2)]

    assert asyncio.run(read()) == [None, Note(FLOW, "message", 1)]


def test_a_stop_ends_those_who_listen_and_those_who_come_late():
    async def read():
        own = Hub()
        notes = own.listen(FLOW)
        await anext(notes)
        own.end()
        before = [note async for note in notes]
        return before, [note async for note in own.listen(FLOW)]

    assert asyncio.run(read()) == ([], [None])


@pytest.mark.parametrize(
    "note",
    [
        Note(FLOW, "message", 7, "thread"),
        Note(FLOW, "presence", user_id=3, at=1_416_000_000_000),
        Note(None, "private", 2, conversation_id=5, user_id=9),
    ],
)
def test_a_note_travels_as_text(note):
    assert Note.from_text(note.as_text()) == note
    assert len(note.as_text()) < 1000  # PostgreSQL takes 8000


def test_a_reader_that_leaves_is_forgotten():
    async def read():
        own = Hub()
        notes = own.listen(FLOW)
        await anext(notes)
        before = own.readers(FLOW)
        await notes.aclose()
        own.publish(Note(FLOW, "message", 1))
        return before, own.readers(FLOW)

    assert asyncio.run(read()) == (1, 0)


def test_publishing_to_a_loop_that_has_ended_harms_nobody():
    own = Hub()

    async def begin():
        await anext(own.listen(FLOW))

    loop = asyncio.new_event_loop()
    notes = own.listen(FLOW)
    loop.run_until_complete(anext(notes))
    loop.close()

    own.publish(Note(FLOW, "message", 1))


@pytest.mark.django_db(transaction=True)
def test_what_is_stored_is_told_once_it_is_committed(world, connect, client):
    def happen():
        source, token = connect()
        post(client, "/messages", activity(flow_token=token, uuid="u"))
        post(client, "/messages", activity(flow_token=token, uuid="u"))
        post(client, "/messages", activity(flow_token=token, thread=None, external_thread_id="new"))
        source.change(error_message="gone")
        source.remove()
        connection.close()

    async def read():
        notes = hub.listen(world.main.pk, keep_alive=1)
        await anext(notes)
        await asyncio.to_thread(happen)
        heard = []
        while (note := await anext(notes)) is not None:
            heard.append((note.kind, note.number))
        await notes.aclose()
        return heard

    assert asyncio.run(read()) == [("source", None), ("message", 1), ("source", None), ("source", None)]
